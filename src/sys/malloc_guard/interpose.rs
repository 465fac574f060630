//! The C library's allocation functions, defined by this program. An executable that links this crate
//! exports them, so that shared libraries call them too. Each forwards to glibc's own function under
//! its other name (`__libc_malloc` and so on).
//!
//! # Source
//! The GNU C Library manual, "Replacing malloc": which functions a replacement has to define. The two
//! `free_*sized` are C23's.

use super::arena::{self, Arena, Pool};
use super::records::{ARENA, PROBED, PROBED_FREES, Record, record};
use super::{mode, refusal};
use crate::sync::{AtomicUsize, Ordering};
use nix::errno::Errno;
use nix::libc::{self, c_int, c_void};
use std::io::Write as _;

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(pointer: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_free(pointer: *mut c_void);
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
    fn __libc_valloc(size: usize) -> *mut c_void;
    fn __libc_pvalloc(size: usize) -> *mut c_void;
}

type UsableSize = unsafe extern "C" fn(*mut c_void) -> usize;

/// Address of the C library's malloc_usable_size, which has no other name; 0 until it is known.
static USABLE_SIZE: AtomicUsize = AtomicUsize::new(0);

/// Looks the C library's malloc_usable_size up. May allocate.
pub fn prepare() {
    if USABLE_SIZE.load(Ordering::Relaxed) == 0 {
        // SAFETY: the name ends with NUL; RTLD_NEXT is the definition behind this executable's own.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"malloc_usable_size".as_ptr()) };
        USABLE_SIZE.store(found.addr(), Ordering::Relaxed);
    }
}

/// Bytes that the C library gave for `pointer`, which is null or one of its own.
fn usable_size(pointer: *mut c_void) -> u64 {
    let address = USABLE_SIZE.load(Ordering::Relaxed);
    if pointer.is_null() || address == 0 {
        return 0;
    }
    let function = std::ptr::with_exposed_provenance::<()>(address);
    // SAFETY: the address is what dlsym gave for the function of this signature.
    let function = unsafe { std::mem::transmute::<*const (), UsableSize>(function) };
    // SAFETY: the pointer is a live allocation of the C library.
    unsafe { function(pointer) as u64 }
}

fn no_memory() -> *mut c_void {
    Errno::ENOMEM.set();
    std::ptr::null_mut()
}

/// A pointer of the arenas, and whose.
fn arena_of(pointer: *mut c_void) -> Option<&'static Arena> {
    if mode::get() & mode::ARENAS == 0 {
        None
    } else {
        arena::owner_of(pointer)
    }
}

/// Serves an allocation while `MODE` is not clear: from the thread's arena, else by `library`.
fn serve(
    size: usize,
    align: usize,
    mode: usize,
    library: impl FnOnce() -> *mut c_void,
) -> *mut c_void {
    if mode & mode::PROBE != 0 {
        PROBED.set(PROBED.get() + 1);
    }
    if mode & mode::GUARD == 0 {
        return refusal::noted(mode, size, library());
    }
    let (record, hot) = record();
    if let Some(pointer) = from_arena(record, size, align) {
        return pointer;
    }
    if hot {
        trap(mode);
    }
    let pointer = refusal::noted(mode, size, library());
    record.calls.fetch_add(1, Ordering::Relaxed);
    record
        .allocated_bytes
        .fetch_add(usable_size(pointer), Ordering::Relaxed);
    pointer
}

/// Serves an allocation from the thread's arena, if it has one with room.
fn from_arena(record: &Record, size: usize, align: usize) -> Option<*mut c_void> {
    // SAFETY: null, or the arena that `HotThread::attach` set on this thread: arenas live for ever.
    let arena = unsafe { ARENA.get().as_ref() }?;
    // SAFETY: the thread's `ARENA` is the arena that this thread acquired and has not released.
    let Some((pointer, pool)) = (unsafe { arena.allocate(size, align) }) else {
        record.arena_refused.fetch_add(1, Ordering::Relaxed);
        return None;
    };
    record.arena_served.fetch_add(1, Ordering::Relaxed);
    if pool == Pool::Reserve {
        record.arena_overdrawn.fetch_add(1, Ordering::Relaxed);
    }
    Some(pointer.as_ptr().cast())
}

