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
#[cfg(all(target_env = "gnu", not(miri)))]
mod interpose;
#[cfg(all(test, target_env = "gnu", not(miri)))]
mod tests;

pub use arena::{Arena, ArenaError, ArenaReport, Pool, reports as arena_reports};

use crate::limits::MAX_THREADS;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, Padded};
use nix::libc;
use std::cell::Cell;
use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bits of `MODE`. All clear is the one test that every allocation before ready pays.
mod mode {
    /// Calls are counted.
    pub const GUARD: usize = 1;
    /// A pointer may be one of an arena.
    pub const ARENAS: usize = 2;
    /// A self-test is listening.
    pub const PROBE: usize = 4;
    /// The first call of a hot thread ends the process.
    pub const TRAP: usize = 8;
}

/// What the door does; changed under `SETTINGS` only. Relaxed throughout: a thread that learns late
/// that the guard is up counts late, nothing else depends on it.
static MODE: AtomicUsize = AtomicUsize::new(0);

/// Guards that are held.
static SETTINGS: Mutex<usize> = Mutex::new(0);

/// Calls of one thread, or of all that are not hot. Written by its thread (the shared one by many);
/// read by anyone. Statistics: relaxed throughout.
#[derive(Debug)]
struct Record {
    taken: AtomicBool,
    calls: AtomicU64,
    frees: AtomicU64,
    allocated_bytes: AtomicU64,
    freed_bytes: AtomicU64,
    arena_served: AtomicU64,
    arena_returned: AtomicU64,
    arena_overdrawn: AtomicU64,
    arena_refused: AtomicU64,
}

impl Record {
    const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            frees: AtomicU64::new(0),
            allocated_bytes: AtomicU64::new(0),
            freed_bytes: AtomicU64::new(0),
            arena_served: AtomicU64::new(0),
            arena_returned: AtomicU64::new(0),
            arena_overdrawn: AtomicU64::new(0),
            arena_refused: AtomicU64::new(0),
        }
    }

    fn counts(&self) -> HeapCounts {
        HeapCounts {
            calls: self.calls.load(Ordering::Relaxed),
            frees: self.frees.load(Ordering::Relaxed),
            allocated_bytes: self.allocated_bytes.load(Ordering::Relaxed),
            freed_bytes: self.freed_bytes.load(Ordering::Relaxed),
            arena_served: self.arena_served.load(Ordering::Relaxed),
            arena_returned: self.arena_returned.load(Ordering::Relaxed),
            arena_overdrawn: self.arena_overdrawn.load(Ordering::Relaxed),
            arena_refused: self.arena_refused.load(Ordering::Relaxed),
        }
    }

    fn add(&self, counts: &HeapCounts) {
        self.calls.fetch_add(counts.calls, Ordering::Relaxed);
        self.frees.fetch_add(counts.frees, Ordering::Relaxed);
        self.allocated_bytes
            .fetch_add(counts.allocated_bytes, Ordering::Relaxed);
        self.freed_bytes
            .fetch_add(counts.freed_bytes, Ordering::Relaxed);
        self.arena_served
            .fetch_add(counts.arena_served, Ordering::Relaxed);
        self.arena_returned
            .fetch_add(counts.arena_returned, Ordering::Relaxed);
        self.arena_overdrawn
            .fetch_add(counts.arena_overdrawn, Ordering::Relaxed);
        self.arena_refused
            .fetch_add(counts.arena_refused, Ordering::Relaxed);
    }

    fn clear(&self) {
        for counter in [
            &self.calls,
            &self.frees,
            &self.allocated_bytes,
            &self.freed_bytes,
            &self.arena_served,
            &self.arena_returned,
            &self.arena_overdrawn,
            &self.arena_refused,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// Threads that are not hot, together.
static OTHERS: Padded<Record> = Padded(Record::new());
/// Hot threads that have ended, together.
static ENDED: Padded<Record> = Padded(Record::new());
/// Hot threads.
static HOT: [Padded<Record>; MAX_THREADS] = [const { Padded(Record::new()) }; MAX_THREADS];

thread_local! {
    /// This thread's entry of `HOT`; `MAX_THREADS` is none. Constant and without a destructor, so that
    /// looking at it never allocates and works to the thread's end.
    static INDEX: Cell<usize> = const { Cell::new(MAX_THREADS) };
    /// The arena that serves this thread; null is none.
    static ARENA: Cell<*const Arena> = const { Cell::new(std::ptr::null()) };
    /// Allocating calls of this thread while a self-test listens.
    static PROBED: Cell<u64> = const { Cell::new(0) };
}

/// The calling thread's record, and whether it is a hot thread's.
fn record() -> (&'static Record, bool) {
    match HOT.get(INDEX.get()) {
        Some(record) => (record, true),
        None => (&OTHERS, false),
    }
}

fn settings() -> MutexGuard<'static, usize> {
    // A panic elsewhere leaves the number as it was.
    SETTINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Entries into the heap while a guard was held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapCounts {
    /// Allocating calls that reached the C library.
    pub calls: u64,
    /// Freeing calls that reached the C library.
    pub frees: u64,
    /// Bytes that they got (the C library's usable size).
    pub allocated_bytes: u64,
    /// Bytes that they gave back.
    pub freed_bytes: u64,
    /// Allocating calls that an arena served, reserve included.
    pub arena_served: u64,
    /// Blocks given back to an arena.
    pub arena_returned: u64,
    /// Of the served ones those for which only the reserve had room: each fails its inference.
    pub arena_overdrawn: u64,
    /// Calls that neither had room for, and which the C library served.
    pub arena_refused: u64,
}

impl HeapCounts {
    /// Entries into the C library's heap, freeing included.
    #[must_use]
    pub const fn heap_calls(&self) -> u64 {
        self.calls + self.frees
    }

    /// Bytes got less bytes given back. What is in an arena is no growth.
    #[must_use]
    pub const fn growth_bytes(&self) -> i64 {
        self.allocated_bytes
            .wrapping_sub(self.freed_bytes)
            .cast_signed()
    }

    /// What was counted after `earlier`.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(earlier.calls),
            frees: self.frees.saturating_sub(earlier.frees),
            allocated_bytes: self.allocated_bytes.saturating_sub(earlier.allocated_bytes),
            freed_bytes: self.freed_bytes.saturating_sub(earlier.freed_bytes),
            arena_served: self.arena_served.saturating_sub(earlier.arena_served),
            arena_returned: self.arena_returned.saturating_sub(earlier.arena_returned),
            arena_overdrawn: self.arena_overdrawn.saturating_sub(earlier.arena_overdrawn),
            arena_refused: self.arena_refused.saturating_sub(earlier.arena_refused),
        }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            frees: self.frees + other.frees,
            allocated_bytes: self.allocated_bytes + other.allocated_bytes,
            freed_bytes: self.freed_bytes + other.freed_bytes,
            arena_served: self.arena_served + other.arena_served,
            arena_returned: self.arena_returned + other.arena_returned,
            arena_overdrawn: self.arena_overdrawn + other.arena_overdrawn,
            arena_refused: self.arena_refused + other.arena_refused,
        }
    }
}

