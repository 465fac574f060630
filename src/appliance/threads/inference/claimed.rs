//! A frame that a worker has claimed ends in one column of the ledger, whatever becomes of it.

use crate::appliance::shared::camera_state::Signal;
use crate::appliance::shared::invoke_deadline::Pulse;
use crate::appliance::threads::inference::cascade::KeptSlot;
use crate::ledger::{Outcome, WorkerLedger};
use crate::ring::Lease;

/// A claimed frame. It ends in one column, as a failed one if judging it panics; a frame whose model does
/// not return in time is refused by housekeeping (`pulse`).
pub(crate) struct Claimed<'view> {
    ledger: &'view WorkerLedger,
    pub(crate) signal: &'view Signal,
    pub(crate) pulse: &'view Pulse,
    given_back: bool,
    begun: bool,
    settled: bool,
}

impl<'view> Claimed<'view> {
    pub(crate) const fn new(
        ledger: &'view WorkerLedger,
        signal: &'view Signal,
        pulse: &'view Pulse,
    ) -> Self {
        Self {
            ledger,
            signal,
            pulse,
            given_back: false,
            begun: false,
            settled: false,
        }
    }

    pub(crate) fn slot_given_back(&mut self) {
        self.given_back = true;
        self.signal.judging();
    }

    /// The slot goes back when what is given is dropped, at the latest when the frame's further models are done.
    pub(crate) fn slot_goes_back<'frame>(&mut self, lease: Lease<'frame>) -> KeptSlot<'frame>
    where
        'view: 'frame,
    {
        self.given_back = true;
        KeptSlot::new(lease, self.signal)
    }

    /// The model begins.
    pub(crate) fn model_begins(&mut self, camera: u16, now_ns: u64) {
        self.begun = true;
        self.pulse.begin(camera, now_ns);
    }

    /// Counts the frame; `false` when it was given up while its model ran, and counted then.
    pub(crate) fn ends(mut self, outcome: Outcome) -> bool {
        self.settle(outcome)
    }

    fn settle(&mut self, outcome: Outcome) -> bool {
        self.settled = true;
        if self.begun && !self.pulse.end() {
            return false;
        }
        self.ledger.count(outcome, 1);
        if self.given_back {
            self.signal.judged();
        }
        true
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(Outcome::Failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Claimed, Outcome, Pulse, Signal};
    use crate::ledger::ledger;

    #[test]
    fn a_claimed_frame_ends_in_one_column_even_if_its_model_panics_and_is_in_flight_if_it_hangs() {
        let (mut capture, worker, view) = ledger();
        let (signal, pulse) = (Signal::default(), Pulse::default());
        for number in 0..3 {
            capture.frame(number);
        }
        assert!(Claimed::new(&worker, &signal, &pulse).ends(Outcome::Inferred));
        let dies = std::panic::catch_unwind(|| {
            let mut claimed = Claimed::new(&worker, &signal, &pulse);
            claimed.slot_given_back();
            panic!("in the model");
        });
        assert!(dies.is_err());
        let mut hangs = Claimed::new(&worker, &signal, &pulse);
        hangs.slot_given_back();
        let snapshot = view.snapshot(|| u64::try_from(signal.being_judged()).unwrap());
        assert_eq!((snapshot.inferred, snapshot.dropped.failed), (1, 1));
        assert_eq!(snapshot.in_flight, 1);
        assert!(snapshot.identity_holds(), "{snapshot:?}");
        assert!(hangs.ends(Outcome::Stale));
        let snapshot = view.snapshot(|| u64::try_from(signal.being_judged()).unwrap());
        assert_eq!((snapshot.dropped.stale, snapshot.in_flight), (1, 0));
        assert!(snapshot.identity_holds(), "{snapshot:?}");
    }
}
