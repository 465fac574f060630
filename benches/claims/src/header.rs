//! `pinsight-bench header`: what it costs to send headers instead of frames, and slots instead of heap blocks.
//!
//! First the single steps on one core. Then a long run that holds frames of mixed sizes for mixed times,
//! as an application with several cameras and clips does: what the heap makes of it, and what slots do.

use crate::error::BenchError;
use crate::harness::machine::{Cores, pin};
use crate::harness::memory::{NEWEST, describe, lane_of, slots_of, tables};
use crate::harness::usage::resident_bytes;
use crate::report::figures::{mib, milliseconds, ratio};
use crate::report::{Curve, Plot, Report, Table};
use clap::Args;
use pinsight::frame::FrameMeta;
use pinsight::ring::{FrameRing, LaneProducer};
use pinsight::sys::clock::now_ns;
use pinsight::sys::thread::ThreadUsage;
use serde::Serialize;
use std::hint::black_box;

/// What is measured.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Bytes of one frame; the default is 1080p NV12
    #[arg(long, default_value_t = Settings::default().frame_bytes)]
    frame_bytes: u32,
    /// Frames of the mixed run
    #[arg(long, default_value_t = Settings::default().frames)]
    frames: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            frame_bytes: 1920 * 1080 * 3 / 2,
            frames: 20_000,
        }
    }
}

/// The figures of one step.
#[derive(Clone, Debug, Serialize)]
struct Step {
    /// What was done.
    step: &'static str,
    /// What it does the work of: the steps of one purpose are compared.
    purpose: &'static str,
    /// Median over the batches, for one time.
    p50_ns: f64,
    /// 99th percentile over the batches, for one time.
    p99_ns: f64,
}

/// The figures of one mixed run.
#[derive(Clone, Debug, Serialize)]
struct Mixed {
    /// `heap` or `slots`.
    design: &'static str,
    /// Time for a frame: memory had, one byte of each page written, memory given back.
    per_frame_ns: u64,
    /// Page faults for a frame.
    faults_per_frame: f64,
    /// Most bytes that were in use at a time.
    live_peak_bytes: u64,
    /// Most memory that the process had grown by, at a look.
    growth_peak_bytes: u64,
    /// The same, at each look.
    growth_over_time_bytes: Vec<u64>,
}

/// Measures the steps, then the mixed runs.
///
/// # Errors
/// A setting that cannot be measured, or memory that cannot be had.
pub(crate) fn run(
    settings: &Settings,
    mut progress: impl FnMut(&str) + Send,
) -> Result<Report, BenchError> {
    if settings.frame_bytes < 4096 || settings.frames == 0 {
        return Err(BenchError::Setting(
            "expected frames of at least 4096 bytes, and at least 1".into(),
        ));
    }
    let cores = Cores::allowed()?;
    let core = cores.consumer();
    // On a thread of its own, so that the caller is pinned to nothing afterwards.
    let measured = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            pin(core)?;
            progress("steps");
            let (steps, memory) = steps(settings.frame_bytes)?;
            progress("mixed run on the heap");
            let heap = mixed_on_heap(settings);
            progress("mixed run in slots");
            let slots = mixed_in_slots(settings)?;
            Ok((steps, memory, [heap, slots]))
        });
        run.join()
            .map_err(|_| BenchError::Machine("a thread of the experiment died".into()))?
    });
    let (steps, memory, mixed) = measured?;
    Ok(report(settings, core, memory, &steps, &mixed))
}

/// Times `batches` times `operations` operations each; nanoseconds of one, sorted.
#[expect(clippy::cast_precision_loss, reason = "figures to be read")]
fn timed(batches: u32, operations: u32, mut operation: impl FnMut()) -> Vec<f64> {
    let mut batch = || {
        let begun_ns = now_ns();
        for _ in 0..operations {
            operation();
        }
        (now_ns() - begun_ns) as f64 / f64::from(operations)
    };
    batch();
    let mut times: Vec<_> = (0..batches).map(|_| batch()).collect();
    times.sort_unstable_by(f64::total_cmp);
    times
}

fn step(purpose: &'static str, step: &'static str, times: &[f64]) -> Step {
    let last = times.len() - 1;
    Step {
        step,
        purpose,
        p50_ns: times[last / 2],
        p99_ns: times[last * 99 / 100],
    }
}

fn send(producer: &mut LaneProducer, bytes_used: u32) {
    if let Some(slot) = producer.take_free() {
        let meta = FrameMeta {
            bytes_used,
            ..FrameMeta::default()
        };
        if let Ok(filled) = producer.fill(slot, black_box(&meta)) {
            producer.publish(filled);
        }
    }
}

