//! When a camera's next frame comes, learned from those that came. Pure: time is an argument.

/// Interval, delay and jitter of one camera's frames, as they come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forecast {
    interval_ns: u64,
    /// Intervals between the last two frames: several once are a loss, twice another rate.
    intervals: u64,
    /// Capture stamp of the newest frame; 0 before the first one.
    capture_ns: u64,
    /// Usual time from the stamp until the frame is there.
    delay_ns: u64,
    /// Usual distance between when a frame should have come and when it did.
    jitter_ns: u64,
    /// When the next one should come, jitter left aside; 0 before the first one.
    expected_ns: u64,
}

impl Forecast {
    /// Of a camera of one frame in `interval_ns`, as it says; 0 where it says nothing.
    #[must_use]
    pub fn new(interval_ns: u64) -> Self {
        Self {
            interval_ns,
            ..Self::default()
        }
    }

    /// The stream begins anew: the next frame follows no other.
    pub const fn restart(&mut self) {
        self.capture_ns = 0;
        self.expected_ns = 0;
    }

    /// A frame captured at `capture_ns` is there at `now_ns`. Gives when the next one should be there at the latest, as late
    /// as they usually are; 0 where that is not known.
    pub fn arrived(&mut self, capture_ns: u64, now_ns: u64) -> u64 {
        let delay_ns = now_ns.saturating_sub(capture_ns);
        if self.capture_ns == 0 {
            self.delay_ns = delay_ns;
        } else {
            self.learn_interval(capture_ns.saturating_sub(self.capture_ns));
            self.delay_ns = (self.delay_ns.saturating_mul(7).saturating_add(delay_ns)) / 8;
            let error_ns = now_ns.abs_diff(self.expected_ns);
            // What is further off is no jitter but a loss.
            if error_ns < self.interval_ns / 2 {
                self.jitter_ns = (7 * self.jitter_ns + error_ns) / 8;
            }
        }
        self.capture_ns = capture_ns;
        if self.interval_ns == 0 {
            return 0;
        }
        let next_ns = capture_ns.saturating_add(self.interval_ns);
        self.expected_ns = next_ns.saturating_add(self.delay_ns);
        self.expected_ns.saturating_add(4 * self.jitter_ns)
    }

    fn learn_interval(&mut self, since_ns: u64) {
        let interval_ns = self.interval_ns;
        let Some(intervals) = since_ns
            .saturating_add(interval_ns / 2)
            .checked_div(interval_ns)
        else {
            self.interval_ns = since_ns;
            return;
        };
        if since_ns.abs_diff(interval_ns) < interval_ns / 4 {
            self.interval_ns = interval_ns.saturating_mul(15).saturating_add(since_ns) / 16;
        } else if intervals < 2 || intervals == self.intervals {
            self.interval_ns = since_ns;
        }
        self.intervals = intervals;
    }
}

#[cfg(test)]
mod tests {
    use super::Forecast;

    const MS: u64 = 1_000_000;

    /// Frames captured at these times, each there `delay_ms` later: when the next one is expected.
    fn expected(
        forecast: &mut Forecast,
        captured_ms: impl IntoIterator<Item = u64>,
        delay_ms: u64,
    ) -> u64 {
        let arrive = |ms: u64| forecast.arrived(ms * MS, (ms + delay_ms) * MS);
        captured_ms.into_iter().map(arrive).last().unwrap()
    }

    #[test]
    fn the_next_frame_is_expected_an_interval_after_this_one_and_as_late() {
        let mut forecast = Forecast::new(33 * MS);
        assert_eq!(forecast.arrived(100 * MS, 112 * MS), 145 * MS);
        assert_eq!(forecast.arrived(133 * MS, 145 * MS), 178 * MS);
        forecast.restart();
        assert_eq!(forecast.arrived(500 * MS, 501 * MS), 534 * MS);
    }

    #[test]
    fn a_camera_that_is_slower_than_it_says_is_learned_and_a_lost_frame_changes_nothing() {
        let mut forecast = Forecast::new(33 * MS);
        let next_ns = expected(&mut forecast, (0..200).map(|n| 1 + n * 35), 2);
        let due_ns = (1 + 200 * 35 + 2) * MS;
        assert!(next_ns.abs_diff(due_ns) < MS / 10, "{next_ns} {due_ns}");
        // One frame is missing.
        let next_ns = expected(&mut forecast, [1 + 201 * 35], 2);
        let due_ns = due_ns + 2 * 35 * MS;
        assert!(next_ns.abs_diff(due_ns) < MS / 10, "{next_ns} {due_ns}");
    }

    #[test]
    fn half_the_rate_is_learned_within_a_few_frames_and_the_whole_one_again() {
        let mut forecast = Forecast::new(33 * MS);
        expected(&mut forecast, (1..=10).map(|n| n * 33), 0);
        let next_ns = expected(&mut forecast, (6..=12).map(|n| n * 66), 0);
        assert!(next_ns.abs_diff(13 * 66 * MS) < 5 * MS, "{next_ns}");
        let next_ns = expected(&mut forecast, (1..=40).map(|n| 792 + n * 33), 0);
        assert!(next_ns.abs_diff((792 + 41 * 33) * MS) < 4 * MS, "{next_ns}");
    }

    #[test]
    fn frames_that_are_now_early_now_late_are_waited_for_as_long_as_they_usually_take() {
        let mut forecast = Forecast::new(33 * MS);
        let mut next_ns = 0;
        for n in 1..=100 {
            let late_ms = (n * 7) % 4;
            next_ns = forecast.arrived(n * 33 * MS, (n * 33 + late_ms) * MS);
        }
        let due_ns = 101 * 33 * MS;
        assert!(
            (due_ns + 2 * MS..due_ns + 6 * MS).contains(&next_ns),
            "{next_ns}"
        );
    }

    #[test]
    fn a_camera_that_says_no_rate_has_one_from_its_second_frame_on() {
        let mut forecast = Forecast::new(0);
        assert_eq!(forecast.arrived(5 * MS, 5 * MS), 0);
        assert_eq!(forecast.arrived(45 * MS, 45 * MS), 85 * MS);
        assert!(forecast.arrived(u64::MAX, u64::MAX) == u64::MAX);
    }
}
