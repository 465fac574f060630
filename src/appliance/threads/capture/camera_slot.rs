//! One camera in the capture loop: its source, its end of the lane, and what is watched of its frames.

use crate::appliance::prepare::format::image_bytes;
use crate::appliance::shared::camera_state::{CameraState, CameraStates};
use crate::appliance::shared::in_flight::INFERENCE_TAP;
use crate::appliance::shared::messages::{Note, NoteLog};
use crate::appliance::shared::progress::{Activity, ThreadProgress};
use crate::appliance::shared::stop::Stop;
use crate::capture::health::duplicates::Duplicates;
use crate::capture::health::frame_rate::FrameRateWatch;
use crate::capture::health::supervisor::{Action, Event, Limits, Supervisor};
use crate::capture::health::timestamps::Timestamps;
use crate::capture::{Dequeue, Dequeued, FrameSource, Readiness, SourceError};
use crate::frame::FrameMeta;
use crate::infer::Forecast;
use crate::latency::{Arrival, Arrivals, Waits};
use crate::ledger::{CaptureLedger, Outcome, SequenceStep};
use crate::ring::LaneProducer;
use crate::sync::Arc;
use crate::sys::clock::now_ns;
use crate::sys::thread::counters;
use crate::units::NS_PER_MS;

/// Most undecodable pictures that one frame brings the news of: slots are fewer, and so is a row that matters.
const SPOILT: u64 = 64;
/// Frames taken of one camera before the next camera has its turn.
const BURST: usize = 8;
/// Time that readers get to give a reopened camera's old frames back before it is looked at again.
const READERS_NS: u64 = 5 * NS_PER_MS;
/// Time that the last frames of a stream get to be inferred.
const LAST_NS: u64 = 1_000 * NS_PER_MS;

/// One camera, as its capture thread sees it.
pub(crate) struct CameraSlot {
    pub(crate) camera: u16,
    pub(crate) source: Box<dyn FrameSource>,
    pub(crate) producer: LaneProducer,
    pub(crate) supervisor: Supervisor,
    pub(crate) continuity: Timestamps,
    pub(crate) repeats: Duplicates,
    pub(crate) ledger: CaptureLedger,
    /// Header fields that are the same for every frame of this camera.
    pub(crate) meta: FrameMeta,
    /// Bytes of a whole frame; fewer are a damaged one.
    pub(crate) frame_bytes: u32,
    /// Shared with the workers.
    pub(crate) states: CameraStates,
    pub(crate) arrivals: Arrivals,
    pub(crate) forecast: Forecast,
    pub(crate) pace: FrameRateWatch,
    /// Pictures in a row that workers could not decode, as far as the supervisor has heard.
    pub(crate) spoilt: u64,
    /// It was logged that this camera is in trouble.
    pub(crate) troubled: bool,
    /// The last poll named an error of this camera's descriptor.
    pub(crate) poll_failed: bool,
    pub(crate) ending: Ending,
    /// Its stream has ended within a frame, or with what is no frame.
    pub(crate) broke_off: bool,
    /// What the capture thread is doing.
    pub(crate) progress: Arc<ThreadProgress>,
    /// It need not be there when the run starts.
    pub(crate) may_be_absent: bool,
}

/// What is left of a camera's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Frames come, or may come again.
    Streaming,
    /// No more come. Those that are there are inferred, at most until this time.
    Draining { until_ns: u64 },
    /// Nothing.
    Over,
}

impl CameraSlot {
    /// A camera whose stream has not started. `None`: its pictures are too large for a header.
    pub(crate) fn new(
        source: Box<dyn FrameSource>,
        producer: LaneProducer,
        ledger: CaptureLedger,
        states: CameraStates,
        limits: Limits,
    ) -> Option<Self> {
        let (format, traits) = (source.format(), source.traits());
        let mut supervisor = Supervisor::new(limits, now_ns());
        supervisor.set_in_port(traits.on_usb);
        Some(Self {
            camera: producer.camera(),
            meta: FrameMeta::of(&format)?,
            frame_bytes: image_bytes(&format),
            pace: FrameRateWatch::new(format.interval_ns, traits),
            continuity: Timestamps::new(format.interval_ns),
            repeats: Duplicates::new(),
            arrivals: Arrivals::new(format.interval_ns),
            forecast: Forecast::new(format.interval_ns),
            spoilt: 0,
            troubled: false,
            poll_failed: false,
            ending: Ending::Streaming,
            broke_off: false,
            progress: Arc::default(),
            may_be_absent: false,
            source,
            producer,
            supervisor,
            ledger,
            states,
        })
    }

    /// What this camera's threads share.
    pub(crate) fn state(&self) -> &CameraState {
        &self.states[usize::from(self.camera)]
    }

