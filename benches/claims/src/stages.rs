//! `pinsight-bench stages`: three stages in a row, pinned and left to the scheduler, through channels and lanes,
//! and the time that each spends blocked.
//!
//! A source gives a frame at fixed times. Each stage does a fixed amount of work on memory of its own and
//! hands on: through a bounded channel of one, which blocks when the next stage is slow, or through a
//! lane of one, where the next stage finds the newest. Latency runs from when the frame was due.

use crate::error::BenchError;
use crate::harness::machine::{Cores, pin};
use crate::harness::memory::{NEWEST, lane_of, slots_of};
use crate::harness::usage::sleep_until;
use crate::report::figures::{milliseconds, ms, ratio};
use crate::report::{Bar, Plot, Report, Table};
use clap::Args;
use pinsight::frame::{FrameMeta, SlotTable};
use pinsight::latency::Histogram;
use pinsight::ring::{Doorbell, LaneProducer, LaneTap, Waiting, Woken};
use pinsight::sys::clock::now_ns;
use pinsight::sys::thread::ThreadUsage;
use pinsight::units::{NS_PER_MS, NS_PER_S, NS_PER_US};
use serde::Serialize;
use std::hint::black_box;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Stages in a row.
const STAGES: usize = 3;
/// Bytes that each stage works on.
const WORK_BYTES: usize = 1 << 18;

/// What is measured.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Frames a second
    #[arg(long, default_value_t = Settings::default().fps)]
    fps: u32,
    /// Microseconds of work for a frame in each of the three stages
    #[arg(long, value_name = "A,B,C", num_args = 1, value_parser = three, default_value = "2000,5000,10000")]
    work_us: [u64; STAGES],
    /// Measured seconds of each design
    #[arg(long, default_value_t = Settings::default().seconds)]
    seconds: u32,
}

fn three(list: &str) -> Result<[u64; STAGES], String> {
    let numbers: Vec<u64> = list
        .split(',')
        .map(|number| {
            number
                .trim()
                .parse()
                .map_err(|error| format!("{number}: {error}"))
        })
        .collect::<Result<_, _>>()?;
    let bounded = numbers.iter().all(|&number| number <= 1_000_000);
    numbers
        .try_into()
        .ok()
        .filter(|_| bounded)
        .ok_or_else(|| "expected three numbers of microseconds, each at most a million".to_owned())
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fps: 60,
            work_us: [2_000, 5_000, 10_000],
            seconds: 5,
        }
    }
}

/// The figures of one design.
#[derive(Clone, Debug, Serialize)]
struct Row {
    /// `channel` or `lane`.
    design: &'static str,
    /// Whether each stage had a core of its own, as far as there are cores.
    pinned: bool,
    /// Due to result, median.
    p50_ns: u64,
    /// Due to result, 99th percentile.
    p99_ns: u64,
    /// Due to result, longest.
    max_ns: u64,
    /// Frames that came out at the end.
    results: u64,
    /// Share of its time that each stage waited for a frame.
    waited_for_input: [f64; STAGES],
    /// Share of its time that each stage waited to hand on.
    waited_for_output: [f64; STAGES],
    /// Times that a stage went on on another core.
    migrations: u64,
    /// Times that a stage was taken off its core.
    involuntary_switches: u64,
}

/// Measures both designs, unpinned and pinned.
///
/// # Errors
/// A setting that cannot be measured, or a machine that refuses threads or cores.
pub(crate) fn run(
    settings: &Settings,
    mut progress: impl FnMut(&str),
) -> Result<Report, BenchError> {
    if settings.fps == 0 || settings.fps > 1_000 || settings.seconds == 0 {
        return Err(BenchError::Setting(
            "expected 1 to 1000 frames a second, and at least 1 s".into(),
        ));
    }
    let cores = Cores::allowed()?;
    let passes = settings
        .work_us
        .map(|work_us| passes_for(work_us * NS_PER_US));
    let mut rows = Vec::new();
    for pinned in [false, true] {
        let place = if pinned { "pinned" } else { "unpinned" };
        progress(&format!("channel, {place}"));
        let placed = pinned.then_some(&cores);
        rows.push(measure("channel", settings, placed, passes, channels())?);
        progress(&format!("lane, {place}"));
        let bells = std::array::from_fn(|_| Doorbell::new());
        rows.push(measure("lane", settings, placed, passes, lanes(&bells)?)?);
    }
    Ok(report(settings, &cores, &rows, alone_ns(passes)))
}

