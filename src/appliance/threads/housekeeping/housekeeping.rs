//! The thread that is not real-time: rules, log lines and the live line, and who is told of results and events: outputs,
//! and the disk. It formats into fixed buffers and waits for nobody.

use crate::appliance::report::proof;
use crate::appliance::shared::invoke_deadline::Watchdog;
use crate::appliance::shared::messages::{NoteReceiver, ResultReceiver, Said};
use crate::appliance::shared::names::Names;
use crate::appliance::threads::disk::disk::Feeder;
use crate::appliance::threads::housekeeping::rules::Alerts;
use crate::latency::{Histogram, Stage};
use crate::record::FrameResult;
use crate::ring::{Doorbell, Waiting};
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::sys::io::poll::takes_bytes;
use crate::units::{NS_PER_MS, NS_PER_S};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;

/// Longest time between two looks at the clock.
const TICK_NS: u64 = 500 * NS_PER_MS;

/// What housekeeping needs, all of it made at arming.
pub(crate) struct Housekeeping {
    pub(crate) names: Names,
    pub(crate) results: Vec<ResultReceiver>,
    pub(crate) notes: Vec<NoteReceiver>,
    pub(crate) bell: Arc<Doorbell>,
    pub(crate) alerts: Alerts,
    pub(crate) disk: Feeder,
    pub(crate) live: Option<LiveLine>,
    /// Set when every hot thread has ended: what is in the queues then is all there will be.
    pub(crate) finish: Arc<AtomicBool>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) said: Said,
    pub(crate) watchdog: Watchdog,
}

/// What other threads may read while housekeeping runs.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Results taken from the queues.
    pub(crate) results: AtomicU64,
    /// Detections in them.
    pub(crate) detections: AtomicU64,
    /// Inferences that ran past their deadline.
    pub(crate) overdue: AtomicU64,
}

impl Housekeeping {
    /// Runs until `finish` is set and the queues are empty. Gives the account of its events.
    pub(crate) fn run(
        mut self,
        now_ns: impl Fn() -> u64,
        utc_ns: impl Fn() -> u64,
    ) -> proof::Events {
        let mut next_tick_ns = now_ns() + TICK_NS;
        loop {
            // Read before the queues are emptied: what came before the flag is then seen.
            let finishing = self.finish.load(Ordering::Acquire);
            self.drain(&now_ns, &utc_ns);
            let now = now_ns();
            if now >= next_tick_ns {
                next_tick_ns = now + TICK_NS;
                self.tick(now);
            }
            if finishing {
                break;
            }
            self.bell.wait(Waiting::Park, next_tick_ns, &now_ns);
            self.bell.take();
        }
        if let Some(live) = &mut self.live {
            live.clear();
        }
        self.alerts.account()
    }

    fn drain(&mut self, now_ns: &impl Fn() -> u64, utc_ns: &impl Fn() -> u64) {
        while let Some(result) = self
            .oldest()
            .and_then(|queue| self.results[queue].dequeue())
        {
            self.take(&result, now_ns(), utc_ns());
            // At once: its queues are to hold what one result makes.
            self.disk.ring();
        }
        for index in 0..self.notes.len() {
            while let Some(note) = self.notes[index].dequeue() {
                if let Some(times) = self.said.again(&note) {
                    self.names.log(note, times);
                }
            }
        }
    }

    /// The queue with the result of the frame that was captured first.
    fn oldest(&self) -> Option<usize> {
        let heads = self.results.iter().enumerate();
        heads
            .filter_map(|(index, queue)| Some((queue.peek()?.stamps.capture_ns, index)))
            .min()
            .map(|(_, index)| index)
    }

    fn take(&mut self, result: &FrameResult, now_ns: u64, utc_ns: u64) {
        self.counters.results.fetch_add(1, Ordering::Relaxed);
        self.counters
            .detections
            .fetch_add(result.detections.len() as u64, Ordering::Relaxed);
        let live = &mut self.live;
        let clear = || live.iter_mut().for_each(LiveLine::clear);
        let now = (now_ns, utc_ns);
        self.alerts
            .take(result, &self.names, now, &mut self.disk, clear);
        self.disk.keep(result, utc_ns);
        if let Some(live) = &mut self.live
            && result.step == 0
        {
            live.take(result);
        }
    }

