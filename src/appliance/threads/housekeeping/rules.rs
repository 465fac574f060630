//! Rules at work: results go in, and each event goes to the outputs, to the disk, to the log, and into the account.
//!
//! They run in housekeeping, not in the workers: several workers may infer the frames of one camera, and
//! tracks want them in the order of their capture. What it costs is one wake-up of that thread between
//! result and event, which stands in each event's age.

use crate::appliance::report::events::{Events, RuleAccount};
use crate::appliance::shared::event_line::EventLine;
use crate::appliance::shared::messages::EVENT_BYTES;
use crate::appliance::shared::names::Names;
use crate::appliance::threads::disk::disk::DiskOutbox;
use crate::appliance::threads::output::output::OutputOutbox;
use crate::event::{Observation, Watch, why_none};
use crate::limits::queue_room;
use crate::profile::{self, Board};
use crate::record::FrameResult;

/// The rules of a board, with who gets their events.
pub(crate) struct Rules {
    watch: Watch,
    outputs: Vec<OutputOutbox>,
    /// The profile's, each with the labels of its model: for the account at the end.
    asked: Vec<(profile::Rule, Vec<String>)>,
}

impl Rules {
    /// The rules of a board whose cameras' pictures have these sizes.
    ///
    /// # Errors
    /// The rule that refers to what the board does not have, by its place in the profile.
    pub(crate) fn new(
        board: &Board,
        sizes_px: &[(u32, u32)],
        outputs: Vec<OutputOutbox>,
    ) -> Result<Self, usize> {
        Ok(Self {
            watch: Watch::new(board, sizes_px)?,
            outputs,
            asked: board
                .rules
                .iter()
                .map(|rule| (rule.clone(), labels(board, &rule.model)))
                .collect(),
        })
    }

    /// Takes in one result, and reports what follows from it: to the outputs first, then to the disk, then to the
    /// log. Allocates nothing, and waits for none of them.
    pub(crate) fn take(
        &mut self,
        result: &FrameResult,
        names: &Names,
        (now_ns, utc_ns): (u64, u64),
        disk: &mut DiskOutbox,
    ) {
        let observation = Observation {
            camera: result.camera,
            model: result.model,
            sequence: result.sequence,
            capture_ns: result.stamps.capture_ns,
            detections: &result.detections,
        };
        let outputs = &mut self.outputs;
        self.watch.take(&observation, now_ns, |event| {
            for output in outputs.iter_mut() {
                output.report(event, utc_ns);
            }
            disk.report(event, utc_ns);
            if let Some(line) = EventLine::of(event, names, utc_ns) {
                line.log();
            }
        });
    }

    /// What became of everything, but for what files and outputs lost.
    pub(crate) fn account(&self, names: &Names) -> Events {
        let counts = self.watch.counts();
        let rules = names.rules.iter().zip(self.watch.rules()).zip(&self.asked);
        Events {
            tracks: counts.tracks.tracks,
            tracks_refused: counts.tracks.refused,
            boxes_unsound: counts.tracks.unsound,
            results_late: counts.late,
            rules: rules
                .map(|((rule, counts), (asked, labels))| RuleAccount {
                    name: rule.name.clone(),
                    kind: rule.kind,
                    fired: counts.fired,
                    suppressed: counts.suppressed,
                    lost: 0,
                    tracks: counts.tracks,
                    tracks_in_place: counts.in_place,
                    reason: why_none(asked, &counts, labels),
                })
                .collect(),
            outputs: Vec::new(),
        }
    }

    /// Bytes of what the rules and outputs of a board need.
    pub(crate) fn bytes(board: &Board) -> u64 {
        // One place of a queue stays empty.
        let queued = board
            .outputs
            .iter()
            .map(|output| queue_room(output.queue_events) as u64 + 1);
        Watch::bytes(board) + queued.sum::<u64>() * EVENT_BYTES
    }
}

/// The labels of a model.
fn labels(board: &Board, model: &str) -> Vec<String> {
    let model = board.models.iter().find(|other| other.name == model);
    model.map(|model| model.labels.clone()).unwrap_or_default()
}
