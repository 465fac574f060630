//! What people see: the journal's priorities, time and level elsewhere, the live view on a terminal, tables of 80
//! columns.

mod running;

use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::stat::fstat;
use serde_json::Value;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const DEMO: &str = "boards/demo.toml";

fn pinsight() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinsight"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs with standard error being the journal.
fn in_journal(arguments: &[&str]) -> String {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let found = fstat(&writer).unwrap();
    let mut command = pinsight();
    command
        .args(arguments)
        .env(
            "JOURNAL_STREAM",
            format!("{}:{}", found.st_dev, found.st_ino),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::from(writer));
    let mut child = command.spawn().unwrap();
    // Its end of the pipe.
    drop(command);
    let mut text = String::new();
    File::from(reader).read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    text
}

/// The program's own lines: the library writes some itself.
fn own(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with("INFO: "));
    let lines: Vec<_> = lines.collect();
    assert!(!lines.is_empty());
    lines
}

#[test]
fn under_the_journal_every_line_begins_with_its_priority() {
    let dir = tempfile::tempdir().unwrap();
    let faulty = dir.path().join("faulty.toml");
    std::fs::write(&faulty, "nome = \"a\"\n[memory]\nbudget = 4\n").unwrap();
    let faulty = faulty.to_str().unwrap();
    for fatal in [
        &["check", "--board", "nowhere.toml"][..],
        &["run", "--board", faulty],
        &["run", "--bord", DEMO],
        &["walk"],
    ] {
        let said = in_journal(fatal);
        assert!(
            own(&said).iter().all(|line| line.starts_with("<3>")),
            "{said}"
        );
    }
    assert!(in_journal(&["run", "--board", faulty]).lines().count() > 1);
    let said = in_journal(&["run", "--board", DEMO, "--frames", "2"]);
    for line in own(&said) {
        let level = line.strip_prefix('<').and_then(|line| line.split_once('>'));
        assert!(
            level.is_some_and(|(level, _)| matches!(level, "4" | "6")),
            "{said}"
        );
    }
    // The proof, where standard output is taken.
    let said = in_journal(&["run", "--board", DEMO, "--frames", "2", "--proof", "-"]);
    assert!(
        said.contains("<6>PROOF") && said.contains("<6>  ledger"),
        "{said}"
    );
}

