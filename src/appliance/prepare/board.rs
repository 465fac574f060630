//! A board prepared: everything that its threads are made of.

use super::cameras::replace_by_stream;
use super::files::Files;
use super::fit::Fitted;
use super::format::describe;
use super::jpeg::check_arena;
use super::late_camera::Wanted;
use super::memory::{Allocated, Arenas, Lane, allocate};
use crate::appliance::exit::Failure;
use crate::appliance::shared::names::Names;
use crate::appliance::shared::options::Options;
use crate::capture::FrameSource as _;
use crate::resources::budget::Total;
use crate::sync::Arc;

/// What a run is started with.
pub(crate) struct Prepared {
    pub(crate) fitted: Fitted,
    pub(crate) names: Arc<Names>,
    pub(crate) files: Files,
    /// By camera.
    pub(crate) lanes: Vec<Lane>,
    pub(crate) arenas: Arenas,
    /// What was granted less than asked for.
    pub(crate) warnings: Vec<String>,
    /// Cameras that are missing.
    pub(crate) wanted: Vec<Wanted>,
}

/// Makes everything that the board needs, but for its threads.
///
/// # Errors
/// What cannot be had.
pub(crate) fn prepare(mut fitted: Fitted, options: &Options) -> Result<Prepared, Failure> {
    if let Some(feed) = &options.camera {
        replace_by_stream(&mut fitted.board, feed.clone())?;
    }
    if let Some(refusal) = fitted.refusal() {
        return Err(refusal);
    }
    let names = Arc::new(Names::of(&fitted.board));
    // Before cameras and memory: a disk that is missing is known at once.
    let files = Files::open(&fitted.board, &names, options)?;
    let Allocated {
        fitted,
        lanes,
        arenas,
        mut warnings,
        wanted,
    } = allocate(fitted, options, Fitted::refusal)?;
    let formats = lanes.iter().map(|lane| lane.source.format());
    let cameras = names.cameras.iter().map(String::as_str);
    check_arena(&fitted.board, cameras.zip(formats))?;
    log::info!("{}", Total(&fitted.budget));
    if let Some(plan) = &options.faults {
        warnings.push(format!("faults are on, as asked for: --faults {plan}"));
    }
    for (lane, name) in lanes.iter().zip(&names.cameras) {
        let format = describe(&lane.source.format());
        log::info!("camera {name}: {format} by {}", lane.io);
    }
    for warning in &warnings {
        log::warn!("{warning}");
    }
    Ok(Prepared {
        fitted,
        names,
        files,
        lanes,
        arenas,
        warnings,
        wanted,
    })
}
