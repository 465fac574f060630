//! `pinsight output`: one output tried, without waiting for an event.

use crate::appliance::exit::{Exit, Failure};
use crate::appliance::threads::output::output::{refusal, serial_port};
use crate::event::output::{
    DrainTimeout, Link, Next, Switch as _, SwitchPort, Wire as _, Words, sentence,
};
use crate::event::{Event, Phase};
use crate::profile::{Board, Delivery, GpioMode, Output};
use crate::sys::clock::{now_ns, realtime_ns};
use crate::sys::device::gpio::GpioPort;
use crate::sys::device::serial::SerialPort;
use crate::sys::service::signal::StopSignals;
use crate::units::NS_PER_MS;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::Duration;

/// How long a trial switches on what follows a state.
const LEVEL_MS: u64 = 1000;
/// Time between two looks at a line that sends.
const LOOK: Duration = Duration::from_millis(10);

/// Tries an output of a board: a GPIO line goes on for the length of its pulse, or for a second where it
/// follows a state; a serial line gets an event of the rule "test". Gives what was done, in words.
///
/// # Errors
/// The profile; an output that it has not; a device that is not there, is in use, or does not obey.
pub fn try_output(board: &Path, name: &str) -> Result<String, Failure> {
    let board = crate::profile::load(board).map_err(|error| Failure::new(Exit::Profile, error))?;
    let output = find(&board, name)?;
    match &output.delivery {
        Delivery::Gpio {
            device,
            gpio_line,
            active_low,
            mode,
        } => {
            let on_ms = match mode {
                GpioMode::Pulse { pulse_ms } => *pulse_ms,
                GpioMode::Level => LEVEL_MS,
            };
            // Before the line is on: a Ctrl-C ends the trial, and switches it off.
            let signals = StopSignals::block().map_err(|error| refusal(name, &error))?;
            let mut port = GpioPort::new(device.clone(), *gpio_line, *active_low);
            let stopped = pulse(&mut port, on_ms * NS_PER_MS, &signals).map_err(|fault| {
                let words = match fault {
                    PulseFault::Open(errno) => port.explain(errno).to_string(),
                    PulseFault::Set(errno) => format!("the line does not obey: {errno}"),
                };
                refusal(name, &words)
            })?;
            let level = if *active_low { "low" } else { "high" };
            let device = device.display();
            let length = match stopped {
                None => format!("for {on_ms} ms"),
                Some(signal) => format!("until {signal} came"),
            };
            Ok(format!(
                "line {gpio_line} of {device} was on ({level}) {length}, and is off"
            ))
        }
        Delivery::Serial { device, rate_baud } => {
            let port = serial_port(name, device, *rate_baud)?;
            let line = send(port).map_err(|error| refusal(name, &error))?;
            let device = device.display();
            Ok(format!("{device} sent, at {rate_baud} baud: {line}"))
        }
    }
}

fn find<'a>(board: &'a Board, name: &str) -> Result<&'a Output, Failure> {
    let mut outputs = board.outputs.iter();
    outputs.find(|output| output.name == name).ok_or_else(|| {
        let names: Vec<&str> = board.outputs.iter().map(|o| o.name.as_str()).collect();
        let names = match names.as_slice() {
            [] => "it has none".to_owned(),
            names => format!("it has {}", names.join(", ")),
        };
        let board = &board.name;
        Failure::new(
            Exit::Usage,
            format!("board {board} has no output \"{name}\": {names}"),
        )
    })
}

/// Why a pulse was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PulseFault {
    Open(Errno),
    Set(Errno),
}

/// On, for so long or until a signal to stop, and off. Gives the signal.
fn pulse<P: SwitchPort>(
    port: &mut P,
    on_ns: u64,
    signals: &StopSignals,
) -> Result<Option<Signal>, PulseFault> {
    let mut line = port.open().map_err(PulseFault::Open)?;
    let switched = line.set(true);
    // A wait that fails ends the pulse at once.
    let stopped = match switched {
        Ok(()) => signals.wait(on_ns).unwrap_or_default(),
        Err(_) => None,
    };
    // Off in any case.
    switched.and(line.set(false)).map_err(PulseFault::Set)?;
    Ok(stopped)
}

/// Sends one line, and gives it once it has left.
fn send(port: SerialPort) -> Result<String, String> {
    let words = Words {
        rule: "test",
        kind: "test",
        camera: "",
        label: "",
    };
    let event = Event {
        phase: Phase::Once,
        ..Event::default()
    };
    let line = sentence(&event, &words, realtime_ns());
    let explain = port.clone();
    let mut link = Link::new(port);
    let mut queue = Some(line.clone());
    let mut timeout = DrainTimeout::new(now_ns(), 0);
    loop {
        let now = now_ns();
        let next = link.step(now, || queue.take());
        if let Next::Retry { errno, .. } = next {
            return Err(explain.explain(errno));
        }
        let unsent = link.wire().map_or(0, |wire| wire.unsent());
        if next == Next::Event && unsent == 0 {
            return Ok(line.trim_end().to_owned());
        }
        let gone = link.counts().bytes.saturating_sub(unsent as u64);
        if !timeout.lasts(now, gone) {
            return Err(format!(
                "{gone} of {} bytes left: something holds the line up",
                line.len()
            ));
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::threads::output::tests::Lamp;
    use crate::units::NS_PER_S;
    use std::sync::mpsc::channel;

    #[test]
    fn a_signal_ends_the_trial_of_a_line_and_it_is_off() {
        let signals = StopSignals::block().unwrap();
        let (switched, seen) = channel();
        let mut lamp = Lamp(switched);
        assert_eq!(pulse(&mut lamp, 1, &signals), Ok(None));
        nix::sys::signal::raise(Signal::SIGINT).unwrap();
        let ended = pulse(&mut lamp, 600 * NS_PER_S, &signals);
        assert_eq!(ended, Ok(Some(Signal::SIGINT)));
        assert_eq!(
            seen.try_iter().collect::<Vec<_>>(),
            [true, false, true, false]
        );
    }

    #[test]
    fn a_fifo_in_a_chips_place_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("gpiochip0");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut port = GpioPort::new(fifo, 3, false);
        let Err(errno) = port.open() else {
            panic!("it is no chip");
        };
        let words = port.explain(errno).to_string();
        assert!(words.contains("not a GPIO chip"), "{words}");
    }
}
