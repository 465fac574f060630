//! Outputs: a thread and a bounded queue each, so that one that is stuck loses its own events, counts them,
//! and delays nothing.
//!
//! Housekeeping puts events into the queues and waits for nobody. What an output was told and has not
//! handed over when the run ends is lost, whether it lay in the queue or did not fit into it.

use super::exit::{Exit, Failure};
use super::messages::{EventReceiver, EventSender, Told, event_queue};
use crate::board::{Board, Delivery, Output};
use crate::event::output::{Link, Next, Port, Relay, Sentence, Switch, Wire as _, Words, sentence};
use crate::event::{Event, Phase};
use crate::limits::MAX_RULES;
use crate::ring::{Doorbell, Waiting};
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::sys::clock::now_ns;
use crate::sys::gpio::GpioLine;
use crate::sys::serial::{SerialPort, may_come};
use crate::units::{NS_PER_MS, NS_PER_S};
use nix::errno::Errno;

/// Longest wait for something to happen.
const IDLE_NS: u64 = 60 * NS_PER_S;
/// Longest wait for a wire to take bytes, after which the end of the run is looked for.
const ROOM_NS: u64 = 250 * NS_PER_MS;
/// Time that an output gets to hand over its last events.
const LAST_NS: u64 = NS_PER_S;

/// What one output and housekeeping have in common.
#[derive(Debug)]
pub(super) struct Desk {
    bell: Doorbell,
    /// Housekeeping has ended: there will be no more events.
    finish: AtomicBool,
    /// Rules whose states hold, a bit each. Never lost, whatever the queue does.
    states: AtomicU64,
    /// Events for the output, and those that it handed over, by rule.
    told: [AtomicU64; MAX_RULES],
    sent: [AtomicU64; MAX_RULES],
    failures: AtomicU64,
    opened: AtomicU64,
}

const _: () = assert!(MAX_RULES <= 64, "a bit for each rule");

