//! `pinsight-bench channel`: what a channel's capacity costs in time, sleeps and context switches.
//!
//! A sender and a receiver on two cores pass numbered values as fast as they can. The last row sends the
//! same number through our lane, which never makes the sender wait: what the receiver does not take in
//! time is evicted, and counted.

use crate::error::BenchError;
use crate::harness::machine::Cores;
use crate::harness::pair::{self, Pair};
use crate::report::figures::{milliseconds, ratio, short};
use crate::report::{Bar, Plot, Report, Table};
use clap::Args;
use pinsight::frame::{FrameMeta, SlotTable};
use pinsight::ring::{Doorbell, TapNeed, Waiting, Woken, lane, slots_needed};
use pinsight::sys::clock::now_ns;
use serde::Serialize;
use std::sync::mpsc::sync_channel;

/// What is measured.
#[derive(Args, Clone, Debug)]
pub(crate) struct Settings {
    /// Values through each design
    #[arg(long, default_value_t = Settings::default().values)]
    values: u64,
    /// The channels' capacities
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = Settings::default().capacities)]
    capacities: Vec<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            values: 1_000_000,
            capacities: vec![0, 64, 1024],
        }
    }
}

/// The figures of one design.
#[derive(Clone, Debug, Serialize)]
struct Row {
    /// `channel-N` or `lane`.
    design: String,
    /// Values sent.
    values: u64,
    /// Values received; the lane's others were evicted.
    delivered: u64,
    /// From the first value to the last, on both sides.
    elapsed_ns: u64,
    /// Times that the sender slept: each ended with a wake-up.
    sender_sleeps: u64,
    /// Times that the receiver slept.
    receiver_sleeps: u64,
    /// Times that either was taken off its core.
    involuntary_switches: u64,
    /// Longest time that one value took the sender.
    longest_send_ns: u64,
}

/// Measures the channels, then the lane.
///
/// # Errors
/// A setting that cannot be measured, or a machine that refuses threads or cores.
pub(crate) fn run(
    settings: &Settings,
    mut progress: impl FnMut(&str),
) -> Result<Report, BenchError> {
    if settings.values == 0 {
        return Err(BenchError::Setting("0 values, expected at least 1".into()));
    }
    let cores = Cores::allowed()?;
    let mut rows = Vec::new();
    for &capacity in &settings.capacities {
        let design = format!("channel-{capacity}");
        progress(&design);
        rows.push(row(
            design,
            settings.values,
            &channel(&cores, settings.values, capacity)?,
        ));
    }
    progress("lane");
    rows.push(row(
        "lane".into(),
        settings.values,
        &through_lane(&cores, settings.values)?,
    ));
    Ok(report(settings, &cores, &rows))
}

/// Sends all values, and gives the longest time that one took.
fn send_all(values: u64, mut send: impl FnMut(u64)) -> u64 {
    let mut longest_ns = 0;
    let mut before_ns = now_ns();
    for value in 0..values {
        send(value);
        let after_ns = now_ns();
        longest_ns = longest_ns.max(after_ns - before_ns);
        before_ns = after_ns;
    }
    longest_ns
}

fn channel(cores: &Cores, values: u64, capacity: usize) -> Result<Pair<u64, u64>, BenchError> {
    let (sender, receiver) = sync_channel(capacity);
    pair::run(
        cores,
        move || {
            send_all(values, |value| {
                // The receiver goes last.
                let _ = sender.send(value);
            })
        },
        move || receiver.into_iter().count() as u64,
    )
}