/// One stage's work: reads and writes its memory so many times.
fn work(memory: &mut [u64], passes: u64) {
    for pass in 0..passes {
        for word in memory.iter_mut() {
            *word = word.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(pass);
        }
    }
    black_box(memory);
}

fn memory() -> Vec<u64> {
    vec![1; WORK_BYTES / size_of::<u64>()]
}

/// Passes that take this long here and now: the fastest of several tries.
fn passes_for(time_ns: u64) -> u64 {
    const PASSES: u64 = 20;
    let mut memory = memory();
    let mut fastest_ns = u64::MAX;
    for _ in 0..20 {
        let begun_ns = now_ns();
        work(&mut memory, PASSES);
        fastest_ns = fastest_ns.min(now_ns() - begun_ns);
    }
    (time_ns * PASSES / fastest_ns.max(1)).max(1)
}

/// What the three stages' work takes one after the other, on one core, with nothing between: the fastest
/// of several tries.
fn alone_ns(passes: [u64; STAGES]) -> u64 {
    let mut memory = memory();
    let tries = (0..20).map(|_| {
        let begun_ns = now_ns();
        for passes in passes {
            work(&mut memory, passes);
        }
        now_ns() - begun_ns
    });
    tries.min().unwrap_or(0)
}

/// A stage's way in and out. A frame is the time at which it was due.
trait Ends: Send {
    /// Waits for the next frame. `None`: no more will come.
    fn receive(&mut self) -> Option<u64>;
    /// Hands on. The next stage may be gone.
    fn send(&mut self, due_ns: u64);
}

/// The source's way out, and each stage's ends.
type Stages<S, E> = (S, [E; STAGES]);

struct Channel {
    from: Receiver<u64>,
    to: Option<SyncSender<u64>>,
}

impl Ends for Channel {
    fn receive(&mut self) -> Option<u64> {
        self.from.recv().ok()
    }

    fn send(&mut self, due_ns: u64) {
        if let Some(to) = &self.to {
            let _ = to.send(due_ns);
        }
    }
}

fn channels() -> Stages<impl FnMut(u64) + Send, Channel> {
    let (source, first) = sync_channel(1);
    let (to_second, second) = sync_channel(1);
    let (to_third, third) = sync_channel(1);
    let stages = [
        Channel {
            from: first,
            to: Some(to_second),
        },
        Channel {
            from: second,
            to: Some(to_third),
        },
        Channel {
            from: third,
            to: None,
        },
    ];
    let source = move |due_ns| {
        // A full channel blocks the source.
        let _ = source.send(due_ns);
    };
    (source, stages)
}

struct Out<'bells> {
    producer: LaneProducer,
    bell: &'bells Doorbell,
}

impl Out<'_> {
    fn send(&mut self, due_ns: u64) {
        if let Some(slot) = self.producer.take_free() {
            let meta = FrameMeta {
                capture_ns: due_ns,
                ..FrameMeta::default()
            };
            if let Ok(filled) = self.producer.fill(slot, &meta) {
                self.producer.publish(filled);
                self.bell.ring(1);
            }
        }
    }
}

/// The next stage learns that no more will come.
impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.bell.close();
    }
}

struct Lanes<'bells> {
    from: LaneTap,
    bell: &'bells Doorbell,
    to: Option<Out<'bells>>,
}

