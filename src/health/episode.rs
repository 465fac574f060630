//! A trouble that begins, lasts, recurs and ends, in few lines of the log: one when it begins, ever fewer while it lasts,
//! one when it ends. One that comes and goes is summed up. Pure: time is an argument.
//!
//! ```text
//! trouble   ____████______█_█_█_█_█______________████████████████████████████____
//! line          B   E            R               B  L    L         L         E
//! ```

/// Pause after the first line of a trouble before the next one may come.
pub const FIRST_PAUSE_NS: u64 = 5_000_000_000;
/// A trouble that lasts for so long has its line, whatever came before it.
pub const ALWAYS_NS: u64 = 30_000_000_000;
/// The pause doubles with each line, up to this.
pub const LONGEST_PAUSE_NS: u64 = 3_600_000_000_000;

/// What the log is to say of a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It begins.
    Begins,
    /// It has lasted for so long.
    Lasts {
        /// Since it began.
        for_ns: u64,
    },
    /// It is over.
    Ended {
        /// From its beginning to its end.
        after_ns: u64,
    },
    /// It has come and gone since the last line.
    Recurred {
        /// How often it began.
        times: u32,
        /// How long it lasted altogether.
        sum_ns: u64,
        /// In which time.
        within_ns: u64,
    },
}

/// One trouble of one thing. The default is a thing without trouble.
#[derive(Clone, Copy, Debug, Default)]
pub struct Episode {
    /// Since when it lasts.
    since_ns: Option<u64>,
    /// Its beginning was reported, so its end is.
    is_reported: bool,
    /// The last line.
    line_ns: u64,
    /// No line before this time, but for the end of what was reported.
    quiet_until_ns: u64,
    /// The next pause; 0 when the last trouble is long ago.
    pause_ns: u64,
    /// Beginnings without a line of their own since the last line, and how long those lasted that are over.
    unreported: u32,
    unreported_ns: u64,
    /// How often it began in all.
    times: u64,
    /// Longest time that it lasted, up to the last look.
    longest_ns: u64,
}

