//! `pinsight-bench sharing`: what it costs when two cores write to one cache line, and what keeping them apart
//! gains.
//!
//! Two threads on two cores. First each increments a counter of its own; then they are the ends of a
//! queue of indices, each with its own position. Nothing is shared but, perhaps, the line.

use crate::error::BenchError;
use crate::harness::cache_misses::{CacheCounter, CacheMisses};
use crate::harness::machine::Cores;
use crate::harness::pair::{self, Pair};
use crate::report::figures::{milliseconds, ratio};
use crate::report::{Bar, Plot, Report, Table};
use clap::Args;
use pinsight::sync::Padded;
use serde::Serialize;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes between the two positions.
const DISTANCES: [usize; 4] = [8, 64, 128, 256];
/// Those of [`pinsight::sync::Padded`].
const OUR_DISTANCE: usize = align_of::<Padded<AtomicU64>>();
const WORD: usize = size_of::<AtomicU64>();
/// Cells of the queue.
const CELLS: u64 = 1024;

/// What is measured.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Increments of each thread, and values through the queue
    #[arg(long, default_value_t = Settings::default().operations)]
    operations: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            operations: 10_000_000,
        }
    }
}

/// The figures of one layout.
#[derive(Clone, Debug, Serialize)]
struct Row {
    /// `counters` or `queue`.
    experiment: &'static str,
    /// Bytes between what the two threads write.
    distance_bytes: usize,
    /// From the first operation to the last, on both sides.
    elapsed_ns: u64,
    /// Time of one operation.
    per_operation_ns: f64,
    /// Misses of the first-level cache for each operation, both threads; `None` without counters.
    first_level_misses: Option<f64>,
    /// Misses of the last-level cache for each operation, both threads.
    last_level_misses: Option<f64>,
}

/// Two positions at a distance, alone on their lines.
#[derive(Debug)]
#[repr(align(128))]
struct Positions([AtomicU64; 64]);

impl Positions {
    fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 64])
    }

    /// What the sender writes, and what the receiver writes.
    fn at(&self, distance_bytes: usize) -> (&AtomicU64, &AtomicU64) {
        (&self.0[distance_bytes / WORD], &self.0[0])
    }
}

/// Measures both experiments at every distance.
///
/// # Errors
/// One core only, no operations, or a machine that refuses threads or cores.
pub(crate) fn run(
    settings: &Settings,
    mut progress: impl FnMut(&str),
) -> Result<Report, BenchError> {
    if settings.operations == 0 {
        return Err(BenchError::Setting(
            "0 operations, expected at least 1".into(),
        ));
    }
    let cores = Cores::allowed()?;
    cores.need_two("pinsight-bench sharing")?;
    let mut rows = Vec::new();
    for distance_bytes in DISTANCES {
        progress(&format!("counters {distance_bytes} bytes apart"));
        let pair = counters(&cores, settings.operations, distance_bytes)?;
        rows.push(row("counters", distance_bytes, settings.operations, &pair));
    }
    for distance_bytes in DISTANCES {
        progress(&format!("queue, ends {distance_bytes} bytes apart"));
        let pair = queue(&cores, settings.operations, distance_bytes)?;
        rows.push(row("queue", distance_bytes, settings.operations, &pair));
    }
    Ok(report(settings, &cores, &rows))
}

/// Cache misses of one thread, where they can be counted.
type Misses = Option<CacheMisses>;

fn counted(work: impl FnOnce()) -> Misses {
    let mut counter = CacheCounter::open().ok();
    let started = counter
        .as_mut()
        .is_some_and(|counter| counter.start().is_ok());
    work();
    counter.filter(|_| started)?.read().ok()
}

