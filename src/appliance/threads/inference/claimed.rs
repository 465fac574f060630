//! A frame that a worker has claimed ends in one column of the ledger, whatever becomes of it.

use crate::appliance::shared::in_flight::InFlight;
use crate::appliance::shared::invoke_deadline::InvokeDeadline;
use crate::ledger::{Outcome, WorkerLedger};

/// A claimed frame. It ends in one column, as a failed one if inferring it panics; a frame whose model does
/// not return in time is refused by housekeeping (`invoke_deadline`).
pub(crate) struct Claimed<'run> {
    ledger: &'run WorkerLedger,
    pub(crate) in_flight: &'run InFlight,
    pub(crate) deadline: &'run InvokeDeadline,
    is_counted: bool,
}

impl<'run> Claimed<'run> {
    pub(crate) const fn new(
        ledger: &'run WorkerLedger,
        in_flight: &'run InFlight,
        deadline: &'run InvokeDeadline,
    ) -> Self {
        Self {
            ledger,
            in_flight,
            deadline,
            is_counted: false,
        }
    }

    /// The frame was given up while its model ran, and housekeeping has counted it.
    pub(crate) const fn given_up(&mut self) {
        self.is_counted = true;
    }

    /// Counts the frame; `false` when it was given up and counted then.
    pub(crate) fn end(mut self, outcome: Outcome) -> bool {
        self.count(outcome)
    }

    fn count(&mut self, outcome: Outcome) -> bool {
        if std::mem::replace(&mut self.is_counted, true) {
            return false;
        }
        self.ledger.count(outcome, 1);
        self.in_flight.count();
        true
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        // Of a model that panicked the deadline still runs.
        if !self.is_counted && self.deadline.end() {
            self.count(Outcome::Failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Claimed, InFlight, InvokeDeadline, Outcome};
    use crate::ledger::ledger;

    #[test]
    fn a_claimed_frame_ends_in_one_column_even_if_its_model_panics_and_is_in_flight_if_it_hangs() {
        let (mut capture, worker, view) = ledger();
        let (in_flight, deadline) = (InFlight::default(), InvokeDeadline::default());
        for number in 0..4 {
            capture.frame(number);
        }
        let claim = || Claimed::new(&worker, &in_flight, &deadline);
        let inferred = claim();
        in_flight.release();
        assert!(inferred.end(Outcome::Inferred));
        let dies = std::panic::catch_unwind(|| {
            let _claimed = claim();
            in_flight.release();
            deadline.begin(0, 0, 1);
            panic!("in the model");
        });
        assert!(dies.is_err());
        let mut late = claim();
        in_flight.release();
        late.given_up();
        // As housekeeping counts it.
        worker.count(Outcome::Refused, 1);
        in_flight.count();
        assert!(!late.end(Outcome::Inferred));
        let hangs = claim();
        in_flight.release();
        let snapshot = view.snapshot(|| in_flight.of(0));
        assert_eq!((snapshot.inferred, snapshot.dropped.failed), (1, 1));
        assert_eq!((snapshot.dropped.refused, snapshot.in_flight), (1, 1));
        assert!(snapshot.identity_holds(), "{snapshot:?}");
        assert!(hangs.end(Outcome::Stale));
        let snapshot = view.snapshot(|| in_flight.of(0));
        assert_eq!((snapshot.dropped.stale, snapshot.in_flight), (1, 0));
        assert!(snapshot.identity_holds(), "{snapshot:?}");
    }
}
