//! Nothing fails silently: a thread that stands still, a camera without results, a run that was no use are in the log
//! while they last, in the proof, and in the exit code; signals are obeyed at every moment.

#![allow(unsafe_code)]

mod running;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use running::Running;
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    assert!(
        begins.contains("the camera delivers no sound frames"),
        "{begins}"
    );
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

/// A thread of this process that computes on this core at a real-time priority above the worker's, until it is told not to.
/// Without the right to it, at the highest priority that there is.
struct Hog {
    ends: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Hog {
    fn on(core: usize) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ends);
        let body = move || {
            let mut cores = nix::sched::CpuSet::new();
            cores.set(core).unwrap();
            nix::sched::sched_setaffinity(Pid::from_raw(0), &cores).unwrap();
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        let threads = std::thread::Builder::new().name("hog".into());
        let thread = threads.spawn(body).unwrap();
        Self {
            ends,
            thread: Some(thread),
        }
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// The worker is made to run only when nothing else wants its core (SCHED_IDLE): what a real-time hog does to any worker,
/// a plain one does to it, whatever rights this test has.
#[test]
fn a_worker_that_does_not_get_its_core_is_reported_with_the_thread_that_has_it() {
    let board = Board::new(|demo| {
        demo.replace(
            "time-out-ms = 1000",
            "time-out-ms = 600000\nmax-gap-ms = 200",
        )
        .replace("fifo-priority = 50", "fifo-priority = 0")
        .replace("fifo-priority = 60", "fifo-priority = 0")
    });
    let mut run = Running::start(&mut board.command(&[]));
    run.until_logged("ready after");
    let tasks = std::fs::read_dir(format!("/proc/{}/task", run.id())).unwrap();
    let worker = tasks.flatten().find(|task| {
        let name = std::fs::read_to_string(task.path().join("comm"));
        name.is_ok_and(|name| name.trim_end() == "detector")
    });
    let worker = worker.expect("the worker's thread").file_name();
    let worker: i32 = worker.to_str().unwrap().parse().unwrap();
    let cores = nix::sched::sched_getaffinity(Pid::from_raw(worker)).unwrap();
    let core = (0..nix::sched::CpuSet::count()).find(|core| cores.is_set(*core).unwrap());
    let idle = nix::libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameter is live; the thread is our child's.
    let set =
        unsafe { nix::libc::sched_setscheduler(worker, nix::libc::SCHED_IDLE, &raw const idle) };
    assert_eq!(set, 0);
    let hogs: Vec<_> = (0..4).map(|_| Hog::on(core.unwrap())).collect();
    run.until("the cause", |log| {
        log.lines().any(|line| {
            line.contains("camera photo: ")
                && line.contains("worker detector does not get its core, ")
                && line.contains(" has core ")
        })
    });
    drop(hogs);
    run.until_logged("camera photo: results come again");
    let output = run.stop();
    assert_eq!(output.status.code(), Some(0), "{}", log_of(&output));
    let gaps = &board.proof()["cameras"][0]["gaps"];
    assert!(gaps["by_cause"]["starved"].as_u64() > Some(0), "{gaps}");
}

#[test]
fn a_camera_that_does_not_come_back_is_repeated_with_what_was_tried() {
    let board = Board::new(|demo| demo);
    let faults = ["--faults", "seed=1,loss=1,loss-ms=600000"];
    let mut run = Running::start(&mut board.command(&faults));
    run.until_logged("camera photo: the device is gone");
    run.until("what was tried", |log| {
        log.lines()
            .any(|line| line.contains("; for ") && line.contains(" attempts that failed"))
    });
    let output = run.stop();
    let log = log_of(&output);
    assert_eq!(output.status.code(), Some(8), "{log}");
    let lines = log
        .lines()
        .filter(|line| line.contains("camera photo: the device is gone"));
    assert!(lines.count() < 6, "{log}");
}

#[test]
fn a_camera_that_comes_and_goes_is_summed_up() {
    let board = Board::new(|demo| demo);
    let faults = ["--faults", "seed=1,loss=0.2,loss-ms=50"];
    let mut run = Running::start(&mut board.command(&faults));
    run.until("the sum", |log| {
        log.lines()
            .any(|line| line.contains("camera photo: in trouble ") && line.contains(" within "))
    });
    let proof = {
        run.stop();
        board.proof()
    };
    assert!(proof["cameras"][0]["reopens"].as_u64() > Some(2), "{proof}");
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
    assert!(shown.contains(" before a frame of front"), "{shown}");
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
fn two_signals_at_once_are_one_request_and_the_proof_is_given() {
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
