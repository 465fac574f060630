//! The files themselves, with the names that stand in their lines.

use super::disk::{Open, Sink, Written, shows};
use crate::appliance::prepare::files::Files;
use crate::appliance::prepare::line_file::{LineFile, Shown};
use crate::appliance::prepare::look::Look;
use crate::appliance::shared::event_line::EventLine;
use crate::appliance::shared::messages::Reported;
use crate::appliance::shared::names::Names;
use crate::record::FrameResult;
use crate::sync::Arc;
use std::io::Error;

/// The files of a run.
pub(crate) struct FileSink {
    pub(crate) files: Files,
    pub(crate) names: Arc<Names>,
}

impl FileSink {
    /// Which files there are.
    pub(crate) const fn open(&self) -> Open {
        let files = &self.files;
        [
            files.recording.is_some(),
            files.results.is_some(),
            files.events.is_some(),
        ]
    }
}

impl Sink for FileSink {
    fn record(&mut self, result: &FrameResult, utc_ns: u64) -> Option<Result<(), Error>> {
        let recording = self.files.recording.as_mut()?;
        Some(recording.append(result, utc_ns))
    }

    fn result_line(&mut self, result: &FrameResult, utc_ns: u64) -> Option<Result<(), Error>> {
        let file = self.files.results.as_mut().filter(|_| shows(result))?;
        let shown = Shown {
            camera: self.names.camera(result.camera),
            model: self.names.model(result.model),
            labels: self.names.labels(result.model),
        };
        Some(file.write(result, shown, utc_ns))
    }

    fn event_line(&mut self, reported: &Reported) -> Option<Result<(), Error>> {
        let file = self.files.events.as_mut()?;
        let line = EventLine::of(&reported.event, &self.names, reported.utc_ns)?;
        Some(file.put_line(&line))
    }

    fn look(&mut self, file: Written) -> Look {
        let files = &mut self.files;
        let lines = match file {
            Written::Recording => return Look::Same,
            Written::Results => &mut files.results,
            Written::Events => &mut files.events,
        };
        lines.as_mut().map_or(Look::Same, LineFile::look)
    }

    fn sync(&self) -> Result<(), Error> {
        let recording = self.files.recording.as_ref();
        recording.map_or(Ok(()), |recording| recording.sync())
    }
}
