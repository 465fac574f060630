//! `pinsight-bench leak`: what frames that are never given back do to the heap, and what they do to a lane.
//!
//! Both designs pass the same frames and lose one of them in so many. The heap gives new memory for
//! each, until there is no more. A lane has its slots and no others: it refuses a frame when none is
//! left, counts it, and its audit shows how many are missing.

use crate::error::BenchError;
use crate::harness::memory::{NEWEST, describe, lane_of, tables};
use crate::harness::usage::resident_bytes;
use crate::report::figures::mib;
use crate::report::{Curve, Plot, Report, Table};
use clap::Args;
use pinsight::frame::FrameMeta;
use pinsight::ring::{LaneProducer, LaneTap};
use serde::Serialize;

/// What is measured.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Frames
    #[arg(long, default_value_t = Settings::default().frames)]
    frames: u64,
    /// One of so many is lost
    #[arg(long, default_value_t = Settings::default().leak_every)]
    leak_every: u64,
    /// Bytes of one frame; the default is 1080p NV12
    #[arg(long, default_value_t = Settings::default().frame_bytes)]
    frame_bytes: u32,
    /// Slots of the lane
    #[arg(long, default_value_t = Settings::default().slots)]
    slots: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            frames: 2_000,
            leak_every: 50,
            frame_bytes: 1920 * 1080 * 3 / 2,
            slots: 8,
        }
    }
}

/// The figures of one design.
#[derive(Clone, Debug, Serialize)]
struct Row {
    /// `heap` or `lane`.
    design: &'static str,
    /// Frames that were to be passed.
    frames: u64,
    /// Frames that were passed.
    delivered: u64,
    /// Frames, or slots, that were lost.
    leaked: u64,
    /// Frames that had nowhere to go, counted.
    refused: u64,
    /// What the design's audit says is missing; `None` without one.
    missing: Option<i64>,
    /// Growth of the process from the first frame to the last.
    growth_bytes: u64,
    /// The same after each hundredth of the frames.
    growth_over_time_bytes: Vec<u64>,
}

/// Frames until the next look at the process's memory.
fn step(frames: u64) -> u64 {
    frames.div_ceil(100).max(1)
}

/// Measures both designs.
///
/// # Errors
/// A setting that cannot be measured, or memory that cannot be had.
pub(crate) fn run(
    settings: &Settings,
    mut progress: impl FnMut(&str),
) -> Result<Report, BenchError> {
    if settings.frames == 0
        || settings.leak_every == 0
        || settings.slots < 3
        || settings.slots > 512
    {
        return Err(BenchError::Setting(
            "expected at least 1 frame, one leak in at least 1, and 3 to 512 slots".into(),
        ));
    }
    progress("heap");
    let heap = on_heap(settings);
    progress("lane");
    let (arena, mut tables) = tables(1, settings.slots, settings.frame_bytes.into(), None)?;
    let (producer, tap) = lane_of(0, tables.remove(0), NEWEST)?;
    let lane = through_lane(settings, producer, &tap);
    let conditions = vec![
        (
            "frames",
            format!(
                "{} of {} bytes, every byte written, one of {} lost",
                settings.frames, settings.frame_bytes, settings.leak_every
            ),
        ),
        (
            "lane",
            format!("{} slots in {}", settings.slots, describe(&arena)),
        ),
    ];
    Ok(report(settings, conditions, &[heap, lane]))
}

fn is_leaked(settings: &Settings, frame: u64) -> bool {
    frame % settings.leak_every == settings.leak_every - 1
}

fn on_heap(settings: &Settings) -> Row {
    let mut kept = Vec::new();
    let mut growth = Vec::with_capacity(101);
    let before = resident_bytes();
    for frame in 0..settings.frames {
        let mut payload = vec![0_u8; usize::try_from(settings.frame_bytes).unwrap_or(usize::MAX)];
        payload.fill(frame.to_le_bytes()[0]);
        let payload = std::hint::black_box(payload);
        if is_leaked(settings, frame) {
            // Freed when the experiment is over, so that the next one starts afresh.
            kept.push(payload);
        }
        if frame % step(settings.frames) == 0 {
            growth.push(resident_bytes().saturating_sub(before));
        }
    }
    Row {
        design: "heap",
        frames: settings.frames,
        delivered: settings.frames,
        leaked: kept.len() as u64,
        refused: 0,
        missing: None,
        growth_bytes: resident_bytes().saturating_sub(before),
        growth_over_time_bytes: growth,
    }
}

