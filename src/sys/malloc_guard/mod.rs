//! Who enters the heap once the program is ready, and what becomes of it.
//!
//! The C library's allocation functions are defined anew here and forward to it, so that Rust, C and
//! C++ (the TensorFlow Lite library included) pass through one door. While a [`Guard`] is held, that
//! door counts by thread: hot threads each for themselves, all others together. A hot thread with an
//! [`Arena`] is served from it instead: fixed, locked, constant in time.
//!
//! ```text
//!  malloc ─► guard held? ─no─► C library
//!               │ yes
//!               ▼
//!            this thread has an arena? ─no─► count, C library
//!               │ yes
//!               ▼
//!            main part ─full─► reserve ─full─► count, C library
//!            arena_served      arena_served       arena_refused
//!                              arena_overdrawn
//! ```
//!
//! Running out never gives null while the C library still has memory. With null, `operator new` throws
//! `std::bad_alloc` through TensorFlow Lite's C functions, where nothing catches it: with TFLite 2.17.1
//! and the built-in kernels, null at the first or the fourth allocation of an invoke ended the process
//! (`std::terminate`) for each of three models. So the call that runs out is served from the reserve,
//! the invoke ends normally, and its caller sees [`HeapCounts::arena_overdrawn`] or
//! [`HeapCounts::arena_refused`] risen ([`thread_counts`]): that inference counts as failed.
//!
//! Where the C library is not glibc nothing is counted, and [`self_test`] says so.
#![allow(unsafe_code)]

mod arena;
mod error;
#[cfg(all(target_env = "gnu", not(miri)))]
mod foreign;
#[cfg(all(target_env = "gnu", not(miri)))]
mod interpose;
mod mode;
mod records;
mod refusal;
#[cfg(all(test, target_env = "gnu", not(miri)))]
mod tests;

pub use arena::{Arena, ArenaError, ArenaReport, Pool, reports as arena_reports};
pub use error::HeapError;
pub use records::HeapCounts;
pub use refusal::REFUSED;

use crate::limits::MAX_THREADS;
use crate::sync::{Ordering, Padded};
use mode::settings;
use nix::libc;
use records::{ARENA, ENDED, HOT, INDEX, OTHERS, PROBED, Record, record};
use std::hint::black_box;
use std::marker::PhantomData;

/// While it is held, calls are counted and arenas serve. Guards nest.
#[derive(Debug)]
#[must_use = "counting ends when the guard is dropped"]
pub struct Guard(());

/// Turns counting on. The program is ready from here.
pub fn guard_on() -> Guard {
    let mut guards = settings();
    prepare();
    *guards += 1;
    mode::set(mode::GUARD, true);
    Guard(())
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut guards = settings();
        *guards -= 1;
        if *guards == 0 {
            mode::set(mode::GUARD, false);
        }
    }
}

/// For finding who allocates: with `true` the first entry of a hot thread into the C library's heap
/// while a guard is held prints where it came from, and aborts the process.
pub fn set_trap(on: bool) {
    let _settings = settings();
    mode::set(mode::TRAP, on);
}

/// From now on each allocation that the C library refuses is a line to `fd`: [`REFUSED`], and the bytes that were asked
/// for. What asked may end the process over it before anyone else can say so.
pub fn tell_of_refusals(fd: std::os::fd::OwnedFd) {
    let _settings = settings();
    refusal::tell(fd);
}

/// A thread whose calls are counted by themselves. Belongs to its thread; its counts go to the sum of
/// hot threads when it is dropped.
#[derive(Debug)]
pub struct HotThread {
    index: usize,
    arena: Option<&'static Arena>,
    /// It undoes what it did to thread-local state: not `Send`.
    _thread: PhantomData<*const ()>,
}

