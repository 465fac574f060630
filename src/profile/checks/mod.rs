//! What must hold between keys and between tables.

mod events;
mod outputs;
mod sense;
mod then;
mod workers;

pub(super) use events::{Referred, lines, rules, zones};
pub(super) use outputs::outputs;
pub(super) use sense::paces;
pub(super) use workers::workers;

use crate::profile::ask::Places;
use crate::profile::camera_slots;
use crate::profile::fault::Hint;
use crate::profile::keys::Top;
use crate::profile::rules::{quoted, similar};
use crate::profile::sink::Sink;
use crate::profile::{
    AbsentCamera, AbsentCore, Camera, Container, Decoder, Feed, Io, Model, Source, Worker,
};

/// Buffers that a V4L2 queue has at most.
///
/// # Source
/// `VIDEO_MAX_FRAME` in `include/uapi/linux/videodev2.h`.
const VIDEO_MAX_FRAME: u16 = 32;

pub(super) fn top(sink: &Sink<'_>, top: &Top, places: &Places) {
    if places.sound(&["strict", "absent-core"]) && top.strict && top.absent_core == AbsentCore::Wrap
    {
        let expected = "\"refuse\", because strict = true lets nothing be replaced".into();
        places.fault(sink, "absent-core", "\"wrap\"".into(), expected, Hint::None);
    }
}

pub(super) fn cameras(sink: &Sink<'_>, cameras: &[(Camera, Places)], workers: &[(Worker, Places)]) {
    unique(
        sink,
        cameras
            .iter()
            .map(|(camera, places)| (camera.name.as_str(), places)),
    );
    for (index, (camera, places)) in cameras.iter().enumerate() {
        if places.sound(&["rate-hz", "time-out-ms"]) {
            time_out(sink, camera, places);
        }
        if places.sound(&["source", "format"]) {
            compression(sink, camera, places);
        }
        if places.sound(&["region", "width-px", "height-px"]) {
            region(sink, camera, places);
        }
        if let Source::V4l2 { device } = &camera.source
            && places.sound(&["source", "device"])
            && let Some((first, _)) = cameras[..index].iter().find(|(other, others)| {
                others.sound(&["source", "device"]) && other.source == camera.source
            })
        {
            let found = format!(
                "{}, which camera \"{}\" has as well",
                quoted(&device.to_string_lossy()),
                first.name
            );
            places.fault(
                sink,
                "device",
                found,
                "a device of its own".into(),
                Hint::None,
            );
        }
        if camera.absent == AbsentCamera::Wait
            && places.sound(&["absent", "io"])
            && !matches!(camera.io, Io::Auto | Io::Userptr | Io::Copy)
        {
            let expected = "\"auto\", \"userptr\" or \"copy\", because absent = \"wait\": the slots are made before the camera is there";
            places.fault(
                sink,
                "io",
                quoted(camera.io.name()),
                expected.into(),
                Hint::None,
            );
        }
        if let Source::Stream {
            feed: Feed::Stdin,
            repeat,
            ..
        } = &camera.source
            && places.sound(&["source", "path"])
        {
            standard_input(sink, &cameras[..index], *repeat, places);
        }
        let judges = |(worker, _): &&(Worker, Places)| worker.judges(&camera.name);
        let workers = workers.iter().filter(judges).count();
        let slots = camera_slots(camera, workers);
        if places.sound(&["source", "io", "ring-slots", "driver-slots"])
            && matches!(camera.source, Source::V4l2 { .. })
            && camera.io.may_use_drivers_buffers()
            && slots > VIDEO_MAX_FRAME
        {
            let found = format!(
                "{slots} slots (ring-slots {}, driver-slots {}, and what {workers} workers hold)",
                camera.ring_slots, camera.driver_slots
            );
            let expected = format!(
                "at most {VIDEO_MAX_FRAME} together, as a driver has no more buffers to map"
            );
            let advice =
                "lower ring-slots, or let the driver write into ours with io = \"userptr\"";
            places.fault(
                sink,
                "ring-slots",
                found,
                expected,
                Hint::Advice(advice.into()),
            );
        }
    }
}

