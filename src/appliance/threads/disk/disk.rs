//! The disk: a thread that writes the recording, the results and the events, so that a disk that stands still
//! costs records and lines, which are counted, and delays nothing.
//!
//! Housekeeping puts results and events into outboxes and waits for nobody. What was offered and no write was tried
//! of when the run ends is lost.

use crate::appliance::prepare::line_file::LINE_BYTES;
use crate::appliance::prepare::look::Look;
use crate::appliance::report::losses::File;
use crate::appliance::shared::messages::{EVENT_BYTES, Reported, Times};
use crate::appliance::shared::outbox::{Deliveries, Inbox, Outbox, outbox};
use crate::appliance::shared::progress::{Activity, ThreadProgress};
use crate::event::Event;
use crate::limits::{MAX_QUEUED, MAX_RULES, queue_room};
use crate::profile::Board;
use crate::record::{FrameResult, RECORD_BYTES};
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::units::NS_PER_MS;
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

/// Which files there are.
pub(crate) type Open = [bool; Written::ALL.len()];

impl Written {
    pub(crate) const ALL: [Self; 3] = [Self::Recording, Self::Results, Self::Events];

    /// The argument that names it, and what it consists of.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Recording => ("--record", "records"),
            Self::Results => ("--results", "lines"),
            Self::Events => ("--events", "lines"),
        }
    }
}

/// The key of a rule's events. Recording and results have the keys before.
const fn key(rule: usize) -> usize {
    Written::Events as usize + rule
}

/// A result on its way to the recording and to the file of results.
pub(crate) struct Kept {
    result: FrameResult,
    /// When its frame was captured.
    utc_ns: u64,
}

/// Whether a result is worth a line.
pub(crate) fn shows(result: &FrameResult) -> bool {
    !result.detections.is_empty() || !result.summaries.is_empty()
}

/// What became of the files, for whoever asks while the thread runs.
#[derive(Debug)]
pub(crate) struct DiskCounters {
    open: Open,
    /// Delivered is a record or a line of a result once its write was tried, and an event once it is in its file.
    pub(crate) deliveries: Arc<Deliveries>,
    /// Writes and syncs that failed.
    failed: [AtomicU64; Written::ALL.len()],
    /// What the thread is doing.
    pub(crate) progress: ThreadProgress,
    /// Records and lines that are in the file.
    written: [AtomicU64; Written::ALL.len()],
    /// Times that the file was no longer where its name leads, or not whole.
    replaced: [AtomicU64; Written::ALL.len()],
    /// Its name leads elsewhere, and what is written now is lost with it.
    is_astray: [AtomicBool; Written::ALL.len()],
    /// Records and lines that were written then.
    strayed: [AtomicU64; Written::ALL.len()],
}

impl DiskCounters {
    fn new(open: Open) -> Self {
        Self {
            open,
            deliveries: Arc::new(Deliveries::new(key(MAX_RULES))),
            failed: Default::default(),
            progress: ThreadProgress::default(),
            written: Default::default(),
            replaced: Default::default(),
            is_astray: Default::default(),
            strayed: Default::default(),
        }
    }

    /// Events of a rule that the file does not have.
    pub(crate) fn lost_of(&self, rule: usize) -> u64 {
        self.deliveries.lost(key(rule)..key(rule) + 1)
    }

    /// What each file that there is does not have.
    pub(crate) fn accounts(&self) -> Vec<File> {
        let files = Written::ALL
            .into_iter()
            .filter(|file| self.open[*file as usize]);
        let account = |file: Written| {
            let (argument, parts) = file.words();
            let failed = self.failed[file as usize].load(Ordering::Relaxed);
            let lost = |keys| self.deliveries.lost(keys);
            File {
                argument,
                parts,
                failed,
                written: self.written[file as usize].load(Ordering::Relaxed),
                replaced: self.replaced[file as usize].load(Ordering::Relaxed),
                is_astray: self.is_astray[file as usize].load(Ordering::Relaxed),
                lost: self.strayed[file as usize].load(Ordering::Relaxed)
                    + match file {
                        // Those whose write failed are no less lost, but were tried.
                        Written::Events => lost(key(0)..key(MAX_RULES)).saturating_sub(failed),
                        file => lost(file as usize..file as usize + 1),
                    },
            }
        };
        files.map(account).collect()
    }

    /// The same of a record or a line, which is in its file if nothing failed.
    fn count_part(&self, file: Written, outcome: &Result<(), Error>) {
        if outcome.is_ok() {
            let is_astray = self.is_astray[file as usize].load(Ordering::Relaxed);
            let counts = if is_astray {
                &self.strayed
            } else {
                &self.written
            };
            counts[file as usize].fetch_add(1, Ordering::Relaxed);
        }
        self.count(file, outcome);
    }

