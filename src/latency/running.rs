//! What is usual, at any moment: a quantile of everything recorded so far, in constant time.

use std::fmt;

/// Steps of one octave: two times within 3 % are not told apart.
const STEPS: usize = 1 << STEP_BITS;
const STEP_BITS: u32 = 5;
/// Octaves told apart: up to 2^37 ns, more than two minutes. Longer times count as that long.
const OCTAVES: usize = 37;
/// Steps below the first whole octave are one nanosecond each.
const BUCKETS: usize = (OCTAVES - STEP_BITS as usize + 1) * STEPS;
/// Times after which half of them are forgotten: ten hours of frames at 30 Hz. What is usual by night
/// need not be so by day.
const MEMORY: u64 = 1 << 20;

/// A quantile of all times so far, kept up while they come: the histogram's own would be a walk through
/// all of its counts.
///
/// A cursor stands at the bucket that holds the quantile, and knows how many times lie below. A time that
/// is recorded moves the cursor by the few buckets between it and its neighbour, and by all buckets at
/// most.
#[derive(Clone)]
pub struct RunningQuantile {
    counts: Box<[u32; BUCKETS]>,
    /// The quantile in thousandths.
    per_mille: u64,
    total: u64,
    /// Times in the buckets below the cursor.
    below: u64,
    cursor: usize,
}

impl fmt::Debug for RunningQuantile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningQuantile")
            .field("per_mille", &self.per_mille)
            .field("total", &self.total)
            .field("value_ns", &self.value_ns())
            .finish_non_exhaustive()
    }
}

fn bucket(ns: u64) -> usize {
    if ns < STEPS as u64 {
        // Fits: it is less than STEPS.
        return usize::try_from(ns).unwrap_or(0);
    }
    let octave = ns.ilog2();
    let step = usize::try_from(ns >> (octave - STEP_BITS)).unwrap_or(0) - STEPS;
    ((octave - STEP_BITS + 1) as usize * STEPS + step).min(BUCKETS - 1)
}

/// The shortest time of a bucket.
fn lower_ns(bucket: usize) -> u64 {
    let (octave, step) = (bucket / STEPS, bucket % STEPS);
    match octave.checked_sub(1) {
        None => step as u64,
        Some(shift) => ((STEPS + step) as u64) << shift,
    }
}

impl RunningQuantile {
    /// The quantile `per_mille`/1000, of nothing yet; at least 1, at most 1000.
    #[must_use]
    pub fn new(per_mille: u64) -> Self {
        Self {
            counts: Box::new([0; BUCKETS]),
            per_mille: per_mille.clamp(1, 1000),
            total: 0,
            below: 0,
            cursor: 0,
        }
    }

    /// The median.
    #[must_use]
    pub fn median() -> Self {
        Self::new(500)
    }

    /// Bytes that one holds.
    #[must_use]
    pub const fn bytes() -> u64 {
        (size_of::<Self>() + BUCKETS * size_of::<u32>()) as u64
    }

    /// Times that it stands for: all that were recorded, or the newer ones.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The quantile so far, to 3 %: the middle of its bucket. 0 before the first time.
    #[must_use]
    pub fn value_ns(&self) -> u64 {
        if self.total == 0 {
            return 0;
        }
        u64::midpoint(lower_ns(self.cursor), self.upper_ns())
    }

    /// The longest time that is not told apart from the quantile.
    #[must_use]
    pub fn upper_ns(&self) -> u64 {
        lower_ns(self.cursor + 1) - 1
    }

    /// Takes one time into account.
    pub fn record(&mut self, ns: u64) {
        if self.total == MEMORY {
            self.forget_half();
        }
        let bucket = bucket(ns);
        self.counts[bucket] += 1;
        self.total += 1;
        self.below += u64::from(bucket < self.cursor);
        self.settle();
    }

    /// Brings the cursor to the first bucket with at least the quantile's share at or below it.
    fn settle(&mut self) {
        let rank = (self.total * self.per_mille).div_ceil(1000);
        while self.below + self.at_cursor() < rank {
            self.below += self.at_cursor();
            self.cursor += 1;
        }
        while self.below >= rank {
            self.cursor -= 1;
            self.below -= self.at_cursor();
        }
    }

    fn at_cursor(&self) -> u64 {
        self.counts[self.cursor].into()
    }

    fn forget_half(&mut self) {
        (self.total, self.below) = (0, 0);
        for (bucket, count) in self.counts.iter_mut().enumerate() {
            // Rounded up: what happened once is not forgotten.
            *count = count.div_ceil(2);
            self.total += u64::from(*count);
            if bucket < self.cursor {
                self.below += u64::from(*count);
            }
        }
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(got: u64, want: u64) -> bool {
        got.abs_diff(want) <= want / 32 + 1
    }

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        for index in 0..BUCKETS - 1 {
            assert_eq!(bucket(lower_ns(index)), index);
            assert_eq!(bucket(lower_ns(index + 1) - 1), index);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn nothing_recorded_is_zero() {
        assert_eq!(RunningQuantile::median().value_ns(), 0);
    }

    #[test]
    fn a_new_level_is_learned_though_the_old_one_lasted_for_hours() {
        let mut median = RunningQuantile::median();
        for _ in 0..MEMORY + 1 {
            median.record(1_000_000);
        }
        assert!(close(median.value_ns(), 1_000_000));
        assert!(median.count() <= MEMORY / 2 + 1);
        for _ in 0..MEMORY * 3 / 4 {
            median.record(9_000_000);
        }
        assert!(close(median.value_ns(), 9_000_000));
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn the_quantile_is_that_of_the_sorted_times(
            times in proptest::collection::vec(prop_oneof![0..200_u64, 0..5_000_000_000_u64], 1..300),
            per_mille in 1..=1000_u64,
        ) {
            let mut running = RunningQuantile::new(per_mille);
            let mut sorted = Vec::new();
            for &time in &times {
                running.record(time);
                sorted.push(time);
                sorted.sort_unstable();
                let rank = (sorted.len() as u64 * per_mille).div_ceil(1000);
                let exact = sorted[usize::try_from(rank).unwrap() - 1];
                prop_assert!(close(running.value_ns(), exact), "{} is not {}", running.value_ns(), exact);
                prop_assert!(running.upper_ns() >= exact);
            }
        }

        #[test]
        fn the_cursor_survives_what_it_forgets(
            times in proptest::collection::vec(0..1_000_000_u64, 1..200), per_mille in 1..=1000_u64,
        ) {
            let mut running = RunningQuantile::new(per_mille);
            for time in &times {
                running.record(*time);
                running.forget_half();
            }
            prop_assert!(running.count() >= 1);
            prop_assert!(running.upper_ns() >= *times.iter().min().unwrap());
        }
    }
}
