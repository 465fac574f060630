//! What each thread is doing, so that another one sees when it stands still.

use crate::sync::{AtomicU64, Ordering, Padded};

/// What a thread is doing, as the log says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Activity {
    Starting,
    Waiting,
    QueueBuffers,
    DequeueBuffer,
    StartStream,
    StopStream,
    Reopen,
    ResetPort,
    Preprocess,
    Invoke,
    Postprocess,
    TakeResults,
    Log,
    WriteRecord,
    WriteResult,
    WriteEvent,
    Sync,
    UseDevice,
}

impl Activity {
    const ALL: [Self; 18] = [
        Self::Starting,
        Self::Waiting,
        Self::QueueBuffers,
        Self::DequeueBuffer,
        Self::StartStream,
        Self::StopStream,
        Self::Reopen,
        Self::ResetPort,
        Self::Preprocess,
        Self::Invoke,
        Self::Postprocess,
        Self::TakeResults,
        Self::Log,
        Self::WriteRecord,
        Self::WriteResult,
        Self::WriteEvent,
        Self::Sync,
        Self::UseDevice,
    ];

    /// In words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::QueueBuffers => "giving buffers to the driver",
            Self::DequeueBuffer => "taking a buffer from the driver",
            Self::StartStream => "starting the stream",
            Self::StopStream => "stopping the stream",
            Self::Reopen => "opening the device again",
            Self::ResetPort => "resetting the USB port",
            Self::Preprocess => "preprocessing a frame",
            Self::Invoke => "running the model on a frame",
            Self::Postprocess => "decoding the model's outputs",
            Self::TakeResults => "taking results",
            Self::Log => "writing to the log or the terminal",
            Self::WriteRecord => "writing a record (--record)",
            Self::WriteResult => "writing a line (--results)",
            Self::WriteEvent => "writing a line (--events)",
            Self::Sync => "bringing the recording to the disk",
            Self::UseDevice => "using its device",
        }
    }

    /// It is about one camera.
    pub(crate) const fn is_of_a_camera(self) -> bool {
        (self as u8) >= Self::QueueBuffers as u8 && (self as u8) <= Self::Postprocess as u8
    }
}

/// Bits of the activity and of the camera.
const ACTIVITY_BITS: u32 = 8;
const CAMERA_BITS: u32 = 16;
const STEP: u64 = 1 << (ACTIVITY_BITS + CAMERA_BITS);

/// One thread's steps, and what it last did. Written by that thread alone; one word, so that a reader sees a step with
/// its activity. A hint: it orders nothing.
#[derive(Debug, Default)]
pub(crate) struct ThreadProgress(Padded<AtomicU64>);

impl ThreadProgress {
    /// The thread begins to do this, for that camera where it is about one. Called by the thread itself.
    pub(crate) fn begin(&self, activity: Activity, camera: u16) {
        let steps = self.0.0.load(Ordering::Relaxed) / STEP;
        let word = steps.wrapping_add(1).wrapping_mul(STEP)
            | u64::from(camera) << ACTIVITY_BITS
            | activity as u64;
        self.0.0.store(word, Ordering::Relaxed);
    }

    /// The number of steps, what it last began, and of which camera.
    pub(crate) fn seen(&self) -> (u64, Activity, u16) {
        let word = self.0.0.load(Ordering::Relaxed);
        #[allow(clippy::cast_possible_truncation)] // the bits of each part
        let (activity, camera) = (word as u8, (word >> ACTIVITY_BITS) as u16);
        let activity = Activity::ALL.get(usize::from(activity));
        (
            word / STEP,
            activity.copied().unwrap_or(Activity::Starting),
            camera,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Activity, ThreadProgress};

    #[test]
    fn each_step_is_seen_with_its_activity_and_camera() {
        let progress = ThreadProgress::default();
        assert_eq!(progress.seen(), (0, Activity::Starting, 0));
        for (index, activity) in Activity::ALL.into_iter().enumerate() {
            assert_eq!(activity as usize, index);
            progress.begin(activity, 63);
            let steps = index as u64 + 1;
            assert_eq!(progress.seen(), (steps, activity, 63));
        }
    }
}
