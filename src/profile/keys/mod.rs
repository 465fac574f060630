//! Every key of a profile: its name, rule, and default or example. One line declares a key.

mod events;
mod outputs;

pub(super) use events::{ReadRule, line, rule, tracker, zone};
pub(super) use outputs::{ReadOutput, output};

use crate::frame::PixelFormat;
use crate::limits::{
    MAX_BOXES, MAX_CAMERAS, MAX_DETECTIONS, MAX_NODES, MAX_RING, MAX_THEN, MAX_WORKERS,
};
use crate::profile::ask::{Places, Table};
use crate::profile::rules::{
    ClassThresholds, Controls, DelegateOrPlugin, Duty, Ends, Sha256, Truth, choice, crop, device,
    distinct, even, label, list, mapped, name, one_of, or_zero, path, power_of_two, real, region,
    single, whole,
};
use crate::profile::{
    AbsentCamera, AbsentCore, BoxUnit, Camera, Capture, Channels, Container, Decoder, Delegate,
    Feed, Fit, Housekeeping, Io, Memory, Model, OnFailure, OnShortage, Plugin, Resample, Rotate,
    Scores, Source, View, Wait, Within, Worker,
};
use std::path::Path;

/// Models of one board: no more than there can be workers to run them.
pub(super) const MAX_MODELS: usize = MAX_WORKERS;
/// Highest core number, plus one: the kernel's usual bound on CPUs (`CONFIG_NR_CPUS`).
const CORES: u32 = 1024;
/// Highest SCHED_FIFO priority: below the kernel's own threads that must not wait (99) and a margin.
const MAX_FIFO: u32 = 89;
/// The digest of an empty file stands for any other.
const EXAMPLE_SHA256: &str = "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"";
/// Class names of one model.
const MAX_LABELS: usize = 1024;

#[allow(clippy::cast_possible_truncation, reason = "the assertion bounds it")]
const fn last(count: usize) -> u32 {
    assert!(count > 0 && count <= 65_536);
    count as u32 - 1
}

/// The keys at the top of the file.
pub(super) struct Top {
    pub(super) name: String,
    pub(super) strict: bool,
    pub(super) absent_core: AbsentCore,
}

pub(super) fn top(t: &mut Table<'_, '_>) -> Top {
    const ABSENT_CORE: &[(&str, AbsentCore)] =
        &[("refuse", AbsentCore::Refuse), ("wrap", AbsentCore::Wrap)];
    Top {
        name: t.key("name").required(name(), "\"front-door\""),
        strict: t.key("strict").or(Truth, "false"),
        absent_core: t.key("absent-core").or(choice(ABSENT_CORE), "\"refuse\""),
    }
}

pub(super) fn memory(mut t: Table<'_, '_>) -> (Memory, Places) {
    const SIZES_KIB: &[u32] = &[64, 2_048, 32_768, 524_288, 1_048_576];
    const ON_SHORTAGE: &[(&str, OnShortage)] = &[
        ("refuse", OnShortage::Refuse),
        ("fallback", OnShortage::Fallback),
    ];
    let memory = Memory {
        hugepage_kib: t.key("hugepage-kib").or(one_of(SIZES_KIB, "KiB"), "2048"),
        on_shortage: t.key("on-shortage").or(choice(ON_SHORTAGE), "\"fallback\""),
        budget_mib: t.key("budget-mib").or(whole(1..=1_048_576, "MiB"), "256"),
        malloc_arena_kib: t
            .key("malloc-arena-kib")
            .or(or_zero(whole(64..=1_048_576, "KiB")), "0"),
    };
    (memory, t.finish())
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    V4l2,
    Image,
    Pattern,
    Stream(Container),
}

