//! `[tracker]`: how detections become tracks.

use super::reader::Table;
use super::reader::values::{share, whole};
use crate::limits::MAX_TRACKS;

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

pub fn read(t: &mut Table<'_>) -> Tracker {
    Tracker {
        max_tracks: t.or("max-tracks", whole(1..=MAX_TRACKS, "tracks"), "32"),
        lost_after_ms: t.or("lost-after-ms", whole(1..=600_000, "ms"), "1000"),
        min_overlap: t.or("min-overlap", share("overlap"), "0.2"),
        high_score: t.or("high-score", share("score"), "0.5"),
    }
}
