//! `pinsight snapshot`, with cameras that need no kernel: the picture shows what the camera was given.

#[path = "capture/stage.rs"]
mod stage;

use pinsight::capture::synthetic::pattern::read_number;
use pinsight::frame::PixelFormat;
use pinsight::profile::{Container, Feed};
use pinsight::sys::io::stream::{StreamConfig, UnarmedStream};
use stage::{Clock, arm};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A board with two cameras: colour bars, and a picture of `photo.png` beside the profile.
const BOARD: &str = r#"
name = "desk"

[memory]
budget-mib = 64

[[camera]]
name = "bars"
source = "pattern"
format = "NV12"
width-px = 640
height-px = 360
rate-hz = 100

[[camera]]
name = "photo"
source = "image"
path = "photo.png"
pan-px = 0
format = "YUYV"
width-px = 320
height-px = 240
rate-hz = 100

[[model]]
name = "none"
path = "not-read.tflite"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
decoder = "classify"
labels = ["anything"]

[[worker]]
name = "detector"
cores = [0]
model = "none"
"#;

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new(format_of_bars: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let board = BOARD.replacen("\"NV12\"", &format!("\"{format_of_bars}\""), 1);
        std::fs::write(folder.path().join("board.toml"), board).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn snapshot(&self, camera: &str, out: &Path) -> Output {
        self.clip(camera, 2, out)
    }

    fn clip(&self, camera: &str, frames: u32, out: &Path) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["snapshot", "--frames", &frames.to_string()])
            .args(["--camera", camera, "--board"])
            .arg(self.path("board.toml"))
            .arg(out)
            .output()
            .unwrap()
    }

    /// The picture that a camera gives.
    #[track_caller]
    fn picture(&self, camera: &str) -> image::RgbImage {
        let out = self.path("out.png");
        let output = self.snapshot(camera, &out);
        assert!(output.status.success(), "{}", said(&output));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(camera) && said.contains("out.png"), "{said}");
        image::open(out).unwrap().into_rgb8()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn near(found: &image::Rgb<u8>, expected: [u8; 3], tolerance: u8) {
    let near = found
        .0
        .iter()
        .zip(expected)
        .all(|(f, e)| f.abs_diff(e) <= tolerance);
    assert!(near, "found {found:?}, expected {expected:?}");
}

#[test]
fn colour_bars_have_their_colours_in_each_format() {
    // 75 % of full scale; 8 bits of limited-range Y'CbCr and back are off by 2 at most.
    const ON: u8 = 191;
    for format in ["NV12", "YUYV"] {
        let picture = Desk::new(format).picture("bars");
        assert_eq!(picture.dimensions(), (640, 360));
        for bar in 0..8 {
            let channel = |bit: u32| if bar & bit == 0 { ON } else { 0 };
            let expected = [channel(2), channel(4), channel(1)];
            // Below the number strip and above the moving block, and below that.
            for y in [60, 340] {
                near(picture.get_pixel(bar * 80 + 40, y), expected, 3);
            }
        }
    }
}

#[test]
fn the_whole_picture_is_shown_with_a_frame_around_the_region_and_what_the_models_get_is_said() {
    let desk = Desk::new("NV12\"\nregion = [100, 50, 320, 200]\nrotate = 90\nmirror = true\n#");
    let out = desk.path("out.png");
    let output = desk.snapshot("bars", &out);
    assert!(output.status.success(), "{}", said(&output));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = "the models get the framed 320x200 at 100,50, turned by 90 degrees, mirrored";
    assert!(told.contains(words), "{told}");
    let picture = image::open(out).unwrap().into_rgb8();
    assert_eq!(picture.dimensions(), (640, 360));
    let frame = image::Rgb([255, 0, 255]);
    for (x, y) in [(99, 120), (420, 120), (250, 49), (250, 250)] {
        assert_eq!(picture.get_pixel(x, y), &frame, "at {x},{y}");
    }
    // The region, and what is around the frame, is untouched.
    for (x, y) in [(40, 60), (200, 51)] {
        assert_ne!(picture.get_pixel(x, y), &frame, "at {x},{y}");
    }
}

#[test]
fn a_photograph_comes_out_as_it_went_in() {
    let desk = Desk::new("NV12");
    let colours = [[200, 40, 30], [20, 120, 220]];
    image::RgbImage::from_fn(320, 240, |x, _| image::Rgb(colours[usize::from(x >= 160)]))
        .save(desk.path("photo.png"))
        .unwrap();
    let picture = desk.picture("photo");
    assert_eq!(picture.dimensions(), (320, 240));
    for (x, expected) in [(80, colours[0]), (240, colours[1])] {
        near(picture.get_pixel(x, 120), expected, 4);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_exit_code_and_no_picture_is_left() {
    let desk = Desk::new("NV12");
    let out = desk.path("out.png");
    let no_folder = desk.path("no-such-folder/out.png");
    let other_name = desk.path("out.jpg");
    let cases = [
        ("bars", &other_name, 2, "ends in .png, .y4m or .mjpeg"),
        ("door", &out, 2, "bars, photo"),
        ("photo", &out, 5, "photo.png"),
        ("bars", &no_folder, 7, "no-such-folder"),
    ];
    for (camera, out, code, word) in cases {
        let output = desk.snapshot(camera, out);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(word), "{word:?} is not in {said}");
        assert!(!out.exists());
    }
}

#[test]
fn a_clip_of_a_camera_is_a_camera_that_shows_the_same() {
    const FRAMES: u32 = 6;
    let desk = Desk::new("NV12");
    let out = desk.path("clip.y4m");
    let output = desk.clip("bars", FRAMES, &out);
    assert!(output.status.success(), "{}", said(&output));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("6 frames are in "), "{told}");
    let unarmed = UnarmedStream::open(&StreamConfig {
        feed: Feed::File(out),
        container: Container::Y4m,
        repeat: false,
        pixel: PixelFormat::Nv12,
        size_px: Some((640, 360)),
        interval_ns: None,
        wait_ns: None,
    })
    .unwrap();
    let mut stage = arm(Box::new(unarmed), 8, Clock::Simulated(1_000_000_000));
    let format = stage.source.format();
    assert_eq!(format.interval_ns, 10_000_000);
    stage.queue_all();
    stage.start().unwrap();
    let mut last = None;
    for _ in 0..FRAMES {
        let frame = stage.next_frame();
        // The bars carry their number: it is the camera's, and each frame is a later one.
        let number = read_number(&format, stage.picture(&frame)).expect("the strip is whole");
        assert!(last < Some(number), "{last:?}, then {number}");
        last = Some(number);
    }
    let now = stage.now() + 1_000_000_000;
    assert_eq!(
        stage.source.dequeue(now),
        Ok(pinsight::capture::Dequeue::Ended)
    );
}

#[test]
fn a_clip_that_cannot_be_is_refused() {
    let desk = Desk::new("RGB3");
    for (name, frames, code, words) in [
        (
            "clip.y4m",
            3,
            5,
            "found format RGB3, expected one of 8-bit luma",
        ),
        ("clip.mjpeg", 3, 5, "and MJPG for *.mjpeg"),
    ] {
        let output = desk.clip("bars", frames, &desk.path(name));
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
        assert!(!desk.path(name).exists());
    }
    let desk = Desk::new("NV12");
    let output = desk.clip("bars", 100_000, &desk.path("clip.y4m"));
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let words = "--frames: found 100000, expected at most ";
    assert!(said(&output).contains(words), "{}", said(&output));
}
