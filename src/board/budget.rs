//! The budget: every byte by purpose and node, every thread by core, before anything is mapped.
//!
//! Pure arithmetic over a [`Board`], a [`Machine`] and a few sizes that other modules know. It is done
//! twice: from the profile alone (`pinsight check`), and again with what the cameras agreed to.

use crate::board::{Board, Camera, Io, Machine, Source};
use crate::units::{KIB, MIB};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Bytes of a frame's header.
pub const HEADER_BYTES: u64 = 64;

/// What one camera's buffers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CameraNeed {
    /// Bytes of one image, as the driver asks for them (V4L2 `sizeimage`).
    pub image_bytes: u64,
    /// Whose memory they live in.
    pub home: Home,
}

/// Whose memory frames live in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// Slots of our own region.
    Region,
    /// The driver's buffers, which it maps for us.
    Driver,
}

impl CameraNeed {
    /// What the profile alone says: rows without padding, and slots of our own unless it asks for MMAP.
    #[must_use]
    pub fn from_profile(camera: &Camera) -> Self {
        let row_bytes = u32::try_from(camera.format.row_bytes(camera.width_px)).unwrap_or(u32::MAX);
        let home = match (&camera.source, camera.io) {
            (Source::V4l2 { .. }, Io::Mmap) => Home::Driver,
            _ => Home::Region,
        };
        Self {
            image_bytes: camera.format.image_bytes(row_bytes, camera.height_px),
            home,
        }
    }
}

/// Sizes that the board module does not know by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// One result in a worker's queue.
    pub result_bytes: u64,
    /// All latency histograms together.
    pub histogram_bytes: u64,
    /// The locked stack of one thread.
    pub stack_bytes: u64,
    /// Buffers between results and the recording's file.
    pub recording_bytes: u64,
    /// For each worker, in order: its model's file and its interpreter's tensors, as far as known.
    pub model_bytes: Vec<u64>,
}

/// Every byte and every thread of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes by purpose.
    pub lines: Vec<BudgetLine>,
    /// The mapping of each node, ascending.
    pub regions: Vec<Region>,
    /// Threads by core.
    pub threads: Vec<ThreadPlan>,
    /// The profile's `budget-mib`.
    pub limit_mib: u64,
}

/// Bytes for one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetLine {
    /// What for.
    pub purpose: Purpose,
    /// NUMA node that they are bound to, if they are.
    pub node: Option<usize>,
    /// How many.
    pub bytes: u64,
}

/// What memory is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A camera's frame slots.
    Slots {
        /// The camera.
        camera: String,
        /// How many.
        slots: u32,
        /// Bytes of one, whole pages.
        slot_bytes: u64,
    },
    /// The headers of a node's slots, whole pages.
    Headers {
        /// How many.
        slots: u32,
    },
    /// What is left of a region's last hugepage.
    Remainder {
        /// Size of the hugepages.
        hugepage_kib: u64,
    },
    /// A worker's model and tensors.
    Model {
        /// The worker.
        worker: String,
    },
    /// The queues of results between workers and housekeeping.
    Results,
    /// Latency histograms.
    Histograms,
    /// Fixed arenas for library calls to malloc.
    MallocArenas,
    /// Thread stacks.
    Stacks,
    /// Buffers of the recording.
    Recording,
    /// Buffers that a camera's driver allocates: shown, and not part of the total.
    DriverBuffers {
        /// The camera.
        camera: String,
        /// How many.
        slots: u32,
    },
}

/// One node's mapping: headers first, then the slots of each camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// NUMA node.
    pub node: usize,
    /// Bytes of the headers, whole pages; the first slot starts there.
    pub header_bytes: u64,
    /// Bytes of the whole mapping, whole hugepages.
    pub bytes: u64,
}

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadPlan {
    /// Its name in reports.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// The core that it is pinned to.
    pub core: usize,
    /// How it is scheduled.
    pub policy: Policy,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Serves the cameras of its core.
    Capture,
    /// Claims frames and runs a model: the worker with this index.
    Worker(usize),
    /// Helps the interpreter of the worker with this index.
    Helper(usize),
    /// Everything slow.
    Housekeeping,
}