    /// Lends the free slots, then does what the supervisor asks for. Gives the camera's ready bit if its
    /// readers are to look, and the time of the next turn.
    pub(crate) fn turn(&mut self, notes: &mut NoteLog) -> (u64, u64) {
        let now = now_ns();
        if self.supervisor.serving() {
            self.lend(now);
        }
        match self.supervisor.next(now) {
            Action::Serve { until_ns } => {
                let due_ns = match self.source.readiness() {
                    Readiness::At(due_ns) => due_ns,
                    Readiness::Fd(_) => u64::MAX,
                };
                (0, until_ns.min(due_ns))
            }
            Action::Restart => {
                self.note_trouble(notes);
                self.release();
                self.lend(now);
                let outcome = self.start(now);
                self.report(outcome);
                (0, 0)
            }
            Action::Reopen => {
                self.note_trouble(notes);
                self.release();
                if self.source.keeper().is_some() && self.producer.view().live_slots() > 0 {
                    // The new device's buffers take the place of the old ones: readers first.
                    return (1 << self.camera, now + READERS_NS);
                }
                self.begin(Activity::Reopen);
                let outcome = self.source.reopen(now);
                if outcome.is_ok() {
                    self.learn();
                }
                self.report(outcome);
                (0, 0)
            }
            Action::ResetPort => {
                self.note_trouble(notes);
                self.release();
                self.begin(Activity::ResetPort);
                let outcome = self.source.reset_port();
                self.report(outcome);
                (0, 0)
            }
            Action::Rest { until_ns } => (0, until_ns),
        }
    }

    /// Waits for the last frames of a stream that has ended to be inferred. Gives the time of the next
    /// look.
    pub(crate) fn drain(&mut self, until_ns: u64, stop: &Stop) -> u64 {
        let now = now_ns();
        if now < until_ns && self.producer.view().live_slots() > 0 {
            return now + READERS_NS;
        }
        self.ending = Ending::Over;
        stop.camera_ended();
        u64::MAX
    }

    /// What is known of the camera that is there now: one that was waited for is known from here on.
    fn learn(&mut self) {
        let traits = self.source.traits();
        self.supervisor.set_in_port(traits.on_usb);
        self.pace.learn(traits);
    }

    pub(crate) fn report(&mut self, outcome: Result<(), SourceError>) {
        let event = match outcome {
            Ok(()) => Event::Done,
            Err(error) => Event::NotDone(error),
        };
        self.supervisor.observe(event, now_ns());
        let counts = self.supervisor.counts();
        self.state().set_tried(counts, self.supervisor.trouble());
    }

    /// The capture thread begins to do this for this camera.
    fn begin(&self, activity: Activity) {
        self.progress.begin(activity, self.camera);
    }

    /// Once per trouble, not once per attempt: a camera that stays away for a month is one line.
    fn note_trouble(&mut self, notes: &mut NoteLog) {
        if !self.troubled
            && let Some(trouble) = self.supervisor.trouble()
        {
            self.troubled = true;
            notes.note(Note::CameraTrouble {
                camera: self.camera,
                trouble,
            });
        }
    }

    /// Lends every free slot to the driver.
    pub(crate) fn lend(&mut self, now: u64) {
        while let Some(slot) = self.producer.take_free() {
            self.begin(Activity::QueueBuffers);
            let index = self.producer.queued(slot);
            if let Err(error) = self.source.queue(index, now) {
                // It stays ours. The driver that refuses a slot for good shows it by silence.
                if let Ok(slot) = self.producer.dequeued(index) {
                    self.producer.give_back(slot);
                }
                // A driver with fewer buffers than there are slots holds as many as it can.
                if error.errno != nix::libc::ENOBUFS {
                    self.supervisor.observe(Event::Failed(error), now);
                }
                break;
            }
        }
    }

    pub(crate) fn start(&mut self, now: u64) -> Result<(), SourceError> {
        self.begin(Activity::StartStream);
        self.source.start(now)?;
        self.continuity.restarted(now);
        self.repeats.restarted();
        self.arrivals.restarted();
        self.forecast.restart();
        self.pace.restarted();
        Ok(())
    }

    /// Stops the stream; every lent slot is ours again.
    pub(crate) fn release(&mut self) {
        self.begin(Activity::StopStream);
        // A device that is gone cannot be stopped, and its slots are ours all the same.
        let _ = self.source.stop();
        self.producer.take_back_all();
        self.ledger.stream_stopped();
    }

