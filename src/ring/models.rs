//! loom models: every schedule, up to a bound of preemptions, of the ring, the lane, the doorbell and
//! their end. Both ends of each are spawned threads. What the models must be able to notice is held by
//! `tests/mutants/run`.

use super::frame_ring::{Claimed, FrameRing};
use super::lane_core::{LaneCore, SlotSet, States};
use super::{Doorbell, Waiting, Woken};
use crate::frame::{End, SlotState};
use crate::sync::{Arc, explore};
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const FOREVER: u64 = u64::MAX;

/// What slots hold: plain memory that loom watches for races.
struct Payloads(Vec<UnsafeCell<u64>>);

impl Payloads {
    fn new(slots: u16) -> Self {
        Self((0..slots).map(|_| UnsafeCell::new(u64::MAX)).collect())
    }

    #[allow(unsafe_code)]
    fn write(&self, slot: u16, value: u64) {
        // SAFETY: loom's cell reports any access that is not ordered after all others.
        self.0[usize::from(slot)].with_mut(|cell| unsafe { *cell = value });
    }

    #[allow(unsafe_code)]
    fn read(&self, slot: u16) -> u64 {
        // SAFETY: loom's cell reports any write that is not ordered before this.
        self.0[usize::from(slot)].with(|cell| unsafe { *cell })
    }
}

/// Counts how often something was seen over all schedules of a model; it must have been.
struct Seen(&'static str, AtomicUsize);

impl Seen {
    const fn new(what: &'static str) -> Self {
        Self(what, AtomicUsize::new(0))
    }

    fn if_so(&self, so: bool) {
        if so {
            self.1.fetch_add(1, Relaxed);
        }
    }

    #[track_caller]
    fn check(seen: &[&Self]) {
        for Self(what, count) in seen {
            assert!(count.load(Relaxed) > 0, "no schedule in which {what}");
        }
    }
}

/// A ring whose slot `n` carries the payload `n`.
struct Shared {
    ring: FrameRing,
    payloads: Payloads,
}

impl Shared {
    fn new(capacity: usize, frames: u16) -> Arc<Self> {
        Arc::new(Self {
            ring: FrameRing::new(capacity).unwrap(),
            payloads: Payloads::new(frames),
        })
    }

    /// Publishes slots `0..frames`; the ones that come back are written again, which only their owner
    /// may do.
    fn produce(&self, frames: u16) -> Vec<u64> {
        let mut evicted = Vec::new();
        for slot in 0..frames {
            self.payloads.write(slot, slot.into());
            if let Some(old) = self.ring.publish(slot) {
                assert_eq!(old.position, u64::from(old.slot));
                self.payloads.write(old.slot, 1000);
                evicted.push(old.position);
            }
        }
        evicted
    }

    /// What a reader does with a frame that it was given: it reads it, and it may write it, too, since
    /// the frame is its alone.
    fn own(&self, claimed: Claimed) -> u64 {
        assert_eq!(claimed.position, u64::from(claimed.slot));
        assert_eq!(self.payloads.read(claimed.slot), claimed.position);
        self.payloads.write(claimed.slot, 2000);
        claimed.position
    }
}

/// What one consumer got: claimed and passed over, each in the order in which it came.
#[derive(Default)]
struct Got {
    claimed: Vec<u64>,
    passed: Vec<u64>,
    floor: u64,
}

impl Got {
    fn newest(&mut self, shared: &Shared) {
        let passed = &mut self.passed;
        let before = passed.len();
        if let Some(claimed) = shared
            .ring
            .claim_newest(&mut self.floor, |older| passed.push(shared.own(older)))
        {
            let newest = shared.own(claimed);
            assert!(self.passed[before..].iter().all(|&older| older < newest));
            self.claimed.push(newest);
        }
    }

    fn oldest(&mut self, shared: &Shared) {
        if let Some(claimed) = shared.ring.claim_oldest(&mut self.floor) {
            self.claimed.push(shared.own(claimed));
        }
    }

    fn check_order(&self) {
        assert!(self.claimed.is_sorted_by(|a, b| a < b), "never back");
    }
}

/// Everything that was published went to exactly one place.
#[track_caller]
fn check_all_once(frames: u16, evicted: Vec<u64>, got: &[Got]) {
    let mut all = evicted;
    for got in got {
        got.check_order();
        all.extend(&got.claimed);
        all.extend(&got.passed);
    }
    all.sort_unstable();
    assert_eq!(all, (0..u64::from(frames)).collect::<Vec<_>>());
}

type Claim = fn(&mut Got, &Shared);

/// One producer and two consumers at work on one ring, each consumer with `claims` claims of its kind;
/// what is left is claimed by the second consumer's floor afterwards.
fn producer_and_two_consumers(
    capacity: usize,
    frames: u16,
    kinds: [(Claim, usize); 2],
) -> (Vec<u64>, [Got; 2]) {
    let shared = Shared::new(capacity, frames);
    let producer = thread::spawn({
        let shared = Arc::clone(&shared);
        move || shared.produce(frames)
    });
    let consumers = kinds.map(|(claim, claims)| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let mut got = Got::default();
            (0..claims).for_each(|_| claim(&mut got, &shared));
            got
        })
    });
    let evicted = producer.join().unwrap();
    let mut got = consumers.map(|consumer| consumer.join().unwrap());
    // With nobody else at work, the ring gives up whatever is left, whoever asks and wherever it was.
    while got[1].floor < u64::from(frames) {
        kinds[1].0(&mut got[1], &shared);
    }
    assert_eq!(shared.ring.len(), 0, "a frame was skipped");
    (evicted, got)
}