/// The heap cannot be watched as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeapError {
    /// Every one of the [`MAX_THREADS`] records is taken.
    TooManyThreads,
    /// The thread is registered already.
    AlreadyHot,
    /// The arena serves another thread.
    ArenaTaken,
    /// Calls do not pass through here: C library functions of this many, Rust's heap of this many.
    NotInterposed {
        /// Calls of strdup(3) that were seen, of one.
        c: u64,
        /// Boxes that were seen, of one.
        rust: u64,
    },
}

impl std::fmt::Display for HeapError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooManyThreads => write!(f, "more than {MAX_THREADS} hot threads"),
            Self::AlreadyHot => f.write_str("the thread is registered as hot already"),
            Self::ArenaTaken => f.write_str("the malloc arena serves another thread"),
            Self::NotInterposed { c, rust } => write!(
                f,
                "heap calls cannot be counted: of one in C {c} were seen, of one in Rust {rust}; the \
                 executable must define malloc and export it, with glibc behind it"
            ),
        }
    }
}

impl std::error::Error for HeapError {}

/// While it is held, calls are counted and arenas serve. Guards nest.
#[derive(Debug)]
#[must_use = "counting ends when the guard is dropped"]
pub struct Guard(());

/// Turns counting on. The program is ready from here.
pub fn guard_on() -> Guard {
    let mut guards = settings();
    prepare();
    *guards += 1;
    MODE.fetch_or(mode::GUARD, Ordering::Relaxed);
    Guard(())
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut guards = settings();
        *guards -= 1;
        if *guards == 0 {
            MODE.fetch_and(!mode::GUARD, Ordering::Relaxed);
        }
    }
}

/// For finding who allocates: with `true` the first entry of a hot thread into the C library's heap
/// while a guard is held prints where it came from, and aborts the process.
pub fn set_trap(on: bool) {
    let _settings = settings();
    if on {
        MODE.fetch_or(mode::TRAP, Ordering::Relaxed);
    } else {
        MODE.fetch_and(!mode::TRAP, Ordering::Relaxed);
    }
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
        // Pairs with the release in `drop`: the counts are clear (T1).
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
        // Pairs with the acquire in `register_hot` (T1).
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
pub fn settle() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no requirement but a known parameter; a refusal changes nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives what the C library's heap holds free back to the kernel.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no requirement.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Finds what the door needs from the C library, while it may still allocate.
fn prepare() {
    #[cfg(all(target_env = "gnu", not(miri)))]
    interpose::prepare();
}

/// Shows that calls from C and from Rust pass through here in this executable.
///
/// # Errors
/// They do not: figures of heap calls would be empty words.
pub fn self_test() -> Result<(), HeapError> {
    let _settings = settings();
    prepare();
    MODE.fetch_or(mode::PROBE, Ordering::Relaxed);
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
    MODE.fetch_and(!mode::PROBE, Ordering::Relaxed);
    let (c, rust) = (after_c - before, after_rust - after_c);
    if c == 1 && rust == 1 {
        Ok(())
    } else {
        Err(HeapError::NotInterposed { c, rust })
    }
}
