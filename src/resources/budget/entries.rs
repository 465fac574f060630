//! Bytes by purpose.

use std::fmt;

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
    /// What sources hold beside their slots: images that they show, buffers of streams.
    Sources,
    /// A part of a worker's model.
    Model {
        /// The worker.
        worker: String,
        /// The model.
        model: String,
        /// The part.
        part: ModelPart,
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

/// What a model takes memory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelPart {
    /// Its file.
    File,
    /// The interpreter, and the weights as its delegate packs them.
    Weights,
    /// Its tensors.
    Tensors,
    /// What running it adds.
    Scratch,
}

impl fmt::Display for ModelPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Weights => "packed weights",
            Self::Tensors => "tensors",
            Self::Scratch => "scratch",
        })
    }
}

/// What one model of a worker takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelNeed {
    /// The model.
    pub model: String,
    /// Bytes of its parts, as far as known.
    pub parts: Vec<(ModelPart, u64)>,
}

impl BudgetLine {
    /// Whether this program allocates it: then it counts against the budget.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        !matches!(self.purpose, Purpose::DriverBuffers { .. })
    }
}

impl Purpose {
    /// What makes it smaller, as a thing to do.
    #[must_use]
    pub const fn mend(&self) -> &'static str {
        match self {
            Self::Slots { .. } | Self::DriverBuffers { .. } => {
                "lower camera.ring-slots, camera.driver-slots, camera.width-px or camera.height-px"
            }
            Self::Sources => "show fewer or smaller images",
            Self::Headers { .. } => "lower camera.ring-slots or camera.driver-slots",
            Self::Remainder { .. } => "lower memory.hugepage-kib",
            Self::Model { .. } => "take a smaller model, or use fewer workers",
            Self::Decoding { .. } => "lower camera.width-px or camera.height-px",
            Self::Results | Self::Files => "lower housekeeping.queue-results",
            Self::MallocArenas => "lower memory.malloc-arena-kib",
            Self::Events => "use fewer [[rule]] tables",
            Self::Histograms | Self::Stacks => "use fewer cameras or workers",
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
                write!(f, "alignment to pages of {hugepage_kib} KiB")
            }
            Self::Sources => f.write_str("images and buffers of sources"),
            Self::Model {
                worker,
                model,
                part,
            } => write!(f, "model {model} of {worker}: {part}"),
            Self::Decoding { worker } => write!(f, "decoding by worker {worker}"),
            Self::Results => f.write_str("queues of results"),
            Self::Histograms => f.write_str("latency histograms"),
            Self::Events => f.write_str("tracks and rules"),
            Self::MallocArenas => f.write_str("arenas for malloc of libraries"),
            Self::Stacks => f.write_str("stacks of threads"),
            Self::Files => f.write_str("queues and buffers of files"),
            Self::DriverBuffers { camera, slots } => {
                write!(f, "driver buffers (not ours) of camera {camera}, {slots}")
            }
        }
    }
}
