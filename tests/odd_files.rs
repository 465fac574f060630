//! Files that are no files, or are not what they are taken for: they are refused before anything is written, and what
//! becomes of a file while it is written is found out.

mod running;

use running::Running;
use serde_json::Value;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const OUTPUTS: [&str; 4] = ["--proof", "--results", "--events", "--record"];

fn pinsight(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinsight"));
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .args(arguments);
    command
}

#[track_caller]
fn run_refused(arguments: &[&str], code: i32, words: &[&str]) {
    let run = ["run", "--board", "boards/demo.toml", "--frames", "1"];
    says(
        pinsight(&[&run, arguments].concat()).output().unwrap(),
        code,
        words,
    );
}

#[track_caller]
fn says(output: Output, code: i32, words: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    for words in words {
        assert!(message.contains(words), "{words}: {message}");
    }
}

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

#[test]
fn what_is_no_file_for_an_output_is_refused_by_each_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut odd = vec![dir.path().to_path_buf(), socket];
    let block = dir.path().join("block");
    let (kind, mode) = (
        nix::sys::stat::SFlag::S_IFBLK,
        nix::sys::stat::Mode::S_IRWXU,
    );
    // Only root may make one.
    if nix::sys::stat::mknod(&block, kind, mode, nix::sys::stat::makedev(7, 250)).is_ok() {
        odd.push(block);
    }
    for odd in odd {
        for output in OUTPUTS {
            let odd = odd.to_str().unwrap();
            run_refused(&[output, odd], 7, &[odd, "expected a regular file"]);
        }
    }
}

#[test]
fn a_link_that_leads_nowhere_is_refused_by_each_output_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    symlink("nothing", &link).unwrap();
    for output in OUTPUTS {
        run_refused(
            &[output, link.to_str().unwrap()],
            7,
            &["which is not there"],
        );
        assert!(link.is_symlink());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn two_names_of_one_file_are_found_whatever_they_look_like() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (record, old) = (of("a"), of("a.old"));
    let words = ["--results and --record", "both name"];
    run_refused(&["--record", &record, "--results", &old], 2, &words);
    assert!(!Path::new(&old).exists(), "nothing is left of the attempt");

    let model = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".cache/models/face_detection_short_range.tflite");
    let bytes = std::fs::read(&model).unwrap();
    let words = ["--proof and model face both name"];
    run_refused(&["--proof", model.to_str().unwrap()], 2, &words);
    assert!(std::fs::read(&model).unwrap() == bytes);
    let (one, two) = (of("one"), of("two"));
    std::fs::write(&one, "").unwrap();
    std::fs::hard_link(&one, &two).unwrap();
    run_refused(
        &["--events", &one, "--proof", &two],
        2,
        &["--proof and --events"],
    );
}

#[test]
fn a_fifo_without_a_partner_is_waited_for_and_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let fifo = fifo.to_str().unwrap();
    run_refused(&["--proof", fifo], 7, &[fifo, "waited 10s for a reader"]);
    let check = pinsight(&["check", "--board", fifo]).output().unwrap();
    says(check, 3, &[fifo, "waited 10s for somebody to write"]);
}

#[test]
fn a_file_that_vanishes_or_is_replaced_while_it_is_written_is_logged_written_on_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (lines, proof) = (dir.path().join("lines"), dir.path().join("proof"));
    let run = ["run", "--board", "boards/demo.toml", "--results"];
    let mut running = Running::start(pinsight(&run).arg(&lines).arg("--proof").arg(&proof));
    let has_lines = |path: &Path| std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
    running.until("a line", |_| has_lines(&lines));
    assert_eq!(std::fs::metadata(&lines).unwrap().mode() & 0o137, 0);
    std::fs::remove_file(&lines).unwrap();
    running.until_logged("--results: the file vanished");
    running.until("a line in the new file", |_| has_lines(&lines));
    // As a program that turns logs over does it.
    std::fs::rename(&lines, dir.path().join("lines.1")).unwrap();
    std::fs::write(&lines, "").unwrap();
    running.until_logged("--results: another file was put in its place");
    running.until("a line in the other file", |_| has_lines(&lines));
    let output = running.stop();
    assert_eq!(output.status.code(), Some(0));
    let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    let file = &proof["files"][0];
    assert_eq!(
        (&file["argument"], &file["replaced"]),
        (&"--results".into(), &2.into())
    );
    assert!(file["written"].as_u64().unwrap() >= 3, "{file}");
}
