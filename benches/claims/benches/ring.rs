//! The frame ring and its lane beside the queues that one would otherwise take.
//!
//! Two questions: what an exchange costs on one core, when nobody else wants the lines, and how long an
//! index is on its way from one core to another. All designs are measured in the same run, the
//! hand-offs in short turns, so that whatever else the machine does meets all of them alike.

mod common;

use common::{Row, conclude, criterion, distribution, median_ns, round_trips, row};
use criterion::Criterion;
use crossbeam_queue::ArrayQueue;
use hdrhistogram::Histogram;
use pinsight::frame::{FrameMeta, SlotTable};
use pinsight::ring::{FrameRing, LaneProducer, LaneTap, TapNeed, lane, slots_needed};
use pinsight::sync::{AtomicU64, Ordering, Padded};
use std::hint::{black_box, spin_loop};
use std::sync::mpsc::sync_channel;

const CAPACITY: usize = 8;
const EXCHANGE: &str = "publish and claim, one core";
const MEMORY: &str = "memory for a frame, one core";
const SENT: &str = "a frame sent, one core";
const HAND_OFF: &str = "one-way hand-off, two cores";
/// Bytes of a 1080p NV12 frame.
const FRAME_BYTES: u32 = 1920 * 1080 * 3 / 2;

fn exchange(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(EXCHANGE);
    for (name, capacity) in [("ring of 1", 1), ("ring of 8", CAPACITY)] {
        let ring = FrameRing::new(capacity).expect("a power of two");
        let mut floor = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                ring.publish(black_box(7));
                ring.claim_newest(&mut floor, |_| ())
            });
        });
    }
    // The least that handing an index over and taking it can be.
    let word = AtomicU64::new(0);
    group.bench_function("two swaps", |bencher| {
        bencher.iter(|| {
            word.swap(black_box(7), Ordering::AcqRel);
            word.swap(0, Ordering::AcqRel)
        });
    });
    let (mut sender, mut receiver) = rtrb::RingBuffer::new(CAPACITY);
    group.bench_function("rtrb", |bencher| {
        bencher.iter(|| {
            let _ = sender.push(black_box(7_u16));
            receiver.pop()
        });
    });
    let queue = ArrayQueue::new(CAPACITY);
    group.bench_function("crossbeam ArrayQueue", |bencher| {
        bencher.iter(|| {
            queue.force_push(black_box(7_u16));
            queue.pop()
        });
    });
    let mut queue = heapless::spsc::Queue::<u16, 9>::new();
    let (mut sender, mut receiver) = queue.split();
    group.bench_function("heapless spsc", |bencher| {
        bencher.iter(|| {
            let _ = sender.enqueue(black_box(7));
            receiver.dequeue()
        });
    });
    let (sender, receiver) = sync_channel(CAPACITY);
    group.bench_function("std mpsc", |bencher| {
        bencher.iter(|| {
            let _ = sender.try_send(black_box(7_u16));
            receiver.try_recv()
        });
    });
    group.finish();
}

fn lane_of(bytes: u32) -> (LaneProducer, LaneTap) {
    let need = TapNeed {
        capacity: 1,
        readers: 1,
        leases: 1,
    };
    let slots = u16::try_from(slots_needed(1, &[need])).expect("few slots");
    let (producer, mut taps) =
        lane(0, SlotTable::on_heap(slots, bytes), 1, &[need]).expect("enough slots");
    (producer, taps.pop().expect("one reader"))
}

fn send(producer: &mut LaneProducer, bytes_used: u32) {
    if let Some(slot) = producer.take_free() {
        let meta = FrameMeta {
            bytes_used,
            ..FrameMeta::default()
        };
        if let Ok(filled) = producer.fill(slot, black_box(&meta)) {
            producer.publish(filled);
        }
    }
}

fn memory(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(MEMORY);
    let (mut producer, _tap) = lane_of(FRAME_BYTES);
    group.bench_function("slot and back", |bencher| {
        bencher.iter(|| {
            if let Some(slot) = producer.take_free() {
                producer.give_back(black_box(slot));
            }
        });
    });
    // The least that finding a slot and giving it back can be: a bit of a word of one's own.
    let mut free = 0b111_u64;
    group.bench_function("bit found, cleared, set", |bencher| {
        bencher.iter(|| {
            let slot = black_box(&mut free).trailing_zeros();
            free &= free - 1;
            free |= 1 << black_box(slot);
        });
    });
    // Of a heap only what malloc and free cost: nothing is written, so no page is had.
    group.bench_function("heap block and back", |bencher| {
        bencher.iter(|| drop(black_box(Vec::<u8>::with_capacity(FRAME_BYTES as usize))));
    });
    group.finish();
}

fn sent(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(SENT);
    let (mut producer, tap) = lane_of(FRAME_BYTES);
    group.bench_function("header, leased and back", |bencher| {
        bencher.iter(|| {
            send(&mut producer, FRAME_BYTES);
            tap.claim_newest(|_| ()).is_ok_and(|lease| lease.is_some())
        });
    });
    group.bench_function("header, oldest pushed out", |bencher| {
        bencher.iter(|| send(&mut producer, FRAME_BYTES));
    });
    // The least that sending a header can be: its line is written, and one word is exchanged.
    let word = AtomicU64::new(0);
    let mut header = [0_u64; 8];
    group.bench_function("64 bytes and a swap", |bencher| {
        bencher.iter(|| {
            header = black_box([7; 8]);
            black_box(&mut header);
            word.swap(black_box(1), Ordering::AcqRel)
        });
    });
    let source = vec![7_u8; FRAME_BYTES as usize];
    let mut target = vec![0_u8; FRAME_BYTES as usize];
    group.bench_function("payload copied", |bencher| {
        bencher.iter(|| {
            target.copy_from_slice(black_box(&source));
            black_box(&mut target);
        });
    });
    group.finish();
}