#[test]
fn loom_mailbox_of_one_gives_each_frame_once() {
    static EVICTED: Seen = Seen::new("a frame is pushed out");
    static BOTH: Seen = Seen::new("both consumers get one");
    static EMPTY: Seen = Seen::new("a consumer finds nothing");
    explore(3, 1_000, || {
        let newest: Claim = Got::newest;
        let shared = Shared::new(1, 3);
        let producer = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.produce(3)
        });
        let consumers = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut got = Got::default();
                newest(&mut got, &shared);
                newest(&mut got, &shared);
                got
            })
        });
        let evicted = producer.join().unwrap();
        let mut got = consumers.map(|consumer| consumer.join().unwrap());
        EVICTED.if_so(!evicted.is_empty());
        BOTH.if_so(got.iter().all(|got| !got.claimed.is_empty()));
        EMPTY.if_so(got.iter().any(|got| got.claimed.len() < 2));
        newest(&mut got[0], &shared);
        check_all_once(3, evicted, &got);
    });
    Seen::check(&[&EVICTED, &BOTH, &EMPTY]);
}

#[test]
fn loom_newest_first_passes_each_older_frame_over_once() {
    static EVICTED: Seen = Seen::new("a frame is pushed out");
    static PASSED: Seen = Seen::new("a frame is passed over while the producer works");
    static BOTH: Seen = Seen::new("both consumers get one");
    explore(3, 1_000, || {
        let (evicted, got) = producer_and_two_consumers(2, 3, [(Got::newest, 1), (Got::newest, 1)]);
        EVICTED.if_so(!evicted.is_empty());
        PASSED.if_so(!got[0].passed.is_empty());
        BOTH.if_so(got.iter().all(|got| !got.claimed.is_empty()));
        check_all_once(3, evicted, &got);
    });
    Seen::check(&[&EVICTED, &PASSED, &BOTH]);
}

#[test]
fn loom_oldest_first_keeps_the_order() {
    static EVICTED: Seen = Seen::new("a frame is pushed out");
    static BOTH: Seen = Seen::new("both consumers get one");
    static TWO: Seen = Seen::new("one consumer gets two while the producer works");
    explore(3, 1_000, || {
        let (evicted, got) = producer_and_two_consumers(2, 3, [(Got::oldest, 2), (Got::oldest, 1)]);
        EVICTED.if_so(!evicted.is_empty());
        BOTH.if_so(got.iter().all(|got| !got.claimed.is_empty()));
        TWO.if_so(got[0].claimed.len() == 2);
        check_all_once(3, evicted, &got);
    });
    Seen::check(&[&EVICTED, &BOTH, &TWO]);
}