/// Makes the calling thread a hot one.
///
/// # Errors
/// It is one already, or there are too many.
pub fn register_hot() -> Result<HotThread, HeapError> {
    if INDEX.get() != MAX_THREADS {
        return Err(HeapError::AlreadyHot);
    }
    let free = |record: &Padded<Record>| {
        // M4 (acquire, pairs with M4 release in `drop`): the counts are clear.
        record
            .taken
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    };
    let index = HOT.iter().position(free).ok_or(HeapError::TooManyThreads)?;
    INDEX.set(index);
    Ok(HotThread {
        index,
        arena: None,
        _thread: PhantomData,
    })
}

impl HotThread {
    /// Its place among the hot threads.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Lets `arena` serve this thread's calls while a guard is held. One thread at a time has an arena;
    /// dropping the thread's registration frees it for another.
    ///
    /// # Errors
    /// The arena serves another thread, or this one has an arena.
    pub fn attach(&mut self, arena: &'static Arena) -> Result<(), HeapError> {
        if self.arena.is_some() || !arena.acquire() {
            return Err(HeapError::ArenaTaken);
        }
        self.arena = Some(arena);
        ARENA.set(arena);
        Ok(())
    }

    /// What was counted of it.
    #[must_use]
    pub fn counts(&self) -> HeapCounts {
        HOT[self.index].counts()
    }
}

impl Drop for HotThread {
    fn drop(&mut self) {
        if let Some(arena) = self.arena.take() {
            ARENA.set(std::ptr::null());
            arena.release();
        }
        INDEX.set(MAX_THREADS);
        let record = &HOT[self.index];
        ENDED.add(&record.counts());
        record.clear();
        // M4 (release, pairs with M4 acquire in `register_hot`).
        record.taken.store(false, Ordering::Release);
    }
}

/// What was counted of the calling thread; of all others together when it is not hot. Does not
/// allocate.
#[must_use]
pub fn thread_counts() -> HeapCounts {
    record().0.counts()
}

/// What was counted of all hot threads, those that ended included.
#[must_use]
pub fn hot_counts() -> HeapCounts {
    HOT.iter()
        .fold(ENDED.counts(), |sum, record| sum.plus(&record.counts()))
}

/// What was counted of the threads that are not hot.
#[must_use]
pub fn other_counts() -> HeapCounts {
    OTHERS.counts()
}

/// Makes the C library keep one heap for all threads. By itself it reserves 64 MiB of address space for
/// each of the first threads, which counts against the limit of locked memory, and spreads over them
/// what arming leaves behind. Hot threads do not enter the heap, so none waits for its lock. Call it
/// before the first thread is started.
pub fn limit_glibc_arenas() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no requirement but a known parameter; a refusal changes nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Finds what the door needs from the C library, while it may still allocate.
fn prepare() {
    #[cfg(all(target_env = "gnu", not(miri)))]
    interpose::prepare();
}

/// Shows that calls from C, C++ and Rust pass through here in this executable, to the C library.
///
/// # Errors
/// They do not: figures of heap calls would be empty words, and two heaps would get each other's memory.
pub fn self_test() -> Result<(), HeapError> {
    let _settings = settings();
    prepare();
    mode::set(mode::PROBE, true);
    // The compiler knows these functions, and that the C library's do not touch our counter. Ours do:
    // `black_box` keeps each reading between the calls where it stands.
    let before = black_box(PROBED.get());
    // SAFETY: strdup reads a string that ends with NUL.
    let copy = black_box(unsafe { libc::strdup(black_box(c"probe").as_ptr()) });
    let after_c = black_box(PROBED.get());
    // SAFETY: strdup gave it, or null, and nobody else has it.
    unsafe { libc::free(copy.cast()) };
    drop(black_box(Box::new(black_box(1_u64))));
    let after_rust = black_box(PROBED.get());
    #[cfg(all(target_env = "gnu", not(miri)))]
    let other = foreign::find();
    mode::set(mode::PROBE, false);
    #[cfg(all(target_env = "gnu", not(miri)))]
    other?;
    let (c, rust) = (after_c - before, after_rust - after_c);
    if c == 1 && rust == 1 {
        Ok(())
    } else {
        Err(HeapError::NotInterposed { c, rust })
    }
}
