//! Of a driver with several planes.

use crate::contract::{self, SLOTS};
use crate::inside::bars::{
    PACKED_10, shows_bars_of, shows_colour_bars, shows_colour_bars_to_the_model,
};
use crate::inside::camera::{CAMERA, USUAL, here, open, request, streaming};
use crate::inside::running::{keeps_the_contract, loses_nothing, runs};
use crate::stage::{Clock, arm};
use pinsight::capture::UnarmedSource as _;
use pinsight::frame::PixelFormat;
use pinsight::profile::Io;
use pinsight::sys::device::v4l2::UnarmedCamera;
use std::path::Path;

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
