//! `[[camera]]`: where frames come from, what of them is processed, and how often.

mod controls;
mod source;
mod view;

pub use controls::{ControlSetting, ControlValue};
pub use source::{Container, Feed, Io, Source};
pub use view::{Rotate, View};

use super::core::core;
use super::reader::text::quoted;
use super::reader::values::{
    ValueParser, array, choice, even, integer, power_of_two, real, whole, words,
};
use super::reader::{Hint, Located, Place, Table, Tables};
use crate::frame::PixelFormat;
use crate::limits::{MAX_NODES, MAX_RING, MAX_SIDE_PX};
use crate::ring::{TapNeed, slots_needed};
use crate::units::NS_PER_US;
use toml::de::DeValue;

/// Buffers that a V4L2 queue has at most.
///
/// # Source
/// `VIDEO_MAX_FRAME` in `include/uapi/linux/videodev2.h`.
const VIDEO_MAX_FRAME: u16 = 32;

/// `[[camera]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// Unique name.
    pub name: String,
    /// Where its frames come from.
    pub source: Source,
    /// How buffers are exchanged with the driver; `Auto` and without meaning where there is no driver.
    pub io: Io,
    /// Part of the sensor that the picture shows: left, top, width, height; `None` leaves it to the driver.
    pub crop: Option<[u32; 4]>,
    /// What to do when it is missing at the start; `Refuse` where there is no driver.
    pub absent: AbsentCamera,
    /// Controls to set; empty where there is no driver.
    pub controls: Vec<ControlSetting>,
    /// Requested pixel format.
    pub format: PixelFormat,
    /// Requested width, even, 16..=8192.
    pub width_px: u32,
    /// Requested height, even, 16..=8192.
    pub height_px: u32,
    /// What of its picture is processed, and which way up. Of the region every number is even.
    pub view: View,
    /// Requested frame rate, 0.1..=1000.
    pub rate_hz: f64,
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
    /// Frames processed a second at most, on average, 0.01..=1000; all that a worker can when absent.
    pub max_rate_hz: Option<f64>,
    /// Frames are processed in the first of these milliseconds of every period of the second; always when absent.
    pub duty_cycle_ms: Option<[u64; 2]>,
    /// Age of the newest inferred frame above which the camera is reported, 10..=86400000; derived when absent.
    pub max_gap_ms: Option<u64>,
    /// A stream silent for this long is restarted; more than two frame intervals.
    pub time_out_ms: u64,
}

words! {
    /// `absent` of a camera
    pub enum AbsentCamera {
        /// Do not start; report which cameras there are.
        Refuse = "refuse",
        /// Start without it, and begin with it when it is plugged in.
        Wait = "wait",
    }
}

pub fn read(t: &mut Table<'_>) -> Camera {
    let name = t.name("\"front\"");
    let source = Source::read(t);
    let mut v4l2 = t.only("source", &["v4l2"], source.is_v4l2());
    let controls = v4l2.optional("controls", controls::controls(), "what the driver has");
    let ring_slots = |slots: usize| u32::try_from(slots).unwrap_or(u32::MAX);
    let camera = Camera {
        name,
        io: v4l2.or("io", choice(Io::ALL), "\"auto\""),
        crop: v4l2.optional("crop", view::crop(), "what the driver has"),
        absent: v4l2.or("absent", choice(AbsentCamera::ALL), "\"refuse\""),
        controls: controls.unwrap_or_default(),
        source,
        format: t.required("format", choice(&PixelFormat::NAMES), "\"NV12\""),
        width_px: t.required("width-px", even(16..=MAX_SIDE_PX, "pixels"), "1920"),
        height_px: t.required("height-px", even(16..=MAX_SIDE_PX, "pixels"), "1080"),
        view: View::read(t),
        rate_hz: t.required("rate-hz", real(0.1..=1000.0, "Hz"), "30"),
        ring_slots: ring_slots(t.or("ring-slots", power_of_two(1..=MAX_RING, "slots"), "1")),
        driver_slots: t.or("driver-slots", whole(2..=32, "slots"), "4"),
        capture_core: t.or("capture-core", core(), "0"),
        node: t.optional(
            "node",
            whole(0..=MAX_NODES - 1, "NUMA node"),
            "the node of `capture-core`",
        ),
        max_age_ms: t.or("max-age-ms", whole(1..=600_000, "ms"), "250"),
        priority: t.or("priority", whole(0..=9, "greater goes first"), "0"),
        max_rate_hz: t.optional("max-rate-hz", real(0.01..=1000.0, "Hz"), "none"),
        duty_cycle_ms: t.optional("duty-cycle-ms", duty_cycle(), "none"),
        max_gap_ms: t.optional(
            "max-gap-ms",
            whole(10..=86_400_000, "ms"),
            "derived from its rate and the models' times",
        ),
        time_out_ms: t.or("time-out-ms", whole(10..=600_000, "ms"), "2000"),
    };
    check(t, &camera);
    camera
}

