//! Outputs: a thread and a bounded queue each, so that one that is stuck loses its own events, counts them,
//! and delays nothing.
//!
//! Housekeeping puts events into the queues and waits for nobody. What an output was told and has not
//! handed over when the run ends is lost, whether it lay in the queue or did not fit into it.

use crate::appliance::exit::{Exit, Failure};
use crate::appliance::shared::messages::{EventSender, Told, queue_of};
use crate::appliance::threads::output::gpio::relay_events;
use crate::appliance::threads::output::serial::write_lines;
use crate::event::output::{Link, Next, Relay, Words, may_come};
use crate::event::{Event, Phase};
use crate::limits::MAX_RULES;
use crate::profile::{Board, Delivery, Output};
use crate::ring::{Doorbell, Waiting};
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::sys::clock::now_ns;
use crate::sys::device::gpio::GpioPort;
use crate::sys::device::serial::SerialPort;
use nix::errno::Errno;
use std::path::Path;

/// What one output and housekeeping have in common.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) bell: Doorbell,
    /// Housekeeping has ended: there will be no more events.
    pub(crate) finish: AtomicBool,
    /// Rules whose states hold, a bit each. Never lost, whatever the queue does.
    pub(crate) states: AtomicU64,
    /// Events for the output, and those that it handed over, by rule.
    pub(crate) told: [AtomicU64; MAX_RULES],
    pub(crate) sent: [AtomicU64; MAX_RULES],
    pub(crate) failures: AtomicU64,
    pub(crate) opened: AtomicU64,
}

