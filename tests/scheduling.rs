//! Cameras before workers that are too slow for them, in simulated time: the product's scheduler beside serving in turn,
//! which takes the frame of the camera that was served longest ago and never stands still.
//!
//! Both keep one frame of each camera, the newest. `cargo test --test scheduling -- --nocapture` prints the table.

use pinsight::infer::{Choice, Forecast, Scheduler, Seen, Share};
use pinsight::latency::{AgeOfInformation, Histogram};

const MS: u64 = 1_000_000;
const PERIOD: u64 = 33_333_333;
const SECOND: u64 = 1_000 * MS;
/// A frame is up to so much late.
const LATE: u64 = MS / 3;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    Scheduler,
    InTurn,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phases {
    Staggered,
    InStep,
    Random,
}

/// The same number for the same arguments, spread over all 64 bits.
fn mixed(one: u64, other: u64) -> u64 {
    let mixed = one.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ other.wrapping_add(1);
    let mixed = mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ mixed >> 29
}

/// One camera as it is set up.
#[derive(Clone, Debug)]
struct Setup {
    phase_ns: u64,
    interval_ns: u64,
    priority: u8,
    service_ns: u64,
    /// Its frames come from here to there.
    from_ns: u64,
    to_ns: u64,
}

#[derive(Clone, Debug)]
struct Case {
    cameras: Vec<Setup>,
    workers: usize,
    length_ns: u64,
}

impl Case {
    /// So many cameras of 30 frames a second, and an inference of `service_ns`.
    fn new(cameras: usize, service_ns: u64, phases: Phases) -> Self {
        let phase_ns = |camera: usize| match phases {
            Phases::Staggered => PERIOD * camera as u64 / cameras as u64,
            Phases::InStep => 0,
            Phases::Random => mixed(7, camera as u64) % PERIOD,
        };
        let setup = |camera| Setup {
            phase_ns: phase_ns(camera),
            interval_ns: PERIOD,
            priority: 0,
            service_ns,
            from_ns: 0,
            to_ns: u64::MAX,
        };
        let case = Self {
            cameras: (0..cameras).map(setup).collect(),
            workers: 1,
            length_ns: 0,
        };
        Self {
            length_ns: 4 * SECOND + 12 * case.turn_ns(),
            ..case
        }
    }

    /// Time from one result of a camera to its next when all are served alike.
    fn turn_ns(&self) -> u64 {
        let services_ns: u64 = self.cameras.iter().map(|setup| setup.service_ns).sum();
        (services_ns / self.workers as u64).max(PERIOD)
    }

    fn scheduler(&self) -> Scheduler {
        let share = |setup: &Setup| {
            Some(Share {
                priority: setup.priority,
                interval_ns: setup.interval_ns,
                least_gap_ns: 0,
            })
        };
        let shares: Vec<_> = self.cameras.iter().map(share).collect();
        let first_ns = self.cameras[0].service_ns;
        Scheduler::new(&shares, first_ns, self.workers).unwrap()
    }

    fn run(&self, policy: Policy) -> Run {
        let mut scheduler = self.scheduler();
        let mut cameras: Vec<Camera> = (0..).zip(&self.cameras).map(Camera::new).collect();
        let mut run = Run::new(cameras.len());
        // When each worker comes free.
        let mut free = vec![PERIOD; self.workers];
        loop {
            let worker = (0..self.workers)
                .min_by_key(|&worker| free[worker])
                .unwrap();
            let now = free[worker];
            if now >= self.length_ns {
                break;
            }
            for camera in &mut cameras {
                camera.advance(now);
            }
            let pending = (0..)
                .zip(&cameras)
                .filter(|(_, camera)| camera.is_pending());
            let choice = match policy {
                Policy::Scheduler => {
                    let bits = pending.fold(0, |bits, (index, _)| bits | 1 << index);
                    scheduler.next(bits, now, |index| cameras[index].seen())
                }
                Policy::InTurn => pending
                    .min_by_key(|(_, camera)| camera.served_ns)
                    .map(|(index, _)| Choice::Take(index)),
            };
            let arrival_ns = cameras.iter().map(|camera| camera.next_ns).min().unwrap();
            let index = match choice {
                Some(Choice::Take(index)) => index,
                Some(Choice::WaitUntil(until_ns)) => {
                    assert!(until_ns > now, "a wait comes to an end");
                    free[worker] = until_ns.min(arrival_ns);
                    continue;
                }
                None => {
                    free[worker] = arrival_ns;
                    continue;
                }
            };
            let camera = &mut cameras[index];
            // Two percent more or less.
            let service_ns = camera.setup.service_ns;
            let service_ns = service_ns * 98 / 100 + mixed(now, 3) % (service_ns / 25);
            let result_ns = now + service_ns;
            scheduler.learn(index, service_ns);
            run.result(index, camera, result_ns, self.length_ns);
            camera.taken_ns = camera.arrived_ns;
            camera.served_ns = now;
            free[worker] = result_ns;
        }
        run
    }
}

