//! `bench queue`: what happens to a frame's age between cameras that are faster than the model and the
//! model.
//!
//! Every design gets the same cameras, the same consumer and the same cores; only the way between them
//! differs. A frame is due when its camera's clock says so, whatever the program does; its latency runs
//! from that moment to the end of its inference. A camera whose thread is blocked when a frame is due
//! never captures it: that frame is lost in the source.

mod baseline;
mod camera;
mod lane;
mod service;

use super::machine::{Cores, pin};
use super::meter::{Meter, Spent};
use super::report::{BenchError, Plot, Report, Table, milliseconds, ms, ratio, short};
use crate::latency::Histogram;
use crate::sys::clock::now_ns;
use crate::sys::usage::sleep_until;
use crate::units::{NS_PER_MS, NS_PER_S};
use camera::Cameras;
use serde::Serialize;
use service::Service;
use std::fmt;
use std::path::PathBuf;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Cameras, 1 to 64.
    pub cameras: usize,
    /// Time between two frames of one camera.
    pub interval_ns: u64,
    /// Bytes of one frame.
    pub frame_bytes: usize,
    /// Time that the consumer needs for one frame: it sleeps so long where no model is named.
    pub service_ns: u64,
    /// A model that the consumer runs for each frame instead. `service_ns` is then measured.
    pub model: Option<PathBuf>,
    /// Measured time of each design; its warm-up comes before.
    pub seconds: u64,
    /// The designs, in order.
    pub designs: Vec<Design>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cameras: 8,
            interval_ns: NS_PER_S / 30,
            frame_bytes: 1920 * 1080 * 3 / 2,
            service_ns: 28_570_000,
            model: None,
            seconds: 10,
            designs: Design::ALL.to_vec(),
        }
    }
}

impl Settings {
    /// The consumer's time, and the mean time between two frames of any camera.
    fn limit_ns(&self) -> u64 {
        self.service_ns + self.interval_ns / self.cameras as u64
    }

    /// Time from one result of a camera to its next when all are served alike: the consumer's time for
    /// each of them, or their interval when the consumer is faster.
    fn fair_gap_ns(&self) -> u64 {
        (self.cameras as u64 * self.service_ns).max(self.interval_ns)
    }

    /// Long enough for the longest queue to fill and for its first frames to leave again.
    fn warm_up_ns(&self, design: Design) -> u64 {
        let waiting = (design.capacity() + self.cameras + 2) as u64;
        NS_PER_S / 2 + waiting * self.service_ns
    }
}

/// A way from the cameras to the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Design {
    /// An unbuffered channel; each frame is allocated anew.
    Rendezvous,
    /// A bounded channel of 1; each frame is allocated anew.
    Bounded1,
    /// A bounded channel of 8; each frame is allocated anew.
    Bounded8,
    /// A bounded channel of 64; each frame is allocated anew.
    Bounded64,
    /// crossbeam's `ArrayQueue::force_push`, depth 1 for each camera, recycled frames, round-robin.
    ArrayQueue,
    /// Our lanes and doorbell, but the cameras served in turn: what the scheduler adds.
    RingRoundRobin,
    /// Our lanes, doorbell and scheduler.
    Ring,
}

impl Design {
    /// Every design, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Rendezvous,
        Self::Bounded1,
        Self::Bounded8,
        Self::Bounded64,
        Self::ArrayQueue,
        Self::RingRoundRobin,
        Self::Ring,
    ];

    /// Its name in the table and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rendezvous => "rendezvous",
            Self::Bounded1 => "bounded-1",
            Self::Bounded8 => "bounded-8",
            Self::Bounded64 => "bounded-64",
            Self::ArrayQueue => "array-queue",
            Self::RingRoundRobin => "ring-in-turn",
            Self::Ring => "ring",
        }
    }

    /// The design of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|design| design.name() == name)
    }

    /// Frames that wait in a queue that all cameras share.
    const fn capacity(self) -> usize {
        match self {
            Self::Rendezvous | Self::ArrayQueue | Self::RingRoundRobin | Self::Ring => 0,
            Self::Bounded1 => 1,
            Self::Bounded8 => 8,
            Self::Bounded64 => 64,
        }
    }
}

