//! The capture thread: one poll over the cameras of one core; each frame gets its header and goes into
//! its ring. One camera's trouble never makes another wait longer than the kernel calls of its restart.

use crate::appliance::shared::camera_state::Signals;
use crate::appliance::shared::doorbells::Bells;
use crate::appliance::shared::messages::{Note, NoteSender};
use crate::appliance::shared::stop::Stop;
use crate::capture::health::duplicates::Repeats;
use crate::capture::health::frame_rate::Pace;
use crate::capture::health::supervisor::{Action, Event, Supervisor, Trouble};
use crate::capture::health::timestamps::Continuity;
use crate::capture::{Dequeue, Dequeued, FrameSource, Readiness, SourceError};
use crate::frame::FrameMeta;
use crate::latency::{Arrival, Arrivals, Waits};
use crate::ledger::{CaptureLedger, Outcome, SequenceStep};
use crate::ring::{Doorbell, LaneProducer};
use crate::sync::Arc;
use crate::sys::clock::now_ns;
use crate::sys::io::poll::PollSet;
use crate::sys::thread::{UsageProbe, sight};
use crate::units::NS_PER_MS;
use std::os::fd::AsRawFd as _;

/// Most undecodable pictures that one frame brings the news of: slots are fewer, and so is a row that matters.
const SPOILT: u64 = 64;
/// Longest wait between two looks at the stop flag.
const LOOK_NS: u64 = 250 * NS_PER_MS;
/// Frames taken of one camera before the next camera has its turn.
const BURST: usize = 8;
/// Time that readers get to give a reopened camera's old frames back before it is looked at again.
const READERS_NS: u64 = 5 * NS_PER_MS;
/// Time that the last frames of a stream get to be judged.
const LAST_NS: u64 = 1_000 * NS_PER_MS;
/// The tap of a lane that inference reads.
pub(crate) const INFERENCE_TAP: usize = 0;

/// One camera, as its capture thread sees it.
pub(crate) struct Post {
    pub(crate) camera: u16,
    pub(crate) source: Box<dyn FrameSource>,
    pub(crate) producer: LaneProducer,
    pub(crate) supervisor: Supervisor,
    pub(crate) continuity: Continuity,
    pub(crate) repeats: Repeats,
    pub(crate) ledger: CaptureLedger,
    /// Header fields that are the same for every frame of this camera.
    pub(crate) meta: FrameMeta,
    /// Bytes of a whole frame; fewer are a damaged one.
    pub(crate) frame_bytes: u32,
    /// Shared with the workers.
    pub(crate) signals: Signals,
    pub(crate) arrivals: Arrivals,
    pub(crate) pace: Pace,
    /// Pictures in a row that workers could not decode, as far as the supervisor has heard.
    pub(crate) spoilt: u64,
    /// It was said that this camera is in trouble.
    pub(crate) troubled: bool,
    /// The last poll named an error of this camera's descriptor.
    pub(crate) poll_failed: bool,
    pub(crate) ending: Ending,
    /// It need not be there when the run starts.
    pub(crate) may_be_absent: bool,
}

/// What is left of a camera's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Frames come, or may come again.
    Lasts,
    /// No more come. Those that are there are judged, at most until this time.
    Judged { until_ns: u64 },
    /// Nothing.
    Over,
}

/// The cameras of one core.
pub(crate) struct Station {
    pub(crate) posts: Vec<Post>,
    pub(crate) bells: Arc<Bells>,
    pub(crate) house: Arc<Doorbell>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) desk: Desk,
    pub(crate) polled: PollSet,
    /// This thread's counters when it went to wait.
    pub(crate) waits: Waits,
}

/// Where a capture thread leaves its notes.
pub(crate) struct Desk {
    pub(crate) notes: NoteSender,
    pub(crate) notes_lost: u64,
}

impl Desk {
    fn note(&mut self, note: Note) {
        if self.notes.enqueue(note).is_err() {
            self.notes_lost += 1;
        }
    }
}

