//! What the consumer does with a frame: it sleeps, as one waits for an accelerator, or runs a model.

use super::settings::Settings;
use crate::error::BenchError;
use crate::harness::usage::sleep_until;
use pinsight::infer::Engine as _;
use pinsight::profile::Delegate;
use pinsight::sys::clock::now_ns;
use pinsight::sys::tflite::{self, ModelFile, TfliteEngine};
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// Runs of which the median is taken.
const RUNS: usize = 21;

/// The consumer's work on one frame.
pub(crate) enum Service {
    /// Sleeps so many nanoseconds.
    Sleep(u64),
    /// Runs a model; its input is left as it is.
    Model(Box<TfliteEngine>),
}

impl Service {
    /// On the thread that will serve.
    pub(crate) fn new(settings: &Settings) -> Result<Self, BenchError> {
        match &settings.model {
            None => Ok(Self::Sleep(settings.service_ns)),
            Some(path) => engine(path).map(|engine| Self::Model(Box::new(engine))),
        }
    }

    pub(crate) fn serve(&mut self) {
        match self {
            Self::Sleep(time_ns) => sleep_until(now_ns() + *time_ns),
            // It ran before it was measured: a failure later on would show as results that come too soon.
            Self::Model(engine) => drop(engine.invoke()),
        }
    }
}

fn engine(path: &Path) -> Result<TfliteEngine, BenchError> {
    let bytes = std::fs::read(path).map_err(|error| BenchError::file(path, error))?;
    let sha256 = Sha256::digest(&bytes).into();
    let settings = tflite::Settings {
        threads: 1,
        delegate: Delegate::Xnnpack,
    };
    let built = ModelFile::read(path, &sha256)
        .and_then(|file| TfliteEngine::build(file, settings))
        .map_err(|error| BenchError::file(path, error))?;
    Ok(built)
}

/// The model's own time: the median of some runs.
pub(crate) fn alone_ns(path: &Path) -> Result<u64, BenchError> {
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
}
