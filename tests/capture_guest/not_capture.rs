//! Of V4L2 nodes that do not capture.

use crate::contract::SLOTS;
use crate::inside::camera::{here, request};
use crate::stage::{Clock, arm};
use pinsight::frame::PixelFormat;
use pinsight::profile::Io;
use pinsight::sys::device::v4l2::{CameraErrorKind, UnarmedCamera, cameras};

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
