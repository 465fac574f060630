//! A switch that is on for a while after an event, or while a state holds. One that vanishes is opened
//! again with growing pauses, and is then what it should be.

use super::next::Next;
use super::reconnect::Reconnect;
use crate::event::{Event, Phase};
use crate::profile::GpioMode;
use crate::units::NS_PER_MS;
use nix::errno::Errno;

/// A switch that can be opened, time and again.
pub trait SwitchPort {
    /// What is then open.
    type Switch: Switch;

    /// Opens it; it is then off.
    ///
    /// # Errors
    /// The device's refusal.
    fn open(&mut self) -> Result<Self::Switch, Errno>;
}

/// Something that is on or off.
pub trait Switch {
    /// Makes it so. May be asked for what is so already.
    ///
    /// # Errors
    /// The device's refusal; it is then opened anew.
    fn set(&mut self, on: bool) -> Result<(), Errno>;

    /// Looks whether the device is still there.
    ///
    /// # Errors
    /// It is gone.
    fn check(&self) -> Result<(), Errno>;
}

/// What a driver did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GpioCounts {
    /// Times that it went on.
    pub switched_on: u64,
    /// Times that the device could not be opened, or was lost.
    pub failures: u64,
    /// Times that it was opened.
    pub opened: u64,
}

/// When the switch is on.
#[derive(Debug)]
pub struct GpioDriver<P: SwitchPort> {
    port: P,
    switch: Reconnect<P::Switch>,
    mode: GpioMode,
    on: bool,
    /// End of the pulse.
    off_ns: Option<u64>,
    switched_on: u64,
}

