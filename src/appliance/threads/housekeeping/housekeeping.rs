//! The thread that is not real-time: rules, log lines and the live view, and who gets results and events: outputs,
//! and the disk. It formats into fixed buffers and waits for nobody.

use super::camera_trouble::CameraTroubles;
use super::live_view::LiveView;
use super::note_words::{Frequency, log_note, log_overdue};
use super::rules::Rules;
use super::wall_clock::WallClock;
use crate::appliance::report::events::Events;
use crate::appliance::shared::common::Common;
use crate::appliance::shared::invoke_deadline::Watchdog;
use crate::appliance::shared::messages::{Note, NoteReceiver, ResultReceiver};
use crate::appliance::shared::progress::{Activity, ThreadProgress};
use crate::appliance::threads::disk::disk::DiskOutbox;
use crate::record::FrameResult;
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::sys::clock::{ClockStep, Utc};
use crate::sys::service::terminal;
use crate::units::NS_PER_MS;

/// Longest time between two looks at the clock.
const TICK_NS: u64 = 500 * NS_PER_MS;

/// What housekeeping needs, all of it made at arming.
pub(crate) struct Housekeeping {
    pub(crate) common: Common,
    pub(crate) results: Vec<ResultReceiver>,
    pub(crate) notes: Vec<NoteReceiver>,
    pub(crate) rules: Rules,
    pub(crate) disk: DiskOutbox,
    pub(crate) live: Option<LiveView>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) frequency: Frequency,
    pub(crate) troubles: CameraTroubles,
    pub(crate) watchdog: Watchdog,
    /// Read when it begins to run.
    pub(crate) wall_clock: WallClock,
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
    /// What housekeeping is doing.
    pub(crate) progress: ThreadProgress,
}

impl Housekeeping {
    /// Runs until nothing more comes and the queues are empty. Gives the account of its events.
    pub(crate) fn run(mut self, now_ns: impl Fn() -> u64, utc_ns: impl Fn() -> u64) -> Events {
        let bell = Arc::clone(&self.common.housekeeping);
        let mut next_tick_ns = now_ns() + TICK_NS;
        self.wall_clock = WallClock::new(&now_ns, &utc_ns);
        loop {
            let is_finishing = bell.is_finishing();
            self.begin(Activity::TakeResults);
            self.drain(&now_ns);
            let now = now_ns();
            if now >= next_tick_ns {
                next_tick_ns = now + TICK_NS;
                self.begin(Activity::Log);
                self.look_at_clocks(&now_ns, &utc_ns);
                self.tick(now);
            }
            if is_finishing {
                break;
            }
            self.begin(Activity::Waiting);
            bell.wait(next_tick_ns, &now_ns);
        }
        let Common { names, cameras, .. } = &self.common;
        self.troubles.end(names, now_ns(), cameras);
        // What comes behind has the terminal for itself.
        terminal::close();
        self.rules.account(&self.common.names)
    }

    fn begin(&self, activity: Activity) {
        self.counters.progress.begin(activity, 0);
    }