/// One camera in simulated time.
struct Camera {
    index: u64,
    setup: Setup,
    forecast: Forecast,
    number: u64,
    /// When its next frame comes.
    next_ns: u64,
    arrived_ns: u64,
    expected_ns: u64,
    taken_ns: u64,
    served_ns: u64,
    result_ns: u64,
}

impl Camera {
    fn new((index, setup): (u64, &Setup)) -> Self {
        let mut camera = Self {
            index,
            setup: setup.clone(),
            forecast: Forecast::new(setup.interval_ns),
            number: 0,
            next_ns: 0,
            arrived_ns: 0,
            expected_ns: 0,
            taken_ns: 0,
            served_ns: 0,
            result_ns: 0,
        };
        camera.plan(0);
        camera
    }

    fn plan(&mut self, number: u64) {
        let setup = &self.setup;
        self.number = number;
        let late_ns = mixed(number, self.index) % LATE;
        let at_ns = setup.from_ns + setup.phase_ns + number * setup.interval_ns + late_ns;
        self.next_ns = if at_ns < setup.to_ns { at_ns } else { u64::MAX };
    }

    fn advance(&mut self, now: u64) {
        while self.next_ns <= now {
            self.arrived_ns = self.next_ns;
            self.expected_ns = self.forecast.arrived(self.next_ns, self.next_ns);
            self.plan(self.number + 1);
        }
    }

    const fn is_pending(&self) -> bool {
        self.arrived_ns > self.taken_ns
    }

    const fn seen(&self) -> Seen {
        Seen {
            arrived_ns: self.arrived_ns,
            expected_ns: self.expected_ns,
            known_ns: self.taken_ns,
            served_ns: self.served_ns,
        }
    }
}

struct Run {
    /// Of all cameras together.
    aoi: AgeOfInformation,
    by_camera: Vec<AgeOfInformation>,
    /// Of the results when they come.
    age: Histogram,
    results: Vec<u64>,
    gaps_ns: Vec<u64>,
}

impl Run {
    fn new(cameras: usize) -> Self {
        Self {
            aoi: AgeOfInformation::new(),
            by_camera: vec![AgeOfInformation::new(); cameras],
            age: Histogram::new(),
            results: vec![0; cameras],
            gaps_ns: vec![0; cameras],
        }
    }

    /// Results of the first quarter do not count.
    fn result(&mut self, index: usize, camera: &mut Camera, result_ns: u64, length_ns: u64) {
        let last_ns = std::mem::replace(&mut camera.result_ns, result_ns);
        if last_ns < length_ns / 4 || result_ns < last_ns {
            return;
        }
        let (known_ns, arrived_ns) = (camera.taken_ns, camera.arrived_ns);
        if self.results[index] == 0 {
            // From its last result before on.
            let began = |aoi: &mut AgeOfInformation| aoi.learned(last_ns, known_ns, last_ns);
            began(&mut self.aoi);
            began(&mut self.by_camera[index]);
        }
        self.aoi.learned(known_ns, arrived_ns, result_ns);
        self.by_camera[index].learned(known_ns, arrived_ns, result_ns);
        self.age.record(result_ns - arrived_ns);
        self.results[index] += 1;
        self.gaps_ns[index] = self.gaps_ns[index].max(result_ns - last_ns);
    }

    fn total(&self) -> f64 {
        self.results.iter().sum::<u64>() as f64
    }

    fn longest_gap_ns(&self) -> u64 {
        self.gaps_ns.iter().copied().max().unwrap()
    }
}