fn counters(
    cores: &Cores,
    operations: u64,
    distance_bytes: usize,
) -> Result<Pair<Misses, Misses>, BenchError> {
    let positions = Positions::new();
    let (first, second) = positions.at(distance_bytes);
    let count = |counter: &AtomicU64| {
        for _ in 0..operations {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    };
    pair::run(
        cores,
        || counted(|| count(first)),
        || counted(|| count(second)),
    )
}

fn queue(
    cores: &Cores,
    operations: u64,
    distance_bytes: usize,
) -> Result<Pair<Misses, Misses>, BenchError> {
    let positions = Positions::new();
    let (tail, head) = positions.at(distance_bytes);
    let cells: Vec<_> = (0..CELLS).map(|_| AtomicU64::new(0)).collect();
    // Masked below the number of cells.
    let cell = |position: u64| &cells[usize::try_from(position % CELLS).unwrap_or(0)];
    pair::run(
        cores,
        || {
            counted(|| {
                for position in 0..operations {
                    // S1, pairs with the receiver's release: the cell has been read.
                    while position - head.load(Ordering::Acquire) == CELLS {
                        spin_loop();
                    }
                    cell(position).store(position, Ordering::Relaxed);
                    // S2, pairs with the receiver's acquire: the cell has been written.
                    tail.store(position + 1, Ordering::Release);
                }
            })
        },
        || {
            counted(|| {
                for position in 0..operations {
                    // S2
                    while tail.load(Ordering::Acquire) == position {
                        spin_loop();
                    }
                    assert_eq!(cell(position).load(Ordering::Relaxed), position);
                    // S1
                    head.store(position + 1, Ordering::Release);
                }
            })
        },
    )
}

#[expect(clippy::cast_precision_loss, reason = "figures to be read")]
fn row(
    experiment: &'static str,
    distance_bytes: usize,
    operations: u64,
    pair: &Pair<Misses, Misses>,
) -> Row {
    let misses = |of: fn(CacheMisses) -> u64| {
        let both = pair.sender.result.zip(pair.receiver.result)?;
        Some((of(both.0) + of(both.1)) as f64 / operations as f64)
    };
    Row {
        experiment,
        distance_bytes,
        elapsed_ns: pair.elapsed_ns(),
        per_operation_ns: pair.elapsed_ns() as f64 / operations as f64,
        first_level_misses: misses(|misses| misses.first_level),
        last_level_misses: misses(|misses| misses.last_level),
    }
}

fn report(settings: &Settings, cores: &Cores, rows: &[Row]) -> Report {
    let misses =
        |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.2}"));
    let cells = |row: &Row| {
        let base = rows.iter().find(|base| base.experiment == row.experiment);
        vec![
            format!("{}, {} bytes apart", row.experiment, row.distance_bytes),
            format!("{:.0}", milliseconds(row.elapsed_ns)),
            format!("{:.2}", row.per_operation_ns),
            ratio(
                row.per_operation_ns,
                base.map_or(0.0, |base| base.per_operation_ns),
            ),
            misses(row.first_level_misses),
            misses(row.last_level_misses),
        ]
    };
    let mut notes = vec![
        "8 bytes is one line; 64 bytes are two lines that x86 fetches as a pair; our ends are 128 apart"
            .to_owned(),
    ];
    if let Err(error) = CacheCounter::open() {
        notes.push(format!(
            "cache misses are not counted here: perf_event_open: {error}"
        ));
    }
    Report {
        bench: "sharing",
        question: format!(
            "{} operations of two cores on one line and on two",
            settings.operations
        ),
        conditions: vec![("cores", cores.describe())],
        tables: vec![Table {
            title: String::new(),
            columns: vec![
                "what",
                "ms",
                "ns/op",
                "ratio",
                "L1 misses/op",
                "LLC misses/op",
            ],
            rows: rows.iter().map(cells).collect(),
        }],
        notes,
        rows: serde_json::to_value(rows).unwrap_or_default(),
        plot: Plot::Bars {
            axis: "ns an operation".into(),
            logarithmic: false,
            bars: rows
                .iter()
                .map(|row| Bar {
                    name: format!("{}, {} B apart", row.experiment, row.distance_bytes),
                    length: row.per_operation_ns,
                    ours: row.distance_bytes == OUR_DISTANCE,
                })
                .collect(),
            limit: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_experiments_finish_at_every_distance() {
        let cores = Cores::allowed().unwrap();
        for distance_bytes in DISTANCES {
            let pair = counters(&cores, 1_000, distance_bytes).unwrap();
            assert!(row("counters", distance_bytes, 1_000, &pair).elapsed_ns > 0);
            let pair = queue(&cores, 3 * CELLS, distance_bytes).unwrap();
            assert!(row("queue", distance_bytes, 3 * CELLS, &pair).elapsed_ns > 0);
        }
    }

    #[test]
    fn positions_are_as_far_apart_as_they_say() {
        let positions = Positions::new();
        for distance_bytes in DISTANCES {
            let (first, second) = positions.at(distance_bytes);
            let distance = std::ptr::from_ref(first).addr() - std::ptr::from_ref(second).addr();
            assert_eq!(distance, distance_bytes);
            assert_eq!(std::ptr::from_ref(second).addr() % 128, 0);
        }
    }
}
