//! The disk: a thread that writes the recording, the results and the events, so that a disk that stands still
//! costs records and lines, which are counted, and delays nothing.
//!
//! Housekeeping puts results and events into bounded queues and waits for nobody. What the disk was told of
//! and has not tried to write when the run ends is lost, whether it lay in a queue or did not fit into it.

pub(crate) use crate::appliance::threads::disk::file_sink::Shelf;

use crate::appliance::prepare::line_file::LINE_BYTES;
use crate::appliance::report::proof;
use crate::appliance::shared::messages::{
    EVENT_BYTES, EventReceiver, EventSender, Times, Told, queue_of,
};
use crate::event::Event;
use crate::limits::{MAX_QUEUED, MAX_RULES, queue_room};
use crate::profile::Board;
use crate::record::{FrameResult, RECORD_BYTES};
use crate::ring::{Doorbell, Waiting};
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::units::NS_PER_MS;
use heapless::spsc::{Consumer, Producer};
use nix::errno::Errno;
use std::io::Error;

/// Longest time from one sync of the recording to the next.
pub(crate) const SYNC_NS: u64 = 500 * NS_PER_MS;
/// Events that may wait for the disk: one result may make one of each rule and track.
pub(crate) const EVENTS_QUEUED: usize = MAX_QUEUED;

/// A file that a run writes while it watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Written {
    Recording,
    Results,
    Events,
}

impl Written {
    pub(crate) const ALL: [Self; 3] = [Self::Recording, Self::Results, Self::Events];

    /// The argument that names it.
    const fn argument(self) -> &'static str {
        match self {
            Self::Recording => "--record",
            Self::Results => "--results",
            Self::Events => "--events",
        }
    }

    /// What it consists of.
    const fn parts(self) -> &'static str {
        match self {
            Self::Recording => "records",
            Self::Results | Self::Events => "lines",
        }
    }
}

/// A result on its way to the recording and to the file of results.
pub(crate) struct Kept {
    result: FrameResult,
    /// When it was taken.
    utc_ns: u64,
}

/// Whether a result is worth a line.
pub(crate) fn shows(result: &FrameResult) -> bool {
    !result.detections.is_empty() || !result.summaries.is_empty()
}

/// What became of the parts of one file.
#[derive(Debug, Default)]
struct Tally {
    /// Parts for it.
    told: AtomicU64,
    /// Of them, those whose write has ended.
    tried: AtomicU64,
    /// Writes and syncs that failed.
    failed: AtomicU64,
}

/// What housekeeping and the disk's thread have in common.
#[derive(Debug)]
pub(crate) struct Ledge {
    bell: Doorbell,
    /// Housekeeping has ended: there will be no more.
    finish: AtomicBool,
    /// Which files there are.
    open: [bool; Written::ALL.len()],
    files: [Tally; Written::ALL.len()],
    /// Events for the file, and those that it has, by rule.
    told: [AtomicU64; MAX_RULES],
    written: [AtomicU64; MAX_RULES],
}

impl Ledge {
    fn new(open: [bool; Written::ALL.len()]) -> Self {
        Self {
            bell: Doorbell::new(),
            finish: AtomicBool::new(false),
            open,
            files: Default::default(),
            told: [const { AtomicU64::new(0) }; MAX_RULES],
            written: [const { AtomicU64::new(0) }; MAX_RULES],
        }
    }

    fn has(&self, file: Written) -> bool {
        self.open[file as usize]
    }

    fn of(&self, file: Written) -> &Tally {
        &self.files[file as usize]
    }

    /// No more comes: what is queued is written, and the thread ends.
    pub(crate) fn finish(&self) {
        // Release A: the thread sees all that was put into its queues before.
        self.finish.store(true, Ordering::Release);
        self.bell.ring(1);
    }

    /// Events of a rule that the file does not have.
    pub(crate) fn lost_of(&self, rule: usize) -> u64 {
        let of = |counts: &[AtomicU64]| counts.get(rule).map_or(0, |c| c.load(Ordering::Relaxed));
        of(&self.told).saturating_sub(of(&self.written))
    }