#[test]
fn elsewhere_a_line_begins_with_time_and_level_and_has_no_colour() {
    // The journal of another service's stream.
    let run = pinsight()
        .args(["run", "--board", DEMO, "--frames", "2"])
        .env("JOURNAL_STREAM", "1:1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    for line in own(&said) {
        let (time, rest) = line.split_once(' ').unwrap();
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{line}");
        let is_level = ["info: ", "warning: "]
            .iter()
            .any(|level| rest.starts_with(level));
        assert!(is_level, "{line}");
    }
    assert!(!said.contains('\x1b'));
    let refused = pinsight()
        .args(["run", "--board", "nowhere.toml"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("Z error: pinsight: nowhere.toml"), "{said}");
    let refused = pinsight()
        .args(["check", "--board", "nowhere.toml"])
        .output()
        .unwrap();
    assert!(
        refused.stderr.starts_with(b"pinsight: nowhere.toml"),
        "{refused:?}"
    );
}

/// A program whose standard error is a terminal.
struct OnTerminal {
    child: Child,
    /// The terminal's other end.
    master: OwnedFd,
    screen: Arc<Mutex<vt100::Parser>>,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl OnTerminal {
    fn start(command: &mut Command, rows: u16, columns: u16) -> Self {
        let size = winsize(rows, columns);
        let OpenptyResult { master, slave } = openpty(&size, None).unwrap();
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::from(slave))
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (of_thread, all) = (Arc::clone(&screen), Arc::clone(&bytes));
        let mut reader = File::from(master.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // EIO where the program has ended.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                of_thread.lock().unwrap().process(&buffer[..count]);
                all.lock().unwrap().extend(&buffer[..count]);
            }
        });
        Self {
            child,
            master,
            screen,
            bytes,
        }
    }

    fn shown(&self) -> String {
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        let rows = screen.rows(0, screen.size().1);
        rows.collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    fn bytes(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn until(&self, what: &str, mut happened: impl FnMut(&str) -> bool) {
        let begun = Instant::now();
        while !happened(&self.shown()) {
            let waited = begun.elapsed();
            assert!(
                waited < Duration::from_secs(600),
                "in vain: {what}:\n{}",
                self.shown()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn resize(&self, rows: u16, columns: u16) {
        let size = winsize(rows, columns);
        self.screen
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(rows, columns);
        nix::ioctl_write_ptr_bad!(set_size, nix::libc::TIOCSWINSZ, Winsize);
        // SAFETY: the descriptor is open, and the size lives through the call.
        #[allow(unsafe_code)]
        unsafe { set_size(self.master.as_raw_fd(), &raw const size) }.unwrap();
    }

    fn stop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn winsize(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// The rows of the view: its header and those below it.
fn view(shown: &str) -> Vec<&str> {
    let rows = shown
        .lines()
        .skip_while(|line| !line.starts_with("camera "));
    rows.collect()
}

#[test]
fn a_terminal_has_a_row_for_each_camera_below_the_log_and_no_leftovers() {
    let dir = tempfile::tempdir().unwrap();
    let proof = dir.path().join("proof.json");
    let mut command = pinsight();
    command
        .args(["run", "--board", DEMO, "--proof"])
        .arg(&proof)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR");
    let mut run = OnTerminal::start(&mut command, 24, 80);
    run.until("a detection in the view", |shown| {
        view(shown)
            .get(1)
            .is_some_and(|row| row.starts_with("photo ") && row.contains(" face 0."))
    });
    let headings = ["results/s", "age", "longest gap", "dropped", "last seen"];
    let shown = run.shown();
    assert!(
        headings
            .iter()
            .all(|heading| view(&shown)[0].contains(heading)),
        "{shown}"
    );
    // A line of the log comes above it.
    run.until("an event above the view", |shown| {
        let above = shown.split("\ncamera ").next().unwrap();
        above.contains("event face-passes") && view(shown).len() == 2
    });
    assert_eq!(
        run.shown().matches("results/s").count(),
        1,
        "{}",
        run.shown()
    );
    run.resize(10, 30);
    run.until("a narrower view", |shown| {
        view(shown)
            .first()
            .is_some_and(|header| !header.contains("last seen"))
            && view(shown)
                .get(1)
                .is_some_and(|row| row.starts_with("photo "))
    });
    run.until("nothing of the wider one", |shown| {
        shown.matches("results/s").count() == 1
            && shown.lines().all(|line| line.chars().count() <= 30)
    });
    run.resize(24, 80);
    run.until("the wider one again", |shown| {
        shown.contains("last seen") && shown.matches("results/s").count() == 1
    });
    run.stop();
    run.until("nothing of the view at the end", |shown| {
        !shown.contains("results/s")
    });
    let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    let heap_calls = &proof["after_ready"]["heap_calls_other_threads"];
    assert_eq!(*heap_calls, 0, "the view and the log take no memory");
    assert!(
        run.bytes().contains("\x1b[32minfo\x1b[0m: "),
        "{}",
        run.bytes()
    );
}

#[test]
fn no_color_is_obeyed_and_a_dumb_terminal_gets_lines_alone() {
    let arguments = ["run", "--board", DEMO, "--frames", "2"];
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let mut command = pinsight();
        command
            .args(arguments)
            .env("TERM", "xterm")
            .env(name, value);
        let mut run = OnTerminal::start(&mut command, 24, 80);
        run.child.wait().unwrap();
        run.until("its log", |shown| shown.contains("info: ready after "));
        let bytes = run.bytes();
        for colour in ["\x1b[31", "\x1b[32", "\x1b[33", "\x1b[1;"] {
            assert!(!bytes.contains(colour), "{bytes}");
        }
        assert!(name != "TERM" || !bytes.contains('\x1b'), "{bytes}");
    }
}

/// The demo profile with names that are as long as they may be.
fn long_names(dir: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(root.join(DEMO)).unwrap();
    text = text.replace("../.cache", &root.join(".cache").to_string_lossy());
    for name in [
        "photo",
        "face",
        "detector",
        "face-passes",
        "eye-level",
        "demo",
    ] {
        let named = format!("\"{name}\"");
        assert!(text.contains(&named), "{name}");
        let long = format!("{name}-{}", "x".repeat(47 - name.len()));
        text = text.replace(&named, &format!("\"{long}\""));
    }
    let path = dir.join("board.toml");
    std::fs::write(&path, text).unwrap();
    path
}

#[track_caller]
fn fits(what: &str, output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{what}: {output:?}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{what}: {line}\n{text}");
    }
    assert!(text.lines().count() > 5, "{what}: {text}");
    text
}

#[test]
fn every_table_fits_80_columns_whatever_the_names_are() {
    let dir = tempfile::tempdir().unwrap();
    long_names(dir.path());
    let run = |arguments: &[&str]| {
        let output = pinsight()
            .current_dir(dir.path())
            .args(arguments)
            .output()
            .unwrap();
        fits(arguments[0], &output)
    };
    let plan = "seed=7,drop=0.1,damage=0.1,stall=0.02,stall-ms=40";
    for board in [
        "board.toml",
        &format!("{}/{DEMO}", env!("CARGO_MANIFEST_DIR")),
    ] {
        let checked = run(&["check", "--board", board]);
        assert!(checked.contains("slots of camera photo"), "{checked}");
        let proof = run(&["run", "--board", board, "--frames", "40", "--faults", plan]);
        for table in [
            "latency, ms",
            "slowest results",
            "ledger ",
            "events by rule",
            "memory ",
        ] {
            assert!(proof.contains(table), "{table}: {proof}");
        }
    }
    run(&["probe"]);
    run(&["--help"]);
    run(&["run", "--help"]);
}

#[test]
fn a_run_says_the_sum_of_its_budget_and_each_shortage_once() {
    let dir = tempfile::tempdir().unwrap();
    let proof = dir.path().join("proof.json");
    let output = pinsight()
        .args(["run", "--board", DEMO, "--frames", "2", "--proof"])
        .arg(&proof)
        .output()
        .unwrap();
    let words = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (log, table) = (words(&output.stderr), words(&output.stdout));
    assert!(output.status.success(), "{log}");
    assert!(
        !log.contains("slots of camera") && !log.contains("SCHED_FIFO 60"),
        "{log}"
    );
    assert_eq!(log.matches("info: memory: ").count(), 1, "{log}");
    let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    for shortage in proof["warnings"].as_array().unwrap() {
        let shortage = shortage.as_str().unwrap();
        assert_eq!(log.matches(shortage).count(), 1, "{shortage}: {log}");
        assert_eq!(table.matches(shortage).count(), 0, "{shortage}: {table}");
        assert!(table.contains("at the start: the log"), "{table}");
    }
}

#[test]
fn the_version_names_commit_features_and_library() {
    let said = |argument: &str| {
        let output = pinsight().arg(argument).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let short = format!("pinsight {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(said("-V"), short);
    let long = said("--version");
    assert!(long.starts_with(&short), "{long}");
    for key in ["commit: ", "target: ", "features: ", "TensorFlow Lite: 2."] {
        let line = long.lines().find(|line| line.starts_with(key));
        assert!(
            line.is_some_and(|line| line.len() > key.len()),
            "{key}: {long}"
        );
    }
}
