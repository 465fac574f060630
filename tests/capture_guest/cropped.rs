//! Of a device that shows a part of its picture: vivid's HDMI input.

use crate::contract::SLOTS;
use crate::inside::camera::{self, CAMERA, Setting, here};
use crate::stage::{Clock, arm};
use pinsight::capture::Ycbcr;
use pinsight::capture::synthetic::pattern::read_pixel;
use pinsight::frame::PixelFormat;
use pinsight::profile::Io;
use pinsight::sys::device::v4l2::{CameraRequest, UnarmedCamera};
use std::path::Path;
use std::process::Command;

fn request(crop: [u32; 4]) -> CameraRequest {
    CameraRequest {
        crop: Some(crop),
        rate_hz: 60.0,
        ..camera::request(PixelFormat::Nv12)
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
            let all_of =
                |found: Ycbcr, from: u32| (from..from + 480).step_by(16).all(|x| pixel(x) == found);
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
