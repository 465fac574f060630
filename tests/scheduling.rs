//! 8 to 64 cameras before one worker that is much too slow for them: freshest first with a bound on every gap,
//! beside round-robin and first-in-first-out, in simulated time.
//!
//! Every camera delivers 30 frames a second for a minute, evenly staggered, with jitter of its own; an inference
//! takes 28.57 ms. Freshest-first and round-robin keep one frame of each camera, the newest; first-in-first-out
//! keeps four, and judges the oldest of all. `cargo test --test scheduling -- --nocapture` prints the table.

use pinsight::infer::{Pace, Scheduler, Share};

const MS: u64 = 1_000_000;
const PERIOD: u64 = 33_333_333;
const SERVICE: u64 = 28_570_000;
const MINUTE: u64 = 60_000 * MS;
/// Frames of one camera that wait in first-in-first-out.
const DEPTH: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    Freshest,
    RoundRobin,
    Fifo,
}

/// When frame `number` of `camera` is captured: evenly staggered, up to 2 ms late.
fn captured(camera: usize, cameras: usize, number: u64) -> u64 {
    let mixed = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (camera as u64 + 1))
        .wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let jitter = (mixed >> 40) % (2 * MS);
    PERIOD * camera as u64 / cameras as u64 + number * PERIOD + jitter
}

/// The newest frame of a camera at `now`.
fn newest(camera: usize, cameras: usize, now: u64) -> Option<u64> {
    let about = now.checked_sub(captured(camera, cameras, 0))? / PERIOD + 1;
    (about.saturating_sub(2)..=about)
        .rev()
        .find(|&number| captured(camera, cameras, number) <= now)
}

struct Run {
    /// Capture to result, sorted.
    latency: Vec<u64>,
    results: Vec<u64>,
    longest_gap: u64,
}

impl Run {
    fn ms(&self, percent: usize) -> f64 {
        self.latency[(self.latency.len() - 1) * percent / 100] as f64 / 1e6
    }

    /// Jain's index of the cameras' results: 1 when all have as many, 1/n when one has all.
    fn fairness(&self) -> f64 {
        let sum: f64 = self.results.iter().map(|&n| n as f64).sum();
        let squares: f64 = self.results.iter().map(|&n| (n as f64).powi(2)).sum();
        sum * sum / (self.results.len() as f64 * squares)
    }
}

fn simulate(policy: Policy, cameras: usize) -> Run {
    let pace = Pace::new(cameras, PERIOD, SERVICE);
    let share = Share {
        priority: 0,
        max_gap_ns: pace.fair_gap_ns(cameras),
    };
    let mut scheduler = Scheduler::new(&vec![share; cameras], pace, 0).unwrap();
    // The next frame of each camera that was not judged or passed over.
    let mut next = vec![0; cameras];
    let mut last = vec![0; cameras];
    let mut turn = 0;
    let mut run = Run {
        latency: vec![],
        results: vec![0; cameras],
        longest_gap: 0,
    };
    let mut now = 0;
    while now < MINUTE {
        let fresh = |camera: usize| newest(camera, cameras, now).filter(|&n| n >= next[camera]);
        let waiting: Vec<usize> = (0..cameras)
            .filter(|&camera| fresh(camera).is_some())
            .collect();
        let chosen = match policy {
            Policy::Freshest => {
                let mask = waiting.iter().fold(0, |mask, camera| mask | 1 << camera);
                let stamp = |camera| {
                    newest(camera, cameras, now).map_or(0, |n| captured(camera, cameras, n))
                };
                let camera = scheduler.next(mask, now, stamp);
                camera.map(|camera| (camera, fresh(camera).unwrap()))
            }
            Policy::RoundRobin => {
                let camera = waiting
                    .iter()
                    .copied()
                    .min_by_key(|camera| (camera + cameras - turn) % cameras);
                camera.map(|camera| (camera, fresh(camera).unwrap()))
            }
            Policy::Fifo => {
                let oldest = |camera: usize| {
                    next[camera].max((fresh(camera).unwrap() + 1).saturating_sub(DEPTH))
                };
                let frames = waiting.iter().map(|&camera| (camera, oldest(camera)));
                frames.min_by_key(|&(camera, number)| captured(camera, cameras, number))
            }
        };
        let Some((camera, number)) = chosen else {
            now += MS / 20;
            continue;
        };
        next[camera] = number + 1;
        turn = (camera + 1) % cameras;
        scheduler.served(camera, now);
        now += SERVICE;
        run.latency.push(now - captured(camera, cameras, number));
        run.results[camera] += 1;
        run.longest_gap = run.longest_gap.max(now - last[camera]);
        last[camera] = now;
    }
    run.latency.sort_unstable();
    run
}

#[test]
fn freshest_first_is_sooner_than_round_robin_and_fifo_and_nearly_as_fair() {
    println!("cameras  policy        P50 ms  P99 ms  longest gap ms  fairness");
    let mut compared = 0;
    for cameras in [8, 16, 32, 64] {
        let runs = [Policy::Freshest, Policy::RoundRobin, Policy::Fifo].map(|policy| {
            let run = simulate(policy, cameras);
            println!(
                "{cameras:7}  {:<12} {:7.1} {:7.1} {:15.0} {:9.3}",
                format!("{policy:?}"),
                run.ms(50),
                run.ms(99),
                run.longest_gap as f64 / 1e6,
                run.fairness()
            );
            run
        });
        let [fresh, robin, fifo] = &runs;
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
