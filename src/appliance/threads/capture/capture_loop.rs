//! The capture loop: one poll over the cameras of one core; each frame gets its header and goes into
//! its ring. One camera's trouble never makes another wait longer than the kernel calls of its restart.

use super::camera_slot::{CameraSlot, Ending};
use crate::appliance::shared::common::Common;
use crate::appliance::shared::messages::NoteLog;
use crate::appliance::shared::progress::{Activity, ThreadProgress};
use crate::capture::health::supervisor::{Event, Trouble};
use crate::capture::{Readiness, SourceError};
use crate::latency::Waits;
use crate::sync::Arc;
use crate::sys::clock::now_ns;
use crate::sys::io::poll::PollSet;
use crate::sys::thread::{UsageProbe, counters};
use crate::units::NS_PER_MS;
use std::os::fd::AsRawFd as _;

/// Longest wait between two looks at the stop flag.
const LOOK_NS: u64 = 250 * NS_PER_MS;

/// The cameras of one core.
pub(crate) struct CaptureLoop {
    pub(crate) slots: Vec<CameraSlot>,
    pub(crate) common: Common,
    pub(crate) notes: NoteLog,
    pub(crate) polled: PollSet,
    /// This thread's counters when it went to wait.
    pub(crate) waits: Waits,
    /// What this thread is doing.
    pub(crate) progress: Arc<ThreadProgress>,
}

impl CaptureLoop {
    /// Of these cameras.
    pub(crate) fn new(mut slots: Vec<CameraSlot>, common: Common, notes: NoteLog) -> Self {
        let progress: Arc<ThreadProgress> = Arc::default();
        for slot in &mut slots {
            slot.progress = Arc::clone(&progress);
        }
        Self {
            progress,
            slots,
            common,
            notes,
            polled: PollSet::new(),
            waits: Waits::default(),
        }
    }

    /// Lends the free slots to the drivers and starts the streams.
    ///
    /// # Errors
    /// The first camera that could not be started, and why; every stream is then stopped.
    pub(crate) fn start(&mut self) -> Result<(), (u16, SourceError)> {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            slot.lend(now_ns());
            let camera = slot.camera;
            if let Err(error) = slot.start(now_ns()) {
                if slot.may_be_absent && Trouble::of(error) == Trouble::Gone {
                    slot.release();
                    slot.report(Err(error));
                    continue;
                }
                self.halt();
                return Err((camera, error));
            }
            slot.supervisor.started(now_ns());
            slot.supervisor.observe(Event::Done, now_ns());
        }
        Ok(())
    }

    /// Serves the cameras until the run is over, then stops their streams.
    pub(crate) fn run(&mut self, probe: &mut UsageProbe) {
        while !self.common.stop.is_asked() {
            probe.sample();
            // The workers hear of new frames before anything is done that they need not wait for.
            let mut rung = 0;
            for slot in &mut self.slots {
                rung |= slot.take(&mut self.notes, &self.waits);
            }
            self.ring(rung);
            let mut called = 0;
            let mut wake_ns = now_ns().saturating_add(LOOK_NS);
            for slot in &mut self.slots {
                let (bits, next_ns) = match slot.ending {
                    Ending::Streaming => slot.turn(&mut self.notes),
                    Ending::Draining { until_ns } => (0, slot.drain(until_ns, &self.common.stop)),
                    Ending::Over => (0, u64::MAX),
                };
                called |= bits;
                wake_ns = wake_ns.min(next_ns);
            }
            self.call_readers(called);
            self.wait(wake_ns);
        }
        self.halt();
    }

    /// Wakes the workers that wait for these cameras.
    pub(crate) fn ring(&self, rung: u64) {
        if rung == 0 {
            return;
        }
        let now = now_ns();
        for slot in &self.slots {
            if rung >> slot.camera & 1 == 1 {
                slot.state().ring(now);
            }
        }
        self.common.bells.ring(rung);
    }

    /// Has the workers take what is left of these cameras' frames: until then their devices cannot be opened again. Nothing
    /// better is about to come, or a worker would wait for it, and be called again before it came.
    pub(crate) fn call_readers(&self, called: u64) {
        if called == 0 {
            return;
        }
        for slot in &self.slots {
            if called >> slot.camera & 1 == 1 {
                slot.state().expect_none();
            }
        }
        self.common.bells.ring(called);
    }

    pub(crate) fn halt(&mut self) {
        for slot in &mut self.slots {
            slot.release();
        }
        self.common.housekeeping.ring();
    }

    fn wait(&mut self, wake_ns: u64) {
        self.polled.clear();
        self.polled.watch(self.common.stop.descriptor().as_raw_fd());
        for slot in &self.slots {
            match slot.source.readiness() {
                Readiness::Fd(descriptor)
                    if slot.supervisor.serving() && slot.ending == Ending::Streaming =>
                {
                    self.polled.watch(descriptor);
                }
                _ => self.polled.pass(),
            }
        }
        let now = now_ns();
        self.progress.begin(Activity::Waiting, 0);
        self.waits.waiting(counters(now));
        self.polled.wait(wake_ns.saturating_sub(now));
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.poll_failed = self.polled.failed(index + 1);
        }
    }
}
