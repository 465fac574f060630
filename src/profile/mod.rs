//! The board profile: what one board is to do, read from TOML and checked whole.
//!
//! Answers for: every key's name, unit, range, default and error. Does not answer for: whether a machine has what the
//! profile names (`resources`), or whether a camera or model exists (`appliance`). `boards/README.md` is the reference
//! for the people who write profiles.

mod ask;
mod checks;
mod decoder;
mod events;
mod fault;
pub mod geometry;
mod keys;
mod outputs;
mod read;
mod rules;
mod sink;
mod slots;

pub use decoder::{BoxUnit, ClassThreshold, Decoder, Scores};
pub use events::{Anchor, Direction, Line, Rule, RuleKind, Span, Tracker, Zone};
pub use fault::{Fault, Hint, LoadError, Problem};
pub use outputs::{Delivery, GpioMode, Output};
pub use read::{key_list, load, read};
pub use sink::{Absent, KeyDoc};
pub use slots::{camera_slots, tap};

use crate::frame::PixelFormat;
use std::path::PathBuf;

/// One board, every value checked: holding a `Board` means that each number is in its range, names are
/// unique, and every reference between tables resolves.
///
/// A relative path in a profile starts at the profile's own directory, so that a profile works from
/// wherever the program is started. Here it stands joined to that directory, ready to be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// The board's name; stands in the proof and in records.
    pub name: String,
    /// A missing nicety (isolated core, real-time right) is a refusal instead of a warning.
    pub strict: bool,
    /// What becomes of a core number that this machine does not have.
    pub absent_core: AbsentCore,
    /// Where frames live.
    pub memory: Memory,
    /// 1..=64.
    pub cameras: Vec<Camera>,
    /// The threads that serve the cameras.
    pub capture: Capture,
    /// 1..=16.
    pub models: Vec<Model>,
    /// 1..=16.
    pub workers: Vec<Worker>,
    /// The thread that is not real-time.
    pub housekeeping: Housekeeping,
    /// How detections become tracks.
    pub tracker: Tracker,
    /// Parts of pictures, 0..=64.
    pub zones: Vec<Zone>,
    /// Lines on pictures, 0..=64.
    pub lines: Vec<Line>,
    /// What is worth an event, 0..=64.
    pub rules: Vec<Rule>,
    /// Who is told, 0..=8.
    pub outputs: Vec<Output>,
}

impl Board {
    /// Workers that judge the frames of this camera.
    #[must_use]
    pub fn judges_of(&self, camera: &Camera) -> usize {
        let judges = |worker: &&Worker| worker.judges(&camera.name);
        self.workers.iter().filter(judges).count()
    }
}

impl Board {
    /// The models of a worker with their places in the profile: its own, then the further ones in their order.
    pub fn models_of(&self, worker: &Worker) -> impl Iterator<Item = (usize, &Model)> {
        worker.models().filter_map(|name| {
            let mut models = self.models.iter().enumerate();
            models.find(|(_, model)| model.name == name)
        })
    }
}

/// `absent-core`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbsentCore {
    /// Do not start; say which cores there are.
    Refuse,
    /// Core n is the (n mod count)-th core that the program may use; said plainly.
    Wrap,
}

/// `absent` of a camera
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbsentCamera {
    /// Do not start; say which cameras there are.
    Refuse,
    /// Start without it, and take it in when it appears.
    Wait,
}

/// `[memory]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Size of the pages that frame slots are asked to live in: 64, 2048, 32768, 524288 or 1048576.
    pub hugepage_kib: u64,
    /// What to do when hugepages, node binding or locking cannot be had.
    pub on_shortage: OnShortage,
    /// Upper bound of the whole budget table, in MiB.
    pub budget_mib: u64,
    /// Fixed arena of a hot thread whose library calls malloc after ready, 64..=1048576 KiB; 0 is none.
    pub malloc_arena_kib: u64,
}

/// `on-shortage`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnShortage {
    /// Do not start; say which setting to change.
    Refuse,
    /// Hugepages, else transparent hugepages, else plain pages; said plainly.
    Fallback,
}

