//! The ledger's identities under random faults, over the real lane: 10^5 frames for each seed.

use pinsight::frame::{FrameMeta, SlotTable};
use pinsight::ledger::{LOST_AT_START, LedgerSnapshot, Outcome, SequenceStep, ledger};
use pinsight::ring::{LaneTap, TapNeed, lane, slots_needed};

/// SplitMix64.
///
/// # Source
/// Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A driver's sequence numbers with everything that drivers do to them, and what it knows of it.
struct Driver {
    next: u32,
    streaming: bool,
    lost: u64,
    repeated: u64,
    streams: u64,
    span: u64,
}

impl Driver {
    /// The next frame's number, and whether the stream was stopped before it.
    fn deliver(&mut self, random: &mut Random) -> (u32, bool) {
        let stopped = self.streaming && random.once_in(500);
        if stopped || !self.streaming {
            let before = self.next;
            // Mostly near the wrap, so that it is met often.
            self.next = match random.below(3) {
                0 => 0,
                1 => u32::MAX - 40,
                _ => u32::try_from(random.below(1 << 32)).unwrap(),
            };
            // Or a little behind the start: so many were lost before it.
            let missing = match random.below(4) {
                0 => u32::try_from(1 + random.below(LOST_AT_START.into())).unwrap(),
                _ => 0,
            };
            if missing > 0 && missing != before.wrapping_add(1) {
                self.next = missing;
                self.lost += u64::from(missing);
                self.span += u64::from(missing);
            }
            self.streams += 1;
            self.span += 1;
            self.streaming = true;
            return (self.next, stopped);
        }
        match random.below(40) {
            0 => self.repeated += 1,
            1 => {
                let missing = u32::try_from(1 + random.below(30)).unwrap();
                self.lost += u64::from(missing);
                self.span += u64::from(missing) + 1;
                self.next = self.next.wrapping_add(missing + 1);
            }
            _ => {
                self.span += 1;
                self.next = self.next.wrapping_add(1);
            }
        }
        (self.next, false)
    }
}

#[derive(Default)]
struct Truth {
    frames: u64,
    outcomes: [u64; 6],
}

#[track_caller]
fn check(snapshot: &LedgerSnapshot, truth: &Truth, driver: &Driver) {
    assert_eq!(snapshot.imbalance(), Default::default(), "{snapshot:?}");
    let found = [
        snapshot.inferred,
        snapshot.dropped.evicted,
        snapshot.dropped.stale,
        snapshot.dropped.damaged,
        snapshot.dropped.refused,
        snapshot.dropped.failed,
    ];
    assert_eq!(found, truth.outcomes);
    assert_eq!(snapshot.driver_frames, truth.frames);
    assert_eq!(
        (
            snapshot.lost_in_driver,
            snapshot.repeated_sequence,
            snapshot.sequence_span,
            snapshot.streams
        ),
        (driver.lost, driver.repeated, driver.span, driver.streams)
    );
}