    fn tick(&mut self, now_ns: u64) {
        let (names, counters) = (&self.names, &self.counters);
        self.watchdog.look(now_ns, |overdue| {
            counters.overdue.fetch_add(1, Ordering::Relaxed);
            names.log_overdue(overdue);
        });
        if let Some(live) = &mut self.live {
            live.show(&self.names, self.alerts.last_rule());
        }
    }
}

/// Back to the line's start, empty it, and cut it at the right edge: DECAWM off.
const LINE_START: &str = "\r\x1b[K\x1b[?7l";
/// Lines wrap again: DECAWM on.
const WRAP: &[u8] = b"\x1b[?7h";

/// One line on the terminal, rewritten in place.
pub(crate) struct LiveLine {
    terminal: File,
    text: heapless::String<256>,
    window: Histogram,
    results: u64,
    total: u64,
    newest: Option<FrameResult>,
    shown: bool,
}

impl LiveLine {
    /// A line on this terminal.
    pub(crate) fn new(terminal: File) -> Self {
        Self {
            terminal,
            text: heapless::String::new(),
            window: Histogram::new(),
            results: 0,
            total: 0,
            newest: None,
            shown: false,
        }
    }

    fn take(&mut self, result: &FrameResult) {
        self.results += 1;
        self.total += 1;
        self.window
            .record(Stage::CaptureToResult.of(&result.stamps));
        self.newest = Some(result.clone());
    }

    fn show(&mut self, names: &Names, last_rule: Option<&str>) {
        #[allow(clippy::cast_precision_loss)] // for reading
        let ms = |ns: u64| ns as f64 / 1e6;
        self.text.clear();
        // A line that is too long ends early; nothing depends on it.
        let rate = self.results * NS_PER_S / TICK_NS;
        let _ = write!(
            self.text,
            "{LINE_START}  {} judged, {rate}/s, age P50 {:.1} ms, worst {:.1} ms",
            self.total,
            ms(self.window.quantile_ns(0.5)),
            ms(self.window.quantile_ns(1.0)),
        );
        if let Some(newest) = &self.newest {
            let _ = write!(self.text, " | {}", names.camera(newest.camera));
            match newest.detections.first() {
                Some(seen) => {
                    let label = names.labels(newest.model).get(usize::from(seen.class));
                    let _ = write!(
                        self.text,
                        ": {} {:.2} at {:.0},{:.0} ({} in view)",
                        label.map_or("?", String::as_str),
                        seen.score,
                        seen.x_px,
                        seen.y_px,
                        newest.detections.len()
                    );
                }
                None => {
                    let _ = self.text.push_str(": nothing in view");
                }
            }
        }
        if let Some(rule) = last_rule {
            let _ = write!(self.text, " | last event {rule}");
        }
        self.write();
        self.shown = true;
        self.window.reset();
        self.results = 0;
    }

    fn clear(&mut self) {
        if self.shown {
            self.text.clear();
            let _ = self.text.push_str("\r\x1b[K");
            self.write();
            self.shown = false;
        }
    }

