//! Rules at work: results go in, and each event goes to the outputs, to the disk, to the log, and into the account.
//!
//! It runs in housekeeping, not in the workers: several workers may judge the frames of one camera, and
//! tracks want them in the order of their capture. What it costs is one wake-up of that thread between
//! result and event, which stands in each event's age.

pub(crate) use crate::appliance::shared::event_line::Rules;

use crate::appliance::report::proof;
use crate::appliance::shared::messages::EVENT_BYTES;
use crate::appliance::shared::names::Names;
use crate::appliance::threads::disk::disk::Feeder;
use crate::appliance::threads::output::output::Teller;
use crate::event::{Event, Judged, Watch};
use crate::limits::queue_room;
use crate::profile::Board;
use crate::record::FrameResult;
use crate::sync::Arc;

/// The rules of a board, with who is told.
pub(crate) struct Alerts {
    watch: Watch,
    rules: Arc<Rules>,
    outputs: Vec<Teller>,
    last: Option<Event>,
}

impl Alerts {
    /// The rules of a board whose cameras' pictures have these sizes.
    ///
    /// # Errors
    /// The rule that refers to what the board does not have, by name.
    pub(crate) fn new(
        board: &Board,
        sizes_px: &[(u32, u32)],
        outputs: Vec<Teller>,
    ) -> Result<Self, String> {
        let name_of = |index: usize| board.rules.get(index).map(|rule| rule.name.clone());
        Ok(Self {
            watch: Watch::new(board, sizes_px).map_err(|rule| name_of(rule).unwrap_or_default())?,
            rules: Arc::new(Rules::of(board)),
            outputs,
            last: None,
        })
    }

    /// The rules as they are told of.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules)
    }

    /// Takes in one result, and tells what follows from it: the outputs first, then the disk, then the log.
    /// Allocates nothing, and waits for none of them. `said` is called before the first line of the log.
    pub(crate) fn take(
        &mut self,
        result: &FrameResult,
        names: &Names,
        (now_ns, utc_ns): (u64, u64),
        disk: &mut Feeder,
        mut said: impl FnMut(),
    ) {
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
            outputs,
            last,
        } = self;
        watch.take(&judged, now_ns, |event| {
            for output in outputs.iter_mut() {
                output.tell(event, utc_ns);
            }
            disk.tell(event, utc_ns);
            if let Some(line) = rules.line(event, names, utc_ns) {
                said();
                line.log();
            }
            *last = Some(*event);
        });
    }

    /// Name of the rule of the newest event.
    pub(crate) fn last_rule(&self) -> Option<&str> {
        let rule = self.rules.get(self.last?.rule)?;
        Some(&rule.name)
    }

    /// What became of everything, but for what files and outputs lost.
    pub(crate) fn account(&self) -> proof::Events {
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
                    lost: 0,
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
