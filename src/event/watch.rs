//! All tracks and rules of a board: results go in, events come out.
//!
//! # Order
//! The results of one camera by one model are taken in the order of their frames. Several workers may
//! infer them, so a result can come after that of a later frame: it is counted as late and changes
//! nothing. Time therefore never goes back, and the events of one sequence of results are always the same.

use super::rule::{Frame, Place, Rule, RuleCounts};
use super::tracker::{Counts, Settings, Tracker};
use super::{Event, Phase};
use crate::postprocess::Detection;
use crate::profile::geometry::Point;
use crate::profile::{self, Board, RuleKind, Span};

/// One inferred frame.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Index of the camera in the profile.
    pub camera: u16,
    /// Index of the model in the profile.
    pub model: u16,
    /// Number of the frame, rising with each frame of its camera.
    pub sequence: u64,
    /// When it was captured.
    pub capture_ns: u64,
    /// What it showed.
    pub detections: &'a [Detection],
}

/// The tracks of one camera by one model.
#[derive(Debug)]
struct Followed {
    camera: u16,
    model: u16,
    tracker: Tracker,
    last_sequence: Option<u64>,
    late: u64,
    /// Its rules, by index.
    rules: Box<[u16]>,
}

/// Sums over all cameras and models that rules look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounts {
    /// What trackers did and could not do.
    pub tracks: Counts,
    /// Results that came after that of a later frame.
    pub late: u64,
}

/// What one run knows of what moves.
#[derive(Debug)]
pub struct Watch {
    followed: Box<[Followed]>,
    rules: Box<[Rule]>,
    lost_after_ns: u64,
    last_id: u64,
}

impl Watch {
    /// The rules of a board whose cameras' pictures have these sizes. A profile's places are in pixels of
    /// the size that it asks for; where a camera has another one they are stretched to it.
    ///
    /// # Errors
    /// A rule that refers to what the board does not have, by its index: boards that were read have none.
    pub fn new(board: &Board, sizes_px: &[(u32, u32)]) -> Result<Self, usize> {
        let settings = Settings::from(&board.tracker);
        let mut followed: Vec<(Followed, Vec<u16>)> = Vec::new();
        let mut rules = Vec::new();
        for (index, rule) in board.rules.iter().enumerate() {
            let found = refer(board, rule, sizes_px).zip(u16::try_from(index).ok());
            let ((camera, model, place), number) = found.ok_or(index)?;
            // `refer` has found the camera's size.
            let (width, height) = sizes_px.get(usize::from(camera)).copied().ok_or(index)?;
            #[allow(clippy::cast_precision_loss)] // at most 65535
            let size_px = [width as f32, height as f32];
            rules.push(Rule::new(rule, place, size_px));
            let of = followed
                .iter_mut()
                .find(|(of, _)| (of.camera, of.model) == (camera, model));
            match of {
                Some((_, rules)) => rules.push(number),
                None => followed.push((
                    Followed {
                        camera,
                        model,
                        tracker: Tracker::new(settings),
                        last_sequence: None,
                        late: 0,
                        rules: Box::default(),
                    },
                    vec![number],
                )),
            }
        }
        Ok(Self {
            followed: followed
                .into_iter()
                .map(|(of, rules)| Followed {
                    rules: rules.into(),
                    ..of
                })
                .collect(),
            rules: rules.into(),
            lost_after_ns: settings.lost_after_ns,
            last_id: 0,
        })
    }

    /// Takes in one result, and reports the events that follow: by rule, then by track. `now_ns` says how old
    /// they are. Allocates nothing.
    pub fn take(
        &mut self,
        observed: &Observation<'_>,
        now_ns: u64,
        mut report: impl FnMut(&Event),
    ) {
        let of = self
            .followed
            .iter_mut()
            .find(|of| (of.camera, of.model) == (observed.camera, observed.model));
        let Some(of) = of else {
            return;
        };
        if of
            .last_sequence
            .is_some_and(|last| observed.sequence <= last)
        {
            of.late += 1;
            return;
        }
        let before_ns = of.tracker.now_ns();
        let gap = of.last_sequence.is_some()
            && observed.capture_ns.saturating_sub(before_ns) > self.lost_after_ns;
        of.last_sequence = Some(observed.sequence);
        of.tracker
            .update(observed.capture_ns, observed.detections, &mut self.last_id);
        for number in &of.rules {
            let Some(rule) = self.rules.get_mut(usize::from(*number)) else {
                continue;
            };
            let event = Event {
                rule: *number,
                camera: observed.camera,
                model: observed.model,
                phase: match rule.span() {
                    Span::Moment => Phase::Once,
                    Span::State => Phase::Begin,
                },
                sequence: observed.sequence,
                capture_ns: observed.capture_ns,
                age_ns: now_ns.saturating_sub(observed.capture_ns),
                ..Event::default()
            };
            rule.look(&of.tracker, &Frame { event, gap }, &mut report);
        }
    }

    /// What became of the events of each rule, in the profile's order.
    pub fn rules(&self) -> impl Iterator<Item = RuleCounts> {
        self.rules.iter().map(|rule| rule.counts)
    }

    /// What was followed, over all cameras.
    #[must_use]
    pub fn counts(&self) -> WatchCounts {
        let mut sum = WatchCounts::default();
        for of in &self.followed {
            let counts = of.tracker.counts();
            sum.tracks.tracks += counts.tracks;
            sum.tracks.refused += counts.refused;
            sum.tracks.unsound += counts.unsound;
            sum.late += of.late;
        }
        sum
    }

    /// Bytes of what a board's rules need, at most.
    #[must_use]
    pub fn bytes(board: &Board) -> u64 {
        let rules = board.rules.len() as u64;
        // A tracker for each camera and model that a rule looks at.
        rules * (Rule::bytes() + size_of::<Followed>() as u64 + Tracker::bytes())
    }
}

/// A rule's camera and model by index, and where it looks.
fn refer(
    board: &Board,
    rule: &profile::Rule,
    sizes_px: &[(u32, u32)],
) -> Option<(u16, u16, Place)> {
    let camera = board
        .cameras
        .iter()
        .position(|camera| camera.name == rule.camera)?;
    let model = board
        .models
        .iter()
        .position(|model| model.name == rule.model)?;
    let asked = (
        &board.cameras[camera].width_px,
        &board.cameras[camera].height_px,
    );
    let found = sizes_px.get(camera)?;
    let stretch = |[x, y]: Point| {
        [
            stretched(x, *asked.0, found.0),
            stretched(y, *asked.1, found.1),
        ]
    };
    let place = match (&rule.kind, rule.kind.zone()) {
        (RuleKind::Cross { line, direction }, _) => {
            let line = board.lines.iter().find(|other| other.name == *line)?;
            Place::Line {
                from: stretch(line.from_px),
                to: stretch(line.to_px),
                direction: *direction,
            }
        }
        (_, Some(name)) => {
            let zone = board.zones.iter().find(|zone| zone.name == name)?;
            Place::Zone(zone.corners_px.iter().copied().map(stretch).collect())
        }
        (_, None) => Place::Whole,
    };
    let small = |index| u16::try_from(index).ok();
    Some((small(camera)?, small(model)?, place))
}

/// A coordinate of a picture of one size, on a picture of another.
fn stretched(value: f32, asked: u32, found: u32) -> f32 {
    if asked == found {
        return value;
    }
    #[allow(clippy::cast_possible_truncation)] // at most 8192, or what it was
    let value = (f64::from(value) * f64::from(found) / f64::from(asked.max(1))) as f32;
    value
}
