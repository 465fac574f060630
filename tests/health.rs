//! Nothing fails silently: a thread that stands still, a camera without results, a run that was no use are in the log
//! while they last, in the proof, and in the exit code; signals are obeyed at every moment.

mod running;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use running::Running;
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A folder with a profile: the demo's, changed.
struct Board {
    dir: tempfile::TempDir,
}

impl Board {
    fn new(change: impl FnOnce(String) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let demo = std::fs::read_to_string(root.join("boards/demo.toml")).unwrap();
        let demo = demo
            .replace("../.cache", root.join(".cache").to_str().unwrap())
            .replace("max-age-ms = 100", "max-age-ms = 60000");
        std::fs::write(dir.path().join("board.toml"), change(demo)).unwrap();
        Self { dir }
    }

    /// Of frames that standard input brings, with this bound on gaps.
    fn of_stream(max_gap_ms: u32) -> Self {
        let stream = format!(
            "name = \"stream\"\n\
             [[camera]]\nname = \"front\"\nsource = \"y4m\"\npath = \"-\"\nformat = \"NV12\"\nwidth-px = 640\n\
             height-px = 480\nrate-hz = 30\nmax-age-ms = 60000\ntime-out-ms = 600000\nmax-gap-ms = {max_gap_ms}\n"
        );
        Self::new(|demo| {
            let model = demo.find("[[model]]").expect("a model");
            let end = demo[model..]
                .find("[[line]]")
                .map_or(demo.len(), |at| model + at);
            stream + &demo[model..end]
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinsight"));
        command
            .args(["run", "--board", self.path("board.toml").to_str().unwrap()])
            .args(["--proof", self.path("proof.json").to_str().unwrap()])
            .args(arguments);
        command
    }

    fn proof(&self) -> Value {
        let proof = std::fs::read(self.path("proof.json")).expect("what there is is proved");
        serde_json::from_slice(&proof).unwrap()
    }
}

/// A frame of a Y4M stream of 640x480, grey.
fn frame() -> Vec<u8> {
    let mut frame = b"FRAME\n".to_vec();
    frame.resize(frame.len() + 640 * 480 * 3 / 2, 128);
    frame
}

const HEADER: &[u8] = b"YUV4MPEG2 W640 H480 F30:1 C420jpeg\n";

fn log_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The proof's promise of this name.
fn promise<'a>(proof: &'a Value, name: &str) -> &'a Value {
    let promises = proof["promises"].as_array().expect("a verdict");
    let found = promises.iter().find(|promise| promise["name"] == name);
    found.unwrap_or_else(|| panic!("no promise {name}: {promises:?}"))
}

#[test]
fn a_capture_thread_that_hangs_is_named_with_what_it_did_and_ends_the_run_for_a_new_start() {
    let board = Board::new(|demo| demo + "\n[health]\nhang-exit-ms = 3000\n");
    let run = Running::start(&mut board.command(&["--faults", "seed=1,hang=1"]));
    let output = run.end();
    let log = log_of(&output);
    assert_eq!(output.status.code(), Some(9), "{log}");
    let stands = "thread capture0: it stands still, for ";
    assert!(log.contains(stands), "{log}");
    assert!(
        log.contains("taking a buffer from the driver, camera photo"),
        "{log}"
    );
    assert!(log.contains("hang-exit-ms = 3000"), "{log}");
    assert!(log.contains("camera photo: no new result for "), "{log}");
    let proof = board.proof();
    assert_eq!(promise(&proof, "threads")["kept"], false);
    assert_eq!(proof["standstills"][0]["thread"], "capture0");
    assert_eq!(proof["cameras"][0]["gaps"]["count"], 1);
}

