//! The failure ladder of one camera: what to do next, from what happened and when. Pure.
//!
//! ```text
//!            silence, EIO, damage in a row            attempts without a frame
//!  Serve ───────────────────────────────► Restart ───────────────────────────► Reopen ──► ResetPort
//!    ▲  └──── ENODEV and its kin ──────────────────────────────────────────────►  │           │
//!    └───────────── done ◄──────────────── Restart ◄──────────── done ────────────┴◄─ done ───┘
//! ```
//!
//! Between attempts it rests: not at all before the first one, then twice as long each time, up to a
//! bound. It never gives up, and it never asks for the process to end.
//!
//! The thread that serves the camera asks [`Supervisor::next`], does that, and reports the outcome with
//! [`Supervisor::observe`].

use crate::capture::SourceError;
use crate::units::NS_PER_MS;
use nix::libc;

/// The ladder's constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A stream silent for this long is restarted; and one that serves for this long is forgiven its
    /// earlier failures.
    pub time_out_ns: u64,
    /// Damaged or repeated frames in a row after which the stream is restarted.
    pub damaged_in_a_row: u32,
    /// Attempts without a frame after which the device is reopened instead of restarted.
    pub restarts: u32,
    /// Reopened this often without a frame, the device's port is reset where it is in one that can be, and
    /// again after as many.
    pub reopens: u32,
    /// The rest before the second attempt; doubled before each further one.
    pub first_rest_ns: u64,
    /// The longest rest.
    pub longest_rest_ns: u64,
}

