//! The slowest results of a run, and why all the slow ones were slow: fixed memory, constant time.

use super::attribution::{Baseline, Observed, Verdict};
use super::cause::Cause;
use super::{Stage, Stamps};

/// Results that are kept with everything that was seen of them.
pub const KEPT: usize = 16;

/// The slowest results of one worker.
#[derive(Clone, Debug, Default)]
pub struct Slowest {
    kept: heapless::Vec<Observed, KEPT>,
}

fn whole_ns(stamps: &Stamps) -> u64 {
    Stage::CaptureToResult.of(stamps)
}

impl Slowest {
    /// Whether a result is among the slowest so far.
    #[must_use]
    pub fn wants(&self, stamps: &Stamps) -> bool {
        let least = self.least().map_or(0, |(_, ns)| ns);
        !self.kept.is_full() || whole_ns(stamps) > least
    }

    /// Takes a result in, in the place of the least slow one if there is no other.
    pub fn offer(&mut self, seen: Observed) {
        if let Err(seen) = self.kept.push(seen)
            && let Some((place, least_ns)) = self.least()
            && whole_ns(&seen.stamps) > least_ns
        {
            self.kept[place] = seen;
        }
    }

    /// Those that were kept, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Observed> {
        self.kept.iter()
    }

    fn least(&self) -> Option<(usize, u64)> {
        self.kept
            .iter()
            .map(|seen| whole_ns(&seen.stamps))
            .enumerate()
            .min_by_key(|(_, ns)| *ns)
    }
}

/// How many slow results had which cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CauseCounts {
    /// Results.
    pub results: u64,
    /// Of them, the slow ones: [`Baseline::is_slow`].
    pub slow: u64,
    by_cause: [u64; Cause::ALL.len()],
}

impl CauseCounts {
    /// One result; with a verdict if it was slow.
    pub fn count(&mut self, verdict: Option<&Verdict>) {
        self.results += 1;
        if let Some(verdict) = verdict {
            self.slow += 1;
            for cause in verdict.causes.iter() {
                self.by_cause[cause as usize] += 1;
            }
        }
    }

    /// Slow results that had this cause, alone or with others.
    #[must_use]
    pub const fn of(&self, cause: Cause) -> u64 {
        self.by_cause[cause as usize]
    }

    /// Adds the counts of another worker.
    pub fn add(&mut self, other: &Self) {
        self.results += other.results;
        self.slow += other.slow;
        for (mine, theirs) in self.by_cause.iter_mut().zip(&other.by_cause) {
            *mine += theirs;
        }
    }
}

/// One worker's tail: what it keeps of all results, whichever camera's.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    /// The slowest results.
    pub slowest: Slowest,
    /// All slow results by cause.
    pub counts: CauseCounts,
}

impl Tail {
    /// Takes one result of a camera with this `usual` into account. `observed` is asked for only if the
    /// result is slow.
    pub fn record(
        &mut self,
        baseline: &mut Baseline,
        stamps: &Stamps,
        observed: impl FnOnce() -> Observed,
    ) {
        let slow = baseline.is_slow(stamps);
        let mut verdict = None;
        if slow || self.slowest.wants(stamps) {
            let seen = observed();
            verdict = slow.then(|| baseline.explain(&seen));
            self.slowest.offer(seen);
        }
        self.counts.count(verdict.as_ref());
        baseline.record(stamps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn way(whole_ns: u64) -> Stamps {
        Stamps {
            result_ns: whole_ns,
            invoked_ns: whole_ns,
            ..Stamps::default()
        }
    }

    fn seen(sequence: u64, whole_ns: u64) -> Observed {
        Observed {
            sequence,
            stamps: way(whole_ns),
            ..Observed::default()
        }
    }

    fn tail_of(times: &[u64]) -> Tail {
        let (mut tail, mut baseline) = (Tail::default(), Baseline::new());
        for (sequence, &ns) in (0..).zip(times) {
            tail.record(&mut baseline, &way(ns), || seen(sequence, ns));
        }
        tail
    }

    #[test]
    fn the_first_results_are_not_slow_and_outliers_after_them_are_however_many() {
        let mut times = vec![1_000_000; 100];
        times[20] = 70_000_000;
        times[50..60].fill(50_000_000);
        times.extend([1_000_000, 1_010_000, 1_900_000]);
        let tail = tail_of(&times);
        assert_eq!((tail.counts.results, tail.counts.slow), (103, 10));
        assert_eq!(tail.counts.of(Cause::Unexplained), 10);
        assert_eq!(tail.counts.of(Cause::PageFault), 0);
        let slowest: Vec<_> = tail.slowest.iter().map(|seen| seen.sequence).collect();
        assert!(slowest.contains(&20) && slowest.contains(&59) && slowest.contains(&102));
        assert_eq!(slowest.len(), KEPT);
    }

    #[test]
    fn counts_of_two_workers_add_up() {
        let mut times = vec![1_000_000; 200];
        times.push(9_000_000);
        let mut sum = tail_of(&times).counts;
        sum.add(&tail_of(&times).counts);
        assert_eq!(
            (sum.results, sum.slow, sum.of(Cause::Unexplained)),
            (402, 2, 2)
        );
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn the_slowest_are_kept_whatever_their_order(times in proptest::collection::vec(any::<u32>(), 0..200)) {
            let times: Vec<u64> = times.into_iter().map(u64::from).collect();
            let mut kept: Vec<u64> = tail_of(&times).slowest.iter().map(|seen| seen.stamps.result_ns).collect();
            kept.sort_unstable();
            let mut sorted = times;
            sorted.sort_unstable();
            prop_assert_eq!(&kept[..], &sorted[sorted.len().saturating_sub(KEPT)..]);
        }

        #[test]
        fn slow_results_are_the_rare_ones(times in proptest::collection::vec(1_000_000..2_000_000_u64, 1000)) {
            let counts = tail_of(&times).counts;
            // One in a hundred, less those within the percentile's 3 %, and luck at the start.
            prop_assert!(counts.slow <= 30, "{}", counts.slow);
            let named: u64 = Cause::ALL.iter().map(|cause| counts.of(*cause)).sum();
            prop_assert!(named >= counts.slow, "every slow result has a cause, if only that there is none");
        }
    }
}