fn steps(frame_bytes: u32) -> Result<(Vec<Step>, String), BenchError> {
    const SMALL: (u32, u32) = (2_000, 1_000);
    const LARGE: (u32, u32) = (100, 4);
    let length = usize::try_from(frame_bytes).unwrap_or(usize::MAX);
    let (arena, mut slots) = tables(1, slots_of(NEWEST), frame_bytes.into(), None)?;
    let (mut producer, tap) = lane_of(0, slots.remove(0), NEWEST)?;
    let ring = FrameRing::new(1).map_err(BenchError::machine)?;
    let mut floor = 0;
    let mut found = Vec::new();

    let times = timed(SMALL.0, SMALL.1, || {
        if let Some(slot) = producer.take_free() {
            producer.give_back(black_box(slot));
        }
    });
    found.push(step(
        "memory for a frame",
        "slot taken and given back",
        &times,
    ));
    let times = timed(SMALL.0, SMALL.1, || {
        drop(black_box(Vec::<u8>::with_capacity(length)))
    });
    found.push(step(
        "memory for a frame",
        "heap block taken and freed, untouched",
        &times,
    ));
    let times = timed(LARGE.0, LARGE.1, || {
        drop(black_box(touch(vec![0; length])));
    });
    found.push(step(
        "memory for a frame",
        "heap block taken zeroed, touched, freed",
        &times,
    ));

    let times = timed(SMALL.0, SMALL.1, || {
        ring.publish(black_box(1));
        black_box(ring.claim_newest(&mut floor, |_| ()));
    });
    found.push(step("a frame sent", "index published and claimed", &times));
    let times = timed(SMALL.0, SMALL.1, || {
        send(&mut producer, frame_bytes);
        drop(black_box(tap.claim_newest(|_| ())));
    });
    found.push(step(
        "a frame sent",
        "slot, header sealed, sent, leased, given back",
        &times,
    ));
    let source = vec![7_u8; length];
    let mut target = vec![0_u8; length];
    let times = timed(LARGE.0, LARGE.1, || {
        send(&mut producer, frame_bytes);
        drop(black_box(tap.claim_newest(|_| ())));
        target.copy_from_slice(black_box(&source));
        black_box(&mut target);
    });
    found.push(step(
        "a frame sent",
        "the same and the payload copied",
        &times,
    ));
    Ok((found, describe(&arena)))
}

/// Writes one byte of each page: the frame has come in.
fn touch(mut payload: Vec<u8>) -> Vec<u8> {
    payload.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    payload
}

/// Numbers that look random and are the same in each run (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap_or(0) % bound
    }

    /// Bytes of a frame: the largest, two smaller formats, or a compressed picture of any size.
    fn frame_bytes(&mut self, largest: usize) -> usize {
        match self.below(4) {
            0 => largest,
            1 => largest * 4 / 9,
            2 => largest / 5,
            _ => largest / 80 + self.below(largest / 8),
        }
    }
}

/// Frames held at a time in the mixed run.
const HELD: usize = 48;
/// Small blocks held at a time: results, strings, messages.
const SMALL_HELD: usize = 1024;
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// Looks at the process's memory in one run.
const LOOKS: u64 = 100;

struct Growth {
    before: u64,
    every: u64,
    looks: Vec<u64>,
}

impl Growth {
    fn new(frames: u64) -> Self {
        let looks = Vec::with_capacity(usize::try_from(LOOKS).unwrap_or(0) + 1);
        Self {
            before: resident_bytes(),
            every: frames.div_ceil(LOOKS),
            looks,
        }
    }

    fn look(&mut self, frame: u64) {
        if frame % self.every == self.every - 1 {
            self.looks
                .push(resident_bytes().saturating_sub(self.before));
        }
    }
}

fn mixed(design: &'static str, frames: u64, mut one: impl FnMut(&mut Numbers) -> u64) -> Mixed {
    let mut numbers = Numbers(SEED);
    let mut growth = Growth::new(frames);
    let usage = ThreadUsage::now();
    let begun_ns = now_ns();
    let mut live_peak_bytes = 0;
    for frame in 0..frames {
        live_peak_bytes = live_peak_bytes.max(one(&mut numbers));
        growth.look(frame);
    }
    let elapsed_ns = now_ns() - begun_ns;
    let faults = ThreadUsage::now().since(&usage).minor_faults;
    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
    let faults_per_frame = faults as f64 / frames as f64;
    Mixed {
        design,
        per_frame_ns: elapsed_ns / frames,
        faults_per_frame,
        live_peak_bytes,
        growth_peak_bytes: growth.looks.iter().copied().max().unwrap_or(0),
        growth_over_time_bytes: growth.looks,
    }
}

fn mixed_on_heap(settings: &Settings) -> Mixed {
    let largest = usize::try_from(settings.frame_bytes).unwrap_or(usize::MAX);
    let mut held: Vec<Vec<u8>> = vec![Vec::new(); HELD];
    let mut small: Vec<Vec<u8>> = vec![Vec::new(); SMALL_HELD];
    let mut live = 0;
    mixed("heap", settings.frames, |numbers| {
        let place = numbers.below(HELD);
        live -= std::mem::take(&mut held[place]).len() as u64;
        held[place] = touch(vec![0; numbers.frame_bytes(largest)]);
        live += held[place].len() as u64;
        let place = numbers.below(SMALL_HELD);
        live -= small[place].len() as u64;
        small[place] = vec![1; 32 + numbers.below(2_000)];
        live += small[place].len() as u64;
        live
    })
}

