//! Detections over time into events: tracks, zones and lines, and rules over them.
//!
//! Answers for: which detections of successive frames are one thing, and what of its way is worth an event.
//! Does not answer for: what a detection is (`postprocess`), or who gets its events (`appliance`). Knows no clock:
//! time is the capture stamp of the frames that were inferred. While a camera gives no frames, nothing is
//! known, and nothing is reported.
//!
//! ```text
//! detections ─ assign ─► tracks (kalman) ─► rules: zone or line, debounce, cool-down ─► events
//! ```

mod assign;
mod kalman;
pub mod output;
mod rule;
mod tracker;
#[cfg(test)]
mod tracker_tests;
mod unfired;
mod watch;
#[cfg(test)]
mod watch_tests;

pub use kalman::Bounds;
pub use rule::RuleCounts;
pub use tracker::{Counts, Gone, Settings, Track, Tracker};
pub use unfired::why_none;
pub use watch::{Observation, Watch, WatchCounts};

use crate::profile::Direction;

/// Whether something happened at once, or begins, or ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It has no length.
    #[default]
    Once,
    /// From now on.
    Begin,
    /// Until now.
    End,
}

impl Phase {
    /// Its word in event lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Begin => "begin",
            Self::End => "end",
        }
    }
}

/// What a rule reports. Small and `Copy`: it is handed to every output by value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Event {
    /// Index of the rule in the profile.
    pub rule: u16,
    /// Index of the camera.
    pub camera: u16,
    /// Index of the model, whose labels name the class.
    pub model: u16,
    /// At once, or one end of a state.
    pub phase: Phase,
    /// Number of the track; 0 where no single one is meant.
    pub track: u64,
    /// Class of the track; of no meaning without one.
    pub class: u16,
    /// Tracks in the zone, this one included.
    pub members: u16,
    /// Where the track's anchor was seen in this frame.
    pub at_px: Option<[f32; 2]>,
    /// Which way a line was crossed.
    pub direction: Option<Direction>,
    /// Number of the frame that showed it.
    pub sequence: u64,
    /// When that was captured.
    pub capture_ns: u64,
    /// From then to the decision.
    pub age_ns: u64,
}
