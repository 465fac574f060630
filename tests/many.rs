//! Sixteen cameras in one process, on one capture thread: some work, one is silent, one is not there.

mod running;

use running::{Running, recorded};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const WORKING: usize = 14;
const COMMON: &str = "format = \"NV12\"\nwidth-px = 160\nheight-px = 120\nrate-hz = 10\n\
                      capture-core = 0\nmax-age-ms = 60000\n";
/// Of cameras that are not silent, however long their thread is held up.
const LONG: &str = "time-out-ms = 60000\n\n";
const SHORT: &str = "time-out-ms = 500\n\n";

/// The demo board with other cameras.
fn board(dir: &Path) -> std::path::PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(repository.join("boards/demo.toml")).unwrap();
    let text = text.replace("../.cache", &repository.join(".cache").to_string_lossy());
    // Lines and rules are about the demo's own camera.
    let tables = text.split("\n[").skip(1).filter(|table| {
        !["[camera]]", "[zone]]", "[line]]", "[rule]]"]
            .iter()
            .any(|other| table.starts_with(other))
    });
    let tail: String = tables.map(|table| format!("\n[{table}")).collect();
    let head = text.split("\n[").next().unwrap();
    let mut cameras = String::new();
    for camera in 0..WORKING {
        let _ = write!(
            cameras,
            "[[camera]]\nname = \"eye{camera}\"\nsource = \"pattern\"\n{COMMON}{LONG}"
        );
    }
    let fifo = dir.join("silent");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let fifo = fifo.display();
    let _ = write!(
        cameras,
        "[[camera]]\nname = \"silent\"\nsource = \"raw\"\npath = \"{fifo}\"\n{COMMON}{SHORT}\
         [[camera]]\nname = \"absent\"\nsource = \"v4l2\"\ndevice = \"/dev/video-that-is-not-there\"\n\
         absent = \"wait\"\n{COMMON}{LONG}"
    );
    let path = dir.join("board.toml");
    std::fs::write(&path, format!("{head}\n{cameras}{tail}")).unwrap();
    path
}

#[test]
fn sixteen_cameras_share_a_thread_and_those_that_fail_starve_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let board = board(dir.path());
    let recording = dir.path().join("record");
    let mut run = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--proof", "-", "--board"])
            .arg(&board)
            .arg("--record")
            .arg(&recording),
    );
    run.until_logged("camera silent: it delivers no frames");
    // The thread that captures them restarts the silent one before it goes on.
    let before = recorded(&recording).len();
    run.until("results of each working camera behind that", |_| {
        let results = recorded(&recording);
        let of = |camera: usize| {
            let later = results[before..].iter();
            later.filter(|r| usize::from(r.camera) == camera).count()
        };
        (0..WORKING).all(|camera| of(camera) >= 3)
    });
    let output = run.stop();
    let said = String::from_utf8_lossy(&output.stderr);
    // The silent one gave no result: not as the profile demands.
    assert_eq!(output.status.code(), Some(8), "{said}");
    let proof: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cameras = proof["cameras"].as_array().unwrap();
    assert_eq!(cameras.len(), 16);
    for camera in cameras {
        assert_eq!(camera["identity_holds"], true, "{camera}");
        let of = |key: &str| camera[key].as_u64().unwrap();
        match camera["name"].as_str().unwrap() {
            "silent" => {
                assert_eq!(of("driver_frames"), 0);
                assert!(of("restarts") > 0, "{camera}");
            }
            "absent" => assert_eq!(of("driver_frames") + of("restarts") + of("reopens"), 0),
            _ => {
                assert!(of("inferred") > 0, "{camera}");
                assert_eq!((of("restarts"), of("reopens")), (0, 0), "{camera}");
                assert_eq!(camera["dropped"]["damaged"], 0, "{camera}");
            }
        }
    }
    let captures = proof["threads"].as_array().unwrap().iter();
    let names = captures.filter_map(|thread| thread["name"].as_str());
    let captures: Vec<_> = names.filter(|name| name.starts_with("capture")).collect();
    assert_eq!(captures, ["capture0"], "one thread, one poll");
    assert_eq!(proof["after_ready"]["heap_calls"], 0);
}
