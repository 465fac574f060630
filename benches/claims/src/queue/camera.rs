//! Cameras whose frames are due at fixed times, whatever the program does.

use crate::harness::usage::sleep_until;
use pinsight::sys::clock::now_ns;

/// When cameras of one interval have their frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Phases {
    /// Evenly over the interval.
    #[default]
    Staggered,
    /// All at once.
    InStep,
    /// At phases that are the same in each run and follow no order.
    Random,
}

impl Phases {
    /// Its name, as an argument gives it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Staggered => "staggered",
            Self::InStep => "in step",
            Self::Random => "at random phases",
        }
    }
}

/// Cameras of one interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cameras {
    pub(crate) start_ns: u64,
    pub(crate) interval_ns: u64,
    pub(crate) cameras: usize,
    pub(crate) phases: Phases,
}

impl Cameras {
    fn offset_ns(self, camera: usize) -> u64 {
        match self.phases {
            Phases::Staggered => self.interval_ns * camera as u64 / self.cameras as u64,
            Phases::InStep => 0,
            // Any fixed number spreads them; this one is that of splitmix64.
            Phases::Random => {
                (camera as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) % self.interval_ns
            }
        }
    }

    /// When frame `number` of `camera` is due.
    fn due_ns(self, camera: usize, number: u64) -> u64 {
        self.start_ns + self.offset_ns(camera) + number * self.interval_ns
    }

    /// The first frame of `camera` that is due at or after `now_ns`.
    fn first_due(self, camera: usize, now_ns: u64) -> u64 {
        now_ns
            .saturating_sub(self.due_ns(camera, 0))
            .div_ceil(self.interval_ns)
    }

    /// Frames of all cameras that are due in `from_ns..to_ns`.
    pub(crate) fn due_between(self, from_ns: u64, to_ns: u64) -> u64 {
        (0..self.cameras)
            .map(|camera| self.first_due(camera, to_ns) - self.first_due(camera, from_ns))
            .sum()
    }

    /// Calls `capture` at each due time of `camera` until `end_ns`, or until it says `false`. A frame
    /// that was due while `capture` was busy is not captured: `miss` is called with its due time. Each frame
    /// that is due before `end_ns` is captured or missed.
    pub(crate) fn run(
        self,
        camera: usize,
        end_ns: u64,
        mut miss: impl FnMut(u64),
        mut capture: impl FnMut(u64) -> bool,
    ) {
        let end = self.first_due(camera, end_ns);
        let (mut next, mut goes_on) = (0, true);
        while next < end {
            let now = self.first_due(camera, now_ns()).max(next);
            let number = if goes_on { now.min(end) } else { end };
            (next..number).for_each(|number| miss(self.due_ns(camera, number)));
            if number < end {
                let due_ns = self.due_ns(camera, number);
                sleep_until(due_ns);
                goes_on = capture(due_ns);
            }
            next = number + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_are_staggered_evenly() {
        let cameras = Cameras {
            start_ns: 1_000,
            interval_ns: 800,
            cameras: 4,
            phases: Phases::Staggered,
        };
        let first: Vec<_> = (0..4).map(|camera| cameras.due_ns(camera, 0)).collect();
        assert_eq!(first, [1_000, 1_200, 1_400, 1_600]);
        assert_eq!(cameras.due_ns(3, 2), 3_200);
        assert_eq!(cameras.due_between(1_000, 1_000 + 3 * 800), 12);
        assert_eq!(
            (cameras.first_due(1, 1_200), cameras.first_due(1, 1_201)),
            (0, 1)
        );
    }

    #[test]
    fn a_busy_capture_misses_what_was_due_meanwhile() {
        let interval_ns = 2_000_000;
        // The second capture is busy for some frames, or beyond the end, or finds nobody there.
        for (busy, stays) in [(5, true), (40, true), (0, false)] {
            let cameras = Cameras {
                start_ns: now_ns(),
                interval_ns,
                cameras: 1,
                phases: Phases::Staggered,
            };
            let end_ns = cameras.due_ns(0, 20);
            let mut captured = Vec::new();
            let mut missed = Vec::new();
            let miss = |due_ns| missed.push(due_ns);
            cameras.run(0, end_ns, miss, |due_ns| {
                captured.push(due_ns);
                let second = captured.len() == 2;
                if second {
                    sleep_until(due_ns + busy * interval_ns + 1);
                }
                stays || !second
            });
            assert!(missed.len() >= 5);
            let mut all: Vec<_> = captured.iter().chain(&missed).copied().collect();
            all.sort_unstable();
            let due: Vec<_> = (0..20).map(|number| cameras.due_ns(0, number)).collect();
            assert_eq!(all, due, "each is captured or missed, once");
        }
    }
}