impl Station {
    /// Lends the free slots to the drivers and starts the streams.
    ///
    /// # Errors
    /// The first camera that could not be started, and why; every stream is then stopped.
    pub(crate) fn start(&mut self) -> Result<(), (u16, SourceError)> {
        for index in 0..self.posts.len() {
            let post = &mut self.posts[index];
            post.lend(now_ns());
            let camera = post.camera;
            if let Err(error) = post.start(now_ns()) {
                if post.may_be_absent && Trouble::of(error) == Trouble::Gone {
                    post.release();
                    post.report(Err(error));
                    continue;
                }
                self.halt();
                return Err((camera, error));
            }
            post.supervisor.started(now_ns());
            post.supervisor.observe(Event::Done, now_ns());
        }
        Ok(())
    }

    /// Serves the cameras until the run is over, then stops their streams.
    pub(crate) fn run(&mut self, probe: &mut UsageProbe) {
        while !self.stop.is_asked() {
            probe.sample();
            // The workers hear of new frames before anything is done that they need not wait for.
            let mut rung = 0;
            for post in &mut self.posts {
                rung |= post.take(&mut self.desk, &self.waits);
            }
            self.ring(rung);
            let mut rung = 0;
            let mut wake_ns = now_ns().saturating_add(LOOK_NS);
            for post in &mut self.posts {
                let (bits, next_ns) = match post.ending {
                    Ending::Lasts => post.turn(&mut self.desk),
                    Ending::Judged { until_ns } => (0, post.see_off(until_ns, &self.stop)),
                    Ending::Over => (0, u64::MAX),
                };
                rung |= bits;
                wake_ns = wake_ns.min(next_ns);
            }
            self.ring(rung);
            self.wait(wake_ns);
        }
        self.halt();
    }

    /// Wakes the workers that wait for these cameras.
    fn ring(&self, rung: u64) {
        if rung == 0 {
            return;
        }
        let now = now_ns();
        for post in &self.posts {
            if rung >> post.camera & 1 == 1 {
                post.signals[usize::from(post.camera)].ring(now);
            }
        }
        self.bells.ring(rung);
    }

    pub(crate) fn halt(&mut self) {
        for post in &mut self.posts {
            post.release();
        }
        self.house.ring(1);
    }

    fn wait(&mut self, wake_ns: u64) {
        self.polled.clear();
        self.polled.watch(self.stop.descriptor().as_raw_fd());
        for post in &self.posts {
            match post.source.readiness() {
                Readiness::Fd(descriptor)
                    if post.supervisor.serving() && post.ending == Ending::Lasts =>
                {
                    self.polled.watch(descriptor);
                }
                _ => self.polled.pass(),
            }
        }
        let now = now_ns();
        self.waits.waiting(sight(now));
        self.polled.wait(wake_ns.saturating_sub(now));
        for (index, post) in self.posts.iter_mut().enumerate() {
            post.poll_failed = self.polled.failed(index + 1);
        }
    }
}

