//! The figures of each design, and the report of all.

use super::design::Design;
use super::settings::Settings;
use crate::harness::machine::Cores;
use crate::harness::meter::Meter;
use crate::report::figures::{milliseconds, ms, ratio, short};
use crate::report::{Curve, Plot, Report, Table};
use pinsight::units::NS_PER_S;
use serde::Serialize;

/// The figures of one design.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// The design's name.
    pub(super) design: &'static str,
    /// Age of information of all cameras, over time: median, 99th percentile, mean.
    pub(super) aoi_p50_ns: u64,
    pub(super) aoi_p99_ns: u64,
    pub(super) aoi_mean_ns: f64,
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

/// So much of the measured time is plotted.
pub(super) const PLOTTED_NS: u64 = 2 * NS_PER_S;
/// Points of the plot at most.
pub(super) const POINTS: usize = 4096;

/// One design's figures, and the age of information of its first camera: time and age in nanoseconds.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) row: Row,
    pub(super) first_camera: Vec<(u64, u64)>,
}

pub(super) fn report(settings: &Settings, cores: &Cores, measured: &[Measured]) -> Report {
    let base_ns = measured.first().map_or(0, |one| one.row.aoi_p99_ns);
    let base = measured.first().map_or("", |one| one.row.design);
    let optional = |value: Option<f64>| value.map_or_else(|| "-".into(), short);
    let rows = measured.iter().map(|Measured { row, .. }| {
        vec![
            row.design.into(),
            ms(row.aoi_p50_ns),
            ms(row.aoi_p99_ns),
            ratio(milliseconds(row.aoi_p99_ns), milliseconds(base_ns)),
            ms(row.longest_gap_ns),
            ms(row.p50_ns),
            ms(row.p99_ns),
            ms(row.p999_ns),
            ms(row.max_ns),
            format!("{} {}", ms(row.service_p50_ns), ms(row.service_p99_ns)),
            row.results.to_string(),
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
            "times in ms; AoI: age of the newest inferred frame of a camera, at every moment; ratio of its P99 to {base}'s"
        ),
        "age: of a result when it comes, from when its frame was due".into(),
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
            .map(|Measured { row, .. }| format!("{}: frames in {}", row.design, row.memory)),
    );
    notes.extend(Meter::remark());
    Report {
        bench: "queue",
        question: format!(
            "{} cameras into a consumer of {} ms: how soon is it known?",
            settings.cameras,
            ms(settings.service_ns)
        ),
        conditions: vec![
            (
                "cameras",
                format!(
                    "{} {}, one frame of {} bytes each {} ms, every byte written",
                    settings.cameras,
                    settings.phases.name(),
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
                "AoI P50",
                "P99",
                "ratio",
                "longest gap",
                "age P50",
                "P99",
                "P99.9",
                "max",
                "service P50 P99",
                "results",
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
        rows: serde_json::to_value(measured.iter().map(|one| &one.row).collect::<Vec<_>>())
            .unwrap_or_default(),
        plot: Plot::Curves {
            x_axis: "time, s".into(),
            y_axis: "AoI of the first camera, ms".into(),
            logarithmic: true,
            curves: measured
                .iter()
                .map(|Measured { row, first_camera }| {
                    let point = |&(at_ns, age_ns): &(u64, u64)| {
                        (milliseconds(at_ns) / 1e3, milliseconds(age_ns))
                    };
                    Curve {
                        name: row.design.to_owned(),
                        points: first_camera.iter().map(point).collect(),
                        ours: row.design == Design::Ring.name(),
                    }
                })
                .collect(),
        },
    }
}
