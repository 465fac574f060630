//! No result comes from a frame that is older than the profile allows.

mod running;

use running::{Running, recorded};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A second camera, whose frames may be as old as they like: its results show that frames are looked at.
const PATIENT: &str = r#"
[[camera]]
name = "patient"
source = "pattern"
format = "NV12"
width-px = 64
height-px = 48
rate-hz = 30
max-age-ms = 60000
time-out-ms = 60000

[[model]]
"#;

#[test]
fn a_frame_older_than_max_age_ms_is_counted_as_stale_and_gives_no_result() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = std::fs::read_to_string(root.join("boards/demo.toml")).unwrap();
    let board = demo
        .replace("../.cache", root.join(".cache").to_str().unwrap())
        .replace("time-out-ms = 1000", "time-out-ms = 60000")
        .replacen("[[model]]", PATIENT.trim_start(), 1);
    std::fs::write(path("board.toml"), board).unwrap();
    // The demo board's frames may be 100 ms old; these are 400 ms late, each of them.
    let mut run = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--faults", "delay=1,delay-ms=400", "--board"])
            .arg(path("board.toml"))
            .arg("--proof")
            .arg(path("proof.json"))
            .arg("--results")
            .arg(path("results"))
            .arg("--record")
            .arg(path("record")),
    );
    run.until("60 results of the other camera", |_| {
        recorded(&path("record")).len() >= 60
    });
    let output = run.stop();
    let message = String::from_utf8_lossy(&output.stderr);
    // One camera gave no result: not as the profile demands.
    assert_eq!(output.status.code(), Some(8), "{message}");
    let proof: Value = serde_json::from_slice(&std::fs::read(path("proof.json")).unwrap()).unwrap();
    let [camera, patient] = proof["cameras"].as_array().unwrap().as_slice() else {
        panic!("two cameras: {proof}");
    };
    assert_eq!(camera["inferred"], 0, "{camera}");
    assert!(camera["dropped"]["stale"].as_u64().unwrap() > 0, "{camera}");
    assert_eq!(camera["identity_holds"], true, "{camera}");
    assert!(recorded(&path("record")).iter().all(|r| r.camera == 1));
    assert!(patient["inferred"].as_u64().unwrap() >= 60, "{patient}");
    // There is a face in each of the first camera's frames, and none in the other one's.
    assert_eq!(std::fs::read(path("results")).unwrap(), b"");
}
