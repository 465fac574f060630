//! Cameras before one worker that is too slow for them, in simulated time: freshest first with a bound on every
//! gap, beside round-robin and first-in-first-out.
//!
//! Freshest-first and round-robin keep one frame of each camera, the newest; first-in-first-out keeps four, and
//! judges the oldest of all. `cargo test --test scheduling -- --nocapture` prints the tables.

use pinsight::infer::{Choice, Pace, Scheduler, Seen, Share};

const MS: u64 = 1_000_000;
const PERIOD: u64 = 33_333_333;
const SERVICE: u64 = 28_570_000;
const SECOND: u64 = 1_000 * MS;
/// Frames of one camera that wait in first-in-first-out.
const DEPTH: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    /// The product's scheduler.
    Freshest,
    /// The product's scheduler, which does not know when frames come, and so waits for none.
    NeverWaiting,
    RoundRobin,
    Fifo,
}

#[derive(Clone)]
struct Case {
    policy: Policy,
    cameras: usize,
    service_ns: u64,
    /// Whether all cameras are triggered at once, and stamped one after the other, instead of evenly staggered.
    at_once: bool,
    /// How late a frame may be.
    jitter_ns: u64,
    priorities: Vec<u8>,
    bounded: bool,
    workers: usize,
    length_ns: u64,
}

impl Case {
    /// 30 frames a second of each camera, evenly staggered, up to 2 ms late.
    fn new(policy: Policy, cameras: usize, service_ns: u64) -> Self {
        Self {
            policy,
            cameras,
            service_ns,
            at_once: false,
            jitter_ns: 2 * MS,
            priorities: vec![0; cameras],
            bounded: true,
            workers: 1,
            length_ns: 60 * SECOND,
        }
    }

    fn captured(&self, camera: usize, number: u64) -> u64 {
        let mixed = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (camera as u64 + 1))
            .wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let jitter = (mixed >> 40) % self.jitter_ns.max(1);
        let phase = if self.at_once {
            MS / 10 * camera as u64
        } else {
            PERIOD * camera as u64 / self.cameras as u64
        };
        phase + number * PERIOD + jitter
    }

    /// The newest frame of a camera at `now`.
    fn newest(&self, camera: usize, now: u64) -> Option<u64> {
        let about = now.checked_sub(self.captured(camera, 0))? / PERIOD + 1;
        (about.saturating_sub(2)..=about)
            .rev()
            .find(|&number| self.captured(camera, number) <= now)
    }

    /// When the next frame of any camera comes.
    fn next_arrival(&self, now: u64) -> u64 {
        (0..self.cameras)
            .map(|camera| {
                let next = self.newest(camera, now).map_or(0, |number| number + 1);
                self.captured(camera, next)
            })
            .min()
            .unwrap()
    }

    fn seen(&self, camera: usize, now: u64, served_ns: u64) -> Seen {
        let newest_ns = self
            .newest(camera, now)
            .map_or(0, |number| self.captured(camera, number));
        Seen {
            newest_ns,
            expected_ns: if self.policy == Policy::Freshest {
                newest_ns + PERIOD
            } else {
                0
            },
            served_ns,
        }
    }

    fn scheduler(&self) -> Scheduler {
        let pace = Pace::new(
            vec![PERIOD; self.cameras],
            self.service_ns / self.workers as u64,
        );
        let share = |&priority: &u8| Share {
            priority,
            least_gap_ns: if self.bounded { PERIOD } else { u64::MAX },
        };
        let shares: Vec<_> = self.priorities.iter().map(share).collect();
        Scheduler::new(&shares, pace).unwrap()
    }

    /// Time from one result of a camera to its next when all are served alike.
    fn fair_ns(&self) -> u64 {
        (self.cameras as u64 * self.service_ns / self.workers as u64).max(PERIOD)
    }

    fn spacing_ns(&self) -> u64 {
        PERIOD / self.cameras as u64
    }

    fn run(&self) -> Run {
        let cameras = self.cameras;
        let scheduler = self.scheduler();
        // The next frame of each camera that was not judged or passed over.
        let mut next = vec![0; cameras];
        let mut served = vec![0; cameras];
        let mut last = vec![0; cameras];
        let mut turn = 0;
        let mut run = Run {
            latency: vec![],
            results: vec![0; cameras],
            longest_gap: 0,
        };
        // When each worker comes free.
        let mut free = vec![0; self.workers];
        loop {
            let worker = (0..self.workers)
                .min_by_key(|&worker| free[worker])
                .unwrap();
            let now = free[worker];
            if now >= self.length_ns {
                break;
            }
            let fresh = |camera: usize| self.newest(camera, now).filter(|&n| n >= next[camera]);
            let waiting: Vec<usize> = (0..cameras)
                .filter(|&camera| fresh(camera).is_some())
                .collect();
            let newest = |camera: usize| (camera, fresh(camera).unwrap());
            let chosen = match self.policy {
                Policy::Freshest | Policy::NeverWaiting => {
                    let mask = waiting.iter().fold(0, |mask, camera| mask | 1 << camera);
                    let seen = |camera| self.seen(camera, now, served[camera]);
                    match scheduler.next(mask, now, seen) {
                        Some(Choice::Take(camera)) => Some(newest(camera)),
                        Some(Choice::WaitUntil(until)) => {
                            assert!(until > now, "a wait comes to an end");
                            free[worker] = until.min(self.next_arrival(now));
                            continue;
                        }
                        None => None,
                    }
                }
                Policy::RoundRobin => waiting
                    .iter()
                    .copied()
                    .min_by_key(|camera| (camera + cameras - turn) % cameras)
                    .map(newest),
                Policy::Fifo => {
                    let oldest = |camera: usize| {
                        next[camera].max((fresh(camera).unwrap() + 1).saturating_sub(DEPTH))
                    };
                    let frames = waiting.iter().map(|&camera| (camera, oldest(camera)));
                    frames.min_by_key(|&(camera, number)| self.captured(camera, number))
                }
            };
            let Some((camera, number)) = chosen else {
                free[worker] = self.next_arrival(now);
                continue;
            };
            next[camera] = number + 1;
            turn = (camera + 1) % cameras;
            served[camera] = now;
            let done = now + self.service_ns;
            free[worker] = done;
            run.latency.push(done - self.captured(camera, number));
            run.results[camera] += 1;
            run.longest_gap = run.longest_gap.max(done.saturating_sub(last[camera]));
            last[camera] = last[camera].max(done);
        }
        run.latency.sort_unstable();
        run
    }
}

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

    fn ms(&self, percent: usize) -> f64 {
        self.percentile(percent) as f64 / 1e6
    }

    /// Jain's index of the cameras' results: 1 when all have as many, 1/n when one has all.
    fn fairness(&self) -> f64 {
        let sum: f64 = self.results.iter().map(|&n| n as f64).sum();
        let squares: f64 = self.results.iter().map(|&n| (n as f64).powi(2)).sum();
        sum * sum / (self.results.len() as f64 * squares)
    }
}

