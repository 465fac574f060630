//! Another library that answers for the heap, as `LD_PRELOAD` of an allocator brings it.
//!
//! This executable's own definitions come first for the C functions, and forward to the C library; C++'s operators
//! are taken from whoever defines them first. Memory that one heap gave is then freed by another, which ends the
//! process somewhere in a library, and what is not counted here is not promised. So each of these names has to lead
//! to the C library, through this executable.

use super::error::HeapError;
use super::records::{PROBED, PROBED_FREES};
use nix::libc::{self, c_void};
use std::ffi::CStr;
use std::hint::black_box;
use std::path::PathBuf;

/// What `interpose` defines, and the C library behind it.
const FUNCTIONS: [&CStr; 10] = [
    c"malloc",
    c"calloc",
    c"realloc",
    c"free",
    c"memalign",
    c"aligned_alloc",
    c"posix_memalign",
    c"valloc",
    c"pvalloc",
    c"malloc_usable_size",
];

/// The names under which `interpose` calls the C library.
const LIBRARY_FUNCTIONS: [&CStr; 7] = [
    c"__libc_malloc",
    c"__libc_calloc",
    c"__libc_realloc",
    c"__libc_free",
    c"__libc_memalign",
    c"__libc_valloc",
    c"__libc_pvalloc",
];

/// C++'s operators new and delete, for one and for many, as compilers name them.
///
/// # Source
/// Itanium C++ ABI, "Mangling": `m` is `unsigned long`, which is what `size_t` is on 64-bit machines.
#[cfg(target_pointer_width = "64")]
const OPERATORS: [(&CStr, &CStr); 2] = [(c"_Znwm", c"_ZdlPv"), (c"_Znam", c"_ZdaPv")];
#[cfg(not(target_pointer_width = "64"))]
const OPERATORS: [(&CStr, &CStr); 2] = [(c"_Znwj", c"_ZdlPv"), (c"_Znaj", c"_ZdaPv")];

/// The same for types of a large alignment.
#[cfg(target_pointer_width = "64")]
const ALIGNED: [(&CStr, &CStr); 2] = [
    (c"_ZnwmSt11align_val_t", c"_ZdlPvSt11align_val_t"),
    (c"_ZnamSt11align_val_t", c"_ZdaPvSt11align_val_t"),
];
#[cfg(not(target_pointer_width = "64"))]
const ALIGNED: [(&CStr, &CStr); 2] = [
    (c"_ZnwjSt11align_val_t", c"_ZdlPvSt11align_val_t"),
    (c"_ZnajSt11align_val_t", c"_ZdaPvSt11align_val_t"),
];

type New = unsafe extern "C" fn(usize) -> *mut c_void;
type Delete = unsafe extern "C" fn(*mut c_void);
type NewAligned = unsafe extern "C" fn(usize, usize) -> *mut c_void;
type DeleteAligned = unsafe extern "C" fn(*mut c_void, usize);

/// Looks for another heap. The caller listens (`mode::PROBE`).
pub(super) fn find() -> Result<(), HeapError> {
    let version: unsafe extern "C" fn() -> *const libc::c_char = libc::gnu_get_libc_version;
    let library = object(version as *mut c_void).map(|(base, _)| base);
    let next = FUNCTIONS.map(|name| (name, symbol(libc::RTLD_NEXT, name)));
    let behind = LIBRARY_FUNCTIONS.map(|name| (name, symbol(libc::RTLD_DEFAULT, name)));
    for (name, address) in next.into_iter().chain(behind) {
        if !address.is_null() && object(address).map(|(base, _)| base) != library {
            return Err(foreign(name, address));
        }
    }
    // A matching pair of one library: memory of `new` is never given to another's `delete`.
    let pair = |(new, delete): (&'static CStr, &'static CStr)| {
        let [new_at, delete_at] = [new, delete].map(|name| symbol(libc::RTLD_DEFAULT, name));
        if new_at.is_null() || delete_at.is_null() {
            return Ok(None);
        }
        let same = object(new_at).map(|of| of.0) == object(delete_at).map(|of| of.0);
        if same {
            Ok(Some((new_at, delete_at)))
        } else {
            Err(foreign(new, new_at))
        }
    };
    for names in OPERATORS {
        if let Some((new, delete)) = pair(names)? {
            // SAFETY: an operator of this name has this type.
            let allocate = unsafe { std::mem::transmute::<*mut c_void, New>(new) };
            // SAFETY: as above.
            let free = unsafe { std::mem::transmute::<*mut c_void, Delete>(delete) };
            // SAFETY: it takes any size.
            let allocate = || unsafe { allocate(40) };
            // SAFETY: what `new` gave goes to its `delete`, once.
            let free = |pointer| unsafe { free(pointer) };
            passes(allocate, free).map_err(|()| foreign(names.0, new))?;
        }
    }
    for names in ALIGNED {
        if let Some((new, delete)) = pair(names)? {
            // SAFETY: an operator of this name has this type: `std::align_val_t` is a `size_t`.
            let allocate = unsafe { std::mem::transmute::<*mut c_void, NewAligned>(new) };
            // SAFETY: as above.
            let free = unsafe { std::mem::transmute::<*mut c_void, DeleteAligned>(delete) };
            // SAFETY: the alignment is a power of two.
            let allocate = || unsafe { allocate(128, 64) };
            // SAFETY: what `new` gave goes to its `delete`, once, with the same alignment.
            let free = |pointer| unsafe { free(pointer, 64) };
            passes(allocate, free).map_err(|()| foreign(names.0, new))?;
        }
    }
    Ok(())
}

/// Whether an allocation enters this executable's door, and its end does.
fn passes(
    allocate: impl FnOnce() -> *mut c_void,
    free: impl FnOnce(*mut c_void),
) -> Result<(), ()> {
    let before = black_box(PROBED.get());
    let pointer = black_box(allocate());
    if black_box(PROBED.get()) != before + 1 {
        // Left alone: what gave it may not be what takes it back.
        return Err(());
    }
    let before = black_box(PROBED_FREES.get());
    free(pointer);
    if black_box(PROBED_FREES.get()) == before + 1 {
        Ok(())
    } else {
        Err(())
    }
}

fn symbol(whose: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: the name ends with NUL, and the handle is one of the two that stand for an order.
    unsafe { libc::dlsym(whose, name.as_ptr()) }
}

/// Where the library that holds this address is loaded, and its file.
fn object(address: *mut c_void) -> Option<(usize, PathBuf)> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: any address may be asked for, and `info` is a place for the answer.
    if unsafe { libc::dladdr(address, info.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: filled in, as the result says; all zero is a value of it as well.
    let info = unsafe { info.assume_init() };
    let file = if info.dli_fname.is_null() {
        PathBuf::new()
    } else {
        // SAFETY: the loader's own string, which lives as long as the library is loaded.
        let name = unsafe { CStr::from_ptr(info.dli_fname) };
        PathBuf::from(std::ffi::OsStr::from_bytes(name.to_bytes()))
    };
    Some((info.dli_fbase.addr(), file))
}

fn foreign(function: &'static CStr, address: *mut c_void) -> HeapError {
    let library = object(address).map_or_else(|| "a library".into(), |(_, file)| file);
    HeapError::Foreign {
        function: function.to_str().unwrap_or("?"),
        library,
    }
}
