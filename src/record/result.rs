//! One inferred frame by one model: as it travels between threads, and as it lies on disk.

use crate::latency::Stamps;
use crate::postprocess::{Detection, Detections, Summaries};

/// Detections kept in one record; the strongest ones. `detections_total` says how many there were.
pub const RECORDED_DETECTIONS: usize = 12;

/// What one model made of one frame, handed from a worker to housekeeping by value.
#[derive(Clone, Debug, Default)]
pub struct FrameResult {
    /// Index of the camera in the profile.
    pub camera: u16,
    /// Index of the worker in the profile.
    pub worker: u16,
    /// Index of the model in the profile.
    pub model: u16,
    /// 0 for the worker's own model, n for the n-th of those that infer a frame after it.
    pub step: u16,
    /// Frame number since the program started, counted by the capture thread.
    pub sequence: u64,
    /// The driver's own sequence number.
    pub driver_sequence: u32,
    /// Its way. Of a further model: from the lease on, its own turn.
    pub stamps: Stamps,
    /// What it showed, strongest first.
    pub detections: Detections,
    /// What the outputs held, where nothing more is known of them (`decoder = "raw"`).
    pub summaries: Summaries,
}

/// A detection on disk: 14 bytes. Coordinates saturate at the type's ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Clone, Copy, Debug))]
pub struct RecordedDetection {
    /// Class index into the model's labels in the file's header.
    pub class: u16,
    /// [`Detection::within`].
    pub within: u16,
    /// Confidence, in 1/65535.
    pub score_65535: u16,
    /// Left edge in pixels of the camera's picture.
    pub x_px: i16,
    /// Upper edge.
    pub y_px: i16,
    /// Width.
    pub width_px: u16,
    /// Height.
    pub height_px: u16,
}

/// What tells the records of one run of the program from those of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Counts the runs that wrote into the file, from 1.
    pub number: u32,
    /// The boot of the machine: another number, another boot. 0 where it is not known.
    pub boot: u64,
}

/// What one model made of one frame, on disk.
#[derive(Clone, Debug, Default, PartialEq, rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Clone, Copy, Debug))]
pub struct ResultRecord {
    /// Record number since the file was made; newer records are larger.
    pub number: u64,
    /// Frame number since the program started.
    pub sequence: u64,
    /// CLOCK_REALTIME of the capture, in nanoseconds since 1970; of the result in files of earlier versions
    /// ([`super::FileHeader::capture_time`]).
    pub utc_ns: u64,
    /// CLOCK_MONOTONIC of the driver's capture stamp: to be compared within one boot.
    pub capture_ns: u64,
    /// [`Run::boot`].
    pub boot: u64,
    /// Nanoseconds from capture to dequeue, lease, tensor, end of the model, result.
    pub since_capture_ns: [u64; 5],
    /// [`Run::number`].
    pub run: u32,
    /// The driver's own sequence number.
    pub driver_sequence: u32,
    /// Index of the camera in the file's header.
    pub camera: u16,
    /// Index of the worker.
    pub worker: u16,
    /// Index of the model in the file's header.
    pub model: u16,
    /// [`FrameResult::step`].
    pub step: u16,
    /// Detections that the frame gave.
    pub detections_total: u16,
    /// The strongest of them.
    pub detections: [RecordedDetection; RECORDED_DETECTIONS],
}

/// `value` as a whole number within the type's range. NaN becomes 0.
#[allow(clippy::cast_possible_truncation)] // clamped just before
fn pixels_i16(value: f32) -> i16 {
    value
        .round()
        .clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped just before
fn pixels_u16(value: f32) -> u16 {
    value.round().clamp(0.0, f32::from(u16::MAX)) as u16
}

impl From<&Detection> for RecordedDetection {
    fn from(seen: &Detection) -> Self {
        Self {
            class: seen.class,
            within: seen.within,
            score_65535: pixels_u16(seen.score * f32::from(u16::MAX)),
            x_px: pixels_i16(seen.x_px),
            y_px: pixels_i16(seen.y_px),
            width_px: pixels_u16(seen.width_px),
            height_px: pixels_u16(seen.height_px),
        }
    }
}

impl ResultRecord {
    /// The record of one result.
    #[must_use]
    pub fn of(result: &FrameResult, run: Run, number: u64, utc_ns: u64) -> Self {
        let stamps = &result.stamps;
        let since = |stamp_ns: u64| stamp_ns.saturating_sub(stamps.capture_ns);
        let mut detections = [RecordedDetection::default(); RECORDED_DETECTIONS];
        for (kept, seen) in detections.iter_mut().zip(&result.detections) {
            *kept = seen.into();
        }
        Self {
            number,
            sequence: result.sequence,
            utc_ns,
            capture_ns: stamps.capture_ns,
            boot: run.boot,
            run: run.number,
            since_capture_ns: [
                since(stamps.dequeue_ns),
                since(stamps.lease_ns),
                since(stamps.preprocessed_ns),
                since(stamps.invoked_ns),
                since(stamps.result_ns),
            ],
            driver_sequence: result.driver_sequence,
            camera: result.camera,
            worker: result.worker,
            model: result.model,
            step: result.step,
            detections_total: u16::try_from(result.detections.len()).unwrap_or(u16::MAX),
            detections,
        }
    }
}