fn run(seed: u64, capacity: usize) -> [u64; 6] {
    const FRAMES: u64 = 100_000;
    let mut random = Random(seed);
    let tap = TapNeed {
        capacity,
        readers: 1,
        leases: 2,
    };
    // Enough for everybody; a capture side that hoards slots runs out of them all the same.
    let slots = u16::try_from(slots_needed(2, &[tap])).unwrap();
    let (mut producer, readers) = lane(0, SlotTable::on_heap(slots, 8), 2, &[tap]).unwrap();
    let reader: &LaneTap = &readers[0];
    let view = producer.view();
    let (mut capture, worker, book) = ledger();
    let mut driver = Driver {
        next: 0,
        streaming: false,
        lost: 0,
        repeated: 0,
        streams: 0,
        span: 0,
    };
    let mut truth = Truth::default();
    let mut hoard = Vec::new();
    // Frames whose slot is back and whose result is not there yet.
    let mut invoked: u64 = 0;
    let mut leased = Vec::new();
    while truth.frames < FRAMES {
        // Capture: one frame, with all that can be wrong with it.
        let (number, stopped) = driver.deliver(&mut random);
        if stopped {
            capture.stream_stopped();
        }
        let step = capture.frame(number);
        assert_ne!(step, SequenceStep::Restart, "restarts are told here");
        truth.frames += 1;
        if random.once_in(50) {
            hoard.extend(producer.take_free());
        } else if random.once_in(20) {
            hoard.drain(..).for_each(|slot| producer.give_back(slot));
        }
        if let Some(slot) = producer.take_free() {
            let long = random.once_in(30);
            let meta = FrameMeta {
                driver_sequence: number,
                bytes_used: if long { 9 } else { 8 },
                ..FrameMeta::default()
            };
            match producer.fill(slot, &meta) {
                Err(_) => {
                    capture.count(Outcome::Damaged, 1);
                    truth.outcomes[Outcome::Damaged as usize] += 1;
                }
                Ok(filled) if random.once_in(40) => {
                    producer.discard(filled);
                    capture.count(Outcome::Damaged, 1);
                    truth.outcomes[Outcome::Damaged as usize] += 1;
                }
                Ok(filled) => {
                    if producer.publish(filled).evicted(0) {
                        capture.count(Outcome::Evicted, 1);
                        truth.outcomes[Outcome::Evicted as usize] += 1;
                    }
                }
            }
        } else {
            capture.count(Outcome::Refused, 1);
            truth.outcomes[Outcome::Refused as usize] += 1;
        }
        // Worker: claims, judges, gives back, invokes, in any order and speed.
        for _ in 0..random.below(3) {
            match random.below(4) {
                0 | 1 => {
                    let mut stale = 0;
                    let claimed = if random.once_in(2) {
                        reader.claim_newest(|_| stale += 1)
                    } else {
                        reader.claim_oldest()
                    };
                    leased.extend(claimed.ok().flatten());
                    worker.count(Outcome::Stale, stale);
                    truth.outcomes[Outcome::Stale as usize] += stale;
                }
                2 if !leased.is_empty() => {
                    let lease = leased.swap_remove(0);
                    let outcome = match random.below(8) {
                        0 => Outcome::Stale,
                        1 => Outcome::Damaged,
                        2 => Outcome::Failed,
                        _ => {
                            invoked += 1;
                            continue;
                        }
                    };
                    lease.discard();
                    worker.count(outcome, 1);
                    truth.outcomes[outcome as usize] += 1;
                }
                _ if invoked > 0 => {
                    invoked -= 1;
                    let failed = random.once_in(10);
                    let outcome = if failed {
                        Outcome::Failed
                    } else {
                        Outcome::Inferred
                    };
                    worker.count(outcome, 1);
                    truth.outcomes[outcome as usize] += 1;
                }
                _ => {}
            }
        }
        if truth.frames.is_multiple_of(97) {
            let snapshot = book.snapshot(|| u64::from(view.live(0)) + invoked);
            check(&snapshot, &truth, &driver);
        }
    }
    // The end: what waits or is leased is refused, what is invoked is finished.
    let mut refused = u64::try_from(leased.len()).unwrap();
    leased.into_iter().for_each(pinsight::ring::Lease::discard);
    while let Ok(Some(lease)) = reader.claim_oldest() {
        lease.discard();
        refused += 1;
    }
    for (outcome, count) in [(Outcome::Refused, refused), (Outcome::Inferred, invoked)] {
        worker.count(outcome, count);
        truth.outcomes[outcome as usize] += count;
    }
    let snapshot = book.snapshot(|| u64::from(view.live(0)));
    assert_eq!(snapshot.in_flight, 0);
    check(&snapshot, &truth, &driver);
    hoard.drain(..).for_each(|slot| producer.give_back(slot));
    assert_eq!(producer.occupancy().free, producer.occupancy().slots);
    truth.outcomes
}

#[test]
fn the_identities_hold_at_every_moment_of_a_hundred_thousand_faulty_frames() {
    for (seed, capacity) in [(1, 1), (2, 4)] {
        let outcomes = run(seed, capacity);
        for outcome in Outcome::ALL {
            assert!(
                outcomes[outcome as usize] > 100 || capacity == 1,
                "seed {seed}: {outcome:?} is rare: {outcomes:?}"
            );
        }
    }
}