    /// What became of each file that there is.
    pub(crate) fn accounts(&self) -> Vec<proof::File> {
        let files = Written::ALL.into_iter().filter(|file| self.has(*file));
        let account = |file: Written| {
            let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
            let tally = self.of(file);
            proof::File {
                argument: file.argument(),
                parts: file.parts(),
                failed: of(&tally.failed),
                lost: of(&tally.told).saturating_sub(of(&tally.tried)),
            }
        };
        files.map(account).collect()
    }

    /// A full or broken disk never stops the watch: it is counted, and said once in a while.
    fn count(&self, file: Written, outcome: &Result<(), Error>) {
        let Err(error) = outcome else {
            return;
        };
        let times = self.of(file).failed.fetch_add(1, Ordering::Relaxed) + 1;
        if times.is_power_of_two() {
            log::error!(
                "{}: write failed: {}; what was to be written is lost{}",
                file.argument(),
                Errno::from_raw(error.raw_os_error().unwrap_or(0)),
                Times(times)
            );
        }
    }
}

/// Results that may wait for the disk: as many as may wait for housekeeping.
fn results_queued(board: &Board) -> usize {
    let results = board.housekeeping.queue_results * board.workers.len();
    results.min(MAX_QUEUED)
}

/// Bytes of the queues and buffers of all files of a board.
pub(crate) fn bytes(board: &Board) -> u64 {
    // One place of a queue stays empty.
    let results = queue_room(results_queued(board)) as u64 + 1;
    let events = queue_room(EVENTS_QUEUED) as u64 + 1;
    results * size_of::<Kept>() as u64
        + events * EVENT_BYTES
        + (RECORD_BYTES + 2 * LINE_BYTES) as u64
}

/// Both ends of the disk for a shelf with these files, recording, results and events.
pub(crate) fn disk<S: Shelve>(
    board: &Board,
    open: [bool; Written::ALL.len()],
    shelf: S,
) -> (Feeder, Writer<S>) {
    let ledge = Arc::new(Ledge::new(open));
    let of_results = ledge.has(Written::Recording) || ledge.has(Written::Results);
    let results = of_results.then(|| queue_of(results_queued(board))).unzip();
    let events = ledge.has(Written::Events).then(|| queue_of(EVENTS_QUEUED));
    let events = events.unzip();
    let feeder = Feeder {
        results: results.0,
        events: events.0,
        refused: Default::default(),
        ledge: Arc::clone(&ledge),
        fed: false,
    };
    let writer = Writer {
        shelf,
        results: results.1,
        events: events.1,
        ledge,
    };
    (feeder, writer)
}

/// Housekeeping's end.
pub(crate) struct Feeder {
    results: Option<Producer<'static, Kept>>,
    events: Option<EventSender>,
    /// What did not fit, by file.
    refused: [u64; Written::ALL.len()],
    ledge: Arc<Ledge>,
    /// Something was put in since the bell was rung.
    fed: bool,
}

impl Feeder {
    /// That of a run that writes no file.
    pub(crate) fn none() -> Self {
        Self {
            results: None,
            events: None,
            refused: Default::default(),
            ledge: Arc::new(Ledge::new(Default::default())),
            fed: false,
        }
    }

    /// What it has in common with the thread.
    pub(crate) fn ledge(&self) -> Arc<Ledge> {
        Arc::clone(&self.ledge)
    }

    /// A result for the recording and, if it shows something, for the file of results. Never waits.
    pub(crate) fn keep(&mut self, result: &FrameResult, utc_ns: u64) {
        let Some(queue) = &mut self.results else {
            return;
        };
        let recorded = self.ledge.has(Written::Recording);
        let listed = self.ledge.has(Written::Results) && shows(result);
        if !recorded && !listed {
            return;
        }
        let fits = queue.ready();
        for (file, wanted) in [(Written::Recording, recorded), (Written::Results, listed)] {
            if wanted {
                self.ledge.of(file).told.fetch_add(1, Ordering::Relaxed);
                if !fits {
                    refuse(&mut self.refused, file);
                }
            }
        }
        if fits {
            let result = result.clone();
            // Ready, and nobody else puts anything in.
            let _ = queue.enqueue(Kept { result, utc_ns });
            self.fed = true;
        }
    }

