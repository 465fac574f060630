//! An event in words: as a line of the file of events, and of the log.

use super::names::Names;
use crate::event::Event;
use crate::profile::Direction;
use crate::sys::clock::{Utc, UtcText};
use crate::units::{NS_PER_MS, NS_PER_US};
use serde::Serialize;

/// One line of the file of events.
#[derive(Serialize)]
pub(crate) struct EventLine<'a> {
    /// Of the capture.
    utc_ms: u64,
    time: UtcText,
    rule: &'a str,
    kind: &'static str,
    phase: &'static str,
    camera: &'a str,
    /// The rule's zone or line.
    place: Option<&'a str>,
    track: Option<u64>,
    label: Option<&'a str>,
    at_px: Option<[f32; 2]>,
    direction: Option<&'static str>,
    in_zone: Option<u16>,
    sequence: u64,
    capture_ns: u64,
    age_us: u64,
}

impl<'a> EventLine<'a> {
    /// An event of a frame that was captured at `utc_ns` as a line; `None` for one of a rule that the board does not have.
    pub(crate) fn of(event: &Event, names: &'a Names, utc_ns: u64) -> Option<Self> {
        let rule = names.rule(event.rule)?;
        let has_track = event.track != 0;
        Some(Self {
            utc_ms: utc_ns / NS_PER_MS,
            time: Utc(utc_ns).text(),
            rule: &rule.name,
            kind: rule.kind,
            phase: event.phase.name(),
            camera: names.camera(event.camera),
            place: rule.place.as_deref(),
            track: has_track.then_some(event.track),
            label: has_track.then(|| names.label(event.model, event.class)),
            at_px: event.at_px,
            direction: event.direction.map(|way| match way {
                Direction::ToLeft => "to-left",
                Direction::ToRight => "to-right",
                Direction::Both => "both",
            }),
            in_zone: event.direction.is_none().then_some(event.members),
            sequence: event.sequence,
            capture_ns: event.capture_ns,
            age_us: event.age_ns / NS_PER_US,
        })
    }

    /// Writes it to the log.
    pub(crate) fn log(&self) {
        let (rule, kind, phase) = (self.rule, self.kind, self.phase);
        let (camera, sequence, time) = (self.camera, self.sequence, &self.time);
        let place = self.place.unwrap_or("whole picture");
        let (way, blank) = self.direction.map_or(("", ""), |way| (way, " "));
        #[allow(clippy::cast_precision_loss)] // for reading
        let age_ms = self.age_us as f64 / 1e3;
        match (self.track, self.label) {
            (Some(track), Some(label)) => log::info!(
                "event {rule}: {label} {track}, {kind} {place}{blank}{way}, camera {camera}, frame {sequence}, \
                 {age_ms:.1} ms old, captured {time}"
            ),
            _ => log::info!(
                "event {rule}: {kind} {place} {phase}s, {} there, camera {camera}, frame {sequence}, {age_ms:.1} ms old, \
                 captured {time}",
                self.in_zone.unwrap_or(0)
            ),
        }
    }
}
