//! How often, and when, frames of one camera may be inferred. Pure: time is an argument.

/// One camera's allowance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Time from one inferred frame to the next, on average; 0 for any.
    pub gap_ns: u64,
    /// A frame may come so much too early: half a frame interval, so that the rate is kept on average and not
    /// halved by a hair.
    pub slack_ns: u64,
    /// Frames are inferred in the first so many nanoseconds of each period.
    pub on_ns: u64,
    /// Length of the period, counted from the clock's zero; 0 for always.
    pub period_ns: u64,
}

impl Allowance {
    /// Whether a frame may be inferred at `now_ns`, where the next one is due at `due_ns`.
    #[must_use]
    pub const fn allows(&self, now_ns: u64, due_ns: u64) -> bool {
        let on = self.period_ns == 0 || now_ns % self.period_ns < self.on_ns;
        on && (self.gap_ns == 0 || now_ns.saturating_add(self.slack_ns) >= due_ns)
    }

    /// When the next frame is due, after one was inferred at `now_ns` that was due at `due_ns`. Time in which
    /// there was no frame is not made up for.
    #[must_use]
    pub fn next_due_ns(&self, now_ns: u64, due_ns: u64) -> u64 {
        due_ns
            .max(now_ns.saturating_sub(self.slack_ns))
            .saturating_add(self.gap_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::Allowance;

    const MS: u64 = 1_000_000;

    /// Frames inferred of a camera with one every 33.3 ms, for ten seconds without frames 100 to 200.
    fn judged(allowance: Allowance) -> Vec<u64> {
        let mut due = 0;
        (0..300_u64)
            .filter(|number| !(100..200).contains(number))
            .map(|number| 1 + number * 33_333_333)
            .filter(|&now| {
                let allowed = allowance.allows(now, due);
                if allowed {
                    due = allowance.next_due_ns(now, due);
                }
                allowed
            })
            .collect()
    }

    #[test]
    fn a_rate_is_kept_on_average_whatever_the_cameras_own_is() {
        for (rate_hz, expected) in [
            (1, 7..=8),
            (10, 66..=68),
            (12, 79..=82),
            (29, 190..=195),
            (30, 200..=200),
            (60, 200..=200),
        ] {
            let found = judged(Allowance {
                gap_ns: 1_000 * MS / rate_hz,
                slack_ns: 16_666_666,
                ..Allowance::default()
            });
            assert!(
                expected.contains(&found.len()),
                "{rate_hz} Hz: {} frames",
                found.len()
            );
        }
        assert_eq!(judged(Allowance::default()).len(), 200);
    }

    #[test]
    fn a_duty_cycle_judges_in_the_first_part_of_each_period() {
        let found = judged(Allowance {
            on_ns: 250 * MS,
            period_ns: 1_000 * MS,
            ..Allowance::default()
        });
        assert!(found.iter().all(|now| now % (1_000 * MS) < 250 * MS));
        assert!((48..=56).contains(&found.len()), "{}", found.len());
    }
}
