//! The program as it runs: a test waits for what it needs to have happened, in the log, in the recording or
//! elsewhere, and then asks for the end. No verdict depends on how long that takes.
#![allow(dead_code)] // each test has its share of it

use pinsight::record::Reading;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Ends what hangs, and no more: a busy machine takes many times as long as one with time.
const LONGEST: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(20);

/// A result of a recording that is being written.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    /// Index of the camera in the profile.
    pub camera: u16,
    /// 0 is the worker's first model.
    pub step: u16,
    /// Number of the frame.
    pub sequence: u64,
}

/// What a recording holds by now, oldest first; nothing before it is there.
pub fn recorded(recording: &Path) -> Vec<Recorded> {
    let Ok(reading) = Reading::open(recording) else {
        return Vec::new();
    };
    let records = reading.records().into_iter().map(|record| Recorded {
        camera: record.camera.to_native(),
        step: record.step.to_native(),
        sequence: record.sequence.to_native(),
    });
    records.collect()
}

/// Text that a thread gathers from a pipe.
struct Gathered {
    text: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Gathered {
    fn from(pipe: Option<impl Read + Send + 'static>) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let of_thread = Arc::clone(&text);
        let thread = pipe.map(|mut pipe| {
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = pipe.read(&mut bytes) {
                    of_thread.lock().unwrap().extend(&bytes[..count]);
                }
            })
        });
        Self { text, thread }
    }

    fn so_far(&self) -> Vec<u8> {
        self.text.lock().unwrap().clone()
    }

    fn wait_for_all(&mut self) -> Vec<u8> {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.so_far()
    }
}

/// A program that runs. It is killed where a test fails before its end.
pub struct Running {
    child: Child,
    stdout: Gathered,
    log: Gathered,
}

impl Running {
    /// Starts a command, and gathers what it says.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::start_with(command.stdout(Stdio::piped()))
    }

    /// The same, with the command's own standard output.
    #[track_caller]
    pub fn start_with(command: &mut Command) -> Self {
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        Self {
            stdout: Gathered::from(child.stdout.take()),
            log: Gathered::from(child.stderr.take()),
            child,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("a pipe")
    }

    /// What it has logged by now.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.so_far()).into_owned()
    }

    /// Waits until `happened`, which is given the log; fails, and says what it waited for, where the program ends
    /// before, or nothing happens for ten minutes.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut happened: impl FnMut(&str) -> bool) {
        let begun = Instant::now();
        loop {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() {
                self.log.wait_for_all();
            }
            let log = self.log();
            if happened(&log) {
                return;
            }
            if let Some(status) = ended {
                panic!("it ended ({status}) before {what}:\n{log}");
            }
            assert!(
                begun.elapsed() < LONGEST,
                "waited for {LONGEST:?}, in vain: {what}:\n{log}"
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until it has logged these words.
    #[track_caller]
    pub fn until_logged(&mut self, words: &str) {
        self.until(words, |log| log.contains(words));
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Asks it to end.
    pub fn ask_to_stop(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    /// Asks it to end, and waits for that.
    #[track_caller]
    pub fn stop(self) -> Output {
        self.ask_to_stop();
        self.end()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn end(mut self) -> Output {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                begun.elapsed() < LONGEST,
                "waited for {LONGEST:?}, in vain: its end:\n{}",
                self.log()
            );
            std::thread::sleep(LOOK);
        };
        Output {
            status,
            stdout: self.stdout.wait_for_all(),
            stderr: self.log.wait_for_all(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