pub(super) fn camera(mut t: Table<'_, '_>, base: &Path) -> (Camera, Places) {
    const SOURCE: &[(&str, Kind)] = &[
        ("v4l2", Kind::V4l2),
        ("image", Kind::Image),
        ("pattern", Kind::Pattern),
        ("y4m", Kind::Stream(Container::Y4m)),
        ("raw", Kind::Stream(Container::Raw)),
        ("mjpeg", Kind::Stream(Container::Mjpeg)),
    ];
    const IO: &[(&str, Io)] = &[
        (Io::Auto.name(), Io::Auto),
        (Io::Userptr.name(), Io::Userptr),
        (Io::Mmap.name(), Io::Mmap),
        (Io::Dmabuf.name(), Io::Dmabuf),
        (Io::DmaHeap.name(), Io::DmaHeap),
        (Io::Copy.name(), Io::Copy),
    ];
    const ABSENT: &[(&str, AbsentCamera)] = &[
        ("refuse", AbsentCamera::Refuse),
        ("wait", AbsentCamera::Wait),
    ];
    let name = t.key("name").required(name(), "\"front\"");
    let kind = t.key("source").required(choice(SOURCE), "\"v4l2\"");
    let v4l2 = kind == Kind::V4l2;
    let image = kind == Kind::Image;
    let stream = matches!(kind, Kind::Stream(_));
    let device = t
        .key("device")
        .only("source", "v4l2", v4l2)
        .required(device(), "\"/dev/video0\"");
    let io = t
        .key("io")
        .only("source", "v4l2", v4l2)
        .or(choice(IO), "\"auto\"");
    let crop = t.key("crop").only("source", "v4l2", v4l2).optional(crop());
    let absent = t
        .key("absent")
        .only("source", "v4l2", v4l2)
        .or(choice(ABSENT), "\"refuse\"");
    let controls = t
        .key("controls")
        .only("source", "v4l2", v4l2)
        .optional(Controls)
        .unwrap_or_default();
    let file = t
        .key("path")
        .only_any("source", &["image", "y4m", "raw", "mjpeg"], image || stream)
        .required(path(), "\"photo.png\"");
    let repeat = t
        .key("loop")
        .only_any("source", &["y4m", "raw", "mjpeg"], stream)
        .or(Truth, "false");
    let scale = t
        .key("scale")
        .only("source", "image", image)
        .or(whole(1..=16, "times"), "1");
    let pan_px = t
        .key("pan-px")
        .only("source", "image", image)
        .or(whole(0..=1024, "pixels a frame"), "8");
    let camera = Camera {
        name,
        source: match kind {
            Kind::V4l2 => Source::V4l2 {
                device: device.into(),
            },
            Kind::Image => Source::Image {
                path: base.join(file),
                pan_px,
                scale,
            },
            Kind::Pattern => Source::Pattern,
            Kind::Stream(container) => Source::Stream {
                container,
                feed: if file == "-" {
                    Feed::Stdin
                } else {
                    Feed::File(base.join(file))
                },
                repeat,
            },
        },
        format: t
            .key("format")
            .required(choice(&PixelFormat::NAMES), "\"NV12\""),
        width_px: t
            .key("width-px")
            .required(even(16..=8192, "pixels"), "1920"),
        height_px: t
            .key("height-px")
            .required(even(16..=8192, "pixels"), "1080"),
        view: View {
            region_px: t.key("region").optional(region()),
            rotate: t
                .key("rotate")
                .or(mapped(one_of(&[0, 90, 180, 270], "degrees"), rotate), "0"),
            mirror: t.key("mirror").or(Truth, "false"),
        },
        rate_hz: t.key("rate-hz").required(real(0.1..=1000.0, "Hz"), "30"),
        io,
        crop,
        absent,
        controls,
        ring_slots: t
            .key("ring-slots")
            .or(power_of_two(1..=last(MAX_RING) + 1, "slots"), "1"),
        driver_slots: t.key("driver-slots").or(whole(2..=32, "slots"), "4"),
        capture_core: t.key("capture-core").or(core(), "0"),
        node: t.key("node").optional(mapped(
            whole::<u16>(0..=last(MAX_NODES), "NUMA node"),
            usize::from,
        )),
        max_age_ms: t.key("max-age-ms").or(whole(1..=600_000, "ms"), "250"),
        priority: t
            .key("priority")
            .or(whole(0..=9, "greater goes first"), "0"),
        max_rate_hz: t.key("max-rate-hz").optional(real(0.01..=1000.0, "Hz")),
        duty_cycle_ms: t.key("duty-cycle-ms").optional(Duty),
        time_out_ms: t.key("time-out-ms").or(whole(10..=600_000, "ms"), "2000"),
    };
    (camera, t.finish())
}