#[test]
fn loom_newest_and_oldest_claims_share_the_frames() {
    static PASSED: Seen = Seen::new("a frame is passed over");
    static BOTH: Seen = Seen::new("both consumers get one");
    explore(3, 1_000, || {
        let (evicted, got) = producer_and_two_consumers(2, 3, [(Got::newest, 1), (Got::oldest, 1)]);
        PASSED.if_so(!got[0].passed.is_empty());
        BOTH.if_so(got.iter().all(|got| !got.claimed.is_empty()));
        check_all_once(3, evicted, &got);
    });
    Seen::check(&[&PASSED, &BOTH]);
}

/// The lane's states and payloads, in the model's memory.
struct Slots {
    states: Vec<SlotState>,
    payloads: Payloads,
}

impl States for Slots {
    fn state(&self, slot: u16) -> &SlotState {
        &self.states[usize::from(slot)]
    }
}

fn model_lane(slots: u16, capacities: &[usize]) -> Arc<LaneCore<Slots>> {
    let states = Slots {
        states: (0..slots).map(|_| SlotState::new()).collect(),
        payloads: Payloads::new(slots),
    };
    Arc::new(LaneCore::new(states, slots, capacities).unwrap())
}

/// The producer's thread: up to `frames` frames, each into a slot that is free; how many found none.
fn fill_and_publish(core: &LaneCore<Slots>, free: &mut SlotSet, frames: u64) -> u64 {
    let mut refused = 0;
    for frame in 0..frames {
        core.collect(free);
        let Some(slot) = free.pop() else {
            refused += 1;
            continue;
        };
        core.states.payloads.write(slot, frame);
        core.produce(slot).unwrap();
        core.publish(slot, |slot| free.insert(slot));
    }
    refused
}

/// A reader of `tap`: one claim of the newest frame and one release; the frame it had.
fn read_newest(core: &LaneCore<Slots>, tap: usize, floor: &mut u64) -> Option<u64> {
    let claimed = core.claim_newest(tap, floor, |passed| {
        core.states.payloads.read(passed.slot);
    });
    read(core, tap, claimed)
}

/// A reader of `tap`: one claim of the oldest frame and one release; the frame it had.
fn read_oldest(core: &LaneCore<Slots>, tap: usize, floor: &mut u64) -> Option<u64> {
    read(core, tap, core.claim_oldest(tap, floor))
}

fn read(core: &LaneCore<Slots>, tap: usize, claimed: Option<Claimed>) -> Option<u64> {
    let slot = claimed?.slot;
    let frame = core.states.payloads.read(slot);
    core.release(slot, tap, End::Consumed).unwrap();
    Some(frame)
}

type Read = fn(&LaneCore<Slots>, usize, &mut u64) -> Option<u64>;

/// A ring of 1, one lease, one slot in hand: as many as `slots_needed` asks for, and no more.
fn one_tap(reused: &'static Seen, evicted: &'static Seen, read: Read) {
    explore(3, 500, move || {
        let core = model_lane(3, &[1]);
        let producer = thread::spawn({
            let core = Arc::clone(&core);
            move || {
                let mut free = SlotSet::first(3);
                let refused = fill_and_publish(&core, &mut free, 4);
                assert_eq!(refused, 0, "capture starved");
                free
            }
        });
        let reader = thread::spawn({
            let core = Arc::clone(&core);
            move || {
                let mut floor = 0;
                [(); 2].map(|()| read(&core, 0, &mut floor))
            }
        });
        let mut free = producer.join().unwrap();
        let frames = reader.join().unwrap();
        evicted.if_so(frames.iter().flatten().count() < 2);
        // Four frames and two reads in three slots: the last frame lies where an earlier one was.
        reused.if_so(frames == [Some(0), Some(3)]);
        core.collect(&mut free);
        assert_eq!(free.len() as usize + core.rings[0].len(), 3);
        assert_eq!(core.illegal_changes(), 0);
    });
    Seen::check(&[reused, evicted]);
}