impl Limits {
    /// The usual ladder for a stream that is restarted after `time_out_ns` of silence.
    #[must_use]
    pub const fn new(time_out_ns: u64) -> Self {
        Self {
            time_out_ns,
            // A second of nothing but damage at 30 frames a second.
            damaged_in_a_row: 30,
            restarts: 3,
            // With the rests between them that is after one to two seconds, in which a camera that restarted
            // itself is back.
            reopens: 4,
            // A USB camera takes about a second to come back; the first tries are cheap.
            first_rest_ns: 100 * NS_PER_MS,
            longest_rest_ns: 5_000 * NS_PER_MS,
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole frame arrived.
    Frame,
    /// A frame arrived that the driver marked as damaged, or that was short; or the picture of an earlier one
    /// could not be decoded. It was counted and re-queued.
    Damaged,
    /// A frame arrived, and nobody knows what it is worth: the pictures before it could not be decoded.
    Unproved,
    /// A frame arrived that had been there before. It was counted and re-queued.
    Repeated,
    /// Waiting for, taking or giving back a buffer failed.
    Failed(SourceError),
    /// The action that was asked for succeeded.
    Done,
    /// The action that was asked for failed.
    NotDone(SourceError),
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Wait for the source, at most until this time; take its frames; ask again.
    Serve {
        /// CLOCK_MONOTONIC.
        until_ns: u64,
    },
    /// `stop`, queue the free slots, `start`.
    Restart,
    /// `reopen`.
    Reopen,
    /// Reset the USB port of the device.
    ResetPort,
    /// Leave the camera alone until this time; ask again.
    Rest {
        /// CLOCK_MONOTONIC.
        until_ns: u64,
    },
}

/// Why a camera is not being served, for the log. `Display` says it in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No frame for the time-out.
    Silent,
    /// Nothing but damaged frames.
    Damaged,
    /// Nothing but the same frame.
    Frozen,
    /// The device is gone.
    Gone,
    /// Another process holds the device.
    Busy,
    /// No permission.
    Denied,
    /// The bus has no room for this stream.
    NoBandwidth,
    /// Another failure.
    Failed(SourceError),
}

impl Trouble {
    /// What an error means for the camera.
    #[must_use]
    pub const fn of(error: SourceError) -> Self {
        match error.errno {
            libc::ENODEV | libc::ENXIO | libc::ENOENT | libc::EBADF | libc::ESHUTDOWN => Self::Gone,
            libc::EBUSY => Self::Busy,
            libc::EACCES | libc::EPERM => Self::Denied,
            libc::ENOSPC => Self::NoBandwidth,
            _ => Self::Failed(error),
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silent => f.write_str("it delivers no frames"),
            Self::Damaged => f.write_str("it delivers only corrupt frames"),
            Self::Frozen => f.write_str("it delivers the same frame again and again"),
            Self::Gone => f.write_str("the device is gone: a loose cable, or it restarted itself"),
            Self::Busy => f.write_str("another process holds the device"),
            Self::Denied => f.write_str("no permission for the device: is the user in group video?"),
            Self::NoBandwidth => f.write_str(
                "the USB bus has no bandwidth left for it: a smaller size, a lower rate, a compressed \
                 format, or another bus",
            ),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// Sums since arming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SupervisorCounts {
    /// Silences that reached the time-out.
    pub time_outs: u64,
    /// Operations that failed while serving.
    pub failures: u64,
    /// Runs of damaged or repeated frames that led to a restart.
    pub damage_runs: u64,
    /// Restarts that succeeded.
    pub restarts: u64,
    /// Reopenings that succeeded.
    pub reopens: u64,
    /// Port resets that succeeded.
    pub resets: u64,
    /// Actions that failed.
    pub failed_attempts: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rung {
    Restart,
    Reopen,
    ResetPort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving { since_ns: u64, sign_ns: u64 },
    Recovering { rung: Rung, not_before_ns: u64 },
}

/// The ladder's state for one camera.
#[derive(Clone, Debug)]
pub struct Supervisor {
    limits: Limits,
    /// The device is in a port that can be reset.
    in_port: bool,
    phase: Phase,
    /// Failures since the camera last served for a whole time-out.
    failures: u32,
    /// Reopenings asked for since then.
    reopens: u32,
    damaged_run: u32,
    trouble: Option<Trouble>,
    counts: SupervisorCounts,
}

impl Supervisor {
    /// A camera that is stopped: the first action is [`Action::Restart`].
    #[must_use]
    pub fn new(limits: Limits, now_ns: u64) -> Self {
        Self {
            limits,
            in_port: false,
            phase: Phase::Recovering {
                rung: Rung::Restart,
                not_before_ns: now_ns,
            },
            failures: 0,
            reopens: 0,
            damaged_run: 0,
            trouble: None,
            counts: SupervisorCounts::default(),
        }
    }

    /// Whether the device is in a port that can be reset. A new supervisor knows of none.
    pub const fn set_in_port(&mut self, in_port: bool) {
        self.in_port = in_port;
    }

    /// The stream was started without being asked for, as arming does: the camera is served.
    pub fn started(&mut self, now_ns: u64) {
        self.damaged_run = 0;
        self.phase = Phase::Serving {
            since_ns: now_ns,
            sign_ns: now_ns,
        };
    }

    /// Why the camera is not well; `None` when a frame has come since.
    #[must_use]
    pub const fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Sums since arming.
    #[must_use]
    pub const fn counts(&self) -> &SupervisorCounts {
        &self.counts
    }

    /// Whether the stream is, or should be, running.
    #[must_use]
    pub const fn serving(&self) -> bool {
        matches!(self.phase, Phase::Serving { .. })
    }

    /// What to do now. Asked again without an event between, it says the same, or that time has passed.
    pub fn next(&mut self, now_ns: u64) -> Action {
        if let Phase::Serving { sign_ns, .. } = self.phase {
            let until_ns = sign_ns.saturating_add(self.limits.time_out_ns);
            if now_ns < until_ns {
                return Action::Serve { until_ns };
            }
            self.counts.time_outs += 1;
            self.recover(Trouble::Silent, Rung::Restart, now_ns);
        }
        match self.phase {
            Phase::Recovering { not_before_ns, .. } if now_ns < not_before_ns => Action::Rest {
                until_ns: not_before_ns,
            },
            Phase::Recovering {
                rung: Rung::Restart,
                ..
            } => Action::Restart,
            Phase::Recovering {
                rung: Rung::Reopen, ..
            } => Action::Reopen,
            Phase::Recovering {
                rung: Rung::ResetPort,
                ..
            } => Action::ResetPort,
            Phase::Serving { sign_ns, .. } => Action::Serve {
                until_ns: sign_ns.saturating_add(self.limits.time_out_ns),
            },
        }
    }

    /// Takes note of what happened at `now_ns`. Frames and failures that come while no stream should be
    /// running say nothing new.
    pub fn observe(&mut self, event: Event, now_ns: u64) {
        match (self.phase, event) {
            (Phase::Serving { since_ns, .. }, Event::Frame) => {
                self.phase = Phase::Serving {
                    since_ns,
                    sign_ns: now_ns,
                };
                self.damaged_run = 0;
                self.trouble = None;
                if now_ns.saturating_sub(since_ns) >= self.limits.time_out_ns {
                    self.failures = 0;
                    self.reopens = 0;
                }
            }
            (Phase::Serving { since_ns, .. }, Event::Unproved) => {
                self.phase = Phase::Serving {
                    since_ns,
                    sign_ns: now_ns,
                };
            }
            (Phase::Serving { since_ns, .. }, Event::Damaged | Event::Repeated) => {
                self.phase = Phase::Serving {
                    since_ns,
                    sign_ns: now_ns,
                };
                self.damaged_run = self.damaged_run.saturating_add(1);
                if self.damaged_run >= self.limits.damaged_in_a_row {
                    self.counts.damage_runs += 1;
                    let trouble = if event == Event::Damaged {
                        Trouble::Damaged
                    } else {
                        Trouble::Frozen
                    };
                    self.recover(trouble, Rung::Restart, now_ns);
                }
            }
            (Phase::Serving { .. }, Event::Failed(error) | Event::NotDone(error)) => {
                self.counts.failures += 1;
                let trouble = Trouble::of(error);
                let rung = if trouble == Trouble::Gone {
                    Rung::Reopen
                } else {
                    Rung::Restart
                };
                self.recover(trouble, rung, now_ns);
            }
            (Phase::Recovering { rung, .. }, Event::Done) => self.done(rung, now_ns),
            (Phase::Recovering { rung, .. }, Event::NotDone(error)) => {
                self.counts.failed_attempts += 1;
                let trouble = Trouble::of(error);
                let rung = match rung {
                    Rung::Restart if trouble != Trouble::Gone => Rung::Restart,
                    Rung::Restart | Rung::Reopen | Rung::ResetPort => Rung::Reopen,
                };
                self.recover(trouble, rung, now_ns);
            }
            (Phase::Serving { .. }, Event::Done)
            | (
                Phase::Recovering { .. },
                Event::Frame
                | Event::Unproved
                | Event::Damaged
                | Event::Repeated
                | Event::Failed(_),
            ) => {}
        }
    }

    /// A rung held: on to the next one towards serving.
    fn done(&mut self, rung: Rung, now_ns: u64) {
        match rung {
            Rung::Restart => {
                self.counts.restarts += 1;
                self.started(now_ns);
            }
            Rung::Reopen => {
                self.counts.reopens += 1;
                self.phase = Phase::Recovering {
                    rung: Rung::Restart,
                    not_before_ns: now_ns,
                };
            }
            Rung::ResetPort => {
                self.counts.resets += 1;
                // The device needs time to come back after a reset.
                let not_before_ns = now_ns.saturating_add(self.limits.first_rest_ns);
                self.phase = Phase::Recovering {
                    rung: Rung::Reopen,
                    not_before_ns,
                };
            }
        }
    }

    /// One failure more: `rung` or a harder one, after a rest.
    fn recover(&mut self, trouble: Trouble, rung: Rung, now_ns: u64) {
        self.trouble = Some(trouble);
        self.damaged_run = 0;
        let rest_ns = rest_ns(&self.limits, self.failures);
        self.failures = self.failures.saturating_add(1);
        let rung = match rung {
            Rung::Restart if self.failures <= self.limits.restarts => Rung::Restart,
            Rung::Restart | Rung::Reopen | Rung::ResetPort => {
                self.reopens = self.reopens.saturating_add(1);
                let period = self.limits.reopens.saturating_add(1);
                let reset = self.in_port && self.reopens.is_multiple_of(period);
                if reset { Rung::ResetPort } else { Rung::Reopen }
            }
        };
        let not_before_ns = now_ns.saturating_add(rest_ns);
        self.phase = Phase::Recovering {
            rung,
            not_before_ns,
        };
    }
}

/// The rest before an attempt that follows `failures` earlier ones.
fn rest_ns(limits: &Limits, failures: u32) -> u64 {
    let Some(doublings) = failures.checked_sub(1) else {
        return 0;
    };
    let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    limits
        .first_rest_ns
        .saturating_mul(factor)
        .min(limits.longest_rest_ns)
}

#[cfg(test)]
mod tests;
