//! What the consumer does with a frame: it sleeps, as one waits for an accelerator, or runs a model.

use super::Settings;
use crate::bench::report::BenchError;
use crate::infer::Engine as _;
use crate::profile::Delegate;
use crate::sys::clock::now_ns;
use crate::sys::tflite::{self, ModelFile, TfliteEngine};
use crate::sys::usage::sleep_until;
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// Runs of which the median is taken.
const RUNS: usize = 21;

/// The consumer's work on one frame.
pub(super) enum Service {
    /// Sleeps so many nanoseconds.
    Sleep(u64),
    /// Runs a model; its input is left as it is.
    Model(Box<TfliteEngine>),
}

impl Service {
    /// On the thread that will serve.
    pub(super) fn new(settings: &Settings) -> Result<Self, BenchError> {
        match &settings.model {
            None => Ok(Self::Sleep(settings.service_ns)),
            Some(path) => engine(path).map(|engine| Self::Model(Box::new(engine))),
        }
    }

    pub(super) fn serve(&mut self) {
        match self {
            Self::Sleep(time_ns) => sleep_until(now_ns() + *time_ns),
            // It ran before it was measured: a failure later on would show as results that come too soon.
            Self::Model(engine) => drop(engine.invoke()),
        }
    }
}

fn engine(path: &Path) -> Result<TfliteEngine, BenchError> {
    let refused = |reason: String| BenchError::File {
        path: path.to_owned(),
        reason,
    };
    let bytes = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    let sha256 = Sha256::digest(&bytes).into();
    let settings = tflite::Settings {
        threads: 1,
        delegate: Delegate::Xnnpack,
    };
    let built = ModelFile::read(path, &sha256)
        .and_then(|file| TfliteEngine::build(file, settings))
        .map_err(|error| refused(error.to_string()))?;
    Ok(built)
}

/// The model's own time: the median of some runs.
pub(super) fn alone_ns(path: &Path) -> Result<u64, BenchError> {
    let mut engine = engine(path)?;
    let mut times_ns = [0; RUNS];
    for time_ns in &mut times_ns {
        let begun_ns = now_ns();
        engine.invoke().map_err(BenchError::machine)?;
        *time_ns = now_ns() - begun_ns;
    }
    times_ns.sort_unstable();
    Ok(times_ns[RUNS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_not_there_is_named() {
        let error = alone_ns(Path::new("/no/such.tflite")).unwrap_err();
        assert!(error.to_string().contains("/no/such.tflite"), "{error}");
    }

    #[test]
    fn a_model_is_run_for_each_frame() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join(".cache/models/face_detection_short_range.tflite");
        let service_ns = alone_ns(&path).unwrap();
        assert!(service_ns > 0);
        let settings = Settings {
            cameras: 2,
            frame_bytes: 64,
            service_ns,
            seconds: 1,
            designs: vec![super::super::Design::Ring],
            model: Some(path.clone()),
            ..Settings::default()
        };
        let report = super::super::run(&settings, |_| ()).unwrap();
        assert!(report.to_string().contains(path.to_str().unwrap()));
    }
}
