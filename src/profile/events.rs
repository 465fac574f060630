//! What a profile says about events: tracks, zones, lines, rules and outputs.

use super::geometry::Point;

/// `[tracker]`
#[derive(Clone, Debug, PartialEq)]
pub struct Tracker {
    /// Things followed at once on one camera by one model, 1..=64.
    pub max_tracks: usize,
    /// What was not seen for longer is another thing when it is seen again, 1..=600000.
    pub lost_after_ms: u64,
    /// Least overlap of a box with where its track should be, 0..=1.
    pub min_overlap: f32,
    /// From this score on a detection may begin a track, 0..=1.
    pub high_score: f32,
}

/// `[[zone]]`: a part of one camera's picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Unique among the zones.
    pub name: String,
    /// Name of its camera.
    pub camera: String,
    /// 3..=16 corners in pixels of the asked-for size: inside the picture, with an area, edges not crossing.
    pub corners_px: Vec<Point>,
}

/// `[[line]]`: a line on one camera's picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Unique among the lines.
    pub name: String,
    /// Name of its camera.
    pub camera: String,
    /// Where it begins, in pixels of the asked-for size, inside the picture.
    pub from_px: Point,
    /// Where it ends; another point.
    pub to_px: Point,
}

/// `[[rule]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Unique among the rules; stands in every event.
    pub name: String,
    /// What is told.
    pub kind: RuleKind,
    /// Name of its camera: that of its zone or line.
    pub camera: String,
    /// Name of the model whose tracks it looks at.
    pub model: String,
    /// Classes that it looks at, by index into the model's labels, ascending; empty for all.
    pub classes: Vec<usize>,
    /// Which point of a box counts.
    pub anchor: Anchor,
    /// A track counts once its best score was this, 0..=1.
    pub min_score: f32,
    /// A track counts once it is so old.
    pub min_age_ms: u64,
    /// A track is on another side only after it was there for so long.
    pub debounce_ms: u64,
    /// Shortest time from one event to the next.
    pub cool_down_ms: u64,
}

/// `kind` of a rule, with the keys that it alone has. A zone by name; none is the whole picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// A track comes into the zone, or begins there.
    Enter {
        /// The zone.
        zone: Option<String>,
    },
    /// A track goes out of the zone, or is lost there.
    Leave {
        /// The zone.
        zone: Option<String>,
    },
    /// A track stays in the zone for so long; once for each stay.
    Dwell {
        /// The zone.
        zone: Option<String>,
        /// How long.
        dwell_ms: u64,
    },
    /// A track crosses the line.
    Cross {
        /// The line.
        line: String,
        /// Which way.
        direction: Direction,
    },
    /// At least so many tracks are in the zone: told when that begins and ends.
    Count {
        /// The zone.
        zone: Option<String>,
        /// How many.
        at_least: u16,
    },
    /// A track is in the zone: told when that begins and ends.
    Presence {
        /// The zone.
        zone: Option<String>,
    },
    /// No track was in the zone for so long: told when that begins and ends.
    Absence {
        /// The zone.
        zone: Option<String>,
        /// How long.
        absent_ms: u64,
    },
}

impl RuleKind {
    /// Its word in profiles and events.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Enter { .. } => "enter",
            Self::Leave { .. } => "leave",
            Self::Dwell { .. } => "dwell",
            Self::Cross { .. } => "cross",
            Self::Count { .. } => "count",
            Self::Presence { .. } => "presence",
            Self::Absence { .. } => "absence",
        }
    }

    /// Its zone, where it has one.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        match self {
            Self::Enter { zone }
            | Self::Leave { zone }
            | Self::Dwell { zone, .. }
            | Self::Count { zone, .. }
            | Self::Presence { zone }
            | Self::Absence { zone, .. } => zone.as_deref(),
            Self::Cross { .. } => None,
        }
    }

    /// What it tells has a beginning and an end, and may be shown as a level.
    #[must_use]
    pub const fn span(&self) -> Span {
        match self {
            Self::Count { .. } | Self::Presence { .. } | Self::Absence { .. } => Span::State,
            _ => Span::Moment,
        }
    }
}

/// Whether a rule tells of moments or of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// One event.
    Moment,
    /// An event at the beginning, and one at the end.
    State,
}

/// `direction` of a rule: as one looks along the line, from its first point to its second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Either way.
    Both,
    /// From the right to the left.
    ToLeft,
    /// From the left to the right.
    ToRight,
}

/// `anchor` of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The middle of the box's lower edge: where somebody stands.
    Bottom,
    /// The middle of the box.
    Centre,
}
