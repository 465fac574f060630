//! The files themselves, with the names that stand in their lines.

use crate::appliance::prepare::files::Files;
use crate::appliance::prepare::line_file::Shown;
use crate::appliance::shared::messages::Told;
use crate::appliance::shared::names::Names;
use crate::appliance::threads::disk::disk::{Shelve, Written, shows};
use crate::appliance::threads::housekeeping::rules::Rules;
use crate::record::FrameResult;
use crate::sync::Arc;
use std::io::Error;

/// The files of a run.
pub(crate) struct Shelf {
    files: Files,
    names: Names,
    rules: Arc<Rules>,
}

impl Shelf {
    /// With the names of the same board.
    pub(crate) const fn new(files: Files, names: Names, rules: Arc<Rules>) -> Self {
        Self {
            files,
            names,
            rules,
        }
    }

    /// Which files there are, as [`Written`] numbers them.
    pub(crate) const fn open(&self) -> [bool; Written::ALL.len()] {
        let files = &self.files;
        [
            files.recording.is_some(),
            files.results.is_some(),
            files.events.is_some(),
        ]
    }
}

impl Shelve for Shelf {
    fn record(&mut self, result: &FrameResult, utc_ns: u64) -> Option<Result<(), Error>> {
        let recording = self.files.recording.as_mut()?;
        Some(recording.append(result, utc_ns))
    }

    fn list(&mut self, result: &FrameResult, utc_ns: u64) -> Option<Result<(), Error>> {
        let file = self.files.results.as_mut().filter(|_| shows(result))?;
        let shown = Shown {
            camera: self.names.camera(result.camera),
            model: self.names.model(result.model),
            labels: self.names.labels(result.model),
        };
        Some(file.write(result, shown, utc_ns))
    }

    fn tell(&mut self, told: &Told) -> Option<Result<(), Error>> {
        let file = self.files.events.as_mut()?;
        let line = self.rules.line(&told.event, &self.names, told.utc_ns)?;
        Some(file.put_line(&line))
    }

    fn sync(&self) -> Result<(), Error> {
        match &self.files.recording {
            Some(recording) => recording.sync(),
            None => Ok(()),
        }
    }
}
