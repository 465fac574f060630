use crate::appliance::shared::messages::Reported;
use crate::appliance::threads::disk::disk::{EVENTS_QUEUED, Sink, disk};
use crate::event::Event;
use crate::postprocess::Detection;
use crate::profile::{self, Board};
use crate::record::FrameResult;
use crate::sync::{Arc, AtomicUsize, Ordering};
use nix::libc::ENOSPC;
use std::io::Error;
use std::sync::mpsc::{Receiver, Sender, channel};

fn demo() -> Board {
    let text = include_str!("../../../../boards/demo.toml");
    let text = text.replace("queue-results = 64", "queue-results = 16");
    let board = profile::read("boards/demo.toml", &text).unwrap();
    assert_eq!(board.housekeeping.queue_results, 16);
    board
}

/// Files that are never written, for a disk thread that never runs.
pub(crate) struct Untouched;

impl Sink for Untouched {
    fn record(&mut self, _: &FrameResult, _: u64) -> Option<Result<(), Error>> {
        None
    }
    fn result_line(&mut self, _: &FrameResult, _: u64) -> Option<Result<(), Error>> {
        None
    }
    fn event_line(&mut self, _: &Reported) -> Option<Result<(), Error>> {
        None
    }
    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn result(sequence: u64, shows: bool) -> FrameResult {
    let mut result = FrameResult {
        sequence,
        ..FrameResult::default()
    };
    if shows {
        result.detections.push(Detection::default()).unwrap();
    }
    result
}

fn event(rule: u16, sequence: u64) -> Event {
    Event {
        rule,
        sequence,
        ..Event::default()
    }
}

/// A disk that says when it is written to, and stands still until the test lets it go on.
struct Still {
    reached: Sender<()>,
    go_on: Receiver<()>,
    wrote: Sender<(&'static str, u64)>,
    syncs: Arc<AtomicUsize>,
}

impl Still {
    fn write(&self, what: &'static str, sequence: u64) -> Option<Result<(), Error>> {
        let _ = self.reached.send(());
        // An error: the test lets everything pass.
        let _ = self.go_on.recv();
        self.wrote.send((what, sequence)).unwrap();
        Some(Ok(()))
    }
}

impl Sink for Still {
    fn record(&mut self, result: &FrameResult, _: u64) -> Option<Result<(), Error>> {
        self.write("record", result.sequence)
    }
    fn result_line(&mut self, result: &FrameResult, _: u64) -> Option<Result<(), Error>> {
        if result.detections.is_empty() {
            return None;
        }
        self.write("line", result.sequence)
    }
    fn event_line(&mut self, reported: &Reported) -> Option<Result<(), Error>> {
        self.write("event", reported.event.sequence)
    }
    fn sync(&self) -> Result<(), Error> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn a_disk_that_stands_still_loses_records_and_lines_counts_them_and_holds_up_nobody() {
    let (reached, at_a_write) = channel();
    let (go_on, stands) = channel();
    let (wrote, written) = channel();
    let syncs = Arc::new(AtomicUsize::new(0));
    let sink = Still {
        reached,
        go_on: stands,
        wrote,
        syncs: Arc::clone(&syncs),
    };
    let (mut outbox, writer) = disk(&demo(), [true; 3], sink);
    let counters = Arc::clone(&outbox.counters);
    let thread = std::thread::spawn(move || writer.run(|| 0));
    outbox.keep(&result(0, true), 0);
    outbox.ring();
    at_a_write.recv().unwrap();
    // This would not return if the disk could hold it up. Every second result shows something.
    for sequence in 1..=100 {
        outbox.keep(&result(sequence, sequence % 2 == 1), 0);
    }
    for sequence in 0..EVENTS_QUEUED as u64 + 44 {
        outbox.report(&event(2, sequence), 0);
    }
    outbox.ring();
    drop(go_on);
    counters.deliveries.drain.finish();
    thread.join().unwrap();
    // Nothing is synced before there is time for it, and the end syncs.
    assert_eq!(syncs.load(Ordering::Relaxed), 1);

    let written: Vec<_> = written.try_iter().collect();
    let of = |wanted| {
        let these = written.iter().filter(move |(what, _)| *what == wanted);
        these.map(|(_, sequence)| *sequence).collect::<Vec<_>>()
    };
    // The one that it stood still at, and as many as a queue holds, in their order.
    assert_eq!(of("record"), (0..=16).collect::<Vec<_>>());
    assert_eq!(of("line"), [0, 1, 3, 5, 7, 9, 11, 13, 15]);
    let first_events = 0..EVENTS_QUEUED as u64;
    assert_eq!(of("event"), first_events.collect::<Vec<_>>());
    let found: Vec<_> = counters
        .accounts()
        .iter()
        .map(|file| (file.argument, file.failed, file.lost))
        .collect();
    let expected = [
        ("--record", 0, 84),
        ("--results", 0, 42),
        ("--events", 0, 44),
    ];
    assert_eq!(found, expected);
    assert_eq!((counters.lost_of(2), counters.lost_of(0)), (44, 0));
}

#[test]
fn what_a_disk_that_never_moves_again_was_told_of_is_lost() {
    // Its thread has never come to run.
    let (mut outbox, _writer) = disk(&demo(), [true, false, true], Untouched);
    for sequence in 0..5 {
        outbox.keep(&result(sequence, true), 0);
        outbox.report(&event(1, sequence), 0);
    }
    let accounts = outbox.counters.accounts();
    let lost: Vec<_> = accounts.iter().map(|f| (f.argument, f.lost)).collect();
    assert_eq!(lost, [("--record", 5), ("--events", 5)]);
    assert_eq!(outbox.counters.lost_of(1), 5);
}

#[test]
fn a_write_that_fails_is_counted_for_its_file_and_an_event_for_its_rule() {
    struct Full;
    impl Sink for Full {
        fn record(&mut self, _: &FrameResult, _: u64) -> Option<Result<(), Error>> {
            Some(Err(Error::from_raw_os_error(ENOSPC)))
        }
        fn result_line(&mut self, _: &FrameResult, _: u64) -> Option<Result<(), Error>> {
            Some(Ok(()))
        }
        fn event_line(&mut self, _: &Reported) -> Option<Result<(), Error>> {
            Some(Err(Error::from_raw_os_error(ENOSPC)))
        }
        fn sync(&self) -> Result<(), Error> {
            Err(Error::from_raw_os_error(ENOSPC))
        }
    }
    let (mut outbox, writer) = disk(&demo(), [true; 3], Full);
    for sequence in 0..3 {
        outbox.keep(&result(sequence, true), 0);
        outbox.report(&event(0, sequence), 0);
    }
    let counters = Arc::clone(&outbox.counters);
    counters.deliveries.drain.finish();
    writer.run(|| 0);
    let accounts = counters.accounts();
    let found: Vec<_> = accounts.iter().map(|f| (f.failed, f.lost)).collect();
    // Three records, and the sync at the end.
    assert_eq!(found, [(4, 0), (0, 0), (3, 0)]);
    assert_eq!(counters.lost_of(0), 3);
}

#[test]
fn a_recording_is_synced_at_every_tick_however_much_there_is_to_write() {
    struct Slow(Arc<AtomicUsize>);
    impl Sink for Slow {
        fn record(&mut self, _: &FrameResult, _: u64) -> Option<Result<(), Error>> {
            Some(Ok(()))
        }
        fn result_line(&mut self, _: &FrameResult, _: u64) -> Option<Result<(), Error>> {
            None
        }
        fn event_line(&mut self, _: &Reported) -> Option<Result<(), Error>> {
            None
        }
        fn sync(&self) -> Result<(), Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }
    let syncs = Arc::new(AtomicUsize::new(0));
    let (mut outbox, writer) = disk(&demo(), [true, false, false], Slow(Arc::clone(&syncs)));
    for sequence in 0..16 {
        outbox.keep(&result(sequence, false), 0);
    }
    outbox.counters.deliveries.drain.finish();
    // Each look at the clock finds a quarter of a second gone.
    let now = std::cell::Cell::new(0);
    writer.run(|| now.replace(now.get() + crate::appliance::threads::disk::disk::SYNC_NS / 2));
    // 17 looks after the first one, every second of which is a tick, and the end.
    assert_eq!(syncs.load(Ordering::Relaxed), 9);
}
