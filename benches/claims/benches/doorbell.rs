//! The doorbell beside the wake-ups that come with the standard library and its channels.
//!
//! Three questions: what a ring costs when nobody sleeps, what a ring and its answer cost from core to
//! core when nobody sleeps, and how long a sleeper takes to be up.

mod common;

use common::{Row, conclude, criterion, distribution, median_ns, round_trips, row};
use criterion::Criterion;
use hdrhistogram::Histogram;
use pinsight::ring::{Doorbell, Waiting};
use pinsight::sys::clock::now_ns;
use std::hint::black_box;
use std::sync::mpsc::sync_channel;
use std::sync::{Condvar, Mutex};

const RING: &str = "ring, nobody sleeps";
const SPINNING: &str = "one-way, both awake";
const SLEEPING: &str = "one-way, both sleep";

fn ring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(RING);
    let bell = Doorbell::new();
    group.bench_function("doorbell, bit already set", |bencher| {
        bell.ring(1);
        bencher.iter(|| bell.ring(black_box(2)));
    });
    group.bench_function("doorbell, ring and take", |bencher| {
        bencher.iter(|| {
            bell.ring(black_box(1));
            bell.take()
        });
    });
    let thread = std::thread::current();
    group.bench_function("unpark and park", |bencher| {
        bencher.iter(|| {
            thread.unpark();
            std::thread::park();
        });
    });
    let (sender, receiver) = sync_channel(8);
    group.bench_function("std mpsc", |bencher| {
        bencher.iter(|| {
            let _ = sender.try_send(black_box(1_u64));
            receiver.try_recv()
        });
    });
    let (flag, changed) = (Mutex::new(0), Condvar::new());
    group.bench_function("condition variable", |bencher| {
        bencher.iter(|| {
            *flag.lock().expect("nobody panics") |= black_box(1_u64);
            changed.notify_one();
            std::mem::take(&mut *flag.lock().expect("nobody panics"))
        });
    });
    group.finish();
}

fn bells(waiting: Waiting, trips: u32, histogram: &mut Histogram<u64>) {
    let (there, back) = (Doorbell::new(), Doorbell::new());
    let answer = |bell: &Doorbell| {
        while bell.take() == 0 {
            bell.wait(waiting, u64::MAX, now_ns);
        }
    };
    round_trips(
        trips,
        histogram,
        || {
            there.ring(1);
            answer(&back);
        },
        || {
            answer(&there);
            back.ring(1);
        },
    );
}

fn channels(trips: u32, histogram: &mut Histogram<u64>) {
    let (to, from_first) = sync_channel(8);
    let (answer, answers) = sync_channel(8);
    round_trips(
        trips,
        histogram,
        move || {
            let _ = to.send(1_u64);
            let _ = answers.recv();
        },
        move || {
            let _ = from_first.recv().map(|value| answer.send(value));
        },
    );
}

fn condition_variables(trips: u32, histogram: &mut Histogram<u64>) {
    let side = || (Mutex::new(false), Condvar::new());
    let (there, back) = (side(), side());
    let tell = |side: &(Mutex<bool>, Condvar)| {
        *side.0.lock().expect("nobody panics") = true;
        side.1.notify_one();
    };
    let wait = |side: &(Mutex<bool>, Condvar)| {
        let told = side.0.lock().expect("nobody panics");
        *side
            .1
            .wait_while(told, |told| !*told)
            .expect("nobody panics") = false;
    };
    round_trips(
        trips,
        histogram,
        || {
            tell(&there);
            wait(&back);
        },
        || {
            wait(&there);
            tell(&back);
        },
    );
}

/// Turns of each design.
const TURNS: u32 = 10;

fn wake_ups() -> Vec<Row> {
    let mut spinning = [distribution(), distribution()];
    let mut sleeping = [distribution(), distribution(), distribution()];
    for _ in 0..TURNS {
        bells(Waiting::Spin, 20_000, &mut spinning[0]);
        bells(
            Waiting::SpinThenPark { spin_ns: 20_000 },
            20_000,
            &mut spinning[1],
        );
        bells(Waiting::Park, 2_000, &mut sleeping[0]);
        channels(2_000, &mut sleeping[1]);
        condition_variables(2_000, &mut sleeping[2]);
    }
    vec![
        row(SPINNING, "doorbell, spin", &spinning[0]),
        row(SPINNING, "doorbell, spin then park", &spinning[1]),
        row(SLEEPING, "doorbell, park", &sleeping[0]),
        row(SLEEPING, "std mpsc", &sleeping[1]),
        row(SLEEPING, "condition variable", &sleeping[2]),
    ]
}

fn main() {
    let mut criterion = criterion();
    ring(&mut criterion);
    let mut rows: Vec<_> = [
        "doorbell, ring and take",
        "doorbell, bit already set",
        "unpark and park",
        "std mpsc",
        "condition variable",
    ]
    .into_iter()
    .filter_map(|name| median_ns(RING, name))
    .collect();
    rows.extend(wake_ups());
    conclude("doorbell", &rows);
}
