//! One run of one design: cameras and consumer on their cores, and what they count.

use super::camera::Cameras;
use super::design::Design;
use super::ends::{Captured, Sink, Source, is_whole};
use super::report::{Measured, PLOTTED_NS, POINTS, Row};
use super::service::Service;
use super::settings::Settings;
use crate::error::BenchError;
use crate::harness::machine::{Cores, pin};
use crate::harness::meter::{Meter, Spent};
use crate::harness::usage::sleep_until;
use pinsight::latency::{AgeOfInformation, Histogram};
use pinsight::sys::clock::now_ns;
use pinsight::units::{NS_PER_MS, NS_PER_S};

/// What a camera's thread counts of the frames that were due in the measured time.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    lost_in_source: u64,
    evicted: u64,
}

/// What the consumer's thread counts in the measured time.
#[derive(Debug)]
struct Processed {
    latency: Histogram,
    service: Histogram,
    aoi: Aoi,
    last_result_ns: Vec<u64>,
    longest_gap_ns: u64,
    results: Vec<u64>,
    damaged: u64,
}

/// The age of information of all cameras in the measured time, and that of the first one as it rises and falls.
#[derive(Debug)]
struct Aoi {
    window: Window,
    has_begun: bool,
    /// When each camera's newest processed frame was due.
    known_ns: Vec<u64>,
    ages: AgeOfInformation,
    /// Time in the window and age, both in nanoseconds.
    first_camera: Vec<(u64, u64)>,
}

impl Aoi {
    fn new(window: Window, start_ns: u64, cameras: usize) -> Self {
        Self {
            window,
            has_begun: false,
            known_ns: vec![start_ns; cameras],
            ages: AgeOfInformation::new(),
            first_camera: Vec::with_capacity(POINTS),
        }
    }

    /// The measured time begins with what was known by then.
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let begin_ns = self.window.begin_ns;
            for &known_ns in &self.known_ns {
                self.ages.learned(begin_ns, known_ns, begin_ns);
            }
        }
    }

    fn result(&mut self, camera: usize, due_ns: u64, result_ns: u64) {
        let begin_ns = self.window.begin_ns;
        let known_ns = self.known_ns[camera];
        if due_ns <= known_ns || result_ns >= self.window.end_ns {
            return;
        }
        if result_ns >= begin_ns {
            self.begin();
            self.ages.learned(known_ns, due_ns, result_ns);
            let at_ns = result_ns - begin_ns;
            if camera == 0 && at_ns < PLOTTED_NS && self.first_camera.len() + 2 <= POINTS {
                self.first_camera.push((at_ns, result_ns - known_ns));
                self.first_camera.push((at_ns, result_ns - due_ns));
            }
        }
        self.known_ns[camera] = due_ns;
    }

    fn end(&mut self) {
        self.begin();
        for &known_ns in &self.known_ns {
            self.ages.ended(known_ns, self.window.end_ns);
        }
    }
}

/// The run of one design: when it is measured.
#[derive(Clone, Copy, Debug)]
struct Window {
    begin_ns: u64,
    end_ns: u64,
}

impl Window {
    fn contains(self, at_ns: u64) -> bool {
        (self.begin_ns..self.end_ns).contains(&at_ns)
    }
}

