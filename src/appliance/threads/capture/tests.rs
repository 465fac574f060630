//! A capture thread and its cameras, with sources that do as they are told. Nothing here waits for time.

use super::camera_slot::CameraSlot;
use super::capture_loop::CaptureLoop;
use crate::appliance::shared::camera_state::CameraStates;
use crate::appliance::shared::common::Common;
use crate::appliance::shared::doorbells::Doorbells;
use crate::appliance::shared::drain::DrainBell;
use crate::appliance::shared::in_flight::INFERENCE_TAP;
use crate::appliance::shared::messages::{Note, NoteLog, NoteReceiver};
use crate::appliance::shared::start_gate::StartGate;
use crate::appliance::shared::stop::Stop;
use crate::capture::health::supervisor::{Limits, Supervisor, Trouble};
use crate::capture::{
    Dequeue, Dequeued, FrameSource, MemoryKeeper, Readiness, SlotMemory, SourceError, StampKind,
    Traits,
};
use crate::frame::{Colour, Encoding, PixelFormat, Quantization, SlotTable, StreamFormat};
use crate::ledger::{LedgerSnapshot, LedgerView, ledger};
use crate::ring::{LaneTap, LaneView, TapNeed, lane, slots_needed};
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::sys::clock::now_ns;
use crate::sys::thread::UsageProbe;
use crate::units::NS_PER_S;
use std::collections::VecDeque;

const FORMAT: StreamFormat = StreamFormat {
    pixel: PixelFormat::Grey,
    width_px: 4,
    height_px: 2,
    stride_bytes: 4,
    size_bytes: 8,
    colour: Colour {
        encoding: Encoding::Bt709,
        quantization: Quantization::Limited,
    },
    interval_ns: 0,
};

/// What a source does when it is asked for a frame.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// A frame with this number.
    Frame(u32),
    /// The same frame again, time and all.
    Again,
    Damaged(u32),
    /// A frame with this number, while a worker finds that an earlier one cannot be decoded.
    Spoilt(u32),
    /// The same, while a worker decodes an earlier one.
    Sound(u32),
    /// It fails so.
    Fails(i32),
}

/// Reopenings in vain after which a device is found again without a reset of its port.
const IN_VAIN: u64 = 100;

/// Frames by a list, then silence. A device that fails with ENODEV is gone: it is not found again before its
/// port was reset, or only after many attempts. That it is in a port is known once it was reopened.
struct Scripted {
    does: VecDeque<Does>,
    held: VecDeque<u16>,
    last: Option<Dequeued>,
    gone: bool,
    /// Calls of `reopen`.
    opened: Arc<AtomicU64>,
    camera: usize,
    states: CameraStates,
    /// Told once the list is done.
    done: Arc<Stop>,
}

impl FrameSource for Scripted {
    fn format(&self) -> StreamFormat {
        FORMAT
    }
    fn slots(&self) -> &[SlotMemory] {
        &[]
    }
    fn keeper(&self) -> Option<MemoryKeeper> {
        None
    }
    fn start(&mut self, _: u64) -> Result<(), SourceError> {
        match self.gone {
            true => Err(SourceError::new("start", nix::libc::ENODEV)),
            false => Ok(()),
        }
    }
    fn queue(&mut self, slot: u16, _: u64) -> Result<(), SourceError> {
        self.held.push_back(slot);
        Ok(())
    }
    fn dequeue(&mut self, now_ns: u64) -> Result<Dequeue, SourceError> {
        if self.held.is_empty() || self.does.is_empty() {
            return Ok(Dequeue::NotReady);
        }
        let does = self.does.pop_front().expect("there is one");
        if self.does.is_empty() {
            self.done.camera_ended();
        }
        let slot = self.held.pop_front().expect("a free slot");
        let frame = |sequence, damaged| Dequeued {
            slot,
            sequence,
            capture_ns: now_ns,
            offset_bytes: 0,
            bytes_used: 8,
            stamp: StampKind::EndOfFrame,
            damaged,
        };
        let frame = match does {
            Does::Frame(number) => frame(number, false),
            Does::Damaged(number) => frame(number, true),
            Does::Spoilt(number) => {
                self.states[self.camera].spoil();
                frame(number, false)
            }
            Does::Sound(number) => {
                self.states[self.camera].sound();
                frame(number, false)
            }
            Does::Again => Dequeued {
                slot,
                ..self.last.expect("a frame before")
            },
            Does::Fails(errno) => {
                self.held.push_front(slot);
                self.gone = errno == nix::libc::ENODEV;
                return Err(SourceError::new("dequeue", errno));
            }
        };
        self.last = Some(frame);
        Ok(Dequeue::Frame(frame))
    }
    fn readiness(&self) -> Readiness {
        Readiness::At(if self.does.is_empty() { u64::MAX } else { 0 })
    }
    fn stop(&mut self) -> Result<(), SourceError> {
        self.held.clear();
        Ok(())
    }
    fn reopen(&mut self, _: u64) -> Result<(), SourceError> {
        let opened = self.opened.fetch_add(1, Ordering::Relaxed);
        if self.gone && opened < IN_VAIN {
            return Err(SourceError::new("open", nix::libc::ENOENT));
        }
        self.gone = false;
        Ok(())
    }
    fn traits(&self) -> Traits {
        Traits {
            on_usb: self.opened.load(Ordering::Relaxed) > 0,
            ..Traits::default()
        }
    }
    fn reset_port(&mut self) -> Result<(), SourceError> {
        self.gone = false;
        Ok(())
    }
}