impl Desk {
    fn new() -> Self {
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
    pub(super) fn finish(&self) {
        // Release A: the output sees all that was put into its queue before.
        self.finish.store(true, Ordering::Release);
        self.bell.ring(1);
    }

    /// Events of a rule that it handed over, and those that it did not.
    pub(super) fn account_of(&self, rule: usize) -> (u64, u64) {
        let of = |counts: &[AtomicU64]| counts.get(rule).map_or(0, |c| c.load(Ordering::Relaxed));
        let sent = of(&self.sent);
        (sent, of(&self.told).saturating_sub(sent))
    }

    /// Times that the device refused or was lost, and times that it was opened.
    pub(super) fn troubles(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.failures), of(&self.opened))
    }

    fn handed_over(&self, rule: u16) {
        if let Some(sent) = self.sent.get(usize::from(rule)) {
            sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn wait(&self, until_ns: u64) {
        self.bell.wait(Waiting::Park, until_ns, now_ns);
        self.bell.take();
    }

    fn is_finishing(&self) -> bool {
        // Acquire A.
        self.finish.load(Ordering::Acquire)
    }
}

/// Housekeeping's end of an output.
pub(super) struct Teller {
    queue: EventSender,
    desk: Arc<Desk>,
    /// Rules whose events it gets, a bit each.
    rules: u64,
}

impl Teller {
    /// Tells an event if it is for this output. Never waits.
    pub(super) fn tell(&mut self, event: &Event, utc_ns: u64) {
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
pub(super) struct Roster {
    rules: Vec<(String, &'static str)>,
    cameras: Vec<String>,
    labels: Vec<Vec<String>>,
}

impl Roster {
    pub(super) fn new(board: &Board) -> Self {
        let rules = board.rules.iter();
        Self {
            rules: rules
                .map(|rule| (rule.name.clone(), rule.kind.name()))
                .collect(),
            cameras: board.cameras.iter().map(|c| c.name.clone()).collect(),
            labels: board.models.iter().map(|m| m.labels.clone()).collect(),
        }
    }

    fn words(&self, event: &Event) -> Words<'_> {
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
pub(super) struct Made {
    pub(super) name: String,
    pub(super) teller: Teller,
    pub(super) desk: Arc<Desk>,
    pub(super) body: Box<dyn FnOnce() + Send>,
}

/// Tries the device of an output.
///
/// # Errors
/// A GPIO line that cannot be had; a serial device that is none. One that is not there yet may come.
pub(super) fn make(output: &Output, roster: &Arc<Roster>) -> Result<Made, Failure> {
    let name = output.name.clone();
    let refuse = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Machine, format!("output {name}: {error}"))
    };
    let (sender, receiver) = event_queue(output.queue_events);
    let desk = Arc::new(Desk::new());
    let of_thread = Arc::clone(&desk);
    let body: Box<dyn FnOnce() + Send> = match &output.delivery {
        Delivery::Gpio {
            device,
            gpio_line,
            active_low,
            mode,
        } => {
            let line =
                GpioLine::open(device, *gpio_line, *active_low).map_err(|error| refuse(&error))?;
            let (relay, name) = (Relay::new(*mode), name.clone());
            Box::new(move || switch(&name, relay, line, receiver, &of_thread))
        }
        Delivery::Serial { device, rate_baud } => {
            let mut port = SerialPort::new(device.clone(), *rate_baud)
                .ok_or_else(|| refuse(&format_args!("no such speed: {rate_baud}")))?;
            match port.open() {
                Err(errno) if !may_come(errno) => {
                    let device = device.display();
                    return Err(refuse(&format_args!(
                        "{device}: {errno}; expected a serial device, and the right to open it (group dialout)"
                    )));
                }
                _ => {}
            }
            let (link, name, roster) = (Link::new(port), name.clone(), Arc::clone(roster));
            Box::new(move || write_lines(&name, link, receiver, &of_thread, &roster))
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

/// The thread of a switch. It leaves the switch off.
fn switch(
    name: &str,
    mut relay: Relay,
    mut line: impl Switch,
    mut queue: EventReceiver,
    desk: &Desk,
) {
    desk.opened.store(1, Ordering::Relaxed);
    loop {
        let finishing = desk.is_finishing();
        let now = now_ns();
        while let Some(told) = queue.dequeue() {
            relay.take(&told.event, now);
            desk.handed_over(told.event.rule);
        }
        let holds = desk.states.load(Ordering::Relaxed) != 0;
        let next_ns = match relay.step(holds, now, &mut line) {
            Ok(next_ns) => next_ns,
            Err(errno) => {
                let failures = relay.counts().failures;
                desk.failures.store(failures, Ordering::Relaxed);
                if failures.is_power_of_two() {
                    log::warn!("output {name}: {errno}, {failures} times so far; trying again");
                }
                relay.again_ns()
            }
        };
        if finishing {
            break;
        }
        desk.wait(next_ns.unwrap_or(now.saturating_add(IDLE_NS)));
    }
    let _ = line.set(false);
}

/// The thread of a serial line.
fn write_lines<P: Port>(
    name: &str,
    mut link: Link<P>,
    mut queue: EventReceiver,
    desk: &Desk,
    roster: &Roster,
) {
    // Rule of the line that the link holds.
    let mut held = None;
    let mut lost = None;
    let mut last_ns = None;
    loop {
        let finishing = desk.is_finishing();
        let now = now_ns();
        let next = link.step(now, || {
            // Asked for the next one, it has handed the last one over.
            if let Some(rule) = held.take() {
                desk.handed_over(rule);
            }
            let Told { event, utc_ns } = queue.dequeue()?;
            held = Some(event.rule);
            Some(line_of(&event, roster, utc_ns))
        });
        if !link.is_holding()
            && let Some(rule) = held.take()
        {
            desk.handed_over(rule);
        }
        let counts = link.counts();
        desk.failures.store(counts.failures, Ordering::Relaxed);
        desk.opened.store(counts.opened, Ordering::Relaxed);
        lost = tell_of_trouble(name, lost, next);
        if finishing {
            let last_ns = *last_ns.get_or_insert(now.saturating_add(LAST_NS));
            if next != Next::Room || now >= last_ns {
                break;
            }
        }
        match (next, link.wire()) {
            (Next::Room, Some(wire)) => wire.wait(ROOM_NS),
            (Next::Retry { at_ns, .. }, _) => desk.wait(at_ns),
            _ => desk.wait(now.saturating_add(IDLE_NS)),
        }
    }
}

fn line_of(event: &Event, roster: &Roster, utc_ns: u64) -> Sentence {
    sentence(event, &roster.words(event), utc_ns)
}

/// Says that a device is lost, or back; gives why it is lost.
fn tell_of_trouble(name: &str, lost: Option<Errno>, next: Next) -> Option<Errno> {
    match (lost, next) {
        (None, Next::Retry { errno, .. }) => {
            log::warn!("output {name}: {errno}; trying until it is back");
            Some(errno)
        }
        (_, Next::Retry { errno, .. }) => Some(errno),
        (Some(_), _) => {
            log::info!("output {name}: it is back");
            None
        }
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Desk, Roster, Teller, switch, write_lines};
    use crate::appliance::messages::event_queue;
    use crate::board::GpioMode;
    use crate::event::output::{Link, Port, Relay, Switch, Wire};
    use crate::event::{Event, Phase};
    use crate::sync::Arc;
    use nix::errno::Errno;
    use std::sync::mpsc::{Receiver, Sender, channel};

    fn event(rule: u16, phase: Phase) -> Event {
        Event {
            rule,
            phase,
            ..Event::default()
        }
    }

    fn roster() -> Roster {
        Roster {
            rules: vec![("one".into(), "enter"), ("two".into(), "presence")],
            cameras: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// A device that hangs in its driver at each write until the test lets it go on.
    struct Hanging(Option<Receiver<()>>);

    impl Port for Hanging {
        type Wire = Receiver<()>;
        fn open(&mut self) -> Result<Receiver<()>, Errno> {
            self.0.take().ok_or(Errno::ENODEV)
        }
    }

    impl Wire for Receiver<()> {
        fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
            match self.recv() {
                Ok(()) => Ok(bytes.len()),
                Err(_) => Err(Errno::EIO),
            }
        }
        fn wait(&self, _: u64) {}
    }

    #[test]
    fn an_output_that_hangs_in_its_device_loses_its_own_events_and_holds_up_nobody() {
        let (go_on, hangs) = channel();
        let (queue, receiver) = event_queue(16);
        let desk = Arc::new(Desk::new());
        let of_thread = Arc::clone(&desk);
        let link = Link::new(Hanging(Some(hangs)));
        let thread = std::thread::spawn(move || {
            write_lines("stuck", link, receiver, &of_thread, &roster());
        });
        let mut teller = Teller {
            queue,
            desk: Arc::clone(&desk),
            rules: 0b01,
        };
        // This would not return if the output could hold it up.
        for _ in 0..100 {
            teller.tell(&event(0, Phase::Once), 0);
            teller.tell(&event(1, Phase::Begin), 0);
        }
        assert_eq!(desk.account_of(0), (0, 100));
        assert_eq!(desk.account_of(1), (0, 0), "not for this output");
        for _ in 0..5 {
            go_on.send(()).unwrap();
        }
        drop(go_on);
        desk.finish();
        thread.join().unwrap();
        assert_eq!(desk.account_of(0), (5, 95));
        assert_eq!(desk.troubles().1, 1);
    }

    struct Lamp(Sender<bool>);

    impl Switch for Lamp {
        fn set(&mut self, on: bool) -> Result<(), Errno> {
            self.0.send(on).map_err(|_| Errno::EIO)
        }
    }

    #[test]
    fn a_level_follows_its_states_even_where_the_queue_is_full_and_ends_off() {
        let (lamp, seen) = channel();
        let (queue, receiver) = event_queue(1);
        let desk = Arc::new(Desk::new());
        let mut teller = Teller {
            queue,
            desk: Arc::clone(&desk),
            rules: u64::MAX,
        };
        // The thread is not there yet: the queue is full when the last end comes.
        for _ in 0..40 {
            teller.tell(&event(1, Phase::Begin), 0);
            teller.tell(&event(0, Phase::Begin), 0);
            teller.tell(&event(1, Phase::End), 0);
        }
        let of_thread = Arc::clone(&desk);
        let thread = std::thread::spawn(move || {
            let relay = Relay::new(GpioMode::Level);
            switch("lamp", relay, Lamp(lamp), receiver, &of_thread);
        });
        assert_eq!(seen.recv(), Ok(true), "rule 0 still holds");
        teller.tell(&event(0, Phase::End), 0);
        assert_eq!(seen.recv(), Ok(false));
        teller.tell(&event(1, Phase::Begin), 0);
        assert_eq!(seen.recv(), Ok(true));
        desk.finish();
        assert_eq!(seen.recv(), Ok(false), "the run is over");
        thread.join().unwrap();
        let (sent, lost) = desk.account_of(1);
        assert!(lost > 0 && sent > 0, "{sent} {lost}");
    }
}
