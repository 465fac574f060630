//! Cameras that run for a while: the contract, and no gap in their numbers.

use crate::contract::{self, SLOTS};
use crate::inside::camera::{CAMERA, USUAL, open, request, streaming};
use crate::stage::{Clock, arm};
use pinsight::capture::health::timestamps::Timestamps;
use pinsight::frame::PixelFormat;
use pinsight::ledger::SequenceTracker;
use pinsight::profile::Io;
use pinsight::sys::device::v4l2::{CameraRequest, UnarmedCamera};
use pinsight::units::NS_PER_MS;
use std::path::Path;

pub(crate) fn keeps_the_contract(io: Io) {
    for pixel in USUAL {
        contract::check(&format!("{} {io:?}", pixel.name()), || {
            arm(open(pixel, io), SLOTS, Clock::Real)
        });
    }
}

/// Runs a camera until twenty frames, which is each slot several times, have come without a gap; at most for
/// ten minutes. A machine that gives the guest no time makes vivid late, and a late vivid skips numbers and
/// repeats them: its own losses, which are no fault of the queue. Small frames that are far apart make them
/// rare.
pub(crate) fn loses_nothing(pixel: PixelFormat, io: Io) {
    let asked = CameraRequest {
        width_px: 640,
        height_px: 360,
        rate_hz: 10.0,
        ..request(pixel)
    };
    let camera = UnarmedCamera::open(Path::new(CAMERA), &asked, io).unwrap();
    let mut stage = arm(Box::new(camera), SLOTS, Clock::Real);
    stage.queue_all();
    stage.start().unwrap();
    let (mut unbroken, mut longest, mut last) = (0, 0, stage.next_frame());
    for _ in 0..6000 {
        stage.queue(last.slot).unwrap();
        let next = stage.next_frame();
        unbroken = if next.sequence == last.sequence + 1 {
            unbroken + 1
        } else {
            0
        };
        longest = longest.max(unbroken);
        last = next;
        if longest >= 20 {
            return;
        }
    }
    panic!("{pixel:?} {io:?}: at most {longest} frames without a gap");
}

/// Runs a camera for some frames, holds what it says together, and gives its first and last number. A machine
/// that gives the guest no time makes vivid late with a frame and its stamp: it then has some attempts.
pub(crate) fn runs(pixel: PixelFormat, io: Io, frames: u64) -> [u32; 2] {
    let mut off = Vec::new();
    for _ in 0..20 {
        let (numbers, off_ms) = runs_once(pixel, io, frames);
        off.push(off_ms);
        // The camera's own time and number go together: a frame each interval, but for one that comes late.
        if off_ms < 1000 {
            return numbers;
        }
    }
    panic!("{pixel:?} {io:?}: numbers and stamps are apart by these milliseconds: {off:?}");
}

/// The same without regard to time; and by how many milliseconds numbers and stamps are apart.
fn runs_once(pixel: PixelFormat, io: Io, frames: u64) -> ([u32; 2], u64) {
    let mut stage = streaming(pixel, io);
    let interval_ns = stage.source.format().interval_ns;
    let mut continuity = Timestamps::new(interval_ns);
    continuity.restarted(stage.now());
    let mut numbers = SequenceTracker::new();
    let first = stage.next_frame();
    let mut last = first;
    continuity.check(&first, stage.now());
    numbers.observe(first.sequence);
    let before = numbers.lost();
    for _ in 1..frames {
        stage.queue(last.slot).unwrap();
        last = stage.next_frame();
        numbers.observe(last.sequence);
        let now = stage.now();
        assert!(continuity.check(&last, now).capture_ns <= now);
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
    let off_ms = (span * interval_ns / NS_PER_MS).abs_diff(ms);
    ([first.sequence, last.sequence], off_ms)
}
