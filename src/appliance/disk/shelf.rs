//! The files themselves, with the names that stand in their lines.

use super::{Shelve, Written, shows};
use crate::appliance::alerts::Rules;
use crate::appliance::files::Files;
use crate::appliance::lines::Shown;
use crate::appliance::messages::Told;
use crate::appliance::names::Names;
use crate::record::FrameResult;
use crate::sync::Arc;
use std::io::Error;

/// The files of a run.
pub(in crate::appliance) struct Shelf {
    files: Files,
    names: Names,
    rules: Arc<Rules>,
}

impl Shelf {
    /// With the names of the same board.
    pub(in crate::appliance) const fn new(files: Files, names: Names, rules: Arc<Rules>) -> Self {
        Self {
            files,
            names,
            rules,
        }
    }

    /// Which files there are, as [`Written`] numbers them.
    pub(in crate::appliance) const fn open(&self) -> [bool; Written::ALL.len()] {
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
