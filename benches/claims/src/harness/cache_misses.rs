//! Cache misses of a thread, where the processor's counters can be read (perf_event_open(2)).

use perf_event::events::{Cache, CacheOp, CacheResult, Hardware, WhichCache};
use perf_event::{Builder, Counter};
use std::io;

/// Counts cache misses of the thread that opened it, in user space.
#[derive(Debug)]
pub(crate) struct CacheCounter {
    last_level: Counter,
    first_level: Counter,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheMisses {
    /// Reads that the last level did not have.
    pub last_level: u64,
    /// Reads that the first level did not have.
    pub first_level: u64,
}

impl CacheCounter {
    /// Opens the counters, stopped at 0.
    ///
    /// # Errors
    /// The processor has none, as in most virtual machines, or this process may not read them
    /// (`/proc/sys/kernel/perf_event_paranoid`).
    pub(crate) fn open() -> io::Result<Self> {
        let first_level = Cache {
            which: WhichCache::L1D,
            operation: CacheOp::READ,
            result: CacheResult::MISS,
        };
        Ok(Self {
            last_level: Builder::new().kind(Hardware::CACHE_MISSES).build()?,
            first_level: Builder::new().kind(first_level).build()?,
        })
    }

    /// Counts from here.
    ///
    /// # Errors
    /// What ioctl(2) said.
    pub(crate) fn start(&mut self) -> io::Result<()> {
        self.last_level.enable()?;
        self.first_level.enable()
    }

    /// What was counted since the start.
    ///
    /// # Errors
    /// What read(2) said.
    pub(crate) fn read(&mut self) -> io::Result<CacheMisses> {
        Ok(CacheMisses {
            last_level: self.last_level.read()?,
            first_level: self.first_level.read()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_count_or_say_why_they_do_not() {
        match CacheCounter::open() {
            Ok(mut counter) => {
                counter.start().unwrap();
                let block = std::hint::black_box(vec![1_u8; 8 << 20]);
                assert_ne!(
                    block
                        .iter()
                        .step_by(64)
                        .map(|&byte| u64::from(byte))
                        .sum::<u64>(),
                    0
                );
                assert_ne!(counter.read().unwrap(), CacheMisses::default());
            }
            Err(error) => assert!(error.raw_os_error().is_some()),
        }
    }
}
