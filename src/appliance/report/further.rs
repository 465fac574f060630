//! What models did that inferred frames after the workers' own.

use super::words::{write_line, write_times};
use crate::latency::Summary;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::{self, Formatter};

/// One further model of one worker. Times are nanoseconds.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
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
    /// From a box to its tensor, nanoseconds; of the whole picture that is part of the frame's own preprocessing.
    pub preprocess_ns: Summary,
    /// Each inference, nanoseconds.
    pub invoke_ns: Summary,
    /// Each decoding, nanoseconds.
    pub postprocess_ns: Summary,
    /// From capture to this model's result of the frame, nanoseconds.
    pub capture_to_result_ns: Summary,
}

impl Further {
    pub(crate) fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let boxes = if self.boxes + self.boxes_left_out + self.boxes_unseen > 0 {
            format!(
                ", {} boxes, {} left out, {} unseen",
                self.boxes, self.boxes_left_out, self.boxes_unseen
            )
        } else {
            String::new()
        };
        let (model, worker) = (&self.model, &self.worker);
        let (frames, failed) = (self.frames, self.failed);
        write_line(
            f,
            2,
            format_args!("{model} by {worker}: {frames} frames{boxes}, {failed} failed"),
        )?;
        if self.preprocess_ns.count > 0 {
            write_times(f, "  preprocess", &self.preprocess_ns)?;
        }
        write_times(f, "  invoke", &self.invoke_ns)?;
        write_times(f, "  postprocess", &self.postprocess_ns)?;
        write_times(f, "  capture to result", &self.capture_to_result_ns)
    }
}