    /// Takes the filled buffers, before the supervisor is asked: a program that was held up finds them
    /// waiting, and that is no silence. Gives the ready bit.
    pub(crate) fn take(&mut self, notes: &mut NoteLog, waits: &Waits) -> u64 {
        if self.ending != Ending::Streaming || !self.supervisor.serving() {
            return 0;
        }
        let mut bits = 0;
        for taken in 0..BURST {
            let now = now_ns();
            self.begin(Activity::DequeueBuffer);
            match self.source.dequeue(now) {
                Ok(Dequeue::Frame(frame)) => {
                    // Read again: a frame may have been captured while the driver handed it over.
                    let now = now_ns();
                    bits |= self.accept(&frame, now, waits, notes);
                }
                Ok(Dequeue::NotReady) => {
                    if self.poll_failed && taken == 0 {
                        let error = SourceError::new("poll", nix::libc::EIO);
                        self.supervisor.observe(Event::Failed(error), now);
                    }
                    break;
                }
                Ok(Dequeue::Ended) => {
                    self.state().set_ended();
                    self.broke_off = self.source.broke_off();
                    self.ending = Ending::Draining {
                        until_ns: now.saturating_add(LAST_NS),
                    };
                    notes.note(Note::CameraEnded {
                        camera: self.camera,
                        broke_off: self.broke_off,
                    });
                    break;
                }
                Err(error) => {
                    self.supervisor.observe(Event::Failed(error), now);
                    break;
                }
            }
        }
        self.poll_failed = false;
        bits
    }

    fn accept(&mut self, frame: &Dequeued, now: u64, waits: &Waits, notes: &mut NoteLog) -> u64 {
        let Ok(slot) = self.producer.dequeued(frame.slot) else {
            // The driver named a buffer that it does not have: nothing of it can be believed.
            let error = SourceError::new("VIDIOC_DQBUF (unknown buffer)", nix::libc::EINVAL);
            self.supervisor.observe(Event::Failed(error), now);
            return 0;
        };
        let verdict = self.continuity.check(frame, now);
        let step = self.ledger.frame(frame.sequence);
        let missing = match step {
            SequenceStep::Gap(missing) => missing,
            _ => 0,
        };
        if let Some(slow) = self.pace.frame(now, missing) {
            notes.note(Note::CameraSlow {
                camera: self.camera,
                slow,
            });
        }
        let arrival = Arrival {
            capture_ns: verdict.capture_ns,
            dequeue_ns: now,
            numbers_missing: missing > 0,
        };
        let remarks = self.arrivals.arrived(&arrival, waits, || counters(now));
        if frame.damaged || frame.bytes_used < self.frame_bytes {
            self.ledger.count(Outcome::Damaged, 1);
            self.producer.give_back(slot);
            self.supervisor.observe(Event::Damaged, now);
            return 0;
        }
        let repeated = step == SequenceStep::Repeat;
        if self.repeats.is_duplicate(repeated, frame) {
            self.ledger.count(Outcome::Stale, 1);
            self.producer.give_back(slot);
            self.supervisor.observe(Event::Repeated, now);
            return 0;
        }
        let meta = FrameMeta {
            driver_sequence: frame.sequence,
            capture_ns: verdict.capture_ns,
            dequeue_ns: now,
            offset_bytes: frame.offset_bytes,
            bytes_used: frame.bytes_used,
            stamp: remarks.beside(verdict.stamp as u8),
            ..self.meta
        };
        match self.producer.fill(slot, &meta) {
            Ok(slot) => {
                let expected_ns = self.forecast.arrived(verdict.capture_ns, now);
                self.state().publish(verdict.capture_ns, now, expected_ns);
                if self.producer.publish(slot).evicted(INFERENCE_TAP) {
                    self.ledger.count(Outcome::Evicted, 1);
                }
                self.witness(now, notes);
                1 << self.camera
            }
            Err(_) => {
                self.ledger.count(Outcome::Damaged, 1);
                self.supervisor.observe(Event::Damaged, now);
                0
            }
        }
    }

    /// Tells the supervisor of a frame that was published. Where pictures have to be decoded, only the workers
    /// know what the frames before it were worth.
    fn witness(&mut self, now: u64, notes: &mut NoteLog) {
        let spoilt = self.state().spoilt();
        let heard = std::mem::replace(&mut self.spoilt, spoilt);
        if spoilt == 0 {
            self.supervisor.observe(Event::Frame, now);
            if self.troubled {
                self.troubled = false;
                self.state().set_tried(self.supervisor.counts(), None);
                notes.note(Note::CameraBack {
                    camera: self.camera,
                });
            }
            return;
        }
        // Fewer than before: a sound one was among them.
        let new = spoilt.checked_sub(heard).unwrap_or(spoilt);
        for _ in 0..new.min(SPOILT) {
            self.supervisor.observe(Event::Damaged, now);
        }
        self.supervisor.observe(Event::Unproved, now);
    }
}
