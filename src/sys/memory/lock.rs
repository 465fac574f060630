//! Locking, its limit, and how much is locked.
#![allow(unsafe_code)]

use crate::sys::io::procfs;
use crate::units::KIB;
use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{Resource, getrlimit};
use std::path::Path;

/// Memory could not be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{operation} failed: {errno}; RLIMIT_MEMLOCK: found {}, needed {} KiB; set LimitMEMLOCK=infinity in the service, \
     `ulimit -l unlimited` in a shell, or give CAP_IPC_LOCK",
    limit_bytes.map_or("unlimited".to_owned(), |bytes| format!("{} KiB", bytes / KIB)),
    needed_bytes.div_ceil(KIB)
)]
pub struct LockError {
    /// The call: mlock or mlockall.
    pub operation: &'static str,
    /// Bytes that were to be locked in all.
    pub needed_bytes: u64,
    /// RLIMIT_MEMLOCK as found; `None` is unlimited.
    pub limit_bytes: Option<u64>,
    /// What the kernel said.
    pub errno: Errno,
}

/// Locks all memory of the process, present and future. Regions are bound and present before, so
/// this moves nothing; stacks of threads that are started later come out present. What the heap holds
/// free goes back to the kernel first: it would be locked for ever.
///
/// # Errors
/// The limit, as found and as needed.
pub fn lock_all() -> Result<(), LockError> {
    trim();
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE).map_err(|errno| {
        let mut buffer = [0; 4096];
        let needed_kib = procfs::read(Path::new("/proc/self/status"), &mut buffer)
            .ok()
            .and_then(|status| procfs::field(status, "VmSize"));
        lock_error("mlockall", needed_kib.unwrap_or(0) * KIB, errno)
    })
}

/// Gives what the C library's heap holds free back to the kernel.
fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no requirement.
    unsafe {
        libc::malloc_trim(0);
    }
}

pub(super) fn lock_error(operation: &'static str, needed_bytes: u64, errno: Errno) -> LockError {
    let limit_bytes = match getrlimit(Resource::RLIMIT_MEMLOCK) {
        Ok((soft, _)) if soft != libc::RLIM_INFINITY => Some(soft),
        _ => None,
    };
    LockError {
        operation,
        needed_bytes,
        limit_bytes,
        errno,
    }
}

/// Memory of this process that cannot be taken away: locked pages that are there (`Locked` in
/// /proc/self/smaps_rollup; a page that several processes share counts in part), and pages of the huge
/// page pool (`HugetlbPages` in /proc/self/status), which the kernel does not count as locked. `None`
/// without /proc. Does not allocate; takes a millisecond or so.
///
/// `VmLck` is not it: it counts address space, reserved and empty pieces of heaps included.
#[must_use]
pub fn locked_bytes() -> Option<u64> {
    let mut buffer = [0; 4096];
    let status = procfs::read(Path::new("/proc/self/status"), &mut buffer).ok()?;
    let huge_kib = procfs::field(status, "HugetlbPages").unwrap_or(0);
    let address_space_kib = procfs::field(status, "VmLck")?;
    let locked_kib = procfs::read(Path::new("/proc/self/smaps_rollup"), &mut buffer)
        .ok()
        .and_then(|rollup| procfs::field(rollup, "Locked"));
    Some((locked_kib.unwrap_or(address_space_kib) + huge_kib) * KIB)
}

/// What the kernel holds against RLIMIT_MEMLOCK.
pub(super) fn charged_bytes() -> u64 {
    let mut buffer = [0; 4096];
    procfs::read(Path::new("/proc/self/status"), &mut buffer)
        .ok()
        .and_then(|status| procfs::field(status, "VmLck"))
        .unwrap_or(0)
        * KIB
}
