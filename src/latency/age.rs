//! How old is what we know: the age of the newest inferred frame, at every moment of a run.
//!
//! The time from capture to result is known of frames that gave a result. A ring that keeps the newest
//! frame makes that figure blind to a stall: the frames of those seconds are evicted, the first one after
//! it is fresh, and no slow result was ever recorded. That is coordinated omission at its worst, and no
//! correction of the recorded results can mend it: what HDR histograms offer (`record_correct`) puts
//! in latencies that the missing results would have had if they had waited in line, and here they do not
//! wait, they never come. So what a stall does is measured itself:
//!
//! ```text
//! age  ▲       peak             peak      at any moment, the age of the newest inferred frame:
//!      │      ╱│               ╱│         now - its capture stamp. It grows as time does, and a
//!      │    ╱  │             ╱  │         result brings it down to that result's own latency
//!      │  ╱    │  ╱│       ╱    │         (the trough). A stall is a peak as high as the stall,
//!      │╱      │╱  │     ╱      │╱        and it fills the run's time for as long as it lasts.
//!      │  trough   │   ╱
//!      │           │ ╱
//!      └───────────────────────────► time
//! ```
//!
//! The percentiles are over time, not over results: "for 99 % of the time, what we knew was at most so
//! old". Before the first result the age counts from the start of the watch; the end of the watch is a
//! peak like any other, so that a camera that died an hour ago shows an hour.
//!
//! # How it is kept in constant time
//! On the way from trough to peak each age is passed once, at the speed of time. So the time spent at ages
//! between x and x + dx is dx times the number of rises that pass x: troughs at or below x, less peaks at
//! or below x. Two histograms, one of troughs and one of peaks, hold all that is needed, and recording a
//! result costs two counts, however long the stall before it was.
//!
//! # Source
//! Kaul, Yates, Gruteser, "Real-time status: How often should one update?" (2012), where it is called
//! the age of information, and the peaks its peak age.

use super::histogram::HIGHEST_NS;
use super::{Histogram, Summary};

/// The ages of what is known of one camera, or of several together. All memory is taken when it is made.
#[derive(Clone, Debug, Default)]
pub struct AgeOfInformation {
    troughs: Histogram,
    peaks: Histogram,
    /// Time that all rises took together.
    time_ns: i128,
    /// Of it, time at ages beyond the histograms.
    beyond_ns: i128,
    /// Integrals of the age and of its square over that time.
    age_ns2: f64,
    square_ns3: f64,
}

/// Sign of a boundary of a rise: its peak adds what lies below it, its trough takes that away.
#[derive(Clone, Copy)]
enum End {
    Trough,
    Peak,
}

impl AgeOfInformation {
    /// Nothing known, no time passed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that one holds.
    #[must_use]
    pub const fn bytes() -> u64 {
        2 * Histogram::bytes()
    }

    /// The watch began: nothing is known, and from here on that counts.
    pub fn began(&mut self) {
        self.end(End::Trough, 0);
    }

    /// At `result_ns` a frame captured at `capture_ns` was inferred. Until then the newest inferred frame was
    /// that of `known_ns`, or the watch began then.
    ///
    /// A frame that is no newer than what is known tells nothing, and must not be recorded.
    pub fn learned(&mut self, known_ns: u64, capture_ns: u64, result_ns: u64) {
        self.end(End::Peak, result_ns.saturating_sub(known_ns));
        self.end(End::Trough, result_ns.saturating_sub(capture_ns));
    }

    /// The watch ended at `end_ns`, with the frame of `known_ns` as the newest inferred one.
    pub fn ended(&mut self, known_ns: u64, end_ns: u64) {
        self.end(End::Peak, end_ns.saturating_sub(known_ns));
    }

    fn end(&mut self, end: End, age_ns: u64) {
        let (histogram, sign) = match end {
            End::Trough => (&mut self.troughs, -1),
            End::Peak => (&mut self.peaks, 1),
        };
        histogram.record(age_ns);
        self.time_ns += sign * i128::from(age_ns);
        self.beyond_ns += sign * i128::from(age_ns.saturating_sub(HIGHEST_NS));
        #[allow(clippy::cast_precision_loss)] // figures for reading
        let (age, sign) = (age_ns as f64, sign as f64);
        self.age_ns2 += sign * age * age / 2.0;
        self.square_ns3 += sign * age * age * age / 3.0;
    }

    /// Adds the times of another one: of another worker, or of another camera.
    pub fn add(&mut self, other: &Self) {
        self.troughs.add(&other.troughs);
        self.peaks.add(&other.peaks);
        self.time_ns += other.time_ns;
        self.beyond_ns += other.beyond_ns;
        self.age_ns2 += other.age_ns2;
        self.square_ns3 += other.square_ns3;
    }

