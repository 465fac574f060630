//! What `tests/tsan/run` runs under ThreadSanitizer: capture, readers and their bells at full speed.
//!
//! The standard library is not instrumented here. So whatever threads share is leaked instead of
//! counted, and threads are joined by handles, whose end the sanitizer sees.

use race::frame::{FrameMeta, SlotTable};
use race::ring::{Doorbell, LaneProducer, LaneTap, TapNeed, Waiting, Woken, lane, slots_needed};
use std::thread;

const FRAMES: u64 = 200_000;
const FOREVER: u64 = u64::MAX;

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn capture(mut producer: LaneProducer, bells: &[&Doorbell]) {
    for frame in 0..FRAMES {
        let mut slot = producer.take_free().expect("capture never starves");
        producer.payload_mut(&mut slot).fill(frame as u8);
        let meta = FrameMeta {
            capture_ns: frame,
            bytes_used: 64,
            ..FrameMeta::default()
        };
        let filled = producer.fill(slot, &meta).unwrap();
        producer.publish(filled);
        bells.iter().for_each(|bell| bell.ring(1));
        if frame % 3 == 0 {
            thread::yield_now();
        }
    }
    bells.iter().for_each(|bell| bell.close());
    leak(producer);
}

fn read(reader: LaneTap, bell: &Doorbell, how: Waiting, newest: bool) -> u64 {
    let mut frames = 0;
    loop {
        let woken = bell.wait(how, FOREVER, || 0);
        bell.take();
        loop {
            let claimed = if newest {
                reader.claim_newest(|passed| assert_eq!(passed.capture_ns, passed.sequence))
            } else {
                reader.claim_oldest()
            };
            let Some(lease) = claimed.unwrap() else {
                break;
            };
            lease.verify().unwrap();
            assert!(
                lease
                    .payload()
                    .iter()
                    .all(|&byte| byte == lease.sequence() as u8)
            );
            frames += 1;
        }
        if woken == Woken::Closed && !reader.is_waiting() {
            leak(reader);
            return frames;
        }
    }
}

fn main() {
    let need = |capacity, readers| TapNeed {
        capacity,
        readers,
        leases: 1,
    };
    for taps in [
        vec![need(1, 1)],
        vec![need(4, 1), need(1, 1)],
        vec![need(8, 2)],
    ] {
        let slots = u16::try_from(slots_needed(1, &taps)).unwrap();
        let (producer, readers) = lane(0, SlotTable::on_heap(slots, 64), 1, &taps).unwrap();
        let bells: Vec<_> = readers.iter().map(|_| leak(Doorbell::new())).collect();
        let threads: Vec<_> = readers
            .into_iter()
            .zip(bells.clone())
            .enumerate()
            .map(|(number, (reader, bell))| {
                let how = [Waiting::Park, Waiting::Spin][number % 2];
                thread::spawn(move || read(reader, bell, how, number % 2 == 0))
            })
            .collect();
        let bells = leak(bells);
        let producer = thread::spawn(|| capture(producer, bells));
        producer.join().unwrap();
        let frames: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        println!("{taps:?}: {FRAMES} published, {frames:?} read");
        // Of two readers of one tap, one may have been there too late for any.
        let mut readers = frames.iter();
        for tap in &taps {
            let of_tap: u64 = readers.by_ref().take(usize::from(tap.readers)).sum();
            assert!(of_tap > 0, "{tap:?}");
        }
    }
}
