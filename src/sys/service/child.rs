//! This program once more, in a process of its own, for what may end a process: watched until it ends or is overdue.

use crate::sys::io::procfs;
use crate::units::KIB;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::{set_dumpable, set_pdeathsig};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{dup, dup2_stdout};
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The file that runs, also where another has taken its name.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// Longest answer; a child's log is kept from its end.
const MOST_BYTES: usize = 64 * 1024;
/// Reads of a pipe after the child's end: more than a pipe holds.
const MOST_READS: usize = 64;
/// How often it is looked whether a child has ended that left its pipes to others.
const LOOK: Duration = Duration::from_millis(100);

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal of this number.
    Killed(i32),
    /// It was ended because it took too long.
    Overdue,
}

/// What became of a child.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub end: End,
    /// What it answered.
    pub answer: String,
    /// The end of what it and its libraries wrote to standard error.
    pub log: String,
}

/// Starts this program with `argument`, gives it `request`, and waits for its end, for at most `deadline`.
///
/// # Errors
/// It cannot be started or watched.
pub fn ask(argument: &str, request: &[u8], deadline: Duration) -> io::Result<Ended> {
    let begun = Instant::now();
    let mut child = Command::new(THIS_PROGRAM)
        .arg(argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let watched = watch(&mut child, request, begun, deadline);
    if watched.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    watched
}

fn watch(
    child: &mut Child,
    request: &[u8],
    begun: Instant,
    deadline: Duration,
) -> io::Result<Ended> {
    if let Some(mut stdin) = child.stdin.take() {
        // One that has ended takes nothing, which its end explains.
        let _ = stdin.write_all(request);
    }
    let mut answer = Pipe::new(child.stdout.take());
    let mut log = Pipe::new(child.stderr.take());
    let mut overdue = false;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let left = deadline.saturating_sub(begun.elapsed());
        if left.is_zero() {
            overdue = true;
            child.kill()?;
            break child.wait()?;
        }
        if answer.pipe.is_some() || log.pipe.is_some() {
            wait_for_any(&mut answer, &mut log, left.min(LOOK))?;
        } else {
            // Both ends are closed: it is about to end.
            std::thread::sleep(left.min(Duration::from_millis(1)));
        }
    };
    // What it wrote before its end. Others may hold the pipes, and write for ever.
    for _ in 0..MOST_READS {
        if !wait_for_any(&mut answer, &mut log, Duration::ZERO)? {
            break;
        }
    }
    let end = match (overdue, status.code(), status.signal()) {
        (true, ..) => End::Overdue,
        (_, Some(code), _) => End::Exited(code),
        (_, None, signal) => End::Killed(signal.unwrap_or(0)),
    };
    Ok(Ended {
        end,
        answer: answer.text(),
        log: log.text(),
    })
}

/// One end of a pipe, and what came through it.
struct Pipe<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
}

impl<R: Read + AsFd> Pipe<R> {
    fn new(pipe: Option<R>) -> Self {
        let bytes = Vec::new();
        Self { pipe, bytes }
    }

    /// Reads what is there. Does not wait: the pipe was found to be readable.
    fn read(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let mut part = [0; 4096];
        match pipe.read(&mut part) {
            Ok(0) => self.pipe = None,
            Ok(count) => {
                self.bytes.extend(&part[..count]);
                let over = self.bytes.len().saturating_sub(MOST_BYTES);
                self.bytes.drain(..over);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Reads from whichever has something; whether one had.
fn wait_for_any<A: Read + AsFd, B: Read + AsFd>(
    one: &mut Pipe<A>,
    other: &mut Pipe<B>,
    longest: Duration,
) -> io::Result<bool> {
    let ready = {
        let fds = [
            one.pipe.as_ref().map(AsFd::as_fd),
            other.pipe.as_ref().map(AsFd::as_fd),
        ];
        readable(fds, longest)?
    };
    if ready[0] {
        one.read()?;
    }
    if ready[1] {
        other.read()?;
    }
    Ok(ready.contains(&true))
}

fn readable(fds: [Option<BorrowedFd<'_>>; 2], longest: Duration) -> io::Result<[bool; 2]> {
    let open: Vec<BorrowedFd<'_>> = fds.iter().flatten().copied().collect();
    let mut polled: Vec<_> = open
        .iter()
        .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
        .collect();
    let timeout = PollTimeout::try_from(longest).unwrap_or(PollTimeout::ZERO);
    match poll(&mut polled, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut found = polled
        .iter()
        .map(|fd| fd.revents().is_some_and(|events| !events.is_empty()));
    Ok(fds.map(|fd| fd.is_some() && found.next().unwrap_or(false)))
}

/// The child's part: ends with its parent, leaves no core, keeps to `bytes` of address space beyond what it has, and
/// gives where its answer goes. What libraries print goes to standard error.
///
/// # Errors
/// The system refuses one of these.
pub fn become_child(bytes: u64) -> io::Result<OwnedFd> {
    set_pdeathsig(Signal::SIGKILL)?;
    // A core that goes to a program ignores the limit.
    set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let mapped = mapped_bytes()?;
    let (_, most) = getrlimit(Resource::RLIMIT_AS)?;
    let limit = mapped.saturating_add(bytes).min(most);
    setrlimit(Resource::RLIMIT_AS, limit, limit)?;
    let answer = dup(io::stdout())?;
    dup2_stdout(io::stderr())?;
    Ok(answer)
}

/// Address space of this process.
fn mapped_bytes() -> io::Result<u64> {
    let mut buffer = [0; 4096];
    let status = procfs::read(Path::new("/proc/self/status"), &mut buffer)?;
    let kib = procfs::field(status, "VmSize");
    kib.map(|kib| kib * KIB)
        .ok_or_else(|| io::Error::other("/proc/self/status has no VmSize"))
}

/// A signal's name, and what it stands for.
#[must_use]
pub fn signal_words(number: i32) -> String {
    let Ok(signal) = Signal::try_from(number) else {
        return format!("signal {number}");
    };
    let words = match signal {
        Signal::SIGSEGV => "access to memory that is not there",
        Signal::SIGBUS => "access to memory that cannot be reached",
        Signal::SIGABRT => "given up by a library",
        Signal::SIGFPE => "a division that cannot be done",
        Signal::SIGILL => "an instruction that this processor does not know",
        Signal::SIGKILL => "as the kernel does where memory is short",
        _ => return signal.as_str().to_owned(),
    };
    format!("{} ({words})", signal.as_str())
}