#[test]
fn freshest_first_is_sooner_than_round_robin_and_fifo_and_nearly_as_fair() {
    println!("cameras  policy        P50 ms  P99 ms  results  longest gap ms  fairness");
    let mut compared = 0;
    for cameras in [8, 16, 32, 64] {
        let policies = [
            Policy::Freshest,
            Policy::NeverWaiting,
            Policy::RoundRobin,
            Policy::Fifo,
        ];
        let runs = policies.map(|policy| {
            let run = Case::new(policy, cameras, SERVICE).run();
            println!(
                "{cameras:7}  {:<12} {:7.1} {:7.1} {:8} {:15.0} {:9.3}",
                format!("{policy:?}"),
                run.ms(50),
                run.ms(99),
                run.latency.len(),
                run.longest_gap as f64 / 1e6,
                run.fairness()
            );
            run
        });
        let [fresh, _, robin, fifo] = &runs;
        let service = SERVICE as f64 / 1e6;
        assert!(
            fresh.ms(50) <= 0.8 * robin.ms(50),
            "{cameras}: P50 beside round-robin"
        );
        assert!(
            fresh.ms(50) <= 0.4 * fifo.ms(50),
            "{cameras}: P50 beside FIFO"
        );
        assert!(
            fresh.ms(99) <= fifo.ms(99) / 2.0,
            "{cameras}: P99 beside FIFO"
        );
        // What waits for nothing but its turn: the best there can be is the service alone.
        assert!(
            fresh.ms(50) <= service + 10.0,
            "{cameras}: {}",
            fresh.ms(50)
        );
        assert!(fresh.fairness() >= 0.9, "{cameras}: {}", fresh.fairness());
        assert!(
            fresh.longest_gap <= 2 * cameras as u64 * SERVICE + PERIOD,
            "{cameras}: no camera waits for more than twice its fair turn"
        );
        compared += 1;
    }
    assert_eq!(compared, 4);
}

/// Times of an inference from two milliseconds to nearly two frame intervals.
fn services() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(2 * MS), |service| Some(service * 108 / 100))
        .take_while(|&service| service < 60 * MS)
}

