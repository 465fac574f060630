//! Whose frame is next: pure, so that a laptop can simulate a board.
//!
//! A worker that comes free may take one frame, and every pending camera has its newest one ready. The
//! freshest frame gives the shortest delay from light to result, but alone it starves a camera whose
//! frames always come a little earlier than another's. So frames younger than a window count as equally
//! fresh, and the camera that waited longest goes first among them; and each camera has a deadline,
//! before which freshness decides only as long as every pending camera can still meet its own.

use crate::limits::MAX_CAMERAS;

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
    /// Frames younger than this count as equally fresh.
    pub window_ns: u64,
}

impl Pace {
    /// The pace of `cameras` cameras of one frame in `interval_ns` each: the window is one and a quarter
    /// times the mean spacing of their frames.
    ///
    /// Narrower, and a camera can miss every chance; wider, and every frame waits.
    #[must_use]
    pub fn new(cameras: usize, interval_ns: u64, service_ns: u64) -> Self {
        let spacing_ns = interval_ns / (cameras as u64).max(1);
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
}

/// Decides which camera's frame a free worker takes. Allocates nothing; time is an argument.
///
/// Order among pending cameras:
/// 1. the earliest deadline, if any deadline would be missed by serving another camera first;
/// 2. by priority;
/// 3. frames within the window, longest wait first; then the others, freshest first;
/// 4. longest wait first, then the lower number.
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

    /// The camera whose frame is next, of those whose bit is set in `pending`; bits beyond the cameras
    /// are ignored. `newest_ns` tells when a camera's newest frame was captured; 0 where that is not
    /// known.
    #[must_use]
    pub fn next(
        &self,
        pending: u64,
        now_ns: u64,
        newest_ns: impl Fn(usize) -> u64,
    ) -> Option<usize> {
        if let Some(pressing) = self.pressing(pending, now_ns) {
            return Some(pressing);
        }
        let rank = |(index, camera): (usize, &Camera)| {
            let age_ns = now_ns.saturating_sub(newest_ns(index));
            let waited_ns = now_ns.saturating_sub(camera.served_ns);
            let staleness_ns = if age_ns <= self.pace.window_ns {
                0
            } else {
                age_ns
            };
            (
                camera.share.priority,
                u64::MAX - staleness_ns,
                waited_ns,
                usize::MAX - index,
            )
        };
        self.pending(pending)
            .max_by_key(|&candidate| rank(candidate))
            .map(|(index, _)| index)
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NS_PER_US;

    const UNBOUNDED: Share = Share {
        priority: 0,
        max_gap_ns: u64::MAX,
    };
    const EAGER: Pace = Pace {
        service_ns: 1,
        window_ns: 0,
    };

    /// What a run gave, in nanoseconds.
    struct Run {
        /// Capture to result, sorted.
        latency: Vec<u64>,
        results: Vec<u64>,
        longest_gap: u64,
    }

    impl Run {
        fn percentile(&self, percent: usize) -> u64 {
            self.latency[(self.latency.len() - 1) * percent / 100]
        }
    }

    struct Case<'a> {
        shares: &'a [Share],
        pace: Pace,
        /// Whether capture stamps are known.
        stamps: bool,
        /// Whether all cameras are triggered at once, instead of evenly staggered.
        at_once: bool,
    }

    const PERIOD: u64 = 33_333 * NS_PER_US;
    const SERVICE: u64 = 28_570 * NS_PER_US;
    const MINUTE: u64 = 60_000_000 * NS_PER_US;