/// What is kept of a camera beside its camera_slot.
struct Seen {
    ledger: LedgerView,
    lane: LaneView,
    taps: Vec<LaneTap>,
    opened: Arc<AtomicU64>,
}

impl Seen {
    fn snapshot(&self) -> LedgerSnapshot {
        self.ledger
            .snapshot(|| self.lane.live(INFERENCE_TAP).into())
    }
}

/// One capture thread over cameras that do as these lists say. It runs until every list is done.
struct Bench {
    capture: CaptureLoop,
    seen: Vec<Seen>,
    notes: NoteReceiver,
}

impl Bench {
    fn new(lists: Vec<Vec<Does>>) -> Self {
        let bells = Arc::new(Doorbells::new([u64::MAX]));
        let listed = lists.iter().filter(|list| !list.is_empty()).count();
        let stop = Arc::new(Stop::new(Arc::clone(&bells), None, listed).unwrap());
        let states: CameraStates = lists.iter().map(|_| Default::default()).collect();
        let (mut cameras, mut seen) = (Vec::new(), Vec::new());
        for (camera, list) in (0..).zip(lists) {
            let tap = TapNeed {
                capacity: 1,
                readers: 1,
                leases: 1,
            };
            let slots = u16::try_from(slots_needed(4, &[tap])).unwrap();
            let (producer, taps) = lane(camera, SlotTable::on_heap(slots, 8), 4, &[tap]).unwrap();
            let (books, _, view) = ledger();
            let opened = Arc::new(AtomicU64::new(0));
            seen.push(Seen {
                ledger: view,
                lane: producer.view(),
                taps,
                opened: Arc::clone(&opened),
            });
            let source = Scripted {
                does: list.into(),
                held: VecDeque::new(),
                last: None,
                gone: false,
                opened,
                camera: usize::from(camera),
                states: Arc::clone(&states),
                done: Arc::clone(&stop),
            };
            let (limits, states) = (Limits::new(60 * NS_PER_S), Arc::clone(&states));
            let slot = CameraSlot::new(Box::new(source), producer, books, states, limits);
            cameras.push(slot.unwrap());
        }
        let common = Common {
            names: Arc::default(),
            stop,
            gate: Arc::new(StartGate::new()),
            bells,
            housekeeping: Arc::new(DrainBell::new()),
            cameras: states,
            deadlines: Arc::new([]),
            workers: Arc::new([]),
        };
        let (notes_in, notes) = NoteLog::new();
        let capture = CaptureLoop::new(cameras, common, notes_in);
        Self {
            capture,
            seen,
            notes,
        }
    }

    /// Runs to the end of the lists. What each camera's ledger says then.
    fn run(&mut self) -> Vec<LedgerSnapshot> {
        self.capture.start().expect("every stream starts");
        self.capture.run(&mut UsageProbe::open());
        let snapshots: Vec<_> = self.seen.iter().map(Seen::snapshot).collect();
        for snapshot in &snapshots {
            assert!(snapshot.identity_holds(), "{snapshot:?}");
        }
        snapshots
    }