/// Gives a block of `arena` back.
fn to_arena(arena: &'static Arena, pointer: *mut c_void) {
    record().0.arena_returned.fetch_add(1, Ordering::Relaxed);
    if std::ptr::eq(ARENA.get(), arena) {
        // SAFETY: this thread has acquired the arena; the pointer is one of it that its caller gives up.
        unsafe { arena.free(pointer.cast()) }
    } else {
        // SAFETY: the pointer is one of the arena that its caller gives up.
        unsafe { arena.free_from_elsewhere(pointer.cast()) }
    }
}

/// Counts a freed pointer of the C library.
fn count_free(pointer: *mut c_void, mode: usize) {
    if mode & mode::PROBE != 0 {
        PROBED_FREES.set(PROBED_FREES.get() + 1);
    }
    if mode & mode::GUARD != 0 {
        let (record, hot) = record();
        if hot {
            trap(mode);
        }
        record.frees.fetch_add(1, Ordering::Relaxed);
        record
            .freed_bytes
            .fetch_add(usable_size(pointer), Ordering::Relaxed);
    }
}

/// Ends the process with a backtrace if the trap is set.
fn trap(mode: usize) {
    if mode & mode::TRAP != 0 {
        // What follows allocates; it is not to trap again.
        mode::set(mode::TRAP | mode::GUARD, false);
        ARENA.set(std::ptr::null());
        let trace = std::backtrace::Backtrace::force_capture();
        // Standard error may be closed.
        let _ = writeln!(std::io::stderr(), "a hot thread entered the heap:\n{trace}");
        std::process::abort();
    }
}

/// malloc(3).
///
/// # Safety
/// As in C: nothing is asked of the caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: the C library's function, with the same contract.
    let library = || unsafe { __libc_malloc(size) };
    match mode::get() {
        0 => library(),
        mode => serve(size, 0, mode, library),
    }
}

/// calloc(3).
///
/// # Safety
/// As in C: nothing is asked of the caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    // SAFETY: the C library's function, with the same contract.
    let library = || unsafe { __libc_calloc(count, size) };
    match mode::get() {
        0 => library(),
        mode => {
            let Some(bytes) = count.checked_mul(size) else {
                return no_memory();
            };
            let pointer = serve(bytes, 0, mode, library);
            if arena_of(pointer).is_some() {
                // SAFETY: the arena gave `bytes` bytes at it, which nobody else has.
                unsafe { pointer.write_bytes(0, bytes) };
            }
            pointer
        }
    }
}

/// realloc(3).
///
/// # Safety
/// As in C: `pointer` is null, or came from here and has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the C library's function; reached with its own pointers only.
    let library = || unsafe { __libc_realloc(pointer, size) };
    let mode = mode::get();
    if mode == 0 {
        return library();
    }
    if pointer.is_null() {
        // SAFETY: no requirement.
        return unsafe { malloc(size) };
    }
    if let Some(arena) = arena_of(pointer) {
        return realloc_of_arena(arena, pointer, size);
    }
    if mode & mode::GUARD == 0 {
        return refusal::noted(mode, size, library());
    }
    let (record, hot) = record();
    let old_bytes = usable_size(pointer);
    if size > 0
        && let Some(new) = from_arena(record, size, 0)
    {
        let kept = usize::try_from(old_bytes).unwrap_or(usize::MAX).min(size);
        // SAFETY: both blocks hold `kept` bytes, and the new one is the arena's, not the C library's.
        unsafe { new.copy_from_nonoverlapping(pointer, kept) };
        // SAFETY: the caller gives the old block up.
        unsafe { free(pointer) };
        return new;
    }
    if hot {
        trap(mode);
    }
    let new = refusal::noted(mode, size, library());
    record.calls.fetch_add(1, Ordering::Relaxed);
    if !new.is_null() || size == 0 {
        record.freed_bytes.fetch_add(old_bytes, Ordering::Relaxed);
        record
            .allocated_bytes
            .fetch_add(usable_size(new), Ordering::Relaxed);
    }
    new
}