/// Scheduling policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// SCHED_OTHER.
    Other,
    /// SCHED_FIFO with this priority.
    Fifo(u32),
}

impl Policy {
    /// As profiles write it: 0 is SCHED_OTHER.
    #[must_use]
    pub const fn from_priority(priority: u32) -> Self {
        if priority == 0 {
            Self::Other
        } else {
            Self::Fifo(priority)
        }
    }

    /// The SCHED_FIFO priority; 0 for SCHED_OTHER.
    #[must_use]
    pub const fn priority(self) -> u32 {
        match self {
            Self::Other => 0,
            Self::Fifo(priority) => priority,
        }
    }
}

/// The board needs more memory than its profile allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverBudget {
    /// What it needs.
    pub total_bytes: u64,
    /// What it may have.
    pub limit_mib: u64,
    /// The line that takes most.
    pub most: BudgetLine,
}

/// Slots of a camera: those that can wait in its ring, one in each worker's hands and one in the capture
/// thread's, and those that stay with the driver. With so many, capture never finds none free.
#[must_use]
pub fn camera_slots(camera: &Camera, workers: usize) -> u32 {
    let workers = u32::try_from(workers).unwrap_or(u32::MAX);
    camera
        .ring_slots
        .saturating_add(camera.driver_slots)
        .saturating_add(workers)
        .saturating_add(1)
}

/// The node of a camera's slots: its own wish if this machine has that node, else its capture core's.
#[must_use]
pub fn camera_node(camera: &Camera, machine: &Machine) -> usize {
    let wished = camera.node.filter(|node| machine.node(*node).is_some());
    wished.unwrap_or_else(|| machine.node_of_core(camera.capture_core))
}

/// Works out the budget. `needs` has one entry for each camera, in order.
///
/// # Panics
/// When `needs` or `fixed.model_bytes` has another length than the board's cameras or workers.
#[must_use]
pub fn plan(board: &Board, machine: &Machine, needs: &[CameraNeed], fixed: &Fixed) -> Budget {
    assert_eq!(needs.len(), board.cameras.len(), "one need for each camera");
    assert_eq!(
        fixed.model_bytes.len(),
        board.workers.len(),
        "one model size for each worker"
    );
    let threads = threads(board);
    let (mut lines, regions) = frames(board, machine, needs);
    for (worker, bytes) in board.workers.iter().zip(&fixed.model_bytes) {
        let node = machine.node_of_core(worker.cores.first().copied().unwrap_or(0));
        let purpose = Purpose::Model {
            worker: worker.name.clone(),
        };
        lines.push(BudgetLine {
            purpose,
            node: Some(node),
            bytes: *bytes,
        });
    }
    let count =
        |wanted: fn(&ThreadPlan) -> bool| threads.iter().filter(|t| wanted(t)).count() as u64;
    let hot = count(|thread| matches!(thread.role, Role::Capture | Role::Worker(_)));
    let arena_bytes = (board.memory.malloc_arena_kib * KIB).next_multiple_of(machine.page_bytes);
    let queued = board.housekeeping.queue_results as u64 * board.workers.len() as u64;
    lines.extend(
        [
            (Purpose::MallocArenas, arena_bytes * hot),
            (Purpose::Stacks, fixed.stack_bytes * count(|_| true)),
            (Purpose::Results, queued * fixed.result_bytes),
            (Purpose::Histograms, fixed.histogram_bytes),
            (Purpose::Recording, fixed.recording_bytes),
        ]
        .into_iter()
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(purpose, bytes)| BudgetLine {
            purpose,
            node: None,
            bytes,
        }),
    );
    // What is not part of the total stands below it.
    lines.sort_by_key(|line| !line.is_ours());
    Budget {
        lines,
        regions,
        threads,
        limit_mib: board.memory.budget_mib,
    }
}

