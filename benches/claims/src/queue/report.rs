//! The figures of each design, and the report of all.

use super::design::Design;
use super::settings::Settings;
use crate::harness::machine::Cores;
use crate::harness::meter::Meter;
use crate::report::figures::{milliseconds, ms, ratio, short};
use crate::report::{Curve, Plot, Report, Table};
use pinsight::latency::Histogram;
use serde::Serialize;

/// The figures of one design.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// The design's name.
    pub(super) design: &'static str,
    /// Capture to result, median.
    pub(super) p50_ns: u64,
    /// Capture to result, 99th percentile.
    pub(super) p99_ns: u64,
    /// Capture to result, 99.9th percentile.
    pub(super) p999_ns: u64,
    /// Capture to result, longest.
    pub(super) max_ns: u64,
    /// What the frames were written to.
    pub(super) memory: String,
    /// Calls of the heap a second, whole process; `None` where they are not counted.
    pub(super) allocations_per_s: Option<f64>,
    /// Bytes asked of the heap a second, whole process.
    pub(super) bytes_per_s: Option<f64>,
    /// Context switches a second of both kinds, whole process.
    pub(super) switches_per_s: f64,
    /// What the consumer needed for a frame beside this design, median.
    pub(super) service_p50_ns: u64,
    /// The same, 99th percentile: no result's P99 can be below it.
    pub(super) service_p99_ns: u64,
    /// Results in the measured time.
    pub(super) results: u64,
    /// Longest time without a result of one camera, of all cameras the worst.
    pub(super) longest_gap_ns: u64,
    /// The least that P99 can be: the consumer's time and one frame spacing.
    pub(super) limit_ns: u64,
    /// Time from one result of a camera to its next when all are served alike.
    pub(super) fair_gap_ns: u64,
    /// Cameras with at least one result.
    pub(super) cameras_served: usize,
    /// Frames that were due in the measured time.
    pub(super) due: u64,
    /// Of these, never captured: the camera's thread was blocked.
    pub(super) lost_in_source: u64,
    /// Of these, captured and pushed out by a newer one.
    pub(super) evicted: u64,
    /// Frames whose payload was not the one that was captured.
    pub(super) damaged: u64,
}

/// One design's figures and its latencies.
pub(super) type Measured = (Row, Histogram);

pub(super) fn report(settings: &Settings, cores: &Cores, measured: &[Measured]) -> Report {
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
        plot: Plot::Curves {
            x_axis: "share of results, %".into(),
            y_axis: "capture to result, ms".into(),
            logarithmic: true,
            curves: measured
                .iter()
                .map(|(row, latency)| {
                    let point = |percent: u32| {
                        let ns = latency.quantile_ns(f64::from(percent) / 100.0);
                        (f64::from(percent), milliseconds(ns))
                    };
                    Curve {
                        name: row.design.to_owned(),
                        points: (0..=100).map(point).collect(),
                        ours: row.design == Design::Ring.name(),
                    }
                })
                .collect(),
        },
    }
}
