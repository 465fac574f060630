//! Output tensors into detections in the camera's pixels: decoders and suppression.
//!
//! Answers for: what the model's numbers mean, and which of several boxes for one thing is kept. Does not
//! answer for: what a detection means over time (`event`).
//!
//! A [`Decoder`] is made once, at arming, and checked against the model's tensors. After that it
//! allocates nothing, and what it cannot use it counts.

mod blazeface;
mod classify;
mod decoder;
mod detection;
mod nms;
mod output_reader;
mod raw;
mod settings;
mod ssd;
mod summary;
#[cfg(test)]
mod tests;
mod thresholds;
mod values;
mod yolo;

pub use decoder::Decoder;
pub use detection::{Detection, Detections};
pub use nms::merge;
pub use output_reader::{DecodeError, DecodeStats, DecoderError};
pub use settings::Settings;
pub use summary::{MAX_RANK, Summaries, Summary};
