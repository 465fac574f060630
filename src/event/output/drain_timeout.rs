//! How long the end of a run waits for a line that still sends.

use crate::units::NS_PER_S;

/// Longest time for the last lines, however slow the line is.
const WHOLE_NS: u64 = 5 * NS_PER_S;
/// Longest time in which no byte leaves: nobody takes them.
const STILL_NS: u64 = NS_PER_S;

/// The wait of one line.
#[derive(Debug)]
pub struct DrainTimeout {
    last_ns: u64,
    still_ns: u64,
    gone_bytes: u64,
}

impl DrainTimeout {
    /// The wait begins.
    #[must_use]
    pub const fn new(now_ns: u64, gone_bytes: u64) -> Self {
        Self {
            last_ns: now_ns.saturating_add(WHOLE_NS),
            still_ns: now_ns.saturating_add(STILL_NS),
            gone_bytes,
        }
    }

    /// It is worth going on, now that so many bytes of the whole run have left.
    pub fn lasts(&mut self, now_ns: u64, gone_bytes: u64) -> bool {
        if gone_bytes > self.gone_bytes {
            self.gone_bytes = gone_bytes;
            self.still_ns = now_ns.saturating_add(STILL_NS);
        }
        now_ns < self.last_ns.min(self.still_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::{DrainTimeout, STILL_NS, WHOLE_NS};

    #[test]
    fn a_line_on_which_nothing_moves_gets_a_second_and_a_slow_one_five() {
        let mut timeout = DrainTimeout::new(7, 100);
        assert!(timeout.lasts(7, 100));
        assert!(timeout.lasts(7 + STILL_NS - 1, 100));
        assert!(!timeout.lasts(7 + STILL_NS, 100));
        let mut timeout = DrainTimeout::new(0, 100);
        let mut gone_bytes = 100;
        let mut now_ns = 0;
        while timeout.lasts(now_ns, gone_bytes) {
            gone_bytes += 1;
            now_ns += STILL_NS - 1;
        }
        assert!(
            (WHOLE_NS..WHOLE_NS + STILL_NS).contains(&now_ns),
            "{now_ns}"
        );
    }
}