impl Ends for Lanes<'_> {
    fn receive(&mut self) -> Option<u64> {
        loop {
            self.bell.take();
            if let Ok(Some(lease)) = self.from.claim_newest(|_| ()) {
                return Some(lease.header().capture_ns);
            }
            if self.bell.wait(Waiting::Park, u64::MAX, now_ns) == Woken::Closed
                && !self.from.is_waiting()
            {
                return None;
            }
        }
    }

    fn send(&mut self, due_ns: u64) {
        if let Some(to) = &mut self.to {
            to.send(due_ns);
        }
    }
}

fn lanes(
    bells: &[Doorbell; STAGES],
) -> Result<Stages<impl FnMut(u64) + Send + '_, Lanes<'_>>, BenchError> {
    let make = |stage: usize| {
        let (producer, from) = lane_of(stage, SlotTable::on_heap(slots_of(NEWEST), 64), NEWEST)?;
        Ok((
            Out {
                producer,
                bell: &bells[stage],
            },
            from,
        ))
    };
    let (mut source, first) = make(0)?;
    let (to_second, second) = make(1)?;
    let (to_third, third) = make(2)?;
    let stages = [
        Lanes {
            from: first,
            bell: &bells[0],
            to: Some(to_second),
        },
        Lanes {
            from: second,
            bell: &bells[1],
            to: Some(to_third),
        },
        Lanes {
            from: third,
            bell: &bells[2],
            to: None,
        },
    ];
    Ok((move |due_ns| source.send(due_ns), stages))
}

/// What one stage did.
struct Done {
    latency: Histogram,
    elapsed_ns: u64,
    input_ns: u64,
    output_ns: u64,
    usage: ThreadUsage,
}

fn stage(mut ends: impl Ends, passes: u64, core: Option<usize>) -> Result<Done, BenchError> {
    pin(core)?;
    let mut memory = memory();
    let mut latency = Histogram::new();
    let (mut input_ns, mut output_ns) = (0, 0);
    let before = ThreadUsage::now();
    let begun_ns = now_ns();
    let mut at_ns = begun_ns;
    while let Some(due_ns) = ends.receive() {
        input_ns += now_ns() - at_ns;
        work(&mut memory, passes);
        let worked_ns = now_ns();
        latency.record(worked_ns.saturating_sub(due_ns));
        ends.send(due_ns);
        at_ns = now_ns();
        output_ns += at_ns - worked_ns;
    }
    Ok(Done {
        latency,
        elapsed_ns: now_ns() - begun_ns,
        input_ns,
        output_ns,
        usage: ThreadUsage::now().since(&before),
    })
}

fn measure<S: FnMut(u64) + Send, E: Ends>(
    design: &'static str,
    settings: &Settings,
    cores: Option<&Cores>,
    passes: [u64; STAGES],
    (mut source, stages): Stages<S, E>,
) -> Result<Row, BenchError> {
    let frames = u64::from(settings.fps) * u64::from(settings.seconds);
    let interval_ns = NS_PER_S / u64::from(settings.fps);
    let done = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (number, (ends, passes)) in stages.into_iter().zip(passes).enumerate() {
            // The last stage is the longest: it has the consumer's core.
            let core = cores.and_then(|cores| match number {
                2 => cores.consumer(),
                number => cores.producer(number),
            });
            threads.push(scope.spawn(move || stage(ends, passes, core)));
        }
        let start_ns = now_ns() + 10 * NS_PER_MS;
        for frame in 0..frames {
            let due_ns = start_ns + frame * interval_ns;
            sleep_until(due_ns);
            source(due_ns);
        }
        drop(source);
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| BenchError::Machine("a stage died".into()))?
            })
            .collect::<Result<Vec<_>, BenchError>>()
    })?;
    let share = |of: fn(&Done) -> u64| {
        #[expect(clippy::cast_precision_loss, reason = "a share to be read")]
        std::array::from_fn(|stage| of(&done[stage]) as f64 / done[stage].elapsed_ns.max(1) as f64)
    };
    let summary = done[STAGES - 1].latency.summary();
    Ok(Row {
        design,
        pinned: cores.is_some(),
        p50_ns: summary.p50,
        p99_ns: summary.p99,
        max_ns: summary.max,
        results: summary.count,
        waited_for_input: share(|done| done.input_ns),
        waited_for_output: share(|done| done.output_ns),
        migrations: done.iter().map(|done| done.usage.migrations).sum(),
        involuntary_switches: done
            .iter()
            .map(|done| done.usage.involuntary_switches)
            .sum(),
    })
}

