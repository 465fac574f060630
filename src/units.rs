//! Vocabulary: how time and sizes are written everywhere else.
//!
//! Times are `u64` nanoseconds of `CLOCK_MONOTONIC` and carry the suffix `_ns`; sizes are bytes with
//! `_bytes`, pixels with `_px`. Logic takes `now_ns` as an argument and never reads a clock.

/// Nanoseconds in a microsecond.
pub const NS_PER_US: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub const NS_PER_MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const NS_PER_S: u64 = 1_000_000_000;

/// Bytes in a KiB.
pub const KIB: u64 = 1 << 10;
/// Bytes in a MiB.
pub const MIB: u64 = 1 << 20;

/// `value` rounded up to a multiple of `to`, which must be a power of two; `None` when it does not fit.
#[must_use]
pub const fn round_up(value: u64, to: u64) -> Option<u64> {
    debug_assert!(to.is_power_of_two());
    match value.checked_add(to - 1) {
        Some(sum) => Some(sum & !(to - 1)),
        None => None,
    }
}

/// A duration: milliseconds below ten seconds, else seconds, minutes or hours.
#[derive(Clone, Copy, Debug)]
pub struct Span(
    /// Nanoseconds.
    pub u64,
);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0 / NS_PER_S;
        match seconds {
            0..10 => write!(f, "{} ms", self.0 / NS_PER_MS),
            10..600 => write!(f, "{seconds} s"),
            600..36_000 => write!(f, "{} min", seconds / 60),
            _ => write!(f, "{} h", seconds / 3600),
        }
    }
}

/// How often, in words.
#[derive(Clone, Copy, Debug)]
pub struct HowOften(
    /// Times.
    pub u32,
);

impl std::fmt::Display for HowOften {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            1 => f.write_str("once"),
            times => write!(f, "{times} times"),
        }
    }
}
