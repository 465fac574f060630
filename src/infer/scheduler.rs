//! Whose frame is next: pure, so that a laptop can simulate a board.
//!
//! A worker that comes free may take one frame, and every pending camera has its newest one ready. The
//! freshest frame gives the shortest delay from light to result, but alone it starves a camera whose
//! frames always come a little earlier than another's. So freshness counts in steps of a window, and the camera
//! that waited longest goes first among the equally fresh; and each camera has a deadline, before which
//! freshness decides only as long as every pending camera can still meet its own.
//!
//! Where the time of an inference and the cameras' interval are in a bad proportion, the same cameras are
//! the fresh ones again and again, and the others are left with old frames at their deadlines. A worker that
//! waits for a short time gets another camera's frame while it is fresh: it waits for an expected frame where that
//! gains more than the wait costs.

use crate::limits::MAX_CAMERAS;
use std::cmp::Reverse;

/// What one camera may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Greater goes first, while all deadlines can be met.
    pub priority: u8,
    /// Its longest gap, from one frame taken to the next while it has frames, is the fair one
    /// ([`Pace::fair_gap_ns`]), or this where this is longer.
    pub least_gap_ns: u64,
}

/// What all cameras have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Time between two frames taken by the workers of these cameras together.
    pub service_ns: u64,
    /// Frames whose ages are so many whole windows count as equally fresh.
    pub window_ns: u64,
    /// Cameras that share the time.
    pub cameras: usize,
}

impl Pace {
    /// The pace of cameras of one frame in so many nanoseconds each (one of 0 has no rate): the window is one
    /// and a quarter times the mean spacing of all their frames.
    ///
    /// Narrower, and a camera can miss every chance; wider, and every frame waits.
    #[must_use]
    pub fn new(intervals_ns: impl IntoIterator<Item = u64>, service_ns: u64) -> Self {
        /// Frames in so many nanoseconds are counted: some eleven days.
        const LONG_NS: u64 = 1_000_000_000_000_000;
        let (mut frames, mut cameras) = (0, 0);
        for interval_ns in intervals_ns {
            frames += LONG_NS.checked_div(interval_ns).unwrap_or(0);
            cameras += 1;
        }
        let spacing_ns = LONG_NS.checked_div(frames).unwrap_or(0);
        Self {
            service_ns,
            window_ns: spacing_ns + spacing_ns / 4,
            cameras,
        }
    }

    /// A gap that cameras of equal rights can keep: twice their fair share, less half a service
    /// for one that takes longer.
    ///
    /// A camera that just missed its chance has the next one after nearly that time: a shorter gap would
    /// be kept with stale frames.
    #[must_use]
    pub const fn fair_gap_ns(&self) -> u64 {
        self.service_ns
            .saturating_mul(2 * self.cameras as u64)
            .saturating_sub(self.service_ns / 2)
    }

    /// How late a frame may be that was waited for.
    const fn grace_ns(&self) -> u64 {
        self.window_ns / 8
    }
}

/// What is known of one camera's frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// When its newest frame was captured; 0 where that is not known.
    pub newest_ns: u64,
    /// When its next frame should be there, and may be taken; 0 where that is not known.
    pub expected_ns: u64,
    /// When a frame of it was last taken, whichever worker did.
    pub served_ns: u64,
}

/// What a free worker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It takes this camera's frame.
    Take(usize),
    /// It asks again when a frame has come, or at this time: a frame that is about to come is worth more
    /// than any that is there.
    WaitUntil(u64),
}

/// A camera at the moment of a choice.
#[derive(Clone, Copy, Debug)]
struct Camera {
    index: usize,
    priority: u8,
    max_gap_ns: u64,
    seen: Seen,
}

impl Camera {
    const fn deadline_ns(&self) -> u64 {
        self.seen.served_ns.saturating_add(self.max_gap_ns)
    }

    /// How much of its longest gap is over.
    #[allow(clippy::cast_precision_loss)] // A proportion.
    fn hunger(&self, now_ns: u64) -> f64 {
        now_ns.saturating_sub(self.seen.served_ns) as f64 / self.max_gap_ns.max(1) as f64
    }
}

/// Decides which camera's frame a free worker takes. Allocates nothing; time, and what was seen of each camera, are
/// arguments: several workers that tell each other when they took a frame decide alike.
///
/// Order among pending cameras:
/// 1. the earliest deadline, if any deadline would be missed by serving another camera first;
/// 2. by priority;
/// 3. by freshness, in steps of the window: frames of cameras that were triggered at once are equally fresh,
///    long after that, too;
/// 4. longest wait first, then the lower number.
///
/// The first of them is taken, unless another camera's next frame is worth the wait: see
/// [`Choice::WaitUntil`].
///
/// No pending camera starves: deadlines come, and where more is asked for than the workers can give,
/// the earliest deadline first is round-robin among cameras of equal rights. So it is where no capture
/// stamps are known (all zero).
#[derive(Clone, Debug)]
pub struct Scheduler {
    shares: heapless::Vec<Share, MAX_CAMERAS>,
    pace: Pace,
}

