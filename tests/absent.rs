//! A camera that is not there when the run starts, and may be waited for.

mod running;

use running::{Running, recorded};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const CAMERA: &str = r#"
[[camera]]
name = "late"
source = "v4l2"
device = "/dev/video-that-is-not-there"
absent = "wait"
format = "YUYV"
width-px = 640
height-px = 480
rate-hz = 30
capture-core = 0

[[model]]
"#;

fn pinsight(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pinsight"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

#[test]
fn the_others_watch_without_it_and_it_costs_them_nothing() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(repository.join("boards/demo.toml")).unwrap();
    let text = text.replacen("[[model]]", CAMERA.trim_start(), 1);
    let text = text
        .replace("../.cache", &repository.join(".cache").to_string_lossy())
        // A capture thread that is held up finds no silence.
        .replace("time-out-ms = 1000", "time-out-ms = 60000");
    let dir = tempfile::tempdir().unwrap();
    let board = dir.path().join("board.toml");
    std::fs::write(&board, text).unwrap();
    let board = board.to_str().unwrap();

    let checked = pinsight(&["check", "--board", board]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(0), "{said}");
    assert!(said.contains("not there, and waited for"), "{said}");
    assert!(said.contains("absent"), "its thread is in the plan: {said}");

    let recording = dir.path().join("record");
    let mut run = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--board", board, "--proof", "-", "--record"])
            .arg(&recording),
    );
    // 40 results, and the ladder on its way.
    run.until_logged("camera late: the device is gone");
    run.until("40 results", |_| recorded(&recording).len() >= 40);
    let run = run.stop();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(0), "{said}");
    assert!(
        said.contains("camera late: it is not there; watching without it until it is"),
        "{said}"
    );
    let proof: Value = serde_json::from_slice(&run.stdout).unwrap();
    let [photo, late] = proof["cameras"].as_array().unwrap().as_slice() else {
        panic!("two cameras: {proof}");
    };
    assert!(photo["inferred"].as_u64().unwrap() >= 40, "{photo}");
    assert_eq!(
        (&photo["restarts"], &photo["reopens"]),
        (&0.into(), &0.into())
    );
    assert_eq!(
        (&late["driver_frames"], &late["io"]),
        (&0.into(), &"late".into())
    );
    assert_eq!(photo["identity_holds"], true);
    assert_eq!(late["identity_holds"], true);
    assert_eq!(proof["after_ready"]["heap_calls"], 0);
    assert_eq!(proof["after_ready"]["heap_calls_other_threads"], 0);
}
