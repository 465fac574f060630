use super::gpio::switch_on_events;
use super::output::OutputOutbox;
use super::serial::write_lines;
use super::state::OutputState;
use crate::appliance::shared::messages::Reported;
use crate::appliance::shared::names::{Names, RuleNames};
use crate::appliance::shared::outbox::{Inbox, outbox};
use crate::event::output::{GpioDriver, Link, Port, Switch, SwitchPort, Wire};
use crate::event::{Event, Phase};
use crate::profile::GpioMode;
use crate::sync::{Arc, AtomicUsize, Ordering};
use nix::errno::Errno;
use std::sync::mpsc::{Receiver, Sender, channel};

fn event(rule: u16, phase: Phase) -> Event {
    Event {
        rule,
        phase,
        ..Event::default()
    }
}

fn names() -> Names {
    let rule = |name: &str, kind| RuleNames {
        name: name.into(),
        kind,
        place: None,
    };
    Names {
        rules: vec![rule("one", "enter"), rule("two", "presence")],
        ..Names::default()
    }
}

/// Both ends of an output of these rules with room for so many events.
fn ends(values: usize, rules: u64) -> (OutputOutbox, Inbox<Reported>) {
    let state = Arc::new(OutputState::new());
    let (events, inbox) = outbox(values, &state.deliveries);
    let outbox = OutputOutbox {
        events,
        state,
        rules,
    };
    (outbox, inbox)
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
    fn unsent(&self) -> usize {
        0
    }
}

#[test]
fn an_output_that_hangs_in_its_device_loses_its_own_events_and_holds_up_nobody() {
    let (go_on, hangs) = channel();
    let (mut outbox, inbox) = ends(16, 0b01);
    let state = Arc::clone(&outbox.state);
    let of_thread = Arc::clone(&state);
    let link = Link::new(Hanging(Some(hangs)));
    let thread = std::thread::spawn(move || {
        write_lines("stuck", link, inbox, &of_thread, &names());
    });
    // This would not return if the output could hold it up.
    for _ in 0..100 {
        outbox.report(&event(0, Phase::Once), 0);
        outbox.report(&event(1, Phase::Begin), 0);
    }
    assert_eq!(state.account_of(0), (0, 100));
    assert_eq!(state.account_of(1), (0, 0), "not for this output");
    for _ in 0..5 {
        go_on.send(()).unwrap();
    }
    drop(go_on);
    state.deliveries.drain.finish();
    thread.join().unwrap();
    assert_eq!(state.account_of(0), (5, 95));
    assert_eq!(state.opened.load(Ordering::Relaxed), 1);
}

/// Tells what it is told.
#[derive(Clone)]
pub(crate) struct Lamp(pub(crate) Sender<bool>);

impl SwitchPort for Lamp {
    type Switch = Self;
    fn open(&mut self) -> Result<Self, Errno> {
        Ok(self.clone())
    }
}

impl Switch for Lamp {
    fn set(&mut self, on: bool) -> Result<(), Errno> {
        self.0.send(on).map_err(|_| Errno::EIO)
    }
    fn check(&self) -> Result<(), Errno> {
        Ok(())
    }
}

#[test]
fn a_level_follows_its_states_even_where_the_queue_is_full_and_ends_off() {
    let (lamp, seen) = channel();
    let (mut outbox, inbox) = ends(1, u64::MAX);
    let state = Arc::clone(&outbox.state);
    // The thread is not there yet: the queue is full when the last end comes.
    for _ in 0..40 {
        outbox.report(&event(1, Phase::Begin), 0);
        outbox.report(&event(0, Phase::Begin), 0);
        outbox.report(&event(1, Phase::End), 0);
    }
    let of_thread = Arc::clone(&state);
    let thread = std::thread::spawn(move || {
        let driver = GpioDriver::new(Lamp(lamp), GpioMode::Level);
        switch_on_events("lamp", driver, inbox, &of_thread);
    });
    assert_eq!(seen.recv(), Ok(true), "rule 0 still holds");
    outbox.report(&event(0, Phase::End), 0);
    assert_eq!(seen.recv(), Ok(false));
    outbox.report(&event(1, Phase::Begin), 0);
    assert_eq!(seen.recv(), Ok(true));
    state.deliveries.drain.finish();
    assert_eq!(seen.recv(), Ok(false), "the run is over");
    thread.join().unwrap();
    let (sent, lost) = state.account_of(1);
    assert!(lost > 0 && sent > 0, "{sent} {lost}");
}

/// A line that takes a byte for each look at what it has yet to send, up to so many.
struct Slow {
    queued: Arc<AtomicUsize>,
    moves: Arc<AtomicUsize>,
}

impl Port for Slow {
    type Wire = Self;
    fn open(&mut self) -> Result<Self, Errno> {
        Ok(Self {
            queued: Arc::clone(&self.queued),
            moves: Arc::clone(&self.moves),
        })
    }
}

impl Wire for Slow {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        self.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(bytes.len())
    }
    fn wait(&self, _: u64) {}
    fn unsent(&self) -> usize {
        let all = self.queued.load(Ordering::Relaxed);
        let moves = self.moves.load(Ordering::Relaxed).min(all);
        self.moves.fetch_sub(moves, Ordering::Relaxed);
        self.queued.store(all - moves, Ordering::Relaxed);
        all - moves
    }
}

/// Two events over a line that sends so many bytes after the end of the run.
fn end_with(moves: usize) -> ((u64, u64), usize) {
    let queued = Arc::new(AtomicUsize::new(0));
    let port = Slow {
        queued: Arc::clone(&queued),
        moves: Arc::new(AtomicUsize::new(moves)),
    };
    let (mut outbox, inbox) = ends(16, 1);
    let state = Arc::clone(&outbox.state);
    outbox.report(&event(0, Phase::Once), 0);
    outbox.report(&event(0, Phase::Once), 0);
    state.deliveries.drain.finish();
    write_lines("slow", Link::new(port), inbox, &state, &names());
    (state.account_of(0), queued.load(Ordering::Relaxed))
}

#[test]
fn the_end_waits_until_the_last_line_has_left_and_what_never_leaves_is_lost() {
    // "$PINEV,one,enter,once,?,,,0,0,0*hh<CR><LF>"
    const LINE: usize = 36;
    assert_eq!(end_with(2 * LINE), ((2, 0), 0));
    assert_eq!(end_with(2 * LINE - 1), ((1, 1), 1));
    assert_eq!(end_with(LINE - 1), ((0, 2), LINE + 1));
}