    /// One worker serves cameras that each keep only the newest frame, for a minute.
    fn simulate(case: &Case<'_>) -> Run {
        let count = case.shares.len();
        let mut scheduler = Scheduler::new(case.shares, case.pace, 0).unwrap();
        let offset = |camera: usize| {
            if case.at_once {
                0
            } else {
                PERIOD * camera as u64 / count as u64
            }
        };
        // The newest frame of `camera` at `now`, if any, as its number.
        let frame =
            |camera: usize, now: u64| now.checked_sub(offset(camera)).map(|since| since / PERIOD);
        let captured = |camera: usize, number: u64| offset(camera) + number * PERIOD;
        let mut claimed = vec![None; count];
        let mut last_result = vec![0; count];
        let mut run = Run {
            latency: vec![],
            results: vec![0; count],
            longest_gap: 0,
        };
        let mut now = 0;
        while now < MINUTE {
            let fresh = |camera: usize| {
                frame(camera, now).filter(|&n| claimed[camera].is_none_or(|c| n > c))
            };
            let pending = (0..count)
                .filter(|&c| fresh(c).is_some())
                .fold(0, |mask, c| mask | 1 << c);
            let newest = |c| {
                if case.stamps {
                    frame(c, now).map_or(0, |n| captured(c, n))
                } else {
                    0
                }
            };
            let Some(camera) = scheduler.next(pending, now, newest) else {
                now += 50 * NS_PER_US;
                continue;
            };
            let number = fresh(camera).expect("the scheduler chose a pending camera");
            claimed[camera] = Some(number);
            scheduler.served(camera, now);
            now += case.pace.service_ns;
            run.latency.push(now - captured(camera, number));
            run.results[camera] += 1;
            run.longest_gap = run.longest_gap.max(now - last_result[camera]);
            last_result[camera] = now;
        }
        run.latency.sort_unstable();
        run
    }

    fn fair(cameras: usize, pace: Pace) -> Vec<Share> {
        vec![
            Share {
                priority: 0,
                max_gap_ns: pace.fair_gap_ns(cameras)
            };
            cameras
        ]
    }

    #[test]
    fn nothing_pending_gives_nothing() {
        let scheduler = Scheduler::new(&[UNBOUNDED; 2], EAGER, 0).unwrap();
        assert_eq!(scheduler.next(0, 5, |_| 0), None);
        assert_eq!(
            scheduler.next(0b1100, 5, |_| 0),
            None,
            "bits beyond the cameras are not cameras"
        );
    }

    #[test]
    fn without_stamps_it_is_round_robin() {
        for share in [
            UNBOUNDED,
            Share {
                priority: 0,
                max_gap_ns: 0,
            },
        ] {
            let mut scheduler = Scheduler::new(&[share; 3], EAGER, 0).unwrap();
            let mut order = vec![];
            for now in 1..=6 {
                let camera = scheduler.next(0b111, now, |_| 0).unwrap();
                scheduler.served(camera, now);
                order.push(camera);
            }
            assert_eq!(order, [0, 1, 2, 0, 1, 2]);
        }
    }

    #[test]
    fn the_freshest_frame_goes_first_and_frames_in_the_window_by_their_wait() {
        let newest = |camera: usize| [70, 90, 80][camera];
        let mut scheduler = Scheduler::new(
            &[UNBOUNDED; 3],
            Pace {
                window_ns: 5,
                ..EAGER
            },
            0,
        )
        .unwrap();
        scheduler.served(1, 50);
        assert_eq!(scheduler.next(0b111, 100, newest), Some(1));
        assert_eq!(scheduler.next(0b101, 100, newest), Some(2));
        assert_eq!(
            scheduler.next(0b111, 84, newest),
            Some(2),
            "the wait decides between 1 and 2"
        );
    }

    #[test]
    fn a_pressing_deadline_goes_before_a_fresher_frame_and_a_greater_priority() {
        let share = |priority| Share {
            priority,
            max_gap_ns: 50,
        };
        let pace = Pace {
            service_ns: 10,
            window_ns: 0,
        };
        let mut scheduler = Scheduler::new(&[share(0), share(9)], pace, 0).unwrap();
        scheduler.served(1, 20);
        assert_eq!(
            scheduler.next(0b11, 40, |camera| camera as u64),
            Some(1),
            "40 + 10 meets the deadline of 50"
        );
        assert_eq!(
            scheduler.next(0b11, 41, |camera| camera as u64),
            Some(0),
            "41 + 10 does not"
        );
    }