/// Runs cameras and consumer on their cores, and counts.
pub(super) fn drive<S: Source, K: Sink + Send>(
    settings: &Settings,
    cores: &Cores,
    design: Design,
    sources: Vec<S>,
    sink: K,
) -> Result<Measured, BenchError> {
    let start_ns = now_ns() + 20 * NS_PER_MS;
    let begin_ns = start_ns + settings.warm_up_ns(design);
    let window = Window {
        begin_ns,
        end_ns: begin_ns + settings.seconds * NS_PER_S,
    };
    let cameras = Cameras {
        start_ns,
        interval_ns: settings.interval_ns,
        cameras: settings.cameras,
        phases: settings.phases,
    };
    let meter = Meter::new();
    let refused = |_| BenchError::Machine("no thread to be had".into());
    std::thread::scope(|scope| {
        let mut producers = Vec::new();
        for (camera, mut source) in sources.into_iter().enumerate() {
            let core = cores.producer(camera);
            let thread = std::thread::Builder::new().name(format!("camera-{camera}"));
            let run = move || {
                pin(core)?;
                let (mut lost_in_source, mut evicted) = (0, 0);
                let miss = |due_ns| lost_in_source += u64::from(window.contains(due_ns));
                cameras.run(camera, window.end_ns, miss, |due_ns| {
                    match source.capture(due_ns) {
                        Captured::Sent => {}
                        Captured::Evicted => evicted += u64::from(window.contains(due_ns)),
                        Captured::NobodyThere => return false,
                    }
                    true
                });
                Ok::<_, BenchError>(Losses {
                    lost_in_source,
                    evicted,
                })
            };
            producers.push(thread.spawn_scoped(scope, run).map_err(refused)?);
        }
        let core = cores.consumer();
        let thread = std::thread::Builder::new().name("consumer".into());
        let run = move || {
            pin(core)?;
            let mut service = Service::new(settings)?;
            Ok::<_, BenchError>(consume(settings, (start_ns, window), sink, &mut service))
        };
        let consumer = thread.spawn_scoped(scope, run).map_err(refused)?;

        sleep_until(window.begin_ns);
        let before = meter.read();
        sleep_until(window.end_ns);
        let spent = meter.read().since(before);

        let died = |_| BenchError::Machine("a thread of the experiment died".into());
        let processed = consumer.join().map_err(died)??;
        let mut losses = Losses::default();
        for producer in producers {
            let of_one = producer.join().map_err(died)??;
            losses.lost_in_source += of_one.lost_in_source;
            losses.evicted += of_one.evicted;
        }
        let due = cameras.due_between(window.begin_ns, window.end_ns);
        Ok(figures(settings, design, processed, spent, due, losses))
    })
}

/// Processes frames until the window ends.
fn consume(
    settings: &Settings,
    (start_ns, window): (u64, Window),
    mut sink: impl Sink,
    service: &mut Service,
) -> Processed {
    let mut processed = Processed {
        latency: Histogram::new(),
        service: Histogram::new(),
        aoi: Aoi::new(window, start_ns, settings.cameras),
        last_result_ns: vec![window.begin_ns; settings.cameras],
        longest_gap_ns: 0,
        results: vec![0; settings.cameras],
        damaged: 0,
    };
    while now_ns() < window.end_ns {
        sink.next(window.end_ns, &mut |camera, due_ns, payload| {
            processed.damaged += u64::from(!is_whole(payload, due_ns));
            let begun_ns = now_ns();
            service.serve();
            let result_ns = now_ns();
            processed.aoi.result(camera, due_ns, result_ns);
            if window.contains(result_ns) {
                processed.service.record(result_ns - begun_ns);
                processed.latency.record(result_ns.saturating_sub(due_ns));
                let gap_ns = result_ns - processed.last_result_ns[camera];
                processed.longest_gap_ns = processed.longest_gap_ns.max(gap_ns);
                processed.last_result_ns[camera] = result_ns;
                processed.results[camera] += 1;
            }
        });
    }
    processed.aoi.end();
    // A camera that was served no more has waited until the end.
    for last_ns in &processed.last_result_ns {
        processed.longest_gap_ns = processed.longest_gap_ns.max(window.end_ns - last_ns);
    }
    processed
}

fn figures(
    settings: &Settings,
    design: Design,
    processed: Processed,
    spent: Spent,
    due: u64,
    losses: Losses,
) -> Measured {
    let summary = processed.latency.summary();
    let service = processed.service.summary();
    let aoi = processed.aoi.ages.summary();
    let row = Row {
        design: design.name(),
        aoi_p50_ns: aoi.p50,
        aoi_p99_ns: aoi.p99,
        aoi_mean_ns: aoi.mean,
        p50_ns: summary.p50,
        p99_ns: summary.p99,
        p999_ns: summary.p999,
        max_ns: summary.max,
        service_p50_ns: service.p50,
        service_p99_ns: service.p99,
        memory: String::new(),
        allocations_per_s: spent.heap.map(|heap| spent.per_s(heap.calls)),
        bytes_per_s: spent.heap.map(|heap| spent.per_s(heap.bytes)),
        switches_per_s: spent.per_s(spent.switches.all()),
        results: summary.count,
        longest_gap_ns: processed.longest_gap_ns,
        limit_ns: settings.limit_ns(),
        fair_gap_ns: settings.fair_gap_ns(),
        cameras_served: processed
            .results
            .iter()
            .filter(|&&results| results > 0)
            .count(),
        due,
        lost_in_source: losses.lost_in_source,
        evicted: losses.evicted,
        damaged: processed.damaged,
    };
    Measured {
        row,
        first_camera: processed.aoi.first_camera,
    }
}
