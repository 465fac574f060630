//! How runs end, and what is refused at the start.

use crate::evidence::{Boot, HUGEPAGE_BYTES};
use crate::{capture, exit, scenario};
use std::fs;

/// Asserts that each scenario of a boot left the free hugepages of each node as it found them.
#[track_caller]
fn gives_the_hugepages_back(boot: &Boot, at_least: usize) {
    let mut seen = 0;
    for entry in fs::read_dir(&boot.share).unwrap_or_else(|e| panic!("{e}: {:?}", boot.trouble)) {
        let folder = entry.expect("it can be listed").path();
        if let (Ok(before), Ok(after)) = (
            fs::read_to_string(folder.join("hugepages.before")),
            fs::read_to_string(folder.join("hugepages.after")),
        ) {
            let name = folder.display();
            assert_eq!(before, after, "free hugepages by node, {name}");
            seen += 1;
        }
    }
    assert!(seen >= at_least, "only {seen} scenarios were looked at");
}

#[test]
#[ignore = "needs the guest: make test"]
fn sigterm_and_sigint_end_with_the_proof_and_exit_0() {
    for name in ["stop_on_sigterm", "stop_on_sigint"] {
        let proof = scenario(name).proof();
        proof.frames_were_seen(1);
        assert_eq!(
            proof.number("/cameras/0/in_flight"),
            0,
            "{name}: no frame is left in flight"
        );
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn sigterm_before_ready_ends_the_program_by_the_signal_or_without_a_result() {
    // Before the first thread is started the signal ends it as a shell shows it; after that it is a run of no frames.
    let ended = scenario("stop_while_arming").text("exit");
    assert!(["143", "8"].contains(&ended.trim()), "{ended}");
}

#[test]
#[ignore = "needs the guest: make test"]
fn an_absent_camera_has_its_own_exit_code_and_is_named() {
    scenario("absent_camera")
        .ended_with(exit::CAMERA)
        .stderr_names(&["/dev/video9", "door"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_node_that_is_not_a_camera_is_refused_by_name() {
    scenario("not_a_camera")
        .ended_with(exit::CAMERA)
        .stderr_names(&["/dev/null", "door"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn too_few_hugepages_are_refused_with_the_setting_that_mends_it() {
    scenario("too_few_hugepages")
        .ended_with(exit::MACHINE)
        .stderr_names(&["hugepages", "node1"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn with_fallback_too_few_hugepages_mean_other_pages_and_it_is_said() {
    let scenario = scenario("fallback_pages");
    scenario.proof().frames_were_seen(60);
    scenario.stderr_names(&["hugepages"]);
    // The two pages that node 1 has do not hold a slot each: the arena is made of one kind of page.
    let huge = scenario.observed("ready").huge_bytes;
    assert!(
        huge.values().all(|&bytes| bytes <= 2 * HUGEPAGE_BYTES),
        "hugepages by node: {huge:?}"
    );
}

#[test]
#[ignore = "needs the guest: make test"]
fn every_end_gives_the_hugepages_back() {
    gives_the_hugepages_back(capture(), 15);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_board_can_be_started_again_and_again() {
    scenario("again_and_again").proof().frames_were_seen(10);
}
