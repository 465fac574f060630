//! Since when each worker's model has been running, for housekeeping to see.
//!
//! A model that does not come back holds no slot, but it holds a frame that is in no column of the ledger.
//! Whoever takes the frame puts it there: the worker when its model returns, or housekeeping when that has
//! taken too long. The word decides, by one exchange, so that no frame is counted twice or not at all.

use crate::appliance::shared::camera_state::CameraStates;
use crate::ledger::{Outcome, WorkerLedger};
use crate::limits::MAX_THEN;
use crate::sync::{Arc, AtomicU64, Ordering, Padded};

/// No model runs.
const IDLE: u64 = 0;
/// A model runs, and its frame was given up.
const GIVEN_UP: u64 = u64::MAX;

/// Models that one worker can have.
const STEPS: u64 = 1 + MAX_THEN as u64;

/// Every worker's deadline, by its number.
pub(crate) type InvokeDeadlines = Arc<[InvokeDeadline]>;

/// One worker's deadline. No other worker's shares its cache line.
#[derive(Debug, Default)]
pub(crate) struct InvokeDeadline(Padded<Word>);

#[derive(Debug, Default)]
struct Word {
    /// When the model began and which of the worker's it is, `IDLE` or `GIVEN_UP`. Both in one word: whoever
    /// gives up knows what.
    since: AtomicU64,
    /// Whose frame it runs on.
    camera: AtomicU64,
}

impl InvokeDeadline {
    /// The worker's `step`-th model begins on a frame of `camera`; 0 is its own. Of another one, the frame is in its
    /// column already.
    pub(crate) fn begin(&self, camera: u16, step: u16, now_ns: u64) {
        self.0.camera.store(camera.into(), Ordering::Relaxed);
        let since = now_ns.max(STEPS) / STEPS * STEPS + u64::from(step) % STEPS;
        // Release V1: whoever sees the time sees the camera.
        self.0.since.store(since, Ordering::Release);
    }

    /// The worker's model has returned; `false` when the frame was given up meanwhile.
    pub(crate) fn end(&self) -> bool {
        // Acquire and Release V2: either this or the exchange that gives the frame up comes first, and the
        // other one sees it.
        self.0.since.swap(IDLE, Ordering::AcqRel) != GIVEN_UP
    }

    /// Takes the frame of a model that has run for longer than its deadline, of those of the worker's models:
    /// whose it is, which model, how long it has run, and its deadline.
    fn give_up(&self, now_ns: u64, limits_ns: &[u64]) -> Option<(u16, u16, u64, u64)> {
        // Acquire V1.
        let since = self.0.since.load(Ordering::Acquire);
        if since == IDLE || since == GIVEN_UP {
            return None;
        }
        let step = u16::try_from(since % STEPS).ok()?;
        let ran_ns = now_ns.saturating_sub(since / STEPS * STEPS);
        let deadline_ns = *limits_ns.get(usize::from(step))?;
        if ran_ns <= deadline_ns {
            return None;
        }
        let camera = u16::try_from(self.0.camera.load(Ordering::Relaxed)).ok()?;
        // Acquire and Release V2. It fails when the model has returned: the camera may then be the next frame's.
        let taken =
            self.0
                .since
                .compare_exchange(since, GIVEN_UP, Ordering::AcqRel, Ordering::Relaxed);
        taken.ok().map(|_| (camera, step, ran_ns, deadline_ns))
    }
}

/// Housekeeping's watch over every worker.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    pub(crate) deadlines: InvokeDeadlines,
    /// Longest time of one inference of each worker's models: of its own, then of its cascade.
    pub(crate) limits_ns: Vec<Vec<u64>>,
    /// Every camera's ledger.
    pub(crate) ledgers: Vec<WorkerLedger>,
    pub(crate) cameras: CameraStates,
}

/// A model that has run too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) worker: u16,
    pub(crate) camera: u16,
    /// Which of the worker's models: 0 is its own.
    pub(crate) step: u16,
    pub(crate) ran_ns: u64,
    pub(crate) deadline_ns: u64,
}