    /// An event for the file of events. Never waits.
    pub(crate) fn tell(&mut self, event: &Event, utc_ns: u64) {
        let Some(queue) = &mut self.events else {
            return;
        };
        let told = &self.ledge.of(Written::Events).told;
        told.fetch_add(1, Ordering::Relaxed);
        if let Some(told) = self.ledge.told.get(usize::from(event.rule)) {
            told.fetch_add(1, Ordering::Relaxed);
        }
        let event = *event;
        if queue.enqueue(Told { event, utc_ns }).is_err() {
            refuse(&mut self.refused, Written::Events);
        }
        self.fed = true;
    }

    /// Wakes the thread, if there is something for it.
    pub(crate) fn ring(&mut self) {
        if std::mem::take(&mut self.fed) {
            self.ledge.bell.ring(1);
        }
    }
}

/// A part that does not fit was told and is not tried: that is how it is counted. It is said once in a while.
fn refuse(refused: &mut [u64; Written::ALL.len()], file: Written) {
    let times = &mut refused[file as usize];
    *times += 1;
    if times.is_power_of_two() {
        log::error!(
            "{}: the disk stands still, or is too slow for what came at once; {} lost so far: {times}",
            file.argument(),
            file.parts()
        );
    }
}

/// Where parts are written. None: there is no such file, or nothing in it for that file.
pub(crate) trait Shelve {
    /// A record.
    fn record(&mut self, result: &FrameResult, utc_ns: u64) -> Option<Result<(), Error>>;
    /// The line of a result.
    fn list(&mut self, result: &FrameResult, utc_ns: u64) -> Option<Result<(), Error>>;
    /// The line of an event.
    fn tell(&mut self, told: &Told) -> Option<Result<(), Error>>;
    /// Brings the recording to the disk.
    fn sync(&self) -> Result<(), Error>;
}

/// The thread's end.
pub(crate) struct Writer<S> {
    shelf: S,
    results: Option<Consumer<'static, Kept>>,
    events: Option<EventReceiver>,
    ledge: Arc<Ledge>,
}

impl<S: Shelve> Writer<S> {
    /// Writes until there will be no more, and what is queued then.
    pub(crate) fn run(mut self, now_ns: impl Fn() -> u64) {
        let mut next_sync_ns = now_ns().saturating_add(SYNC_NS);
        loop {
            // Acquire A. Read before the queues are emptied: what came before the flag is then seen.
            let finishing = self.ledge.finish.load(Ordering::Acquire);
            loop {
                let wrote = self.write_next();
                let now = now_ns();
                if now >= next_sync_ns {
                    next_sync_ns = now.saturating_add(SYNC_NS);
                    self.sync();
                }
                if !wrote {
                    break;
                }
            }
            if finishing {
                break;
            }
            self.ledge.bell.wait(Waiting::Park, next_sync_ns, &now_ns);
            self.ledge.bell.take();
        }
        self.sync();
    }

    /// Writes the oldest result and the oldest event, if there are such.
    fn write_next(&mut self) -> bool {
        let kept = self.results.as_mut().and_then(Consumer::dequeue);
        if let Some(Kept { result, utc_ns }) = &kept {
            let outcome = self.shelf.record(result, *utc_ns);
            self.tried(Written::Recording, outcome);
            let outcome = self.shelf.list(result, *utc_ns);
            self.tried(Written::Results, outcome);
        }
        let told = self.events.as_mut().and_then(Consumer::dequeue);
        if let Some(told) = &told {
            let outcome = self.shelf.tell(told);
            if matches!(outcome, Some(Ok(())))
                && let Some(written) = self.ledge.written.get(usize::from(told.event.rule))
            {
                written.fetch_add(1, Ordering::Relaxed);
            }
            self.tried(Written::Events, outcome);
        }
        kept.is_some() || told.is_some()
    }

    fn tried(&self, file: Written, outcome: Option<Result<(), Error>>) {
        if let Some(outcome) = outcome {
            self.ledge.of(file).tried.fetch_add(1, Ordering::Relaxed);
            self.ledge.count(file, &outcome);
        }
    }

    fn sync(&self) {
        self.ledge.count(Written::Recording, &self.shelf.sync());
    }
}
