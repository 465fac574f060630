//! A camera with its ladder.

use crate::contract::SLOTS;
use crate::inside::camera::open;
use crate::stage::{Clock, Stage, arm};
use pinsight::capture::SourceError;
use pinsight::capture::health::supervisor::{Action, Event, Limits, Supervisor};
use pinsight::frame::PixelFormat;
use pinsight::profile::Io;
use pinsight::units::{NS_PER_MS, NS_PER_S};

/// A camera with its ladder, in real time.
pub(crate) struct Watch {
    pub(crate) stage: Stage,
    pub(crate) supervisor: Supervisor,
    pub(crate) frames: u64,
    pub(crate) damaged: u64,
}

impl Watch {
    pub(crate) fn new(io: Io) -> Self {
        let stage = arm(open(PixelFormat::Nv12, io), SLOTS, Clock::Real);
        let limits = Limits::new(1000 * NS_PER_MS);
        let supervisor = Supervisor::new(limits, stage.now());
        Self {
            stage,
            supervisor,
            frames: 0,
            damaged: 0,
        }
    }

    /// Serves until `enough`, at most ten minutes.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, enough: impl Fn(&Self) -> bool) {
        let last = self.stage.now() + 600 * NS_PER_S;
        while !enough(self) {
            let doing = (self.supervisor.trouble(), self.supervisor.counts());
            assert!(
                self.stage.now() < last,
                "{what} within ten minutes: {doing:?}"
            );
            self.turn();
        }
    }

    #[track_caller]
    pub(crate) fn until_frames(&mut self, frames: u64) {
        let from = self.frames;
        self.until("frames", |watch| watch.frames >= from + frames);
    }

    pub(crate) fn turn(&mut self) {
        let now = self.stage.now();
        let outcome = match self.supervisor.next(now) {
            Action::Serve { until_ns } => {
                let readiness = self.stage.source.readiness();
                self.stage
                    .clock
                    .wait(readiness, until_ns.min(now + 100 * NS_PER_MS));
                return self.serve();
            }
            Action::Rest { until_ns } => {
                return self.stage.pass(until_ns - now);
            }
            Action::Restart => self.restart(),
            Action::Reopen => self.stage.reopen(),
            Action::ResetPort => panic!("there is no port"),
        };
        let event = outcome.map_or_else(Event::NotDone, |()| Event::Done);
        self.supervisor.observe(event, self.stage.now());
    }

    pub(crate) fn restart(&mut self) -> Result<(), SourceError> {
        let _ = self.stage.stop();
        for slot in 0..self.stage.lent.len() {
            self.stage.queue(u16::try_from(slot).unwrap())?;
        }
        self.stage.start()
    }

    pub(crate) fn serve(&mut self) {
        let event = match self.stage.dequeue() {
            Ok(None) => return,
            Ok(Some(frame)) => {
                self.stage.queue(frame.slot).unwrap();
                if frame.damaged {
                    self.damaged += 1;
                    Event::Damaged
                } else {
                    self.frames += 1;
                    Event::Frame
                }
            }
            Err(error) => Event::Failed(error),
        };
        self.supervisor.observe(event, self.stage.now());
    }
}