    /// The figures, weighed by time. `count` is the number of rises: one for each result that brought
    /// something new, and one for each end.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let levels: Vec<Level> = self.levels().collect();
        let at = |quantile| self.quantile_ns(&levels, quantile);
        #[allow(clippy::cast_precision_loss)] // figures for reading
        let time = self.time_ns.max(1) as f64;
        let mean = (self.age_ns2 / time).max(0.0);
        Summary {
            count: self.peaks.count(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: self.peaks.max_ns(),
            mean,
            stddev: (self.square_ns3 / time - mean * mean).max(0.0).sqrt(),
        }
    }

    /// The age at or below which the share `quantile` (0..=1) of all time was spent; 0 when empty.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // ages of at most 100 s in f64, never negative
    fn quantile_ns(&self, levels: &[Level], quantile: f64) -> u64 {
        let within: f64 = levels.iter().map(Level::time_ns).sum();
        let wanted = quantile * (within + self.beyond_ns.max(0) as f64);
        let mut spent = 0.0;
        for level in levels {
            let time = level.time_ns();
            if spent + time >= wanted && time > 0.0 {
                let share = (wanted - spent) / time;
                let age = level.from_ns as f64 + share * (level.to_ns - level.from_ns) as f64;
                return (age as u64).min(self.peaks.max_ns());
            }
            spent += time;
        }
        self.peaks.max_ns()
    }

    /// Stretches of age between two boundaries, with the number of rises that pass each.
    fn levels(&self) -> impl Iterator<Item = Level> {
        let mut troughs = self.troughs.recorded().peekable();
        let mut peaks = self.peaks.recorded().peekable();
        let (mut from_ns, mut rises) = (0, 0_i128);
        std::iter::from_fn(move || {
            let trough = troughs.peek().copied();
            let peak = peaks.peek().copied();
            let next_ns = match (trough, peak) {
                (None, None) => return None,
                (Some((ns, _)), None) | (None, Some((ns, _))) => ns,
                (Some((trough_ns, _)), Some((peak_ns, _))) => trough_ns.min(peak_ns),
            };
            let level = Level {
                from_ns,
                to_ns: next_ns,
                rises,
            };
            if let Some((_, count)) = troughs.next_if(|(ns, _)| *ns == next_ns) {
                rises += i128::from(count);
            }
            if let Some((_, count)) = peaks.next_if(|(ns, _)| *ns == next_ns) {
                rises -= i128::from(count);
            }
            from_ns = next_ns;
            Some(level)
        })
    }
}

struct Level {
    from_ns: u64,
    to_ns: u64,
    rises: i128,
}

