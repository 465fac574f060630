//! What is counted, by thread.

use super::arena::Arena;
use crate::limits::MAX_THREADS;
use crate::sync::{AtomicBool, AtomicU64, Ordering, Padded};
use crate::sys::counts::counts;
use std::cell::Cell;

/// Defines the counters twice: as figures, and as a record that its thread writes.
macro_rules! heap_counts {
    ($($(#[$doc:meta])* pub $field:ident: u64,)*) => {
        counts! {
            /// Entries into the heap while a guard was held.
            pub struct HeapCounts { $($(#[$doc])* pub $field: u64,)* }
        }

        /// Calls of one thread, or of all that are not hot. Written by its thread (the shared one by many);
        /// read by anyone. Statistics: relaxed throughout.
        #[derive(Debug)]
        pub(super) struct Record {
            pub taken: AtomicBool,
            $(pub $field: AtomicU64,)*
        }

        impl Record {
            const fn new() -> Self {
                Self { taken: AtomicBool::new(false), $($field: AtomicU64::new(0),)* }
            }

            pub fn counts(&self) -> HeapCounts {
                HeapCounts { $($field: self.$field.load(Ordering::Relaxed),)* }
            }

            pub fn add(&self, counts: &HeapCounts) {
                $(self.$field.fetch_add(counts.$field, Ordering::Relaxed);)*
            }

            pub fn clear(&self) {
                $(self.$field.store(0, Ordering::Relaxed);)*
            }
        }
    };
}

heap_counts! {
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
}

/// Threads that are not hot, together.
pub(super) static OTHERS: Padded<Record> = Padded(Record::new());
/// Hot threads that have ended, together.
pub(super) static ENDED: Padded<Record> = Padded(Record::new());
/// Hot threads.
pub(super) static HOT: [Padded<Record>; MAX_THREADS] =
    [const { Padded(Record::new()) }; MAX_THREADS];

thread_local! {
    /// This thread's entry of `HOT`; `MAX_THREADS` is none. Constant and without a destructor, so that
    /// looking at it never allocates and works to the thread's end.
    pub(super) static INDEX: Cell<usize> = const { Cell::new(MAX_THREADS) };
    /// The arena that serves this thread; null is none.
    pub(super) static ARENA: Cell<*const Arena> = const { Cell::new(std::ptr::null()) };
    /// Allocating calls of this thread while a self-test listens.
    pub(super) static PROBED: Cell<u64> = const { Cell::new(0) };
    /// The same of freeing calls.
    pub(super) static PROBED_FREES: Cell<u64> = const { Cell::new(0) };
}

/// The calling thread's record, and whether it is a hot thread's.
pub(super) fn record() -> (&'static Record, bool) {
    match HOT.get(INDEX.get()) {
        Some(record) => (record, true),
        None => (&OTHERS, false),
    }
}