impl Scheduler {
    /// A scheduler of `shares.len()` cameras; `None` when there are more than [`MAX_CAMERAS`].
    #[must_use]
    pub fn new(shares: &[Share], pace: Pace) -> Option<Self> {
        Some(Self {
            shares: heapless::Vec::from_slice(shares).ok()?,
            pace,
        })
    }

    /// The camera whose frame is next, of those whose bit is set in `pending`, or how long to wait for a
    /// better one; bits beyond the cameras are ignored, and `None` says that no other is set.
    #[must_use]
    pub fn next(&self, pending: u64, now_ns: u64, seen: impl Fn(usize) -> Seen) -> Option<Choice> {
        let fair_gap_ns = self.pace.fair_gap_ns();
        let cameras: heapless::Vec<Camera, MAX_CAMERAS> = self
            .shares
            .iter()
            .enumerate()
            .map(|(index, &share)| Camera {
                index,
                priority: share.priority,
                max_gap_ns: fair_gap_ns.max(share.least_gap_ns),
                seen: seen(index),
            })
            .collect();
        let pending = |camera: &Camera| pending >> camera.index & 1 == 1;
        let first = self.first(cameras.iter().copied().filter(pending), now_ns)?;
        let worth = cameras.iter().filter_map(|awaited| {
            let others = cameras
                .iter()
                .copied()
                .filter(|camera| pending(camera) && camera.index != awaited.index);
            self.worth_waiting(&first, awaited, others, now_ns)
        });
        let best = worth.max_by(|(one, _), (other, _)| one.total_cmp(other));
        Some(best.map_or(Choice::Take(first.index), |(_, expected_ns)| {
            Choice::WaitUntil(expected_ns.saturating_add(self.pace.grace_ns()))
        }))
    }

    /// A worker needed so long for one frame, divided by the workers of these cameras: taken for the usual time
    /// by and by.
    pub const fn learn(&mut self, service_ns: u64) {
        let usual_ns = self.pace.service_ns;
        // What takes long enough to overflow is no usual time.
        self.pace.service_ns = usual_ns.saturating_mul(15).saturating_add(service_ns) / 16;
    }

    /// The first of the pending cameras.
    fn first(&self, pending: impl Iterator<Item = Camera> + Clone, now_ns: u64) -> Option<Camera> {
        let rank = |camera: &Camera| {
            let age_ns = now_ns.saturating_sub(camera.seen.newest_ns);
            (
                camera.priority,
                Reverse(age_ns / self.pace.window_ns.max(1)),
                now_ns.saturating_sub(camera.seen.served_ns),
                Reverse(camera.index),
            )
        };
        self.pressing(pending.clone(), now_ns)
            .or_else(|| pending.max_by_key(rank))
    }

    /// The camera of the earliest deadline, if serving another one now would miss a deadline: the k-th
    /// of the pending deadlines must leave time for k more services.
    fn pressing(&self, pending: impl Iterator<Item = Camera>, now_ns: u64) -> Option<Camera> {
        let mut cameras: heapless::Vec<Camera, MAX_CAMERAS> = pending.collect();
        cameras.sort_unstable_by_key(|camera| (camera.deadline_ns(), camera.index));
        let mut needed_ns = now_ns;
        let missed = cameras.iter().any(|camera| {
            needed_ns = needed_ns.saturating_add(self.pace.service_ns);
            camera.deadline_ns() < needed_ns
        });
        cameras.first().filter(|_| missed).copied()
    }

    /// What it wins to wait for the next frame of `awaited` instead of taking that of `first`, and until when.
    ///
    /// A wait costs results. It may be as long as what it wins is worth: half the time by which the frame at
    /// hand is too old, and one and a half services for a camera that is so much hungrier that its whole gap
    /// is over. It is no longer than a service, no camera of lower priority is waited for, and none of the
    /// `others` may miss its deadline by it.
    #[allow(clippy::cast_precision_loss)] // Times of some milliseconds.
    fn worth_waiting(
        &self,
        first: &Camera,
        awaited: &Camera,
        others: impl Iterator<Item = Camera>,
        now_ns: u64,
    ) -> Option<(f64, u64)> {
        let Pace {
            service_ns,
            window_ns,
            ..
        } = self.pace;
        let expected_ns = awaited.seen.expected_ns;
        let wait_ns = expected_ns.checked_sub(now_ns).filter(|&ns| ns > 0)?;
        if first.seen.newest_ns == 0 || wait_ns > service_ns || awaited.priority < first.priority {
            return None;
        }
        let age_ns = now_ns.saturating_sub(first.seen.newest_ns);
        let too_old_ns = age_ns.saturating_sub(window_ns) as f64;
        let hungrier = (awaited.hunger(now_ns) - first.hunger(now_ns)).max(0.0);
        let win = too_old_ns / 2.0 + 1.5 * service_ns as f64 * hungrier - wait_ns as f64;
        if win <= 0.0 {
            return None;
        }
        match self.pressing(others, expected_ns.saturating_add(service_ns)) {
            Some(_) => None,
            None => Some((win, expected_ns)),
        }
    }
}

#[cfg(test)]
mod tests;
