//! What models did that inferred frames after the workers' own.

use super::words::write_times;
use crate::latency::Summary;
use serde::Serialize;
use std::fmt::{self, Formatter};

/// One further model of one worker. Times are nanoseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Further {
    /// The model.
    pub model: String,
    /// Its worker.
    pub worker: String,
    /// Frames that it gave a result of.
    pub frames: u64,
    /// Frames that it gave none of: it failed, or ran past its `invoke-deadline-ms`.
    pub failed: u64,
    /// Boxes that it looked into.
    pub boxes: u64,
    /// Boxes beyond `within-boxes`, which it did not look into.
    pub boxes_left_out: u64,
    /// Boxes that show nothing of what the camera's view shows.
    pub boxes_unseen: u64,
    /// From a box to its tensor; of the whole picture that is part of the frame's own preprocessing.
    pub preprocess_ns: Summary,
    /// Each inference.
    pub invoke_ns: Summary,
    /// Each decoding.
    pub postprocess_ns: Summary,
    /// From capture to this model's result of the frame.
    pub capture_to_result_ns: Summary,
}

impl Further {
    pub(crate) fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  {} by {}: {} frames",
            self.model, self.worker, self.frames
        )?;
        if self.boxes + self.boxes_left_out + self.boxes_unseen > 0 {
            write!(
                f,
                ", {} boxes, {} left out, {} unseen",
                self.boxes, self.boxes_left_out, self.boxes_unseen
            )?;
        }
        writeln!(f, ", {} failed", self.failed)?;
        if self.preprocess_ns.count > 0 {
            write_times(f, "  preprocess", &self.preprocess_ns)?;
        }
        write_times(f, "  invoke", &self.invoke_ns)?;
        write_times(f, "  postprocess", &self.postprocess_ns)?;
        write_times(f, "  capture to result", &self.capture_to_result_ns)
    }
}
