//! Ends that were not planned: threads that hang or die, and what the run still tells.

mod running;

use running::{Running, recorded};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// The demo board with these faults until `end`, which is given the recording: the run's output, and its proof.
fn run_with(faults: &str, end: impl FnOnce(Running, &Path) -> Output) -> (Output, Value) {
    let dir = tempfile::tempdir().unwrap();
    let (board, proof) = (dir.path().join("board.toml"), dir.path().join("proof.json"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = std::fs::read_to_string(root.join("boards/demo.toml")).unwrap();
    // The frames before the fault are judged, however late a busy machine comes to them.
    let demo = demo
        .replace("../.cache", root.join(".cache").to_str().unwrap())
        .replace("max-age-ms = 100", "max-age-ms = 60000");
    std::fs::write(&board, demo).unwrap();
    let recording = dir.path().join("record");
    let run = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--board", board.to_str().unwrap()])
            .args(["--faults", faults])
            .args(["--proof", proof.to_str().unwrap()])
            .args(["--record", recording.to_str().unwrap()]),
    );
    let output = end(run, &recording);
    let proof = std::fs::read(&proof).expect("what there is is proved");
    (output, serde_json::from_slice(&proof).unwrap())
}

/// It ended with the code for faults of its own, named the thread, and showed the proof.
#[track_caller]
fn told(output: &Output, words: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains(words), "{message}");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("PROOF  board demo"), "{shown}");
}

/// Whether a thread of this name sleeps for a fixed time, as nothing but the fault `hang` makes it do.
fn hangs(process: u32, thread: &str) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of = |task: &Path, file: &str| std::fs::read_to_string(task.join(file));
    tasks.flatten().any(|task| {
        let task = task.path();
        let named = of(&task, "comm").is_ok_and(|name| name.trim_end() == thread);
        named && {
            // Number of the system call, and its arguments.
            let call = of(&task, "syscall").expect("this process may look at its child");
            call.split(' ').next() == Some(&nix::libc::SYS_clock_nanosleep.to_string())
        }
    })
}

#[test]
fn a_thread_that_hangs_is_named_after_the_deadline_and_the_proof_is_given() {
    let (output, proof) = run_with("seed=1,hang=0.2", |mut run, recording| {
        let process = run.id();
        run.until("the hang, and the frames before it", |_| {
            hangs(process, "capture0") && !recorded(recording).is_empty()
        });
        run.stop()
    });
    told(
        &output,
        "thread capture0 did not end within 10 s of the stop: a driver, a model or a disk holds it up",
    );
    let camera = &proof["cameras"][0];
    assert_eq!(camera["identity_holds"], true, "{camera}");
    assert!(camera["inferred"].as_u64().unwrap() > 0, "{camera}");
    assert_eq!(proof["latency_ns"]["invoke"]["count"], camera["inferred"]);
}

#[test]
fn a_thread_that_dies_costs_nobody_else_s_proof() {
    let (output, proof) = run_with("seed=1,die=0.01", |run, _| run.end());
    told(
        &output,
        "thread capture0 (as the plan of faults asked for) died; please report it",
    );
    let message = String::from_utf8_lossy(&output.stderr);
    let line = message
        .lines()
        .find(|line| line.contains("Z error: thread"));
    let line = line.unwrap_or_else(|| panic!("the log says it too: {message}"));
    assert!(
        line.contains("capture0 died at src/capture/faults.rs:"),
        "{line}"
    );
    let camera = &proof["cameras"][0];
    assert_eq!(camera["identity_holds"], true, "{camera}");
    assert!(camera["inferred"].as_u64().unwrap() > 0, "{camera}");
    assert_eq!(proof["latency_ns"]["invoke"]["count"], camera["inferred"]);
}

#[test]
fn a_file_that_never_moves_again_does_not_hold_the_end_up_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (board, proof) = (dir.path().join("board.toml"), dir.path().join("proof.json"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = std::fs::read_to_string(root.join("boards/demo.toml")).unwrap();
    // Housekeeping may be late by some seconds, and not by the whole run.
    let demo = demo
        .replace("../.cache", root.join(".cache").to_str().unwrap())
        .replace("queue-results = 64", "queue-results = 150");
    std::fs::write(&board, demo).unwrap();
    // A terminal whose line is full holds its writer up as a disk that stands still does.
    let still = nix::pty::openpty(None, None).unwrap();
    let run = Running::start_with(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--frames", "250", "--results", "-"])
            .args(["--board", board.to_str().unwrap()])
            .args(["--proof", proof.to_str().unwrap()])
            .stdout(still.slave),
    );
    let output = run.end();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    let words =
        "thread disk did not end within 10 s of the stop: a driver, a model or a disk holds it up";
    assert!(message.contains(words), "{message}");
    let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    assert_eq!(proof["cameras"][0]["inferred"], 250);
    assert_eq!(proof["results_lost"], 0);
    let lost = proof["files"][0]["lost"].as_u64().unwrap();
    assert!(lost >= 1, "{}", proof["files"]);
}
