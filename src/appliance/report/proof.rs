//! The proof: what the run did, as JSON with fixed keys and as a table for a terminal.

use super::events::Events;
use super::further::Further;
use super::gaps::{CameraGaps, Standstills};
use super::losses::{self, File};
use super::promises::{self, Promise};
use super::tail::{self, SlowResult, TailCauses};
use super::words::{mib, write_line, write_times};
use crate::columns::Cell;
use crate::latency::{StageSummary, Summary};
use crate::ledger::Dropped;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// Everything that a run can say about itself. Times are nanoseconds unless the key says otherwise.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Proof {
    /// Board's name.
    pub board: String,
    /// Version of the program.
    pub version: &'static str,
    /// The verdict: what was promised, and whether it was kept.
    pub promises: Vec<Promise>,
    /// What it ran on.
    pub machine: Machine,
    /// Each camera's ledger.
    pub cameras: Vec<Camera>,
    /// Time by stage, over every inferred frame, nanoseconds.
    pub latency_ns: StageSummary,
    /// What each model did that inferred frames after a worker's own.
    pub further: Vec<Further>,
    /// The slowest results and why they were slow, slowest first.
    pub tail: Vec<SlowResult>,
    /// Slow results, by cause.
    pub tail_causes: TailCauses,
    /// What hot threads did after ready that they should not have.
    pub after_ready: AfterReady,
    /// Memory held.
    pub memory: Memory,
    /// Where each thread ran.
    pub threads: Vec<Thread>,
    /// Threads that stood still.
    pub standstills: Vec<Standstills>,
    /// Process start to ready, milliseconds; null where the kernel does not say when the process started.
    pub ready_ms: Option<f64>,
    /// Ready to the end of the run, milliseconds.
    pub run_ms: f64,
    /// Detections over all inferred frames.
    pub detections: u64,
    /// What the rules reported.
    pub events: Events,
    /// Results that housekeeping did not take in time; they are in the ledger as inferred.
    pub results_lost: u64,
    /// Notes for the log that housekeeping did not take in time.
    pub notes_lost: u64,
    /// Values and boxes of each model's outputs that cannot be, and were left out.
    pub values_refused: BTreeMap<String, u64>,
    /// Inferences that ran past their model's `invoke-deadline-ms`; their frames are in the ledger as refused.
    pub inferences_overdue: u64,
    /// Writes of the recording, the results and the events that failed.
    pub writes_failed: u64,
    /// What each file that was written does not have.
    pub files: Vec<File>,
    /// What was granted less than asked for, in words.
    pub warnings: Vec<String>,
    /// How many of them, from the first on, say what the machine lacks: the table does not repeat what the log has said.
    #[serde(skip)]
    pub shortages: usize,
}

/// What it ran on.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Machine {
    /// Processor.
    pub cpu: String,
    /// `uname -r`.
    pub kernel: String,
    /// cpufreq governor, or "none".
    pub governor: String,
    /// Cores kept free of other work by the kernel command line.
    pub isolated_cores: Vec<usize>,
}

/// One camera's account.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Camera {
    /// Its name.
    pub name: String,
    /// `absent = "wait"`: it need not be there.
    pub may_be_absent: bool,
    /// How its buffers were exchanged, in one word: `userptr`, `mmap`, `dmabuf`, `dma-heap`, `copy`, or the kind
    /// of source that is no driver.
    pub io: String,
    /// Negotiated format in words, e.g. `NV12 1920x1080 at 30 Hz`.
    pub format: String,
    /// Frames that the driver handed over.
    pub driver_frames: u64,
    /// Frames that gave a result.
    pub inferred: u64,
    /// Frames that did not.
    pub dropped: Dropped,
    /// Frames still on their way.
    pub in_flight: u64,
    /// Gaps in the driver's sequence, and what is missing before the first number of a stream.
    pub lost_in_driver: u64,
    /// Sequence numbers that the driver gave twice.
    pub repeated_sequence: u64,
    /// Every frame is in exactly one column, and the driver's sequence agrees.
    pub identity_holds: bool,
    /// Its stream has ended within a frame, or with what is no frame.
    pub stream_broke_off: bool,
    /// Times in which its age of information was above its bound.
    pub gaps: CameraGaps,
    /// Times that the stream was started again.
    pub restarts: u64,
    /// Times that the device was opened again.
    pub reopens: u64,
    /// Times that the device's USB port was reset.
    pub port_resets: u64,
    /// Driver stamps that lay ahead of the clock; the dequeue time stood in for them.
    pub future_stamps: u64,
    /// Capture to result of this camera's frames, nanoseconds.
    pub capture_to_result_ns: Summary,
    /// Time by stage of this camera's frames, nanoseconds.
    pub latency_ns: StageSummary,
    /// Age of the newest inferred frame, over all moments from ready to the end, nanoseconds.
    pub age_of_knowledge_ns: Summary,
    /// Time from one frame to the next, by the driver's stamps, nanoseconds.
    pub inter_arrival_ns: Summary,
    /// Time from one result to the next, nanoseconds.
    pub inter_result_ns: Summary,
}