/// `[[camera]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// Unique name.
    pub name: String,
    /// Where its frames come from.
    pub source: Source,
    /// Asked-for pixel format.
    pub format: PixelFormat,
    /// Asked-for width, even, 16..=8192.
    pub width_px: u32,
    /// Asked-for height, even, 16..=8192.
    pub height_px: u32,
    /// What of its picture is looked at, and which way up. Of the region every number is even.
    pub view: View,
    /// Asked-for frame rate, 0.1..=1000.
    pub rate_hz: f64,
    /// How buffers are exchanged with the driver; `Auto` and without meaning where there is no driver.
    pub io: Io,
    /// Part of the sensor that the picture shows: left, top, width, height; `None` leaves it to the driver.
    pub crop: Option<[u32; 4]>,
    /// What to do when it is not there; `Refuse` where there is no driver.
    pub absent: AbsentCamera,
    /// Controls to set; empty where there is no driver.
    pub controls: Vec<ControlSetting>,
    /// Frame ring capacity, a power of two in 1..=256; 1 keeps only the newest frame.
    pub ring_slots: u32,
    /// Buffers that stay with the driver, 2..=32.
    pub driver_slots: u32,
    /// Core of the capture thread; cameras with the same core share one thread.
    pub capture_core: usize,
    /// NUMA node of its slots; the node of `capture_core` when absent.
    pub node: Option<usize>,
    /// A frame older than this when a worker claims it is stale.
    pub max_age_ms: u64,
    /// Greater goes first where several cameras wait for a worker, 0..=9.
    pub priority: u8,
    /// Frames judged a second at most, on average, 0.01..=1000; all that a worker can when absent.
    pub max_rate_hz: Option<f64>,
    /// Frames are judged in the first of these milliseconds of every period of the second; always when absent.
    pub duty_cycle_ms: Option<[u64; 2]>,
    /// A stream silent for this long is restarted; more than two frame intervals.
    pub time_out_ms: u64,
}

/// One key of `controls` of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSetting {
    /// V4L2's name in small letters, with `-` between words.
    pub name: String,
    /// What it is to be.
    pub value: ControlValue,
}

/// The value of a control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlValue {
    /// A number; `true` is 1 and `false` is 0.
    Number(i64),
    /// The name of a menu's item.
    Item(String),
}

impl std::fmt::Display for ControlValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Item(name) => write!(f, "\"{name}\""),
        }
    }
}

/// `[capture]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// SCHED_FIFO priority of every capture thread, 1..=89, or 0 for SCHED_OTHER.
    pub fifo_priority: u32,
}

/// `source` of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `source = "v4l2"`, with `device`: a V4L2 capture node.
    V4l2 {
        /// Absolute path of the node, e.g. `/dev/video0`; or `card:` or `bus:` and what the driver says of
        /// itself there.
        device: PathBuf,
    },
    /// `source = "image"`, with `path` and `pan-px`: a photograph over which the window moves.
    Image {
        /// PNG or JPEG file.
        path: PathBuf,
        /// Pixels that the window moves from frame to frame, 0..=1024.
        pan_px: u32,
        /// Whole-number enlargement of the photograph before the window is cut, 1..=16.
        scale: u32,
    },
    /// `source = "pattern"`: numbered colour bars, for tests and for machines without a camera.
    Pattern,
    /// `source = "y4m"`, `"raw"` or `"mjpeg"`, with `path` and `loop`: frames from a file or a pipe, and for
    /// `"mjpeg"` also from a folder of pictures.
    Stream {
        /// What the frames are wrapped in.
        container: Container,
        /// Where they come from.
        feed: Feed,
        /// A file begins again at its end; without meaning for what is no file.
        repeat: bool,
    },
}

/// What the frames of a stream are wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// YUV4MPEG2: a header line, and a line before each frame.
    Y4m,
    /// Nothing: one frame after the other, without padding.
    Raw,
    /// JPEG pictures, one after the other.
    Mjpeg,
}

/// Where a stream comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// `path = "-"`
    Stdin,
    /// A file, or a FIFO.
    File(PathBuf),
}