    #[test]
    fn a_camera_whose_frames_are_never_the_freshest_is_served_within_twice_its_fair_share() {
        // The service time is the frame interval: the same cameras would be the freshest for ever.
        let pace = Pace::new(8, PERIOD, PERIOD);
        let greedy = simulate(&Case {
            shares: &[UNBOUNDED; 8],
            pace,
            stamps: true,
            at_once: false,
        });
        assert!(
            greedy.results.contains(&0),
            "the case starves a camera that has no deadline"
        );
        let bound = simulate(&Case {
            shares: &fair(8, pace),
            pace,
            stamps: true,
            at_once: false,
        });
        assert!(bound.longest_gap <= 2 * 8 * PERIOD, "{}", bound.longest_gap);
    }

    #[test]
    fn freshest_first_beats_round_robin_and_keeps_every_gap() {
        for cameras in [2, 3, 8, 16, 64] {
            for at_once in [false, true] {
                let pace = Pace::new(cameras, PERIOD, SERVICE);
                let shares = &fair(cameras, pace);
                let fresh = simulate(&Case {
                    shares,
                    pace,
                    stamps: true,
                    at_once,
                });
                let robin = simulate(&Case {
                    shares,
                    pace,
                    stamps: false,
                    at_once,
                });
                let case = format!("{cameras} cameras, at once: {at_once}");
                assert!(
                    fresh.longest_gap <= 2 * cameras as u64 * SERVICE + PERIOD,
                    "{case}: {}",
                    fresh.longest_gap
                );
                assert!(fresh.results.iter().all(|&results| results > 0), "{case}");
                assert!(fresh.percentile(50) <= robin.percentile(50), "{case}");
                if !at_once {
                    assert!(fresh.percentile(50) <= SERVICE + pace.window_ns, "{case}");
                }
            }
        }
    }

    #[test]
    fn eight_staggered_cameras_stay_within_one_and_a_half_frame_spacings_of_the_service_time() {
        let pace = Pace::new(8, PERIOD, SERVICE);
        let run = simulate(&Case {
            shares: &fair(8, pace),
            pace,
            stamps: true,
            at_once: false,
        });
        assert!(
            run.percentile(99) <= SERVICE + PERIOD * 3 / 16,
            "{}",
            run.percentile(99)
        );
        let robin = simulate(&Case {
            shares: &fair(8, pace),
            pace,
            stamps: false,
            at_once: false,
        });
        assert!(
            robin.percentile(99) > SERVICE + PERIOD * 3 / 4,
            "round-robin does not: {}",
            robin.percentile(99)
        );
    }

    #[test]
    fn a_greater_priority_is_served_more_often_and_starves_nobody() {
        let pace = Pace::new(8, PERIOD, SERVICE);
        let mut shares = fair(8, pace);
        shares[3].priority = 1;
        let run = simulate(&Case {
            shares: &shares,
            pace,
            stamps: true,
            at_once: false,
        });
        assert!(
            (0..8).all(|camera| run.results[camera] > 0),
            "{:?}",
            run.results
        );
        assert!(
            (0..8).all(|camera| camera == 3 || run.results[3] > run.results[camera]),
            "{:?}",
            run.results
        );
        assert!(
            run.longest_gap <= 2 * 8 * SERVICE + PERIOD,
            "{}",
            run.longest_gap
        );
    }

    #[test]
    fn more_than_sixty_four_cameras_are_refused() {
        assert!(Scheduler::new(&[UNBOUNDED; 64], EAGER, 0).is_some());
        assert!(Scheduler::new(&[UNBOUNDED; 65], EAGER, 0).is_none());
    }
}
