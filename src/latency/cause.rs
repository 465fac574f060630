//! What can make a result late, by name.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::fmt;

/// Something that makes a result late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// The thread of the slow stage had a page fault.
    PageFault,
    /// The thread of the slow stage went on on another core.
    Migration,
    /// The kernel took the core away.
    InvoluntarySwitch,
    /// It waited inside the stage: for a lock, a disk, or a thread of the library.
    Blocked,
    /// The worker waited for the bell, and was awake late after it rang.
    LateWakeUp,
    /// The frame was in its ring, and the capture thread rang the bell late.
    LateBell,
    /// The worker was inferring another frame, as a rule another camera's.
    WorkerBusy,
    /// The driver left out frames before this one.
    DriverGap,
    /// The capture thread waited for the frame, and had it late: it woke late, or was given it late.
    LateDequeue,
    /// The capture thread was at work for another camera when the frame was due.
    CaptureBusy,
    /// None of these was seen, and the slow stage took longer than usual by no more than a quarter of
    /// what a whole frame takes.
    UsualSpread,
    /// None of these was seen.
    Unexplained,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 12] = [
        Self::PageFault,
        Self::Migration,
        Self::InvoluntarySwitch,
        Self::Blocked,
        Self::LateWakeUp,
        Self::LateBell,
        Self::WorkerBusy,
        Self::DriverGap,
        Self::LateDequeue,
        Self::CaptureBusy,
        Self::UsualSpread,
        Self::Unexplained,
    ];

    /// Its name in the proof.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PageFault => "page_fault",
            Self::Migration => "migration",
            Self::InvoluntarySwitch => "involuntary_switch",
            Self::Blocked => "blocked",
            Self::LateWakeUp => "late_wake_up",
            Self::LateBell => "late_bell",
            Self::WorkerBusy => "worker_busy",
            Self::DriverGap => "driver_gap",
            Self::LateDequeue => "late_dequeue",
            Self::CaptureBusy => "capture_busy",
            Self::UsualSpread => "usual_spread",
            Self::Unexplained => "unexplained",
        }
    }

    /// For people to read.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::PageFault => "page fault",
            Self::Migration => "migration",
            Self::InvoluntarySwitch => "involuntary switch",
            Self::Blocked => "blocked",
            Self::LateWakeUp => "late wake-up",
            Self::LateBell => "late bell",
            Self::WorkerBusy => "worker busy",
            Self::DriverGap => "driver gap",
            Self::LateDequeue => "late dequeue",
            Self::CaptureBusy => "capture busy",
            Self::UsualSpread => "usual spread",
            Self::Unexplained => "unexplained",
        }
    }
}

/// A set of causes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Causes(u16);

impl Causes {
    /// Adds a cause.
    pub(super) const fn add(&mut self, cause: Cause) {
        self.0 |= 1 << cause as u8;
    }

    /// Whether the cause is among them.
    #[must_use]
    pub const fn has(self, cause: Cause) -> bool {
        self.0 >> cause as u8 & 1 == 1
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of both sets.
    #[must_use]
    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in the other set.
    #[must_use]
    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Cause> {
        Cause::ALL.into_iter().filter(move |cause| self.has(*cause))
    }
}

impl FromIterator<Cause> for Causes {
    fn from_iter<I: IntoIterator<Item = Cause>>(causes: I) -> Self {
        let mut set = Self::default();
        causes.into_iter().for_each(|cause| set.add(cause));
        set
    }
}

impl fmt::Debug for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The names, as a list.
impl JsonSchema for Causes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Causes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What made a result slow, by name.",
            "type": "array",
            "items": {"enum": Cause::ALL.map(Cause::name)},
            "uniqueItems": true,
        })
    }
}

impl Serialize for Causes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Cause::name))
    }
}
