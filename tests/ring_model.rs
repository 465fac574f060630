//! The frame ring and the lane against plain models that are obviously right, over random histories.

use pinsight::frame::{FrameMeta, SlotTable};
use pinsight::ring::{FrameRing, LaneTap, Lease, TapNeed, lane, slots_needed};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::{Config, TestCaseError, TestCaseResult};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

fn cases(cases: u32) -> Config {
    Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    }
}

#[derive(Clone, Copy, Debug)]
enum RingStep {
    Publish,
    Newest { consumer: usize },
    Oldest { consumer: usize },
}

fn ring_steps() -> impl Strategy<Value = Vec<RingStep>> {
    let step = prop_oneof![
        4 => Just(RingStep::Publish),
        1 => (0..2_usize).prop_map(|consumer| RingStep::Newest { consumer }),
        2 => (0..2_usize).prop_map(|consumer| RingStep::Oldest { consumer }),
    ];
    proptest::collection::vec(step, 1..400)
}

/// The ring is a double-ended queue that loses its front when it is full.
fn ring_follows_the_queue(
    capacity: usize,
    steps: &[RingStep],
    reached: &Reached,
) -> TestCaseResult {
    let ring = FrameRing::new(capacity).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let mut queue = VecDeque::new();
    let mut floors = [0_u64; 2];
    for (number, &step) in (0_u16..).zip(steps) {
        match step {
            RingStep::Publish => {
                let pushed_out = (queue.len() == capacity)
                    .then(|| queue.pop_front())
                    .flatten();
                queue.push_back(number);
                assert_eq!(ring.publish(number).map(|old| old.slot), pushed_out);
                reached.count(0, pushed_out.is_some());
            }
            RingStep::Newest { consumer } => {
                let mut passed = Vec::new();
                let newest =
                    ring.claim_newest(&mut floors[consumer], |older| passed.push(older.slot));
                assert_eq!(newest.map(|c| c.slot), queue.pop_back());
                reached.count(1, !passed.is_empty());
                assert_eq!(passed, queue.drain(..).collect::<Vec<_>>());
            }
            RingStep::Oldest { consumer } => {
                let oldest = ring.claim_oldest(&mut floors[consumer]);
                assert_eq!(oldest.map(|c| c.slot), queue.pop_front());
                reached.count(2, oldest.is_some());
                reached.count(3, oldest.is_none());
            }
        }
        assert_eq!(ring.len(), queue.len());
    }
    Ok(())
}

/// That the interesting cases were met at all.
struct Reached([AtomicU64; 4]);

impl Reached {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 4])
    }
    fn count(&self, what: usize, met: bool) {
        self.0[what].fetch_add(met.into(), Ordering::Relaxed);
    }
    #[track_caller]
    fn check(&self) {
        for (what, count) in self.0.iter().enumerate() {
            assert!(count.load(Ordering::Relaxed) > 100, "case {what} is rare");
        }
    }
}

#[test]
fn the_ring_is_a_queue_that_loses_its_front_when_it_is_full() {
    let reached = Reached::new();
    let mut runner = proptest::test_runner::TestRunner::new(cases(250));
    let input = (0..=5_u32, ring_steps());
    runner
        .run(&input, |(log2, steps)| {
            ring_follows_the_queue(1 << log2, &steps, &reached)
        })
        .unwrap_or_else(|error| panic!("{error}"));
    reached.check();
}

#[derive(Clone, Copy, Debug)]
enum LaneStep {
    Lend,
    Deliver { damaged: bool },
    Claim { reader: usize, oldest: bool },
    Release { lease: usize, discard: bool },
    StopDriver,
}

fn lane_steps() -> impl Strategy<Value = Vec<LaneStep>> {
    let step = prop_oneof![
        4 => Just(LaneStep::Lend),
        4 => (0..10).prop_map(|n| LaneStep::Deliver { damaged: n == 0 }),
        3 => (0..8_usize, any::<bool>())
            .prop_map(|(reader, oldest)| LaneStep::Claim { reader, oldest }),
        3 => (0..16_usize, any::<bool>())
            .prop_map(|(lease, discard)| LaneStep::Release { lease, discard }),
        1 => (0..20).prop_map(|n| if n == 0 { LaneStep::StopDriver } else { LaneStep::Lend }),
    ];
    proptest::collection::vec(step, 1..300)
}

fn taps() -> impl Strategy<Value = Vec<TapNeed>> {
    let tap = (0..3_u32, 1..=2_u16, 1..=2_u16).prop_map(|(log2, readers, leases)| TapNeed {
        capacity: 1 << log2,
        readers,
        leases,
    });
    proptest::collection::vec(tap, 1..=4)
}