/// `io` of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// By trial and by measurement: USERPTR if the driver takes it, its own buffers if they are cached, a
    /// dma-heap's, or one copy.
    Auto,
    /// The driver writes straight into our hugepage slots.
    Userptr,
    /// The driver's mapped buffer is the slot.
    Mmap,
    /// The same, mapped through a dma-buf that the driver exports.
    Dmabuf,
    /// A dma-heap's buffer is the slot, and the driver imports it.
    DmaHeap,
    /// The driver's mapped buffer is copied into our hugepage slot.
    Copy,
}

impl Io {
    /// As profiles write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Userptr => "userptr",
            Self::Mmap => "mmap",
            Self::Dmabuf => "dmabuf",
            Self::DmaHeap => "dma-heap",
            Self::Copy => "copy",
        }
    }

    /// Whether slots may be others than ours: then there are at most as many as a driver has buffers.
    #[must_use]
    pub const fn may_use_drivers_buffers(self) -> bool {
        !matches!(self, Self::Userptr | Self::Copy)
    }
}

/// `[[model]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Unique name.
    pub name: String,
    /// TFLite flatbuffer.
    pub path: PathBuf,
    /// Expected SHA-256 of the file.
    pub sha256: [u8; 32],
    /// How its outputs are read.
    pub decoder: Decoder,
    /// Class names in the order of the model's classes; exactly one for `BlazefaceShort`, none for `Raw`.
    pub labels: Vec<String>,
    /// How a frame is made to fit the input tensor.
    pub fit: Fit,
    /// How pixels between the camera's are made.
    pub resample: Resample,
    /// Order of the input's channels.
    pub channels: Channels,
    /// Real values of black and of white: what a float input is given, and what a quantised input stores by
    /// its own scale and zero point.
    pub input_range: InputRange,
    /// Detections below are dropped, 0..=1; without meaning for `Raw`.
    pub score_threshold: f32,
    /// Classes with a threshold of their own.
    pub class_thresholds: Vec<ClassThreshold>,
    /// Overlap above which the weaker of two boxes of one class is suppressed, 0..=1; without meaning where
    /// there are no boxes.
    pub iou_threshold: f32,
    /// Detections kept of one frame, 1..=32: boxes, or the classes of `Classify`; 1 for `Raw`.
    pub max_detections: usize,
    /// What the class scores of `Ssd` are.
    pub scores: Scores,
    /// What the boxes of `Yolo` are measured in.
    pub box_unit: BoxUnit,
    /// Threads of the interpreter, 1..=16.
    pub threads: u32,
    /// What runs the graph.
    pub delegate: Delegate,
    /// What becomes of a delegate that fails while arming.
    pub on_failure: OnFailure,
    /// An inference that takes longer is given up, and its frame refused.
    pub invoke_deadline_ms: u64,
    /// It looks into the boxes of another model; at the whole picture when absent.
    pub within: Option<Within>,
}

/// `within` of a model and the keys that go with it: it looks into the boxes that another model has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Within {
    /// Name of that model, which finds boxes.
    pub model: String,
    /// Labels of that model whose boxes are looked into; all of them where there is none.
    pub classes: Vec<String>,
    /// Share of a box's sides that is added at each of them, 0..=1.
    pub margin: f32,
    /// Boxes of one frame that are looked into, the strongest ones, 1..=16.
    pub boxes: usize,
}

/// `fit` of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Whole picture, proportions kept, bars filled with black.
    Letterbox,
    /// Whole picture, proportions lost.
    Stretch,
    /// Proportions kept, the tensor filled: the picture's middle, without what is too wide or too high.
    Crop,
}

/// `resample` of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// The four nearest pixels, mixed by distance; no prefilter.
    Bilinear,
    /// The nearest pixel.
    Nearest,
    /// Every pixel, by its share of the area.
    Area,
}

/// `input-range` of a model: real values of black and of white, finite and different.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InputRange {
    /// Of every channel.
    One([f32; 2]),
    /// Of each of the input's three channels, in its order.
    Each([[f32; 2]; 3]),
}

