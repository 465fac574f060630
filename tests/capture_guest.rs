//! The contract of frame sources, and the failure ladder, on real V4L2: the guest of `tests/vm`.
//!
//! `make test` runs the test at the top; it boots the guest once and runs this very executable in it,
//! with the checks of [`inside`]. By themselves those say only that they are not in the guest.
#![allow(unsafe_code)]

#[path = "capture/contract.rs"]
mod contract;
#[path = "capture/stage.rs"]
mod stage;

use std::path::Path;
use std::process::{Command, Stdio};

#[test]
#[ignore = "boots the guest: run by `make test`"]
fn every_kind_of_v4l2_camera_keeps_the_contract_in_the_guest() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(root.join("tests/vm/setup"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let why = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "the guest cannot be had:\n{why}");
    let libraries = root.join(".cache/tflite/x86_64");
    let ran = Command::new(root.join("tests/vm/run"))
        .current_dir(root)
        .args([
            "--timeout",
            "600",
            "--env",
            &format!("LD_LIBRARY_PATH={}", libraries.display()),
        ])
        .arg("-f")
        .arg(root.join("tests/capture/guest.sh"))
        .arg(std::env::current_exe().unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{:?}", ran.status.code());
    // Each kind of camera ran the checks it is there for.
    for (kind, checks) in [
        ("plain", 19),
        ("dma_contig", 4),
        ("multi_planar", 5),
        ("cropped", 2),
        ("not_capture", 2),
    ] {
        let passed = said
            .split(&format!("== {kind}\n"))
            .nth(1)
            .and_then(|after| after.split("== ").next());
        let expected = format!("test result: ok. {checks} passed");
        assert!(
            passed.is_some_and(|said| said.contains(&expected)),
            "{kind}: {expected}"
        );
    }
}

/// What runs in the guest.
mod inside {
    use crate::contract::{self, SLOTS};
    use crate::stage::{Clock, Stage, arm};
    use pinsight::board::{ControlSetting, ControlValue, Fit, Io};
    use pinsight::capture::continuity::Continuity;
    use pinsight::capture::pattern::read_pixel;
    use pinsight::capture::supervisor::{Action, Event, Limits, Supervisor};
    use pinsight::capture::{FrameSource, SlotHome, SourceError, UnarmedSource, Ycbcr};
    use pinsight::frame::{Colour, Encoding, Model, PixelFormat, Quantization};
    use pinsight::infer::{TensorInfo, TensorType};
    use pinsight::ledger::SequenceTracker;
    use pinsight::preprocess::Plan;
    use pinsight::sys::heap;
    use pinsight::sys::v4l2::{CameraErrorKind, CameraRequest, UnarmedCamera, cameras};
    use pinsight::units::{NS_PER_MS, NS_PER_S};
    use std::path::Path;
    use std::process::{Command, Stdio};

    const CAMERA: &str = "/dev/video0";

    /// Whether this is the guest, with the cameras that these checks are about.
    fn here(kind: &str) -> bool {
        let here = std::env::var("CAMERA_KIND").is_ok_and(|found| found == kind);
        if !here {
            println!("not in the guest: the test that boots it runs this one there");
        }
        here
    }

    /// A format of two planes and a packed one.
    const USUAL: [PixelFormat; 2] = [PixelFormat::Nv12, PixelFormat::Yuyv];

    fn request(pixel: PixelFormat) -> CameraRequest {
        CameraRequest {
            pixel,
            width_px: 1280,
            height_px: 720,
            rate_hz: 30.0,
            crop: None,
        }
    }

    fn open(pixel: PixelFormat, io: Io) -> Box<UnarmedCamera> {
        Box::new(UnarmedCamera::open(Path::new(CAMERA), &request(pixel), io).unwrap())
    }

    fn streaming(pixel: PixelFormat, io: Io) -> Stage {
        let mut stage = arm(open(pixel, io), SLOTS, Clock::Real);
        stage.queue_all();
        stage.start().unwrap();
        stage
    }

    /// A control of the camera, set until this is dropped.
    struct Setting(&'static str);

    impl Setting {
        fn new(set: &str, reset: &'static str) -> Self {
            control(set);
            Self(reset)
        }
    }

    impl Drop for Setting {
        fn drop(&mut self) {
            let _ = Command::new("v4l2-ctl")
                .args(["-d", CAMERA, "-c", self.0])
                .status();
        }
    }

    fn control(setting: &str) {
        let status = Command::new("v4l2-ctl")
            .args(["-d", CAMERA, "-c", setting])
            .status()
            .unwrap();
        assert!(status.success(), "{setting}");
    }

    fn keeps_the_contract(io: Io) {
        for pixel in USUAL {
            contract::check(&format!("{} {io:?}", pixel.name()), || {
                arm(open(pixel, io), SLOTS, Clock::Real)
            });
        }
    }

    /// Checks frames of vivid's 100 % colour bars, which it makes by BT.601 from sRGB, limited range, with
    /// tables of its own that are off by 2.
    fn shows_colour_bars(io: Io) {
        for pixel in USUAL {
            shows_bars_of(pixel, io);
        }
    }

    fn shows_bars_of(pixel: PixelFormat, io: Io) {
        let _bars = Setting::new(
            "test_pattern=1,osd_text_mode=2",
            "test_pattern=0,osd_text_mode=0",
        );
        // Of white, yellow, cyan, green, magenta, red, blue, black.
        let bars: [[u8; 3]; 8] = [
            [235, 128, 128],
            [210, 16, 146],
            [170, 166, 16],
            [145, 54, 34],
            [106, 202, 222],
            [81, 90, 240],
            [41, 240, 110],
            [16, 128, 128],
        ];
        {
            let mut stage = streaming(pixel, io);
            let format = stage.source.format();
            let colour = Colour {
                encoding: Encoding::Bt601,
                quantization: Quantization::Limited,
            };
            assert_eq!(format.colour, colour);
            for _ in 0..5 {
                let frame = stage.next_frame();
                for (index, [y, cb, cr]) in (0..).zip(bars) {
                    for row in [10, 360, 719] {
                        let at = index * 160 + 80;
                        let found = read_pixel(&format, stage.picture(&frame), at, row).unwrap();
                        let near = |a: u8, b: u8| a.abs_diff(b) <= 3;
                        let Ycbcr {
                            y: found_y,
                            cb: found_cb,
                            cr: found_cr,
                        } = found;
                        assert!(
                            near(found_y, y) && near(found_cb, cb) && near(found_cr, cr),
                            "{pixel:?} bar {index}: found {found:?}, expected {y} {cb} {cr}"
                        );
                    }
                }
                stage.queue(frame.slot).unwrap();
            }
        }
    }

    /// Formats that vivid has not.
    const PACKED_10: [&str; 4] = ["pBAA", "pGAA", "pgAA", "pRAA"];

    /// Checks the bars as the model would see them, in each format that this program reads and the camera
    /// offers: all but `not_offered`.
    fn shows_colour_bars_to_the_model(io: Io, not_offered: &[&str]) {
        let _bars = Setting::new(
            "test_pattern=1,osd_text_mode=2",
            "test_pattern=0,osd_text_mode=0",
        );
        let cameras = cameras();
        let camera = cameras.iter().find(|found| found.node == Path::new(CAMERA));
        let offered: Vec<PixelFormat> = camera
            .unwrap()
            .answer
            .as_ref()
            .unwrap()
            .formats
            .iter()
            .filter_map(|format| PixelFormat::from_fourcc(format.fourcc))
            .collect();
        let missing: Vec<&str> = PixelFormat::RAW
            .into_iter()
            .filter(|format| !offered.contains(format))
            .map(PixelFormat::name)
            .collect();
        assert_eq!(missing, not_offered);
        let info = TensorInfo {
            name: "input".into(),
            shape: vec![1, 45, 80, 3],
            kind: TensorType::F32,
            scale: 0.0,
            zero_point: 0,
        };
        let mut tensor = vec![0; info.bytes()];
        for pixel in offered {
            let mut stage = streaming(pixel, io);
            let format = stage.source.format();
            let full = pixel.layout().model != Model::Ycbcr;
            assert_eq!(format.colour.encoding, Encoding::Bt601, "{pixel:?}");
            assert_eq!(format.colour.quantization == Quantization::Full, full);
            let plan = Plan::new(&format, &info, Fit::Stretch, [0.0, 1.0]).unwrap();
            let frame = stage.next_frame();
            plan.run(stage.picture(&frame), &mut tensor).unwrap();
            let values = tensor.as_chunks::<12>().0;
            let grey = pixel.layout().model == Model::Grey;
            let mut most = 0.0_f32;
            for bar in 0..8 {
                // White, yellow, cyan, green, magenta, red, blue, black.
                let rgb = [2, 4, 1].map(|bit| if bar & bit == 0 { 1.0 } else { 0.0 });
                // vivid's grey is BT.709's luma of them, in full range.
                let luma = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
                let expected = if grey { [luma; 3] } else { rgb };
                for row in [1, 22, 43] {
                    let found = values[row * 80 + bar * 10 + 5].as_chunks().0;
                    for (found, expected) in found.iter().zip(expected) {
                        let off = (f32::from_ne_bytes(*found) - expected).abs();
                        assert!(off < 0.03, "{pixel:?} bar {bar} row {row}: off by {off}");
                        most = most.max(off);
                    }
                }
            }
            println!(
                "{}: stride {}, off by {most:.4} at most",
                pixel.name(),
                format.stride_bytes
            );
        }
    }

    /// Runs a camera until a second's frames have come without a gap, at most for twenty seconds. A machine
    /// that gives the guest no time makes vivid late, and a late vivid skips numbers and repeats them: its
    /// own losses, which are no fault of the queue.
    fn loses_nothing(pixel: PixelFormat, io: Io) {
        let mut stage = streaming(pixel, io);
        let (mut unbroken, mut longest, mut last) = (0, 0, stage.next_frame());
        for _ in 0..600 {
            stage.queue(last.slot).unwrap();
            let next = stage.next_frame();
            unbroken = if next.sequence == last.sequence + 1 {
                unbroken + 1
            } else {
                0
            };
            longest = longest.max(unbroken);
            last = next;
            if longest >= 30 {
                return;
            }
        }
        panic!("{pixel:?} {io:?}: at most {longest} frames without a gap");
    }

    /// Runs a camera for some frames, holds what it says together, and gives its first and last number.
    fn runs(pixel: PixelFormat, io: Io, frames: u64) -> [u32; 2] {
        let mut stage = streaming(pixel, io);
        let interval_ns = stage.source.format().interval_ns;
        let mut continuity = Continuity::new(interval_ns);
        continuity.restarted(stage.now());
        let mut numbers = SequenceTracker::new();
        let first = stage.next_frame();
        let mut last = first;
        continuity.judge(&first, stage.now());
        numbers.observe(first.sequence);
        let before = numbers.lost();
        for _ in 1..frames {
            stage.queue(last.slot).unwrap();
            last = stage.next_frame();
            numbers.observe(last.sequence);
            let now = stage.now();
            assert!(continuity.judge(&last, now).capture_ns <= now);
        }
        let counts = *continuity.counts();
        let span = u64::from(last.sequence.wrapping_sub(first.sequence));
        let ms = (last.capture_ns - first.capture_ns) / NS_PER_MS;
        println!("{pixel:?} {io:?}: {span} numbers in {ms} ms, {counts:?}, {numbers:?}");
        assert_eq!((counts.implausible, counts.not_monotonic), (0, 0));
        assert_eq!(numbers.streams(), 1, "no number goes back");
        assert_eq!(span + 1, numbers.span() - before);
        assert_eq!(
            span + 1,
            counts.frames - numbers.repeated() + numbers.lost() - before
        );
        // The camera's own time and number go together: a frame each interval.
        assert!(
            (span * interval_ns / NS_PER_MS).abs_diff(ms) < 100,
            "{span} numbers in {ms} ms"
        );
        [first.sequence, last.sequence]
    }

    /// A camera with its ladder, in real time.
    struct Watch {
        stage: Stage,
        supervisor: Supervisor,
        frames: u64,
        damaged: u64,
    }

    impl Watch {
        fn new(io: Io) -> Self {
            let stage = arm(open(PixelFormat::Nv12, io), SLOTS, Clock::Real);
            let limits = Limits::new(1000 * NS_PER_MS);
            let supervisor = Supervisor::new(limits, stage.now());
            Self {
                stage,
                supervisor,
                frames: 0,
                damaged: 0,
            }
        }

        /// Serves until `enough`, at most twenty seconds.
        #[track_caller]
        fn until(&mut self, what: &str, enough: impl Fn(&Self) -> bool) {
            let last = self.stage.now() + 20 * NS_PER_S;
            while !enough(self) {
                let doing = (self.supervisor.trouble(), self.supervisor.counts());
                assert!(
                    self.stage.now() < last,
                    "{what} within twenty seconds: {doing:?}"
                );
                self.turn();
            }
        }

        #[track_caller]
        fn until_frames(&mut self, frames: u64) {
            let from = self.frames;
            self.until("frames", |watch| watch.frames >= from + frames);
        }

        fn turn(&mut self) {
            let now = self.stage.now();
            let outcome = match self.supervisor.next(now) {
                Action::Serve { until_ns } => {
                    let readiness = self.stage.source.readiness();
                    self.stage
                        .clock
                        .wait(readiness, until_ns.min(now + 100 * NS_PER_MS));
                    return self.serve();
                }
                Action::Rest { until_ns } => {
                    return self.stage.pass(until_ns - now);
                }
                Action::Restart => self.restart(),
                Action::Reopen => self.stage.reopen(),
                Action::ResetPort => panic!("there is no port"),
            };
            let event = outcome.map_or_else(Event::NotDone, |()| Event::Done);
            self.supervisor.observe(event, self.stage.now());
        }

        fn restart(&mut self) -> Result<(), SourceError> {
            let _ = self.stage.stop();
            for slot in 0..self.stage.lent.len() {
                self.stage.queue(u16::try_from(slot).unwrap())?;
            }
            self.stage.start()
        }

        fn serve(&mut self) {
            let event = match self.stage.dequeue() {
                Ok(None) => return,
                Ok(Some(frame)) => {
                    self.stage.queue(frame.slot).unwrap();
                    if frame.damaged {
                        self.damaged += 1;
                        Event::Damaged
                    } else {
                        self.frames += 1;
                        Event::Frame
                    }
                }
                Err(error) => Event::Failed(error),
            };
            self.supervisor.observe(event, self.stage.now());
        }
    }

    fn write(path: &str, text: &str) {
        std::fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    fn open_files() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    fn threads() -> usize {
        std::fs::read_dir("/proc/self/task").unwrap().count()
    }

    /// `struct v4l2_control`
    #[repr(C)]
    struct Control {
        id: u32,
        value: i32,
    }

    /// Linux, drivers/media/test-drivers/vivid: `VIVID_CID_DISCONNECT`. The device is gone for whoever has it
    /// open, and back when the last of them has closed it.
    const DISCONNECT: u32 = 0x00f0_f000 + 65;

    nix::ioctl_readwrite!(set_control, b'V', 28, Control);

    fn disconnect() {
        let other = std::fs::File::options()
            .read(true)
            .write(true)
            .open(CAMERA)
            .unwrap();
        let mut control = Control {
            id: DISCONNECT,
            value: 1,
        };
        // SAFETY: the request reads and writes one control, which lives across the call.
        unsafe { set_control(std::os::fd::AsRawFd::as_raw_fd(&other), &raw mut control) }.unwrap();
    }

    fn mappings() -> usize {
        std::fs::read_to_string("/proc/self/maps")
            .unwrap()
            .lines()
            .count()
    }

    mod plain {
        use super::*;

        #[test]
        #[ignore = "inside the guest"]
        fn the_model_sees_the_right_colours_in_every_format() {
            if here("plain") {
                let several = ["NM12", "NM21", "NM16", "YM12", "YM21"];
                shows_colour_bars_to_the_model(Io::Auto, &[&several[..], &PACKED_10].concat());
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn slots_of_ours_keep_the_contract() {
            if here("plain") {
                keeps_the_contract(Io::Userptr);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn buffers_of_the_driver_keep_the_contract() {
            if here("plain") {
                keeps_the_contract(Io::Mmap);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn buffers_that_the_driver_exports_keep_the_contract() {
            if here("plain") {
                assert_eq!(open(PixelFormat::Nv12, Io::Dmabuf).io(), "dmabuf");
                keeps_the_contract(Io::Dmabuf);
                shows_colour_bars(Io::Dmabuf);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn buffers_of_a_dma_heap_keep_the_contract() {
            if here("plain") {
                let io = open(PixelFormat::Nv12, Io::DmaHeap).io();
                assert_eq!(io, "dma-heap, heap system");
                keeps_the_contract(Io::DmaHeap);
                shows_colour_bars(Io::DmaHeap);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn copied_buffers_keep_the_contract() {
            if here("plain") {
                let camera = open(PixelFormat::Nv12, Io::Copy);
                assert_eq!(
                    (camera.slot_home(), camera.io().as_str()),
                    (SlotHome::Caller, "copy")
                );
                keeps_the_contract(Io::Copy);
                shows_colour_bars(Io::Copy);
                loses_nothing(PixelFormat::Nv12, Io::Copy);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn a_thousand_losses_of_the_device_leave_files_maps_slots_and_threads_as_they_were() {
            if here("plain") {
                let kinds = [Io::Userptr, Io::Mmap, Io::Dmabuf, Io::DmaHeap, Io::Copy];
                for io in kinds {
                    let mut stage = streaming(PixelFormat::Grey, io);
                    stage.next_frame();
                    let slots = stage.source.slots().to_vec();
                    let before = (open_files(), mappings(), threads());
                    let begin = stage.now();
                    for _ in 0..200 {
                        disconnect();
                        let error = loop {
                            match stage.dequeue() {
                                Ok(Some(frame)) => stage.lent[usize::from(frame.slot)] = false,
                                Ok(None) => {}
                                Err(error) => break error,
                            }
                        };
                        assert_eq!(error.errno, nix::libc::ENODEV, "{io:?}: {error}");
                        stage.reopen().unwrap();
                        stage.queue_all();
                        stage.start().unwrap();
                        stage.next_frame();
                    }
                    assert_eq!(stage.source.slots(), slots);
                    let after = (open_files(), mappings(), threads());
                    assert_eq!(after, before, "{io:?}: files, maps, threads");
                    let ms = (stage.now() - begin) / NS_PER_MS;
                    println!("{io:?}: 200 losses in {ms} ms, {before:?} before and after");
                }
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn auto_prefers_slots_of_ours() {
            if here("plain") {
                let camera = open(PixelFormat::Nv12, Io::Auto);
                assert_eq!(
                    (camera.slot_home(), camera.io().as_str()),
                    (SlotHome::Caller, "userptr")
                );
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn colours_are_those_of_the_test_pattern() {
            if here("plain") {
                shows_colour_bars(Io::Userptr);
                shows_colour_bars(Io::Mmap);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn frames_come_without_a_gap_and_their_sums_close() {
            if here("plain") {
                runs(PixelFormat::Nv12, Io::Userptr, 150);
                loses_nothing(PixelFormat::Nv12, Io::Userptr);
                loses_nothing(PixelFormat::Yuyv, Io::Userptr);
                loses_nothing(PixelFormat::Nv12, Io::Mmap);
                loses_nothing(PixelFormat::Yuyv, Io::Mmap);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn a_camera_is_named_by_its_bus_and_a_name_of_several_lists_them() {
            if here("plain") {
                let asked = request(PixelFormat::Nv12);
                let cameras = pinsight::sys::v4l2::cameras();
                assert_eq!(cameras.len(), 2, "{cameras:?}");
                for camera in &cameras {
                    let answer = camera.answer.as_ref().unwrap();
                    let name = format!("bus:{}", answer.bus);
                    UnarmedCamera::open(Path::new(&name), &asked, Io::Auto)
                        .unwrap_or_else(|error| panic!("{error}"));
                }
                let card = &cameras[0].answer.as_ref().unwrap().card;
                let name = format!("card:{card}");
                let error = UnarmedCamera::open(Path::new(&name), &asked, Io::Auto).unwrap_err();
                let text = error.to_string();
                assert!(text.contains("found 2 cameras of this name"), "{text}");
                for camera in &cameras {
                    assert!(text.contains(camera.node.to_str().unwrap()), "{text}");
                }
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn controls_are_set_checked_read_back_and_set_again_after_a_reopening() {
            if here("plain") {
                // Other checks look at this camera's colours: they are put back.
                let _reset = Setting::new("brightness=128", "brightness=128,test_pattern=0");
                let setting = |name: &str, value| ControlSetting {
                    name: name.to_owned(),
                    value,
                };
                let value_now = |name: &str| {
                    let cameras = pinsight::sys::v4l2::cameras();
                    let answer = cameras[0].answer.as_ref().unwrap();
                    let control = answer.controls.iter().find(|c| c.name == name);
                    control.expect("the control").value
                };
                let mut camera = open(PixelFormat::Nv12, Io::Mmap);
                let pattern = ControlValue::Item("100% Colorbar".to_owned());
                let wanted = [
                    setting("brightness", ControlValue::Number(77)),
                    setting("test-pattern", pattern),
                ];
                camera
                    .set_controls(&wanted)
                    .unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(value_now("brightness"), Some(77));
                for (name, value, words) in [
                    (
                        "brightness",
                        ControlValue::Number(256),
                        "controls.brightness: found 256, expected 0 to 255",
                    ),
                    (
                        "test-pattern",
                        ControlValue::Item("Plaid".to_owned()),
                        "controls.test-pattern: found \"Plaid\", expected 0 \"75% Colorbar\", 1 \"100% Colorbar\"",
                    ),
                    (
                        "brightnes",
                        ControlValue::Number(1),
                        "controls.brightnes: found no such control, expected one of brightness, contrast",
                    ),
                ] {
                    let mut other = open(PixelFormat::Nv12, Io::Mmap);
                    let error = other.set_controls(&[setting(name, value)]).unwrap_err();
                    assert!(error.to_string().contains(words), "{error}");
                }
                let mut stage = arm(camera, SLOTS, Clock::Real);
                let mut other = Command::new("v4l2-ctl");
                let status = other.args(["-d", CAMERA, "-c", "brightness=10"]).status();
                assert!(status.unwrap().success());
                assert_eq!(value_now("brightness"), Some(10));
                stage.reopen().unwrap();
                assert_eq!(value_now("brightness"), Some(77));
                assert_eq!(value_now("test-pattern"), Some(1));
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn what_the_camera_does_not_offer_is_refused_with_what_it_does() {
            if here("plain") {
                let path = Path::new(CAMERA);
                let asked = request(PixelFormat::Nv12);
                let refuse = |asked: CameraRequest| {
                    let error = UnarmedCamera::open(path, &asked, Io::Auto).unwrap_err();
                    println!("{error}");
                    (error.to_string(), error.kind)
                };
                let (text, kind) = refuse(CameraRequest {
                    width_px: 1000,
                    height_px: 700,
                    ..asked
                });
                assert!(matches!(
                    kind,
                    CameraErrorKind::Size {
                        expected_px: (1000, 700),
                        ..
                    }
                ));
                assert!(text.contains("1920x1080"), "{text}");
                let (text, kind) = refuse(CameraRequest {
                    rate_hz: 31.0,
                    ..asked
                });
                assert!(matches!(
                    kind,
                    CameraErrorKind::Rate {
                        expected_mhz: 31_000,
                        ..
                    }
                ));
                assert!(text.contains("30"), "{text}");
                let error = refuse(CameraRequest {
                    crop: Some([0, 0, 640, 360]),
                    ..asked
                });
                assert!(error.0.contains("cannot crop"), "{}", error.0);
                let absent = Path::new("/dev/video99");
                let error = UnarmedCamera::open(absent, &asked, Io::Auto).unwrap_err();
                println!("{error}");
                assert!(error.to_string().contains("/dev/video1 (vivid"), "{error}");
                let error =
                    UnarmedCamera::open(Path::new("/dev/null"), &asked, Io::Auto).unwrap_err();
                assert_eq!(error.kind, CameraErrorKind::NotV4l2);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn a_camera_in_use_names_the_process_that_uses_it() {
            if here("plain") {
                let mut other = Command::new("v4l2-ctl")
                    .args(["-d", CAMERA, "--stream-mmap", "--stream-count=10000"])
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                let asked = request(PixelFormat::Nv12);
                let mut said = String::new();
                for _ in 0..100 {
                    match UnarmedCamera::open(Path::new(CAMERA), &asked, Io::Auto) {
                        Ok(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
                        Err(error) => {
                            said = error.to_string();
                            break;
                        }
                    }
                }
                other.kill().unwrap();
                other.wait().unwrap();
                println!("{said}");
                assert!(
                    said.contains(&format!("process {} (v4l2-ctl)", other.id())),
                    "{said}"
                );
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn the_list_of_cameras_has_their_formats_sizes_and_rates() {
            if here("plain") {
                let list = cameras();
                assert_eq!(list.len(), 2);
                let answer = list[0].answer.as_ref().unwrap();
                assert_eq!(
                    (answer.card.as_str(), answer.driver.as_str()),
                    ("vivid", "vivid")
                );
                assert_eq!(answer.bus, "platform:vivid-000");
                let format = answer
                    .formats
                    .iter()
                    .find(|format| &format.fourcc == b"NV12")
                    .unwrap();
                let size = format
                    .sizes
                    .iter()
                    .find(|size| size.most_px == (1920, 1080))
                    .unwrap();
                assert!(size.rates_hz.contains(&30.0), "{size:?}");
                assert!(
                    answer
                        .formats
                        .iter()
                        .any(|format| &format.fourcc == b"YUYV")
                );
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn damaged_buffers_and_total_loss_of_frames_are_survived() {
            if here("plain") {
                let mut watch = Watch::new(Io::Userptr);
                watch.until_frames(10);
                control("inject_v4l2_buf_flag_error=1");
                watch.until("a damaged frame", |watch| watch.damaged >= 1);
                watch.until_frames(10);
                let counts = *watch.supervisor.counts();
                assert_eq!(counts.damage_runs, 0, "one damaged frame restarts nothing");
                assert_eq!(counts.restarts, 1 + counts.time_outs, "{counts:?}");
                let none = Setting::new(
                    "percentage_of_dropped_buffers=100",
                    "percentage_of_dropped_buffers=0",
                );
                watch.until("a time-out", |watch| {
                    watch.supervisor.counts().time_outs >= 2
                });
                drop(none);
                watch.until_frames(10);
                assert_eq!(watch.supervisor.trouble(), None);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn calls_that_fail_on_the_way_are_survived() {
            if here("plain") {
                for io in [Io::Userptr, Io::Mmap] {
                    let mut watch = Watch::new(io);
                    watch.until_frames(5);
                    // Each is a call of a restart or a reopening, which the error asks for.
                    for (fault, errno) in [
                        ("inject_vidioc_qbuf_error", nix::libc::EIO),
                        ("inject_vidioc_streamon_error", nix::libc::EIO),
                        ("inject_vidioc_reqbufs_error", nix::libc::ENODEV),
                    ] {
                        let failures = watch.supervisor.counts().failed_attempts;
                        control(&format!("{fault}=1"));
                        let _ = watch.stage.stop();
                        let error = SourceError::new("test", errno);
                        watch
                            .supervisor
                            .observe(Event::Failed(error), watch.stage.now());
                        watch.until("a failed attempt", |watch| {
                            watch.supervisor.counts().failed_attempts > failures
                        });
                        watch.until_frames(5);
                    }
                    control("inject_fatal_streaming_error=1");
                    let restarts = watch.supervisor.counts().restarts;
                    watch.until("a restart", |watch| {
                        watch.supervisor.counts().restarts > restarts
                    });
                    watch.until_frames(5);
                }
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn a_camera_that_is_gone_comes_back_by_what_it_is() {
            if here("plain") {
                let driver = "/sys/bus/platform/drivers/vivid";
                let _hot = heap::register_hot().unwrap();
                let _guard = heap::guard_on();
                for io in [Io::Userptr, Io::Mmap] {
                    let mut watch = Watch::new(io);
                    watch.until_frames(5);
                    let (files, maps) = (open_files(), mappings());
                    for _ in 0..3 {
                        let (failed, reopens) = (
                            watch.supervisor.counts().failed_attempts,
                            watch.supervisor.counts().reopens,
                        );
                        write(&format!("{driver}/unbind"), "vivid.0");
                        let before = heap::thread_counts().calls;
                        watch.until("an attempt in vain", |watch| {
                            watch.supervisor.counts().failed_attempts > failed
                        });
                        let quiet = heap::thread_counts().calls == before;
                        assert!(quiet, "losing a camera enters the heap");
                        write(&format!("{driver}/bind"), "vivid.0");
                        let before = heap::thread_counts().calls;
                        watch.until("a reopening", |watch| {
                            watch.supervisor.counts().reopens > reopens
                        });
                        watch.until_frames(5);
                        let quiet = heap::thread_counts().calls == before;
                        assert!(quiet, "a reopened camera enters the heap");
                    }
                    println!("{io:?}: {:?}", watch.supervisor.counts());
                    assert_eq!(
                        (open_files(), mappings()),
                        (files, maps),
                        "nothing is left behind"
                    );
                }
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn a_sequence_number_that_wraps_is_followed_and_a_false_clock_not_believed() {
            if here("plain") {
                let wrapping = Setting::new("wrap_sequence_number=1", "wrap_sequence_number=0");
                let [first, last] = runs(PixelFormat::Nv12, Io::Userptr, 200);
                assert!(
                    last < first,
                    "the number wraps on the way from {first} to {last}"
                );
                drop(wrapping);
                let _wrapping = Setting::new("wrap_timestamp=1", "wrap_timestamp=0");
                let mut stage = streaming(PixelFormat::Nv12, Io::Userptr);
                let mut continuity = Continuity::new(stage.source.format().interval_ns);
                continuity.restarted(stage.now());
                for _ in 0..60 {
                    let frame = stage.next_frame();
                    let now = stage.now();
                    assert!(continuity.judge(&frame, now).capture_ns <= now);
                    stage.queue(frame.slot).unwrap();
                }
                println!("{:?}", continuity.counts());
            }
        }
    }

    mod dma_contig {
        use super::*;

        #[test]
        #[ignore = "inside the guest"]
        fn auto_falls_back_to_the_drivers_buffers_and_says_why() {
            if here("dma_contig") {
                let camera = open(PixelFormat::Nv12, Io::Auto);
                println!("{}", camera.io());
                assert_eq!(camera.slot_home(), SlotHome::Source);
                let io = camera.io();
                assert!(io.starts_with("mmap (no userptr: VIDIOC_REQBUFS"), "{io}");
                // The virtual machine's memory is cached, whoever asks for it.
                let measured = io.split("the driver's buffers are cached, read at ").nth(1);
                let rate = measured.and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
                assert!(rate.is_some_and(|rate| rate > 0), "{io}");
                loses_nothing(PixelFormat::Nv12, Io::Auto);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn slots_of_ours_are_refused_with_the_setting_to_change() {
            if here("dma_contig") {
                let asked = request(PixelFormat::Nv12);
                let error =
                    UnarmedCamera::open(Path::new(CAMERA), &asked, Io::Userptr).unwrap_err();
                println!("{error}");
                assert!(matches!(
                    error.kind,
                    CameraErrorKind::Io {
                        expected: "userptr",
                        ..
                    }
                ));
                assert!(error.to_string().contains("`io`"), "{error}");
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn buffers_of_the_driver_keep_the_contract() {
            if here("dma_contig") {
                keeps_the_contract(Io::Auto);
                shows_colour_bars(Io::Auto);
                keeps_the_contract(Io::Dmabuf);
                shows_colour_bars(Io::Copy);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn memory_in_many_pieces_is_refused_with_the_setting_to_change() {
            if here("dma_contig") {
                let asked = request(PixelFormat::Nv12);
                let error =
                    UnarmedCamera::open(Path::new(CAMERA), &asked, Io::DmaHeap).unwrap_err();
                println!("{error}");
                assert!(error.to_string().contains("io = \"dma-heap\""), "{error}");
            }
        }
    }

    mod multi_planar {
        use super::*;

        #[test]
        #[ignore = "inside the guest"]
        fn slots_of_ours_and_buffers_of_the_driver_keep_the_contract() {
            if here("multi_planar") {
                assert_eq!(
                    open(PixelFormat::Nv12, Io::Auto).io(),
                    "userptr, multi-planar"
                );
                keeps_the_contract(Io::Userptr);
                keeps_the_contract(Io::Mmap);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn planes_of_their_own_memory_become_one_picture() {
            if here("multi_planar") {
                for (pixel, by) in [
                    (PixelFormat::Nv12m, "userptr"),
                    (PixelFormat::Yu12m, "userptr"),
                    // vivid leaves room before the samples of each of its planes.
                    (PixelFormat::Nv16m, "copy"),
                ] {
                    let io = open(pixel, Io::Auto).io();
                    println!("{pixel:?}: {io}");
                    assert!(io.starts_with(&format!("{by}, multi-planar")), "{io}");
                    loses_nothing(pixel, Io::Auto);
                }
                for io in [Io::Userptr, Io::Copy] {
                    contract::check(&format!("NM12 {io:?}"), || {
                        arm(open(PixelFormat::Nv12m, io), SLOTS, Clock::Real)
                    });
                    shows_bars_of(PixelFormat::Nv12m, io);
                }
                for io in [Io::Mmap, Io::Dmabuf, Io::DmaHeap] {
                    let asked = request(PixelFormat::Nv12m);
                    let error = UnarmedCamera::open(Path::new(CAMERA), &asked, io).unwrap_err();
                    println!("{error}");
                    assert!(
                        error.to_string().contains("several memory planes"),
                        "{error}"
                    );
                }
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn the_model_sees_the_right_colours_in_every_format() {
            if here("multi_planar") {
                // Those of several memory planes are written into one slot where they fit, else copied.
                shows_colour_bars_to_the_model(Io::Auto, &PACKED_10);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn samples_begin_where_the_driver_says() {
            if here("multi_planar") {
                for pixel in USUAL {
                    let mut stage = streaming(pixel, Io::Userptr);
                    let frame = stage.next_frame();
                    println!(
                        "{pixel:?}: data_offset {}, {:?}",
                        frame.offset_bytes,
                        stage.source.format()
                    );
                }
                shows_colour_bars(Io::Userptr);
                shows_colour_bars(Io::Mmap);
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn frames_come_without_a_gap_and_their_sums_close() {
            if here("multi_planar") {
                runs(PixelFormat::Yuyv, Io::Userptr, 60);
                loses_nothing(PixelFormat::Nv12, Io::Userptr);
                loses_nothing(PixelFormat::Yuyv, Io::Mmap);
            }
        }
    }

    /// Of a device that shows a part of its picture: vivid's HDMI input.
    mod cropped {
        use super::*;

        fn request(crop: [u32; 4]) -> CameraRequest {
            CameraRequest {
                crop: Some(crop),
                rate_hz: 60.0,
                ..super::request(PixelFormat::Nv12)
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn a_part_of_the_sensor_is_shown_in_the_asked_size_and_again_after_a_reopening() {
            if here("cropped") {
                let _bars = Setting::new(
                    "test_pattern=1,osd_text_mode=2",
                    "test_pattern=0,osd_text_mode=0",
                );
                // The third and fourth of eight bars: cyan and green.
                let asked = request([320, 0, 320, 720]);
                let camera = UnarmedCamera::open(Path::new(CAMERA), &asked, Io::Auto)
                    .unwrap_or_else(|error| panic!("{error}"));
                let mut stage = arm(Box::new(camera), SLOTS, Clock::Real);
                for _ in 0..2 {
                    stage.queue_all();
                    stage.start().unwrap();
                    let frame = stage.next_frame();
                    let format = stage.source.format();
                    assert_eq!((format.width_px, format.height_px), (1280, 720));
                    let picture = stage.picture(&frame);
                    let pixel = |x| read_pixel(&format, picture, x, 360).unwrap();
                    let [left, right] = [pixel(160), pixel(1120)];
                    let all_of = |found: Ycbcr, from: u32| {
                        (from..from + 480).step_by(16).all(|x| pixel(x) == found)
                    };
                    assert!(left != right && all_of(left, 64) && all_of(right, 736));
                    // Somebody else shows the whole of it meanwhile.
                    stage.stop().unwrap();
                    let whole = "target=crop,left=0,top=0,width=1280,height=720";
                    let mut other = Command::new("v4l2-ctl");
                    let status = other
                        .args(["-d", CAMERA, "--set-selection", whole])
                        .status();
                    assert!(status.unwrap().success());
                    stage.reopen().unwrap();
                }
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn a_part_that_there_is_not_is_refused_with_the_bounds() {
            if here("cropped") {
                let asked = request([1000, 0, 640, 360]);
                let error = UnarmedCamera::open(Path::new(CAMERA), &asked, Io::Auto).unwrap_err();
                println!("{error}");
                let text = error.to_string();
                for words in ["crop = [1000, 0, 640, 360]", "a part of [0, 0, 1280, 720]"] {
                    assert!(text.contains(words), "{text}");
                }
            }
        }
    }

    mod denied {
        use super::*;

        #[test]
        #[ignore = "inside the guest"]
        fn a_camera_without_permission_says_so() {
            if here("denied") {
                let asked = request(PixelFormat::Nv12);
                let error = UnarmedCamera::open(Path::new(CAMERA), &asked, Io::Auto).unwrap_err();
                println!("{error}");
                assert_eq!(error.kind, CameraErrorKind::Denied);
                assert!(error.to_string().contains("group"), "{error}");
            }
        }
    }

    mod not_capture {
        use super::*;

        #[test]
        #[ignore = "inside the guest"]
        fn nodes_that_do_not_capture_are_refused_and_the_camera_named() {
            if here("not_capture") {
                let list = cameras();
                assert!(
                    list.iter().filter(|camera| camera.captures()).count() == 1,
                    "{list:?}"
                );
                let others: Vec<_> = list.iter().filter(|camera| !camera.captures()).collect();
                assert_eq!(others.len(), 2, "an output and a metadata node: {list:?}");
                for other in others {
                    let asked = request(PixelFormat::Nv12);
                    let error = UnarmedCamera::open(&other.node, &asked, Io::Auto).unwrap_err();
                    println!("{error}");
                    assert!(
                        matches!(error.kind, CameraErrorKind::NotCapture { .. }),
                        "{error}"
                    );
                    assert!(
                        error.to_string().contains("cameras here: /dev/video"),
                        "{error}"
                    );
                }
            }
        }

        #[test]
        #[ignore = "inside the guest"]
        fn the_capture_node_beside_them_works() {
            if here("not_capture") {
                let node = cameras()
                    .into_iter()
                    .find(|camera| camera.captures())
                    .unwrap()
                    .node;
                let asked = request(PixelFormat::Nv12);
                let camera = UnarmedCamera::open(&node, &asked, Io::Auto).unwrap();
                let mut stage = arm(Box::new(camera), SLOTS, Clock::Real);
                stage.queue_all();
                stage.start().unwrap();
                stage.next_frame();
            }
        }
    }
}
