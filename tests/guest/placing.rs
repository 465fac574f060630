//! Capture from each kind of driver, and where the slots lie.

use crate::evidence::Scenario;
use crate::{exit, scenario};

const NV12_1080P_BYTES: u64 = 1920 * 1080 * 3 / 2;

/// Asserts that a picture shows vivid's 100 % colour bars, on three lines, in the middle of each bar.
#[track_caller]
fn shows_colour_bars(scenario: &Scenario) {
    const BARS: [[u8; 3]; 8] = [
        [255, 255, 255],
        [255, 255, 0],
        [0, 255, 255],
        [0, 255, 0],
        [255, 0, 255],
        [255, 0, 0],
        [0, 0, 255],
        [0, 0, 0],
    ];
    // 8 bits of limited-range Y'CbCr and back: an exact decoder is off by 3 at most.
    const TOLERANCE: u8 = 6;
    scenario.ended_with(0);
    let picture = image::open(scenario.folder.join("picture.png"))
        .expect("the snapshot is a picture")
        .into_rgb8();
    assert_eq!(picture.dimensions(), (1920, 1080));
    for y in [100, 540, 1000] {
        for (bar, expected) in (0..).zip(BARS) {
            let found = picture.get_pixel(bar * 240 + 120, y).0;
            let near = found
                .iter()
                .zip(expected)
                .all(|(f, e)| f.abs_diff(e) <= TOLERANCE);
            assert!(
                near,
                "bar {bar}, line {y}: found {found:?}, expected {expected:?}"
            );
        }
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn userptr_carries_1080p30_nv12_for_hundreds_of_frames() {
    let proof = scenario("userptr_nv12").proof();
    assert_eq!(proof.word("/cameras/0/io"), "userptr");
    proof.frames_were_seen(300);
}

#[test]
#[ignore = "needs the guest: make test"]
fn frame_slots_lie_in_hugepages_of_the_named_node_and_no_other() {
    let scenario = scenario("userptr_nv12");
    let huge = scenario.observed("ready").huge_bytes;
    // At least driver-slots = 6 frames, each in a slot of whole pages.
    assert!(
        huge.get(&1)
            .is_some_and(|&bytes| bytes >= 6 * NV12_1080P_BYTES),
        "hugepages by node: {huge:?}"
    );
    assert_eq!(
        huge.keys().collect::<Vec<_>>(),
        [&1],
        "hugepages by node: {huge:?}"
    );
    assert_eq!(
        scenario.proof().number("/memory/hugepage_bytes"),
        huge[&1],
        "the proof says what the kernel says"
    );
}

#[test]
#[ignore = "needs the guest: make test"]
fn slots_named_for_node_0_lie_on_node_0() {
    let huge = scenario("userptr_yuyv").observed("ready").huge_bytes;
    assert_eq!(
        huge.keys().collect::<Vec<_>>(),
        [&0],
        "hugepages by node: {huge:?}"
    );
}

#[test]
#[ignore = "needs the guest: make test"]
fn two_cameras_have_their_slots_on_two_nodes() {
    let scenario = scenario("two_nodes");
    let huge = scenario.observed("ready").huge_bytes;
    for node in [0, 1] {
        assert!(
            huge.get(&node)
                .is_some_and(|&bytes| bytes >= 6 * NV12_1080P_BYTES),
            "hugepages by node: {huge:?}"
        );
    }
    let proof = scenario.proof();
    for camera in [0, 1] {
        proof.ledger_closes(camera);
        assert!(
            proof.number(&format!("/cameras/{camera}/inferred")) > 0,
            "{:#}",
            proof.at("/cameras")
        );
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn mmap_carries_1080p30_yuyv_for_hundreds_of_frames() {
    let proof = scenario("mmap_yuyv").proof();
    assert_eq!(proof.word("/cameras/0/io"), "mmap");
    proof.frames_were_seen(300);
}

#[test]
#[ignore = "needs the guest: make test"]
fn userptr_carries_yuyv() {
    let proof = scenario("userptr_yuyv").proof();
    assert_eq!(proof.word("/cameras/0/io"), "userptr");
    proof.frames_were_seen(60);
}

#[test]
#[ignore = "needs the guest: make test"]
fn mmap_carries_nv12() {
    let proof = scenario("mmap_nv12").proof();
    assert_eq!(proof.word("/cameras/0/io"), "mmap");
    proof.frames_were_seen(60);
}

#[test]
#[ignore = "needs the guest: make test"]
fn auto_io_takes_userptr_where_the_driver_does() {
    assert_eq!(scenario("auto_io").proof().word("/cameras/0/io"), "userptr");
}

#[test]
#[ignore = "needs the guest: make test"]
fn auto_io_falls_back_to_mmap_where_the_driver_refuses_userptr_and_says_so() {
    let scenario = scenario("auto_io_refused");
    let proof = scenario.proof();
    assert_eq!(proof.word("/cameras/0/io"), "mmap");
    proof.frames_were_seen(60);
    scenario.stderr_names(&["userptr", "mmap"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn userptr_on_a_driver_that_refuses_it_is_a_camera_fault_that_names_the_setting() {
    scenario("userptr_refused")
        .ended_with(exit::CAMERA)
        .stderr_names(&["userptr", "io", "door"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn nv12_in_hugepages_is_decoded_to_the_right_colours() {
    shows_colour_bars(&scenario("colours_nv12"));
}

#[test]
#[ignore = "needs the guest: make test"]
fn yuyv_in_the_drivers_buffers_is_decoded_to_the_right_colours() {
    shows_colour_bars(&scenario("colours_yuyv"));
}