    fn drain(&mut self, now_ns: &impl Fn() -> u64) {
        while let Some(result) = self
            .oldest()
            .and_then(|queue| self.results[queue].dequeue())
        {
            self.begin(Activity::TakeResults);
            self.take(&result, now_ns());
            // At once: its queues are to hold what one result makes.
            self.disk.ring();
        }
        for queue in &mut self.notes {
            while let Some(note) = queue.dequeue() {
                let names = &self.common.names;
                match note {
                    Note::CameraTrouble { camera, trouble } => {
                        self.troubles.note(names, now_ns(), camera, Some(trouble));
                        continue;
                    }
                    Note::CameraBack { camera } => {
                        self.troubles.note(names, now_ns(), camera, None);
                        continue;
                    }
                    _ => {}
                }
                if let Some(times) = self.frequency.count(&note) {
                    log_note(&self.common.names, note, times);
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

    /// A clock that was set is a line in the log; times of captures from here on are those of the new one.
    fn look_at_clocks(&mut self, now_ns: &impl Fn() -> u64, utc_ns: &impl Fn() -> u64) {
        if let Some(step_ns) = self.wall_clock.renew(now_ns, utc_ns) {
            log::warn!(
                "the clock was set by {}, or the machine slept: it is {} now",
                ClockStep(step_ns),
                Utc(utc_ns())
            );
        }
    }

    fn take(&mut self, result: &FrameResult, now_ns: u64) {
        let utc_ns = self.wall_clock.utc_ns(result.stamps.capture_ns);
        let detections = result.detections.len() as u64;
        self.counters.results.fetch_add(1, Ordering::Relaxed);
        self.counters
            .detections
            .fetch_add(detections, Ordering::Relaxed);
        let (names, now) = (&self.common.names, (now_ns, utc_ns));
        self.rules.take(result, names, now, &mut self.disk);
        self.disk.keep(result, utc_ns);
        if let Some(live) = &mut self.live
            && result.step == 0
        {
            live.take(result);
        }
    }

    fn tick(&mut self, now_ns: u64) {
        let (names, counters) = (&self.common.names, &self.counters);
        self.troubles.tick(names, now_ns, &self.common.cameras);
        self.watchdog.look(now_ns, |overdue| {
            counters.overdue.fetch_add(1, Ordering::Relaxed);
            log_overdue(names, overdue);
        });
        if let Some(live) = &mut self.live {
            live.show(now_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CameraTroubles, Counters, Frequency, Housekeeping, Rules, WallClock, Watchdog};
    use crate::appliance::shared::common::Common;
    use crate::appliance::shared::messages::{ResultReceiver, queue_of};
    use crate::appliance::shared::names::Names;
    use crate::appliance::threads::disk::disk::{DiskOutbox, disk};
    use crate::appliance::threads::disk::tests::Untouched;
    use crate::latency::Stamps;
    use crate::postprocess::Detection;
    use crate::profile::{self, Board};
    use crate::record::FrameResult;
    use crate::sync::{Arc, Ordering};
    use crate::units::NS_PER_MS;

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
    fn keeping(board: &Board, results: Vec<ResultReceiver>, disk: DiskOutbox) -> Housekeeping {
        let names = Arc::new(Names::of(board));
        let common = Common::new(board, names, None).unwrap();
        common.housekeeping.finish();
        Housekeeping {
            common,
            results,
            notes: Vec::new(),
            rules: Rules::new(board, &[(1920, 1080)], Vec::new()).unwrap(),
            disk,
            live: None,
            counters: Arc::new(Counters::default()),
            frequency: Frequency::new(),
            troubles: CameraTroubles::new(),
            watchdog: Watchdog::default(),
            wall_clock: WallClock::default(),
        }
    }

    #[test]
    fn results_of_several_workers_are_taken_in_the_order_of_their_capture() {
        let demo = include_str!("../../../../boards/demo.toml");
        let second = "[[worker]]\nname = \"second\"\ncores = [2]\nmodel = \"face\"\n";
        let board = profile::read("boards/demo.toml", &format!("{demo}{second}")).unwrap();
        let (one, two) = (queue_of(16), queue_of(16));
        let mut senders = [one.0, two.0];
        // Each worker infers every second frame.
        for frame in 0..8 {
            let sender = &mut senders[usize::from(frame % 2)];
            sender.enqueue(falling(frame)).unwrap();
        }
        let keeping = keeping(&board, vec![one.1, two.1], DiskOutbox::none());
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
        let (outbox, _still) = disk(&board, [true; 3], Untouched);
        let written = Arc::clone(&outbox.counters);
        let keeping = keeping(&board, vec![results], outbox);
        let counters = Arc::clone(&keeping.counters);
        let account = keeping.run(|| 0, || 0);
        assert_eq!(counters.results.load(Ordering::Relaxed), 40);
        assert_eq!((account.tracks, account.rules[0].fired), (1, 1));
        let lost: Vec<u64> = written.accounts().iter().map(|file| file.lost).collect();
        assert_eq!(lost, [40, 40, 1]);
    }
}
