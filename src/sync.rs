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
    use super::Ordering;
    use loom::sync::{Condvar, Mutex};

    /// The futex's stand-in under loom: the word behind a mutex, sleepers on a condition variable.
    /// Time-outs never fire, so that a lost wake-up is a deadlock that loom reports.
    #[derive(Debug)]
    pub struct Futex {
        word: Mutex<u32>,
        sleepers: Condvar,
    }

    impl Futex {
        pub fn new(value: u32) -> Self {
            Self {
                word: Mutex::new(value),
                sleepers: Condvar::new(),
            }
        }
        pub fn load(&self, _: Ordering) -> u32 {
            *self.word.lock().unwrap()
        }
        pub fn increment(&self, _: Ordering) -> u32 {
            let mut word = self.word.lock().unwrap();
            let before = *word;
            *word = before.wrapping_add(1);
            before
        }
        pub fn wait(&self, expected: u32, _: Option<u64>) {
            let word = self.word.lock().unwrap();
            if *word == expected {
                drop(self.sleepers.wait(word).unwrap());
            }
        }
        pub fn wake(&self, count: u32) {
            let _word = self.word.lock().unwrap();
            for _ in 0..count.min(8) {
                self.sleepers.notify_one();
            }
        }
    }

    pub fn hint_spin() {
        loom::thread::yield_now();
    }
}
