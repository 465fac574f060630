//! What a thread can tell of itself, before and after: the evidence for attribution.

/// One thread's counters at one moment, read by the thread itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadCounters {
    /// When it was read, CLOCK_MONOTONIC.
    pub at_ns: u64,
    /// Time that the thread had waited in the run queue, ready to run, where that was read.
    pub queued_ns: Option<u64>,
    /// The core that it ran on.
    pub core: usize,
    /// Page faults, with and without I/O.
    pub page_faults: u64,
    /// Times that it waited for something.
    pub voluntary_switches: u64,
    /// Times that it was pushed off its core.
    pub involuntary_switches: u64,
}

impl ThreadCounters {
    /// What happened from here until `later`.
    #[must_use]
    pub fn until(&self, later: &Self) -> Disturbance {
        Disturbance {
            page_faults: later.page_faults.saturating_sub(self.page_faults),
            migrated: later.core != self.core,
            voluntary_switches: later
                .voluntary_switches
                .saturating_sub(self.voluntary_switches),
            involuntary_switches: later
                .involuntary_switches
                .saturating_sub(self.involuntary_switches),
            queued_ns: later
                .queued_ns
                .zip(self.queued_ns)
                .map(|(later, earlier)| later.saturating_sub(earlier)),
        }
    }
}

/// What happened to a thread during a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disturbance {
    /// Page faults, with and without I/O.
    pub page_faults: u64,
    /// It ended on another core than it began on.
    pub migrated: bool,
    /// Times that it waited for something.
    pub voluntary_switches: u64,
    /// Times that it was pushed off its core.
    pub involuntary_switches: u64,
    /// Time that it waited in the run queue, ready to run, where that is known.
    pub queued_ns: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: ThreadCounters = ThreadCounters {
        at_ns: 1_000,
        queued_ns: Some(400),
        core: 1,
        page_faults: 7,
        voluntary_switches: 5,
        involuntary_switches: 3,
    };

    #[test]
    fn what_happened_is_the_difference_of_two_looks() {
        let after = ThreadCounters {
            at_ns: 9_000,
            queued_ns: Some(2_400),
            involuntary_switches: 4,
            ..BEFORE
        };
        let expected = Disturbance {
            involuntary_switches: 1,
            queued_ns: Some(2_000),
            ..Disturbance::default()
        };
        assert_eq!(BEFORE.until(&after), expected);
    }

    #[test]
    fn time_in_line_that_was_not_read_twice_is_not_known() {
        let after = ThreadCounters {
            queued_ns: None,
            core: 2,
            page_faults: 9,
            ..BEFORE
        };
        let seen = BEFORE.until(&after);
        assert_eq!(
            (seen.queued_ns, seen.migrated, seen.page_faults),
            (None, true, 2)
        );
    }
}
