//! GStreamer from Rust: a live `imagefreeze` for each camera into an `appsink` that keeps the newest frame, `yuv` and
//! `fast_image_resize`, and the TensorFlow Lite library that Pinsight links. Arguments and log are those of `peer.py`.

mod model;

use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};
use model::Model;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

pub const WIDTH: u32 = 1920;
pub const HEIGHT: u32 = 1080;

static STOPPED: AtomicBool = AtomicBool::new(false);

extern "C" fn stop(_: libc::c_int) {
    STOPPED.store(true, Ordering::Relaxed);
}

/// CLOCK_MONOTONIC.
pub fn now_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

pub fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a live timespec.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Which cameras have a frame that was not taken.
#[derive(Default)]
struct Waiting {
    cameras: Mutex<Vec<bool>>,
    any: Condvar,
}

struct Camera {
    pipeline: gstreamer::Pipeline,
    sink: AppSink,
    base_ns: u64,
    served_ns: u64,
}

impl Camera {
    /// Frames are due a whole number of intervals after `base_ns`.
    fn start(number: usize, frame: &str, base_ns: u64, waiting: &Arc<Waiting>) -> Self {
        let bytes = WIDTH * HEIGHT * 3 / 2;
        let description = format!(
            "filesrc location={frame} blocksize={bytes} ! rawvideoparse format=nv12 width={WIDTH} height={HEIGHT} ! \
             imagefreeze is-live=true ! video/x-raw,framerate=30/1 ! \
             appsink name=sink sync=false drop=true max-buffers=1"
        );
        let pipeline = gstreamer::parse::launch(&description).expect("a sound pipeline");
        let pipeline = pipeline.downcast::<gstreamer::Pipeline>().expect("a pipeline");
        let sink = pipeline.by_name("sink").and_then(|sink| sink.downcast::<AppSink>().ok());
        let sink = sink.expect("an appsink");
        let waiting = Arc::clone(waiting);
        let new_sample = move |_: &AppSink| {
            waiting.cameras.lock().expect("nobody panics")[number] = true;
            waiting.any.notify_one();
            Ok(gstreamer::FlowSuccess::Ok)
        };
        sink.set_callbacks(AppSinkCallbacks::builder().new_sample(new_sample).build());
        pipeline.use_clock(Some(&gstreamer::SystemClock::obtain()));
        // Without a start time of its own, the base time stays as it is set: phases are its.
        pipeline.set_start_time(gstreamer::ClockTime::NONE);
        pipeline.set_base_time(gstreamer::ClockTime::from_nseconds(base_ns));
        pipeline.set_state(gstreamer::State::Playing).expect("a pipeline that plays");
        Self { pipeline, sink, base_ns, served_ns: 0 }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name);
        place.and_then(|place| arguments.get(place + 1)).unwrap_or_else(|| panic!("{name} VALUE"))
    };
    let ms = |phase: &str| (phase.parse::<f64>().expect("milliseconds") * 1e6).round() as u64;
    let phases_ns: Vec<u64> = value("--phases").split(',').map(ms).collect();
    let handler: extern "C" fn(libc::c_int) = stop;
    // SAFETY: the handler stores one atomic, which a signal handler may.
    unsafe { libc::signal(libc::SIGTERM, handler as libc::sighandler_t) };
    let mut model = Model::new(value("--model"), value("--anchors"));
    gstreamer::init().expect("GStreamer");
    let waiting = Arc::new(Waiting { cameras: Mutex::new(vec![false; phases_ns.len()]), any: Condvar::new() });
    let base_ns = now_ns();
    let start = |(number, phase_ns)| Camera::start(number, value("--frame"), base_ns + phase_ns, &waiting);
    let mut cameras: Vec<Camera> = phases_ns.into_iter().enumerate().map(start).collect();
    let mut log = String::with_capacity(1 << 20);
    let mut unseen = cameras.len();
    while let Some(number) = next(&waiting, &cameras) {
        let camera = &mut cameras[number];
        let Some(sample) = camera.sink.try_pull_sample(gstreamer::ClockTime::ZERO) else {
            continue;
        };
        let buffer = sample.buffer().expect("a sample with a buffer");
        let capture_ns = camera.base_ns + buffer.pts().expect("a stamp").nseconds();
        let frame = buffer.map_readable().expect("memory that can be read");
        let (detections, invoke_ns, invoke_cpu_ns) = model.run(&frame);
        let result_ns = now_ns();
        writeln!(log, "{number},{capture_ns},{result_ns},{invoke_ns},{invoke_cpu_ns},{detections}")
            .expect("a String takes all");
        if camera.served_ns == 0 {
            unseen -= 1;
            if unseen == 0 {
                eprintln!("ready");
            }
        }
        camera.served_ns = result_ns;
    }
    std::fs::write(value("--log"), log).expect("a log that can be written");
    for camera in cameras {
        camera.pipeline.set_state(gstreamer::State::Null).expect("a pipeline that stops");
    }
}

/// Of the cameras with a frame, the one that was served the longest time ago; `None` when it is over.
fn next(waiting: &Waiting, cameras: &[Camera]) -> Option<usize> {
    let mut have = waiting.cameras.lock().expect("nobody panics");
    while !STOPPED.load(Ordering::Relaxed) {
        let with_frame = (0..cameras.len()).filter(|&number| have[number]);
        if let Some(number) = with_frame.min_by_key(|&number| cameras[number].served_ns) {
            have[number] = false;
            return Some(number);
        }
        have = waiting.any.wait_timeout(have, Duration::from_millis(100)).expect("nobody panics").0;
    }
    None
}
