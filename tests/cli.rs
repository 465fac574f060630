//! The program as its user meets it: arguments, messages, exit codes, files.

mod plugin;
mod running;

use running::{Running, recorded};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DEMO: &str = "boards/demo.toml";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pinsight(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pinsight"))
        .current_dir(repository())
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The demo profile with some of its text replaced, each exactly once; paths are made absolute.
fn profile(dir: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let mut text = std::fs::read_to_string(repository().join(DEMO)).unwrap();
    text = text.replace("../.cache", &repository().join(".cache").to_string_lossy());
    for (from, to) in changes {
        assert_eq!(
            text.matches(from).count(),
            1,
            "{from:?} stands once in the demo profile"
        );
        text = text.replace(from, to);
    }
    let path = dir.join("board.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs and checks a changed demo profile: both must refuse it with this code, and say these words in
/// one message.
#[track_caller]
fn refused(changes: &[(&str, &str)], expected: i32, words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let board = profile(dir.path(), changes);
    let proof = dir.path().join("proof.json");
    for command in ["check", "run"] {
        let mut arguments = vec![command, "--board", board.to_str().unwrap()];
        if command == "run" {
            arguments.extend(["--seconds", "1", "--proof", proof.to_str().unwrap()]);
        }
        let output = pinsight(&arguments);
        let message = stderr(&output);
        assert_eq!(code(&output), expected, "{command}: {message}");
        for word in words {
            assert!(
                message.contains(word),
                "{command}: {word:?} is not in {message}"
            );
        }
        assert!(!message.contains("panicked"), "{message}");
        assert_eq!(
            message.matches("pinsight: ").count(),
            1,
            "one message: {message}"
        );
    }
    assert!(!proof.exists(), "a run that did not start proves nothing");
}

#[test]
fn the_board_is_named_with_or_without_its_option_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let picture = dir.path().join("p.png");
    let picture = picture.to_str().unwrap();
    let nowhere = "boards/nowhere.toml";
    for arguments in [
        &["check", nowhere][..],
        &["check", "--board", nowhere],
        &["run", nowhere, "--frames", "3"],
        &["run", "--frames", "3", "--board", nowhere],
        &["snapshot", nowhere, "--camera", "photo", picture],
        &["snapshot", "--board", nowhere, "--camera", "photo", picture],
        &["output", nowhere, "buzzer"],
        &["output", "buzzer", "--board", nowhere],
    ] {
        let output = pinsight(arguments);
        assert_eq!(code(&output), 3, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(nowhere), "{}", stderr(&output));
    }
    for arguments in [
        &["check"][..],
        &["check", DEMO, "--board", DEMO],
        &["run", DEMO, "--board", DEMO],
        &["run", "--frames", "3"],
        &["snapshot", "--camera", "photo", picture],
        &["output", "buzzer"],
        &["output", DEMO, "buzzer", "--board", DEMO],
    ] {
        let output = pinsight(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn names_of_a_recording_do_not_act_on_the_terminal() {
    use pinsight::record::{FileHeader, RECORD_BYTES, Recording};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("forged");
    let forged = |name: &str| format!("{name}\u{1b}]0;mine\u{7}\u{9b}2J\u{202e}\n");
    let header = FileHeader {
        board: forged("board"),
        version: forged("version"),
        cameras: vec![forged("camera")],
        models: vec![forged("model")],
        labels: vec![vec![forged("label")]],
        capacity: 16,
        record_bytes: RECORD_BYTES as u64,
        capture_time: true,
    };
    drop(Recording::open(&path, &header, 1).unwrap());
    let output = pinsight(&["results", path.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let said = stdout(&output);
    assert!(
        said.contains("board board\\u{1b}]0;mine\\u{7}\\u{9b}2J\\u{202e}\\u{a}, "),
        "{said}"
    );
    let acts = |c: char| pinsight::shown::acts(c) && c != '\n';
    assert!(!said.chars().any(acts), "{said:?}");
    // A name of the command line comes back in a message.
    let output = pinsight(&["check", "boards/\u{1b}[2Jnowhere.toml"]);
    assert!(!stderr(&output).chars().any(acts), "{:?}", stderr(&output));
}

#[test]
fn a_wrong_key_is_a_profile_error_with_line_and_suggestion() {
    refused(
        &[("rate-hz = 30", "rate-herz = 30")],
        3,
        &["board.toml:", "rate-herz", "did you mean `rate-hz`?"],
    );
}

#[test]
fn a_wrong_type_is_a_profile_error() {
    refused(
        &[("rate-hz = 30", "rate-hz = \"fast\"")],
        3,
        &["rate-hz", "found \"fast\", expected"],
    );
}

#[test]
fn every_fault_of_a_profile_is_reported_at_once() {
    refused(
        &[
            ("rate-hz = 30", "rate-hz = 0"),
            ("threads = 1", "threads = 99"),
        ],
        3,
        &["rate-hz: found 0", "threads: found 99"],
    );
}

#[test]
fn a_profile_that_is_not_there_is_a_profile_error() {
    let output = pinsight(&["run", "--board", "boards/nowhere.toml"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("boards/nowhere.toml"));
}

#[test]
fn a_missing_photograph_is_a_camera_error() {
    refused(
        &[("astronaut.png", "nobody.png")],
        5,
        &["camera photo", "nobody.png"],
    );
}

#[test]
fn an_absent_camera_is_a_camera_error_that_says_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let vivid = std::fs::read_to_string(repository().join("boards/vivid.toml")).unwrap();
    let vivid = vivid.replace("../.cache", &repository().join(".cache").to_string_lossy());
    for device in [
        "/dev/video-that-is-not-there",
        "card:A camera that nobody makes",
        "bus:usb-on-the-moon",
    ] {
        let text = vivid.replace("/dev/video0", device);
        assert!(text.contains(&format!("device = \"{device}\"")), "{text}");
        let board = dir.path().join("board.toml");
        std::fs::write(&board, text).unwrap();
        for command in ["check", "run"] {
            let output = pinsight(&[command, "--board", board.to_str().unwrap()]);
            let message = stderr(&output);
            assert_eq!(code(&output), 5, "{message}");
            let words =
                format!("{device}: found no such device, expected a camera; cameras here: ");
            assert!(message.contains(&words), "{message}");
        }
    }
}

#[test]
fn a_missing_model_is_a_model_error() {
    refused(
        &[("face_detection_short_range.tflite", "no_such_model.tflite")],
        6,
        &["model face", "no_such_model.tflite"],
    );
}

#[test]
fn a_model_with_another_checksum_is_refused_with_both_sums() {
    let sum = "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633";
    let other = format!("00{}", &sum[2..]);
    refused(&[(sum, &other)], 6, &["model face", sum, &other]);
}

#[test]
fn a_file_that_is_no_model_is_refused_as_such() {
    use sha2::Digest as _;
    let photo = repository().join(".cache/photos/astronaut.png");
    let digest = sha2::Sha256::digest(std::fs::read(&photo).expect("make setup fetches it"));
    let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let model_sum = "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633";
    refused(
        &[
            (
                "models/face_detection_short_range.tflite",
                "photos/astronaut.png",
            ),
            (model_sum, &sum),
        ],
        6,
        &["model face", "astronaut.png", "TFL3"],
    );
}

#[test]
fn a_model_that_cannot_be_made_is_a_model_error_before_anything_runs() {
    use sha2::Digest as _;
    let dir = tempfile::tempdir().unwrap();
    let path = repository().join(".cache/models/face_detection_short_range.tflite");
    let mut model = std::fs::read(&path).expect("make setup fetches it");
    model.truncate(model.len() / 2);
    let cut = dir.path().join("cut.tflite");
    std::fs::write(&cut, &model).unwrap();
    let digest = sha2::Sha256::digest(&model);
    let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = path.to_string_lossy();
    let model_sum = "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633";
    refused(
        &[(&*name, &*cut.to_string_lossy()), (model_sum, &sum)],
        6,
        &[
            "model face: ",
            "cut.tflite: ",
            "refuses the file: it is damaged",
        ],
    );
    let decoder = "decoder = \"blazeface-short\"";
    for other in ["ssd", "yolo"] {
        let other = format!("decoder = \"{other}\"");
        refused(
            &[(decoder, &other)],
            6,
            &["model face: decoder \"", ": found "],
        );
    }
    let plugin = "delegate = { plugin = \"/nowhere/npu.so\" }";
    refused(
        &[("delegate = \"xnnpack\"", plugin)],
        6,
        &["model face: ", "delegate /nowhere/npu.so "],
    );
}

#[test]
fn what_kills_the_program_while_a_model_is_made_leaves_its_name_in_the_last_line() {
    use std::os::unix::process::ExitStatusExt as _;
    let plugin = plugin::compile();
    let dir = tempfile::tempdir().unwrap();
    let delegate = format!(
        "delegate = {{ plugin = \"{}\", options = {{ mode = \"die\" }} }}",
        plugin.path.display()
    );
    let board = profile(dir.path(), &[("delegate = \"xnnpack\"", &delegate)]);
    for command in ["check", "run"] {
        let output = pinsight(&[command, "--board", board.to_str().unwrap()]);
        assert_eq!(output.status.signal(), Some(11), "{}", stderr(&output));
        let said = stderr(&output);
        // What is no line of the log is the library's own.
        let is_ours = |line: &&str| line.contains("Z info: ") || line.contains("Z warning: ");
        let last = said.lines().rfind(is_ours);
        assert!(
            last.is_some_and(|line| line.contains("Z info: ")
                && line.contains("face_detection_short_range.tflite: TensorFlow Lite ")),
            "{said}"
        );
    }
}

#[test]
fn values_that_cannot_be_are_counted_in_the_proof() {
    let plugin = plugin::compile();
    let dir = tempfile::tempdir().unwrap();
    let delegate = |value: &str| {
        format!(
            "delegate = {{ plugin = \"{}\", options = {{ mode = \"take\", value = \"{value}\" }} }}",
            plugin.path.display()
        )
    };
    // No face, and then nothing that could be one.
    for (value, some) in [("-100", false), ("nan", true)] {
        let board = profile(dir.path(), &[("delegate = \"xnnpack\"", &delegate(value))]);
        let proof = dir.path().join("proof.json");
        let output = pinsight(&[
            "run",
            "--board",
            board.to_str().unwrap(),
            "--frames",
            "4",
            "--proof",
            proof.to_str().unwrap(),
        ]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
        let values = proof["values_refused"]["face"].as_u64().unwrap();
        assert_eq!(values > 0, some, "{values}");
        let text = format!("note: model face: {values} values or boxes of its outputs cannot be");
        assert_eq!(stdout(&output).contains(&text), some, "{}", stdout(&output));
        let said = stderr(&output);
        let line = "values or boxes that cannot be (NaN, infinite";
        assert_eq!(said.contains(line), some, "{said}");
    }
}

#[test]
fn check_says_what_the_board_gets_in_a_delegates_place() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = "delegate = { plugin = \"/nowhere/npu.so\" }";
    let changes = [
        ("delegate = \"xnnpack\"", plugin),
        ("on-failure = \"refuse\"", "on-failure = \"builtin\""),
    ];
    let board = profile(dir.path(), &changes);
    let checked = pinsight(&["check", "--board", board.to_str().unwrap()]);
    assert_eq!(code(&checked), 0, "{}", stderr(&checked));
    // Lines that are too long are wrapped.
    let said = stdout(&checked).replace("\n  ", " ");
    let words = "on-failure = \"builtin\" allows";
    assert!(
        said.contains("warning: model face: ") && said.contains(words),
        "{said}"
    );
    assert!(said.ends_with(" fits this machine\n"), "{said}");
}

#[test]
fn a_budget_that_is_too_small_is_a_machine_error_that_names_the_largest_part() {
    refused(
        &[("budget-mib = 128", "budget-mib = 4")],
        4,
        &["budget-mib", "camera photo"],
    );
}

#[test]
fn an_absent_core_is_a_machine_error_that_says_which_there_are() {
    refused(
        &[
            ("cores = [1]", "cores = [999]"),
            ("absent-core = \"wrap\"", "absent-core = \"refuse\""),
        ],
        4,
        &["999"],
    );
}

#[test]
fn a_proof_that_cannot_be_written_is_known_before_anything_starts() {
    let output = pinsight(&["run", "--board", DEMO, "--proof", "/nowhere/proof.json"]);
    assert_eq!(code(&output), 7);
    assert!(stderr(&output).contains("/nowhere/proof.json"));
}

#[test]
fn arguments_that_are_wrong_have_their_own_code() {
    for arguments in [
        &["run"][..],
        &["run", "--board", DEMO, "--seconds", "0"],
        &["run", "--board", DEMO, "--seconds", "1", "--frames", "1"],
        &["run", "--board", DEMO, "--faults", "drop=2"],
        &["walk"],
        &[],
    ] {
        let output = pinsight(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn help_names_every_exit_code() {
    let output = pinsight(&["--help"]);
    assert_eq!(code(&output), 0);
    for line in [
        "0  done",
        "1  internal",
        "2  usage",
        "3  profile",
        "4  machine",
        "5  camera",
    ] {
        assert!(stdout(&output).contains(line), "{line}");
    }
}

#[test]
fn a_recording_that_is_none_is_a_storage_error() {
    let output = pinsight(&["results", DEMO]);
    assert_eq!(code(&output), 7);
    assert!(stderr(&output).contains("expected a file written by `pinsight run --record`"));
}

#[test]
fn probe_shows_cores_and_memory() {
    let output = pinsight(&["probe"]);
    assert_eq!(code(&output), 0);
    for word in ["kernel", "cores", "hugepages", "SCHED_FIFO", "camera"] {
        assert!(
            stdout(&output).contains(word),
            "{word} is not in {}",
            stdout(&output)
        );
    }
}

#[test]
fn a_profile_that_probe_writes_is_one_that_check_accepts_and_it_replaces_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    let path = path.to_str().unwrap();
    let written = pinsight(&["probe", "--write", path]);
    assert_eq!(code(&written), 0, "{}", stderr(&written));
    assert!(stdout(&written).contains("next: pinsight check"));
    let checked = pinsight(&["check", "--board", path]);
    assert_eq!(code(&checked), 0, "{}", stderr(&checked));
    assert!(stdout(&checked).contains("board mine fits this machine"));
    std::fs::write(path, "mine").unwrap();
    let refused = pinsight(&["probe", "--write", path]);
    assert_eq!(code(&refused), 7);
    assert!(stderr(&refused).contains("--force"), "{}", stderr(&refused));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "mine");
    let replaced = pinsight(&["probe", "--force", "--write", path]);
    assert_eq!(code(&replaced), 0, "{}", stderr(&replaced));
    assert!(
        std::fs::read_to_string(path)
            .unwrap()
            .contains("[[camera]]")
    );
    assert_eq!(code(&pinsight(&["probe", "--force"])), 2);
}

#[test]
fn a_profile_that_probe_writes_names_the_model_that_lies_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = "face_detection_short_range.tflite";
    let cached = repository.join(".cache/models").join(model);
    std::fs::copy(cached, dir.path().join(model)).unwrap();
    let path = dir.path().join("mine.toml");
    let written = pinsight(&["probe", "--write", path.to_str().unwrap()]);
    assert_eq!(code(&written), 0, "{}", stderr(&written));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(&format!("path = \"{model}\"")), "{text}");
    assert!(!text.contains("It is not there"), "{text}");
}

/// The whole way on the demo board, and every file that it leaves.
#[test]
fn the_demo_finds_the_face_and_proves_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (proof, results, record) = (file("proof.json"), file("results"), file("record"));
    // A disk that is busy loses nothing.
    let board = profile(
        dir.path(),
        &[("queue-results = 64", "queue-results = 1024")],
    );
    let mut run = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--proof", &proof, "--board"])
            .arg(&board)
            .args(["--results", &results, "--record", &record]),
    );
    run.until("an event, and 45 results", |log| {
        log.contains("event face-passes: ") && recorded(record.as_ref()).len() >= 45
    });
    let output = run.stop();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    let camera = &proof["cameras"][0];
    let inferred = camera["inferred"].as_u64().unwrap();
    assert!(inferred >= 45, "{camera}");
    assert_eq!(camera["identity_holds"], true);
    let rule = &proof["events"]["rules"][0];
    assert_eq!(rule["name"], "face-passes");
    assert!(rule["fired"].as_u64().unwrap() >= 1, "{rule}");
    assert_eq!(camera["in_flight"], 0);
    let detections = proof["detections"].as_u64().unwrap();
    assert!(
        detections * 45 > inferred * 40,
        "{detections} of {inferred}"
    );
    for key in [
        "heap_calls",
        "heap_growth_bytes",
        "major_faults",
        "migrations",
    ] {
        assert_eq!(proof["after_ready"][key], 0, "{key}");
    }
    for stage in [
        "capture_to_dequeue",
        "dequeue_to_lease",
        "preprocess",
        "invoke",
        "postprocess",
        "capture_to_result",
    ] {
        let row = &proof["latency_ns"][stage];
        assert_eq!(row["count"], inferred, "{stage}");
        for figure in ["p50", "p90", "p99", "p999", "max", "mean", "stddev"] {
            assert!(row[figure].is_number(), "{stage}.{figure}");
        }
        assert!(row["p50"].as_u64() <= row["max"].as_u64(), "{stage}");
    }
    assert!(
        proof["threads"]
            .as_array()
            .unwrap()
            .iter()
            .all(|t| t["mask_verified"] == true)
    );
    let threads = proof["threads"].as_array().unwrap().iter();
    let names: Vec<_> = threads.map(|t| t["name"].as_str().unwrap()).collect();
    // Capture, the worker, housekeeping, and the thread of the file of results.
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.contains(&"disk"), "{names:?}");
    assert!(proof["ready_ms"].as_f64().unwrap() > 0.0);

    let lines: Vec<Value> = std::fs::read_to_string(&results)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    let seen: u64 = lines
        .iter()
        .map(|l| l["detections"].as_array().unwrap().len() as u64)
        .sum();
    assert_eq!(seen, proof["detections"].as_u64().unwrap());
    let first = &lines[0]["detections"][0];
    assert_eq!(first["label"], "face");
    assert!(first["score"].as_f64().unwrap() > 0.8, "{first}");

    let read_back = pinsight(&["results", &record]);
    assert_eq!(code(&read_back), 0);
    let text = stdout(&read_back);
    let whole = format!("{inferred} records whole, 0 damaged");
    assert!(text.contains(&whole), "{text}");
    assert!(text.contains("face 0.9"), "{text}");
}

#[test]
fn a_fault_plan_that_is_none_is_a_usage_error_that_says_what_was_found_and_expected() {
    for (plan, words) in [
        (
            "drip=0.1",
            "found `drip=0.1`, expected KEY=VALUE with a key of seed, drop",
        ),
        (
            "seed=7,drop=1.5",
            "found `drop=1.5`, expected a chance of 0 to 1",
        ),
        (
            "loss-ms=0",
            "found `loss-ms=0`, expected 1 to 3600000 milliseconds",
        ),
    ] {
        let output = pinsight(&["run", "--board", DEMO, "--faults", plan]);
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn the_ledger_closes_while_the_camera_drops_damages_delays_stalls_and_vanishes() {
    let plan = "seed=7,drop=0.1,damage=0.1,short=0.05,delay=0.05,stall=0.02,loss=0.03,jump=0.05,\
                delay-ms=60,stall-ms=40,loss-ms=40";
    let dir = tempfile::tempdir().unwrap();
    let proof = dir.path().join("proof.json");
    let proof_name = proof.to_str().unwrap();
    let output = pinsight(&[
        "run", "--board", DEMO, "--frames", "60", "--faults", plan, "--proof", proof_name,
    ]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let said = "faults are on, as asked for: --faults seed=7,drop=0.1,damage=0.1";
    assert!(stderr(&output).contains(said), "{}", stderr(&output));
    let shown = stdout(&output).replace("\n    ", " ");
    assert!(shown.contains(said), "{shown}");
    let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    let camera = &proof["cameras"][0];
    assert_eq!(camera["identity_holds"], true, "{camera}");
    assert_eq!(camera["inferred"], 60, "{camera}");
    let counted = |key: &str| camera["dropped"][key].as_u64().unwrap();
    assert!(counted("damaged") > 0, "{camera}");
    assert!(camera["lost_in_driver"].as_u64().unwrap() > 0, "{camera}");
    let all = ["evicted", "stale", "damaged", "refused", "failed"].map(counted);
    let driver_frames = camera["driver_frames"].as_u64().unwrap();
    assert_eq!(driver_frames, 60 + all.iter().sum::<u64>(), "{camera}");
    assert_eq!(proof["after_ready"]["heap_calls"], 0);
}

#[test]
fn a_stop_signal_ends_the_run_with_its_proof() {
    let dir = tempfile::tempdir().unwrap();
    let proof = dir.path().join("proof.json");
    let mut run = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .current_dir(repository())
            .args(["run", "--board", DEMO, "--proof", proof.to_str().unwrap()]),
    );
    run.until_logged("ready after");
    let output = run.stop();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("PROOF"), "{}", stdout(&output));
    let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    assert_eq!(proof["cameras"][0]["identity_holds"], true);
}
