//! Frames that come: by each way of buffers, without a gap, in the right colours.

use crate::inside::bars::{PACKED_10, shows_colour_bars, shows_colour_bars_to_the_model};
use crate::inside::camera::{here, open};
use crate::inside::running::{keeps_the_contract, loses_nothing, runs};
use pinsight::capture::{SlotHome, UnarmedSource};
use pinsight::frame::PixelFormat;
use pinsight::profile::Io;

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
