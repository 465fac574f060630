//! The files themselves, with the names that stand in their lines.

use super::disk::{Open, Sink, Written, shows};
use crate::appliance::prepare::files::Files;
use crate::appliance::prepare::line_file::{LineFile, Shown};
use crate::appliance::prepare::look::{Change, Look};
use crate::appliance::shared::event_line::EventLine;
use crate::appliance::shared::messages::Reported;
use crate::appliance::shared::names::Names;
use crate::record::{Drift, FrameResult, Recording};
use crate::sync::Arc;
use crate::sys::io::output_file::Target;
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
            Written::Recording => {
                let recording = files.recording.as_mut();
                return recording.map_or(Look::Same, look_at);
            }
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

/// Looks at a recording, and mends it or makes it anew.
fn look_at(recording: &mut Recording) -> Look {
    let change = match recording.drift() {
        Ok(None) => return Look::Same,
        Ok(Some(Drift::Vanished)) => Change::Vanished,
        Ok(Some(Drift::Replaced)) => Change::Replaced,
        Ok(Some(Drift::Truncated)) => Change::Truncated,
        Err(error) => return Look::Astray(Change::Vanished, Box::new(error)),
    };
    let mended = if change == Change::Truncated {
        recording.mend()
    } else {
        // A link that somebody put there may lead to what is not to be written.
        if let Err(error) = Target::of(recording.path()) {
            return Look::Astray(change, Box::new(error));
        }
        recording.renew()
    };
    match mended {
        Ok(()) => Look::Renewed(change),
        Err(error) => Look::Astray(change, Box::new(error)),
    }
}