/// 45 times of an inference, from two milliseconds to nearly two frame intervals.
fn services() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(2 * MS), |service| Some(service * 108 / 100))
        .take_while(|&service| service < 60 * MS)
}

/// Ratios of the scheduler's figures to serving in turn's, over all services.
#[derive(Clone, Copy, Debug, Default)]
struct Ratios {
    cases: f64,
    mean: f64,
    /// The least that the mean can be: each frame fresh when it is taken, turns as short as they can be.
    least_mean: f64,
    age: f64,
    results: f64,
    fewest_results: f64,
    worst_p99: f64,
    p99_above: f64,
    gaps_above: f64,
}

fn compare(cameras: usize, phases: Phases) -> Ratios {
    let mut sums = Ratios {
        fewest_results: 1.0,
        ..Ratios::default()
    };
    for service_ns in services() {
        let case = Case::new(cameras, service_ns, phases);
        let [ours, in_turn] = [Policy::Scheduler, Policy::InTurn].map(|policy| case.run(policy));
        let [our_aoi, aoi] = [&ours, &in_turn].map(|run| run.aoi.summary());
        let [our_age, age] = [&ours, &in_turn].map(|run| run.age.summary());
        let p99 = our_aoi.p99 as f64 / aoi.p99 as f64;
        let results = ours.total() / in_turn.total();
        let least_mean = case.turn_ns() as f64 / 2.0 + service_ns as f64;
        sums.cases += 1.0;
        sums.mean += our_aoi.mean / aoi.mean;
        sums.least_mean += (least_mean / aoi.mean).min(1.0);
        sums.age += our_age.p50 as f64 / age.p50 as f64;
        sums.results += results;
        sums.fewest_results = sums.fewest_results.min(results);
        sums.worst_p99 = sums.worst_p99.max(p99);
        sums.p99_above += f64::from(p99 > 1.02);
        // A result that took two percent longer comes after one that took two percent less.
        let bound_ns = case.turn_ns() + PERIOD + service_ns / 25;
        sums.gaps_above += f64::from(ours.longest_gap_ns() > bound_ns);
    }
    for sum in [
        &mut sums.mean,
        &mut sums.least_mean,
        &mut sums.age,
        &mut sums.results,
    ] {
        *sum /= sums.cases;
    }
    sums
}