fn rotate(degrees: u64) -> Rotate {
    match degrees {
        90 => Rotate::Quarter,
        180 => Rotate::Half,
        270 => Rotate::ThreeQuarters,
        _ => Rotate::None,
    }
}

pub(super) fn capture(mut t: Table<'_, '_>) -> (Capture, Places) {
    let capture = Capture {
        fifo_priority: t.key("fifo-priority").or(fifo(), "0"),
    };
    (capture, t.finish())
}

pub(super) fn model(mut t: Table<'_, '_>, base: &Path) -> (Model, Places) {
    const FIT: &[(&str, Fit)] = &[
        ("letterbox", Fit::Letterbox),
        ("stretch", Fit::Stretch),
        ("crop", Fit::Crop),
    ];
    const RESAMPLE: &[(&str, Resample)] = &[
        ("bilinear", Resample::Bilinear),
        ("nearest", Resample::Nearest),
        ("area", Resample::Area),
    ];
    const CHANNELS: &[(&str, Channels)] = &[
        ("rgb", Channels::Rgb),
        ("bgr", Channels::Bgr),
        ("grey", Channels::Grey),
    ];
    const ON_FAILURE: &[(&str, OnFailure)] = &[
        ("refuse", OnFailure::Refuse),
        ("builtin", OnFailure::Builtin),
    ];
    const SCORES: &[(&str, Scores)] = &[
        ("logits", Scores::Logits),
        ("probabilities", Scores::Probabilities),
    ];
    const BOX_UNIT: &[(&str, BoxUnit)] = &[("input", BoxUnit::Input), ("pixel", BoxUnit::Pixel)];
    let name = t.key("name").required(name(), "\"face\"");
    let path = base.join(t.key("path").required(path(), "\"model.tflite\""));
    let sha256 = t.key("sha256").required(Sha256, EXAMPLE_SHA256);
    let decoder = t
        .key("decoder")
        .required(choice(Decoder::ALL), "\"classify\"");
    let (classes, boxes) = (decoder.has_classes(), decoder.has_boxes());
    let with_classes = Decoder::names(Decoder::has_classes);
    let with_boxes = Decoder::names(Decoder::has_boxes);
    let labels = t
        .key("labels")
        .only_any("decoder", &with_classes, classes)
        .required(list(label(), 1..=MAX_LABELS), "[\"face\"]");
    let most = whole::<u16>(1..=last(MAX_DETECTIONS) + 1, "detections");
    let most_classes = whole::<u16>(1..=last(MAX_DETECTIONS) + 1, "classes");
    let iou_threshold = t
        .key("iou-threshold")
        .only_any("decoder", &with_boxes, boxes)
        .or(share("overlap"), "0.3");
    let max_detections = t
        .key("max-detections")
        .only_any("decoder", &with_boxes, boxes)
        .or(mapped(most, usize::from), "8");
    let top_k = t
        .key("top-k")
        .only("decoder", "classify", decoder == Decoder::Classify)
        .or(mapped(most_classes, usize::from), "1");
    let within = t
        .key("within")
        .only_any("decoder", &with_classes, classes)
        .optional(self::name());
    let inner = within.is_some();
    let within_classes = t
        .key("within-classes")
        .only("within", "…", inner)
        .optional(distinct(label(), 1..=MAX_LABELS));
    let within_margin = t
        .key("within-margin")
        .only("within", "…", inner)
        .or(share("share of the box's sides, at each of them"), "0.2");
    let most_boxes = whole::<u16>(1..=last(MAX_BOXES) + 1, "boxes of a frame");
    let within_boxes = t
        .key("within-boxes")
        .only("within", "…", inner)
        .or(mapped(most_boxes, usize::from), "4");
    let model = Model {
        within: within.map(|model| Within {
            model,
            classes: within_classes.unwrap_or_default(),
            margin: within_margin,
            boxes: within_boxes,
        }),
        name,
        path,
        sha256,
        decoder,
        labels: if classes { labels } else { Vec::new() },
        fit: t.key("fit").or(choice(FIT), "\"letterbox\""),
        resample: t.key("resample").or(choice(RESAMPLE), "\"bilinear\""),
        channels: t.key("channels").or(choice(CHANNELS), "\"rgb\""),
        input_range: t.key("input-range").or(Ends, "[-1.0, 1.0]"),
        threads: t.key("threads").or(whole(1..=16, "threads"), "1"),
        delegate: match t.key("delegate").or(DelegateOrPlugin, "\"xnnpack\"") {
            Delegate::Plugin(plugin) => Delegate::Plugin(Plugin {
                path: base.join(plugin.path),
                ..plugin
            }),
            delegate => delegate,
        },
        on_failure: t.key("on-failure").or(choice(ON_FAILURE), "\"refuse\""),
        invoke_deadline_ms: t
            .key("invoke-deadline-ms")
            .or(whole(10..=600_000, "ms"), "5000"),
        score_threshold: t
            .key("score-threshold")
            .only_any("decoder", &with_classes, classes)
            .or(share("score"), "0.5"),
        class_thresholds: t
            .key("class-thresholds")
            .only_any("decoder", &with_classes, classes)
            .optional(ClassThresholds)
            .unwrap_or_default(),
        iou_threshold: if boxes { iou_threshold } else { 1.0 },
        max_detections: if boxes { max_detections } else { top_k },
        scores: t
            .key("scores")
            .only("decoder", "ssd", decoder == Decoder::Ssd)
            .or(choice(SCORES), "\"logits\""),
        box_unit: t
            .key("box-unit")
            .only("decoder", "yolo", decoder == Decoder::Yolo)
            .or(choice(BOX_UNIT), "\"input\""),
    };
    (model, t.finish())
}

