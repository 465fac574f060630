//! The way from housekeeping to a thread that may stand still: a bounded queue that nobody waits at.
//!
//! What was offered and is not delivered when the run ends is lost, whether it lay in the queue or did not fit into
//! it. Both are counted by key: a rule's place in the profile, or what the two ends agree on.

use super::drain::DrainBell;
use super::messages::queue_of;
use crate::sync::{Arc, AtomicU64, Ordering};
use heapless::spsc::{Consumer, Producer};
use std::ops::Range;

/// What both ends of the outboxes of one thread share.
#[derive(Debug)]
pub(crate) struct Deliveries {
    pub(crate) drain: DrainBell,
    offered: Box<[AtomicU64]>,
    delivered: Box<[AtomicU64]>,
}

impl Deliveries {
    /// With so many keys.
    pub(crate) fn new(keys: usize) -> Self {
        let zeros = || (0..keys).map(|_| AtomicU64::new(0)).collect();
        Self {
            drain: DrainBell::new(),
            offered: zeros(),
            delivered: zeros(),
        }
    }

    /// Something is on its way.
    pub(crate) fn offer(&self, key: usize) {
        add(&self.offered, key, 1);
    }

    /// So much of what was offered has arrived.
    pub(crate) fn deliver(&self, key: usize, count: u64) {
        add(&self.delivered, key, count);
    }

    /// Something that was taken for delivered never left.
    pub(crate) fn take_back(&self, key: usize) {
        if let Some(count) = self.delivered.get(key) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// What has arrived.
    pub(crate) fn delivered(&self, key: usize) -> u64 {
        sum(&self.delivered, key..key + 1)
    }

    /// What was offered and has not arrived.
    pub(crate) fn lost(&self, keys: Range<usize>) -> u64 {
        sum(&self.offered, keys.clone()).saturating_sub(sum(&self.delivered, keys))
    }
}

fn add(counts: &[AtomicU64], key: usize, count: u64) {
    if let Some(sum) = counts.get(key) {
        sum.fetch_add(count, Ordering::Relaxed);
    }
}

fn sum(counts: &[AtomicU64], keys: Range<usize>) -> u64 {
    let counts = counts.get(keys).unwrap_or_default();
    counts
        .iter()
        .map(|count| count.load(Ordering::Relaxed))
        .sum()
}

/// Housekeeping's end.
pub(crate) struct Outbox<T: 'static> {
    queue: Producer<'static, T>,
    deliveries: Arc<Deliveries>,
}

/// The thread's end.
pub(crate) struct Inbox<T: 'static> {
    queue: Consumer<'static, T>,
}

/// Both ends of a queue with room for `values`.
pub(crate) fn outbox<T: 'static>(
    values: usize,
    deliveries: &Arc<Deliveries>,
) -> (Outbox<T>, Inbox<T>) {
    let (sender, receiver) = queue_of(values);
    let outbox = Outbox {
        queue: sender,
        deliveries: Arc::clone(deliveries),
    };
    (outbox, Inbox { queue: receiver })
}

impl<T> Outbox<T> {
    /// Offers a value under these keys. Never waits; `false` when there is no room.
    pub(crate) fn offer(&mut self, keys: impl IntoIterator<Item = usize>, value: T) -> bool {
        for key in keys {
            self.deliveries.offer(key);
        }
        self.queue.enqueue(value).is_ok()
    }
}

impl<T> Inbox<T> {
    /// The oldest value.
    pub(crate) fn next(&mut self) -> Option<T> {
        self.queue.dequeue()
    }
}