impl Episode {
    /// A thing without trouble.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            since_ns: None,
            is_reported: false,
            line_ns: 0,
            quiet_until_ns: 0,
            pause_ns: 0,
            unreported: 0,
            unreported_ns: 0,
            times: 0,
            longest_ns: 0,
        }
    }

    /// Looks at the thing at `now_ns`; `is_troubled` says how it is. Gives what is to be reported now.
    pub fn look(&mut self, now_ns: u64, is_troubled: bool) -> Option<Report> {
        match (self.since_ns, is_troubled) {
            (None, true) => {
                self.since_ns = Some(now_ns);
                self.times += 1;
                self.begins(now_ns)
            }
            (Some(since_ns), true) => {
                self.longest_ns = self.longest_ns.max(now_ns.saturating_sub(since_ns));
                self.lasts(now_ns, since_ns)
            }
            (Some(since_ns), false) => {
                self.since_ns = None;
                self.ends(now_ns, now_ns.saturating_sub(since_ns))
            }
            (None, false) => self.stays_well(now_ns),
        }
    }

    /// The watch is over: beginnings that had no line are summed up.
    pub fn end(&mut self, now_ns: u64) -> Option<Report> {
        (self.unreported > 0).then(|| self.recurred(now_ns))
    }

    /// Since when the trouble lasts.
    #[must_use]
    pub const fn since_ns(&self) -> Option<u64> {
        self.since_ns
    }

    /// How often it began.
    #[must_use]
    pub const fn times(&self) -> u64 {
        self.times
    }

    /// Longest time that it lasted.
    #[must_use]
    pub const fn longest_ns(&self) -> u64 {
        self.longest_ns
    }

    fn begins(&mut self, now_ns: u64) -> Option<Report> {
        if now_ns < self.quiet_until_ns {
            self.unreported += 1;
            return None;
        }
        if self.unreported > 0 {
            self.unreported += 1;
            self.is_reported = true;
            return Some(self.recurred(now_ns));
        }
        self.is_reported = true;
        self.line(now_ns);
        Some(Report::Begins)
    }

    fn lasts(&mut self, now_ns: u64, since_ns: u64) -> Option<Report> {
        let is_long = !self.is_reported && now_ns.saturating_sub(since_ns) >= ALWAYS_NS;
        if now_ns < self.quiet_until_ns && !is_long {
            return None;
        }
        if self.unreported > 1 {
            self.is_reported = true;
            return Some(self.recurred(now_ns));
        }
        self.is_reported = true;
        self.unreported = 0;
        self.unreported_ns = 0;
        self.line(now_ns);
        Some(Report::Lasts {
            for_ns: now_ns.saturating_sub(since_ns),
        })
    }

    fn ends(&mut self, now_ns: u64, after_ns: u64) -> Option<Report> {
        self.longest_ns = self.longest_ns.max(after_ns);
        if self.is_reported {
            self.is_reported = false;
            self.line_ns = now_ns;
            // What recurs at once is summed up.
            self.quiet_until_ns = now_ns.saturating_add(self.pause_ns);
            return Some(Report::Ended { after_ns });
        }
        self.unreported_ns = self.unreported_ns.saturating_add(after_ns);
        None
    }

    fn stays_well(&mut self, now_ns: u64) -> Option<Report> {
        if now_ns < self.quiet_until_ns {
            return None;
        }
        if self.unreported > 0 {
            return Some(self.recurred(now_ns));
        }
        // Well for as long again as the last pause: the next trouble is a new one.
        if now_ns.saturating_sub(self.quiet_until_ns) >= self.pause_ns {
            self.pause_ns = 0;
        }
        None
    }

    fn recurred(&mut self, now_ns: u64) -> Report {
        let report = Report::Recurred {
            times: self.unreported,
            sum_ns: self.unreported_ns,
            within_ns: now_ns.saturating_sub(self.line_ns),
        };
        self.unreported = 0;
        self.unreported_ns = 0;
        self.line(now_ns);
        report
    }

    fn line(&mut self, now_ns: u64) {
        self.line_ns = now_ns;
        self.pause_ns = self
            .pause_ns
            .saturating_mul(2)
            .clamp(FIRST_PAUSE_NS, LONGEST_PAUSE_NS);
        self.quiet_until_ns = now_ns.saturating_add(self.pause_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    /// The lines of a trouble that is there in `troubled(second)`, looked at each second of `seconds`.
    fn lines(seconds: u64, troubled: impl Fn(u64) -> bool) -> Vec<(u64, Report)> {
        let mut episode = Episode::default();
        (0..seconds)
            .filter_map(|s| Some((s, episode.look(s * S, troubled(s))?)))
            .collect()
    }

    #[test]
    fn a_short_trouble_has_a_line_at_each_end() {
        let found = lines(100, |s| (10..13).contains(&s));
        let ended = Report::Ended { after_ns: 3 * S };
        assert_eq!(found, [(10, Report::Begins), (13, ended)]);
    }

    #[test]
    fn a_long_trouble_returns_ever_more_rarely_and_its_end_says_how_long_it_was() {
        let found = lines(7300, |s| (10..7200).contains(&s));
        let times: Vec<_> = found.iter().map(|(s, _)| *s).collect();
        assert_eq!(
            times,
            [10, 15, 25, 45, 85, 165, 325, 645, 1285, 2565, 5125, 7200]
        );
        assert_eq!(found[1].1, Report::Lasts { for_ns: 5 * S });
        assert_eq!(found[11].1, Report::Ended { after_ns: 7190 * S });
    }

    #[test]
    fn a_trouble_that_comes_and_goes_is_summed_up() {
        let found = lines(3600, |s| s % 2 == 0);
        assert!(found.len() < 24, "{found:?}");
        assert_eq!(found[0], (0, Report::Begins));
        let begun: u32 = found
            .iter()
            .map(|(_, report)| match report {
                Report::Begins => 1,
                Report::Recurred { times, .. } => *times,
                _ => 0,
            })
            .sum();
        assert!(begun > 1000, "{found:?}");
    }

    #[test]
    fn a_long_trouble_has_its_line_though_one_that_comes_and_goes_was_before_it() {
        let flaps = |s: u64| s < 3600 && s.is_multiple_of(2);
        let found = lines(4000, |s| flaps(s) || s >= 3700);
        let before = found.iter().rfind(|(s, _)| *s < 3700).unwrap();
        let first = found.iter().find(|(s, _)| *s >= 3700).unwrap();
        assert!(before.0 < 3700 && first.0 <= 3730, "{before:?} {first:?}");
    }

    #[test]
    fn a_trouble_that_returns_after_a_long_time_begins_anew() {
        let found = lines(1000, |s| s == 10 || s == 500);
        let kinds: Vec<_> = found
            .iter()
            .map(|(s, report)| (*s, matches!(report, Report::Begins)))
            .collect();
        assert_eq!(kinds, [(10, true), (11, false), (500, true), (501, false)]);
    }

    #[test]
    fn no_beginning_is_lost_between_the_lines() {
        // Pseudo-random troubles: what the lines sum up to is what there was.
        let mut state = 7_u64;
        let mut episode = Episode::default();
        let mut begun = 0;
        let mut was = false;
        let mut told = 0;
        for s in 0..100_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let is = s < 90_000 && (state >> 33).is_multiple_of(7);
            begun += u64::from(is && !was);
            was = is;
            match episode.look(s * S, is) {
                Some(Report::Begins) => told += 1,
                Some(Report::Recurred { times, .. }) => told += u64::from(times),
                _ => {}
            }
        }
        assert_eq!(episode.times(), begun);
        assert_eq!(told, begun);
    }
}
