//! The files that a run writes while it watches, opened before anything else is.

use super::line_file::LineFile;
use super::own_files::each_its_own;
use crate::appliance::exit::{Exit, Failure};
use crate::appliance::shared::names::Names;
use crate::appliance::shared::options::Options;
use crate::profile::Board;
use crate::record::{FileHeader, RECORD_BYTES, Recording};
use crate::sys::clock::boot_id;
use crate::sys::io::output_file::{OpenError, Target};
use std::path::Path;

/// What the disk's thread writes to.
#[derive(Debug)]
pub(crate) struct Files {
    /// Of results.
    pub(crate) results: Option<LineFile>,
    /// Of the events of rules.
    pub(crate) events: Option<LineFile>,
    pub(crate) recording: Option<Recording>,
}

impl Files {
    /// Opens what `options` name; with several refusals, the first one's words. What two of them would write, or one
    /// of them that the profile needs, is refused, and nothing is written yet.
    pub(crate) fn open(board: &Board, names: &Names, options: &Options) -> Result<Self, Failure> {
        let mut files = Self {
            results: line_file(options.results.as_deref(), "results")?,
            events: line_file(options.events.as_deref(), "events")?,
            recording: None,
        };
        if let Err(refusal) = each_its_own(options, Some(board)) {
            let lines = [&files.results, &files.events];
            lines.into_iter().flatten().for_each(LineFile::unmake);
            return Err(refusal);
        }
        if files.events.is_some() && board.rules.is_empty() {
            log::warn!("--events: the board has no [[rule]], so there will be no events");
        }
        if let Some(path) = &options.record {
            let found = Target::of(path).map_err(|error| refused("recording", path, &error))?;
            let header = header(board, names);
            let opened = Recording::open(&found.path, &header, boot_id().unwrap_or(0));
            let (recording, origin) = opened.map_err(|error| Failure::new(Exit::Storage, error))?;
            log::info!("recording {}: {origin}", path.display());
            files.recording = Some(recording);
            // What was absent on a file system that takes two names for one is there now.
            each_its_own(options, Some(board))?;
        }
        Ok(files)
    }
}

/// Opens a file of JSON lines, if one is named.
fn line_file(path: Option<&Path>, what: &str) -> Result<Option<LineFile>, Failure> {
    let open = |path: &Path| LineFile::open(path).map_err(|error| refused(what, path, &error));
    path.map(open).transpose()
}

fn refused(what: &str, path: &Path, error: &OpenError) -> Failure {
    let (path, advice) = (path.display(), error.advice());
    Failure::new(Exit::Storage, format!("{what} {path}: {error}; {advice}"))
}

/// What the indices in the board's records mean.
fn header(board: &Board, names: &Names) -> FileHeader {
    FileHeader {
        board: board.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cameras: names.cameras.clone(),
        models: names.models.clone(),
        labels: names.labels.clone(),
        capacity: board.housekeeping.record_results,
        record_bytes: RECORD_BYTES as u64,
        capture_time: true,
    }
}