#[test]
fn for_nearly_every_time_of_an_inference_results_are_young_every_gap_is_kept_and_waiting_costs_few_results()
 {
    for cameras in [2, 8, 16] {
        let (mut over, mut over_without, mut cases) = (0, 0, 0);
        let (mut results, mut results_without) = (0, 0);
        for service_ns in services() {
            let case = |policy| Case {
                jitter_ns: MS / 3,
                length_ns: 20 * SECOND,
                ..Case::new(policy, cameras, service_ns)
            };
            let waiting = case(Policy::Freshest);
            let bound_ns = service_ns + waiting.spacing_ns() * 3 / 2;
            let (with, without) = (waiting.run(), case(Policy::NeverWaiting).run());
            over += usize::from(with.percentile(99) > bound_ns);
            over_without += usize::from(without.percentile(99) > bound_ns);
            results += with.latency.len();
            results_without += without.latency.len();
            cases += 1;
            assert!(
                with.longest_gap <= 2 * waiting.fair_ns() + PERIOD,
                "{cameras} cameras, {service_ns} ns: {}",
                with.longest_gap
            );
            assert!(
                with.latency.len() * 100 >= without.latency.len() * 75,
                "{cameras} cameras, {service_ns} ns: {} results instead of {}",
                with.latency.len(),
                without.latency.len()
            );
        }
        println!(
            "{cameras} cameras: P99 over its bound at {over} of {cases} times of an inference, {over_without} \
             without waiting; {results} results, {results_without} without waiting"
        );
        assert!(cases > 40);
        assert!(over <= 2, "{cameras} cameras: {over} of {cases}");
        assert!(over < over_without, "{cameras} cameras: {over_without}");
        assert!(
            results * 100 >= results_without * 94,
            "{cameras} cameras: {results} of {results_without}"
        );
    }
}

#[test]
fn a_camera_whose_frames_are_never_the_freshest_is_served_within_twice_its_fair_share() {
    // The service time is the frame interval: the same cameras would be the freshest for ever.
    let case = |bounded| Case {
        bounded,
        jitter_ns: 0,
        ..Case::new(Policy::NeverWaiting, 8, PERIOD)
    };
    let greedy = case(false).run();
    assert!(
        greedy.results.contains(&0),
        "the case starves a camera that has no deadline"
    );
    let bound = case(true).run();
    assert!(bound.longest_gap <= 2 * 8 * PERIOD, "{}", bound.longest_gap);
}

#[test]
fn freshest_first_beats_round_robin_and_keeps_every_gap_with_cameras_triggered_at_once_too() {
    for (cameras, service_ns) in [2, 3, 8, 16, 64]
        .map(|cameras| (cameras, SERVICE))
        .into_iter()
        .chain([(4, 10 * MS), (8, 10 * MS)])
    {
        for at_once in [false, true] {
            let case = |policy| Case {
                at_once,
                jitter_ns: 0,
                length_ns: 30 * SECOND,
                ..Case::new(policy, cameras, service_ns)
            };
            let (fresh, robin) = (case(Policy::Freshest).run(), case(Policy::RoundRobin).run());
            let name = format!("{cameras} cameras, {service_ns} ns, at once: {at_once}");
            assert!(
                fresh.longest_gap <= 2 * case(Policy::Freshest).fair_ns() + PERIOD,
                "{name}: {}",
                fresh.longest_gap
            );
            assert!(fresh.results.iter().all(|&results| results > 0), "{name}");
            assert!(fresh.percentile(50) <= robin.percentile(50), "{name}");
            assert!(fresh.fairness() >= 0.9, "{name}: {:?}", fresh.results);
        }
    }
}

#[test]
fn a_greater_priority_is_served_more_often_and_starves_nobody() {
    let mut case = Case::new(Policy::Freshest, 8, SERVICE);
    case.priorities[3] = 1;
    let run = case.run();
    assert!(run.results.iter().all(|&n| n > 0), "{:?}", run.results);
    assert!(
        (0..8).all(|camera| camera == 3 || run.results[3] > run.results[camera]),
        "{:?}",
        run.results
    );
    assert!(
        run.longest_gap <= 2 * case.fair_ns() + PERIOD,
        "{}",
        run.longest_gap
    );
}

#[test]
fn several_workers_serve_the_freshest_as_one_fast_one_would() {
    for workers in [2, 4] {
        let case = |policy| Case {
            workers,
            length_ns: 30 * SECOND,
            ..Case::new(policy, 8, SERVICE)
        };
        // As workers that share a bell do, none waits for a frame to come.
        let fresh = case(Policy::NeverWaiting).run();
        let robin = case(Policy::RoundRobin).run();
        assert!(
            fresh.ms(50) <= robin.ms(50) - 5.0,
            "{workers} workers: {} and {} ms",
            fresh.ms(50),
            robin.ms(50)
        );
        assert!(
            fresh.longest_gap <= 2 * case(Policy::NeverWaiting).fair_ns() + SERVICE + PERIOD,
            "{workers} workers: {}",
            fresh.longest_gap
        );
        assert!(
            fresh.fairness() >= 0.9,
            "{workers} workers: {:?}",
            fresh.results
        );
    }
}