/// A part of a period in which something is done.
fn duty_cycle() -> ValueParser<[u64; 2]> {
    /// A day.
    const MOST_MS: u64 = 86_400_000;
    let expected = format!(
        "two whole numbers (ms judged, ms of the period), 1 to {MOST_MS}, the first not above the second"
    );
    let side = |value: &DeValue<'_>| integer(value).filter(|number| (1..=MOST_MS).contains(number));
    array(&expected, side, |[on, period]| on <= period)
}

fn check(at: &Place<'_>, camera: &Camera) {
    if at.sound(&["rate-hz", "time-out-ms"]) {
        time_out(at, camera);
    }
    if at.sound(&["source", "rate-hz", "phase-ms"]) {
        phase(at, camera);
    }
    if at.sound(&["source", "format"]) {
        compression(at, camera);
    }
    if at.sound(&["region", "width-px", "height-px"])
        && let Some(region @ [left, top, width, height]) = camera.view.region_px
        && (left + width > camera.width_px || top + height > camera.height_px)
    {
        let (width, height) = (camera.width_px, camera.height_px);
        let expected = format!("a part of the picture of {width} x {height} pixels");
        at.fault("region", format!("{region:?}"), expected);
    }
    if camera.absent == AbsentCamera::Wait
        && at.sound(&["absent", "io"])
        && !matches!(camera.io, Io::Auto | Io::Userptr | Io::Copy)
    {
        let expected = "\"auto\", \"userptr\" or \"copy\", because absent = \"wait\": the slots are made before the camera is there";
        at.fault("io", quoted(camera.io.name()), expected);
    }
    if let Source::Stream { repeat: true, .. } = camera.source
        && camera.source.is_stdin()
        && at.sound(&["source", "path", "loop"])
    {
        let expected = "false with path = \"-\": standard input cannot begin again";
        at.fault("loop", "true", expected);
    }
}

/// A time-out that the stream's own pace would trip restarts a healthy camera for ever.
fn time_out(at: &Place<'_>, camera: &Camera) {
    let intervals_ms = 2000.0 / camera.rate_hz;
    let time_out_ms = f64::from(u32::try_from(camera.time_out_ms).unwrap_or(u32::MAX));
    if time_out_ms <= intervals_ms {
        let given = at.given("time-out-ms");
        let default = if given { "" } else { "the default " };
        let (found, rate_hz) = (format!("{default}{}", camera.time_out_ms), camera.rate_hz);
        let expected =
            format!("more than two frame intervals, {intervals_ms:.1} ms at rate-hz = {rate_hz}");
        at.fault("time-out-ms", found, expected);
    }
}