/// Round trips of one design in one turn.
const TRIPS: u32 = 20_000;
/// Turns of each design.
const TURNS: u32 = 15;

fn wait<T>(mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(value) = look() {
            return value;
        }
        spin_loop();
    }
}

fn hand_off() -> Vec<Row> {
    const DESIGNS: [&str; 7] = [
        "ring of 1",
        "ring of 8",
        "bare word",
        "rtrb",
        "crossbeam ArrayQueue",
        "heapless spsc",
        "std mpsc",
    ];
    let mut histograms = DESIGNS.map(|_| distribution());
    for _ in 0..TURNS {
        for (design, histogram) in DESIGNS.into_iter().zip(&mut histograms) {
            one_turn(design, histogram);
        }
    }
    DESIGNS
        .into_iter()
        .zip(&histograms)
        .map(|(design, histogram)| row(HAND_OFF, design, histogram))
        .collect()
}

fn one_turn(design: &str, histogram: &mut Histogram<u64>) {
    match design {
        "ring of 1" | "ring of 8" => {
            let capacity = if design == "ring of 1" { 1 } else { CAPACITY };
            let ring = || FrameRing::new(capacity).expect("a power of two");
            let (there, back) = (ring(), ring());
            let (mut at_there, mut at_back) = (0, 0);
            round_trips(
                TRIPS,
                histogram,
                || {
                    there.publish(7);
                    wait(|| back.claim_newest(&mut at_back, |_| ()));
                },
                || {
                    wait(|| there.claim_newest(&mut at_there, |_| ()));
                    back.publish(7);
                },
            );
        }
        // The least that a hand-off can be: one word on a line of its own, written and read.
        "bare word" => {
            let (there, back) = (Padded(AtomicU64::new(0)), Padded(AtomicU64::new(0)));
            let (mut sent, mut answered) = (0, 0);
            let seen = |word: &AtomicU64, number| {
                wait(|| (word.load(Ordering::Acquire) == number).then_some(()));
            };
            round_trips(
                TRIPS,
                histogram,
                || {
                    sent += 1;
                    there.store(sent, Ordering::Release);
                    seen(&back, sent);
                },
                || {
                    answered += 1;
                    seen(&there, answered);
                    back.store(answered, Ordering::Release);
                },
            );
        }
        "rtrb" => {
            let (mut to, mut from_first) = rtrb::RingBuffer::new(CAPACITY);
            let (mut answer, mut answers) = rtrb::RingBuffer::new(CAPACITY);
            round_trips(
                TRIPS,
                histogram,
                || {
                    let _ = to.push(7_u16);
                    wait(|| answers.pop().ok());
                },
                || {
                    let _ = answer.push(wait(|| from_first.pop().ok()));
                },
            );
        }
        "crossbeam ArrayQueue" => {
            let (there, back) = (ArrayQueue::new(CAPACITY), ArrayQueue::new(CAPACITY));
            round_trips(
                TRIPS,
                histogram,
                || {
                    there.force_push(7_u16);
                    wait(|| back.pop());
                },
                || {
                    back.force_push(wait(|| there.pop()));
                },
            );
        }
        "heapless spsc" => {
            let mut there = heapless::spsc::Queue::<u16, 9>::new();
            let mut back = heapless::spsc::Queue::<u16, 9>::new();
            let (mut to, mut from_first) = there.split();
            let (mut answer, mut answers) = back.split();
            round_trips(
                TRIPS,
                histogram,
                || {
                    let _ = to.enqueue(7);
                    wait(|| answers.dequeue());
                },
                || {
                    let _ = answer.enqueue(wait(|| from_first.dequeue()));
                },
            );
        }
        _ => {
            let (to, from_first) = sync_channel(CAPACITY);
            let (answer, answers) = sync_channel(CAPACITY);
            round_trips(
                TRIPS,
                histogram,
                move || {
                    let _ = to.try_send(7_u16);
                    wait(|| answers.try_recv().ok());
                },
                move || {
                    let _ = answer.try_send(wait(|| from_first.try_recv().ok()));
                },
            );
        }
    }
}

fn main() {
    let mut criterion = criterion();
    exchange(&mut criterion);
    memory(&mut criterion);
    sent(&mut criterion);
    let questions: [(&str, &[&str]); 3] = [
        (
            EXCHANGE,
            &[
                "ring of 1",
                "ring of 8",
                "two swaps",
                "rtrb",
                "crossbeam ArrayQueue",
                "heapless spsc",
                "std mpsc",
            ],
        ),
        (
            MEMORY,
            &[
                "slot and back",
                "bit found, cleared, set",
                "heap block and back",
            ],
        ),
        (
            SENT,
            &[
                "header, leased and back",
                "header, oldest pushed out",
                "64 bytes and a swap",
                "payload copied",
            ],
        ),
    ];
    let mut rows: Vec<_> = questions
        .into_iter()
        .flat_map(|(question, designs)| designs.iter().map(move |&design| (question, design)))
        .filter_map(|(question, design)| median_ns(question, design))
        .collect();
    rows.extend(hand_off());
    conclude("ring", &rows);
}
