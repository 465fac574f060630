//! The thread that is not real-time: event log, recording, log lines and the live line. It formats into
//! fixed buffers and waits for nobody but the disk.

use super::events::EventLog;
use super::messages::{Note, NoteReceiver, ResultReceiver, Said, Times};
use crate::latency::{Histogram, Stage};
use crate::record::{FrameResult, Recording};
use crate::ring::{Doorbell, Waiting};
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::sys::poll::takes_bytes;
use crate::units::{NS_PER_MS, NS_PER_S};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;

/// Longest time between two looks at the clock.
const TICK_NS: u64 = 500 * NS_PER_MS;

/// What housekeeping needs, all of it made at arming.
pub(super) struct Housekeeping {
    pub(super) names: Names,
    pub(super) results: Vec<ResultReceiver>,
    pub(super) notes: Vec<NoteReceiver>,
    pub(super) bell: Arc<Doorbell>,
    pub(super) events: Option<EventLog>,
    pub(super) recording: Option<Recording>,
    pub(super) live: Option<LiveLine>,
    /// Set when every hot thread has ended: what is in the queues then is all there will be.
    pub(super) finish: Arc<AtomicBool>,
    pub(super) counters: Arc<Counters>,
    pub(super) said: Said,
}

/// Names by index, as log lines show them.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) cameras: Vec<String>,
    pub(super) workers: Vec<String>,
    /// Labels of each worker's model.
    pub(super) labels: Vec<Vec<String>>,
}

/// What other threads may read while housekeeping runs.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Results taken from the queues.
    pub(super) results: AtomicU64,
    /// Detections in them.
    pub(super) detections: AtomicU64,
    /// Lines or records that could not be written.
    pub(super) writes_failed: AtomicU64,
}

impl Housekeeping {
    /// Runs until `finish` is set and the queues are empty.
    pub(super) fn run(mut self, now_ns: impl Fn() -> u64, utc_ns: impl Fn() -> u64) {
        let mut next_tick_ns = now_ns() + TICK_NS;
        loop {
            // Read before the queues are emptied: what came before the flag is then seen.
            let finishing = self.finish.load(Ordering::Acquire);
            self.drain(&utc_ns);
            let now = now_ns();
            if now >= next_tick_ns {
                next_tick_ns = now + TICK_NS;
                self.tick();
            }
            if finishing {
                break;
            }
            self.bell.wait(Waiting::Park, next_tick_ns, &now_ns);
            self.bell.take();
        }
        if let Some(recording) = &self.recording {
            self.count_failure(&recording.sync(), "recording");
        }
        if let Some(live) = &mut self.live {
            live.clear();
        }
    }

    fn drain(&mut self, utc_ns: &impl Fn() -> u64) {
        for index in 0..self.results.len() {
            while let Some(result) = self.results[index].dequeue() {
                self.take(&result, utc_ns());
            }
        }
        for index in 0..self.notes.len() {
            while let Some(note) = self.notes[index].dequeue() {
                if let Some(times) = self.said.again(&note) {
                    self.names.log(note, times);
                }
            }
        }
    }

    fn take(&mut self, result: &FrameResult, utc_ns: u64) {
        self.counters.results.fetch_add(1, Ordering::Relaxed);
        self.counters
            .detections
            .fetch_add(result.detections.len() as u64, Ordering::Relaxed);
        if let Some(recording) = &mut self.recording {
            let outcome = recording.append(result, utc_ns);
            self.count_failure(&outcome, "recording");
        }
        let told = !result.detections.is_empty() || !result.summaries.is_empty();
        if told && let Some(events) = &mut self.events {
            let outcome = events.write(
                result,
                self.names.camera(result.camera),
                self.names.labels(result.worker),
                utc_ns,
            );
            self.count_failure(&outcome, "event log");
        }
        if let Some(live) = &mut self.live {
            live.take(result);
        }
    }

    fn tick(&mut self) {
        if let Some(recording) = &self.recording {
            self.count_failure(&recording.sync(), "recording");
        }
        if let Some(live) = &mut self.live {
            live.show(&self.names);
        }
    }

    /// A full or broken disk never stops the watch: it is counted, and said once in a while.
    fn count_failure(&self, outcome: &std::io::Result<()>, what: &str) {
        if let Err(error) = outcome {
            let failures = self.counters.writes_failed.fetch_add(1, Ordering::Relaxed);
            if failures.is_power_of_two() || failures == 0 {
                let errno = error.raw_os_error().unwrap_or(0);
                log::error!(
                    "{what}: write failed (errno {errno}), {} so far",
                    failures + 1
                );
            }
        }
    }
}

impl Names {
    fn camera(&self, index: u16) -> &str {
        self.cameras
            .get(usize::from(index))
            .map_or("?", String::as_str)
    }

    fn worker(&self, index: u16) -> &str {
        self.workers
            .get(usize::from(index))
            .map_or("?", String::as_str)
    }

    fn labels(&self, worker: u16) -> &[String] {
        self.labels
            .get(usize::from(worker))
            .map_or(&[], Vec::as_slice)
    }

    fn log(&self, note: Note, times: Times) {
        match note {
            Note::CameraTrouble { camera, trouble } => {
                log::warn!(
                    "camera {}: {trouble}; trying until it is back",
                    self.camera(camera)
                );
            }
            Note::CameraBack { camera } => {
                log::info!("camera {}: frames arrive again", self.camera(camera));
            }
            Note::CameraEnded { camera } => {
                log::info!("camera {}: its stream has ended", self.camera(camera));
            }
            Note::HeaderTorn { camera, sequence } => log::error!(
                "camera {}: header of frame {sequence} does not match its CRC; frame refused{times}",
                self.camera(camera)
            ),
            Note::InferenceFailed { worker, error } => {
                log::error!("worker {}: {error}{times}", self.worker(worker));
            }
            Note::ArenaExhausted { worker } => log::error!(
                "worker {}: the model asked malloc for more than its arena has; raise malloc-arena-kib{times}",
                self.worker(worker)
            ),
            Note::PreprocessFailed { worker, camera } => log::error!(
                "worker {}: a frame of camera {} is shorter than its format says{times}",
                self.worker(worker),
                self.camera(camera)
            ),
            Note::OutputNotFinite { worker, values } => log::warn!(
                "worker {}: {values} output values were NaN or infinite and were left out{times}",
                self.worker(worker)
            ),
        }
    }
}

/// Back to the line's start, empty it, and cut it at the right edge: DECAWM off.
const LINE_START: &str = "\r\x1b[K\x1b[?7l";
/// Lines wrap again: DECAWM on.
const WRAP: &[u8] = b"\x1b[?7h";

/// One line on the terminal, rewritten in place.
pub(super) struct LiveLine {
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
    pub(super) fn new(terminal: File) -> Self {
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

    fn show(&mut self, names: &Names) {
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
                    let label = names.labels(newest.worker).get(usize::from(seen.class));
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