fn mixed_in_slots(settings: &Settings) -> Result<Mixed, BenchError> {
    let largest = usize::try_from(settings.frame_bytes).unwrap_or(usize::MAX);
    let (_arena, mut slots) = tables(
        1,
        HELD.try_into().unwrap_or(u16::MAX),
        settings.frame_bytes.into(),
        None,
    )?;
    let (mut producer, _tap) = lane_of(0, slots.remove(0), NEWEST)?;
    let mut held: Vec<_> = (0..HELD).map(|_| None).collect();
    let mut live = 0;
    Ok(mixed("slots", settings.frames, |numbers| {
        let place = numbers.below(HELD);
        if let Some((slot, bytes)) = held[place].take() {
            live -= bytes;
            producer.give_back(slot);
        }
        let bytes = numbers.frame_bytes(largest);
        if let Some(mut slot) = producer.take_free() {
            let payload = producer.payload_mut(&mut slot);
            payload[..bytes]
                .iter_mut()
                .step_by(4096)
                .for_each(|byte| *byte = 1);
            live += bytes as u64;
            held[place] = Some((slot, bytes as u64));
        }
        // Small things of an appliance are in fixed places as well; the numbers stay in step.
        let _ = (numbers.below(SMALL_HELD), numbers.below(2_000));
        live
    }))
}

fn report(
    settings: &Settings,
    core: Option<usize>,
    memory: String,
    steps: &[Step],
    mixed: &[Mixed],
) -> Report {
    let step_cells = |step: &Step| {
        let base = steps.iter().find(|base| base.purpose == step.purpose);
        vec![
            format!("{}: {}", step.purpose, step.step),
            format!("{:.1}", step.p50_ns),
            format!("{:.1}", step.p99_ns),
            ratio(step.p50_ns, base.map_or(0.0, |base| base.p50_ns)),
        ]
    };
    let mixed_cells = |row: &Mixed| {
        vec![
            row.design.into(),
            format!("{:.1}", milliseconds(row.per_frame_ns) * 1e3),
            format!("{:.1}", row.faults_per_frame),
            format!("{:.1}", mib(row.live_peak_bytes)),
            format!("{:.1}", mib(row.growth_peak_bytes)),
        ]
    };
    Report {
        bench: "header",
        question: format!("a 64-byte header, or {} bytes of frame?", settings.frame_bytes),
        conditions: vec![
            ("core", core.map_or_else(|| "any".into(), |core| core.to_string())),
            ("slots", memory),
        ],
        tables: vec![
            Table {
                title: "single steps, one core, nobody else in the way".into(),
                columns: vec!["step", "P50 ns", "P99 ns", "ratio"],
                rows: steps.iter().map(step_cells).collect(),
            },
            Table {
                title: format!(
                    "{} frames of mixed sizes, {HELD} held at a time for mixed times",
                    settings.frames
                ),
                columns: vec!["memory", "us/frame", "faults/frame", "in use MiB", "grown MiB"],
                rows: mixed.iter().map(mixed_cells).collect(),
            },
        ],
        notes: vec![
            "P99 is that of batches; ratios of P50 to the first step of the same purpose".into(),
            "slots are mapped before the run begins, each as large as the largest frame: no growth, and \
             no more than the budget says"
                .into(),
        ],
        rows: serde_json::json!({ "steps": steps, "mixed": mixed }),
        plot: Plot::Curves {
            x_axis: "share of the mixed run, %".into(),
            y_axis: "growth of the process, MiB".into(),
            logarithmic: false,
            curves: mixed
                .iter()
                .map(|row| {
                    let looks = row.growth_over_time_bytes.iter().map(|&bytes| mib(bytes));
                    Curve {
                        name: row.design.to_owned(),
                        points: (1..=100).map(f64::from).zip(looks).collect(),
                        ours: row.design == "slots",
                    }
                })
                .collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_do_not_grow_in_a_mixed_run_and_hold_the_same_frames_as_the_heap() {
        let settings = Settings {
            frame_bytes: 100_000,
            frames: 400,
        };
        let heap = mixed_on_heap(&settings);
        let slots = mixed_in_slots(&settings).unwrap();
        assert!(slots.live_peak_bytes > 10 * 100_000);
        // The heap's run holds small blocks as well.
        assert!(heap.live_peak_bytes >= slots.live_peak_bytes);
        assert!(heap.live_peak_bytes < slots.live_peak_bytes + 2_100 * SMALL_HELD as u64);
        assert_eq!(heap.growth_over_time_bytes.len(), 100);
    }

    #[test]
    fn times_come_sorted_and_none_is_lost() {
        let mut calls = 0;
        let times = timed(10, 3, || calls += 1);
        assert_eq!((times.len(), calls), (10, 33));
        assert!(times.is_sorted());
    }

    #[test]
    fn frames_without_a_page_are_refused() {
        let settings = Settings {
            frame_bytes: 100,
            ..Settings::default()
        };
        assert!(run(&settings, |_| ()).is_err());
    }
}
