//! An event in words: as a line of the file of events, and of the log.

use crate::appliance::shared::names::Names;
use crate::event::Event;
use crate::profile::{Board, Direction, RuleKind};
use crate::units::{NS_PER_MS, NS_PER_US};
use serde::Serialize;

/// The rules of a board as they are told of, by their places in the profile.
pub(crate) struct Rules(Vec<Rule>);

/// A rule as it is told of.
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    /// Its zone or line.
    place: Option<String>,
}

/// One line of the file of events.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    utc_ms: u64,
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

impl Rules {
    /// Those of a board.
    pub(crate) fn of(board: &Board) -> Self {
        let rules = board.rules.iter().map(|rule| Rule {
            name: rule.name.clone(),
            kind: rule.kind.name(),
            place: match &rule.kind {
                RuleKind::Cross { line, .. } => Some(line.clone()),
                kind => kind.zone().map(str::to_owned),
            },
        });
        Self(rules.collect())
    }

    pub(crate) fn get(&self, index: u16) -> Option<&Rule> {
        self.0.get(usize::from(index))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// An event as a line; `None` for one of a rule that there is not.
    pub(crate) fn line<'a>(
        &'a self,
        event: &Event,
        names: &'a Names,
        utc_ns: u64,
    ) -> Option<Line<'a>> {
        let labels = names.labels(event.model);
        let label = labels.get(usize::from(event.class));
        let label = label.map_or("?", String::as_str);
        let camera = names.camera(event.camera);
        Some(Line::of(
            event,
            self.get(event.rule)?,
            camera,
            label,
            utc_ns,
        ))
    }
}

impl<'a> Line<'a> {
    fn of(event: &Event, rule: &'a Rule, camera: &'a str, label: &'a str, utc_ns: u64) -> Self {
        let one = event.track != 0;
        Self {
            utc_ms: utc_ns / NS_PER_MS,
            rule: &rule.name,
            kind: rule.kind,
            phase: event.phase.name(),
            camera,
            place: rule.place.as_deref(),
            track: one.then_some(event.track),
            label: one.then_some(label),
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
        }
    }

    /// Says it in the log.
    pub(crate) fn log(&self) {
        let Self {
            rule,
            kind,
            phase,
            camera,
            sequence,
            ..
        } = self;
        let (place, way) = (self.place.unwrap_or("whole picture"), self.direction);
        let (way, blank) = way.map_or(("", ""), |way| (way, " "));
        #[allow(clippy::cast_precision_loss)] // for reading
        let age_ms = self.age_us as f64 / 1e3;
        match (self.track, self.label) {
            (Some(track), Some(label)) => log::info!(
                "event {rule}: {label} {track}, {kind} {place}{blank}{way}, camera {camera}, frame {sequence}, \
                 {age_ms:.1} ms old"
            ),
            _ => log::info!(
                "event {rule}: {kind} {place} {phase}s, {} there, camera {camera}, frame {sequence}, {age_ms:.1} ms old",
                self.in_zone.unwrap_or(0)
            ),
        }
    }
}
