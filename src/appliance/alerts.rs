//! Rules at work: results go in, and each event goes to the log, to the alert file, and into the account.
//!
//! It runs in housekeeping, not in the workers: several workers may judge the frames of one camera, and
//! tracks want them in the order of their capture. What it costs is one wake-up of that thread between
//! result and event, which stands in each event's age.

use super::lines::LineLog;
use super::messages::EVENT_BYTES;
use super::names::Names;
use super::outputs::Teller;
use super::proof;
use crate::board::{Board, Direction, RuleKind};
use crate::event::{Event, Judged, Watch};
use crate::limits::queue_room;
use crate::record::FrameResult;
use crate::units::{NS_PER_MS, NS_PER_US};
use serde::Serialize;
use std::io::Error;

/// The rules of a board, with who is told.
pub(super) struct Alerts {
    watch: Watch,
    rules: Vec<RuleName>,
    /// Labels of each model.
    labels: Vec<Vec<String>>,
    file: Option<LineLog>,
    outputs: Vec<Teller>,
    last: Option<Event>,
}

/// A rule as it is told of.
struct RuleName {
    name: String,
    kind: &'static str,
    /// Its zone or line.
    place: Option<String>,
    /// Events that the alert file did not take.
    lost: u64,
}

/// One line of the alert file.
#[derive(Serialize)]
struct Line<'a> {
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

impl Alerts {
    /// The rules of a board whose cameras' pictures have these sizes.
    ///
    /// # Errors
    /// The rule that refers to what the board does not have, by name.
    pub(super) fn new(
        board: &Board,
        sizes_px: &[(u32, u32)],
        file: Option<LineLog>,
        outputs: Vec<Teller>,
    ) -> Result<Self, String> {
        let name_of = |index: usize| board.rules.get(index).map(|rule| rule.name.clone());
        Ok(Self {
            watch: Watch::new(board, sizes_px).map_err(|rule| name_of(rule).unwrap_or_default())?,
            rules: board
                .rules
                .iter()
                .map(|rule| RuleName {
                    name: rule.name.clone(),
                    kind: rule.kind.name(),
                    place: match &rule.kind {
                        RuleKind::Cross { line, .. } => Some(line.clone()),
                        kind => kind.zone().map(str::to_owned),
                    },
                    lost: 0,
                })
                .collect(),
            labels: board
                .models
                .iter()
                .map(|model| model.labels.clone())
                .collect(),
            file,
            outputs,
            last: None,
        })
    }

    /// Takes in one result, and tells what follows from it. Allocates nothing. `said` is called before the
    /// first line of the log; the error is the last one of the alert file's.
    pub(super) fn take(
        &mut self,
        result: &FrameResult,
        names: &Names,
        (now_ns, utc_ns): (u64, u64),
        mut said: impl FnMut(),
    ) -> Result<(), Error> {
        let judged = Judged {
            camera: result.camera,
            model: result.model,
            sequence: result.sequence,
            capture_ns: result.stamps.capture_ns,
            detections: &result.detections,
        };
        let Self {
            watch,
            rules,
            labels,
            file,
            outputs,
            last,
        } = self;
        let mut outcome = Ok(());
        watch.take(&judged, now_ns, |event| {
            let Some(rule) = rules.get_mut(usize::from(event.rule)) else {
                return;
            };
            let label = labels
                .get(usize::from(event.model))
                .and_then(|labels| labels.get(usize::from(event.class)))
                .map_or("?", String::as_str);
            let line = Line::of(event, rule, names.camera(event.camera), label, utc_ns);
            said();
            line.log();
            if let Some(Err(error)) = file.as_mut().map(|file| file.put_line(&line)) {
                rule.lost += 1;
                outcome = Err(error);
            }
            for output in outputs.iter_mut() {
                output.tell(event, utc_ns);
            }
            *last = Some(*event);
        });
        outcome
    }

    /// Name of the rule of the newest event.
    pub(super) fn last_rule(&self) -> Option<&str> {
        let rule = self.rules.get(usize::from(self.last?.rule))?;
        Some(&rule.name)
    }

    /// What became of everything.
    pub(super) fn account(&self) -> proof::Events {
        let counts = self.watch.counts();
        proof::Events {
            tracks: counts.tracks.tracks,
            tracks_refused: counts.tracks.refused,
            boxes_unsound: counts.tracks.unsound,
            results_late: counts.late,
            rules: self
                .rules
                .iter()
                .zip(self.watch.rules())
                .map(|(rule, counts)| proof::RuleAccount {
                    name: rule.name.clone(),
                    kind: rule.kind,
                    fired: counts.fired,
                    suppressed: counts.suppressed,
                    lost: rule.lost,
                })
                .collect(),
            outputs: Vec::new(),
        }
    }

    /// Bytes of what the rules and outputs of a board need.
    pub(super) fn bytes(board: &Board) -> u64 {
        // One place of a queue stays empty.
        let queued = board
            .outputs
            .iter()
            .map(|output| queue_room(output.queue_events) as u64 + 1);
        Watch::bytes(board) + queued.sum::<u64>() * EVENT_BYTES
    }
}

impl<'a> Line<'a> {
    fn of(event: &Event, rule: &'a RuleName, camera: &'a str, label: &'a str, utc_ns: u64) -> Self {
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

    fn log(&self) {
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
