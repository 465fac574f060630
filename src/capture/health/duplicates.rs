//! Finds duplicates among frames that carry the number of the frame before them. Pure.
//!
//! A frame that comes again shows nothing new, and is not to be inferred again. Some drivers do not count at
//! all, though: each of their frames has the same number, and a time of its own.

use crate::capture::{Dequeued, StampKind};

/// So many repeated numbers in a row with a new time each are a driver that does not count.
const COUNTLESS: u32 = 8;

/// The duplicates of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Duplicates {
    last_ns: Option<u64>,
    in_a_row: u32,
}

impl Duplicates {
    /// Before the first frame.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            last_ns: None,
            in_a_row: 0,
        }
    }

    /// A stream was (re)started: the next frame follows no other.
    pub const fn restarted(&mut self) {
        *self = Self::new();
    }

    /// Whether this frame has been there before. `repeated`: its number is that of the frame before it.
    pub fn is_duplicate(&mut self, repeated: bool, frame: &Dequeued) -> bool {
        let stamped = frame.stamp != StampKind::Dequeue;
        let same_time = stamped && self.last_ns == Some(frame.capture_ns);
        self.last_ns = stamped.then_some(frame.capture_ns);
        if !repeated {
            self.in_a_row = 0;
            return false;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        same_time || self.in_a_row <= COUNTLESS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(capture_ns: u64) -> Dequeued {
        Dequeued {
            slot: 0,
            sequence: 0,
            capture_ns,
            offset_bytes: 0,
            bytes_used: 1,
            stamp: StampKind::EndOfFrame,
            damaged: false,
        }
    }

    #[test]
    fn a_frame_with_the_number_of_the_one_before_is_old() {
        let mut repeats = Duplicates::new();
        assert!(!repeats.is_duplicate(false, &frame(1)));
        assert!(repeats.is_duplicate(true, &frame(1)));
        assert!(repeats.is_duplicate(true, &frame(2)));
        assert!(!repeats.is_duplicate(false, &frame(3)));
        assert!(
            !repeats.is_duplicate(false, &frame(3)),
            "a number of its own is enough"
        );
    }

    #[test]
    fn the_frames_of_a_driver_that_does_not_count_are_seen_after_a_few() {
        let mut repeats = Duplicates::new();
        let old = (0..100).filter(|number| repeats.is_duplicate(*number > 0, &frame(*number)));
        assert_eq!(old.count(), COUNTLESS as usize);
        repeats.restarted();
        assert!(!repeats.is_duplicate(false, &frame(100)));
        assert!(repeats.is_duplicate(true, &frame(101)));
    }

    #[test]
    fn a_frame_that_comes_again_with_its_time_never_becomes_new() {
        let mut repeats = Duplicates::new();
        assert!(!repeats.is_duplicate(false, &frame(5)));
        assert!((0..1000).all(|_| repeats.is_duplicate(true, &frame(5))));
    }
}
