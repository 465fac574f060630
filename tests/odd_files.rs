//! Files of a profile that are no files: they are refused before they are opened.

use std::path::{Path, PathBuf};
use std::process::Command;

#[track_caller]
fn refused(from: &str, to: &Path, code: i32, words: &str) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(repository.join("boards/demo.toml")).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from}");
    let text = text.replace(from, to.to_str().unwrap());
    let text = text.replace("../.cache", &repository.join(".cache").to_string_lossy());
    let dir = tempfile::tempdir().unwrap();
    let board = dir.path().join("board.toml");
    std::fs::write(&board, text).unwrap();
    for command in ["check", "run"] {
        let output = Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args([command, "--board", board.to_str().unwrap()])
            .output()
            .expect("the program starts");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{command}: {message}");
        assert!(message.contains(words), "{command}: {message}");
    }
}

#[test]
fn a_model_or_a_photograph_that_is_no_regular_file_is_refused_without_waiting_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for odd in [fifo, PathBuf::from("/dev/zero")] {
        refused(
            "../.cache/models/face_detection_short_range.tflite",
            &odd,
            6,
            "found no regular file, expected a TensorFlow Lite model",
        );
        refused(
            "../.cache/photos/astronaut.png",
            &odd,
            5,
            "found no regular file, expected a PNG or JPEG image",
        );
    }
}
