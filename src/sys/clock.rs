//! The one clock of the program: CLOCK_MONOTONIC, which V4L2 stamps frames with.
#![allow(unsafe_code)]

use crate::sys::io::procfs;
use crate::units::{NS_PER_MS, NS_PER_S};
use nix::libc;
use std::fmt::{self, Write as _};
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

/// A time of CLOCK_REALTIME in nanoseconds since 1970, written as RFC 3339 has it: in UTC and with
/// milliseconds, which are cut and not rounded, so that a time is never later than it was.
///
/// Always 24 characters up to the year 9999, and 584 years fit. The logger writes it for each line,
/// from threads that must not allocate: a date is ten lines of whole numbers here, and a library of
/// calendars would bring time zones that nothing reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Utc(pub u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / NS_PER_S;
        let (year, month, day) = civil_date(seconds / SECONDS_PER_DAY);
        let of_day = seconds % SECONDS_PER_DAY;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60,
            self.0 % NS_PER_S / NS_PER_MS,
        )
    }
}

/// A [`Utc`] as text.
pub type UtcText = heapless::String<24>;

impl Utc {
    /// As text, without a heap.
    #[must_use]
    pub fn text(self) -> UtcText {
        let mut text = UtcText::new();
        // It fits up to the year 9999, which is never reached.
        let _ = write!(text, "{self}");
        text
    }
}

/// The relation of the clocks changes by more than this where one was set: a clock that is steered needs minutes for
/// it, at 500 us in a second at most (adjtimex(2)).
pub const CLOCK_SET_NS: u64 = 50 * NS_PER_MS;

/// By how much a clock was set, in nanoseconds: in seconds for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStep(pub i64);

impl fmt::Display for ClockStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let step_ns = self.0.unsigned_abs();
        let (seconds, ms) = (step_ns / NS_PER_S, step_ns % NS_PER_S / NS_PER_MS);
        write!(f, "{sign}{seconds}.{ms:03} s")
    }
}

const SECONDS_PER_DAY: u64 = 86_400;

/// Year, month and day of the Gregorian calendar, `days` after 1 January 1970.
///
/// Years are counted from 1 March, so that the day that is sometimes there is the last one of its
/// year; the months from March to February then have lengths that follow one rule.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // From 1 March of the year 0 to 1 January 1970.
    let days = days + 719_468;
    let (era, of_era) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
    // March is 0: 153 days in each five months.
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
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
    fn a_time_is_written_as_rfc_3339_has_it() {
        let of = |ns| Utc(ns).to_string();
        assert_eq!(of(0), "1970-01-01T00:00:00.000Z");
        // The milliseconds are cut.
        assert_eq!(of(1_999_999), "1970-01-01T00:00:00.001Z");
        assert_eq!(of(1_234_567_890_123_456_789), "2009-02-13T23:31:30.123Z");
        let at = |seconds: u64| of(seconds * NS_PER_S);
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59.000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(951_868_800), "2000-03-01T00:00:00.000Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23:59:59.000Z");
        assert_eq!(at(4_107_542_399), "2100-02-28T23:59:59.000Z");
        // 2100 has no 29 February.
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000Z");
        assert_eq!(of(u64::MAX), "2554-07-21T23:34:33.709Z");
        assert_eq!(Utc(u64::MAX).text(), "2554-07-21T23:34:33.709Z");
        assert_eq!(ClockStep(-3_600_050_999_999).to_string(), "-3600.050 s");
        assert_eq!(ClockStep(50_000_000).to_string(), "+0.050 s");
    }

    #[test]
    fn each_day_has_the_next_date() {
        let length = |year: u64, month| match month {
            4 | 6 | 9 | 11 => 30,
            2 if year.is_multiple_of(4) && !year.is_multiple_of(100)
                || year.is_multiple_of(400) =>
            {
                29
            }
            2 => 28,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for days in 0..=u64::MAX / NS_PER_S / SECONDS_PER_DAY {
            assert_eq!(civil_date(days), expected);
            let (year, month, day) = expected;
            expected = match (month, day == length(year, month)) {
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
                (_, false) => (year, month, day + 1),
            };
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
