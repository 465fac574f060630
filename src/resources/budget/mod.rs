//! The budget: every byte by purpose and node, every thread by core, before anything is mapped.
//!
//! Pure arithmetic over a [`Board`](crate::profile::Board), a [`Machine`](crate::resources::Machine) and a few
//! sizes that other modules know. It is done twice: from the profile alone (`pinsight check`), and again
//! with what the cameras agreed to.

mod plan;
mod table;
#[cfg(test)]
mod tests;

pub use plan::{camera_node, plan};

use crate::frame::{ArenaLayout, Decoding};
use crate::profile::{Board, Camera, Io, Source, Worker};
use crate::units::MIB;

/// The thread that looks for cameras that are not there.
pub const LOOKER: &str = "absent";
/// The thread that writes files, in a run that has any.
pub const DISK: &str = "disk";

/// What one camera's buffers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameNeed {
    /// Bytes of one image, as the driver asks for them (V4L2 `sizeimage`).
    pub image_bytes: u32,
    /// Whose memory they live in.
    pub home: Home,
    /// What a worker needs beside them to decode one.
    pub decoding: Decoding,
}

/// Whose memory frames live in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// Slots of our own region.
    Region,
    /// The driver's buffers, which it maps for us, or a dma-heap's.
    Driver,
}

impl FrameNeed {
    /// What the profile alone says: rows without padding, and slots of our own unless it asks for others.
    #[must_use]
    pub fn from_profile(camera: &Camera) -> Self {
        let home = match (&camera.source, camera.io) {
            (Source::V4l2 { .. }, Io::Mmap | Io::Dmabuf | Io::DmaHeap) => Home::Driver,
            _ => Home::Region,
        };
        let (pixel, width_px, height_px) = (camera.format, camera.width_px, camera.height_px);
        let image_bytes =
            u32::try_from(pixel.buffer_bytes(width_px, height_px)).unwrap_or(u32::MAX);
        Self {
            image_bytes,
            home,
            decoding: pixel.decoding(image_bytes, width_px, height_px),
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
    /// Tracks, and what rules know of them.
    pub event_bytes: u64,
    /// Queues and buffers of the files that a run writes.
    pub file_bytes: u64,
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
        slots: u16,
        /// Bytes from one to the next.
        slot_bytes: u64,
    },
    /// The headers of a node's slots.
    Headers {
        /// How many.
        slots: u32,
    },
    /// What aligning the slots takes, and what is left of a region's last hugepage.
    Remainder {
        /// Size of the hugepages.
        hugepage_kib: u64,
    },
    /// A worker's model and tensors.
    Model {
        /// The worker.
        worker: String,
    },
    /// Where a worker decodes compressed frames.
    Decoding {
        /// The worker.
        worker: String,
    },
    /// The queues of results between workers and housekeeping.
    Results,
    /// Latency histograms.
    Histograms,
    /// Tracks and rules.
    Events,
    /// Fixed arenas for library calls to malloc.
    MallocArenas,
    /// Thread stacks.
    Stacks,
    /// Queues and buffers of the recording, the results and the events.
    Files,
    /// Buffers that a camera's driver allocates: shown, and not part of the total.
    DriverBuffers {
        /// The camera.
        camera: String,
        /// How many.
        slots: u16,
    },
}

/// What each worker has for decoding, in order: as much as the largest compressed frame and the largest
/// picture of its cameras take. `needs` has one entry for each camera, in order.
#[must_use]
pub fn decoding(board: &Board, needs: &[FrameNeed]) -> Vec<Decoding> {
    let of_worker = |worker: &Worker| {
        let theirs = board.cameras.iter().zip(needs);
        let theirs = theirs.filter(|(camera, _)| worker.judges(&camera.name));
        theirs.fold(Decoding::default(), |most, (_, need)| Decoding {
            copy_bytes: most.copy_bytes.max(need.decoding.copy_bytes),
            picture_bytes: most.picture_bytes.max(need.decoding.picture_bytes),
        })
    };
    board.workers.iter().map(of_worker).collect()
}

/// One node's mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// NUMA node.
    pub node: usize,
    /// The cameras whose headers and slots are in it, by their places in the board; the layout's places
    /// are in this order.
    pub cameras: Vec<usize>,
    /// How it is cut.
    pub layout: ArenaLayout,
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
    /// Tells an output of events.
    Output,
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
    /// The largest line of the purpose that takes most.
    pub most: BudgetLine,
    /// Lines of this purpose: of one camera, worker or node each.
    pub alike: usize,
    /// What they take together.
    pub alike_bytes: u64,
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
    /// It is more; the purpose that takes most, and what to change.
    pub fn within_limit(&self) -> Result<(), OverBudget> {
        let total_bytes = self.total_bytes();
        if total_bytes <= self.limit_mib * MIB {
            return Ok(());
        }
        let ours = || self.lines.iter().filter(|line| line.is_ours());
        let alike = |line: &BudgetLine| {
            let kind = std::mem::discriminant(&line.purpose);
            ours().filter(move |other| std::mem::discriminant(&other.purpose) == kind)
        };
        let alike_bytes = |line: &BudgetLine| alike(line).map(|line| line.bytes).sum::<u64>();
        match ours().max_by_key(|line| (alike_bytes(line), line.bytes)) {
            Some(most) => Err(OverBudget {
                total_bytes,
                limit_mib: self.limit_mib,
                alike: alike(most).count(),
                alike_bytes: alike_bytes(most),
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
            Self::Decoding { .. } => "camera.width-px or camera.height-px",
            Self::Results | Self::Files => "housekeeping.queue-results",
            Self::MallocArenas => "memory.malloc-arena-kib",
            Self::Events => "the number of [[rule]] tables",
            Self::Histograms | Self::Stacks => "the number of cameras and workers",
        }
    }
}