#[test]
fn loom_a_slot_of_one_tap_is_written_again_only_after_its_reader_is_done() {
    static REUSED: Seen = Seen::new("a slot is filled again after its reader gave it back");
    static EVICTED: Seen = Seen::new("a frame is pushed out");
    one_tap(&REUSED, &EVICTED, read_newest);
}

#[test]
fn loom_a_slot_of_one_tap_is_written_again_only_after_its_reader_is_done_oldest_first() {
    static REUSED: Seen = Seen::new("a slot is filled again after its reader gave it back");
    static EVICTED: Seen = Seen::new("a frame is pushed out");
    one_tap(&REUSED, &EVICTED, read_oldest);
}

#[test]
fn loom_a_sweeping_reader_does_not_starve_capture() {
    static SWEPT: Seen = Seen::new("the reader passes all three older frames over");
    static EVICTED: Seen = Seen::new("the producer is faster than the sweep");
    explore(3, 500, || {
        // A ring of 4, one lease, one frame just passed over, one slot in hand.
        let core = model_lane(7, &[4]);
        let mut free = SlotSet::first(7);
        fill_and_publish(&core, &mut free, 4);
        let producer = thread::spawn({
            let core = Arc::clone(&core);
            move || {
                let refused = fill_and_publish(&core, &mut free, 4);
                assert_eq!(refused, 0, "capture starved");
                free
            }
        });
        let reader = thread::spawn({
            let core = Arc::clone(&core);
            move || {
                let mut passed = 0;
                let claimed = core.claim_newest(0, &mut 0, |_| passed += 1);
                (claimed.map(|claimed| claimed.position), passed)
            }
        });
        let mut free = producer.join().unwrap();
        let (newest, passed) = reader.join().unwrap();
        SWEPT.if_so((newest, passed) == (Some(3), 3));
        EVICTED.if_so(newest == Some(3) && passed < 3);
        core.collect(&mut free);
        let leased = usize::from(newest.is_some());
        assert_eq!(free.len() as usize + core.rings[0].len() + leased, 7);
    });
    Seen::check(&[&SWEPT, &EVICTED]);
}

#[test]
fn loom_a_slot_of_two_taps_comes_back_once_after_the_last_lease() {
    static READER_LAST: Seen = Seen::new("a reader is the last to end a frame");
    static BOTH: Seen = Seen::new("both taps read the same frame");
    static REUSED: Seen = Seen::new("a slot that both taps had read is filled again");
    explore(3, 1_000, || {
        let core = model_lane(2, &[1, 1]);
        let producer = thread::spawn({
            let core = Arc::clone(&core);
            move || {
                let mut free = SlotSet::first(2);
                fill_and_publish(&core, &mut free, 3);
                free
            }
        });
        let readers = [0, 1].map(|tap| {
            let core = Arc::clone(&core);
            thread::spawn(move || read_newest(&core, tap, &mut 0))
        });
        let mut free = producer.join().unwrap();
        let frames = readers.map(|reader| reader.join().unwrap());
        BOTH.if_so(frames[0].is_some() && frames[0] == frames[1]);
        READER_LAST.if_so(core.returned() > 0);
        REUSED.if_so(frames == [Some(0); 2] && core.rings[0].next_position() == 3);
        core.collect(&mut free);
        let live = core
            .states
            .states
            .iter()
            .filter(|s| s.is_live(0) || s.is_live(1));
        assert_eq!(free.len() as usize + live.count(), 2);
        assert_eq!(core.illegal_changes(), 0);
    });
    Seen::check(&[&READER_LAST, &BOTH, &REUSED]);
}

