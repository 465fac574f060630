//! The commands beside `run`, and what a run leaves to be read.

use crate::scenario;

#[test]
#[ignore = "needs the guest: make test"]
fn results_recorded_in_the_guest_are_read_back() {
    let scenario = scenario("recording");
    let results = scenario.proof().number("/cameras/0/inferred");
    assert_eq!(
        scenario.text("read-back.exit").trim(),
        "0",
        "{}",
        scenario.text("read-back.stderr")
    );
    let lines = scenario
        .text("read-back")
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count() as u64;
    assert!(lines >= results, "{lines} lines for {results} results");
}

#[test]
#[ignore = "needs the guest: make test"]
fn each_result_is_one_line_of_json_while_the_program_runs() {
    let scenario = scenario("userptr_nv12");
    let results = scenario.proof().number("/cameras/0/inferred");
    // The model of this board gives each frame a class, and so a line.
    assert_eq!(scenario.results().len() as u64, results);
}

#[test]
#[ignore = "needs the guest: make test"]
fn check_prints_the_budget_and_starts_nothing() {
    let scenario = scenario("check_command");
    scenario.ended_with(0);
    let said = scenario.text("stdout").to_lowercase();
    for word in ["budget", "door", "node"] {
        assert!(
            said.contains(word),
            "check should name {word:?}\n{}",
            scenario.said()
        );
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_profile_that_probe_writes_has_every_camera_and_check_accepts_it() {
    let scenario = scenario("probe_writes_profile");
    scenario.ended_with(0);
    let profile = scenario.text("mine.toml");
    for line in [
        "device = \"/dev/video0\"",
        "device = \"/dev/video1\"",
        "format = \"NV12\"",
        "width-px = 1920",
        "rate-hz = 30",
        "cores = [3]",
    ] {
        assert!(
            profile.lines().any(|found| found == line),
            "{line}\n{profile}"
        );
    }
    let said = scenario.text("check");
    assert_eq!(scenario.text("check.exit").trim(), "0", "{said}");
    assert!(said.contains("board mine fits this machine"), "{said}");
}

#[test]
#[ignore = "needs the guest: make test"]
fn probe_lists_nodes_hugepages_and_each_camera_with_its_formats() {
    let scenario = scenario("probe_command");
    scenario.ended_with(0);
    let said = scenario.text("stdout");
    for word in [
        "/dev/video0",
        "/dev/video1",
        "vivid",
        "NV12",
        "YUYV",
        "1920x1080",
        "hugepage",
        "io userptr  taken",
        "io mmap     cached, read at ",
        "io dmabuf   cached, read at ",
        "io dma-heap heap system: cached, read at ",
    ] {
        assert!(
            said.to_lowercase().contains(&word.to_lowercase()),
            "probe should name {word:?}\n{}",
            scenario.said()
        );
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn the_shipped_vivid_profile_runs_as_it_is() {
    scenario("shipped_profile").proof().frames_were_seen(60);
}
