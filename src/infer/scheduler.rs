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
//! stands still for a moment falls into step with another camera: so it does, when a frame that is about to
//! come is worth the wait.

use crate::limits::MAX_CAMERAS;
use std::cmp::Reverse;

/// What one camera may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Greater goes first, while all deadlines can be met.
    pub priority: u8,
    /// Longest time between two frames taken of this camera while it has frames.
    pub max_gap_ns: u64,
}

/// What all cameras have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Time between two frames taken by the workers of these cameras together.
    pub service_ns: u64,
    /// Frames whose ages are so many whole windows count as equally fresh.
    pub window_ns: u64,
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
        let frames: u64 = intervals_ns
            .into_iter()
            .map(|interval_ns| LONG_NS.checked_div(interval_ns).unwrap_or(0))
            .sum();
        let spacing_ns = LONG_NS.checked_div(frames).unwrap_or(0);
        Self {
            service_ns,
            window_ns: spacing_ns + spacing_ns / 4,
        }
    }

    /// A gap that `cameras` cameras of equal rights can keep: twice their fair share, less half a service
    /// for one that takes longer.
    ///
    /// A camera that just missed its chance has the next one after nearly that time: a shorter gap would
    /// be kept with stale frames.
    #[must_use]
    pub fn fair_gap_ns(&self, cameras: usize) -> u64 {
        self.service_ns
            .saturating_mul(2 * cameras as u64)
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

#[derive(Clone, Copy, Debug)]
struct Camera {
    share: Share,
    served_ns: u64,
}

impl Camera {
    const fn deadline_ns(&self) -> u64 {
        self.served_ns.saturating_add(self.share.max_gap_ns)
    }

    /// How much of its longest gap is over.
    #[allow(clippy::cast_precision_loss)] // A proportion.
    fn hunger(&self, now_ns: u64) -> f64 {
        now_ns.saturating_sub(self.served_ns) as f64 / self.share.max_gap_ns.max(1) as f64
    }
}

/// Decides which camera's frame a free worker takes. Allocates nothing; time is an argument.
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
    cameras: heapless::Vec<Camera, MAX_CAMERAS>,
    pace: Pace,
}

impl Scheduler {
    /// A scheduler of `shares.len()` cameras; `None` when there are more than [`MAX_CAMERAS`].
    #[must_use]
    pub fn new(shares: &[Share], pace: Pace, now_ns: u64) -> Option<Self> {
        let mut cameras = heapless::Vec::new();
        for &share in shares {
            cameras
                .push(Camera {
                    share,
                    served_ns: now_ns,
                })
                .ok()?;
        }
        Some(Self { cameras, pace })
    }

    /// The camera whose frame is next, of those whose bit is set in `pending`, or how long to wait for a
    /// better one; bits beyond the cameras are ignored, and `None` says that no other is set.
    #[must_use]
    pub fn next(&self, pending: u64, now_ns: u64, seen: impl Fn(usize) -> Seen) -> Option<Choice> {
        let first = self.first(pending, now_ns, &seen)?;
        Some(
            self.worth_waiting(first, pending, now_ns, &seen)
                .map_or(Choice::Take(first), Choice::WaitUntil),
        )
    }

    /// A worker has taken a frame of `camera`. Not called when its ring turned out to be empty.
    pub fn served(&mut self, camera: usize, now_ns: u64) {
        if let Some(camera) = self.cameras.get_mut(camera) {
            camera.served_ns = now_ns;
        }
    }

    /// The workers turned out to be faster or slower.
    pub fn set_service_ns(&mut self, service_ns: u64) {
        self.pace.service_ns = service_ns;
    }

    fn pending(&self, pending: u64) -> impl Iterator<Item = (usize, &Camera)> {
        self.cameras
            .iter()
            .enumerate()
            .filter(move |(index, _)| pending >> index & 1 == 1)
    }

    /// The first of the pending cameras.
    fn first(&self, pending: u64, now_ns: u64, seen: &impl Fn(usize) -> Seen) -> Option<usize> {
        if let Some(pressing) = self.pressing(pending, now_ns) {
            return Some(pressing);
        }
        let rank = |(index, camera): (usize, &Camera)| {
            let age_ns = now_ns.saturating_sub(seen(index).newest_ns);
            (
                camera.share.priority,
                Reverse(age_ns / self.pace.window_ns.max(1)),
                now_ns.saturating_sub(camera.served_ns),
                Reverse(index),
            )
        };
        self.pending(pending)
            .max_by_key(|&candidate| rank(candidate))
            .map(|(index, _)| index)
    }

    /// The camera of the earliest deadline, if serving another one now would miss a deadline: the k-th
    /// of the pending deadlines must leave time for k more services.
    fn pressing(&self, pending: u64, now_ns: u64) -> Option<usize> {
        let mut deadlines: heapless::Vec<(u64, usize), MAX_CAMERAS> = self
            .pending(pending)
            .map(|(index, camera)| (camera.deadline_ns(), index))
            .collect();
        deadlines.sort_unstable();
        let mut needed_ns = now_ns;
        let missed = deadlines.iter().any(|&(deadline_ns, _)| {
            needed_ns = needed_ns.saturating_add(self.pace.service_ns);
            deadline_ns < needed_ns
        });
        deadlines
            .first()
            .filter(|_| missed)
            .map(|&(_, index)| index)
    }

    /// Until when to wait instead of taking the frame of `first`.
    ///
    /// A wait costs results. It may be as long as what it wins is worth: half the time by which the frame at
    /// hand is too old, and one and a half services for a camera that is so much hungrier that its whole gap
    /// is over. It is no longer than a service, no camera of lower priority is waited for, and no other
    /// camera may miss its deadline by it.
    #[allow(clippy::cast_precision_loss)] // Times of some milliseconds.
    fn worth_waiting(
        &self,
        first: usize,
        pending: u64,
        now_ns: u64,
        seen: &impl Fn(usize) -> Seen,
    ) -> Option<u64> {
        let Pace {
            service_ns,
            window_ns,
        } = self.pace;
        let at_hand = self.cameras.get(first)?;
        let newest_ns = seen(first).newest_ns;
        if newest_ns == 0 {
            return None;
        }
        let too_old_ns = now_ns.saturating_sub(newest_ns).saturating_sub(window_ns) as f64;
        let win = |(index, camera): (usize, &Camera)| {
            let expected_ns = seen(index).expected_ns;
            let wait_ns = expected_ns.checked_sub(now_ns).filter(|&ns| ns > 0)?;
            if wait_ns > service_ns || camera.share.priority < at_hand.share.priority {
                return None;
            }
            let hungrier = (camera.hunger(now_ns) - at_hand.hunger(now_ns)).max(0.0);
            let win = too_old_ns / 2.0 + 1.5 * service_ns as f64 * hungrier - wait_ns as f64;
            if win <= 0.0 {
                return None;
            }
            let others = pending & !(1 << index);
            match self.pressing(others, expected_ns.saturating_add(service_ns)) {
                Some(_) => None,
                None => Some((win, expected_ns)),
            }
        };
        self.cameras
            .iter()
            .enumerate()
            .filter_map(win)
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, expected_ns)| expected_ns.saturating_add(self.pace.grace_ns()))
    }
}

#[cfg(test)]
mod tests;