const _: () = assert!(MAX_RULES <= 64, "a bit for each rule");

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            bell: Doorbell::new(),
            finish: AtomicBool::new(false),
            states: AtomicU64::new(0),
            told: [const { AtomicU64::new(0) }; MAX_RULES],
            sent: [const { AtomicU64::new(0) }; MAX_RULES],
            failures: AtomicU64::new(0),
            opened: AtomicU64::new(0),
        }
    }

    /// No more events come: the output hands over what it can, and ends.
    pub(crate) fn finish(&self) {
        // Release A: the output sees all that was put into its queue before.
        self.finish.store(true, Ordering::Release);
        self.bell.ring(1);
    }

    /// Events of a rule that it handed over, and those that it did not.
    pub(crate) fn account_of(&self, rule: usize) -> (u64, u64) {
        let of = |counts: &[AtomicU64]| counts.get(rule).map_or(0, |c| c.load(Ordering::Relaxed));
        let sent = of(&self.sent);
        (sent, of(&self.told).saturating_sub(sent))
    }

    /// Times that the device refused or was lost, and times that it was opened.
    pub(crate) fn troubles(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.failures), of(&self.opened))
    }

    pub(crate) fn handed_over(&self, rule: u16) {
        if let Some(sent) = self.sent.get(usize::from(rule)) {
            sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was taken for handed over never left.
    pub(crate) fn took_back(&self, rule: u16) {
        if let Some(sent) = self.sent.get(usize::from(rule)) {
            sent.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn wait(&self, until_ns: u64) {
        self.bell.wait(Waiting::Park, until_ns, now_ns);
        self.bell.take();
    }

    pub(crate) fn is_finishing(&self) -> bool {
        // Acquire A.
        self.finish.load(Ordering::Acquire)
    }
}

/// Housekeeping's end of an output.
pub(crate) struct Teller {
    pub(crate) queue: EventSender,
    pub(crate) desk: Arc<Desk>,
    /// Rules whose events it gets, a bit each.
    pub(crate) rules: u64,
}

impl Teller {
    /// Tells an event if it is for this output. Never waits.
    pub(crate) fn tell(&mut self, event: &Event, utc_ns: u64) {
        let bit = 1_u64.checked_shl(event.rule.into()).unwrap_or(0);
        if self.rules & bit == 0 {
            return;
        }
        match event.phase {
            Phase::Begin => self.desk.states.fetch_or(bit, Ordering::Relaxed),
            Phase::End => self.desk.states.fetch_and(!bit, Ordering::Relaxed),
            Phase::Once => 0,
        };
        if let Some(told) = self.desk.told.get(usize::from(event.rule)) {
            told.fetch_add(1, Ordering::Relaxed);
        }
        // What does not fit was told and is not sent: that is how it is counted.
        let _ = self.queue.enqueue(Told {
            event: *event,
            utc_ns,
        });
        self.desk.bell.ring(1);
    }
}

/// Names that events' numbers stand for.
#[derive(Debug)]
pub(crate) struct Roster {
    pub(crate) rules: Vec<(String, &'static str)>,
    pub(crate) cameras: Vec<String>,
    pub(crate) labels: Vec<Vec<String>>,
}

impl Roster {
    pub(crate) fn new(board: &Board) -> Self {
        let rules = board.rules.iter();
        Self {
            rules: rules
                .map(|rule| (rule.name.clone(), rule.kind.name()))
                .collect(),
            cameras: board.cameras.iter().map(|c| c.name.clone()).collect(),
            labels: board.models.iter().map(|m| m.labels.clone()).collect(),
        }
    }

    pub(crate) fn words(&self, event: &Event) -> Words<'_> {
        let (rule, kind) = self
            .rules
            .get(usize::from(event.rule))
            .map_or(("?", "?"), |(name, kind)| (name.as_str(), *kind));
        Words {
            rule,
            kind,
            camera: self
                .cameras
                .get(usize::from(event.camera))
                .map_or("?", String::as_str),
            label: self
                .labels
                .get(usize::from(event.model))
                .and_then(|labels| labels.get(usize::from(event.class)))
                .map_or("?", String::as_str),
        }
    }
}

/// An output whose device was tried, and whose thread is not there yet.
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) teller: Teller,
    pub(crate) desk: Arc<Desk>,
    pub(crate) body: Box<dyn FnOnce() + Send>,
}

/// Tries the device of an output.
///
/// # Errors
/// A GPIO line or a serial device that will not be had. One that is not there may come.
pub(crate) fn make(output: &Output, roster: &Arc<Roster>) -> Result<Made, Failure> {
    let name = output.name.clone();
    let (sender, receiver) = queue_of(output.queue_events);
    let desk = Arc::new(Desk::new());
    let of_thread = Arc::clone(&desk);
    let body: Box<dyn FnOnce() + Send> = match &output.delivery {
        Delivery::Gpio {
            device,
            gpio_line,
            active_low,
            mode,
        } => {
            let port = GpioPort::new(device.clone(), *gpio_line, *active_low);
            let mut relay = Relay::new(port.clone(), *mode);
            match relay.step(false, now_ns()) {
                // In use by another program: that does not end by itself.
                Next::Retry { errno, .. } if errno == Errno::EBUSY || !may_come(errno) => {
                    return Err(refusal(&name, &port.explain(errno)));
                }
                _ => {}
            }
            let place = format!("{name}: line {gpio_line} of {}", device.display());
            Box::new(move || relay_events(&place, relay, receiver, &of_thread))
        }
        Delivery::Serial { device, rate_baud } => {
            let port = serial_port(&name, device, *rate_baud)?;
            let mut link = Link::new(port.clone());
            match link.step(now_ns(), || None) {
                Next::Retry { errno, .. } if !may_come(errno) => {
                    return Err(refusal(&name, &port.explain(errno)));
                }
                _ => {}
            }
            let place = format!("{name}: {}", device.display());
            let roster = Arc::clone(roster);
            Box::new(move || write_lines(&place, link, receiver, &of_thread, &roster))
        }
    };
    let bits = (0..MAX_RULES).filter(|rule| output.takes(*rule));
    Ok(Made {
        teller: Teller {
            queue: sender,
            desk: Arc::clone(&desk),
            rules: bits.fold(0, |bits, rule| bits | 1 << rule),
        },
        name,
        desk,
        body,
    })
}

pub(crate) fn refusal(name: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Machine, format!("output {name}: {error}"))
}

pub(crate) fn serial_port(
    name: &str,
    device: &Path,
    rate_baud: u32,
) -> Result<SerialPort, Failure> {
    SerialPort::new(device.to_owned(), rate_baud)
        .ok_or_else(|| refusal(name, &format_args!("no such speed: {rate_baud}")))
}

/// Says that the device of an output, `place`, is lost, or back; gives why it is lost.
pub(crate) fn tell_of_trouble(place: &str, lost: Option<Errno>, next: Next) -> Option<Errno> {
    match (lost, next) {
        (None, Next::Retry { errno, .. }) => {
            log::warn!(
                "output {place}: {errno}; its events are lost until its device can be opened"
            );
            Some(errno)
        }
        (_, Next::Retry { errno, .. }) => Some(errno),
        (Some(_), _) => {
            log::info!("output {place}: it is back");
            None
        }
        (None, _) => None,
    }
}
