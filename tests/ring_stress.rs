//! Two and more threads on one ring and on one lane, every index accounted for.
//!
//! `cargo test` runs 10^6 operations of each kind; with `PINSIGHT_STRESS_OPERATIONS=100000000` and the
//! bench profile (`cargo test --profile bench --test ring_stress`) they are as many as that says.

use pinsight::frame::{FrameMeta, SlotTable};
use pinsight::ring::{
    Claimed, Doorbell, FrameRing, LaneTap, TapNeed, Waiting, Woken, lane, slots_needed,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

fn operations() -> u64 {
    std::env::var("PINSIGHT_STRESS_OPERATIONS").map_or(1_000_000, |text| {
        text.parse()
            .expect("PINSIGHT_STRESS_OPERATIONS is a number")
    })
}

/// What one consumer saw: counts and sums are enough to account for every position, since positions
/// are 0, 1, 2, ... and each consumer's are in order.
#[derive(Default)]
struct Tally {
    count: u64,
    sum: u128,
    last: Option<u64>,
}

impl Tally {
    fn claimed(&mut self, claimed: Claimed) {
        assert!(self.last.is_none_or(|last| claimed.position > last));
        self.last = Some(claimed.position);
        self.also(claimed);
    }

    /// Without regard to order: a frame that was passed over.
    fn also(&mut self, claimed: Claimed) {
        assert_eq!(u64::from(claimed.slot), claimed.position & 0xfff);
        self.count += 1;
        self.sum += u128::from(claimed.position);
    }
}

/// Bursts of any length up to twice the capacity, and mostly a pause between them until the readers
/// have caught up: otherwise one side would run alone for a whole time slice, and nothing would meet.
struct Pace {
    random: u32,
    capacity: u32,
    left: u32,
}

impl Pace {
    fn new(capacity: usize) -> Self {
        Self {
            random: 0x2545_f491,
            capacity: u32::try_from(capacity).unwrap(),
            left: 1,
        }
    }

    fn after_frame(&mut self, caught_up: impl Fn() -> bool) {
        self.left -= 1;
        if self.left > 0 {
            return;
        }
        // xorshift32, Marsaglia 2003.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.left = 1 + (self.random >> 8) % (2 * self.capacity);
        let patience = if self.random.is_multiple_of(8) {
            0
        } else {
            100
        };
        for turn in 0.. {
            if turn == patience || caught_up() {
                break;
            }
            if turn % 50 == 49 {
                thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }
}

/// The producer publishes position numbers; consumers claim as `claim` says until the end.
fn race_on_a_ring(
    capacity: usize,
    consumers: usize,
    claim: impl Fn(&FrameRing, &mut u64, &mut Tally) + Sync,
) {
    let ring = FrameRing::new(capacity).unwrap();
    let frames = operations();
    let published = AtomicU64::new(0);
    let mut tallies = thread::scope(|scope| {
        let producer = scope.spawn(|| {
            let mut evicted = Tally::default();
            let mut pace = Pace::new(capacity);
            for position in 0..frames {
                let slot = u16::try_from(position & 0xfff).unwrap();
                if let Some(old) = ring.publish(slot) {
                    evicted.claimed(old);
                }
                pace.after_frame(|| ring.is_empty());
            }
            published.store(frames, Ordering::Release);
            evicted
        });
        let consumers: Vec<_> = (0..consumers)
            .map(|_| {
                scope.spawn(|| {
                    let (mut tally, mut floor, mut idle) = (Tally::default(), 0, 0_u32);
                    while published.load(Ordering::Acquire) == 0 {
                        let before = tally.count;
                        claim(&ring, &mut floor, &mut tally);
                        idle = if tally.count == before { idle + 1 } else { 0 };
                        if idle % 64 == 63 {
                            thread::yield_now();
                        }
                    }
                    while !ring.is_empty() {
                        claim(&ring, &mut floor, &mut tally);
                    }
                    tally
                })
            })
            .collect();
        let mut tallies = vec![producer.join().unwrap()];
        tallies.extend(consumers.into_iter().map(|c| c.join().unwrap()));
        tallies
    });
    let evicted = tallies.remove(0);
    let claimed: u64 = tallies.iter().map(|tally| tally.count).sum();
    let sum: u128 = tallies.iter().map(|tally| tally.sum).sum();
    println!(
        "capacity {capacity}: {frames} published, {claimed} claimed, {} evicted",
        evicted.count
    );
    assert_eq!(claimed + evicted.count, frames);
    let all = u128::from(frames) * u128::from(frames - 1) / 2;
    assert_eq!(sum + evicted.sum, all, "each position once");
    assert!(claimed > 0);
}

#[test]
fn every_frame_of_a_ring_goes_to_one_place_newest_first() {
    for capacity in [1, 4] {
        race_on_a_ring(capacity, 1, |ring, floor, tally| {
            let mut passed = Vec::new();
            if let Some(newest) = ring.claim_newest(floor, |older| passed.push(older)) {
                passed.drain(..).for_each(|older| tally.claimed(older));
                tally.claimed(newest);
            }
        });
    }
}

#[test]
fn every_frame_of_a_ring_goes_to_one_place_oldest_first() {
    for capacity in [1, 8, 256] {
        race_on_a_ring(capacity, 1, |ring, floor, tally| {
            if let Some(oldest) = ring.claim_oldest(floor) {
                tally.claimed(oldest);
            }
        });
    }
}

#[test]
fn every_frame_of_a_ring_goes_to_one_of_two_consumers() {
    race_on_a_ring(16, 2, |ring, floor, tally| {
        if floor.is_multiple_of(3) {
            let newest = ring.claim_newest(floor, |older| tally.also(older));
            newest.into_iter().for_each(|newest| tally.also(newest));
        } else if let Some(oldest) = ring.claim_oldest(floor) {
            tally.also(oldest);
        }
    });
}

/// Payload and header carry the frame's number many times over: a slot that is written while somebody
/// reads it shows.
fn read_frames(reader: &LaneTap, bell: &Doorbell, newest: bool) -> (u64, u64) {
    let start = Instant::now();
    let now = || u64::try_from(start.elapsed().as_nanos()).unwrap();
    let (mut claimed, mut passed, mut last) = (0, 0, None);
    loop {
        let woken = bell.wait(Waiting::SpinThenPark { spin_ns: 2_000 }, u64::MAX, now);
        bell.take();
        loop {
            let lease = if newest {
                reader.claim_newest(|_| passed += 1)
            } else {
                reader.claim_oldest()
            };
            let Some(lease) = lease.expect("one lease at a time") else {
                break;
            };
            lease.verify().unwrap();
            assert!(last.is_none_or(|last| lease.sequence() > last));
            last = Some(lease.sequence());
            for word in lease.payload().chunks_exact(8) {
                assert_eq!(word, lease.sequence().to_le_bytes());
            }
            assert_eq!(lease.header().capture_ns, lease.sequence());
            claimed += 1;
        }
        if woken == Woken::Closed && !reader.is_waiting() {
            return (claimed, passed);
        }
    }
}

#[test]
fn every_slot_of_a_lane_is_accounted_for_after_a_race_of_capture_and_two_taps() {
    const DRIVER_SLOTS: u16 = 2;
    let frames = operations() / 10;
    let need = |capacity| TapNeed {
        capacity,
        readers: 1,
        leases: 1,
    };
    let taps = [need(4), need(1)];
    let slots = u16::try_from(slots_needed(DRIVER_SLOTS, &taps)).unwrap();
    let (mut producer, readers) =
        lane(0, SlotTable::on_heap(slots, 256), DRIVER_SLOTS, &taps).unwrap();
    let bells = [Doorbell::new(), Doorbell::new()];
    let (evicted, read) = thread::scope(|scope| {
        let readers: Vec<_> = readers
            .into_iter()
            .zip(&bells)
            .enumerate()
            .map(|(tap, (reader, bell))| scope.spawn(move || read_frames(&reader, bell, tap == 0)))
            .collect();
        let mut evicted = [0_u64; 2];
        let (view, mut pace) = (producer.view(), Pace::new(4));
        for frame in 0..frames {
            let mut slot = producer.take_free().expect("capture never starves");
            for word in producer.payload_mut(&mut slot).chunks_exact_mut(8) {
                word.copy_from_slice(&frame.to_le_bytes());
            }
            let meta = FrameMeta {
                capture_ns: frame,
                bytes_used: 256,
                ..FrameMeta::default()
            };
            let filled = producer.fill(slot, &meta).unwrap();
            let published = producer.publish(filled);
            for (tap, bell) in bells.iter().enumerate() {
                evicted[tap] += u64::from(published.evicted(tap));
                bell.ring(1);
            }
            pace.after_frame(|| view.waiting(0) + view.waiting(1) == 0);
        }
        bells.iter().for_each(Doorbell::close);
        let read: Vec<_> = readers.into_iter().map(|r| r.join().unwrap()).collect();
        (evicted, read)
    });
    for (tap, (claimed, passed)) in read.into_iter().enumerate() {
        println!(
            "tap {tap}: {frames} published, {claimed} read, {passed} passed over, {} evicted, {} wake-ups",
            evicted[tap],
            bells[tap].wake_calls()
        );
        assert_eq!(claimed + passed + evicted[tap], frames);
        assert!(claimed > 0);
    }
    let occupancy = producer.occupancy();
    assert_eq!(
        (occupancy.free, occupancy.live, occupancy.in_hand),
        (occupancy.slots, 0, 0)
    );
    assert_eq!(producer.view().illegal_changes(), 0);
}

#[test]
fn no_wake_up_is_lost_between_two_threads_that_wait_for_each_other() {
    let rounds = operations() / 20;
    for how in [Waiting::Park, Waiting::SpinThenPark { spin_ns: 3_000 }] {
        let bells = [Doorbell::new(), Doorbell::new()];
        let play = |mine: usize| {
            let start = Instant::now();
            let now = || u64::try_from(start.elapsed().as_nanos()).unwrap();
            for _ in 0..rounds {
                let woken = bells[mine].wait(how, u64::MAX, now);
                assert_eq!((woken, bells[mine].take()), (Woken::Ready, 1));
                bells[1 - mine].ring(1);
            }
        };
        bells[0].ring(1);
        thread::scope(|scope| {
            scope.spawn(|| play(0));
            scope.spawn(|| play(1));
        });
        println!(
            "{how:?}: {rounds} rounds, {} wake-ups",
            bells[0].wake_calls() + bells[1].wake_calls()
        );
    }
}