pub(super) fn worker(mut t: Table<'_, '_>) -> (Worker, Places) {
    const WAIT: &[(&str, Wait)] = &[
        ("park", Wait::Park),
        ("spin-then-park", Wait::SpinThenPark),
        ("spin", Wait::Spin),
    ];
    let mut worker = Worker {
        name: t.key("name").required(name(), "\"eyes\""),
        cores: t.key("cores").required(distinct(core(), 1..=16), "[1]"),
        model: t.key("model").required(name(), "\"face\""),
        then: t
            .key("then")
            .optional(distinct(name(), 1..=MAX_THEN))
            .unwrap_or_default(),
        cameras: t
            .key("cameras")
            .optional(distinct(name(), 1..=MAX_CAMERAS))
            .unwrap_or_default(),
        fifo_priority: t.key("fifo-priority").or(fifo(), "0"),
        wait: t.key("wait").or(choice(WAIT), "\"spin-then-park\""),
        spin_us: 0,
    };
    let bounded = worker.wait == Wait::SpinThenPark;
    let spin = t.key("spin-us").only("wait", "spin-then-park", bounded);
    let spin_us = spin.or(whole(1..=10_000, "µs"), "50");
    if bounded {
        worker.spin_us = spin_us;
    }
    (worker, t.finish())
}

pub(super) fn housekeeping(mut t: Table<'_, '_>) -> (Housekeeping, Places) {
    let queue = mapped(whole::<u16>(1..=1024, "results"), usize::from);
    let housekeeping = Housekeeping {
        core: t.key("core").or(core(), "0"),
        queue_results: t.key("queue-results").or(queue, "64"),
        record_results: t
            .key("record-results")
            .or(whole(16..=crate::limits::MAX_RECORDS, "results"), "16384"),
    };
    (housekeeping, t.finish())
}

fn core() -> impl crate::profile::rules::Rule<Out = usize> {
    mapped(whole::<u16>(0..=CORES - 1, "core number"), usize::from)
}

fn fifo() -> crate::profile::rules::Whole<u32> {
    whole(0..=MAX_FIFO, "SCHED_FIFO priority, 0 is SCHED_OTHER")
}

fn share(what: &'static str) -> impl crate::profile::rules::Rule<Out = f32> {
    mapped(real(0.0..=1.0, what), single)
}

/// The number of cameras that a profile may have.
pub(super) const CAMERAS: usize = MAX_CAMERAS;
