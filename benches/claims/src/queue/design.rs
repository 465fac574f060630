//! The designs by name.

use std::fmt;

/// A way from the cameras to the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Design {
    /// An unbuffered channel; each frame is allocated anew.
    Rendezvous,
    /// A bounded channel of 1; each frame is allocated anew.
    Bounded1,
    /// A bounded channel of 8; each frame is allocated anew.
    Bounded8,
    /// A bounded channel of 64; each frame is allocated anew.
    Bounded64,
    /// crossbeam's `ArrayQueue::force_push`, depth 1 for each camera, recycled frames, round-robin.
    ArrayQueue,
    /// Our lanes and doorbell, but the cameras served in turn: what the scheduler adds.
    RingRoundRobin,
    /// Our lanes, doorbell and scheduler.
    Ring,
}

impl Design {
    /// Every design, in the order of the table.
    pub(super) const ALL: [Self; 7] = [
        Self::Rendezvous,
        Self::Bounded1,
        Self::Bounded8,
        Self::Bounded64,
        Self::ArrayQueue,
        Self::RingRoundRobin,
        Self::Ring,
    ];

    /// Its name in the table and in JSON.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rendezvous => "rendezvous",
            Self::Bounded1 => "bounded-1",
            Self::Bounded8 => "bounded-8",
            Self::Bounded64 => "bounded-64",
            Self::ArrayQueue => "array-queue",
            Self::RingRoundRobin => "ring-in-turn",
            Self::Ring => "ring",
        }
    }

    /// The design of this name.
    #[must_use]
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|design| design.name() == name)
    }

    /// Frames that wait in a queue that all cameras share.
    pub(super) const fn capacity(self) -> usize {
        match self {
            Self::Rendezvous | Self::ArrayQueue | Self::RingRoundRobin | Self::Ring => 0,
            Self::Bounded1 => 1,
            Self::Bounded8 => 8,
            Self::Bounded64 => 64,
        }
    }

    /// The design of this name, as an argument gives it.
    ///
    /// # Errors
    /// There is none; which there are.
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        Self::from_name(name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            format!("expected one of {}", names.join(", "))
        })
    }
}

impl fmt::Display for Design {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