/// Runs all services with 2 to 64 cameras, prints the table, and gives its rows.
fn table(phases: Phases) -> Vec<Ratios> {
    let rows: Vec<(usize, Ratios)> = [2, 4, 8, 16, 32, 64]
        .map(|cameras| (cameras, compare(cameras, phases)))
        .into();
    println!(
        "{phases:?}, to serving in turn: AoI mean (least), age P50, results (fewest), AoI P99 worst (above 1.02)"
    );
    for (cameras, row) in &rows {
        println!(
            "{cameras:3} cameras  {:.3} ({:.3})  {:.2}  {:.3} ({:.2})  {:.3} ({} of {})",
            row.mean,
            row.least_mean,
            row.age,
            row.results,
            row.fewest_results,
            row.worst_p99,
            row.p99_above,
            row.cases
        );
        assert_eq!(row.cases, 45.0);
        assert_eq!(
            row.gaps_above, 0.0,
            "{cameras} cameras: a gap of more than a turn and an interval"
        );
        assert!(row.results >= 0.95, "{cameras} cameras");
        assert!(row.worst_p99 <= 1.06, "{cameras} cameras");
        assert!(row.p99_above <= 2.0, "{cameras} cameras");
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

fn mean(rows: &[Ratios], of: impl Fn(&Ratios) -> f64) -> f64 {
    rows.iter().map(of).sum::<f64>() / rows.len() as f64
}

#[test]
fn staggered_cameras_are_known_sooner_than_by_serving_in_turn() {
    let rows = table(Phases::Staggered);
    assert!(mean(&rows, |row| row.mean) <= 0.94);
    assert!(mean(&rows, |row| row.age) <= 0.75);
}

#[test]
fn cameras_of_random_phases_are_known_sooner_than_by_serving_in_turn() {
    let rows = table(Phases::Random);
    assert!(mean(&rows, |row| row.mean) <= 0.95);
    assert!(mean(&rows, |row| row.age) <= 0.75);
}

#[test]
fn cameras_in_step_are_known_no_later_than_by_serving_in_turn() {
    let rows = table(Phases::InStep);
    assert!(mean(&rows, |row| row.mean) <= 0.985);
}

/// 8 cameras before the detector of 35 frames a second.
fn eight() -> Case {
    Case {
        length_ns: 30 * SECOND,
        ..Case::new(8, 28_570_000, Phases::Staggered)
    }
}

#[test]
fn a_camera_that_stops_or_comes_late_takes_nothing_from_the_others() {
    let mut case = eight();
    case.cameras[3].to_ns = 12 * SECOND;
    case.cameras[5].from_ns = 15 * SECOND;
    let run = case.run(Policy::Scheduler);
    assert!(
        run.results[3] > 0 && run.results[5] > 0,
        "{:?}",
        run.results
    );
    for camera in [0, 1, 2, 4, 6, 7] {
        assert!(
            run.gaps_ns[camera] <= case.turn_ns() + PERIOD + MS,
            "{:?}",
            run.gaps_ns
        );
    }
    // In most of the time they are seven.
    let all = eight().run(Policy::Scheduler);
    assert!(
        run.results[0] * 100 >= all.results[0] * 108,
        "{:?} {:?}",
        run.results,
        all.results
    );
}

#[test]
fn a_greater_priority_has_a_greater_share_and_starves_nobody() {
    let mut case = eight();
    case.cameras[3].priority = 2;
    let run = case.run(Policy::Scheduler);
    let others = (run.total() - run.results[3] as f64) / 7.0;
    let share = run.results[3] as f64 / others;
    assert!(
        (2.4..3.6).contains(&share),
        "three shares of ten: {:?}",
        run.results
    );
    let turn_ns = 10 * 28_570_000;
    for (camera, gap_ns) in run.gaps_ns.iter().enumerate() {
        let turn_ns = if camera == 3 { turn_ns / 3 } else { turn_ns };
        assert!(*gap_ns <= turn_ns + PERIOD + 2 * MS, "{:?}", run.gaps_ns);
    }
}

#[test]
fn a_camera_of_few_frames_has_each_of_them_inferred_soon() {
    let mut case = eight();
    case.cameras[6].interval_ns = SECOND;
    let run = case.run(Policy::Scheduler);
    assert!(
        run.gaps_ns[6] <= SECOND + 7 * 28_570_000,
        "{:?}",
        run.gaps_ns
    );
    let turn_ns = 7 * 28_570_000 * 103 / 100;
    assert!(run.gaps_ns[0] <= turn_ns + PERIOD, "{:?}", run.gaps_ns);
}

#[test]
fn cameras_that_take_longer_have_as_many_results_and_every_gap_holds() {
    let mut case = eight();
    for camera in [1, 4] {
        case.cameras[camera].service_ns = 80 * MS;
    }
    let run = case.run(Policy::Scheduler);
    let fewest = run.results.iter().min().unwrap();
    let most = run.results.iter().max().unwrap();
    assert!(most * 10 <= fewest * 12, "{:?}", run.results);
    assert!(
        run.longest_gap_ns() <= case.turn_ns() + PERIOD + 80 * MS,
        "{:?}",
        run.gaps_ns
    );
}

#[test]
fn several_workers_are_sooner_than_several_that_serve_in_turn() {
    for workers in [2, 4] {
        let case = Case { workers, ..eight() };
        let [ours, in_turn] = [Policy::Scheduler, Policy::InTurn].map(|policy| case.run(policy));
        let [our_aoi, aoi] = [&ours, &in_turn].map(|run| run.aoi.summary());
        println!(
            "{workers} workers: AoI mean {:.1} and {:.1} ms, P99 {:.1} and {:.1} ms",
            our_aoi.mean / 1e6,
            aoi.mean / 1e6,
            our_aoi.p99 as f64 / 1e6,
            aoi.p99 as f64 / 1e6
        );
        assert!(our_aoi.mean <= 0.9 * aoi.mean, "{workers} workers");
        assert!(our_aoi.p99 <= aoi.p99, "{workers} workers");
        assert!(
            ours.longest_gap_ns() <= case.turn_ns() + 2 * PERIOD,
            "{:?}",
            ours.gaps_ns
        );
    }
}
