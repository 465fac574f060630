//! What the thread of an output shares with housekeeping and with the proof.

use crate::appliance::shared::outbox::Deliveries;
use crate::appliance::shared::progress::{Activity, ThreadProgress};
use crate::event::output::Next;
use crate::limits::MAX_RULES;
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::sys::clock::now_ns;
use crate::units::NS_PER_MS;
use nix::errno::Errno;

/// Longest wait without a step.
const LOOK_NS: u64 = 500 * NS_PER_MS;

/// One output's.
#[derive(Debug)]
pub(crate) struct OutputState {
    /// Its events by rule.
    pub(crate) deliveries: Arc<Deliveries>,
    /// Rules whose states hold, a bit each. Never lost, whatever the queue does.
    pub(crate) holding: AtomicU64,
    /// Times that the device refused or was lost, and times that it was opened.
    pub(crate) failures: AtomicU64,
    pub(crate) opened: AtomicU64,
    /// What its thread is doing.
    pub(crate) progress: ThreadProgress,
}

const _: () = assert!(MAX_RULES <= 64, "a bit for each rule");

impl OutputState {
    pub(crate) fn new() -> Self {
        Self {
            deliveries: Arc::new(Deliveries::new(MAX_RULES)),
            holding: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            progress: ThreadProgress::default(),
        }
    }

    /// Events of a rule that it handed over, and those that it did not.
    pub(crate) fn account_of(&self, rule: usize) -> (u64, u64) {
        let lost = self.deliveries.lost(rule..rule + 1);
        (self.deliveries.delivered(rule), lost)
    }

    /// What its device has been through so far.
    pub(crate) fn set_device(&self, failures: u64, opened: u64) {
        self.failures.store(failures, Ordering::Relaxed);
        self.opened.store(opened, Ordering::Relaxed);
    }

    /// Its device is used from here on.
    pub(crate) fn begin_use(&self) {
        self.progress.begin(Activity::UseDevice, 0);
    }

    /// Waits until something is to be done, at most until `until_ns`; shows in between that it waits and does not hang.
    pub(crate) fn wait(&self, until_ns: u64) {
        loop {
            self.progress.begin(Activity::Waiting, 0);
            let now = now_ns();
            let part_ns = until_ns.min(now.saturating_add(LOOK_NS));
            if self.deliveries.drain.wait(part_ns, now_ns) || part_ns == until_ns {
                return;
            }
        }
    }
}

/// Logs that the device of an output, `place`, is lost, or back; gives why it is lost.
pub(crate) fn log_trouble(place: &str, lost: Option<Errno>, next: Next) -> Option<Errno> {
    match (lost, next) {
        (None, Next::Retry { errno, .. }) => {
            log::warn!(
                "output {place}: {errno}; its events are lost until its device can be opened"
            );
            Some(errno)
        }
        (_, Next::Retry { errno, .. }) => Some(errno),
        (Some(_), _) => {
            log::info!("output {place}: it is back");
            None
        }
        (None, _) => None,
    }
}
