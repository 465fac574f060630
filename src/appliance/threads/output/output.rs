//! Outputs: a thread and an outbox each, so that one that is stuck loses its own events, counts them,
//! and delays nothing.

use super::gpio::switch_on_events;
use super::serial::write_lines;
use super::state::OutputState;
use crate::appliance::exit::{Exit, Failure};
use crate::appliance::shared::messages::Reported;
use crate::appliance::shared::names::Names;
use crate::appliance::shared::outbox::{Outbox, outbox};
use crate::event::output::{GpioDriver, Link, Next, may_come};
use crate::event::{Event, Phase};
use crate::limits::MAX_RULES;
use crate::profile::{Delivery, Output};
use crate::sync::{Arc, Ordering};
use crate::sys::clock::now_ns;
use crate::sys::device::gpio::GpioPort;
use crate::sys::device::serial::SerialPort;
use nix::errno::Errno;
use std::path::Path;

/// Housekeeping's end of an output.
pub(crate) struct OutputOutbox {
    pub(crate) events: Outbox<Reported>,
    pub(crate) state: Arc<OutputState>,
    /// Rules whose events it gets, a bit each.
    pub(crate) rules: u64,
}

impl OutputOutbox {
    /// Offers an event if it is for this output. Never waits.
    pub(crate) fn report(&mut self, event: &Event, utc_ns: u64) {
        let bit = 1_u64.checked_shl(event.rule.into()).unwrap_or(0);
        if self.rules & bit == 0 {
            return;
        }
        match event.phase {
            Phase::Begin => self.state.holding.fetch_or(bit, Ordering::Relaxed),
            Phase::End => self.state.holding.fetch_and(!bit, Ordering::Relaxed),
            Phase::Once => 0,
        };
        let reported = Reported {
            event: *event,
            utc_ns,
        };
        // What does not fit is lost, and counted so.
        let _ = self.events.offer([event.rule.into()], reported);
        self.state.deliveries.drain.ring();
    }
}

/// An output whose device was tried, and whose thread is not there yet.
pub(crate) struct Made {
    pub(crate) outbox: OutputOutbox,
    pub(crate) body: Box<dyn FnOnce() + Send>,
}

/// Tries the device of an output.
///
/// # Errors
/// A GPIO line or a serial device that will not be had. One that is not there may come.
pub(crate) fn make(output: &Output, names: &Arc<Names>) -> Result<Made, Failure> {
    let name = &output.name;
    let state = Arc::new(OutputState::new());
    let (events, inbox) = outbox(output.queue_events, &state.deliveries);
    let of_thread = Arc::clone(&state);
    let body: Box<dyn FnOnce() + Send> = match &output.delivery {
        Delivery::Gpio {
            device,
            gpio_line,
            active_low,
            mode,
        } => {
            let port = GpioPort::new(device.clone(), *gpio_line, *active_low);
            let mut driver = GpioDriver::new(port.clone(), *mode);
            match driver.step(false, now_ns()) {
                // In use by another program: that does not end by itself.
                Next::Retry { errno, .. } if errno == Errno::EBUSY || !may_come(errno) => {
                    return Err(refusal(name, &port.explain(errno)));
                }
                _ => {}
            }
            let place = format!("{name}: line {gpio_line} of {}", device.display());
            Box::new(move || switch_on_events(&place, driver, inbox, &of_thread))
        }
        Delivery::Serial { device, rate_baud } => {
            let port = serial_port(name, device, *rate_baud)?;
            let mut link = Link::new(port.clone());
            match link.step(now_ns(), || None) {
                Next::Retry { errno, .. } if !may_come(errno) => {
                    return Err(refusal(name, &port.explain(errno)));
                }
                _ => {}
            }
            let place = format!("{name}: {}", device.display());
            let names = Arc::clone(names);
            Box::new(move || write_lines(&place, link, inbox, &of_thread, &names))
        }
    };
    let rules = (0..MAX_RULES).filter(|rule| output.takes(*rule));
    let outbox = OutputOutbox {
        events,
        state,
        rules: rules.fold(0, |bits, rule| bits | 1 << rule),
    };
    Ok(Made { outbox, body })
}

/// Why an output cannot be had, with its name.
pub(crate) fn refusal(name: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Machine, format!("output {name}: {error}"))
}

/// The serial device of an output.
pub(crate) fn serial_port(
    name: &str,
    device: &Path,
    rate_baud: u32,
) -> Result<SerialPort, Failure> {
    SerialPort::new(device.to_owned(), rate_baud)
        .ok_or_else(|| refusal(name, &format_args!("no such speed: {rate_baud}")))
}