    /// A full or broken disk never stops the watch: it is counted, and logged ever more rarely.
    fn count(&self, file: Written, outcome: &Result<(), Error>) {
        let Err(error) = outcome else {
            return;
        };
        let times = self.failed[file as usize].fetch_add(1, Ordering::Relaxed) + 1;
        if times.is_power_of_two() {
            log::error!(
                "{}: write failed: {}; what was to be written is lost{}",
                file.words().0,
                Errno::from_raw(error.raw_os_error().unwrap_or(0)),
                Times(times)
            );
        }
    }
}

impl DiskCounters {
    /// What becomes of a file is logged when it begins, ever more rarely while it lasts, and when it ends.
    fn looked(&self, file: Written, found: &Look, astray: &mut u64) {
        let (argument, parts) = file.words();
        let before = std::mem::take(astray);
        let is_astray = matches!(found, Look::Astray(..));
        self.is_astray[file as usize].store(is_astray, Ordering::Relaxed);
        if !matches!(found, Look::Same) && before == 0 {
            self.replaced[file as usize].fetch_add(1, Ordering::Relaxed);
        }
        match found {
            Look::Same if before == 0 => {}
            Look::Same => log::info!("{argument}: its file is in its place again"),
            Look::Renewed(change) => log::warn!(
                "{argument}: {change}; what is there now is written on, and {parts} of the last moments may be lost"
            ),
            Look::Astray(change, error) => {
                *astray = before + 1;
                if astray.is_power_of_two() {
                    log::error!(
                        "{argument}: {change}, and {parts} written now are lost with it: {error}{}",
                        Times(*astray)
                    );
                }
            }
        }
    }

