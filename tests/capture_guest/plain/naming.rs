//! Cameras named, listed, set, and refused.

use crate::contract::SLOTS;
use crate::inside::camera::{CAMERA, Setting, here, open, request};
use crate::stage::{Clock, arm};
use pinsight::frame::PixelFormat;
use pinsight::profile::{ControlSetting, ControlValue, Io};
use pinsight::sys::device::v4l2::{CameraErrorKind, CameraRequest, UnarmedCamera, cameras};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
#[ignore = "inside the guest"]
fn a_camera_is_named_by_its_bus_and_a_name_of_several_lists_them() {
    if here("plain") {
        let asked = request(PixelFormat::Nv12);
        let cameras = pinsight::sys::device::v4l2::cameras();
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
            let cameras = pinsight::sys::device::v4l2::cameras();
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
        let error = UnarmedCamera::open(Path::new("/dev/null"), &asked, Io::Auto).unwrap_err();
        assert_eq!(error.kind, CameraErrorKind::NotV4l2);
    }
}

#[test]
#[ignore = "inside the guest"]
fn a_camera_in_use_names_the_process_that_uses_it() {
    if here("plain") {
        let mut other = Command::new("v4l2-ctl")
            .args(["-d", CAMERA, "--stream-mmap", "--stream-count=1000000"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let asked = request(PixelFormat::Nv12);
        let mut said = String::new();
        for _ in 0..10_000 {
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
            said.contains(&format!("v4l2-ctl (process {}) holds it", other.id())),
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