impl Watchdog {
    /// Gives up the frames of models that have run too long: they are refused, unless it is a model of a cascade,
    /// whose frames have been counted. Reports each once.
    pub(crate) fn look(&self, now_ns: u64, mut report: impl FnMut(Overdue)) {
        for ((worker, deadline), limits_ns) in (0..).zip(&*self.deadlines).zip(&self.limits_ns) {
            let given_up = deadline.give_up(now_ns, limits_ns);
            let Some((camera, step, ran_ns, deadline_ns)) = given_up else {
                continue;
            };
            let is_first = step == 0;
            if let Some(ledger) = self.ledgers.get(usize::from(camera)).filter(|_| is_first) {
                ledger.count(Outcome::Refused, 1);
            }
            if let Some(state) = self.cameras.get(usize::from(camera)).filter(|_| is_first) {
                state.in_flight.count();
            }
            report(Overdue {
                worker,
                camera,
                step,
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
            deadlines: (0..workers).map(|_| InvokeDeadline::default()).collect(),
            limits_ns: vec![vec![100, 50]; workers],
            ledgers: vec![other, worker],
            cameras: (0..2).map(|_| Default::default()).collect(),
        };
        (watchdog, view)
    }

    fn overdue_at(watchdog: &Watchdog, now_ns: u64) -> Vec<Overdue> {
        let mut found = vec![];
        watchdog.look(now_ns, |overdue| found.push(overdue));
        found
    }

    #[test]
    fn a_model_in_time_keeps_its_frame() {
        let (watchdog, view) = watchdog(1);
        let deadline = &watchdog.deadlines[0];
        assert!(overdue_at(&watchdog, 1_000_000).is_empty(), "no model runs");
        deadline.begin(1, 0, 1000);
        assert!(overdue_at(&watchdog, 1100).is_empty());
        assert!(deadline.end());
        assert!(
            overdue_at(&watchdog, 9999).is_empty(),
            "no model runs any more"
        );
        assert_eq!(view.snapshot(|| 0).dropped.refused, 0);
    }

    #[test]
    fn a_model_that_is_late_loses_its_frame_once_and_the_next_one_is_its_own_again() {
        let (watchdog, view) = watchdog(2);
        watchdog.cameras[1].in_flight.release();
        let deadline = &watchdog.deadlines[1];
        deadline.begin(1, 0, 1000);
        let overdue = Overdue {
            worker: 1,
            camera: 1,
            step: 0,
            ran_ns: 101,
            deadline_ns: 100,
        };
        assert_eq!(overdue_at(&watchdog, 1101), [overdue]);
        assert!(
            overdue_at(&watchdog, 5000).is_empty(),
            "it is reported once"
        );
        assert_eq!(view.snapshot(|| 0).dropped.refused, 1);
        assert_eq!(watchdog.cameras[1].in_flight.of(0), 0);
        assert!(!deadline.end(), "the frame is the worker's no more");
        deadline.begin(1, 0, 6000);
        assert!(deadline.end(), "the next one is");
    }

    #[test]
    fn a_further_model_that_is_late_is_told_by_its_own_deadline_and_its_frame_stays_where_it_is() {
        let (watchdog, view) = watchdog(1);
        let deadline = &watchdog.deadlines[0];
        deadline.begin(1, 1, 1000);
        assert!(overdue_at(&watchdog, 1050).is_empty());
        let late = overdue_at(&watchdog, 1051);
        assert_eq!(late.len(), 1);
        assert_eq!(
            (late[0].step, late[0].ran_ns, late[0].deadline_ns),
            (1, 51, 50)
        );
        assert!(
            overdue_at(&watchdog, 5000).is_empty(),
            "it is reported once"
        );
        assert_eq!(view.snapshot(|| 0).dropped.refused, 0);
        assert_eq!(watchdog.cameras[1].in_flight.of(0), 0);
        assert!(!deadline.end());
    }

    #[test]
    fn a_frame_is_taken_by_exactly_one_however_close_they_come() {
        let deadlines: InvokeDeadlines = [InvokeDeadline::default()].into();
        const ROUNDS: u64 = 20_000;
        let theirs = Arc::clone(&deadlines);
        let worker = std::thread::spawn(move || {
            let mut own = 0;
            for round in 1..=ROUNDS {
                theirs[0].begin(7, 0, round);
                own += u64::from(theirs[0].end());
            }
            own
        });
        let mut given_up = 0;
        while !worker.is_finished() {
            // Every running model is late.
            given_up += u64::from(deadlines[0].give_up(u64::MAX - 1, &[0]).is_some());
        }
        assert_eq!(worker.join().unwrap() + given_up, ROUNDS);
    }
}
