//! The time of day of a capture stamp: CLOCK_MONOTONIC, which frames are stamped with, and how far CLOCK_REALTIME is
//! ahead of it, read at regular times.
//!
//! A result, an event and a record so carry the time at which the frame was captured, however late they are made.

use crate::sys::clock::CLOCK_SET_NS;

/// Pairs that are read at a time: the thread may lose its core in the middle of one.
const PAIRS: usize = 5;

/// How far CLOCK_REALTIME is ahead of CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WallClock {
    ahead_ns: i64,
}

impl WallClock {
    /// Reads both clocks.
    pub(crate) fn new(now_ns: impl Fn() -> u64, utc_ns: impl Fn() -> u64) -> Self {
        Self {
            ahead_ns: ahead(now_ns, utc_ns).0,
        }
    }

    /// Reads both clocks again. Gives by how much one of them was set, if one was: a clock that is only steered does
    /// 500 us in a second (adjtimex(2)), and this is far more.
    pub(crate) fn renew(
        &mut self,
        now_ns: impl Fn() -> u64,
        utc_ns: impl Fn() -> u64,
    ) -> Option<i64> {
        let (ahead_ns, doubt_ns) = ahead(now_ns, utc_ns);
        let step_ns = ahead_ns.saturating_sub(self.ahead_ns);
        let is_set = step_ns.unsigned_abs() > CLOCK_SET_NS.saturating_add(doubt_ns);
        if is_set || doubt_ns <= CLOCK_SET_NS {
            self.ahead_ns = ahead_ns;
        }
        is_set.then_some(step_ns)
    }

    /// The time of day of a stamp, in nanoseconds since 1970.
    pub(crate) const fn utc_ns(self, monotonic_ns: u64) -> u64 {
        monotonic_ns.saturating_add_signed(self.ahead_ns)
    }
}

/// How far `utc_ns` is ahead, and how wrong that may be: by what passed between two looks at `now_ns` around it, of
/// the narrowest of some pairs.
fn ahead(now_ns: impl Fn() -> u64, utc_ns: impl Fn() -> u64) -> (i64, u64) {
    let pairs = (0..PAIRS).map(|_| {
        let before = now_ns();
        let utc = utc_ns();
        let width = now_ns().saturating_sub(before);
        let ahead = utc.wrapping_sub(before + width / 2).cast_signed();
        (ahead, width)
    });
    pairs.min_by_key(|(_, width)| *width).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::WallClock;
    use crate::units::{NS_PER_MS, NS_PER_S};
    use std::cell::Cell;

    /// Both clocks, and what passes at each look at them.
    struct Clocks {
        now: Cell<u64>,
        ahead: Cell<u64>,
        /// By look, from the first one on; then 100 ns.
        costs: Cell<&'static [u64]>,
    }

    impl Clocks {
        fn now(&self) -> u64 {
            let costs = self.costs.get();
            let (cost, rest) = costs.split_first().unwrap_or((&100, &[]));
            self.costs.set(rest);
            self.now.set(self.now.get() + cost);
            self.now.get()
        }
        fn utc(&self) -> u64 {
            self.now() + self.ahead.get()
        }
        fn read(&self) -> WallClock {
            WallClock::new(|| self.now(), || self.utc())
        }
        fn renew(&self, wall: &mut WallClock) -> Option<i64> {
            wall.renew(|| self.now(), || self.utc())
        }
    }

    fn clocks(costs: &'static [u64]) -> Clocks {
        Clocks {
            now: Cell::new(NS_PER_S),
            ahead: Cell::new(1_700_000_000 * NS_PER_S),
            costs: Cell::new(costs),
        }
    }

    #[test]
    fn a_stamp_has_the_time_at_which_it_was_taken_whatever_comes_between_two_looks() {
        // The core is lost within two of the pairs, and in the middle of the others next to nothing passes.
        let clocks = clocks(&[100, 80_000_000, 100, 100, 100, 900_000_000, 100, 100, 100]);
        let wall = clocks.read();
        let stamp = clocks.now();
        let expected = stamp + clocks.ahead.get();
        assert!(wall.utc_ns(stamp).abs_diff(expected) < 200);
        // However much later it is asked for.
        clocks.now.set(stamp + 5 * NS_PER_S);
        assert!(wall.utc_ns(stamp).abs_diff(expected) < 200);
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_once_and_one_that_is_steered_is_followed() {
        let clocks = clocks(&[]);
        let mut wall = clocks.read();
        for _ in 0..1000 {
            clocks.ahead.set(clocks.ahead.get() + NS_PER_MS / 2);
            assert_eq!(clocks.renew(&mut wall), None);
        }
        clocks.ahead.set(clocks.ahead.get() - 3600 * NS_PER_S);
        let step = clocks.renew(&mut wall).unwrap();
        assert_eq!(step / 1_000_000_000, -3600);
        assert_eq!(clocks.renew(&mut wall), None);
        let stamp = clocks.now();
        assert!(wall.utc_ns(stamp).abs_diff(stamp + clocks.ahead.get()) < 200);
    }

    #[test]
    fn a_thread_that_never_keeps_its_core_for_a_pair_takes_no_step_for_one() {
        let clocks = clocks(&[]);
        let mut wall = clocks.read();
        // Half a second and more behind the time of day, each time.
        clocks.costs.set(&[
            10,
            10,
            900_000_000,
            10,
            10,
            900_000_000,
            10,
            10,
            900_000_000,
            10,
            10,
            900_000_000,
            10,
            10,
            900_000_000,
        ]);
        assert_eq!(clocks.renew(&mut wall), None);
        let stamp = clocks.now();
        assert!(wall.utc_ns(stamp).abs_diff(stamp + clocks.ahead.get()) < 200);
    }
}
