//! Page faults, switches and migrations of a thread, counted without disturbing it.

use crate::sys::counts::counts;
use crate::sys::io::procfs;
use nix::sched::sched_getcpu;
use nix::sys::resource::{UsageWho, getrusage};
use std::fs::File;

counts! {
    /// What happened to a thread since it started; take differences.
    pub struct ThreadUsage {
        /// Page faults served without I/O.
        pub minor_faults: u64,
        /// Page faults that waited for I/O.
        pub major_faults: u64,
        /// Times that it went on on another core.
        pub migrations: u64,
        /// Times that it waited.
        pub voluntary_switches: u64,
        /// Times that it was pushed off its core.
        pub involuntary_switches: u64,
    }
}

impl ThreadUsage {
    /// Of the calling thread, until now. Migrations are the kernel's count where /proc shows it
    /// (CONFIG_SCHED_DEBUG), else 0: see [`UsageProbe`] for those kernels. Does not allocate.
    #[must_use]
    pub fn now() -> Self {
        UsageProbe::open().read()
    }
}

/// Where a count of migrations comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationSource {
    /// `se.nr_migrations` of /proc/thread-self/sched: the kernel's own count.
    Kernel,
    /// Changes of the core seen by [`UsageProbe::sample`]: there and back between two samples is missed.
    Sampled,
}

/// Reads the usage of the thread that opened it. Opened at arming, so that reading after ready needs
/// neither the heap nor open(2). Belongs to its thread.
#[derive(Debug)]
pub struct UsageProbe {
    pub(super) sched: Option<File>,
    pub(super) last_core: usize,
    sampled: u64,
    /// getrusage and the file tell of the thread that asks and the thread that opened: not `Send`.
    _thread: std::marker::PhantomData<*const ()>,
}

impl UsageProbe {
    /// For the calling thread.
    #[must_use]
    pub fn open() -> Self {
        let mut probe = Self {
            sched: File::open("/proc/thread-self/sched").ok(),
            last_core: sched_getcpu().unwrap_or(0),
            sampled: 0,
            _thread: std::marker::PhantomData,
        };
        if probe.kernel_migrations().is_none() {
            probe.sched = None;
        }
        probe
    }

    /// Where migrations come from on this machine.
    #[must_use]
    pub fn migration_source(&self) -> MigrationSource {
        if self.sched.is_some() {
            MigrationSource::Kernel
        } else {
            MigrationSource::Sampled
        }
    }

    /// Notes the core; for each turn of the thread's loop. A few nanoseconds, no system call; nothing
    /// where the kernel counts by itself.
    #[inline]
    pub fn sample(&mut self) {
        if self.sched.is_none() {
            self.note_core(sched_getcpu().unwrap_or(self.last_core));
        }
    }

    #[inline]
    pub(super) fn note_core(&mut self, core: usize) {
        if core != self.last_core {
            self.last_core = core;
            self.sampled += 1;
        }
    }

    /// The usage until now. Does not allocate.
    #[must_use]
    pub fn read(&self) -> ThreadUsage {
        // It fails for an unknown `who` only.
        let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else {
            return ThreadUsage::default();
        };
        ThreadUsage {
            minor_faults: usage.minor_page_faults().unsigned_abs(),
            major_faults: usage.major_page_faults().unsigned_abs(),
            migrations: self.kernel_migrations().unwrap_or(self.sampled),
            voluntary_switches: usage.voluntary_context_switches().unsigned_abs(),
            involuntary_switches: usage.involuntary_context_switches().unsigned_abs(),
        }
    }

    fn kernel_migrations(&self) -> Option<u64> {
        // The line is among the first five; the file is some two KiB.
        let mut buffer = [0; 1024];
        procfs::field(
            procfs::reread(self.sched.as_ref()?, &mut buffer).ok()?,
            "se.nr_migrations",
        )
    }
}
