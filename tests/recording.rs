//! Recordings over several runs of the program.

mod running;

use pinsight::record::{FileHeader, FrameResult, RECORD_BYTES, Reading, Recording};
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
fn a_record_an_event_and_a_result_have_the_time_of_their_capture() {
    use nix::time::{ClockId, clock_gettime};
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (record, events, results) = (of("record"), of("events"), of("results"));
    let ns = |clock| {
        let time = clock_gettime(clock).unwrap();
        i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec())
    };
    let ahead = || {
        let pairs = (0..50).map(|_| {
            let before = ns(ClockId::CLOCK_MONOTONIC);
            let utc = ns(ClockId::CLOCK_REALTIME);
            let width = ns(ClockId::CLOCK_MONOTONIC) - before;
            (width, utc - before - width / 2)
        });
        pairs.min().unwrap().1
    };
    let before = ahead();
    let files = [
        "--record",
        &record,
        "--events",
        &events,
        "--results",
        &results,
    ];
    run(&[&["--frames", "60"][..], &files].concat(), 0);
    // A clock that is steered meanwhile, and the milliseconds that a line cuts.
    let doubt = (ahead() - before).abs() + 2_000_000;

    let reading = Reading::open(Path::new(&record)).unwrap();
    let records = reading.records();
    assert!(records.len() >= 60);
    for record in &records {
        let utc = i128::from(record.utc_ns.to_native());
        let found = utc - i128::from(record.capture_ns.to_native());
        assert!((found - before).abs() < doubt, "{found} {before}");
    }
    let utc_ms_of: std::collections::BTreeMap<u64, u64> = records
        .iter()
        .map(|record| {
            (
                record.sequence.to_native(),
                record.utc_ns.to_native() / 1_000_000,
            )
        })
        .collect();
    for file in [&events, &results] {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.lines().count() > 0, "{file}");
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let utc_ms = line["utc_ms"].as_u64().unwrap();
            assert_eq!(
                utc_ms,
                utc_ms_of[&line["sequence"].as_u64().unwrap()],
                "{line}"
            );
            let time = line["time"].as_str().unwrap();
            let ms = format!(".{:03}Z", utc_ms % 1000);
            assert!(time.len() == 24 && time.ends_with(&ms), "{line}");
        }
    }
}

#[test]
fn a_clock_that_was_set_is_seen_in_the_records() {
    let dir = tempfile::tempdir().unwrap();
    for (name, capture_time) in [("new", true), ("of an earlier version", false)] {
        let path = dir.path().join(name);
        let header = FileHeader {
            capacity: 8,
            capture_time,
            ..FileHeader::default()
        };
        let (mut recording, _) = Recording::open(&path, &header, 1).unwrap();
        let mut result = FrameResult::default();
        // One hour back, and then steered by what a minute may bring.
        for (capture_ns, utc_ns) in [
            (1_000_000_000, 1_700_000_000_000_000_000),
            (2_000_000_000, 1_700_000_001_000_000_000),
            (3_000_000_000, 1_699_996_402_000_000_000),
            (4_000_000_000, 1_699_996_403_030_000_000),
        ] {
            result.stamps.capture_ns = capture_ns;
            recording.append(&result, utc_ns).unwrap();
        }
        let output = pinsight(&["results", path.to_str().unwrap()]);
        let text = String::from_utf8_lossy(&output.stdout);
        let set = text.lines().filter(|line| line.contains("clock was set"));
        let expected: &[&str] = if capture_time {
            &["run 1: the clock was set by -3600.000 s"]
        } else {
            &[]
        };
        assert_eq!(set.collect::<Vec<_>>(), expected, "{text}");
        assert!(text.contains("2023-11-14T22:13:20.000Z"), "{text}");
    }
}

#[test]
fn a_capacity_that_nothing_is_of_costs_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("r.pins");
    let capacity = 10_000_000_u64;
    let json = format!(
        r#"{{"board":"b","version":"1","cameras":[],"models":[],"labels":[],"capacity":{capacity},"record_bytes":{RECORD_BYTES}}}"#
    );
    let mut bytes = b"PINSREC3".to_vec();
    bytes.extend(u32::try_from(json.len()).unwrap().to_le_bytes());
    bytes.extend(crc32c::crc32c(json.as_bytes()).to_le_bytes());
    bytes.extend(json.as_bytes());
    std::fs::write(&record, bytes).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&record);
    file.unwrap()
        .set_len(8192 + capacity * RECORD_BYTES as u64)
        .unwrap();
    // 400 MB of address space: the program and its libraries have room, and 4 GB have not.
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 400000; exec \"$0\" results \"$1\""])
        .arg(env!("CARGO_BIN_EXE_pinsight"))
        .arg(&record)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("0 records whole, 0 damaged, 10000000 cells empty"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_recording_without_headers_is_read_moved_aside_and_never_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.pins");
    let record = path.to_str().unwrap();
    run(&["--frames", "3", "--record", record], 0);
    for aside in ["r.pins.damaged", "r.pins.damaged.1"] {
        let mut disk = std::fs::read(&path).unwrap();
        let second = disk.len() - 8192;
        disk[40] ^= 1;
        disk[second + 40] ^= 1;
        std::fs::write(&path, &disk).unwrap();
        let (_, message) = run(&["--frames", "3", "--record", record], 0);
        assert!(
            message.contains("begun anew; found damaged headers"),
            "{message}"
        );
        let aside = dir.path().join(aside);
        assert!(std::fs::read(&aside).unwrap() == disk);
        let read = pinsight(&["results", aside.to_str().unwrap()]);
        let (text, said) = (
            String::from_utf8_lossy(&read.stdout),
            String::from_utf8_lossy(&read.stderr),
        );
        assert!(text.contains("3 records whole, 0 damaged"), "{text}{said}");
        assert!(said.contains("its headers are damaged"), "{said}");
    }
}

#[test]
fn a_recording_that_vanishes_while_it_is_written_is_made_anew_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (record, proof) = (dir.path().join("r.pins"), dir.path().join("proof"));
    let mut running = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .args(["run", "--board", "boards/demo.toml", "--record"])
            .arg(&record)
            .arg("--proof")
            .arg(&proof),
    );
    let held = || Reading::open(&record).map_or(0, |reading| reading.summary().valid);
    running.until("a record", |_| held() > 0);
    std::fs::remove_file(&record).unwrap();
    running.until_logged("--record: the file vanished");
    running.until("a record in the new file", |_| held() > 0);
    let file = std::fs::OpenOptions::new().write(true).open(&record);
    file.unwrap().set_len(0).unwrap();
    running.until_logged("--record: the file was cut short");
    running.until("a record in it again", |_| held() > 0);
    assert_eq!(running.stop().status.code(), Some(0));
    let proof = std::fs::read(&proof).unwrap();
    let proof: serde_json::Value = serde_json::from_slice(&proof).unwrap();
    assert_eq!(proof["files"][0]["replaced"], 2, "{}", proof["files"]);
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