fn through_lane(cores: &Cores, values: u64) -> Result<Pair<u64, u64>, BenchError> {
    let need = TapNeed {
        capacity: 1,
        readers: 1,
        leases: 1,
    };
    let slots = u16::try_from(slots_needed(1, &[need])).unwrap_or(u16::MAX);
    let (mut producer, taps) =
        lane(0, SlotTable::on_heap(slots, 64), 1, &[need]).map_err(BenchError::machine)?;
    let bell = Doorbell::new();
    let (sender, receiver) = (&bell, &bell);
    pair::run(
        cores,
        move || {
            let longest_ns = send_all(values, |value| {
                let slot = producer
                    .take_free()
                    .expect("the lane has a slot for the driver");
                let meta = FrameMeta {
                    capture_ns: value,
                    ..FrameMeta::default()
                };
                if let Ok(filled) = producer.fill(slot, &meta) {
                    producer.publish(filled);
                    sender.ring(1);
                }
            });
            sender.close();
            longest_ns
        },
        move || {
            let mut taps = taps;
            let tap = taps.pop().expect("one reader");
            let mut delivered = 0;
            loop {
                let woken = receiver.wait(Waiting::Park, u64::MAX, now_ns);
                receiver.take();
                while let Ok(Some(lease)) = tap.claim_newest(|_| ()) {
                    delivered += u64::from(lease.verify().is_ok());
                }
                if woken == Woken::Closed {
                    return delivered;
                }
            }
        },
    )
}

fn row(design: String, values: u64, pair: &Pair<u64, u64>) -> Row {
    let (sender, receiver) = (&pair.sender, &pair.receiver);
    Row {
        design,
        values,
        delivered: receiver.result,
        elapsed_ns: pair.elapsed_ns(),
        sender_sleeps: sender.switches.voluntary,
        receiver_sleeps: receiver.switches.voluntary,
        involuntary_switches: sender.switches.involuntary + receiver.switches.involuntary,
        longest_send_ns: sender.result,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures to be read, not to be added up"
)]
fn report(settings: &Settings, cores: &Cores, rows: &[Row]) -> Report {
    let per_value = |row: &Row| row.elapsed_ns as f64 / row.values as f64;
    let base = rows.first().map_or(0.0, per_value);
    let cells = |row: &Row| {
        vec![
            row.design.clone(),
            format!("{:.0}", milliseconds(row.elapsed_ns)),
            format!("{:.0}", per_value(row)),
            ratio(per_value(row), base),
            short(row.sender_sleeps as f64),
            short(row.receiver_sleeps as f64),
            short(row.involuntary_switches as f64),
            short(row.longest_send_ns as f64 / 1e3),
            row.delivered.to_string(),
        ]
    };
    Report {
        bench: "channel",
        question: format!("{} values from core to core", settings.values),
        conditions: vec![
            ("cores", cores.describe()),
            ("channels", "std::sync::mpsc::sync_channel".into()),
            (
                "lane",
                "64-byte header with checksum, ring of 1, doorbell, parks at once".into(),
            ),
        ],
        tables: vec![Table {
            title: String::new(),
            columns: vec![
                "design",
                "ms",
                "ns/value",
                "ratio",
                "sender slept",
                "receiver slept",
                "preempted",
                "longest send us",
                "delivered",
            ],
            rows: rows.iter().map(cells).collect(),
        }],
        notes: vec![
            "each sleep ends with a wake-up by the other side: two system calls and two switches"
                .into(),
            "the lane's sender never waits: what the receiver did not take in time gave way to newer"
                .into(),
        ],
        rows: serde_json::to_value(rows).unwrap_or_default(),
        plot: Plot::Bars {
            axis: "ns a value".into(),
            logarithmic: true,
            bars: rows
                .iter()
                .map(|row| Bar {
                    name: row.design.clone(),
                    length: per_value(row),
                    ours: row.design == "lane",
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
    fn channels_deliver_every_value_and_the_lane_at_least_the_last() {
        let cores = Cores::allowed().unwrap();
        for capacity in [0, 3] {
            assert_eq!(
                channel(&cores, 2_000, capacity).unwrap().receiver.result,
                2_000
            );
        }
        let delivered = through_lane(&cores, 2_000).unwrap().receiver.result;
        assert!((1..=2_000).contains(&delivered));
    }

    #[test]
    fn no_values_are_refused() {
        let settings = Settings {
            values: 0,
            ..Settings::default()
        };
        assert!(run(&settings, |_| ()).is_err());
    }
}
