//! What was inferred, as fixed-size records, and the file that keeps the last of them.
//!
//! Answers for: the record's layout, the file's layout, and what is still readable after a power cut at
//! any byte. Does not answer for: where the file lives or when it is synced.

mod cells;
mod header;
mod layout;
mod reading;
mod recording;
mod result;
#[cfg(test)]
mod tests;

pub use header::HeaderState;
pub use layout::{FileHeader, RECORD_BYTES};
pub use reading::{Index, ReadError, Reading, Summary};
pub use recording::{Drift, Origin, Recording, RecordingError, siblings};
pub use result::{
    ArchivedRecordedDetection, ArchivedResultRecord, FrameResult, RECORDED_DETECTIONS,
    RecordedDetection, ResultRecord, Run,
};
