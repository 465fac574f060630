//! Pages that the kernel does not move or unmap on its own account: NUMA balancing, khugepaged.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl::set_thp_disable;

/// Exempts this thread, and the threads that it starts, from the kernel's automatic NUMA balancing. That
/// makes pages inaccessible now and then, to learn from the faults which node uses them, and may move
/// them: faults on hot threads, locked memory or not. Memory goes to the node of the core that touches it
/// first, as before; regions have a policy of their own. A kernel without NUMA has nothing to exempt from.
///
/// # Errors
/// errno of set_mempolicy(2): in a container that forbids it, EPERM.
///
/// # Source
/// Linux `mm/mempolicy.c`, `vma_policy_mof`: only pages whose policy carries MPOL_F_MOF are looked at,
/// which the kernel's default has and MPOL_LOCAL has not.
pub fn exempt_from_balancing() -> Result<(), Errno> {
    // SAFETY: set_mempolicy reads no mask when its length is 0; it changes where later pages of this
    // thread come from, and no contents.
    let result = unsafe {
        libc::syscall(
            libc::SYS_set_mempolicy,
            libc::MPOL_LOCAL,
            std::ptr::null::<libc::c_ulong>(),
            0,
        )
    };
    match Errno::result(result) {
        Ok(_) | Err(Errno::ENOSYS) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Keeps khugepaged from this process. It puts small pages together into large ones where it can, and
/// whoever touches one meanwhile waits in a fault until two megabytes are copied; locked memory is no
/// exception. Huge pages that are there already stay; of later ones there will be none.
///
/// # Errors
/// errno of prctl(2).
///
/// # Source
/// prctl(2), PR_SET_THP_DISABLE; Linux `mm/khugepaged.c`, which passes over such processes.
pub fn exempt_from_collapse() -> Result<(), Errno> {
    set_thp_disable(true)
}

#[cfg(test)]
mod tests {
    use super::exempt_from_balancing;
    use nix::errno::Errno;
    use nix::libc;

    fn policy() -> Result<libc::c_int, Errno> {
        let mut mode: libc::c_int = -1;
        // SAFETY: get_mempolicy writes one int; no mask and no address are asked about.
        let result = unsafe {
            libc::syscall(
                libc::SYS_get_mempolicy,
                &raw mut mode,
                std::ptr::null_mut::<libc::c_ulong>(),
                0,
                std::ptr::null::<libc::c_void>(),
                0,
            )
        };
        Errno::result(result).map(|_| mode)
    }

    #[test]
    fn a_thread_and_those_that_it_starts_have_the_policy_that_is_not_balanced() {
        let seen = std::thread::spawn(|| {
            exempt_from_balancing()?;
            let own = policy();
            let child = std::thread::spawn(policy).join().expect("it ends");
            Ok((own, child))
        });
        match seen.join().expect("it ends") {
            // A kernel without NUMA, or a container that forbids the call.
            Err(Errno::EPERM) | Ok((Err(Errno::ENOSYS), _)) => {}
            other => assert_eq!(other, Ok((Ok(libc::MPOL_LOCAL), Ok(libc::MPOL_LOCAL)))),
        }
    }
}