#[test]
fn the_service_manager_s_watchdog_is_fed_until_a_thread_stands_still() {
    let board = Board::new(|demo| demo + "\n[health]\nhang-exit-ms = 0\n");
    let socket = board.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_nonblocking(true).unwrap();
    let mut run = Running::start(
        board
            .command(&["--faults", "seed=2,hang=0.02"])
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "200000"),
    );
    let fed = || {
        let mut buffer = [0; 512];
        let mut times = 0;
        while let Ok(length) = manager.recv(&mut buffer) {
            times += usize::from(buffer[..length].starts_with(b"WATCHDOG=1"));
        }
        times
    };
    let mut before = 0;
    run.until("the hang", |log| {
        before += fed();
        log.contains("thread capture0: it stands still")
    });
    before += fed();
    assert!(before > 3, "fed {before} times");
    // It lasts: the line comes again, and nothing was fed meanwhile.
    run.until_logged("thread capture0: it still stands still");
    assert_eq!(fed(), 0);
    kill(
        Pid::from_raw(i32::try_from(run.id()).unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    run.end();
}

#[test]
fn a_camera_that_falls_silent_is_reported_when_it_begins_while_it_lasts_and_when_it_ends() {
    let board = Board::of_stream(300);
    let mut run = Running::start(board.command(&[]).stdin(Stdio::piped()));
    let mut pipe = run.stdin();
    pipe.write_all(HEADER).unwrap();
    pipe.write_all(&frame()).unwrap();
    run.until_logged("camera front: no new result for ");
    run.until_logged("camera front: still no new result, for ");
    let log = run.log();
    let begins = log
        .lines()
        .find(|line| line.contains("no new result for "))
        .unwrap();
    assert!(begins.contains("more than its bound of 300 ms"), "{begins}");
    assert!(begins.contains("the camera delivers no frames"), "{begins}");
    // Until one of them is a result.
    run.until("results", |log| {
        pipe.write_all(&frame()).unwrap();
        log.contains("camera front: results come again; the gap was ")
    });
    drop(pipe);
    let output = run.end();
    assert_eq!(output.status.code(), Some(0), "{}", log_of(&output));
    let proof = board.proof();
    let gaps = &proof["cameras"][0]["gaps"];
    assert!(gaps["longest_ns"].as_u64() > Some(5_000_000_000), "{gaps}");
    assert_eq!(gaps["longest_cause"], "camera_silent");
    let kept = promise(&proof, "gaps");
    assert_eq!(
        (&kept["kept"], &kept["demanded"]),
        (&false.into(), &false.into())
    );
    assert!(kept["mend"].is_string(), "{kept}");
}

#[test]
fn a_run_in_which_no_frame_was_inferred_is_no_success() {
    let board = Board::of_stream(60_000);
    let mut run = Running::start(board.command(&[]).stdin(Stdio::piped()));
    let mut pipe = run.stdin();
    pipe.write_all(HEADER).unwrap();
    drop(pipe);
    let output = run.end();
    let log = log_of(&output);
    assert_eq!(output.status.code(), Some(8), "{log}");
    assert!(
        log.contains("watched, and not as promised: results: "),
        "{log}"
    );
    let shown = String::from_utf8_lossy(&output.stdout);
    let first: Vec<_> = shown.lines().skip(3).take(2).collect();
    assert_eq!(first[0], "  PASS  every frame is accounted for", "{shown}");
    assert_eq!(
        first[1], "  FAIL  results from every camera: 1 without any (demanded)",
        "{shown}"
    );
    assert!(shown.contains("> front gave no frame"), "{shown}");
}

#[test]
fn a_stream_that_is_cut_within_a_frame_broke_off_and_one_that_ends_between_two_did_not() {
    for (is_cut, code) in [(false, 0), (true, 8)] {
        let board = Board::of_stream(60_000);
        let mut run = Running::start(board.command(&[]).stdin(Stdio::piped()));
        let mut pipe = run.stdin();
        pipe.write_all(HEADER).unwrap();
        pipe.write_all(&frame()).unwrap();
        if is_cut {
            pipe.write_all(&frame()[..1000]).unwrap();
        }
        drop(pipe);
        let output = run.end();
        let log = log_of(&output);
        assert_eq!(output.status.code(), Some(code), "{log}");
        assert_eq!(log.contains("its stream broke off"), is_cut, "{log}");
        assert_eq!(promise(&board.proof(), "streams")["kept"], !is_cut);
    }
}

#[test]
fn two_signals_at_once_are_one_wish_and_the_proof_is_given() {
    for _ in 0..10 {
        let board = Board::of_stream(60_000);
        let mut run = Running::start(board.command(&[]).stdin(Stdio::piped()));
        let mut pipe = run.stdin();
        pipe.write_all(HEADER).unwrap();
        pipe.write_all(&frame()).unwrap();
        run.until_logged("ready");
        let pid = Pid::from_raw(i32::try_from(run.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        // It may have ended by now.
        let _ = kill(pid, Signal::SIGTERM);
        let output = run.end();
        let log = log_of(&output);
        assert!(
            matches!(output.status.code(), Some(0 | 8)),
            "{:?}: {log}",
            output.status
        );
        assert!(
            board.proof()["cameras"][0]["identity_holds"]
                .as_bool()
                .unwrap()
        );
        drop(pipe);
    }
}

#[test]
fn a_third_signal_ends_a_stop_that_a_driver_holds_up() {
    let board = Board::new(|demo| demo);
    let mut run = Running::start(&mut board.command(&["--faults", "seed=1,hang=1"]));
    run.until_logged("thread capture0: it stands still");
    let pid = Pid::from_raw(i32::try_from(run.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    run.until_logged("SIGTERM: stopping");
    // The stop takes 10 s from here: as many signals as it takes.
    while kill(pid, Signal::SIGTERM).is_ok() && !run.has_ended() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = run.end();
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(
        output.status.signal(),
        Some(Signal::SIGTERM as i32),
        "{}",
        log_of(&output)
    );
}

#[test]
fn a_run_that_waits_for_a_silent_writer_says_so_and_obeys() {
    let board = Board::of_stream(60_000);
    let mut run = Running::start(board.command(&[]).stdin(Stdio::piped()));
    let pipe = run.stdin();
    run.until_logged(
        "standard input: nothing has come yet; waiting for its first line, 15 s in all",
    );
    let output = run.stop();
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(
        output.status.signal(),
        Some(Signal::SIGTERM as i32),
        "{}",
        log_of(&output)
    );
    drop(pipe);

    let mut run = Running::start(board.command(&["--seconds", "2"]).stdin(Stdio::piped()));
    let pipe = run.stdin();
    let output = run.end();
    let log = log_of(&output);
    assert_eq!(output.status.code(), Some(5), "{log}");
    assert!(log.contains("found nothing within 2 s"), "{log}");
    drop(pipe);
}
