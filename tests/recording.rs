//! Recordings over several runs of the program.

mod running;

use pinsight::record::Reading;
use running::Running;
use std::path::Path;
use std::process::{Command, Output};

fn pinsight(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pinsight"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .args(arguments)
        .output()
        .expect("the program starts")
}

#[track_caller]
fn run(arguments: &[&str], code: i32) -> (String, String) {
    let output = pinsight(&[&["run", "--board", "boards/demo.toml"], arguments].concat());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{message}");
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        message,
    )
}

#[test]
fn the_next_run_continues_the_recording_and_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("r.pins");
    let record = record.to_str().unwrap();
    let (_, message) = run(&["--frames", "5", "--record", record], 0);
    assert!(
        message.contains(&format!("recording {record}: new")),
        "{message}"
    );
    let (proof, message) = run(&["--frames", "3", "--record", record, "--proof", "-"], 0);
    assert!(
        message.contains("continued behind 5 records, as run 2"),
        "{message}"
    );
    let proof: serde_json::Value = serde_json::from_str(&proof).expect("the proof, and no more");
    assert_eq!(proof["cameras"][0]["inferred"], 3);
    assert!(message.contains("PROOF  board demo"), "{message}");

    let read_back = pinsight(&["results", record]);
    let text = String::from_utf8_lossy(&read_back.stdout).into_owned();
    assert!(text.contains("8 records whole, 0 damaged"), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "run 1: the first one here");
    assert_eq!(lines[6], "run 2: the program had started anew");
    assert!(
        lines[5].starts_with("4 utc_ms ") && lines[7].starts_with("5 utc_ms "),
        "{text}"
    );
}

#[test]
fn a_run_that_is_killed_loses_nothing_that_it_had_written() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("r.pins");
    let mut child = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .args(["run", "--board", "boards/demo.toml", "--record"])
            .arg(&record),
    );
    let held = || Reading::open(&record).map_or(0, |reading| reading.summary().valid);
    child.until("five records", |_| held() >= 5);
    // Killed where it is.
    drop(child);
    let before = held();
    let record = record.to_str().unwrap();
    run(&["--frames", "2", "--record", record], 0);
    let reading = Reading::open(Path::new(record)).unwrap();
    assert_eq!(
        (reading.summary().valid, reading.summary().damaged),
        (before + 2, 0)
    );
    let numbers = reading.records().into_iter().map(|r| r.number.to_native());
    assert!(numbers.eq(0..before + 2), "no number is missing or twice");
}

#[test]
fn files_that_cannot_be_written_are_known_before_cameras_and_memory() {
    for option in ["--results", "--events", "--record", "--proof"] {
        let (_, message) = run(&["--frames", "1", option, "/nowhere/file"], 7);
        assert!(message.contains("/nowhere/file"), "{message}");
        assert!(
            message.contains("name a file in a directory that exists"),
            "{message}"
        );
        assert!(
            !message.contains("budget-mib"),
            "nothing was armed: {message}"
        );
    }
}

#[test]
fn one_standard_output_for_two_things_is_refused() {
    let (_, message) = run(&["--results", "-", "--proof", "-"], 2);
    assert!(
        message.contains("--proof and --results both name -"),
        "{message}"
    );
}