/// The figures of one design.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The design's name.
    pub design: &'static str,
    /// Capture to result, median.
    pub p50_ns: u64,
    /// Capture to result, 99th percentile.
    pub p99_ns: u64,
    /// Capture to result, 99.9th percentile.
    pub p999_ns: u64,
    /// Capture to result, longest.
    pub max_ns: u64,
    /// What the frames were written to.
    pub memory: String,
    /// Calls of the heap a second, whole process; `None` where they are not counted.
    pub allocations_per_s: Option<f64>,
    /// Bytes asked of the heap a second, whole process.
    pub bytes_per_s: Option<f64>,
    /// Context switches a second of both kinds, whole process.
    pub switches_per_s: f64,
    /// What the consumer needed for a frame beside this design, median.
    pub service_p50_ns: u64,
    /// The same, 99th percentile: no result's P99 can be below it.
    pub service_p99_ns: u64,
    /// Results in the measured time.
    pub results: u64,
    /// Longest time without a result of one camera, of all cameras the worst.
    pub longest_gap_ns: u64,
    /// The least that P99 can be: the consumer's time and one frame spacing.
    pub limit_ns: u64,
    /// Time from one result of a camera to its next when all are served alike.
    pub fair_gap_ns: u64,
    /// Cameras with at least one result.
    pub cameras_served: usize,
    /// Frames that were due in the measured time.
    pub due: u64,
    /// Of these, never captured: the camera's thread was blocked.
    pub lost_in_source: u64,
    /// Of these, captured and pushed out by a newer one.
    pub evicted: u64,
    /// Frames whose payload was not the one that was captured.
    pub damaged: u64,
}

/// What a capture did.
enum Captured {
    /// The frame is on its way.
    Sent,
    /// One frame of the camera was pushed out by it, or found no memory.
    Evicted,
    /// The consumer is gone.
    NobodyThere,
}

/// One camera's end: called when a frame is due.
trait Source: Send {
    /// Captures the frame that was due at `due_ns`.
    fn capture(&mut self, due_ns: u64) -> Captured;
}

/// The consumer's end.
trait Sink {
    /// Waits for a frame until `until_ns`, and calls `judge` with camera, due time and payload while it
    /// holds the frame. `false`: nothing came in that time.
    fn next(&mut self, until_ns: u64, judge: &mut dyn FnMut(usize, u64, &[u8])) -> bool;
}

/// What a camera's thread counts of the frames that were due in the measured time.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    lost_in_source: u64,
    evicted: u64,
}

/// What the consumer's thread counts in the measured time.
#[derive(Debug)]
struct Judged {
    latency: Histogram,
    service: Histogram,
    last_result_ns: Vec<u64>,
    longest_gap_ns: u64,
    results: Vec<u64>,
    damaged: u64,
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

/// Writes the whole frame, as a driver's DMA or a capture copy does, and stamps it with its due time.
fn expose(payload: &mut [u8], due_ns: u64) {
    payload.fill(due_ns.to_le_bytes()[2]);
    payload[..8].copy_from_slice(&due_ns.to_le_bytes());
}

/// Whether `payload` is, at both ends, the frame that was exposed at `due_ns`.
fn is_whole(payload: &[u8], due_ns: u64) -> bool {
    payload.starts_with(&due_ns.to_le_bytes()) && payload.last() == Some(&due_ns.to_le_bytes()[2])
}

/// Measures the designs one after the other.
///
/// # Errors
/// A setting that cannot be measured, or a machine that refuses threads or cores.
pub fn run(settings: &Settings, mut progress: impl FnMut(&str)) -> Result<Report, BenchError> {
    if !(1..=crate::limits::MAX_CAMERAS).contains(&settings.cameras) {
        return Err(BenchError::Setting(format!(
            "{} cameras, expected 1 to 64",
            settings.cameras
        )));
    }
    if settings.frame_bytes < 16 || settings.seconds == 0 || settings.interval_ns < NS_PER_MS {
        return Err(BenchError::Setting(
            "frames have at least 16 bytes, cameras at most 1000 frames a second, and the measured \
             time is at least 1 s"
                .into(),
        ));
    }
    let measured = match &settings.model {
        None => settings.service_ns,
        Some(path) => service::alone_ns(path)?,
    };
    let settings = &Settings {
        service_ns: measured,
        ..settings.clone()
    };
    let cores = Cores::allowed()?;
    let mut measured = Vec::new();
    for &design in &settings.designs {
        let seconds = settings.seconds + settings.warm_up_ns(design) / NS_PER_S;
        progress(&format!("{}: {seconds} s", design.name()));
        measured.push(measure(settings, &cores, design)?);
    }
    Ok(report(settings, &cores, &measured))
}

/// One design's figures and its latencies.
type Measured = (Row, Histogram);

fn measure(settings: &Settings, cores: &Cores, design: Design) -> Result<Measured, BenchError> {
    let (measured, memory) = match design {
        Design::Rendezvous | Design::Bounded1 | Design::Bounded8 | Design::Bounded64 => {
            let (sources, sink) =
                baseline::channel(design.capacity(), settings.cameras, settings.frame_bytes);
            let measured = drive(settings, cores, design, sources, sink);
            (measured, "the heap, each frame anew".to_owned())
        }
        Design::ArrayQueue => {
            let (sources, sink) = baseline::array_queue(settings.cameras, settings.frame_bytes);
            let measured = drive(settings, cores, design, sources, sink);
            (measured, "the heap, frames go round".to_owned())
        }
        Design::RingRoundRobin | Design::Ring => {
            let (sources, lanes, memory) = lane::lanes(settings.cameras, settings.frame_bytes)?;
            let turn = match design {
                Design::Ring => lane::Turn::Freshest,
                _ => lane::Turn::RoundRobin,
            };
            let sink = lanes.consumer(settings.interval_ns, settings.service_ns, turn)?;
            let measured = drive(settings, cores, design, sources, sink);
            (measured, memory)
        }
    };
    let (mut row, latency) = measured?;
    row.memory = memory;
    Ok((row, latency))
}

/// Runs cameras and consumer on their cores, and counts.
fn drive<S: Source, K: Sink + Send>(
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
            Ok::<_, BenchError>(consume(settings, window, sink, &mut service))
        };
        let consumer = thread.spawn_scoped(scope, run).map_err(refused)?;

