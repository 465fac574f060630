//! What the process has used, and a sleep to a point in time: for measurements.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use pinsight::sys::clock::now_ns;
use pinsight::sys::io::procfs;
use std::path::Path;
use std::time::Duration;

/// Sleeps until CLOCK_MONOTONIC has reached `at_ns`.
pub(crate) fn sleep_until(at_ns: u64) {
    let at = TimeSpec::from_duration(Duration::from_nanos(at_ns));
    // A signal may end the sleep early.
    while now_ns() < at_ns {
        let flags = ClockNanosleepFlags::TIMER_ABSTIME;
        let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &at);
    }
}

/// Context switches (getrusage(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    /// A thread waited for something: each of these ends with a wake-up.
    pub voluntary: u64,
    /// A thread was taken off its core.
    pub involuntary: u64,
}

impl Switches {
    /// Of the calling thread since it began.
    #[must_use]
    pub(crate) fn of_thread() -> Self {
        Self::of(UsageWho::RUSAGE_THREAD)
    }

    /// Of all threads of the process since it began.
    #[must_use]
    pub(crate) fn of_process() -> Self {
        Self::of(UsageWho::RUSAGE_SELF)
    }

    fn of(who: UsageWho) -> Self {
        // Fails for an unknown `who` only, and never counts below zero.
        getrusage(who).map_or_else(
            |_| Self::default(),
            |usage| Self {
                voluntary: u64::try_from(usage.voluntary_context_switches()).unwrap_or(0),
                involuntary: u64::try_from(usage.involuntary_context_switches()).unwrap_or(0),
            },
        )
    }

    /// Both kinds.
    #[must_use]
    pub(crate) const fn all(self) -> u64 {
        self.voluntary + self.involuntary
    }

    /// Those after `earlier`.
    #[must_use]
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            voluntary: self.voluntary.saturating_sub(earlier.voluntary),
            involuntary: self.involuntary.saturating_sub(earlier.involuntary),
        }
    }
}

/// Bytes of memory that the process has at this moment (`VmRSS` of proc_pid_status(5)); 0 without /proc.
#[must_use]
pub(crate) fn resident_bytes() -> u64 {
    let mut buffer = [0; 4096];
    procfs::read(Path::new("/proc/self/status"), &mut buffer)
        .ok()
        .and_then(|status| procfs::field(status, "VmRSS"))
        .map_or(0, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_takes_its_time_and_is_one_voluntary_switch_or_more() {
        let before = (Switches::of_thread(), Switches::of_process());
        // One that is over before the thread came to lie down is no switch.
        for _ in 0..1000 {
            let until_ns = now_ns() + 2_000_000;
            sleep_until(until_ns);
            assert!(now_ns() >= until_ns);
            if Switches::of_thread().since(before.0).voluntary >= 1 {
                break;
            }
        }
        assert!(Switches::of_thread().since(before.0).voluntary >= 1);
        assert!(Switches::of_process().since(before.1).all() >= 1);
    }

    #[test]
    fn the_process_has_some_memory() {
        assert!(resident_bytes() > 100_000);
    }
}