impl<P: SwitchPort> GpioDriver<P> {
    /// Not opened yet.
    #[must_use]
    pub fn new(port: P, mode: GpioMode) -> Self {
        Self {
            port,
            switch: Reconnect::new(),
            mode,
            on: false,
            off_ns: None,
            switched_on: 0,
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

    /// Opens the switch if it is time to, and brings it to where it should be; `holds` says whether one of
    /// its rules' states does. [`Next::Event`]: it is there.
    pub fn step(&mut self, holds: bool, now_ns: u64) -> Next {
        if self.switch.open_if_due(now_ns, || self.port.open()) {
            self.on = false;
        }
        let wanted = match self.mode {
            GpioMode::Pulse { .. } => self.off_ns.is_some_and(|off_ns| now_ns < off_ns),
            GpioMode::Level => holds,
        };
        if !wanted {
            self.off_ns = None;
        }
        if let Some(switch) = self.switch.get_mut() {
            let outcome = if wanted == self.on {
                switch.check()
            } else {
                switch.set(wanted)
            };
            match outcome {
                Ok(()) => {
                    self.switched_on += u64::from(wanted && !self.on);
                    self.on = wanted;
                    self.switch.worked();
                    return Next::Event;
                }
                Err(errno) => self.switch.lose(now_ns, errno),
            }
        }
        self.switch.retry()
    }

    /// End of the pulse that is on.
    #[must_use]
    pub const fn off_ns(&self) -> Option<u64> {
        self.off_ns
    }

    /// Switches off, and lets the device go.
    pub fn end(&mut self) {
        if let Some(mut switch) = self.switch.take() {
            let _ = switch.set(false);
        }
        self.on = false;
    }

    /// What it did.
    #[must_use]
    pub const fn counts(&self) -> GpioCounts {
        GpioCounts {
            switched_on: self.switched_on,
            failures: self.switch.failures(),
            opened: self.switch.opened(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reconnect::FIRST_PAUSE_NS;
    use super::{GpioDriver, Next, Switch, SwitchPort};
    use crate::event::{Event, Phase};
    use crate::profile::GpioMode;
    use crate::units::NS_PER_MS;
    use nix::errno::Errno;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// What it was told, and whether it is there.
    #[derive(Default)]
    struct Device {
        told: Vec<bool>,
        gone: bool,
        broken: bool,
    }

    #[derive(Clone, Default)]
    struct Fake(Rc<RefCell<Device>>);

    impl SwitchPort for Fake {
        type Switch = Self;
        fn open(&mut self) -> Result<Self, Errno> {
            self.check().map(|()| self.clone())
        }
    }

    impl Switch for Fake {
        fn set(&mut self, on: bool) -> Result<(), Errno> {
            self.check()?;
            if self.0.borrow().broken {
                return Err(Errno::EIO);
            }
            self.0.borrow_mut().told.push(on);
            Ok(())
        }
        fn check(&self) -> Result<(), Errno> {
            let gone = self.0.borrow().gone;
            if gone { Err(Errno::ENODEV) } else { Ok(()) }
        }
    }

    fn driver(mode: GpioMode) -> (Fake, GpioDriver<Fake>) {
        let fake = Fake::default();
        (fake.clone(), GpioDriver::new(fake, mode))
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
        let (fake, mut driver) = driver(GpioMode::Pulse { pulse_ms: 100 });
        assert_eq!(driver.step(false, 0), Next::Event);
        driver.take(&event(Phase::Once), 10 * MS);
        for (now, end) in [(10, Some(110)), (60, Some(160)), (159, Some(160))] {
            if now == 60 {
                driver.take(&event(Phase::Begin), 60 * MS);
            }
            assert_eq!(driver.step(false, now * MS), Next::Event);
            assert_eq!(driver.off_ns(), end.map(|ms: u64| ms * MS));
        }
        assert_eq!(driver.step(false, 160 * MS), Next::Event);
        driver.take(&event(Phase::End), 170 * MS);
        assert_eq!(driver.step(true, 170 * MS), Next::Event);
        assert_eq!(driver.off_ns(), None);
        assert_eq!(fake.0.borrow().told, [true, false]);
        assert_eq!(driver.counts().switched_on, 1);
    }

    #[test]
    fn a_level_is_on_while_a_state_holds_and_moments_say_nothing_to_it() {
        let (fake, mut driver) = driver(GpioMode::Level);
        driver.take(&event(Phase::Once), 0);
        for (now, holds) in [false, true, true, false, false].into_iter().enumerate() {
            assert_eq!(driver.step(holds, now as u64), Next::Event);
        }
        assert_eq!(fake.0.borrow().told, [true, false]);
    }

    #[test]
    fn a_switch_that_comes_back_is_what_it_should_be() {
        let (fake, mut driver) = driver(GpioMode::Level);
        assert_eq!(driver.step(true, 0), Next::Event);
        // Gone while there is nothing to tell it: the look finds out.
        fake.0.borrow_mut().gone = true;
        let (at_ns, errno) = (FIRST_PAUSE_NS + 1, Errno::ENODEV);
        assert_eq!(driver.step(true, 1), Next::Retry { at_ns, errno });
        fake.0.borrow_mut().gone = false;
        assert_eq!(
            driver.step(true, at_ns - 1),
            Next::Retry { at_ns, errno },
            "not before"
        );
        assert_eq!(driver.step(true, at_ns), Next::Event);
        assert_eq!(fake.0.borrow().told, [true, true], "it was off meanwhile");
        let counts = driver.counts();
        assert_eq!((counts.failures, counts.opened), (1, 2));
        driver.end();
        assert_eq!(fake.0.borrow().told, [true, true, false]);
    }

    #[test]
    fn a_pulse_that_is_over_before_its_switch_is_back_is_not_made() {
        let (fake, mut driver) = driver(GpioMode::Pulse { pulse_ms: 100 });
        fake.0.borrow_mut().gone = true;
        driver.take(&event(Phase::Once), 0);
        assert!(matches!(driver.step(false, 0), Next::Retry { .. }));
        fake.0.borrow_mut().gone = false;
        assert_eq!(driver.step(false, FIRST_PAUSE_NS), Next::Event);
        assert!(fake.0.borrow().told.is_empty());
        assert_eq!(driver.counts().switched_on, 0);
    }

    #[test]
    fn a_switch_that_does_not_obey_is_opened_anew_ever_more_rarely() {
        let (fake, mut driver) = driver(GpioMode::Level);
        fake.0.borrow_mut().broken = true;
        let mut now_ns = 0;
        let mut pauses = Vec::new();
        for _ in 0..3 {
            let Next::Retry { at_ns, errno } = driver.step(true, now_ns) else {
                panic!("it does not obey");
            };
            assert_eq!(errno, Errno::EIO);
            pauses.push(at_ns - now_ns);
            now_ns = at_ns;
        }
        assert_eq!(pauses, [1, 2, 4].map(|times| FIRST_PAUSE_NS * times));
        fake.0.borrow_mut().broken = false;
        assert_eq!(driver.step(true, now_ns), Next::Event);
        assert_eq!(fake.0.borrow().told, [true]);
    }
}