/// Only cameras and MJPEG streams have compressed frames, and those streams have no others.
fn compression(sink: &Sink<'_>, camera: &Camera, places: &Places) {
    let jpegs = matches!(
        camera.source,
        Source::Stream {
            container: Container::Mjpeg,
            ..
        }
    );
    let driver = matches!(camera.source, Source::V4l2 { .. });
    let found = quoted(camera.format.name());
    if jpegs && !camera.format.is_compressed() {
        let expected = "\"MJPG\" with source = \"mjpeg\"".into();
        places.fault(sink, "format", found, expected, Hint::None);
    } else if !jpegs && !driver && camera.format.is_compressed() {
        let expected =
            "a format whose samples lie open, as this source makes no JPEG pictures".into();
        places.fault(sink, "format", found, expected, Hint::None);
    }
}

/// It can be read once, by one camera.
fn standard_input(sink: &Sink<'_>, before: &[(Camera, Places)], repeat: bool, places: &Places) {
    let reads_it = |camera: &Camera| {
        matches!(
            &camera.source,
            Source::Stream {
                feed: Feed::Stdin,
                ..
            }
        )
    };
    if let Some((first, _)) = before.iter().find(|(other, _)| reads_it(other)) {
        let found = format!("\"-\", which camera \"{}\" reads as well", first.name);
        let expected = "standard input for one camera only".into();
        places.fault(sink, "path", found, expected, Hint::None);
    }
    if repeat && places.sound(&["loop"]) {
        let expected = "false with path = \"-\": standard input cannot begin again".into();
        places.fault(sink, "loop", "true".into(), expected, Hint::None);
    }
}

/// A time-out that the stream's own pace would trip restarts a healthy camera for ever.
fn region(sink: &Sink<'_>, camera: &Camera, places: &Places) {
    let Some([left, top, width, height]) = camera.view.region_px else {
        return;
    };
    if left + width > camera.width_px || top + height > camera.height_px {
        places.fault(
            sink,
            "region",
            format!("[{left}, {top}, {width}, {height}]"),
            format!(
                "a part of the picture of {} x {} pixels",
                camera.width_px, camera.height_px
            ),
            Hint::None,
        );
    }
}

fn time_out(sink: &Sink<'_>, camera: &Camera, places: &Places) {
    let intervals_ms = 2000.0 / camera.rate_hz;
    let time_out_ms = f64::from(u32::try_from(camera.time_out_ms).unwrap_or(u32::MAX));
    if time_out_ms <= intervals_ms {
        let expected = format!(
            "more than two frame intervals, {intervals_ms:.1} ms at rate-hz = {}",
            camera.rate_hz
        );
        let default = if places.given("time-out-ms") {
            ""
        } else {
            "the default "
        };
        places.fault(
            sink,
            "time-out-ms",
            format!("{default}{}", camera.time_out_ms),
            expected,
            Hint::None,
        );
    }
}

pub(super) fn models(sink: &Sink<'_>, models: &[(Model, Places)]) {
    unique(
        sink,
        models
            .iter()
            .map(|(model, places)| (model.name.as_str(), places)),
    );
    for (model, places) in models {
        let labels = model.labels.len();
        if places.sound(&["decoder", "labels"])
            && model.decoder == Decoder::BlazefaceShort
            && labels != 1
        {
            let expected =
                "one label, because decoder = \"blazeface-short\" knows one class".into();
            places.fault(
                sink,
                "labels",
                format!("{labels} labels"),
                expected,
                Hint::None,
            );
        }
        then::within(sink, (model, places), models);
        if places.sound(&["labels", "class-thresholds"]) {
            class_thresholds(sink, model, places);
        }
    }
}

/// A threshold of a class that the model does not have is a misspelt one.
fn class_thresholds(sink: &Sink<'_>, model: &Model, places: &Places) {
    for threshold in &model.class_thresholds {
        if !model.labels.contains(&threshold.label) {
            let labels = model.labels.iter().map(String::as_str);
            let hint = similar(&threshold.label, labels);
            places.fault(
                sink,
                "class-thresholds",
                quoted(&threshold.label),
                "one of the model's `labels`".into(),
                hint.map_or(Hint::None, |label| Hint::Similar(label.into())),
            );
        }
    }
}

fn unique<'a>(sink: &Sink<'_>, named: impl Iterator<Item = (&'a str, &'a Places)>) {
    let mut names: Vec<&str> = Vec::new();
    for (name, places) in named.filter(|(_, places)| places.sound(&["name"])) {
        if names.contains(&name) {
            let expected = "a name that no other table of its kind has".into();
            places.fault(
                sink,
                "name",
                format!("{} again", quoted(name)),
                expected,
                Hint::None,
            );
        } else {
            names.push(name);
        }
    }
}