    /// A terminal that went away or was stopped costs the line only.
    fn write(&mut self) {
        if takes_bytes(self.terminal.as_fd()) {
            let _ = self.terminal.write_all(self.text.as_bytes());
            let _ = self.terminal.write_all(WRAP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, Housekeeping};
    use crate::appliance::shared::messages::{ResultReceiver, Said, Told, queue_of};
    use crate::appliance::shared::names::Names;
    use crate::appliance::threads::disk::disk::{Feeder, Shelve, disk};
    use crate::appliance::threads::housekeeping::rules::Alerts;
    use crate::latency::Stamps;
    use crate::postprocess::Detection;
    use crate::profile::{self, Board};
    use crate::record::FrameResult;
    use crate::ring::Doorbell;
    use crate::sync::{Arc, AtomicBool, Ordering};
    use crate::units::NS_PER_MS;
    use std::io::Error;

    /// A face goes down over the line, a frame each 200 ms.
    fn falling(frame: u16) -> FrameResult {
        let mut result = FrameResult {
            worker: frame % 2,
            sequence: frame.into(),
            stamps: Stamps {
                capture_ns: u64::from(frame) * 200 * NS_PER_MS,
                ..Stamps::default()
            },
            ..FrameResult::default()
        };
        let face = Detection {
            score: 0.9,
            y_px: 100.0 + 20.0 * f32::from(frame),
            width_px: 400.0,
            height_px: 400.0,
            ..Detection::default()
        };
        result.detections.push(face).unwrap();
        result
    }

    /// Housekeeping over these results, all there will be.
    fn keeping(board: &Board, results: Vec<ResultReceiver>, disk: Feeder) -> Housekeeping {
        Housekeeping {
            watchdog: crate::appliance::shared::invoke_deadline::Watchdog::default(),
            names: Names::default(),
            results,
            notes: Vec::new(),
            bell: Arc::new(Doorbell::new()),
            alerts: Alerts::new(board, &[(1920, 1080)], Vec::new()).unwrap(),
            disk,
            live: None,
            finish: Arc::new(AtomicBool::new(true)),
            counters: Arc::new(Counters::default()),
            said: Said::new(),
        }
    }

    #[test]
    fn results_of_several_workers_are_taken_in_the_order_of_their_capture() {
        let demo = include_str!("../../../../boards/demo.toml");
        let second = "[[worker]]\nname = \"second\"\ncores = [2]\nmodel = \"face\"\n";
        let board = profile::read("boards/demo.toml", &format!("{demo}{second}")).unwrap();
        let (one, two) = (queue_of(16), queue_of(16));
        let mut senders = [one.0, two.0];
        // Each worker judges every second frame.
        for frame in 0..8 {
            let sender = &mut senders[usize::from(frame % 2)];
            sender.enqueue(falling(frame)).unwrap();
        }
        let keeping = keeping(&board, vec![one.1, two.1], Feeder::none());
        let account = keeping.run(|| 0, || 0);
        assert_eq!(account.results_late, 0);
        assert_eq!((account.tracks, account.rules[0].fired), (1, 1));
    }

    #[test]
    fn rules_go_on_while_no_file_takes_anything() {
        let demo = include_str!("../../../../boards/demo.toml");
        let demo = demo.replace("queue-results = 64", "queue-results = 16");
        let board = profile::read("boards/demo.toml", &demo).unwrap();
        let (mut sender, results) = queue_of(64);
        // The line is crossed long after the queue to the disk is full.
        for frame in 0..40_u16 {
            let at = falling(frame.saturating_sub(32));
            let result = FrameResult {
                sequence: frame.into(),
                stamps: Stamps {
                    capture_ns: u64::from(frame) * 200 * NS_PER_MS,
                    ..Stamps::default()
                },
                ..at
            };
            sender.enqueue(result).unwrap();
        }
        // A disk whose thread never runs.
        let (feeder, _still) = disk(&board, [true; 3], Nowhere);
        let ledge = feeder.ledge();
        let keeping = keeping(&board, vec![results], feeder);
        let counters = Arc::clone(&keeping.counters);
        let account = keeping.run(|| 0, || 0);
        assert_eq!(counters.results.load(Ordering::Relaxed), 40);
        assert_eq!((account.tracks, account.rules[0].fired), (1, 1));
        let lost: Vec<u64> = ledge.accounts().iter().map(|file| file.lost).collect();
        assert_eq!(lost, [40, 40, 1]);
    }

    struct Nowhere;

    impl Shelve for Nowhere {
        fn record(&mut self, _: &FrameResult, _: u64) -> Option<Result<(), Error>> {
            None
        }
        fn list(&mut self, _: &FrameResult, _: u64) -> Option<Result<(), Error>> {
            None
        }
        fn tell(&mut self, _: &Told) -> Option<Result<(), Error>> {
            None
        }
        fn sync(&self) -> Result<(), Error> {
            Ok(())
        }
    }
}
