//! Numbers for people to read.

use pinsight::units::MIB;

/// A figure in few characters.
pub(crate) fn short(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e9 {
        format!("{:.3}G", value / 1e9)
    } else if magnitude >= 1e6 {
        format!("{:.2}M", value / 1e6)
    } else if magnitude >= 1e4 {
        format!("{:.1}k", value / 1e3)
    } else if magnitude >= 100.0 || value == value.trunc() {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// Nanoseconds as milliseconds.
pub(crate) fn ms(ns: u64) -> String {
    format!("{:.2}", milliseconds(ns))
}

/// Nanoseconds as milliseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "a figure to be read, not to be added up"
)]
pub(crate) fn milliseconds(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// Bytes as MiB.
#[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

/// `value` over `base`; a dash where there is nothing to compare with.
pub(crate) fn ratio(value: f64, base: f64) -> String {
    if base > 0.0 {
        format!("{:.3}", value / base)
    } else {
        "-".into()
    }
}
