//! Nothing is lost without a count, and every stage is timed.

use crate::{nothing_happened_after_ready, scenario};
use serde_json::Value;

#[test]
#[ignore = "needs the guest: make test"]
fn the_drivers_sequence_is_followed_without_gaps() {
    let proof = scenario("loses_nothing").proof();
    proof.frames_were_seen(45);
    // The driver itself skips a number when its own thread, emulated here, comes late: the scenario has
    // several attempts. What the program would lose, it would lose in each.
    assert_eq!(
        proof.number("/cameras/0/lost_in_driver"),
        0,
        "{:#}",
        proof.at("/cameras")
    );
}

#[test]
#[ignore = "needs the guest: make test"]
fn each_number_of_the_driver_is_a_frame_or_a_counted_loss() {
    for name in [
        "userptr_nv12",
        "mmap_yuyv",
        "dropped_by_driver",
        "held_up",
        "future_stamps",
    ] {
        let scenario = scenario(name);
        scenario.proof().numbers_add_up(0, &scenario.results());
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn eight_cameras_of_1080p_at_once_keep_their_ledgers_and_take_nothing_after_ready() {
    let scenario = scenario("eight_cameras");
    let (proof, results) = (scenario.proof(), scenario.results());
    let cameras = proof.at("/cameras").as_array().map_or(0, Vec::len);
    assert_eq!(cameras, 8);
    for camera in 0..cameras {
        proof.ledger_closes(camera);
        // The driver skips the numbers that it comes too late for itself: each is a frame or a loss.
        proof.numbers_add_up(camera, &results);
        let inferred = proof.number(&format!("/cameras/{camera}/inferred"));
        assert!(inferred >= 20, "{:#}", proof.at("/cameras"));
        assert_eq!(proof.word(&format!("/cameras/{camera}/io")), "userptr");
    }
    nothing_happened_after_ready(&proof);
    let captures = proof.at("/threads").as_array().map_or(0, |threads| {
        let name = |thread: &Value| thread["name"].as_str().map(str::to_owned);
        let named = threads.iter().filter_map(name);
        named.filter(|name| name.starts_with("capture")).count()
    });
    assert_eq!(captures, 2, "four cameras on each thread");
}

#[test]
#[ignore = "needs the guest: make test"]
fn frames_that_the_driver_drops_are_counted_and_the_ledger_closes() {
    let proof = scenario("dropped_by_driver").proof();
    proof.ledger_closes(0);
    // One of four, at random, of more than 300 frames.
    let lost = proof.number("/cameras/0/lost_in_driver");
    assert!(lost >= 40, "{lost} lost:\n{:#}", proof.at("/cameras"));
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_camera_that_delivers_less_than_agreed_is_diagnosed_once_in_the_log_and_in_the_proof() {
    let scenario = scenario("dropped_by_driver");
    let words = "instead of 30.0; the others are lost between camera and memory";
    let log = scenario.text("stderr");
    assert_eq!(log.matches(words).count(), 1, "{log}");
    let proof = scenario.proof();
    let warnings = proof.at("/warnings").to_string();
    let told = warnings
        .split("camera door: it delivers ")
        .nth(1)
        .unwrap_or_else(|| panic!("{warnings}"));
    assert!(told.contains(words), "{warnings}");
    // Three of four, or fewer where the driver itself comes late.
    let rate_hz = told
        .split(' ')
        .next()
        .and_then(|rate| rate.parse::<f64>().ok());
    assert!(
        rate_hz.is_some_and(|rate_hz| rate_hz > 0.0 && rate_hz < 27.0),
        "{warnings}"
    );
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_program_that_was_held_up_counts_what_it_missed_and_goes_on_with_the_same_stream() {
    let proof = scenario("held_up").proof();
    proof.ledger_closes(0);
    // Eight seconds of 30 frames, less the buffers that the driver still had.
    let lost = proof.number("/cameras/0/lost_in_driver");
    assert!(lost >= 220, "{lost} lost:\n{:#}", proof.at("/cameras"));
    assert_eq!(proof.number("/cameras/0/restarts"), 0, "it was no silence");
}

#[test]
#[ignore = "needs the guest: make test"]
fn time_stamps_from_the_future_spoil_no_statistics() {
    let proof = scenario("future_stamps").proof();
    proof.frames_were_seen(60);
    for stage in ["capture_to_dequeue", "capture_to_result"] {
        assert!(
            proof.number(&format!("/latency_ns/{stage}/count")) > 0,
            "{:#}",
            proof.at("/latency_ns")
        );
        // A difference that wrapped below zero would be centuries.
        let longest = proof.number(&format!("/latency_ns/{stage}/max"));
        assert!(longest < 60_000_000_000, "{stage}: {longest} ns");
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn every_stage_of_every_result_is_timed() {
    let proof = scenario("userptr_nv12").proof();
    let results = proof.number("/cameras/0/inferred");
    for stage in [
        "capture_to_dequeue",
        "dequeue_to_lease",
        "preprocess",
        "invoke",
        "postprocess",
        "capture_to_result",
    ] {
        let of = |key: &str| proof.number(&format!("/latency_ns/{stage}/{key}"));
        assert!(
            of("count") >= results,
            "{stage}: {} of {results} timed",
            of("count")
        );
        assert!(
            of("p50") <= of("p90")
                && of("p90") <= of("p99")
                && of("p99") <= of("p999")
                && of("p999") <= of("max"),
            "{stage}"
        );
    }
}