/// realloc of an arena's block. Size 0 frees it, as glibc does.
fn realloc_of_arena(arena: &'static Arena, pointer: *mut c_void, size: usize) -> *mut c_void {
    if size == 0 {
        to_arena(arena, pointer);
        return std::ptr::null_mut();
    }
    // SAFETY: the pointer is a live block of this arena.
    let old_bytes = unsafe { arena.size_of(pointer.cast()) };
    // Shrinking by less than half stays in place.
    if size <= old_bytes && size >= old_bytes / 2 {
        return pointer;
    }
    // SAFETY: no requirement.
    let new = unsafe { malloc(size) };
    if !new.is_null() {
        // SAFETY: both blocks hold the smaller size, and the new one is another block.
        unsafe { new.copy_from_nonoverlapping(pointer, old_bytes.min(size)) };
        to_arena(arena, pointer);
    }
    new
}

/// free(3).
///
/// # Safety
/// As in C: `pointer` is null, or came from here and has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(pointer: *mut c_void) {
    let mode = mode::get();
    if mode != 0 && !pointer.is_null() {
        if let Some(arena) = arena_of(pointer) {
            return to_arena(arena, pointer);
        }
        count_free(pointer, mode);
    }
    // SAFETY: null or a pointer of the C library, which the caller gives up.
    unsafe { __libc_free(pointer) }
}

/// free_sized (C23).
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(pointer: *mut c_void, _size: usize) {
    // SAFETY: the caller's promise is that of `free`.
    unsafe { free(pointer) }
}

/// free_aligned_sized (C23).
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(pointer: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: the caller's promise is that of `free`.
    unsafe { free(pointer) }
}

/// memalign(3).
///
/// # Safety
/// As in C: nothing is asked of the caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    // SAFETY: the C library's function, with the same contract.
    let library = || unsafe { __libc_memalign(align, size) };
    match (mode::get(), align.checked_next_power_of_two()) {
        (0, _) | (_, None) => library(),
        (mode, Some(align)) => serve(size, align, mode, library),
    }
}

/// aligned_alloc(3).
///
/// # Safety
/// As in C: nothing is asked of the caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        Errno::EINVAL.set();
        return std::ptr::null_mut();
    }
    // SAFETY: no requirement.
    unsafe { memalign(align, size) }
}

/// posix_memalign(3).
///
/// # Safety
/// As in C: `result` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(
    result: *mut *mut c_void,
    align: usize,
    size: usize,
) -> c_int {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<*mut c_void>()) {
        return libc::EINVAL;
    }
    let errno = Errno::last();
    // SAFETY: no requirement.
    let pointer = unsafe { memalign(align, size) };
    // The function answers by its result; errno is left alone.
    errno.set();
    if pointer.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's promise.
    unsafe { result.write(pointer) };
    0
}

/// valloc(3).
///
/// # Safety
/// As in C: nothing is asked of the caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn valloc(size: usize) -> *mut c_void {
    // SAFETY: the C library's function, with the same contract.
    let library = || unsafe { __libc_valloc(size) };
    match mode::get() {
        0 => library(),
        mode => serve(size, arena::PAGE_BYTES, mode, library),
    }
}

/// pvalloc(3).
///
/// # Safety
/// As in C: nothing is asked of the caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pvalloc(size: usize) -> *mut c_void {
    // SAFETY: the C library's function, with the same contract.
    let library = || unsafe { __libc_pvalloc(size) };
    match (
        mode::get(),
        size.checked_next_multiple_of(arena::PAGE_BYTES),
    ) {
        (0, _) | (_, None) => library(),
        (mode, Some(size)) => serve(size, arena::PAGE_BYTES, mode, library),
    }
}

/// malloc_usable_size(3).
///
/// # Safety
/// As in C: `pointer` is null, or came from here and has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(pointer: *mut c_void) -> usize {
    if let Some(arena) = arena_of(pointer) {
        // SAFETY: the pointer is a live block of this arena.
        return unsafe { arena.size_of(pointer.cast()) };
    }
    prepare();
    usize::try_from(usable_size(pointer)).unwrap_or(usize::MAX)
}