        sleep_until(window.begin_ns);
        let before = meter.read();
        sleep_until(window.end_ns);
        let spent = meter.read().since(before);

        let died = |_| BenchError::Machine("a thread of the experiment died".into());
        let judged = consumer.join().map_err(died)??;
        let mut losses = Losses::default();
        for producer in producers {
            let of_one = producer.join().map_err(died)??;
            losses.lost_in_source += of_one.lost_in_source;
            losses.evicted += of_one.evicted;
        }
        let due = cameras.due_between(window.begin_ns, window.end_ns);
        Ok(figures(settings, design, judged, spent, due, losses))
    })
}

/// Judges frames until the window ends.
fn consume(
    settings: &Settings,
    window: Window,
    mut sink: impl Sink,
    service: &mut Service,
) -> Judged {
    let mut judged = Judged {
        latency: Histogram::new(),
        service: Histogram::new(),
        last_result_ns: vec![window.begin_ns; settings.cameras],
        longest_gap_ns: 0,
        results: vec![0; settings.cameras],
        damaged: 0,
    };
    while now_ns() < window.end_ns {
        sink.next(window.end_ns, &mut |camera, due_ns, payload| {
            judged.damaged += u64::from(!is_whole(payload, due_ns));
            let begun_ns = now_ns();
            service.serve();
            let result_ns = now_ns();
            if window.contains(result_ns) {
                judged.service.record(result_ns - begun_ns);
                judged.latency.record(result_ns.saturating_sub(due_ns));
                let gap_ns = result_ns - judged.last_result_ns[camera];
                judged.longest_gap_ns = judged.longest_gap_ns.max(gap_ns);
                judged.last_result_ns[camera] = result_ns;
                judged.results[camera] += 1;
            }
        });
    }
    // A camera that was served no more has waited until the end.
    for last_ns in &judged.last_result_ns {
        judged.longest_gap_ns = judged.longest_gap_ns.max(window.end_ns - last_ns);
    }
    judged
}

fn figures(
    settings: &Settings,
    design: Design,
    judged: Judged,
    spent: Spent,
    due: u64,
    losses: Losses,
) -> Measured {
    let summary = judged.latency.summary();
    let service = judged.service.summary();
    let row = Row {
        design: design.name(),
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
        longest_gap_ns: judged.longest_gap_ns,
        limit_ns: settings.limit_ns(),
        fair_gap_ns: settings.fair_gap_ns(),
        cameras_served: judged
            .results
            .iter()
            .filter(|&&results| results > 0)
            .count(),
        due,
        lost_in_source: losses.lost_in_source,
        evicted: losses.evicted,
        damaged: judged.damaged,
    };
    (row, judged.latency)
}

