//! Whether a thread gets its core, and which thread has it instead, as /proc tells. Nothing here needs the heap but
//! [`CoreUse::open`].

use crate::sys::cpu::core_set::CoreSet;
use crate::sys::io::{folder, procfs};
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

/// Bytes of /proc/<pid>/task/<tid>/stat that are read: all of it, with any name.
const STAT_BYTES: usize = 1024;
/// Bytes of a path below /proc.
const PATH_BYTES: usize = 64;

/// Another thread of this process, watched for whether it gets its core.
#[derive(Debug)]
pub struct CoreUse {
    tid: i32,
    stat: File,
    schedstat: File,
}

/// What the kernel says of a thread at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreSample {
    /// It runs, or could.
    pub is_runnable: bool,
    /// Time that it has had on cores.
    pub ran_ns: u64,
}

/// A thread that has a core, or is in line for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreUser {
    /// Its process.
    pub pid: i32,
    /// Its name.
    pub name: heapless::String<16>,
    /// Its real-time priority; 0 for none.
    pub priority: u32,
    /// The core.
    pub core: usize,
}

impl std::fmt::Display for CoreUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pid {}", self.name.escape_debug(), self.pid)?;
        if self.priority > 0 {
            write!(f, ", real-time priority {}", self.priority)?;
        }
        write!(f, ") has core {}", self.core)
    }
}

impl CoreUse {
    /// Of a thread of this process.
    ///
    /// # Errors
    /// open(2)'s, of a thread that has ended or a kernel without CONFIG_SCHED_INFO.
    pub fn open(tid: i32) -> std::io::Result<Self> {
        Ok(Self {
            tid,
            stat: File::open(format!("/proc/self/task/{tid}/stat"))?,
            schedstat: File::open(format!("/proc/self/task/{tid}/schedstat"))?,
        })
    }

    /// What the kernel says of it now; `None` once it has ended.
    #[must_use]
    pub fn sample(&self) -> Option<CoreSample> {
        let mut buffer = [0; STAT_BYTES];
        let stat = Stat::of(procfs::reread(&self.stat, &mut buffer).ok()?)?;
        let is_runnable = stat.is_runnable;
        let schedstat = procfs::reread(&self.schedstat, &mut buffer).ok()?;
        Some(CoreSample {
            is_runnable,
            ran_ns: procfs::number(schedstat)?,
        })
    }

    /// The thread of greatest priority that could run on one of `cores`, but for this one. Looks at every thread of the
    /// machine: some milliseconds.
    #[must_use]
    pub fn rival(&self, cores: &CoreSet) -> Option<CoreUser> {
        let mut found: Option<CoreUser> = None;
        let proc = File::open("/proc").ok()?;
        folder::each_name(&proc, |pid| {
            let Some(number) = pid.parse().ok().filter(|pid: &i32| *pid > 0) else {
                return;
            };
            let mut path = heapless::String::<PATH_BYTES>::new();
            let _ = write!(path, "/proc/{pid}/task");
            let Ok(tasks) = File::open(path.as_str()) else {
                return;
            };
            folder::each_name(&tasks, |tid| {
                if tid.parse() == Ok(self.tid) {
                    return;
                }
                let mut path = heapless::String::<PATH_BYTES>::new();
                let mut buffer = [0; STAT_BYTES];
                let _ = write!(path, "/proc/{pid}/task/{tid}/stat");
                let stat = procfs::read(Path::new(path.as_str()), &mut buffer);
                let Some(stat) = stat.ok().and_then(Stat::of) else {
                    return;
                };
                let is_rival = stat.is_runnable && cores.contains(stat.core);
                let before = found.as_ref().map(|found| found.priority);
                if is_rival && before.is_none_or(|priority| stat.priority > priority) {
                    let mut name = heapless::String::new();
                    for letter in stat.name.chars() {
                        let _ = name.push(letter);
                    }
                    found = Some(CoreUser {
                        pid: number,
                        name,
                        priority: stat.priority,
                        core: stat.core,
                    });
                }
            });
        });
        found
    }
}

/// What is used of a stat file.
struct Stat<'a> {
    name: &'a str,
    is_runnable: bool,
    core: usize,
    priority: u32,
}

impl<'a> Stat<'a> {
    /// # Source
    /// proc_pid_stat(5): (2) comm in parentheses, (3) state, (39) processor, (40) rt_priority.
    fn of(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (before, after) = text.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let mut fields = after.split_ascii_whitespace();
        let state = fields.next()?;
        let core = fields.nth(39 - 4)?.parse().ok()?;
        let priority = fields.next()?.parse().ok()?;
        Some(Self {
            name,
            is_runnable: state == "R",
            core,
            priority,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::thread::{Children, Policy, ThreadSpec, current_cores, spawn};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_stat_line_is_read_whatever_the_name_is() {
        let mut line = "7 (a) R (b) c) S 1".to_owned();
        for field in 5..39 {
            line += &format!(" {field}");
        }
        line += " 3 50 1 0";
        let stat = Stat::of(line.as_bytes()).unwrap();
        assert_eq!((stat.name, stat.is_runnable), ("a) R (b) c", false));
        assert_eq!((stat.core, stat.priority), (3, 50));
        assert!(Stat::of(b"7 (cut) R 1 2").is_none());
    }

    #[test]
    fn a_thread_that_computes_is_seen_to_run_and_is_the_rival_of_the_others_on_its_core() {
        let core = current_cores().unwrap().first().unwrap();
        let cores = CoreSet::single(core);
        let ends = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ends);
        let spec = ThreadSpec {
            name: "computes".into(),
            cores,
            policy: Policy::Other,
            children: Children::Reset,
            policy_required: false,
            stack_bytes: 256 << 10,
        };
        let busy = spawn(spec, move |_| {
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        })
        .unwrap();
        let of_it = CoreUse::open(busy.placed.tid).unwrap();
        let first = of_it.sample().unwrap();
        let mut next = first;
        while next.ran_ns == first.ran_ns {
            next = of_it.sample().unwrap();
        }
        assert!(next.is_runnable && next.ran_ns > first.ran_ns);
        // Others of the machine may be in line for the core as well.
        let me = CoreUse::open(nix::unistd::gettid().as_raw()).unwrap();
        assert!(me.rival(&cores).is_some());
        assert!(me.rival(&CoreSet::default()).is_none());
        ends.store(true, Ordering::Relaxed);
        busy.join().unwrap();
    }
}