/// One thread plays driver, capture and readers in any order; a queue for each tap says what each
/// claim must give, and after each step every slot is in exactly one place.
#[allow(clippy::too_many_lines)]
fn lane_follows_the_queues(driver_slots: u16, taps: &[TapNeed], steps: &[LaneStep]) {
    let slots = u16::try_from(slots_needed(driver_slots, taps)).unwrap();
    let (mut producer, readers): (_, Vec<LaneTap>) =
        lane(3, SlotTable::on_heap(slots, 8), driver_slots, taps).unwrap();
    let view = producer.view();
    let mut queues: Vec<VecDeque<u64>> = vec![VecDeque::new(); taps.len()];
    let mut held: Vec<Vec<u64>> = vec![Vec::new(); taps.len()];
    let mut driver = VecDeque::new();
    let mut leases: Vec<(usize, usize, Lease<'_>)> = Vec::new();
    let mut published = 0_u64;
    for &step in steps {
        match step {
            LaneStep::Lend => {
                if driver.len() < usize::from(driver_slots) {
                    let slot = producer.take_free().expect("the driver's slots are free");
                    driver.push_back(producer.queued(slot));
                }
            }
            LaneStep::Deliver { damaged } => {
                let Some(index) = driver.pop_front() else {
                    continue;
                };
                let mut slot = producer.dequeued(index).unwrap();
                producer
                    .payload_mut(&mut slot)
                    .copy_from_slice(&published.to_le_bytes());
                let meta = FrameMeta {
                    bytes_used: 8,
                    ..FrameMeta::default()
                };
                let filled = producer.fill(slot, &meta).unwrap();
                if damaged {
                    producer.discard(filled);
                    continue;
                }
                let done = producer.publish(filled);
                assert_eq!(done.sequence, published);
                for (tap, queue) in queues.iter_mut().enumerate() {
                    let full = queue.len() == taps[tap].capacity;
                    assert_eq!(done.evicted(tap), full);
                    if full {
                        queue.pop_front();
                    }
                    queue.push_back(published);
                }
                published += 1;
            }
            LaneStep::Claim { reader, oldest } => {
                let reader_index = reader % readers.len();
                let reader = &readers[reader_index];
                let tap = reader.tap();
                let mut passed = Vec::new();
                let claimed = if oldest {
                    reader.claim_oldest()
                } else {
                    reader.claim_newest(|header| passed.push(header.sequence))
                };
                let mine = leases.iter().filter(|l| l.1 == reader_index).count();
                let Ok(claimed) = claimed else {
                    assert_eq!(mine, usize::from(taps[tap].leases));
                    continue;
                };
                assert!(mine < usize::from(taps[tap].leases));
                let expected = if oldest {
                    queues[tap].pop_front()
                } else {
                    queues[tap].pop_back()
                };
                assert_eq!(claimed.as_ref().map(Lease::sequence), expected);
                if !oldest {
                    assert_eq!(passed, queues[tap].drain(..).collect::<Vec<_>>());
                }
                if let Some(lease) = claimed {
                    held[tap].push(lease.sequence());
                    leases.push((tap, reader_index, lease));
                }
            }
            LaneStep::Release { lease, discard } => {
                if leases.is_empty() {
                    continue;
                }
                let (tap, _, lease) = leases.swap_remove(lease % leases.len());
                held[tap].retain(|&sequence| sequence != lease.sequence());
                lease.verify().unwrap();
                assert_eq!(lease.payload(), lease.sequence().to_le_bytes());
                if discard {
                    lease.discard();
                }
            }
            LaneStep::StopDriver => {
                let lent = u32::try_from(driver.len()).unwrap();
                assert_eq!(producer.take_back_all(), lent);
                driver.clear();
            }
        }
        let mut live: Vec<u64> = queues.iter().flatten().copied().collect();
        live.extend(held.iter().flatten());
        live.sort_unstable();
        live.dedup();
        let occupancy = producer.occupancy();
        assert_eq!(occupancy.live as usize, live.len());
        assert_eq!(occupancy.queued as usize, driver.len());
        assert_eq!(occupancy.in_hand, 0);
        for tap in 0..taps.len() {
            assert_eq!(view.waiting(tap) as usize, queues[tap].len());
            assert_eq!(view.live(tap) as usize, queues[tap].len() + held[tap].len());
        }
    }
    drop(leases);
    assert_eq!(view.illegal_changes(), 0);
}

proptest! {
    #![proptest_config(cases(120))]
    #[test]
    fn a_lane_is_a_queue_for_each_tap_and_every_slot_is_in_one_place(
        driver_slots in 1..4_u16,
        taps in taps(),
        steps in lane_steps(),
    ) {
        lane_follows_the_queues(driver_slots, &taps, &steps);
    }
}
