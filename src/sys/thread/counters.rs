//! Counters of the calling thread, cheap enough for every frame.

use crate::latency::ThreadCounters;
use crate::sys::io::procfs;
use nix::sched::sched_getcpu;
use nix::sys::resource::{UsageWho, getrusage};
use std::fs::File;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt as _;

/// Counters of the calling thread, stamped `at_ns`: a time that was taken just before. One system call, about 0.3 us where an invoke takes milliseconds. Does not allocate.
#[must_use]
pub fn counters(at_ns: u64) -> ThreadCounters {
    let core = sched_getcpu().unwrap_or_default();
    // It fails for an unknown `who` only.
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else {
        return ThreadCounters {
            at_ns,
            core,
            ..ThreadCounters::default()
        };
    };
    let faults = usage.minor_page_faults() + usage.major_page_faults();
    ThreadCounters {
        at_ns,
        queued_ns: None,
        core,
        page_faults: faults.unsigned_abs(),
        voluntary_switches: usage.voluntary_context_switches().unsigned_abs(),
        involuntary_switches: usage.involuntary_context_switches().unsigned_abs(),
    }
}

/// How long a thread waited in the run queue of its core, ready to run. Opened at arming by the thread that it
/// is about, so that reading needs neither the heap nor open(2).
///
/// # Source
/// Documentation/scheduler/sched-stats.rst of the kernel, "/proc/<pid>/schedstat". The time of a wait is
/// exact, and reading it is no occasion for the scheduler to act; reading CLOCK_THREAD_CPUTIME_ID is one,
/// and was seen to cost a thread the core that it asked about.
#[derive(Debug)]
pub struct RunQueue {
    schedstat: Option<File>,
    /// The file is about the thread that opened it: not `Send`.
    _thread: PhantomData<*const ()>,
}

impl RunQueue {
    /// For the calling thread.
    #[must_use]
    pub fn open() -> Self {
        let mut queue = Self {
            schedstat: File::open("/proc/thread-self/schedstat").ok(),
            _thread: PhantomData,
        };
        if queue.waited_ns().is_none() {
            queue.schedstat = None;
        }
        queue
    }

    /// Time waited since the thread began; `None` where the kernel does not count it (CONFIG_SCHED_INFO).
    /// One system call, about 1 us. Does not allocate.
    #[must_use]
    pub fn waited_ns(&self) -> Option<u64> {
        let mut buffer = [0; 64];
        let length = self.schedstat.as_ref()?.read_at(&mut buffer, 0).ok()?;
        let mut fields = buffer.get(..length)?.split(|&byte| byte == b' ');
        procfs::number(fields.nth(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::now_ns;
    use crate::sys::cpu::core_set::CoreSet;
    use crate::sys::thread::{ThreadUsage, UsageProbe, current_cores, pin};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[test]
    fn a_sleep_is_a_voluntary_switch() {
        let before = counters(now_ns());
        // One that is over before the thread came to lie down is none.
        let mut seen = before.until(&before);
        for _ in 0..1000 {
            std::thread::sleep(Duration::from_millis(5));
            seen = before.until(&counters(now_ns()));
            if seen.voluntary_switches >= 1 {
                break;
            }
        }
        assert!(seen.voluntary_switches >= 1);
        assert_eq!(seen.queued_ns, None);
    }

    #[test]
    fn the_counters_are_those_of_the_proof() {
        let faults = |usage: ThreadUsage| usage.minor_faults + usage.major_faults;
        let probe = UsageProbe::open();
        let (before, seen, after) = (probe.read(), counters(now_ns()), probe.read());
        assert!((faults(before)..=faults(after)).contains(&seen.page_faults));
        let switches = before.involuntary_switches..=after.involuntary_switches;
        assert!(switches.contains(&seen.involuntary_switches));
        assert!(seen.core < CoreSet::CAPACITY);
    }

    /// Computes for this long.
    fn busy(for_ns: u64) {
        let began_ns = now_ns();
        while now_ns() - began_ns < for_ns {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn a_thread_that_shares_its_core_stands_in_line_for_it() {
        const BUSY_NS: u64 = 10_000_000;
        const MOST: u64 = 1000;
        let core = current_cores().unwrap().first().unwrap();
        let on_the_core = move || pin(&CoreSet::single(core)).unwrap();
        // Until the one that is looked at has computed, whenever it comes to that.
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let (begun, has_begun) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            on_the_core();
            begun.send(()).unwrap();
            while !ended.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        has_begun.recv().unwrap();
        let (waited_ns, passed_ns) = std::thread::spawn(move || {
            on_the_core();
            let queue = RunQueue::open();
            // The clock is read outside of the two readings: what comes between counts for both.
            let began_ns = now_ns();
            let before_ns = queue.waited_ns();
            let waited_ns = || {
                let after_ns = queue.waited_ns().zip(before_ns);
                after_ns.map(|(after, before)| after - before)
            };
            // Until the other one had its turn, whenever the kernel comes to that.
            for _ in 0..MOST {
                busy(BUSY_NS);
                if waited_ns() != Some(0) {
                    break;
                }
            }
            (waited_ns(), now_ns() - began_ns)
        })
        .join()
        .unwrap();
        over.store(true, Ordering::Relaxed);
        other.join().unwrap();
        match waited_ns {
            Some(waited_ns) => assert!((1..=passed_ns).contains(&waited_ns), "{waited_ns}"),
            None => assert!(!std::path::Path::new("/proc/self/schedstat").exists()),
        }
    }
}
