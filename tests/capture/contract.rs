//! What every source of frames promises, checked on any of them.

use crate::stage::Stage;
use pinsight::capture::SlotMemory;
use pinsight::units::NS_PER_MS;

/// Slots that a source is armed with for these checks; a driver may give more.
pub const SLOTS: usize = 4;

/// A promise: its name, and its check of a freshly armed source.
type Promise = (&'static str, fn(Stage));

/// The contract.
const PROMISES: [Promise; 9] = [
    (
        "a stopped source gives nothing",
        a_stopped_source_gives_nothing,
    ),
    (
        "only free slots that exist are taken",
        only_free_slots_that_exist_are_taken,
    ),
    (
        "frames arrive whole, in lent slots, in order",
        frames_arrive_whole_in_lent_slots_in_order,
    ),
    ("nothing ready is no error", nothing_ready_is_no_error),
    (
        "a starved source loses frames",
        a_starved_source_loses_frames,
    ),
    (
        "stop gives every slot back, and start begins anew",
        stop_gives_every_slot_back,
    ),
    (
        "a reopened source has its slots where they were",
        a_reopened_source_has_its_slots,
    ),
    (
        "it can be dropped while it streams",
        it_can_be_dropped_while_it_streams,
    ),
    (
        "its memory outlives it while somebody keeps it",
        its_memory_outlives_it,
    ),
];

/// Checks every promise, each on a source of its own.
#[track_caller]
pub fn check(name: &str, mut make: impl FnMut() -> Stage) {
    for (promise, check) in PROMISES {
        println!("{name}: {promise}");
        check(make());
    }
    println!("{name}: {} promises kept", PROMISES.len());
}

fn a_stopped_source_gives_nothing(mut stage: Stage) {
    assert_eq!(stage.dequeue().unwrap_err().errno, nix::libc::EINVAL);
    stage.queue_all();
    assert_eq!(stage.dequeue().unwrap_err().errno, nix::libc::EINVAL);
    stage.stop().unwrap();
}

fn only_free_slots_that_exist_are_taken(mut stage: Stage) {
    let beyond = u16::try_from(stage.source.slots().len()).unwrap();
    for slot in [beyond, u16::MAX] {
        assert_eq!(
            stage.source.queue(slot, 0).unwrap_err().errno,
            nix::libc::EINVAL
        );
    }
    stage.queue_all();
    let now = stage.now();
    assert_eq!(
        stage.source.queue(0, now).unwrap_err().errno,
        nix::libc::EINVAL,
        "lent already"
    );
    stage.start().unwrap();
    let frame = stage.next_frame();
    stage.queue(frame.slot).unwrap();
    let now = stage.now();
    assert_eq!(
        stage.source.queue(frame.slot, now).unwrap_err().errno,
        nix::libc::EINVAL
    );
}

fn frames_arrive_whole_in_lent_slots_in_order(mut stage: Stage) {
    let format = stage.source.format();
    let image_bytes = format
        .pixel
        .image_bytes(format.stride_bytes, format.height_px);
    stage.queue_all();
    stage.start().unwrap();
    let mut last: Option<(u32, u64)> = None;
    let (mut number, mut rising) = (0, 0);
    // Drivers may give the first frames of a stream the same number, and frames that they are late with: it goes
    // on until there were enough others.
    while number < 60 || rising < 30 {
        assert!(number < 6000, "{rising} of {number} numbers rose");
        number += 1;
        let frame = stage.next_frame();
        assert!(!frame.damaged, "frame {number}");
        assert!(
            u64::from(frame.bytes_used) >= image_bytes,
            "{} bytes",
            frame.bytes_used
        );
        if let Some((sequence, capture_ns)) = last {
            let next = frame.sequence;
            assert!(next >= sequence, "{sequence}, then {next}");
            rising += u32::from(next > sequence);
            assert!(frame.capture_ns > capture_ns, "stamps rise");
        }
        last = Some((frame.sequence, frame.capture_ns));
        stage.queue(frame.slot).unwrap();
        assert_eq!(stage.source.format(), format);
    }
}

fn nothing_ready_is_no_error(mut stage: Stage) {
    stage.queue_all();
    stage.start().unwrap();
    stage.next_frame();
    // A frame may come between two calls, until the source has no slot any more.
    let mut nothing = 0;
    while nothing < 2 {
        nothing += u32::from(stage.dequeue().unwrap().is_none());
    }
}

fn a_starved_source_loses_frames(mut stage: Stage) {
    stage.queue_all();
    stage.start().unwrap();
    let mut last = stage.next_frame();
    for attempt in 0.. {
        // Until it has no slot any more.
        while stage.lent.contains(&true) {
            last = stage.next_frame();
        }
        assert_eq!(stage.dequeue(), Ok(None));
        stage.pass(400 * NS_PER_MS);
        assert_eq!(stage.dequeue(), Ok(None));
        let fed_at = stage.now();
        stage.queue_all();
        let frame = stage.next_frame();
        assert!(
            frame.capture_ns + 100 * NS_PER_MS > fed_at,
            "the frame is none of the lost ones"
        );
        if frame.sequence > last.sequence + 1 {
            break;
        }
        // Whoever makes the frames may not have come to it.
        assert!(
            attempt < stage.attempts(),
            "{}, then {}",
            last.sequence,
            frame.sequence
        );
        last = frame;
    }
}

fn stop_gives_every_slot_back(mut stage: Stage) {
    let (mut anew, mut attempts) = (0, 0);
    while anew < 3 {
        stage.queue_all();
        stage.start().unwrap();
        let first = stage.next_frame();
        // A driver that is late with the first frames counts them as lost.
        let is_anew = first.sequence <= 2;
        anew += u32::from(is_anew);
        attempts += u32::from(!is_anew);
        assert!(
            attempts <= stage.attempts(),
            "numbers begin anew, not at {}",
            first.sequence
        );
        stage.next_frame();
        stage.stop().unwrap();
        assert_eq!(stage.dequeue().unwrap_err().errno, nix::libc::EINVAL);
    }
    // Stopping what is stopped is no error.
    stage.stop().unwrap();
    stage.queue_all();
    stage.stop().unwrap();
    stage.queue_all();
}

fn a_reopened_source_has_its_slots(mut stage: Stage) {
    let format = stage.source.format();
    let slots: Vec<SlotMemory> = stage.source.slots().to_vec();
    for streaming in [false, true, true] {
        if streaming {
            stage.queue_all();
            stage.start().unwrap();
            let frame = stage.next_frame();
            assert!(stage.picture(&frame).iter().any(|&sample| sample != 0));
        }
        stage.reopen().unwrap();
        assert_eq!(stage.source.format(), format);
        assert_eq!(stage.source.slots(), slots);
        assert_eq!(
            stage.dequeue().unwrap_err().errno,
            nix::libc::EINVAL,
            "it is stopped"
        );
    }
}

fn it_can_be_dropped_while_it_streams(mut stage: Stage) {
    stage.queue_all();
    stage.start().unwrap();
    stage.next_frame();
}

fn its_memory_outlives_it(mut stage: Stage) {
    let Some(keeper) = stage.source.keeper() else {
        return;
    };
    stage.queue_all();
    stage.start().unwrap();
    let frame = stage.next_frame();
    let memory = stage.source.slots()[usize::from(frame.slot)];
    let before = stage.picture(&frame).to_vec();
    drop(stage);
    // SAFETY: the keeper keeps the slot mapped, and nobody writes there any more.
    #[allow(unsafe_code)]
    let after = unsafe { std::slice::from_raw_parts(memory.start().as_ptr(), before.len()) };
    let start = usize::try_from(frame.offset_bytes).unwrap();
    assert!(
        after[start..] == before[..before.len() - start],
        "the picture is still there"
    );
    drop(keeper);
}
