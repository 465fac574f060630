//! An event in words: as a line of the file of events, and of the log.

use super::names::Names;
use crate::event::Event;
use crate::profile::Direction;
use crate::sys::clock::{Utc, UtcText};
use crate::units::{NS_PER_MS, NS_PER_US};
use schemars::JsonSchema;
use serde::Serialize;

/// One line of the file of events: something that a rule of the profile asks for.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct EventLine<'a> {
    /// Time of the frame's capture: CLOCK_REALTIME, milliseconds since 1970.
    utc_ms: u64,
    /// The same in UTC, as RFC 3339 has it, with milliseconds.
    #[schemars(with = "String")]
    time: UtcText,
    /// The rule, as the profile names it.
    rule: &'a str,
    /// The rule's kind.
    kind: &'static str,
    /// `begin` and `end` of a state, `once` of what has no end.
    phase: &'static str,
    /// The camera, as the profile names it.
    camera: &'a str,
    /// The rule's zone or line; null is the whole picture.
    place: Option<&'a str>,
    /// Number of the track, from 1; null for a rule that counts.
    track: Option<u64>,
    /// The track's class, as the model's labels name it; null for a rule that counts.
    label: Option<&'a str>,
    /// Where the track's anchor was, x and y in pixels of the camera's picture; null for a rule that counts.
    at_px: Option<[f32; 2]>,
    /// To which side of the line: `to-left` or `to-right`; null for a rule of a zone.
    direction: Option<&'static str>,
    /// Tracks in the zone; null for a rule of a line.
    in_zone: Option<u16>,
    /// Frame number since the program started, counted by the capture thread.
    sequence: u64,
    /// Capture of the frame: CLOCK_MONOTONIC, nanoseconds.
    capture_ns: u64,
    /// From the capture to the event, microseconds.
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
