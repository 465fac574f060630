//! Cameras that run for a while: the contract, and no gap in their numbers.

use crate::contract::{self, SLOTS};
use crate::inside::camera::{USUAL, open, streaming};
use crate::stage::{Clock, arm};
use pinsight::board::Io;
use pinsight::capture::continuity::Continuity;
use pinsight::frame::PixelFormat;
use pinsight::ledger::SequenceTracker;
use pinsight::units::NS_PER_MS;

pub(crate) fn keeps_the_contract(io: Io) {
    for pixel in USUAL {
        contract::check(&format!("{} {io:?}", pixel.name()), || {
            arm(open(pixel, io), SLOTS, Clock::Real)
        });
    }
}

/// Runs a camera until a second's frames have come without a gap, at most for twenty seconds. A machine
/// that gives the guest no time makes vivid late, and a late vivid skips numbers and repeats them: its
/// own losses, which are no fault of the queue.
pub(crate) fn loses_nothing(pixel: PixelFormat, io: Io) {
    let mut stage = streaming(pixel, io);
    let (mut unbroken, mut longest, mut last) = (0, 0, stage.next_frame());
    for _ in 0..600 {
        stage.queue(last.slot).unwrap();
        let next = stage.next_frame();
        unbroken = if next.sequence == last.sequence + 1 {
            unbroken + 1
        } else {
            0
        };
        longest = longest.max(unbroken);
        last = next;
        if longest >= 30 {
            return;
        }
    }
    panic!("{pixel:?} {io:?}: at most {longest} frames without a gap");
}

/// Runs a camera for some frames, holds what it says together, and gives its first and last number.
pub(crate) fn runs(pixel: PixelFormat, io: Io, frames: u64) -> [u32; 2] {
    let mut stage = streaming(pixel, io);
    let interval_ns = stage.source.format().interval_ns;
    let mut continuity = Continuity::new(interval_ns);
    continuity.restarted(stage.now());
    let mut numbers = SequenceTracker::new();
    let first = stage.next_frame();
    let mut last = first;
    continuity.judge(&first, stage.now());
    numbers.observe(first.sequence);
    let before = numbers.lost();
    for _ in 1..frames {
        stage.queue(last.slot).unwrap();
        last = stage.next_frame();
        numbers.observe(last.sequence);
        let now = stage.now();
        assert!(continuity.judge(&last, now).capture_ns <= now);
    }
    let counts = *continuity.counts();
    let span = u64::from(last.sequence.wrapping_sub(first.sequence));
    let ms = (last.capture_ns - first.capture_ns) / NS_PER_MS;
    println!("{pixel:?} {io:?}: {span} numbers in {ms} ms, {counts:?}, {numbers:?}");
    assert_eq!((counts.implausible, counts.not_monotonic), (0, 0));
    assert_eq!(numbers.streams(), 1, "no number goes back");
    assert_eq!(span + 1, numbers.span() - before);
    assert_eq!(
        span + 1,
        counts.frames - numbers.repeated() + numbers.lost() - before
    );
    // The camera's own time and number go together: a frame each interval.
    assert!(
        (span * interval_ns / NS_PER_MS).abs_diff(ms) < 100,
        "{span} numbers in {ms} ms"
    );
    [first.sequence, last.sequence]
}
