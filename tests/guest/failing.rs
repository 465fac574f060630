//! Cameras that fail, and come back.

use crate::evidence::Proof;
use crate::{came_back, exit, fault, nothing_happened_after_ready, took_nothing};

fn restarts(proof: &Proof) -> u64 {
    proof.number("/cameras/0/restarts")
}

fn reopens(proof: &Proof) -> u64 {
    proof.number("/cameras/0/reopens")
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_buffer_with_the_error_flag_is_a_damaged_frame_and_the_stream_goes_on() {
    let scenario = fault("buffer_error");
    let proof = came_back(&scenario);
    assert_eq!(proof.number("/cameras/0/dropped/damaged"), 1);
    assert_eq!((restarts(&proof), reopens(&proof)), (0, 0));
    nothing_happened_after_ready(&proof);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_buffer_that_the_driver_refuses_costs_a_restart_of_the_stream() {
    let scenario = fault("queue_error");
    let proof = came_back(&scenario);
    assert!(restarts(&proof) >= 1);
    assert_eq!(reopens(&proof), 0);
    scenario.stderr_names(&["VIDIOC_QBUF", "door"]);
    took_nothing(&scenario);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_fatal_streaming_error_costs_a_restart_of_the_stream() {
    let scenario = fault("fatal_streaming");
    let proof = came_back(&scenario);
    assert!(restarts(&proof) >= 1);
    assert_eq!(reopens(&proof), 0);
    took_nothing(&scenario);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_camera_that_is_gone_is_opened_again_and_nothing_is_left_behind() {
    for (name, io) in [("disconnect", "userptr"), ("disconnect_mmap", "mmap")] {
        let scenario = fault(name);
        let proof = came_back(&scenario);
        assert_eq!(proof.word("/cameras/0/io"), io);
        assert_eq!(reopens(&proof), 1, "{name}");
        scenario.stderr_names(&["camera door: the device is gone", "frames arrive again"]);
        took_nothing(&scenario);
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_camera_that_is_gone_again_and_again_leaves_files_memory_and_threads_as_they_were() {
    let scenario = fault("disconnect_again_and_again");
    assert_eq!(reopens(&came_back(&scenario)), 6);
    took_nothing(&scenario);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_stream_that_falls_silent_is_restarted_until_frames_come() {
    let scenario = fault("silence");
    assert!(restarts(&came_back(&scenario)) >= 1);
    scenario.stderr_names(&["camera door: it delivers no frames"]);
    took_nothing(&scenario);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_node_that_disappears_and_comes_back_is_found_again() {
    let scenario = fault("unbind");
    assert_eq!(reopens(&came_back(&scenario)), 1);
    took_nothing(&scenario);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_call_that_fails_on_the_way_back_is_tried_again() {
    for name in [
        "disconnect_then_reqbufs_error",
        "disconnect_then_streamon_error",
    ] {
        let scenario = fault(name);
        assert!(reopens(&came_back(&scenario)) >= 1, "{name}");
        took_nothing(&scenario);
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_camera_that_is_gone_does_not_hold_up_another_one() {
    let scenario = fault("one_of_two");
    let proof = came_back(&scenario);
    assert_eq!((restarts(&proof), reopens(&proof)), (0, 0), "of the other");
    assert!(proof.number("/cameras/1/reopens") >= 1);
    // The other one comes back only behind these.
    let (before, after) = (
        scenario.number("door.before"),
        scenario.number("door.after"),
    );
    assert!(after >= before + 60, "{before} results, then {after}");
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_camera_that_comes_after_the_start_is_taken_in() {
    let scenario = fault("late_camera");
    let proof = came_back(&scenario);
    assert_eq!(proof.word("/cameras/1/name"), "door");
    assert_eq!((restarts(&proof), reopens(&proof)), (0, 0), "of the other");
    assert_eq!(proof.number("/cameras/1/reopens"), 1);
    assert!(proof.number("/cameras/1/inferred") > 0);
    let (before, after) = (
        scenario.number("door.before"),
        scenario.number("door.after"),
    );
    assert!(after >= before + 20, "{before} results of it, then {after}");
    scenario.stderr_names(&["camera door: it is not there; watching without it"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn counters_that_pass_their_largest_value_are_followed() {
    for name in ["wrapped_sequence", "wrapped_timestamp"] {
        let proof = fault(name).proof();
        proof.frames_were_seen(150);
        // A wrap taken for a gap would be four thousand million frames, or centuries.
        let lost = proof.number("/cameras/0/lost_in_driver");
        assert!(lost < 1_000_000, "{name}: {lost}");
        let longest = proof.number("/latency_ns/capture_to_result/max");
        assert!(longest < 60_000_000_000, "{name}: {longest} ns");
        assert_eq!((restarts(&proof), reopens(&proof)), (0, 0), "{name}");
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_stream_that_does_not_start_at_first_is_a_camera_fault() {
    fault("start_fails")
        .ended_with(exit::CAMERA)
        .stderr_names(&["VIDIOC_STREAMON", "door"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_driver_that_refuses_our_memory_at_the_last_moment_gives_its_own() {
    let scenario = fault("late_refusal");
    let proof = scenario.proof();
    assert_eq!(proof.word("/cameras/0/io"), "mmap");
    proof.frames_were_seen(30);
    scenario.stderr_names(&["door", "refuses userptr", "mmap"]);
    fault("late_refusal_userptr")
        .ended_with(exit::CAMERA)
        .stderr_names(&["VIDIOC_QBUF", "door"]);
}
