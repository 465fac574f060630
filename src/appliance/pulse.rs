//! Since when each worker's model has been running, for housekeeping to see.
//!
//! A model that does not come back holds no slot, but it holds a frame that is in no column of the ledger.
//! Whoever takes the frame puts it there: the worker when its model returns, or housekeeping when that has
//! taken too long. The word decides, by one exchange, so that no frame is counted twice or not at all.

use super::signals::Signals;
use crate::ledger::{Outcome, WorkerLedger};
use crate::sync::{Arc, AtomicU64, Ordering, Padded};

/// No model runs.
const IDLE: u64 = 0;
/// A model runs, and its frame was given up.
const GIVEN_UP: u64 = u64::MAX;

/// Every worker's pulse, by its number.
pub(super) type Pulses = Arc<[Pulse]>;

/// One worker's pulse. No other worker's shares its cache line.
#[derive(Debug, Default)]
pub(super) struct Pulse(Padded<Word>);

#[derive(Debug, Default)]
struct Word {
    /// When the model began, `IDLE` or `GIVEN_UP`.
    since_ns: AtomicU64,
    /// Whose frame it runs on.
    camera: AtomicU64,
}

impl Pulse {
    /// The worker's model begins on a frame of `camera`.
    pub(super) fn begin(&self, camera: u16, now_ns: u64) {
        self.0.camera.store(camera.into(), Ordering::Relaxed);
        // Release P: whoever sees the time sees the camera.
        self.0.since_ns.store(now_ns.max(1), Ordering::Release);
    }

    /// The worker's model has returned; `false` when the frame was given up meanwhile.
    pub(super) fn end(&self) -> bool {
        self.0.since_ns.swap(IDLE, Ordering::AcqRel) != GIVEN_UP
    }

    /// The frame of the model that runs was given up.
    pub(super) fn is_given_up(&self) -> bool {
        self.0.since_ns.load(Ordering::Acquire) == GIVEN_UP
    }

    /// Takes the frame of a model that has run for longer than `deadline_ns`: whose it is, and how long.
    fn give_up(&self, now_ns: u64, deadline_ns: u64) -> Option<(u16, u64)> {
        // Acquire P.
        let since_ns = self.0.since_ns.load(Ordering::Acquire);
        let ran_ns = now_ns.saturating_sub(since_ns);
        if since_ns == IDLE || since_ns == GIVEN_UP || ran_ns <= deadline_ns {
            return None;
        }
        let camera = u16::try_from(self.0.camera.load(Ordering::Relaxed)).ok()?;
        // It fails when the model has returned: the camera may then be the next frame's.
        let taken = self.0.since_ns.compare_exchange(
            since_ns,
            GIVEN_UP,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        taken.ok().map(|_| (camera, ran_ns))
    }
}

/// Housekeeping's watch over every worker.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    pub(super) pulses: Pulses,
    /// Longest time of one inference of each worker's model.
    pub(super) deadlines_ns: Vec<u64>,
    /// Every camera's ledger.
    pub(super) ledgers: Vec<WorkerLedger>,
    pub(super) signals: Signals,
}

/// A model that has run too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overdue {
    pub(super) worker: u16,
    pub(super) camera: u16,
    pub(super) ran_ns: u64,
    pub(super) deadline_ns: u64,
}

impl Watchdog {
    /// Gives up the frames of models that have run too long: they are refused. Tells of each once.
    pub(super) fn look(&self, now_ns: u64, mut tell: impl FnMut(Overdue)) {
        for ((worker, pulse), &deadline_ns) in (0..).zip(&*self.pulses).zip(&self.deadlines_ns) {
            let Some((camera, ran_ns)) = pulse.give_up(now_ns, deadline_ns) else {
                continue;
            };
            if let Some(ledger) = self.ledgers.get(usize::from(camera)) {
                ledger.count(Outcome::Refused, 1);
            }
            if let Some(signal) = self.signals.get(usize::from(camera)) {
                signal.judged();
            }
            tell(Overdue {
                worker,
                camera,
                ran_ns,
                deadline_ns,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::ledger;

    fn watchdog(workers: usize) -> (Watchdog, crate::ledger::LedgerView) {
        let (_, worker, view) = ledger();
        let (_, other, _) = ledger();
        let watchdog = Watchdog {
            pulses: (0..workers).map(|_| Pulse::default()).collect(),
            deadlines_ns: vec![100; workers],
            ledgers: vec![other, worker],
            signals: (0..2).map(|_| Default::default()).collect(),
        };
        (watchdog, view)
    }

    fn told(watchdog: &Watchdog, now_ns: u64) -> Vec<Overdue> {
        let mut told = vec![];
        watchdog.look(now_ns, |overdue| told.push(overdue));
        told
    }

    #[test]
    fn a_model_in_time_keeps_its_frame() {
        let (watchdog, view) = watchdog(1);
        let pulse = &watchdog.pulses[0];
        assert!(told(&watchdog, 1_000_000).is_empty(), "no model runs");
        pulse.begin(1, 1000);
        assert!(told(&watchdog, 1100).is_empty());
        assert!(pulse.end());
        assert!(told(&watchdog, 9999).is_empty(), "no model runs any more");
        assert_eq!(view.snapshot(|| 0).dropped.refused, 0);
    }

    #[test]
    fn a_model_that_is_late_loses_its_frame_once_and_the_next_one_is_its_own_again() {
        let (watchdog, view) = watchdog(2);
        watchdog.signals[1].judging();
        let pulse = &watchdog.pulses[1];
        pulse.begin(1, 1000);
        let overdue = Overdue {
            worker: 1,
            camera: 1,
            ran_ns: 101,
            deadline_ns: 100,
        };
        assert_eq!(told(&watchdog, 1101), [overdue]);
        assert!(told(&watchdog, 5000).is_empty(), "it is told once");
        assert_eq!(view.snapshot(|| 0).dropped.refused, 1);
        assert_eq!(watchdog.signals[1].being_judged(), 0);
        assert!(!pulse.end(), "the frame is the worker's no more");
        pulse.begin(1, 6000);
        assert!(pulse.end(), "the next one is");
    }

    #[test]
    fn a_frame_is_taken_by_exactly_one_however_close_they_come() {
        let pulses: Pulses = [Pulse::default()].into();
        const ROUNDS: u64 = 20_000;
        let theirs = Arc::clone(&pulses);
        let worker = std::thread::spawn(move || {
            let mut own = 0;
            for round in 1..=ROUNDS {
                theirs[0].begin(7, round);
                own += u64::from(theirs[0].end());
            }
            own
        });
        let mut given_up = 0;
        while !worker.is_finished() {
            // Every running model is late.
            given_up += u64::from(pulses[0].give_up(u64::MAX - 1, 0).is_some());
        }
        assert_eq!(worker.join().unwrap() + given_up, ROUNDS);
    }
}
