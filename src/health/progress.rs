//! A thread that stands still: its progress counter has not moved for longer than it may. Pure.

use super::episode::{Episode, Report};

/// A thread may stand still for so long before it is a trouble: the longest planned wait of every thread is 0.5 s.
pub const STANDSTILL_NS: u64 = 3_000_000_000;

/// What is known of a thread that stands still or did so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standstill {
    /// What is to be reported.
    pub report: Report,
    /// Since its counter last moved; 0 when it moves again.
    pub for_ns: u64,
}

/// The watch over one thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadWatch {
    steps: u64,
    moved_ns: Option<u64>,
    episode: Episode,
}

impl ThreadWatch {
    /// Looks at the thread's progress counter. `may_take_ns` is what its current step may take where that is longer than
    /// usual: an inference up to its deadline, a write to a slow disk.
    pub fn look(&mut self, now_ns: u64, steps: u64, may_take_ns: u64) -> Option<Standstill> {
        if self.steps != steps || self.moved_ns.is_none() {
            self.steps = steps;
            self.moved_ns = Some(now_ns);
        }
        let for_ns = self.standstill_ns(now_ns);
        let is_troubled = for_ns > STANDSTILL_NS.max(may_take_ns);
        let report = self.episode.look(now_ns, is_troubled)?;
        Some(Standstill { report, for_ns })
    }

    /// For how long the counter has not moved.
    #[must_use]
    pub fn standstill_ns(&self, now_ns: u64) -> u64 {
        self.moved_ns
            .map_or(0, |moved_ns| now_ns.saturating_sub(moved_ns))
    }

    /// It stands still for longer than it may.
    #[must_use]
    pub const fn is_troubled(&self) -> bool {
        self.episode.since_ns().is_some()
    }

    /// Longest time that it stood still beyond what it may.
    #[must_use]
    pub const fn longest_ns(&self) -> u64 {
        self.episode.longest_ns()
    }

    /// How often it stood still.
    #[must_use]
    pub const fn times(&self) -> u64 {
        self.episode.times()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_counter_that_moves_is_no_trouble_and_one_that_stops_is() {
        let mut watch = ThreadWatch::default();
        for s in 0..100 {
            assert_eq!(watch.look(s * S, s, 0), None);
        }
        let seen: Vec<_> = (100..110)
            .filter_map(|s| Some((s, watch.look(s * S, 99, 0)?)))
            .collect();
        let begins = Standstill {
            report: Report::Begins,
            for_ns: 4 * S,
        };
        assert_eq!(seen[0], (103, begins));
        assert!(watch.is_troubled());
        let back = watch.look(110 * S, 100, 0).unwrap();
        assert!(matches!(back.report, Report::Ended { .. }), "{back:?}");
        assert_eq!(
            (back.for_ns, watch.is_troubled(), watch.times()),
            (0, false, 1)
        );
    }

    #[test]
    fn a_step_may_take_as_long_as_is_planned_for_it() {
        let mut watch = ThreadWatch::default();
        for s in 0..60 {
            assert_eq!(watch.look(s * S, 1, 60 * S), None);
        }
        assert!(watch.look(61 * S, 1, 60 * S).is_some());
    }
}