impl InputRange {
    /// Of channel `index`, 0..=2.
    ///
    /// # Panics
    /// Where `index` is above 2.
    #[must_use]
    pub const fn of(self, index: usize) -> [f32; 2] {
        match self {
            Self::One(range) => range,
            Self::Each(ranges) => ranges[index],
        }
    }
}

/// `channels` of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// The luma, in every channel that there is.
    Grey,
}

/// `rotate` of a camera: how far its picture is turned clockwise to be upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotate {
    /// Not at all.
    #[default]
    None,
    /// A quarter.
    Quarter,
    /// Upside down.
    Half,
    /// A quarter to the left.
    ThreeQuarters,
}

impl Rotate {
    /// Whether the camera's rows are columns of the upright picture.
    #[must_use]
    pub const fn is_sideways(self) -> bool {
        matches!(self, Self::Quarter | Self::ThreeQuarters)
    }
}

/// What of a camera's picture is looked at, and which way up: `region`, `rotate` and `mirror` of a camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Left edge, upper edge, width and height, in the camera's own pixels; the whole picture when absent.
    pub region_px: Option<[u32; 4]>,
    /// How far that is turned.
    pub rotate: Rotate,
    /// Left and right of the upright picture are exchanged.
    pub mirror: bool,
}

impl View {
    /// Whether the upright picture runs against the camera's x, and against its y.
    #[must_use]
    pub const fn flipped(&self) -> [bool; 2] {
        match self.rotate {
            Rotate::None => [self.mirror, false],
            // Upright x runs against the camera's y.
            Rotate::Quarter => [false, !self.mirror],
            Rotate::Half => [!self.mirror, true],
            Rotate::ThreeQuarters => [true, self.mirror],
        }
    }
}

/// `delegate` of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delegate {
    /// XNNPACK.
    Xnnpack,
    /// The built-in kernels.
    None,
    /// One that is loaded from a file.
    Plugin(Plugin),
}

/// `delegate = { plugin = …, options = { … } }` of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The shared library.
    pub path: PathBuf,
    /// What it is told, as text.
    pub options: Vec<(String, String)>,
}

/// `on-failure` of a model: what becomes of a delegate that fails while arming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Do not start; say why it failed.
    Refuse,
    /// Start with the built-in kernels; said plainly, and in the proof.
    Builtin,
}

/// `[[worker]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Unique name.
    pub name: String,
    /// Distinct cores it runs on: the first is the worker's own, the others its interpreter's further
    /// threads'. As many as the model has threads.
    pub cores: Vec<usize>,
    /// Name of its model.
    pub model: String,
    /// Names of the models that judge a frame after that one, 0..=3, in this order.
    pub then: Vec<String>,
    /// Names of the cameras whose frames it judges; all of them where there is none.
    pub cameras: Vec<String>,
    /// SCHED_FIFO priority 1..=89, or 0 for SCHED_OTHER.
    pub fifo_priority: u32,
    /// How it waits for frames.
    pub wait: Wait,
    /// Longest spin of `spin-then-park`, in microseconds; 0 for the other waits.
    pub spin_us: u64,
}

impl Worker {
    /// Whether it judges the frames of this camera.
    #[must_use]
    pub fn judges(&self, camera: &str) -> bool {
        self.cameras.is_empty() || self.cameras.iter().any(|name| name == camera)
    }

    /// Names of all its models: its own, then the further ones in their order.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let then = self.then.iter().map(String::as_str);
        std::iter::once(self.model.as_str()).chain(then)
    }
}

/// `wait` of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Sleep on the futex at once.
    Park,
    /// Spin for at most `spin-us`, then sleep.
    SpinThenPark,
    /// Never sleep: for a core of its own.
    Spin,
}

/// `[housekeeping]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Housekeeping {
    /// Its core.
    pub core: usize,
    /// Results of one worker that may wait for it, 1..=4096; more are lost and counted.
    pub queue_results: usize,
    /// Records that the recording holds before the oldest is overwritten, 16..=10000000.
    pub record_results: u64,
}
