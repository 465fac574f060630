//! A switch that is on for a while after an event, or while a state holds.

use crate::board::GpioMode;
use crate::event::{Event, Phase};
use crate::units::{NS_PER_MS, NS_PER_S};
use nix::errno::Errno;

/// Time after which a switch that did not obey is told again.
const AGAIN_NS: u64 = NS_PER_S;

/// Something that is on or off.
pub trait Switch {
    /// Makes it so. May be asked for what is so already.
    ///
    /// # Errors
    /// The device's refusal; the switch is then as it was.
    fn set(&mut self, on: bool) -> Result<(), Errno>;
}

/// What a relay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayCounts {
    /// Times that it went on.
    pub switched_on: u64,
    /// Times that the device refused.
    pub failures: u64,
}

/// When the switch is on.
#[derive(Debug)]
pub struct Relay {
    mode: GpioMode,
    on: bool,
    /// End of the pulse.
    off_ns: Option<u64>,
    /// Not before this is the device told again.
    again_ns: Option<u64>,
    counts: RelayCounts,
}

impl Relay {
    /// The switch is off.
    #[must_use]
    pub fn new(mode: GpioMode) -> Self {
        Self {
            mode,
            on: false,
            off_ns: None,
            again_ns: None,
            counts: RelayCounts::default(),
        }
    }

    /// An event of one of its rules. It makes a pulse, or a pulse longer; the end of a state makes none.
    pub fn take(&mut self, event: &Event, now_ns: u64) {
        if let GpioMode::Pulse { pulse_ms } = self.mode
            && event.phase != Phase::End
        {
            self.off_ns = Some(now_ns.saturating_add(pulse_ms * NS_PER_MS));
        }
    }

    /// Brings the switch to where it should be; `holds` says whether one of its rules' states does. Gives
    /// the time at which to come again, if nothing happens before.
    pub fn step(
        &mut self,
        holds: bool,
        now_ns: u64,
        switch: &mut impl Switch,
    ) -> Result<Option<u64>, Errno> {
        let wanted = match self.mode {
            GpioMode::Pulse { .. } => self.off_ns.is_some_and(|off_ns| now_ns < off_ns),
            GpioMode::Level => holds,
        };
        if !wanted {
            self.off_ns = None;
        }
        if wanted != self.on && self.again_ns.is_none_or(|again_ns| now_ns >= again_ns) {
            if let Err(errno) = switch.set(wanted) {
                self.counts.failures += 1;
                self.again_ns = Some(now_ns.saturating_add(AGAIN_NS));
                return Err(errno);
            }
            self.on = wanted;
            self.again_ns = None;
            self.counts.switched_on += u64::from(wanted);
        }
        Ok(self.next_ns(wanted))
    }

    fn next_ns(&self, wanted: bool) -> Option<u64> {
        match (self.again_ns.filter(|_| wanted != self.on), self.off_ns) {
            (Some(again_ns), Some(off_ns)) => Some(again_ns.min(off_ns)),
            (one, other) => one.or(other),
        }
    }

    /// When to tell a device again that has refused.
    #[must_use]
    pub const fn again_ns(&self) -> Option<u64> {
        self.again_ns
    }

    /// What it did.
    #[must_use]
    pub const fn counts(&self) -> RelayCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::{Relay, Switch};
    use crate::board::GpioMode;
    use crate::event::{Event, Phase};
    use crate::units::{NS_PER_MS, NS_PER_S};
    use nix::errno::Errno;

    /// What it was told, and whether it obeys.
    #[derive(Default)]
    struct Fake {
        told: Vec<bool>,
        broken: bool,
    }

    impl Switch for Fake {
        fn set(&mut self, on: bool) -> Result<(), Errno> {
            if self.broken {
                return Err(Errno::EIO);
            }
            self.told.push(on);
            Ok(())
        }
    }

    fn event(phase: Phase) -> Event {
        Event {
            phase,
            ..Event::default()
        }
    }

    const MS: u64 = NS_PER_MS;

    #[test]
    fn a_pulse_ends_after_its_time_and_another_event_makes_it_longer() {
        let mut relay = Relay::new(GpioMode::Pulse { pulse_ms: 100 });
        let mut fake = Fake::default();
        assert_eq!(relay.step(false, 0, &mut fake), Ok(None));
        relay.take(&event(Phase::Once), 10 * MS);
        assert_eq!(relay.step(false, 10 * MS, &mut fake), Ok(Some(110 * MS)));
        relay.take(&event(Phase::Begin), 60 * MS);
        assert_eq!(relay.step(false, 60 * MS, &mut fake), Ok(Some(160 * MS)));
        assert_eq!(relay.step(false, 159 * MS, &mut fake), Ok(Some(160 * MS)));
        assert_eq!(relay.step(false, 160 * MS, &mut fake), Ok(None));
        relay.take(&event(Phase::End), 170 * MS);
        assert_eq!(relay.step(true, 170 * MS, &mut fake), Ok(None));
        assert_eq!(fake.told, [true, false]);
        assert_eq!(relay.counts().switched_on, 1);
    }

    #[test]
    fn a_level_is_on_while_a_state_holds_and_moments_say_nothing_to_it() {
        let mut relay = Relay::new(GpioMode::Level);
        let mut fake = Fake::default();
        relay.take(&event(Phase::Once), 0);
        for (now, holds) in [false, true, true, false, false].into_iter().enumerate() {
            assert_eq!(relay.step(holds, now as u64, &mut fake), Ok(None));
        }
        assert_eq!(fake.told, [true, false]);
    }

    #[test]
    fn a_device_that_refuses_is_told_again_after_a_second_and_not_before() {
        let mut relay = Relay::new(GpioMode::Level);
        let mut fake = Fake {
            broken: true,
            ..Fake::default()
        };
        assert_eq!(relay.step(true, 0, &mut fake), Err(Errno::EIO));
        assert_eq!(relay.again_ns(), Some(NS_PER_S));
        fake.broken = false;
        assert_eq!(relay.step(true, 1, &mut fake), Ok(Some(NS_PER_S)));
        assert!(fake.told.is_empty());
        assert_eq!(relay.step(true, NS_PER_S, &mut fake), Ok(None));
        assert_eq!(fake.told, [true]);
        assert_eq!(
            (relay.counts().failures, relay.counts().switched_on),
            (1, 1)
        );
        // Told in vain to go off, and the reason is over before it is told again.
        fake.broken = true;
        assert_eq!(relay.step(false, 2 * NS_PER_S, &mut fake), Err(Errno::EIO));
        assert_eq!(relay.step(true, 2 * NS_PER_S + 1, &mut fake), Ok(None));
    }
}