/// Sums over the capture and inference threads, from ready to the end.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AfterReady {
    /// Calls of malloc and its kin, C and C++ included.
    pub heap_calls: u64,
    /// Of them, those served from a thread's own fixed arena.
    pub arena_served: u64,
    /// Calls for which an arena had no room; each failed its inference.
    pub arena_exhausted: u64,
    /// Most bytes in use in any one arena.
    pub arena_high_water_bytes: u64,
    /// Bytes taken from the heap and not given back.
    pub heap_growth_bytes: i64,
    /// Page faults without I/O.
    pub minor_faults: u64,
    /// Page faults with I/O.
    pub major_faults: u64,
    /// Moves from one core to another.
    pub migrations: u64,
    /// Times a thread waited.
    pub voluntary_switches: u64,
    /// Times the kernel took the core away.
    pub involuntary_switches: u64,
    /// Calls of malloc and its kin by every other thread.
    pub heap_calls_other_threads: u64,
    /// Bytes that every other thread took and did not give back.
    pub heap_growth_bytes_other_threads: i64,
}

/// Memory held.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Memory {
    /// Sum of the budget table, bytes.
    pub budget_bytes: u64,
    /// Locked into memory (`VmLck`), bytes.
    pub locked_bytes: u64,
    /// Frame memory that lies in hugepages, read back, bytes.
    pub hugepage_bytes: u64,
    /// Frame memory that lies on another node than it was asked for, bytes.
    pub misplaced_bytes: u64,
    /// Frame memory by node, read back page by page, bytes.
    pub by_node: BTreeMap<String, u64>,
    /// Kind of pages that hold the frames.
    pub pages: String,
    /// Bytes of all frame slots.
    pub slot_bytes: u64,
}

/// One thread.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Thread {
    /// Its name.
    pub name: String,
    /// Its core; the first of several.
    pub core: usize,
    /// `SCHED_FIFO` or `SCHED_OTHER`, read back.
    pub policy: &'static str,
    /// Real-time priority, 0 for none.
    pub priority: u32,
    /// The kernel's affinity mask was read back and is the asked-for one.
    pub mask_verified: bool,
}

impl Proof {
    /// True when every camera's identity holds.
    #[must_use]
    pub fn identity_holds(&self) -> bool {
        self.cameras.iter().all(|camera| camera.identity_holds)
    }

    /// The promises that the profile demands and that were not kept.
    pub fn broken(&self) -> impl Iterator<Item = &Promise> {
        let promises = self.promises.iter();
        promises.filter(|promise| promise.demanded && !promise.kept)
    }
}

impl Display for Proof {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "PROOF  board {}  pinsight {}", self.board, self.version)?;
        let (cpu, kernel) = (&self.machine.cpu, &self.machine.kernel);
        let governor = &self.machine.governor;
        write_line(
            f,
            2,
            format_args!("{cpu}  Linux {kernel}  governor {governor}"),
        )?;
        if let Some(ready_ms) = self.ready_ms {
            write!(f, "  ready after {ready_ms:.0} ms,")?;
        } else {
            f.write_str(" ")?;
        }
        writeln!(f, " ran {:.1} s", self.run_ms / 1e3)?;
        promises::write(f, &self.promises)?;
        self.write_latency(f)?;
        tail::write(f, &self.tail, &self.tail_causes)?;
        self.write_ledger(f)?;
        self.events.write(f)?;
        self.write_quiet(f)?;
        self.write_memory(f)?;
        let shortages = self.shortages.min(self.warnings.len());
        if shortages > 0 {
            let (word, them) = match shortages {
                1 => ("shortage", "it"),
                _ => ("shortages", "each"),
            };
            write_line(
                f,
                2,
                format_args!(
                    "note: {shortages} {word} at the start: the log and `warnings` of the JSON have {them}, with what \
                     mends it"
                ),
            )?;
        }
        for warning in &self.warnings[shortages..] {
            write_line(f, 2, format_args!("note: {warning}"))?;
        }
        for (model, values) in self
            .values_refused
            .iter()
            .filter(|(_, values)| **values > 0)
        {
            write_line(
                f,
                2,
                format_args!(
                    "note: model {model}: {values} values or boxes of its outputs cannot be, and were left out"
                ),
            )?;
        }
        if self.inferences_overdue > 0 {
            let overdue = self.inferences_overdue;
            write_line(
                f,
                2,
                format_args!(
                    "note: {overdue} inferences ran past invoke-deadline-ms; the frame of a worker's own model counts \
                     as refused, a further model gives no result of it"
                ),
            )?;
        }
        losses::write(
            f,
            &[
                (self.results_lost, "results"),
                (self.notes_lost, "lines of the log"),
            ],
            &self.files,
        )?;
        writeln!(f, "\n  {} detections", self.detections)
    }
}

