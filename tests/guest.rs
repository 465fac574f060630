//! Pinsight on a machine with real V4L2 cameras, NUMA nodes and hugepages: the guest of `tests/vm`.
//!
//! The guest is booted twice: for cameras that work, and for cameras that fail. Each time a script in it
//! carries out named scenarios and leaves their exit codes, words and proofs; each test here asserts one
//! promise about them. Where the guest cannot be had, every test fails and says why.

#[path = "guest/commands.rs"]
mod commands;
#[path = "guest/counting.rs"]
mod counting;
#[path = "guest/ending.rs"]
mod ending;
#[path = "vm/evidence.rs"]
mod evidence;
#[path = "guest/failing.rs"]
mod failing;
#[path = "guest/placing.rs"]
mod placing;
#[path = "guest/quiet.rs"]
mod quiet;

use evidence::{Boot, Proof, Scenario};
use std::sync::OnceLock;

/// Exit codes of the program, as its `--help` documents them.
mod exit {
    pub const MACHINE: i32 = 4;
    pub const CAMERA: i32 = 5;
}

/// A scenario of `tests/vm/checks/capture.sh`, from the boot that all tests share.
#[track_caller]
fn scenario(name: &'static str) -> Scenario {
    capture().scenario(name)
}

fn capture() -> &'static Boot {
    static BOOT: OnceLock<Boot> = OnceLock::new();
    BOOT.get_or_init(|| Boot::run("capture"))
}

/// A scenario of `tests/vm/checks/faults.sh`, from the boot that all tests of faults share.
#[track_caller]
fn fault(name: &'static str) -> Scenario {
    static BOOT: OnceLock<Boot> = OnceLock::new();
    BOOT.get_or_init(|| Boot::run("faults")).scenario(name)
}

/// Asserts that the program's own count of what happened after ready is zero throughout.
#[track_caller]
fn nothing_happened_after_ready(proof: &Proof) {
    for count in [
        "heap_calls",
        "heap_growth_bytes",
        "minor_faults",
        "major_faults",
        "migrations",
    ] {
        assert_eq!(
            proof.number(&format!("/after_ready/{count}")),
            0,
            "{count}:\n{:#}",
            proof.at("/after_ready")
        );
    }
}

/// Asserts that results came again after a fault, that every camera's ledger closes over it, and that no
/// hot thread entered the heap for it. Gives the proof.
#[track_caller]
fn came_back(scenario: &Scenario) -> Proof {
    let proof = scenario.proof();
    let (before, back, end) = (
        scenario.number("results.before"),
        scenario.number("results.back"),
        scenario.number("results.end"),
    );
    assert!(
        before >= 20 && end >= back + 20,
        "results: {before} before, {back} when it was back, {end} at the end\n{}",
        scenario.said()
    );
    for camera in 0..proof.at("/cameras").as_array().map_or(0, Vec::len) {
        proof.ledger_closes(camera);
    }
    for count in [
        "heap_calls",
        "heap_growth_bytes",
        "major_faults",
        "migrations",
    ] {
        let found = proof.number(&format!("/after_ready/{count}"));
        assert_eq!(found, 0, "{count}:\n{:#}", proof.at("/after_ready"));
    }
    proof
}

/// Asserts that two looks at a program saw the same files open and the same address space.
#[track_caller]
fn took_nothing(scenario: &Scenario) {
    let (before, after) = (scenario.observed("before"), scenario.observed("after"));
    assert_eq!(before.open_files, after.open_files, "open files");
    assert_eq!(before.virtual_memory, after.virtual_memory, "address space");
    assert_eq!(before.huge_bytes, after.huge_bytes, "hugepages by node");
    assert_eq!(before.threads.len(), after.threads.len(), "threads");
}