impl Level {
    #[allow(clippy::cast_precision_loss)] // figures for reading
    fn time_ns(&self) -> f64 {
        (self.to_ns - self.from_ns) as f64 * self.rises.max(0) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{NS_PER_MS, NS_PER_S};
    use proptest::prelude::*;

    const INTERVAL: u64 = 33 * NS_PER_MS;

    /// Feeds a run that begins at 0 and has these (capture, result) pairs, and ends at `end_ns`.
    fn run(results: &[(u64, u64)], end_ns: u64) -> AgeOfInformation {
        let mut age = AgeOfInformation::new();
        let mut known = 0;
        age.began();
        for &(capture, result) in results {
            age.learned(known, capture, result);
            known = capture;
        }
        age.ended(known, end_ns);
        age
    }

    #[track_caller]
    fn assert_near(got: u64, want: u64) {
        assert!(
            got.abs_diff(want) <= want / 100 + 1_000,
            "{got} is not {want}"
        );
    }

    #[test]
    fn a_steady_camera_is_known_between_its_latency_and_one_interval_more() {
        let latency = 10 * NS_PER_MS;
        let results: Vec<_> = (1..=1000)
            .map(|n| (n * INTERVAL, n * INTERVAL + latency))
            .collect();
        let summary = run(&results, 1001 * INTERVAL).summary();
        assert_near(summary.p50, latency + INTERVAL / 2);
        assert_near(summary.p99, latency + INTERVAL * 99 / 100);
        assert_near(summary.max, latency + INTERVAL);
        assert_eq!(summary.count, 1001);
        assert!((summary.mean / 1e6 - 26.5).abs() < 0.2, "{}", summary.mean);
        let stddev = 33.0 / 12_f64.sqrt();
        assert!((summary.stddev / 1e6 - stddev).abs() < 0.2);
    }

    #[test]
    fn a_stall_that_no_result_shows_is_in_the_age() {
        // A newest-frame ring: the second of the stall costs thirty frames and makes no result slow.
        let latency = 10 * NS_PER_MS;
        let mut capture_to_result = Histogram::new();
        let results: Vec<_> = (1..=300)
            .filter(|n| !(100..130).contains(n))
            .map(|n| (n * INTERVAL, n * INTERVAL + latency))
            .collect();
        for (capture, result) in &results {
            capture_to_result.record(result - capture);
        }
        let age = run(&results, 301 * INTERVAL).summary();
        assert_near(capture_to_result.summary().max, latency);
        assert!(age.max > NS_PER_S, "{}", age.max);
        assert!(age.p99 > 800 * NS_PER_MS, "{}", age.p99);
        assert!(
            age.p50 < 2 * INTERVAL,
            "and the usual stays what it was: {}",
            age.p50
        );
    }

    #[test]
    fn a_camera_that_never_gave_a_result_is_as_old_as_the_watch() {
        let summary = run(&[], 40 * NS_PER_S).summary();
        assert_eq!(summary.max, 40 * NS_PER_S);
        assert_near(summary.p50, 20 * NS_PER_S);
        assert_near(summary.p99, 39_600 * NS_PER_MS);
    }

    #[test]
    fn an_outage_longer_than_a_histogram_is_counted_whole() {
        let hour = 3600 * NS_PER_S;
        let summary = run(&[(NS_PER_S, 2 * NS_PER_S)], hour).summary();
        assert_eq!(summary.max, hour - NS_PER_S);
        // Most of the hour was spent beyond what a histogram tells apart.
        assert_eq!(summary.p50, summary.max);
        assert!((summary.mean / 1e9 - 1800.0).abs() < 2.0);
    }

    #[test]
    fn two_workers_of_one_camera_add_up_to_one() {
        let results: Vec<_> = (1..=200)
            .map(|n| {
                (
                    n * INTERVAL,
                    n * INTERVAL + 5 * NS_PER_MS + (n % 7) * NS_PER_MS,
                )
            })
            .collect();
        let alone = run(&results, 201 * INTERVAL);
        let mut halves = [AgeOfInformation::new(), AgeOfInformation::new()];
        let mut known = 0;
        halves[0].began();
        for (n, &(capture, result)) in results.iter().enumerate() {
            halves[n % 2].learned(known, capture, result);
            known = capture;
        }
        halves[1].ended(known, 201 * INTERVAL);
        let [mut sum, other] = halves;
        sum.add(&other);
        let (together, alone) = (sum.summary(), alone.summary());
        assert_eq!(
            (together.p50, together.p999, together.max, together.count),
            (alone.p50, alone.p999, alone.max, alone.count)
        );
        assert!((together.mean - alone.mean).abs() < 1.0);
    }

    #[test]
    fn nothing_watched_is_all_zero() {
        let summary = AgeOfInformation::new().summary();
        assert_eq!((summary.p50, summary.max, summary.count), (0, 0, 0));
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn the_percentiles_are_those_of_looking_at_every_moment(
            steps in proptest::collection::vec((1..80_u64, 0..60_u64), 1..40),
        ) {
            // Captures so many milliseconds apart; each result so long after its capture, in order.
            let (mut capture, mut last_result) = (0, 0);
            let mut results = Vec::new();
            for (apart, latency) in steps {
                capture += apart * NS_PER_MS;
                let result = (capture + latency * NS_PER_MS).max(last_result);
                last_result = result;
                results.push((capture, result));
            }
            let end = last_result + 20 * NS_PER_MS;
            let mut looked = Vec::new();
            let (mut now, mut known, mut next) = (0, 0, results.iter().peekable());
            while now < end {
                while let Some((capture, _)) = next.next_if(|(_, result)| *result <= now) {
                    known = *capture;
                }
                looked.push(now - known);
                now += NS_PER_MS / 4;
            }
            looked.sort_unstable();
            let summary = run(&results, end).summary();
            for (got, share) in [(summary.p50, 0.5), (summary.p90, 0.9), (summary.p99, 0.99)] {
                #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let index = |share: f64| looked[((looked.len() - 1) as f64 * share.clamp(0.0, 1.0)) as usize];
                // A look each quarter of a millisecond, and three digits.
                let slack = NS_PER_MS / 2 + got / 200;
                let (low, high) = (index(share - 0.002), index(share + 0.002));
                prop_assert!(got + slack >= low && got <= high + slack, "{low} {got} {high}");
            }
            #[allow(clippy::cast_precision_loss)]
            let mean = looked.iter().sum::<u64>() as f64 / looked.len() as f64;
            prop_assert!((summary.mean - mean).abs() < 500_000.0);
        }
    }
}