fn report(settings: &Settings, cores: &Cores, rows: &[Row], alone_ns: u64) -> Report {
    let name = |row: &Row| {
        format!(
            "{}, {}",
            row.design,
            if row.pinned { "pinned" } else { "unpinned" }
        )
    };
    let shares = |shares: &[f64; STAGES]| {
        let percents = shares.map(|share| format!("{:.0}", share * 100.0));
        percents.join("/")
    };
    let base_ns = rows.first().map_or(0, |row| row.p99_ns);
    let cells = |row: &Row| {
        vec![
            name(row),
            ms(row.p50_ns),
            ms(row.p99_ns),
            ms(row.max_ns),
            ratio(milliseconds(row.p99_ns), milliseconds(base_ns)),
            row.results.to_string(),
            shares(&row.waited_for_input),
            shares(&row.waited_for_output),
            row.migrations.to_string(),
            row.involuntary_switches.to_string(),
        ]
    };
    Report {
        bench: "stages",
        question: format!(
            "three stages of {:?} us at {} frames a second",
            settings.work_us, settings.fps
        ),
        conditions: vec![
            ("cores", format!("{} for 3 stages; pinned: {}", cores.count(), cores.describe())),
            ("channel", "std::sync::mpsc::sync_channel(1)".into()),
            ("lane", "ring of 1, newest wins, parks at once".into()),
        ],
        tables: vec![Table {
            title: String::new(),
            columns: vec![
                "design", "P50", "P99", "max", "ratio", "results", "waits in %", "waits out %", "moved",
                "preempted",
            ],
            rows: rows.iter().map(cells).collect(),
        }],
        notes: vec![
            "times in ms from when a frame was due; waits: share of the time that stages 1/2/3 waited for \
             a frame and to hand one on"
                .into(),
            format!("limit: the work alone took {} ms", ms(alone_ns)),
        ],
        rows: serde_json::to_value(rows).unwrap_or_default(),
        plot: Plot::Bars {
            axis: "P99 of due to result, ms".into(),
            logarithmic: false,
            bars: rows
                .iter()
                .map(|row| Bar {
                    name: name(row),
                    length: milliseconds(row.p99_ns),
                    ours: row.design == "lane",
                })
                .collect(),
            limit: Some(("the work alone".into(), milliseconds(alone_ns))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_design_gives_results_in_order_of_its_stages_and_ends() {
        let settings = Settings {
            fps: 100,
            work_us: [100, 200, 300],
            seconds: 1,
        };
        let report = run(&settings, |_| ()).unwrap();
        let rows = report.rows.as_array().unwrap();
        assert_eq!(rows.len(), 4);
        for row in rows {
            let results = row["results"].as_u64().unwrap();
            match row["design"].as_str().unwrap() {
                "channel" => assert_eq!(results, 100, "a channel loses nothing"),
                _ => assert!((1..=100).contains(&results)),
            }
        }
    }

    #[test]
    fn the_work_is_at_least_one_pass() {
        assert_eq!(passes_for(0), 1);
        let mut memory = memory();
        work(&mut memory, 2);
        assert!(memory.iter().all(|&word| word == memory[0] && word != 1));
    }
}