impl Post {
    /// Lends the free slots, then does what the supervisor asks for. Gives the camera's ready bit if its
    /// readers are to look, and the time of the next turn.
    fn turn(&mut self, desk: &mut Desk) -> (u64, u64) {
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
                self.say_trouble(desk);
                self.release();
                self.lend(now);
                let outcome = self.start(now);
                self.report(outcome);
                (0, 0)
            }
            Action::Reopen => {
                self.say_trouble(desk);
                self.release();
                if self.source.keeper().is_some() && self.producer.view().live_slots() > 0 {
                    // The new device's buffers take the place of the old ones: readers first.
                    return (1 << self.camera, now + READERS_NS);
                }
                let outcome = self.source.reopen(now);
                if outcome.is_ok() {
                    self.learn();
                }
                self.report(outcome);
                (0, 0)
            }
            Action::ResetPort => {
                self.say_trouble(desk);
                self.release();
                let outcome = self.source.reset_port();
                self.report(outcome);
                (0, 0)
            }
            Action::Rest { until_ns } => (0, until_ns),
        }
    }

    /// Waits for the last frames of a stream that has ended to be judged. Gives the time of the next
    /// look.
    fn see_off(&mut self, until_ns: u64, stop: &Stop) -> u64 {
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

    fn report(&mut self, outcome: Result<(), SourceError>) {
        let event = match outcome {
            Ok(()) => Event::Done,
            Err(error) => Event::NotDone(error),
        };
        self.supervisor.observe(event, now_ns());
    }

    /// Once per trouble, not once per attempt: a camera that stays away for a month is one line.
    fn say_trouble(&mut self, desk: &mut Desk) {
        if !self.troubled
            && let Some(trouble) = self.supervisor.trouble()
        {
            self.troubled = true;
            desk.note(Note::CameraTrouble {
                camera: self.camera,
                trouble,
            });
        }
    }

    /// Lends every free slot to the driver.
    fn lend(&mut self, now: u64) {
        while let Some(slot) = self.producer.take_free() {
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

    fn start(&mut self, now: u64) -> Result<(), SourceError> {
        self.source.start(now)?;
        self.continuity.restarted(now);
        self.repeats.restarted();
        self.arrivals.restarted();
        self.pace.restarted();
        Ok(())
    }

    /// Stops the stream; every lent slot is ours again.
    fn release(&mut self) {
        // A device that is gone cannot be stopped, and its slots are ours all the same.
        let _ = self.source.stop();
        self.producer.take_back_all();
        self.ledger.stream_stopped();
    }

    /// Takes the filled buffers, before the supervisor is asked: a program that was held up finds them
    /// waiting, and that is no silence. Gives the ready bit.
    fn take(&mut self, desk: &mut Desk, waits: &Waits) -> u64 {
        if self.ending != Ending::Lasts || !self.supervisor.serving() {
            return 0;
        }
        let mut bits = 0;
        for taken in 0..BURST {
            let now = now_ns();
            match self.source.dequeue(now) {
                Ok(Dequeue::Frame(frame)) => {
                    // Read again: a frame may have been captured while the driver handed it over.
                    let now = now_ns();
                    bits |= self.accept(&frame, now, waits, desk);
                }
                Ok(Dequeue::NotReady) => {
                    if self.poll_failed && taken == 0 {
                        let error = SourceError::new("poll", nix::libc::EIO);
                        self.supervisor.observe(Event::Failed(error), now);
                    }
                    break;
                }
                Ok(Dequeue::Ended) => {
                    self.ending = Ending::Judged {
                        until_ns: now.saturating_add(LAST_NS),
                    };
                    desk.note(Note::CameraEnded {
                        camera: self.camera,
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

    fn accept(&mut self, frame: &Dequeued, now: u64, waits: &Waits, desk: &mut Desk) -> u64 {
        let Ok(slot) = self.producer.dequeued(frame.slot) else {
            // The driver named a buffer that it does not have: nothing of it can be believed.
            let error = SourceError::new("VIDIOC_DQBUF (unknown buffer)", nix::libc::EINVAL);
            self.supervisor.observe(Event::Failed(error), now);
            return 0;
        };
        let verdict = self.continuity.judge(frame, now);
        let step = self.ledger.frame(frame.sequence);
        let missing = match step {
            SequenceStep::Gap(missing) => missing,
            _ => 0,
        };
        if let Some(slow) = self.pace.frame(now, missing) {
            desk.note(Note::CameraSlow {
                camera: self.camera,
                slow,
            });
        }
        let arrival = Arrival {
            capture_ns: verdict.capture_ns,
            dequeue_ns: now,
            numbers_missing: missing > 0,
        };
        let remarks = self.arrivals.arrived(&arrival, waits, || sight(now));
        if frame.damaged || frame.bytes_used < self.frame_bytes {
            self.ledger.count(Outcome::Damaged, 1);
            self.producer.give_back(slot);
            self.supervisor.observe(Event::Damaged, now);
            return 0;
        }
        let repeated = step == SequenceStep::Repeat;
        if self.repeats.is_old(repeated, frame) {
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
                self.signals[usize::from(self.camera)].publish(verdict.capture_ns);
                if self.producer.publish(slot).evicted(INFERENCE_TAP) {
                    self.ledger.count(Outcome::Evicted, 1);
                }
                self.witness(now, desk);
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
    fn witness(&mut self, now: u64, desk: &mut Desk) {
        let spoilt = self.signals[usize::from(self.camera)].spoilt();
        let heard = std::mem::replace(&mut self.spoilt, spoilt);
        if spoilt == 0 {
            self.supervisor.observe(Event::Frame, now);
            if self.troubled {
                self.troubled = false;
                desk.note(Note::CameraBack {
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