impl Proof {
    fn write_latency(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n  {:<20}{:>9}{:>7}{:>7}{:>7}{:>7}{:>7}{:>7}{:>7}",
            "latency, ms", "count", "P50", "P90", "P99", "P99.9", "P99.99", "max", "jitter"
        )?;
        for (name, row) in self.latency_ns.rows() {
            write_times(f, name, &row)?;
        }
        for camera in &self.cameras {
            writeln!(f, "  {}", camera.name)?;
            write_times(f, "  between frames", &camera.inter_arrival_ns)?;
            write_times(f, "  between results", &camera.inter_result_ns)?;
            if self.cameras.len() > 1 {
                write_times(f, "  capture to result", &camera.capture_to_result_ns)?;
                write_times(f, "  age of information", &camera.age_of_knowledge_ns)?;
            }
        }
        self.further.iter().try_for_each(|model| model.write(f))
    }

    fn write_ledger(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n  {:<6}{:>8}{:>10}{:>10}{:>8}{:>8}{:>8}{:>7}{:>7}{:>6}",
            "ledger",
            "driver",
            "inferred",
            "evicted",
            "stale",
            "damaged",
            "refused",
            "failed",
            "flight",
            "lost"
        )?;
        for camera in &self.cameras {
            let (name, format, io) = (&camera.name, &camera.format, &camera.io);
            let identity = match camera.identity_holds {
                true => "identity holds",
                false => "identity BROKEN",
            };
            write_line(f, 2, format_args!("{name}: {format} by {io}; {identity}"))?;
            writeln!(
                f,
                "{:>16}{:>10}{:>10}{:>8}{:>8}{:>8}{:>7}{:>7}{:>6}",
                camera.driver_frames,
                camera.inferred,
                camera.dropped.evicted,
                camera.dropped.stale,
                camera.dropped.damaged,
                camera.dropped.refused,
                camera.dropped.failed,
                camera.in_flight,
                camera.lost_in_driver,
            )?;
        }
        Ok(())
    }

    fn write_quiet(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let quiet = &self.after_ready;
        writeln!(f, "\n  after ready, capture and inference threads")?;
        let (calls, growth) = (quiet.heap_calls, quiet.heap_growth_bytes);
        let (minor, major) = (quiet.minor_faults, quiet.major_faults);
        let migrations = quiet.migrations;
        write_line(
            f,
            4,
            format_args!(
                "heap calls {calls}  heap growth {growth} bytes  faults {minor} minor, {major} major  migrations \
                 {migrations}"
            ),
        )?;
        let (left, taken) = (quiet.voluntary_switches, quiet.involuntary_switches);
        let others = quiet.heap_calls_other_threads;
        write_line(
            f,
            4,
            format_args!(
                "switches {left} voluntary, {taken} involuntary  (other threads: {others} heap calls)"
            ),
        )?;
        for thread in &self.threads {
            writeln!(
                f,
                "    {} core {}  {} {}  affinity {}",
                Cell(&thread.name, 16),
                thread.core,
                thread.policy,
                thread.priority,
                if thread.mask_verified {
                    "read back"
                } else {
                    "NOT AS ASKED"
                }
            )?;
        }
        Ok(())
    }

    fn write_memory(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Memory { pages, .. } = &self.memory;
        let budget = mib(self.memory.budget_bytes);
        let (locked, slots) = (mib(self.memory.locked_bytes), mib(self.memory.slot_bytes));
        writeln!(f)?;
        write_line(
            f,
            2,
            format_args!(
                "memory  budget {budget:.1} MiB, locked {locked:.1} MiB; frame slots {slots:.1} MiB in {pages}"
            ),
        )?;
        for (node, bytes) in &self.memory.by_node {
            writeln!(f, "    {node}: {:.1} MiB of frame memory", mib(*bytes))?;
        }
        Ok(())
    }
}