    fn troubles(&mut self) -> Vec<(u16, Trouble)> {
        std::iter::from_fn(|| self.notes.dequeue())
            .filter_map(|note| match note {
                Note::CameraTrouble { camera, trouble } => Some((camera, trouble)),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn a_frame_that_repeats_the_number_before_it_is_counted_and_never_reaches_a_worker() {
    use Does::{Again, Damaged, Frame};
    let list = vec![Frame(0), Frame(1), Frame(1), Again, Damaged(2), Frame(3)];
    let mut bench = Bench::new(vec![list]);
    let ledger = bench.run()[0];
    assert_eq!((ledger.driver_frames, ledger.repeated_sequence), (6, 2));
    assert_eq!((ledger.dropped.stale, ledger.dropped.damaged), (2, 1));
    // A worker finds the newest; the two before it were evicted, the repetitions never came so far.
    assert_eq!((ledger.dropped.evicted, ledger.in_flight), (2, 1));
    let lease = bench.seen[0].taps[0].claim_newest(|_| {}).unwrap().unwrap();
    assert_eq!(lease.header().driver_sequence, 3);
}

#[test]
fn a_camera_that_gives_the_same_frame_for_ever_is_started_again_and_named_so() {
    let again = std::iter::repeat_n(Does::Again, 40);
    let list = std::iter::once(Does::Frame(7)).chain(again).collect();
    let mut bench = Bench::new(vec![list]);
    let ledger = bench.run()[0];
    // After the restart the frame is the first of a stream, which is inferred, and no repetition.
    assert_eq!((ledger.driver_frames, ledger.repeated_sequence), (41, 39));
    assert_eq!((ledger.dropped.stale, ledger.streams), (39, 2));
    assert_eq!(bench.troubles(), [(0, Trouble::Frozen)]);
}

#[test]
fn a_camera_whose_pictures_cannot_be_decoded_is_started_again_and_back_with_the_first_that_can() {
    let spoilt = |numbers: std::ops::Range<u32>| numbers.map(Does::Spoilt);
    let bench = |list: Vec<Does>| {
        let mut bench = impatient(list);
        let ledger = bench.run()[0];
        let notes: Vec<Note> = std::iter::from_fn(|| bench.notes.dequeue()).collect();
        (ledger.streams, notes)
    };
    // A sound one among them: no row that matters.
    let mut list: Vec<Does> = spoilt(0..29).collect();
    list.push(Does::Sound(29));
    list.extend(spoilt(30..59));
    let (streams, notes) = bench(list);
    assert_eq!((streams, notes.len()), (1, 0), "{notes:?}");

    let mut list: Vec<Does> = spoilt(0..50).collect();
    // Nobody has inferred these yet: the camera is not back.
    list.extend((50..70).map(Does::Frame));
    let (streams, notes) = bench(list.clone());
    assert_eq!(streams, 2);
    let trouble = Note::CameraTrouble {
        camera: 0,
        trouble: Trouble::Damaged,
    };
    assert_eq!(notes, [trouble]);
    list.extend([Does::Sound(70), Does::Frame(71)]);
    let (streams, notes) = bench(list);
    assert_eq!(streams, 2);
    assert_eq!(notes, [trouble, Note::CameraBack { camera: 0 }]);
}

#[test]
fn frames_lost_before_the_first_one_of_each_stream_are_counted() {
    use Does::{Fails, Frame};
    let list = vec![
        Frame(5),
        Frame(6),
        Fails(nix::libc::EIO),
        Frame(2),
        Frame(4),
    ];
    let mut bench = Bench::new(vec![list]);
    let ledger = bench.run()[0];
    assert_eq!((ledger.driver_frames, ledger.streams), (4, 2));
    assert_eq!(ledger.lost_in_driver, 5 + 2 + 1);
    assert_eq!(ledger.sequence_span, 7 + 5);
}

#[test]
fn dead_silent_and_broken_cameras_take_no_frame_of_their_neighbours_on_one_thread() {
    const FRAMES: u32 = 400;
    let mut lists: Vec<Vec<Does>> = (0..16)
        .map(|_| (0..FRAMES).map(Does::Frame).collect())
        .collect();
    lists[3] = vec![Does::Frame(0), Does::Fails(nix::libc::ENODEV)];
    lists[7] = vec![];
    lists[11] = (0..40).map(Does::Damaged).collect();
    let mut bench = Bench::new(lists);
    let ledgers = bench.run();
    for (camera, ledger) in ledgers.iter().enumerate() {
        let frames = match camera {
            3 => 1,
            7 => 0,
            11 => 40,
            _ => u64::from(FRAMES),
        };
        assert_eq!(ledger.driver_frames, frames, "camera {camera}: {ledger:?}");
        assert_eq!(ledger.lost_in_driver, 0, "camera {camera}");
        let damaged = if camera == 11 { frames } else { 0 };
        assert_eq!(ledger.dropped.damaged, damaged, "camera {camera}");
    }
    let opened: Vec<u64> = bench
        .seen
        .iter()
        .map(|seen| seen.opened.load(Ordering::Relaxed))
        .collect();
    assert!(opened[3] > 0, "it was looked for");
    assert!(
        (0..16).all(|camera| camera == 3 || opened[camera] == 0),
        "{opened:?}"
    );
    let mut troubles = bench.troubles();
    troubles.sort_by_key(|(camera, _)| *camera);
    assert_eq!(troubles, [(3, Trouble::Gone), (11, Trouble::Damaged)]);
}

/// One camera that does as the list says, and is hardly left alone between attempts.
fn impatient(list: Vec<Does>) -> Bench {
    let mut bench = Bench::new(vec![list]);
    let limits = Limits {
        first_rest_ns: 1,
        longest_rest_ns: 1,
        ..Limits::new(60 * NS_PER_S)
    };
    bench.capture.slots[0].supervisor = Supervisor::new(limits, now_ns());
    bench
}

#[test]
fn a_device_that_is_not_found_again_has_its_port_reset() {
    use Does::{Fails, Frame};
    let mut bench = impatient(vec![Frame(0), Fails(nix::libc::ENODEV), Frame(0)]);
    bench.capture.slots[0].supervisor.set_in_port(true);
    let ledger = bench.run()[0];
    assert_eq!((ledger.driver_frames, ledger.streams), (2, 2));
    let counts = bench.capture.slots[0].supervisor.counts();
    assert_eq!((counts.resets, counts.reopens), (1, 1), "{counts:?}");
    // Four times in vain, then after the reset.
    assert_eq!(bench.seen[0].opened.load(Ordering::Relaxed), 5);
}

#[test]
fn a_camera_that_came_late_has_its_port_reset_as_one_that_was_there() {
    use Does::{Fails, Frame};
    let appears = [Frame(0), Fails(nix::libc::ESHUTDOWN), Frame(0)];
    let list = [&appears[..], &[Fails(nix::libc::ENODEV), Frame(0)]].concat();
    let mut bench = impatient(list);
    assert_eq!(bench.run()[0].driver_frames, 3);
    let counts = bench.capture.slots[0].supervisor.counts();
    assert_eq!((counts.resets, counts.reopens), (1, 2), "{counts:?}");
    // Once when it appeared, three times in vain, and after the reset.
    assert_eq!(bench.seen[0].opened.load(Ordering::Relaxed), 5);
}

#[test]
fn readers_that_are_called_for_what_is_left_wait_for_nothing_better() {
    let bench = Bench::new(vec![vec![Does::Frame(0)], vec![Does::Frame(0)]]);
    let cameras = &bench.capture.common.cameras;
    let expected_ns = |camera: usize| cameras[camera].expected_ns();
    for camera in cameras.iter().take(2) {
        camera.publish(1, 2, 3);
    }
    bench.capture.ring(0b11);
    assert!(cameras[0].rung_ns() > 0 && cameras[1].rung_ns() > 0);
    assert!(expected_ns(0) > 0 && expected_ns(1) > 0);
    // As often as it takes, without a frame that would be worth a wait.
    for _ in 0..3 {
        bench.capture.call_readers(0b01);
        assert_eq!(expected_ns(0), 0);
        assert_eq!(expected_ns(1), 3);
    }
    let (bell, _) = bench.capture.common.bells.of(u64::MAX).unwrap();
    assert_eq!(bell.take(), 0b11);
}