fn frames(
    board: &Board,
    machine: &Machine,
    needs: &[CameraNeed],
) -> (Vec<BudgetLine>, Vec<Region>) {
    let page = machine.page_bytes;
    let mut lines = Vec::new();
    // By node: how many headers, and the bytes of all slots.
    let mut nodes: BTreeMap<usize, (u32, u64)> = BTreeMap::new();
    for (camera, need) in board.cameras.iter().zip(needs) {
        let slots = camera_slots(camera, board.workers.len());
        let node = camera_node(camera, machine);
        let slot_bytes = need.image_bytes.next_multiple_of(page);
        let bytes = slot_bytes * u64::from(slots);
        let (headers, slots_bytes) = nodes.entry(node).or_default();
        *headers += slots;
        let name = camera.name.clone();
        lines.push(match need.home {
            Home::Region => {
                *slots_bytes += bytes;
                BudgetLine {
                    purpose: Purpose::Slots {
                        camera: name,
                        slots,
                        slot_bytes,
                    },
                    node: Some(node),
                    bytes,
                }
            }
            Home::Driver => BudgetLine {
                purpose: Purpose::DriverBuffers {
                    camera: name,
                    slots,
                },
                node: None,
                bytes,
            },
        });
    }
    let hugepage_kib = board.memory.hugepage_kib;
    let mut regions = Vec::new();
    for (node, (slots, slots_bytes)) in nodes {
        let header_bytes = (u64::from(slots) * HEADER_BYTES).next_multiple_of(page);
        let used = header_bytes + slots_bytes;
        let bytes = used.next_multiple_of(hugepage_kib * KIB);
        regions.push(Region {
            node,
            header_bytes,
            bytes,
        });
        lines.push(BudgetLine {
            purpose: Purpose::Headers { slots },
            node: Some(node),
            bytes: header_bytes,
        });
        if bytes > used {
            let purpose = Purpose::Remainder { hugepage_kib };
            lines.push(BudgetLine {
                purpose,
                node: Some(node),
                bytes: bytes - used,
            });
        }
    }
    (lines, regions)
}

fn threads(board: &Board) -> Vec<ThreadPlan> {
    let cores: BTreeSet<usize> = board
        .cameras
        .iter()
        .map(|camera| camera.capture_core)
        .collect();
    let policy = Policy::from_priority(board.capture.fifo_priority);
    let capture = cores.into_iter().map(|core| ThreadPlan {
        name: format!("capture-{core}"),
        role: Role::Capture,
        core,
        policy,
    });
    let workers = board
        .workers
        .iter()
        .enumerate()
        .flat_map(|(index, worker)| {
            worker
                .cores
                .iter()
                .enumerate()
                .map(move |(nth, core)| ThreadPlan {
                    name: if nth == 0 {
                        worker.name.clone()
                    } else {
                        format!("{}/{nth}", worker.name)
                    },
                    role: if nth == 0 {
                        Role::Worker(index)
                    } else {
                        Role::Helper(index)
                    },
                    core: *core,
                    policy: Policy::from_priority(worker.fifo_priority),
                })
        });
    let housekeeping = ThreadPlan {
        name: "housekeeping".into(),
        role: Role::Housekeeping,
        core: board.housekeeping.core,
        policy: Policy::Other,
    };
    capture.chain(workers).chain([housekeeping]).collect()
}

impl BudgetLine {
    /// Whether this program allocates it: then it counts against the budget.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        !matches!(self.purpose, Purpose::DriverBuffers { .. })
    }
}

impl Budget {
    /// All bytes that this program allocates.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.lines
            .iter()
            .filter(|line| line.is_ours())
            .map(|line| line.bytes)
            .sum()
    }

    /// Bytes that are asked for as hugepages.
    #[must_use]
    pub fn region_bytes(&self) -> u64 {
        self.regions.iter().map(|region| region.bytes).sum()
    }

    /// Holds the total against the profile's `budget-mib`.
    ///
    /// # Errors
    /// It is more; the line that takes most, and what to change.
    pub fn within_limit(&self) -> Result<(), OverBudget> {
        let total_bytes = self.total_bytes();
        if total_bytes <= self.limit_mib * MIB {
            return Ok(());
        }
        let most = self
            .lines
            .iter()
            .filter(|line| line.is_ours())
            .max_by_key(|line| line.bytes);
        match most {
            Some(most) => Err(OverBudget {
                total_bytes,
                limit_mib: self.limit_mib,
                most: most.clone(),
            }),
            None => Ok(()),
        }
    }
}