/// A phase is a part of the interval: one beyond it would name the same times twice.
fn phase(at: &Place<'_>, camera: &Camera) {
    let Source::Image {
        phase_ns: Some(phase_ns),
        ..
    } = camera.source
    else {
        return;
    };
    // At most ten seconds.
    let phase_ms = f64::from(u32::try_from(phase_ns / NS_PER_US).unwrap_or(u32::MAX)) / 1e3;
    let interval_ms = 1000.0 / camera.rate_hz;
    if phase_ms >= interval_ms {
        let rate_hz = camera.rate_hz;
        let expected =
            format!("less than the frame interval, {interval_ms:.1} ms at rate-hz = {rate_hz}");
        at.fault("phase-ms", phase_ms.to_string(), expected);
    }
}

/// Only cameras and MJPEG streams have compressed frames, and those streams have no others.
fn compression(at: &Place<'_>, camera: &Camera) {
    let expected = match camera.format.is_compressed() {
        false if camera.source.is_mjpeg() => "\"MJPG\" with source = \"mjpeg\"",
        true if !camera.source.is_mjpeg() && !camera.source.is_v4l2() => {
            "a format whose samples lie open, as this source makes no JPEG pictures"
        }
        _ => return,
    };
    at.fault("format", quoted(camera.format.name()), expected);
}

/// What must hold between cameras. `workers` is how many process the frames of one.
pub fn check_all(cameras: &Tables<'_, Camera>, workers: impl Fn(&str) -> usize) {
    for (index, camera) in cameras.iter().enumerate() {
        let (at, before) = (&camera.at, &cameras[..index]);
        let first = |has: &dyn Fn(&Located<'_, Camera>) -> bool| {
            before
                .iter()
                .find(|other| has(other))
                .map(|other| &other.name)
        };
        if let Source::V4l2 { device } = &camera.source
            && at.sound(&["source", "device"])
            && let Some(first) = first(&|other| {
                other.at.sound(&["source", "device"]) && other.source == camera.source
            })
        {
            let device = quoted(&device.to_string_lossy());
            let found = format!("{device}, which camera \"{first}\" has as well");
            at.fault("device", found, "a device of its own");
        }
        if camera.source.is_stdin()
            && at.sound(&["source", "path"])
            && let Some(first) = first(&|other| other.source.is_stdin())
        {
            let found = format!("\"-\", which camera \"{first}\" reads as well");
            at.fault("path", found, "standard input for one camera only");
        }
        check_slots(camera, workers(&camera.name));
    }
}

fn check_slots(camera: &Located<'_, Camera>, workers: usize) {
    let slots = camera_slots(camera, workers);
    let (at, keys) = (&camera.at, ["source", "io", "ring-slots", "driver-slots"]);
    if at.sound(&keys)
        && camera.source.is_v4l2()
        && camera.io.may_use_drivers_buffers()
        && slots > VIDEO_MAX_FRAME
    {
        let (ring, driver) = (camera.ring_slots, camera.driver_slots);
        let found = format!(
            "{slots} slots (ring-slots {ring}, driver-slots {driver}, and what {workers} workers hold)"
        );
        let expected =
            format!("at most {VIDEO_MAX_FRAME} together, as a driver has no more buffers to map");
        // A ring of one slot cannot be lowered.
        let key = if ring > 1 {
            "ring-slots"
        } else {
            "driver-slots"
        };
        let advice =
            format!("lower {key}, or let the driver write into ours with io = \"userptr\"");
        at.fault_with(key, found, expected, Hint::Advice(advice));
    }
}

/// Slots of a camera, so that capture never finds none free whatever the workers that process it do.
#[must_use]
pub fn camera_slots(camera: &Camera, workers: usize) -> u16 {
    // The ranges of the keys bound each number, and the sum by 800.
    let small = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let driver_slots = small(camera.driver_slots as usize);
    small(slots_needed(driver_slots, &[tap(camera, workers)]))
}

/// What inference asks of a camera's lane: one reader for each worker that processes it, each with one frame at a
/// time.
#[must_use]
pub fn tap(camera: &Camera, workers: usize) -> TapNeed {
    TapNeed {
        capacity: camera.ring_slots as usize,
        readers: u16::try_from(workers).unwrap_or(u16::MAX),
        leases: 1,
    }
}
