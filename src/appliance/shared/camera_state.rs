//! What threads share of one camera beside its frames. Hints and stamps: they order nothing.

use super::in_flight::InFlight;
use crate::sync::{Arc, AtomicU64, Ordering, Padded};

/// Every camera's state, by its number.
pub(crate) type CameraStates = Arc<[CameraState]>;

/// One camera's state. What capture writes and what workers write share no cache line.
#[derive(Debug, Default)]
pub(crate) struct CameraState {
    capture: Padded<FromCapture>,
    workers: Padded<FromWorkers>,
    pub(crate) in_flight: Padded<InFlight>,
}

#[derive(Debug, Default)]
struct FromCapture {
    newest_ns: AtomicU64,
    rung_ns: AtomicU64,
}

#[derive(Debug, Default)]
struct FromWorkers {
    known_ns: AtomicU64,
    result_ns: AtomicU64,
    due_ns: AtomicU64,
    served_ns: AtomicU64,
    spoilt: AtomicU64,
}

impl CameraState {
    /// The newest frame was captured at `capture_ns`: for the scheduler.
    pub(crate) fn publish(&self, capture_ns: u64) {
        self.capture.newest_ns.store(capture_ns, Ordering::Relaxed);
    }

    /// When the newest frame was captured; 0 before the first one.
    pub(crate) fn newest_ns(&self) -> u64 {
        self.capture.newest_ns.load(Ordering::Relaxed)
    }

    /// The bell is about to be rung for this camera. Whoever takes the bit sees this stamp or a later one
    /// (the bell's D1).
    pub(crate) fn ring(&self, now_ns: u64) {
        self.capture.rung_ns.store(now_ns, Ordering::Relaxed);
    }

    /// When the bell was last rung; 0 before the first time.
    pub(crate) fn rung_ns(&self) -> u64 {
        self.capture.rung_ns.load(Ordering::Relaxed)
    }

    /// A frame captured at `capture_ns` was inferred. Gives the capture stamp of the newest inferred frame until
    /// now, 0 for none; `None` if this one is not newer.
    pub(crate) fn learn(&self, capture_ns: u64) -> Option<u64> {
        let known_ns = self
            .workers
            .known_ns
            .fetch_max(capture_ns, Ordering::Relaxed);
        (known_ns < capture_ns).then_some(known_ns)
    }

    /// Capture stamp of the newest inferred frame; 0 for none.
    pub(crate) fn known_ns(&self) -> u64 {
        self.workers.known_ns.load(Ordering::Relaxed)
    }

    /// When the next frame is due, where the camera has a rate of its own; 0 before the first one.
    pub(crate) fn due_ns(&self) -> u64 {
        self.workers.due_ns.load(Ordering::Relaxed)
    }

    /// A frame was claimed; the next one is due at `due_ns`.
    pub(crate) fn next_due(&self, due_ns: u64) {
        self.workers.due_ns.fetch_max(due_ns, Ordering::Relaxed);
    }

    /// The picture of a claimed frame could not be decoded.
    pub(crate) fn spoil(&self) {
        self.workers.spoilt.fetch_add(1, Ordering::Relaxed);
    }

    /// The picture of a claimed frame is sound.
    pub(crate) fn sound(&self) {
        // Where all is well the line is not written to.
        if self.spoilt() != 0 {
            self.workers.spoilt.store(0, Ordering::Relaxed);
        }
    }

    /// Pictures in a row that could not be decoded, up to the last one that a worker claimed.
    pub(crate) fn spoilt(&self) -> u64 {
        self.workers.spoilt.load(Ordering::Relaxed)
    }

    /// A worker claimed a frame.
    pub(crate) fn serve(&self, now_ns: u64) {
        self.workers.served_ns.fetch_max(now_ns, Ordering::Relaxed);
    }

    /// When a frame was last claimed; 0 before the first one.
    pub(crate) fn served_ns(&self) -> u64 {
        self.workers.served_ns.load(Ordering::Relaxed)
    }

    /// A result was made. Gives the time since the one before it; `None` for the first one, and for one that
    /// another worker's overtook.
    pub(crate) fn since_result(&self, result_ns: u64) -> Option<u64> {
        let before_ns = self
            .workers
            .result_ns
            .fetch_max(result_ns, Ordering::Relaxed);
        (before_ns != 0)
            .then(|| result_ns.checked_sub(before_ns))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newer_frame_is_learned() {
        let state = CameraState::default();
        let learned = [50, 90, 70, 90, 91].map(|capture_ns| state.learn(capture_ns));
        assert_eq!(learned, [Some(0), Some(50), None, None, Some(90)]);
        assert_eq!(state.known_ns(), 91);
    }

    #[test]
    fn results_are_spaced_across_workers() {
        let state = CameraState::default();
        let spaced = [100, 130, 120, 160].map(|result_ns| state.since_result(result_ns));
        assert_eq!(spaced, [None, Some(30), None, Some(30)]);
    }

    #[test]
    fn one_sound_picture_ends_a_row_of_spoilt_ones() {
        let state = CameraState::default();
        state.spoil();
        state.spoil();
        assert_eq!(state.spoilt(), 2);
        state.sound();
        assert_eq!(state.spoilt(), 0);
    }

    #[test]
    fn the_last_claim_counts_whichever_worker_made_it() {
        let state = CameraState::default();
        for now_ns in [50, 90, 70] {
            state.serve(now_ns);
        }
        assert_eq!(state.served_ns(), 90);
    }

    #[test]
    fn capture_and_workers_share_no_cache_line() {
        use std::mem::offset_of;
        assert_eq!(offset_of!(CameraState, capture) % 128, 0);
        assert_eq!(offset_of!(CameraState, workers) % 128, 0);
        assert_ne!(
            offset_of!(CameraState, capture),
            offset_of!(CameraState, workers)
        );
    }
}
