//! No result comes from a frame that is older than the profile allows.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

#[test]
fn a_frame_older_than_max_age_ms_is_counted_as_stale_and_gives_no_result() {
    let dir = tempfile::tempdir().unwrap();
    let proof = dir.path().join("proof.json");
    let results = dir.path().join("results");
    // The demo board's frames may be 100 ms old; these are 400 ms late, each of them.
    let output = Command::new(env!("CARGO_BIN_EXE_pinsight"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .args(["run", "--board", "boards/demo.toml", "--seconds", "3"])
        .args(["--faults", "delay=1,delay-ms=400"])
        .args(["--proof", proof.to_str().unwrap()])
        .args(["--results", results.to_str().unwrap()])
        .output()
        .expect("the program starts");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{message}");
    let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    let camera = &proof["cameras"][0];
    assert_eq!(camera["inferred"], 0, "{camera}");
    assert!(camera["dropped"]["stale"].as_u64().unwrap() > 0, "{camera}");
    assert_eq!(camera["identity_holds"], true, "{camera}");
    assert_eq!(std::fs::read(&results).unwrap(), b"");
}
