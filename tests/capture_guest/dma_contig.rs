//! Of a driver that takes no memory of ours.

use crate::inside::bars::shows_colour_bars;
use crate::inside::camera::{CAMERA, here, open, request};
use crate::inside::running::{keeps_the_contract, loses_nothing};
use pinsight::capture::{SlotHome, UnarmedSource as _};
use pinsight::frame::PixelFormat;
use pinsight::profile::Io;
use pinsight::sys::device::v4l2::{CameraErrorKind, UnarmedCamera};
use std::path::Path;

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
        let error = UnarmedCamera::open(Path::new(CAMERA), &asked, Io::Userptr).unwrap_err();
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
        let error = UnarmedCamera::open(Path::new(CAMERA), &asked, Io::DmaHeap).unwrap_err();
        println!("{error}");
        assert!(error.to_string().contains("io = \"dma-heap\""), "{error}");
    }
}
