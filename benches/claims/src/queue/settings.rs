//! What is measured, and the arguments that say so.

use super::camera::Phases;
use super::design::Design;
use crate::error::BenchError;
use pinsight::units::NS_PER_S;
use std::path::PathBuf;

/// Arguments of `pinsight-bench queue`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Cameras, 1 to 64
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=64))]
    cameras: u64,
    /// Frames a second of each camera
    #[arg(long, default_value_t = 30.0)]
    fps: f64,
    /// When the cameras have their frames
    #[arg(long, value_enum, default_value_t)]
    phases: Phases,
    /// Bytes of one frame; the default is 1080p NV12
    #[arg(long, default_value_t = 1920 * 1080 * 3 / 2)]
    frame_bytes: usize,
    /// Milliseconds that the consumer sleeps for each frame, in place of a model
    #[arg(long, default_value_t = 28.57)]
    service_ms: f64,
    /// A TensorFlow Lite model that the consumer runs for each frame instead, on XNNPACK
    #[arg(long, value_name = "FILE.tflite", conflicts_with = "service_ms")]
    model: Option<PathBuf>,
    /// Measured seconds of each design
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Designs, in this order
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = Design::parse)]
    designs: Vec<Design>,
}

impl Arguments {
    /// # Errors
    /// A time that is out of bounds.
    pub(crate) fn settings(&self) -> Result<Settings, BenchError> {
        Ok(Settings {
            cameras: usize::try_from(self.cameras).unwrap_or(usize::MAX),
            interval_ns: time_ns("fps", self.fps, 1e9 / self.fps)?,
            phases: self.phases,
            frame_bytes: self.frame_bytes,
            service_ns: time_ns("service-ms", self.service_ms, self.service_ms * 1e6)?,
            model: self.model.clone(),
            seconds: self.seconds,
            designs: if self.designs.is_empty() {
                Design::ALL.to_vec()
            } else {
                self.designs.clone()
            },
        })
    }
}

/// The time `ns` that `value` of an argument stands for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked: above 0, at most an hour"
)]
fn time_ns(argument: &str, value: f64, ns: f64) -> Result<u64, BenchError> {
    if (1e3..=3.6e12).contains(&ns) {
        Ok(ns as u64)
    } else {
        Err(BenchError::Setting(format!(
            "--{argument} {value}: expected 1 us to 1 hour"
        )))
    }
}

/// What is measured.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Cameras, 1 to 64.
    pub(super) cameras: usize,
    /// Time between two frames of one camera.
    pub(super) interval_ns: u64,
    /// When they have their frames.
    pub(super) phases: Phases,
    /// Bytes of one frame.
    pub(super) frame_bytes: usize,
    /// Time that the consumer needs for one frame: it sleeps so long where no model is named.
    pub(super) service_ns: u64,
    /// A model that the consumer runs for each frame instead. `service_ns` is then measured.
    pub(super) model: Option<PathBuf>,
    /// Measured time of each design; its warm-up comes before.
    pub(super) seconds: u64,
    /// The designs, in order.
    pub(super) designs: Vec<Design>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cameras: 8,
            interval_ns: NS_PER_S / 30,
            phases: Phases::default(),
            frame_bytes: 1920 * 1080 * 3 / 2,
            service_ns: 28_570_000,
            model: None,
            seconds: 10,
            designs: Design::ALL.to_vec(),
        }
    }
}

impl Settings {
    /// The consumer's time, and the mean time between two frames of any camera.
    pub(super) fn limit_ns(&self) -> u64 {
        self.service_ns + self.interval_ns / self.cameras as u64
    }

    /// Time from one result of a camera to its next when all are served alike: the consumer's time for
    /// each of them, or their interval when the consumer is faster.
    pub(super) fn fair_gap_ns(&self) -> u64 {
        (self.cameras as u64 * self.service_ns).max(self.interval_ns)
    }

    /// Long enough for the longest queue to fill and for its first frames to leave again.
    pub(super) fn warm_up_ns(&self, design: Design) -> u64 {
        let waiting = (design.capacity() + self.cameras + 2) as u64;
        NS_PER_S / 2 + waiting * self.service_ns
    }
}

#[cfg(test)]
mod tests {
    use super::time_ns;

    #[test]
    fn a_time_out_of_bounds_is_refused_as_it_was_given() {
        assert_eq!(time_ns("fps", 25.0, 1e9 / 25.0).unwrap(), 40_000_000);
        for fps in [0.0, -1.0, f64::NAN, 1e-7, 1e7] {
            let error = time_ns("fps", fps, 1e9 / fps).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--fps {fps}:")), "{error}");
        }
    }
}
