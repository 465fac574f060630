//! A latency histogram whose memory is taken once (HDR histogram, three significant digits).

use crate::units::NS_PER_S;
use schemars::JsonSchema;
use serde::Serialize;

/// Shortest time told apart.
const LOWEST_NS: u64 = 16;
/// Longest time told apart; longer ones count as this long, and `max` still says how long.
pub(super) const HIGHEST_NS: u64 = 100 * NS_PER_S;
/// Significant decimal digits.
const DIGITS: u8 = 3;

/// Distribution of times in nanoseconds. Recording takes constant time and no memory.
///
/// A count is 32 bits wide and stays at its end: one and the same time, 30 times a second, for four
/// years.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u32>,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        let counts = hdrhistogram::Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS)
            .expect("the constant bounds are valid: a test makes one");
        Self { counts, max_ns: 0 }
    }

    /// Bytes of one histogram's counts.
    #[must_use]
    pub const fn bytes() -> u64 {
        // A bucket covers 2^11 steps (three digits); the first whole, each further one its upper half.
        let half = 1u64 << 10;
        let buckets = (HIGHEST_NS / LOWEST_NS / (2 * half)).ilog2() as u64 + 2;
        (buckets + 1) * half * size_of::<u32>() as u64
    }

    /// Records one time.
    pub fn record(&mut self, ns: u64) {
        self.counts.saturating_record(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds the counts of another histogram.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, so every count has its place.
        let added = self.counts.add(&other.counts);
        debug_assert!(added.is_ok());
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Number of times recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// The time below or at which the share `quantile` (0..=1) of all times lies; 0 when empty.
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        if self.counts.is_empty() {
            return 0;
        }
        self.counts.value_at_quantile(quantile).min(self.max_ns)
    }

    /// Each time that was recorded, as the shortest one that is not told apart from it, and how often;
    /// shortest first.
    pub(super) fn recorded(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts.iter_recorded().map(|step| {
            let ns = self.counts.lowest_equivalent(step.value_iterated_to());
            (ns, u64::from(step.count_at_value()))
        })
    }

    /// Longest time recorded, exact; 0 when empty.
    #[must_use]
    pub const fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.counts.reset();
        self.max_ns = 0;
    }

    /// The figures that the proof prints.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            count: self.count(),
            p50: self.quantile_ns(0.5),
            p90: self.quantile_ns(0.9),
            p99: self.quantile_ns(0.99),
            p999: self.quantile_ns(0.999),
            p9999: self.quantile_ns(0.9999),
            max: self.max_ns,
            mean: self.counts.mean(),
            stddev: self.counts.stdev(),
        }
    }
}

/// Figures of a distribution, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Summary {
    /// Times recorded.
    pub count: u64,
    /// Median, nanoseconds.
    pub p50: u64,
    /// 90th percentile, nanoseconds.
    pub p90: u64,
    /// 99th percentile, nanoseconds.
    pub p99: u64,
    /// 99.9th percentile, nanoseconds.
    pub p999: u64,
    /// 99.99th percentile, nanoseconds.
    pub p9999: u64,
    /// Longest, exact, nanoseconds.
    pub max: u64,
    /// Arithmetic mean, nanoseconds.
    pub mean: f64,
    /// Standard deviation, nanoseconds: the jitter.
    pub stddev: f64,
}

#[cfg(test)]
mod tests {
    use super::{HIGHEST_NS, Histogram};

    #[test]
    fn percentiles_are_within_three_digits() {
        let mut histogram = Histogram::new();
        for value in 1..=100_000u64 {
            histogram.record(value * 1_000);
        }
        let summary = histogram.summary();
        for (got, want) in [
            (summary.p50, 50_000_000u64),
            (summary.p90, 90_000_000),
            (summary.p99, 99_000_000),
            (summary.p999, 99_900_000),
        ] {
            assert!(got.abs_diff(want) <= want / 500, "{got} is not {want}");
        }
        assert_eq!(summary.max, 100_000_000);
        assert_eq!(summary.count, 100_000);
    }

    #[test]
    fn a_time_beyond_the_bounds_is_counted_and_max_stays_exact() {
        let mut histogram = Histogram::new();
        histogram.record(HIGHEST_NS * 3);
        assert_eq!(histogram.count(), 1);
        assert_eq!(histogram.summary().max, HIGHEST_NS * 3);
    }

    #[test]
    fn an_empty_histogram_is_all_zero() {
        assert_eq!(Histogram::new().summary().p99, 0);
    }

    #[test]
    fn the_stated_bytes_are_those_of_the_counts() {
        let histogram = Histogram::new();
        assert_eq!(
            Histogram::bytes(),
            (histogram.counts.distinct_values() * size_of::<u32>()) as u64
        );
    }
}
