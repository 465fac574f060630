//! What threads share of one camera beside its frames. Hints and stamps: they order nothing.

use super::in_flight::InFlight;
use crate::capture::SourceError;
use crate::capture::health::supervisor::{SupervisorCounts, Trouble};
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering, Padded};

/// Every camera's state, by its number.
pub(crate) type CameraStates = Arc<[CameraState]>;

/// One camera's state. What capture writes and what workers write share no cache line.
#[derive(Debug, Default)]
pub(crate) struct CameraState {
    capture: Padded<FromCapture>,
    workers: Padded<FromWorkers>,
    health: Padded<FromSupervisor>,
    pub(crate) in_flight: Padded<InFlight>,
}

#[derive(Debug, Default)]
struct FromCapture {
    newest_ns: AtomicU64,
    arrived_ns: AtomicU64,
    expected_ns: AtomicU64,
    rung_ns: AtomicU64,
}

#[derive(Debug, Default)]
struct FromWorkers {
    known_ns: AtomicU64,
    result_ns: AtomicU64,
    due_ns: AtomicU64,
    served_ns: AtomicU64,
    taken_ns: AtomicU64,
    spoilt: AtomicU64,
}

/// Written when a camera is in trouble, and when its stream has ended.
#[derive(Debug, Default)]
struct FromSupervisor {
    has_ended: AtomicBool,
    restarts: AtomicU64,
    reopens: AtomicU64,
    resets: AtomicU64,
    failed_attempts: AtomicU64,
    /// As `trouble_word` has it.
    trouble: AtomicU64,
}

/// What was tried to get frames of a camera, and why it gives none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) restarts: u64,
    pub(crate) reopens: u64,
    pub(crate) resets: u64,
    pub(crate) failed_attempts: u64,
    pub(crate) trouble: Option<Trouble>,
}

/// For the end of a line; nothing where nothing was tried.
impl std::fmt::Display for Tried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            restarts,
            reopens,
            resets,
            failed_attempts,
            ..
        } = self;
        if restarts + reopens + resets + failed_attempts == 0 {
            return Ok(());
        }
        write!(
            f,
            "; so far {restarts} restarts, {reopens} reopenings, {resets} port resets, {failed_attempts} attempts that \
             failed"
        )
    }
}

/// A trouble in one word: its kind, or the errno of a failure that has no kind of its own.
const fn trouble_word(trouble: Option<Trouble>) -> u64 {
    match trouble {
        None => 0,
        Some(Trouble::Silent) => 1,
        Some(Trouble::Damaged) => 2,
        Some(Trouble::Frozen) => 3,
        Some(Trouble::Gone) => 4,
        Some(Trouble::Busy) => 5,
        Some(Trouble::Denied) => 6,
        Some(Trouble::NoBandwidth) => 7,
        Some(Trouble::Failed(error)) => (error.errno.unsigned_abs() as u64) << 8 | 8,
    }
}

/// The trouble of a word. Which operation failed is not kept.
fn trouble_of(word: u64) -> Option<Trouble> {
    Some(match word & 0xff {
        1 => Trouble::Silent,
        2 => Trouble::Damaged,
        3 => Trouble::Frozen,
        4 => Trouble::Gone,
        5 => Trouble::Busy,
        6 => Trouble::Denied,
        7 => Trouble::NoBandwidth,
        8 => {
            let errno = i32::try_from(word >> 8).unwrap_or_default();
            Trouble::Failed(SourceError::new("the last attempt", errno))
        }
        _ => return None,
    })
}

impl CameraState {
    /// What was tried so far. Called by capture where it changed.
    pub(crate) fn set_tried(&self, counts: &SupervisorCounts, trouble: Option<Trouble>) {
        let health = &self.health;
        let store = |to: &AtomicU64, value| to.store(value, Ordering::Relaxed);
        store(&health.restarts, counts.restarts);
        store(&health.reopens, counts.reopens);
        store(&health.resets, counts.resets);
        store(&health.failed_attempts, counts.failed_attempts);
        store(&health.trouble, trouble_word(trouble));
    }

    /// What was tried so far.
    pub(crate) fn tried(&self) -> Tried {
        let health = &self.health;
        let load = |from: &AtomicU64| from.load(Ordering::Relaxed);
        Tried {
            restarts: load(&health.restarts),
            reopens: load(&health.reopens),
            resets: load(&health.resets),
            failed_attempts: load(&health.failed_attempts),
            trouble: trouble_of(load(&health.trouble)),
        }
    }

    /// No more frames come.
    pub(crate) fn set_ended(&self) {
        self.health.has_ended.store(true, Ordering::Relaxed);
    }

    /// Whether no more frames come.
    pub(crate) fn has_ended(&self) -> bool {
        self.health.has_ended.load(Ordering::Relaxed)
    }

    /// The newest frame was captured at `capture_ns` and is there since `arrived_ns`, the next one should be there at
    /// `expected_ns`: for the scheduler.
    pub(crate) fn publish(&self, capture_ns: u64, arrived_ns: u64, expected_ns: u64) {
        let capture = &self.capture;
        capture.newest_ns.store(capture_ns, Ordering::Relaxed);
        capture.arrived_ns.store(arrived_ns, Ordering::Relaxed);
        capture.expected_ns.store(expected_ns, Ordering::Relaxed);
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

    /// When the newest frame came; 0 before the first one.
    pub(crate) fn arrived_ns(&self) -> u64 {
        self.capture.arrived_ns.load(Ordering::Relaxed)
    }

    /// When the next frame should be there; 0 where that is not known.
    pub(crate) fn expected_ns(&self) -> u64 {
        self.capture.expected_ns.load(Ordering::Relaxed)
    }

    /// No frame is about to come: whoever has one of this camera before it takes that one, and waits for none.
    pub(crate) fn expect_none(&self) {
        self.capture.expected_ns.store(0, Ordering::Relaxed);
    }

    /// When the bell was last rung for a frame; 0 before the first time.
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

    /// A worker claimed a frame that came at `arrived_ns`.
    pub(crate) fn serve(&self, now_ns: u64, arrived_ns: u64) {
        self.workers.served_ns.fetch_max(now_ns, Ordering::Relaxed);
        self.taken(arrived_ns);
    }

    /// No frame that came by `arrived_ns` is left to be claimed.
    pub(crate) fn taken(&self, arrived_ns: u64) {
        self.workers
            .taken_ns
            .fetch_max(arrived_ns, Ordering::Relaxed);
    }

    /// When the newest frame came that is claimed or gone; 0 before the first one.
    pub(crate) fn taken_ns(&self) -> u64 {
        self.workers.taken_ns.load(Ordering::Relaxed)
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
            state.serve(now_ns, now_ns - 10);
        }
        assert_eq!((state.served_ns(), state.taken_ns()), (90, 80));
    }

    #[test]
    fn what_was_tried_is_read_back_with_its_trouble() {
        let state = CameraState::default();
        assert_eq!(state.tried(), Tried::default());
        let failed = Trouble::Failed(SourceError::new("the last attempt", 71));
        for trouble in [
            Trouble::Silent,
            Trouble::Damaged,
            Trouble::Frozen,
            Trouble::Gone,
            Trouble::Busy,
            Trouble::Denied,
            Trouble::NoBandwidth,
            failed,
        ] {
            let counts = SupervisorCounts {
                restarts: 3,
                reopens: 4,
                ..SupervisorCounts::default()
            };
            state.set_tried(&counts, Some(trouble));
            let tried = state.tried();
            assert_eq!((tried.restarts, tried.reopens), (3, 4));
            assert_eq!(tried.trouble, Some(trouble));
        }
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
