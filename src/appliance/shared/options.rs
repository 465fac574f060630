//! What one run is asked for.

use crate::capture::faults::FaultPlan;
use crate::profile::Feed;
use std::path::PathBuf;

/// What one run is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The profile.
    pub board: PathBuf,
    /// End after so many seconds of watching.
    pub seconds: Option<u64>,
    /// End after so many results.
    pub frames: Option<u64>,
    /// Where the proof will go; `-` is standard output. It is not written here, and named so that nothing else is.
    pub proof: Option<PathBuf>,
    /// Where results go, a JSON line each; `-` is standard output.
    pub results: Option<PathBuf>,
    /// Where the events of rules go, a JSON line each; `-` is standard output.
    pub events: Option<PathBuf>,
    /// Where the recording goes.
    pub record: Option<PathBuf>,
    /// A Y4M or JPEG stream in the place of the only camera.
    pub camera: Option<Feed>,
    /// Faults that every camera is wrapped in.
    pub faults: Option<FaultPlan>,
}