    /// A file that all writes failed of is named at the end.
    fn log_what_took_nothing(&self) {
        for file in self.accounts() {
            if file.written == 0 && file.failed + file.lost > 0 {
                let (argument, parts) = (file.argument, file.parts);
                log::error!("{argument}: took nothing; all {parts} are lost");
            }
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

/// Both ends of the disk for a sink with these files.
pub(crate) fn disk<S: Sink>(board: &Board, open: Open, sink: S) -> (DiskOutbox, Writer<S>) {
    let counters = Arc::new(DiskCounters::new(open));
    let deliveries = &counters.deliveries;
    let results = open[Written::Recording as usize] || open[Written::Results as usize];
    let results = results.then(|| outbox(results_queued(board), deliveries));
    let events = open[Written::Events as usize].then(|| outbox(EVENTS_QUEUED, deliveries));
    let (results, results_inbox) = results.unzip();
    let (events, events_inbox) = events.unzip();
    let outbox = DiskOutbox {
        results,
        events,
        no_room: Default::default(),
        counters: Arc::clone(&counters),
        has_offered: false,
    };
    let writer = Writer {
        sink,
        results: results_inbox,
        events: events_inbox,
        counters,
        astray: Default::default(),
    };
    (outbox, writer)
}

/// Housekeeping's end.
pub(crate) struct DiskOutbox {
    results: Option<Outbox<Kept>>,
    events: Option<Outbox<Reported>>,
    /// What did not fit, by file.
    no_room: [u64; Written::ALL.len()],
    pub(crate) counters: Arc<DiskCounters>,
    /// Something was offered since the bell was rung.
    has_offered: bool,
}

impl DiskOutbox {
    /// That of a run that writes no file.
    pub(crate) fn none() -> Self {
        Self {
            results: None,
            events: None,
            no_room: Default::default(),
            counters: Arc::new(DiskCounters::new(Open::default())),
            has_offered: false,
        }
    }

    /// A result for the recording and, if it shows something, for the file of results. Never waits.
    pub(crate) fn keep(&mut self, result: &FrameResult, utc_ns: u64) {
        let [recording, results, _] = self.counters.open;
        let wanted = [
            (Written::Recording, recording),
            (Written::Results, results && shows(result)),
        ];
        let wanted = || {
            wanted
                .iter()
                .filter(|(_, wanted)| *wanted)
                .map(|(file, _)| *file)
        };
        let Some(outbox) = self.results.as_mut().filter(|_| wanted().next().is_some()) else {
            return;
        };
        let result = result.clone();
        let keys = wanted().map(|file| file as usize);
        if !outbox.offer(keys, Kept { result, utc_ns }) {
            wanted().for_each(|file| refuse(&mut self.no_room, file));
        }
        self.has_offered = true;
    }

    /// An event for the file of events. Never waits.
    pub(crate) fn report(&mut self, event: &Event, utc_ns: u64) {
        let Some(outbox) = &mut self.events else {
            return;
        };
        let reported = Reported {
            event: *event,
            utc_ns,
        };
        if !outbox.offer([key(event.rule.into())], reported) {
            refuse(&mut self.no_room, Written::Events);
        }
        self.has_offered = true;
    }

    /// Wakes the thread, if there is something for it.
    pub(crate) fn ring(&mut self) {
        if std::mem::take(&mut self.has_offered) {
            self.counters.deliveries.drain.ring();
        }
    }
}

/// A part that does not fit is lost. That is logged ever more rarely.
fn refuse(no_room: &mut [u64; Written::ALL.len()], file: Written) {
    let times = &mut no_room[file as usize];
    *times += 1;
    if times.is_power_of_two() {
        let (argument, parts) = file.words();
        log::error!(
            "{argument}: the disk stands still, or is too slow for what came at once; {parts} lost so far: {times}"
        );
    }
}

/// Where parts are written. None: there is no such file, or nothing in it for that file.
pub(crate) trait Sink {
    /// A record.
    fn record(&mut self, result: &FrameResult, utc_ns: u64) -> Option<Result<(), Error>>;
    /// The line of a result.
    fn result_line(&mut self, result: &FrameResult, utc_ns: u64) -> Option<Result<(), Error>>;
    /// The line of an event.
    fn event_line(&mut self, reported: &Reported) -> Option<Result<(), Error>>;
    /// Brings the recording to the disk.
    fn sync(&self) -> Result<(), Error>;
    /// Looks whether a file is still what its name leads to, and mends it where that is safe.
    fn look(&mut self, _: Written) -> Look {
        Look::Same
    }
}

/// The thread's end.
pub(crate) struct Writer<S> {
    sink: S,
    results: Option<Inbox<Kept>>,
    events: Option<Inbox<Reported>>,
    counters: Arc<DiskCounters>,
    /// Looks in a row that found a file astray.
    astray: [u64; Written::ALL.len()],
}

impl<S: Sink> Writer<S> {
    /// Writes until there will be no more, and what is queued then.
    pub(crate) fn run(mut self, now_ns: impl Fn() -> u64) {
        let mut next_sync_ns = now_ns().saturating_add(SYNC_NS);
        loop {
            let is_finishing = self.counters.deliveries.drain.is_finishing();
            loop {
                let has_written = self.write_next();
                let now = now_ns();
                if now >= next_sync_ns {
                    next_sync_ns = now.saturating_add(SYNC_NS);
                    self.sync();
                }
                if !has_written {
                    break;
                }
            }
            if is_finishing {
                break;
            }
            self.counters.progress.begin(Activity::Waiting, 0);
            self.counters.deliveries.drain.wait(next_sync_ns, &now_ns);
        }
        self.sync();
        self.counters.log_what_took_nothing();
    }

    /// Writes the oldest result and the oldest event, if there are such.
    fn write_next(&mut self) -> bool {
        let (counters, deliveries) = (&self.counters, &self.counters.deliveries);
        let kept = self.results.as_mut().and_then(Inbox::next);
        if let Some(Kept { result, utc_ns }) = &kept {
            for (file, activity, write) in [
                (
                    Written::Recording,
                    Activity::WriteRecord,
                    S::record as fn(&mut S, &_, _) -> _,
                ),
                (Written::Results, Activity::WriteResult, S::result_line),
            ] {
                counters.progress.begin(activity, 0);
                if let Some(outcome) = write(&mut self.sink, result, *utc_ns) {
                    deliveries.deliver(file as usize, 1);
                    counters.count_part(file, &outcome);
                }
            }
        }
        let reported = self.events.as_mut().and_then(Inbox::next);
        counters.progress.begin(Activity::WriteEvent, 0);
        if let Some(reported) = &reported
            && let Some(outcome) = self.sink.event_line(reported)
        {
            if outcome.is_ok() {
                deliveries.deliver(key(reported.event.rule.into()), 1);
            }
            counters.count_part(Written::Events, &outcome);
        }
        kept.is_some() || reported.is_some()
    }

    fn sync(&mut self) {
        self.counters.progress.begin(Activity::Sync, 0);
        self.counters.count(Written::Recording, &self.sink.sync());
        for file in Written::ALL {
            if self.counters.open[file as usize] {
                let found = self.sink.look(file);
                self.counters
                    .looked(file, &found, &mut self.astray[file as usize]);
            }
        }
    }
}