impl Purpose {
    /// The keys that make it smaller.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::Slots { .. } | Self::DriverBuffers { .. } => {
                "camera.ring-slots, camera.driver-slots, camera.width-px or camera.height-px"
            }
            Self::Headers { .. } => "camera.ring-slots or camera.driver-slots",
            Self::Remainder { .. } => "memory.hugepage-kib",
            Self::Model { .. } => "model.path, or use fewer workers",
            Self::Results => "housekeeping.queue-results",
            Self::MallocArenas => "memory.malloc-arena-kib",
            Self::Histograms | Self::Stacks | Self::Recording => {
                "the number of cameras and workers"
            }
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slots {
                camera,
                slots,
                slot_bytes,
            } => {
                write!(f, "slots of camera {camera}, {slots} of {slot_bytes}")
            }
            Self::Headers { slots } => write!(f, "headers of {slots} slots"),
            Self::Remainder { hugepage_kib } => {
                write!(f, "rest of the last page of {hugepage_kib} KiB")
            }
            Self::Model { worker } => write!(f, "model of worker {worker}"),
            Self::Results => f.write_str("queues of results"),
            Self::Histograms => f.write_str("latency histograms"),
            Self::MallocArenas => f.write_str("arenas for malloc of libraries"),
            Self::Stacks => f.write_str("stacks of threads"),
            Self::Recording => f.write_str("buffers of the recording"),
            Self::DriverBuffers { camera, slots } => {
                write!(f, "driver buffers (not ours) of camera {camera}, {slots}")
            }
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => f.write_str("SCHED_OTHER"),
            Self::Fifo(priority) => write!(f, "SCHED_FIFO {priority}"),
        }
    }
}

impl fmt::Display for Budget {
    /// Two tables: bytes by purpose and node, threads by core.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .lines
            .iter()
            .map(|line| line.purpose.to_string())
            .collect();
        let width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0)
            .max("memory".len());
        let row = |f: &mut fmt::Formatter<'_>, name: &str, node: &str, bytes: u64| {
            // Thousandths of a MiB in whole numbers: what stands here is exact, not rounded up.
            let (whole, part) = (bytes / MIB, bytes % MIB * 100 / MIB);
            writeln!(
                f,
                "{name:<width$}  {node:>4}  {bytes:>14}  {whole:>6}.{part:02}"
            )
        };
        writeln!(
            f,
            "{:<width$}  {:>4}  {:>14}  {:>9}",
            "memory", "node", "bytes", "MiB"
        )?;
        let mut lines = self.lines.iter().zip(&names).peekable();
        while let Some((line, name)) = lines.next_if(|(line, _)| line.is_ours()) {
            let node = line.node.map_or("-".into(), |node| node.to_string());
            row(f, name, &node, line.bytes)?;
        }
        row(f, "total", "", self.total_bytes())?;
        row(f, "budget-mib", "", self.limit_mib * MIB)?;
        for (line, name) in lines {
            row(f, name, "-", line.bytes)?;
        }
        writeln!(f)?;
        writeln!(f, "{:>4}  {:<24}  policy", "core", "thread")?;
        let mut threads: Vec<&ThreadPlan> = self.threads.iter().collect();
        threads.sort_by_key(|thread| thread.core);
        for thread in threads {
            writeln!(
                f,
                "{:>4}  {:<24}  {}",
                thread.core, thread.name, thread.policy
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "memory.budget-mib: found {}, expected at least {} for {} bytes, of which {} take {}; lower {}, or raise memory.budget-mib",
            self.limit_mib,
            self.total_bytes.div_ceil(MIB),
            self.total_bytes,
            self.most.purpose,
            self.most.bytes,
            self.most.purpose.setting(),
        )
    }
}

impl std::error::Error for OverBudget {}
