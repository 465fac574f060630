//! The one door to atomics, cells and the futex: the seam where loom takes over in models.
//!
//! Everything concurrent in this crate imports from here. With `--cfg loom` the same names are
//! loom's, and the futex is a mutex and a condition variable that loom can explore.

#[cfg(not(loom))]
pub use self::real::{Futex, hint_spin};
#[cfg(not(loom))]
pub use std::sync::Arc;
#[cfg(not(loom))]
pub use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

#[cfg(loom)]
pub use self::model::{Futex, hint_spin};
#[cfg(loom)]
pub use loom::sync::Arc;
#[cfg(loom)]
pub use loom::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

/// A value alone on its cache line pair: 128 bytes, since x86 prefetches lines in pairs and some
/// arm64 cores have 128-byte lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Padded<T>(pub T);

impl<T> std::ops::Deref for Padded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(not(loom))]
mod real {
    use super::{AtomicU32, Ordering};
    use nix::libc;

    /// A word that threads can sleep on (futex(2), private to the process).
    #[derive(Debug, Default)]
    pub struct Futex(AtomicU32);

    impl Futex {
        /// A word that holds `value`.
        #[must_use]
        pub fn new(value: u32) -> Self {
            Self(AtomicU32::new(value))
        }

        /// The word's value.
        pub fn load(&self, order: Ordering) -> u32 {
            self.0.load(order)
        }

        /// Adds one, wrapping; gives the value before.
        pub fn increment(&self, order: Ordering) -> u32 {
            self.0.fetch_add(1, order)
        }

        /// Sleeps while the word holds `expected`, at most `timeout_ns`. May return early: the caller
        /// looks again at what it waits for.
        ///
        /// # Source
        /// futex(2), FUTEX_WAIT.
        #[allow(unsafe_code)]
        pub fn wait(&self, expected: u32, timeout_ns: Option<u64>) {
            let timeout = timeout_ns.map(|ns| libc::timespec {
                tv_sec: libc::time_t::try_from(ns / crate::units::NS_PER_S)
                    .unwrap_or(libc::time_t::MAX),
                // Below 10^9, so it fits every width of c_long.
                #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
                tv_nsec: (ns % crate::units::NS_PER_S) as libc::c_long,
            });
            let timeout_ptr = timeout
                .as_ref()
                .map_or(std::ptr::null(), std::ptr::from_ref);
            // SAFETY: FUTEX_WAIT reads the aligned u32 behind the first pointer, which lives as long as
            // `self`, and the timespec behind the fourth, which is null or lives to the end of this
            // function. The result is not needed: every caller re-checks its condition.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                    expected,
                    timeout_ptr,
                );
            }
        }

        /// Wakes at most `count` sleepers.
        #[allow(unsafe_code)]
        pub fn wake(&self, count: u32) {
            let count = i32::try_from(count).unwrap_or(i32::MAX);
            // SAFETY: FUTEX_WAKE only uses the address, which is that of a live, aligned u32.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                    count,
                );
            }
        }
    }

    /// Tells the core that this is a spin loop (`PAUSE`, `YIELD`).
    #[inline]
    pub fn hint_spin() {
        std::hint::spin_loop();
    }
}

#[cfg(loom)]
mod model {
    use super::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};

    /// The futex's stand-in under loom. The word is a loom atomic with the orderings that the caller
    /// names; the kernel's queue of sleepers is a mutex and a condition variable. Time-outs never fire,
    /// so that a lost wake-up is a deadlock, which loom reports.
    ///
    /// The mutex orders a woken sleeper after its waker, which the real futex does not promise. What a
    /// waiter finds without sleeping is not ordered by it: a weak ordering shows there.
    #[derive(Debug)]
    pub struct Futex {
        word: AtomicU32,
        queue: Mutex<()>,
        sleepers: Condvar,
    }

    impl Futex {
        /// A word that holds `value`.
        #[must_use]
        pub fn new(value: u32) -> Self {
            Self {
                word: AtomicU32::new(value),
                queue: Mutex::new(()),
                sleepers: Condvar::new(),
            }
        }

        /// The word's value.
        pub fn load(&self, order: Ordering) -> u32 {
            self.word.load(order)
        }

        /// Adds one, wrapping; gives the value before.
        pub fn increment(&self, order: Ordering) -> u32 {
            self.word.fetch_add(1, order)
        }

        /// Sleeps while the word holds `expected`.
        pub fn wait(&self, expected: u32, _timeout_ns: Option<u64>) {
            let queue = self.queue.lock().unwrap();
            // The kernel's look at the word is ordered against FUTEX_WAKE by full barriers on both
            // sides, so it is never older than a change that was made before the wake-up: as a
            // read-modify-write sees it.
            if self.word.fetch_add(0, Ordering::Relaxed) == expected {
                drop(self.sleepers.wait(queue).unwrap());
            }
        }

        /// Wakes at most `count` sleepers.
        pub fn wake(&self, count: u32) {
            let _queue = self.queue.lock().unwrap();
            if count == u32::MAX {
                self.sleepers.notify_all();
            } else {
                (0..count).for_each(|_| self.sleepers.notify_one());
            }
        }
    }

    /// Lets another thread of the model run.
    pub fn hint_spin() {
        loom::thread::yield_now();
    }
}

/// Runs a model through every schedule with at most `preemptions` preemptions, and asserts that there
/// were at least `least` of them: a model that explores one schedule proves nothing.
#[cfg(all(test, loom))]
#[track_caller]
pub(crate) fn explore(preemptions: usize, least: usize, model: impl Fn() + Sync + Send + 'static) {
    use std::sync::atomic::AtomicUsize;
    let schedules = std::sync::Arc::new(AtomicUsize::new(0));
    let start = std::time::Instant::now();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check({
        let schedules = std::sync::Arc::clone(&schedules);
        move || {
            schedules.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            model();
        }
    });
    let schedules = schedules.load(std::sync::atomic::Ordering::Relaxed);
    println!("{schedules} schedules in {:.1?}", start.elapsed());
    assert!(
        schedules >= least,
        "only {schedules} schedules, expected {least}"
    );
}