#[test]
fn loom_no_wake_up_is_lost() {
    static SLEPT: Seen = Seen::new("somebody had to be woken");
    static AWAKE: Seen = Seen::new("nobody had to be woken");
    explore(3, 1_000, || {
        let shared = Arc::new((Doorbell::new(), Payloads::new(2)));
        let ringers = [0, 1].map(|camera| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.1.write(camera, 7);
                shared.0.ring(1 << camera);
            })
        });
        let worker = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let mut taken = 0;
                while taken != 0b11 {
                    assert_eq!(shared.0.wait(Waiting::Park, FOREVER, || 0), Woken::Ready);
                    let bits = shared.0.take();
                    for camera in 0..2 {
                        if bits >> camera & 1 == 1 {
                            assert_eq!(shared.1.read(camera), 7);
                        }
                    }
                    taken |= bits;
                }
            }
        });
        ringers
            .into_iter()
            .for_each(|ringer| ringer.join().unwrap());
        worker.join().unwrap();
        SLEPT.if_so(shared.0.wake_calls() > 0);
        AWAKE.if_so(shared.0.wake_calls() == 0);
    });
    Seen::check(&[&SLEPT, &AWAKE]);
}

#[test]
fn loom_a_bit_that_is_passed_on_wakes_the_other_worker() {
    static PASSED_ON: Seen = Seen::new("a worker passes a bit on");
    explore(2, 1_000, || {
        let bell = Arc::new(Doorbell::new());
        let ringer = thread::spawn({
            let bell = Arc::clone(&bell);
            move || bell.ring(0b11)
        });
        // Each worker serves one camera, and is then busy for good: if the other bit woke nobody, the
        // other worker would sleep for ever.
        let workers = [(); 2].map(|()| {
            let bell = Arc::clone(&bell);
            thread::spawn(move || {
                loop {
                    assert_eq!(bell.wait(Waiting::Park, FOREVER, || 0), Woken::Ready);
                    let bits = bell.take();
                    let mine = bits & bits.wrapping_neg();
                    if bits != mine {
                        PASSED_ON.if_so(true);
                        bell.ring(bits ^ mine);
                    }
                    if mine != 0 {
                        return mine;
                    }
                }
            })
        });
        ringer.join().unwrap();
        let served = workers.map(|worker| worker.join().unwrap());
        assert_eq!(served[0] | served[1], 0b11);
    });
    Seen::check(&[&PASSED_ON]);
}

#[test]
fn loom_closing_ends_every_wait() {
    explore(2, 1_000, || {
        let shared = Arc::new((Doorbell::new(), Payloads::new(1)));
        let closer = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                shared.1.write(0, 9);
                shared.0.close();
            }
        });
        let workers = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let woken = shared.0.wait(Waiting::Park, FOREVER, || 0);
                assert_eq!(woken, Woken::Closed);
                assert_eq!(shared.1.read(0), 9);
            })
        });
        closer.join().unwrap();
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
        assert_eq!(shared.0.wait(Waiting::Park, FOREVER, || 0), Woken::Closed);
    });
}

#[test]
fn loom_at_the_end_every_slot_is_accounted_for() {
    static REFUSED: Seen = Seen::new("a frame is left when the bell closes");
    static SERVED: Seen = Seen::new("a frame is served before the bell closes");
    explore(2, 500, || {
        let shared = Arc::new((Doorbell::new(), model_lane(3, &[1])));
        let producer = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let mut free = SlotSet::first(3);
                for frame in 0..2 {
                    shared.1.collect(&mut free);
                    let slot = free.pop().expect("three slots are enough");
                    shared.1.states.payloads.write(slot, frame);
                    shared.1.produce(slot).unwrap();
                    shared.1.publish(slot, |slot| free.insert(slot));
                    shared.0.ring(1);
                }
                shared.0.close();
                free
            }
        });
        let worker = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let (mut floor, mut served) = (0, 0);
                while shared.0.wait(Waiting::Park, FOREVER, || 0) == Woken::Ready {
                    if shared.0.take() != 0 {
                        // The bit was taken by nobody else, so its frame is there, or a newer one.
                        assert!(read_newest(&shared.1, 0, &mut floor).is_some() || floor == 2);
                        served += 1;
                    }
                }
                SERVED.if_so(served > 0);
                // Closed: all that was published before is there to be refused.
                REFUSED.if_so(read_newest(&shared.1, 0, &mut floor).is_some());
                assert_eq!(floor, 2);
            }
        });
        let mut free = producer.join().unwrap();
        worker.join().unwrap();
        shared.1.collect(&mut free);
        assert_eq!(free.len(), 3);
    });
    Seen::check(&[&REFUSED, &SERVED]);
}