fn through_lane(settings: &Settings, mut producer: LaneProducer, tap: &LaneTap) -> Row {
    let mut growth = Vec::with_capacity(101);
    let (mut delivered, mut leaked, mut refused) = (0, 0, 0);
    let before = resident_bytes();
    for frame in 0..settings.frames {
        match producer.take_free() {
            Some(slot) if is_leaked(settings, frame) => {
                // A token that is dropped is a slot that nobody has: the types warn of it.
                let _lost = slot;
                leaked += 1;
            }
            Some(mut slot) => {
                producer.payload_mut(&mut slot).fill(frame.to_le_bytes()[0]);
                let meta = FrameMeta {
                    bytes_used: settings.frame_bytes,
                    ..FrameMeta::default()
                };
                if let Ok(filled) = producer.fill(slot, &meta) {
                    producer.publish(filled);
                }
            }
            None => refused += 1,
        }
        if let Ok(Some(lease)) = tap.claim_newest(|_| ()) {
            delivered += u64::from(lease.verify().is_ok());
        }
        if frame % step(settings.frames) == 0 {
            growth.push(resident_bytes().saturating_sub(before));
        }
    }
    Row {
        design: "lane",
        frames: settings.frames,
        delivered,
        leaked,
        refused,
        missing: Some(producer.occupancy().in_hand),
        growth_bytes: resident_bytes().saturating_sub(before),
        growth_over_time_bytes: growth,
    }
}

fn report(settings: &Settings, conditions: Vec<(&'static str, String)>, rows: &[Row]) -> Report {
    let cells = |row: &Row| {
        vec![
            row.design.into(),
            row.frames.to_string(),
            row.delivered.to_string(),
            row.leaked.to_string(),
            row.refused.to_string(),
            row.missing
                .map_or_else(|| "unknown".into(), |missing| missing.to_string()),
            format!("{:.1}", mib(row.growth_bytes)),
        ]
    };
    Report {
        bench: "leak",
        question: format!("one frame in {} is never given back", settings.leak_every),
        conditions,
        tables: vec![Table {
            title: String::new(),
            columns: vec!["design", "frames", "delivered", "leaked", "refused", "missing", "grown MiB"],
            rows: rows.iter().map(cells).collect(),
        }],
        notes: vec![
            "a lease cannot be lost by dropping it: it gives its slot back; only a token of a slot can"
                .into(),
            "missing: slots that the lane's own audit cannot find".into(),
        ],
        rows: serde_json::to_value(rows).unwrap_or_default(),
        plot: Plot::Curves {
            x_axis: "frames".into(),
            y_axis: "growth of the process, MiB".into(),
            logarithmic: false,
            curves: rows
                .iter()
                .map(|row| {
                    let point = |(index, &bytes): (usize, &u64)| {
                        let frame = index as u64 * step(settings.frames);
                        (f64::from(u32::try_from(frame).unwrap_or(u32::MAX)), mib(bytes))
                    };
                    Curve {
                        name: row.design.to_owned(),
                        points: row.growth_over_time_bytes.iter().enumerate().map(point).collect(),
                        ours: row.design == "lane",
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
    fn the_lane_refuses_what_it_has_no_slot_for_and_knows_what_is_missing() {
        let settings = Settings {
            frames: 100,
            leak_every: 10,
            frame_bytes: 4096,
            slots: 5,
        };
        let report = run(&settings, |_| ()).unwrap();
        let lane = &report.rows[1];
        assert_eq!(
            (&lane["design"], &lane["leaked"], &lane["missing"]),
            (&"lane".into(), &5.into(), &5.into())
        );
        let sum = ["delivered", "leaked", "refused"]
            .iter()
            .map(|key| lane[*key].as_u64().unwrap())
            .sum::<u64>();
        assert_eq!(sum, 100);
        assert_eq!(report.rows[0]["leaked"], 10);
    }

    #[test]
    fn impossible_settings_are_refused() {
        for settings in [
            Settings {
                frames: 0,
                ..Settings::default()
            },
            Settings {
                leak_every: 0,
                ..Settings::default()
            },
            Settings {
                slots: 2,
                ..Settings::default()
            },
        ] {
            assert!(run(&settings, |_| ()).is_err());
        }
    }
}
