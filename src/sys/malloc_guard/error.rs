//! Why the heap cannot be watched.

use crate::limits::MAX_THREADS;
use std::path::PathBuf;

/// The heap cannot be watched as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeapError {
    /// Another library answers for some of the heap.
    #[error(
        "{} answers for `{function}` in the C library's place: memory of one heap would be freed by another; start the \
         program without it (LD_PRELOAD, /etc/ld.so.preload)",
        library.display()
    )]
    Foreign {
        /// What it defines: a function of C, or an operator of C++ as compilers name it.
        function: &'static str,
        /// Its file.
        library: PathBuf,
    },
    /// Every one of the [`MAX_THREADS`] records is taken.
    #[error("more than {MAX_THREADS} hot threads")]
    TooManyThreads,
    /// The thread is registered already.
    #[error("the thread is registered as hot already")]
    AlreadyHot,
    /// The arena serves another thread.
    #[error("the malloc arena serves another thread")]
    ArenaTaken,
    /// Calls do not pass through here: C library functions of this many, Rust's heap of this many.
    #[error(
        "heap calls cannot be counted: of one in C {c} were seen, of one in Rust {rust}; the executable must define malloc \
         and export it, with glibc behind it"
    )]
    NotInterposed {
        /// Calls of strdup(3) that were seen, of one.
        c: u64,
        /// Boxes that were seen, of one.
        rust: u64,
    },
}
