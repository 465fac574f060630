//! The one clock of the program: CLOCK_MONOTONIC, which V4L2 stamps frames with.
#![allow(unsafe_code)]

use crate::sys::io::procfs;
use crate::units::NS_PER_S;
use nix::libc;
use std::path::Path;

/// Nanoseconds of CLOCK_MONOTONIC; through the vDSO, without entering the kernel where the machine
/// has a usable counter.
#[inline]
#[must_use]
pub fn now_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds of CLOCK_REALTIME since 1970: for people who read records, never for measuring.
#[must_use]
pub fn realtime_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// Nanoseconds of the clock `id`, which must be one that this kernel has.
#[inline]
fn read(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live timespec of this frame. The call fails for unknown clocks only;
    // every caller names one that all supported kernels have.
    let failed = unsafe { libc::clock_gettime(id, &raw mut time) };
    debug_assert_eq!(failed, 0);
    // Both parts are never negative for these clocks, and 584 years fit.
    time.tv_sec.unsigned_abs() * NS_PER_S + time.tv_nsec.unsigned_abs()
}

/// When the kernel started this process, in nanoseconds of CLOCK_MONOTONIC; `None` without /proc.
///
/// The kernel gives it in clock ticks, rounded down (`starttime` in proc_pid_stat(5), 10 ms as a
/// rule): the answer is at most one tick too early and never too late, so a time to ready that is
/// counted from here is never flattering.
#[must_use]
pub fn process_start_ns() -> Option<u64> {
    let mut buffer = [0; 1024];
    let stat = procfs::read(Path::new("/proc/self/stat"), &mut buffer).ok()?;
    // SAFETY: sysconf only takes the number.
    let ticks_per_s = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok()?;
    let boottime_ns = start_ticks(stat)?
        .checked_mul(NS_PER_S)?
        .checked_div(ticks_per_s)?;
    // `starttime` counts since boot, sleep included; CLOCK_MONOTONIC stands still in sleep.
    let asleep_ns = read(libc::CLOCK_BOOTTIME).saturating_sub(now_ns());
    Some(boottime_ns.saturating_sub(asleep_ns))
}

/// A number of this boot of the machine: the first half of the kernel's boot id. `None`
/// where it cannot be read.
#[must_use]
pub fn boot_id() -> Option<u64> {
    let mut buffer = [0; 64];
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let text = procfs::read(path, &mut buffer).ok()?;
    let digits = text.iter().filter(|byte| **byte != b'-').take(16);
    digits.copied().try_fold(0, |id, digit| {
        Some(id << 4 | u64::from(char::from(digit).to_digit(16)?))
    })
}

/// Field 22 of /proc/pid/stat. The name, field 2, may itself hold blanks and brackets.
fn start_ticks(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let mut fields = stat[name_end + 1..]
        .split(|&byte| byte == b' ')
        .filter(|f| !f.is_empty());
    procfs::number(fields.nth(22 - 3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back() {
        let mut last = now_ns();
        for _ in 0..10_000 {
            let now = now_ns();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn the_process_started_before_now_and_after_boot() {
        let start = process_start_ns().expect("Linux has /proc");
        assert!(start > 0);
        assert!(start <= now_ns());
    }

    #[test]
    fn a_boot_has_one_number() {
        let boot = boot_id().expect("Linux has a boot id");
        assert_ne!(boot, 0);
        assert_eq!(boot_id(), Some(boot));
    }

    #[test]
    fn a_process_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = b"42 (a ) (b) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        assert_eq!(start_ticks(stat), Some(777));
        assert_eq!(start_ticks(b"42 (short) R 1"), None);
    }
}