fn report(settings: &Settings, cores: &Cores, measured: &[Measured]) -> Report {
    let base_ns = measured.first().map_or(0, |(row, _)| row.p99_ns);
    let base = measured.first().map_or("", |(row, _)| row.design);
    let optional = |value: Option<f64>| value.map_or_else(|| "-".into(), short);
    let rows = measured.iter().map(|(row, _)| {
        vec![
            row.design.into(),
            ms(row.p50_ns),
            ms(row.p99_ns),
            ms(row.p999_ns),
            ms(row.max_ns),
            ratio(milliseconds(row.p99_ns), milliseconds(base_ns)),
            format!("{} {}", ms(row.service_p50_ns), ms(row.service_p99_ns)),
            row.results.to_string(),
            ms(row.longest_gap_ns),
            format!("{}/{}", row.cameras_served, settings.cameras),
            row.lost_in_source.to_string(),
            row.evicted.to_string(),
            optional(row.allocations_per_s),
            optional(row.bytes_per_s),
            short(row.switches_per_s),
        ]
    });
    let mut notes = vec![
        format!(
            "times in ms from when the frame was due to the end of its inference; ratio of P99 to {base}'s"
        ),
        "service: what the consumer needed for a frame beside this design; no P99 can be below its P99"
            .into(),
        format!(
            "limit: service + one frame spacing = {} ms; a fair share is one result of each camera in {} ms",
            ms(settings.limit_ns()),
            ms(settings.fair_gap_ns())
        ),
    ];
    notes.extend(
        measured
            .iter()
            .map(|(row, _)| format!("{}: frames in {}", row.design, row.memory)),
    );
    notes.extend(Meter::remark());
    Report {
        bench: "queue",
        question: format!(
            "{} cameras into a consumer of {} ms: how old is a result?",
            settings.cameras,
            ms(settings.service_ns)
        ),
        conditions: vec![
            (
                "cameras",
                format!(
                    "{} staggered, one frame of {} bytes each {} ms, every byte written",
                    settings.cameras,
                    settings.frame_bytes,
                    ms(settings.interval_ns)
                ),
            ),
            (
                "consumer",
                match &settings.model {
                    None => format!("sleeps {} ms for each frame", ms(settings.service_ns)),
                    Some(path) => format!(
                        "runs {} for each frame, {} ms alone",
                        path.display(),
                        ms(settings.service_ns)
                    ),
                },
            ),
            ("cores", cores.describe()),
            (
                "measured",
                format!("{} s of each design, after its warm-up", settings.seconds),
            ),
        ],
        tables: vec![Table {
            title: String::new(),
            columns: vec![
                "design",
                "P50",
                "P99",
                "P99.9",
                "max",
                "ratio",
                "service P50 P99",
                "results",
                "longest gap",
                "served",
                "lost",
                "evicted",
                "allocs/s",
                "bytes/s",
                "switches/s",
            ],
            rows: rows.collect(),
        }],
        notes,
        rows: serde_json::to_value(measured.iter().map(|(row, _)| row).collect::<Vec<_>>())
            .unwrap_or_default(),
        plot: Plot::Lines {
            x_axis: "share of results, %".into(),
            y_axis: "capture to result, ms".into(),
            logarithmic: true,
            series: measured
                .iter()
                .map(|(row, latency)| {
                    let point = |percent: u32| {
                        let ns = latency.quantile_ns(f64::from(percent) / 100.0);
                        (f64::from(percent), milliseconds(ns))
                    };
                    (row.design.to_owned(), (0..=100).map(point).collect())
                })
                .collect(),
        },
    }
}

impl fmt::Display for Design {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(design: Design) -> Row {
        let settings = Settings {
            cameras: 3,
            interval_ns: 6 * NS_PER_MS,
            frame_bytes: 4096,
            service_ns: 4 * NS_PER_MS,
            model: None,
            seconds: 1,
            designs: vec![design],
        };
        let (row, latency) = measure(&settings, &Cores::allowed().unwrap(), design).unwrap();
        assert_eq!(latency.count(), row.results);
        row
    }

    #[test]
    fn every_design_serves_whole_frames_and_accounts_for_the_rest_and_those_with_turns_serve_every_camera()
     {
        for design in Design::ALL {
            // Whose frame a full channel takes next is the scheduler's whim: one camera may have it for long.
            let of_a_queue_of_its_own = design.capacity() == 0 && design != Design::Rendezvous;
            let least = if of_a_queue_of_its_own { 3 } else { 1 };
            // A machine that is held up for the whole second serves nobody: it then has some attempts.
            let rows = (0..20).map(|_| small(design));
            let mut rows = rows.skip_while(|row| row.cameras_served < least);
            let row = rows.next().expect("every camera is served");
            assert_eq!(row.damaged, 0, "{design}");
            assert!(row.cameras_served <= 3, "{design}: {row:?}");
            assert!(row.results > 0 && row.p50_ns >= 4 * NS_PER_MS, "{design}");
            // Frames that were on their way when the window began or ended.
            let on_their_way = (design.capacity() + 2 * 3 + 2) as u64;
            let ended = row.results + row.lost_in_source + row.evicted;
            assert!(row.due.abs_diff(ended) <= on_their_way, "{design}: {row:?}");
        }
    }

    #[test]
    fn settings_that_cannot_be_measured_are_refused() {
        for settings in [
            Settings {
                cameras: 0,
                ..Settings::default()
            },
            Settings {
                cameras: 65,
                ..Settings::default()
            },
            Settings {
                seconds: 0,
                ..Settings::default()
            },
            Settings {
                frame_bytes: 8,
                ..Settings::default()
            },
        ] {
            assert!(matches!(
                run(&settings, |_| ()),
                Err(BenchError::Setting(_))
            ));
        }
    }

    #[test]
    fn every_design_is_found_by_its_name() {
        for design in Design::ALL {
            assert_eq!(Design::from_name(design.name()), Some(design));
        }
        assert_eq!(Design::from_name("nothing"), None);
    }
}
