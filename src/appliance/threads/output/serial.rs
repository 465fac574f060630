//! The thread of a serial line.

use super::state::{OutputState, log_trouble};
use crate::appliance::shared::messages::Reported;
use crate::appliance::shared::names::Names;
use crate::appliance::shared::outbox::Inbox;
use crate::event::output::{DrainTimeout, Link, Next, Port, UnsentLines, Wire as _, sentence};
use crate::sys::clock::now_ns;
use crate::units::{NS_PER_MS, NS_PER_S};

/// Longest wait for something to happen.
const IDLE_NS: u64 = 60 * NS_PER_S;
/// Longest wait for a wire to take bytes, after which the end of the run is looked for.
const ROOM_NS: u64 = 250 * NS_PER_MS;
/// Time between two looks at what a wire has yet to send.
const DRAIN_NS: u64 = 10 * NS_PER_MS;

/// Hands lines over until there are no more events, and waits for the last ones to leave, at most for the
/// [`DrainTimeout`]. A line that has not left is lost. `place` is the output's name with its device, for the log.
pub(crate) fn write_lines<P: Port>(
    place: &str,
    mut link: Link<P>,
    mut inbox: Inbox<Reported>,
    state: &OutputState,
    names: &Names,
) {
    let deliveries = &state.deliveries;
    // Rule and bytes of the line that the link holds.
    let mut held = None;
    let mut unsent_lines = UnsentLines::default();
    let mut lost = None;
    let mut timeout = None;
    loop {
        let is_finishing = deliveries.drain.is_finishing();
        let now = now_ns();
        let mut hand_over = |held: &mut Option<(u16, usize)>| {
            if let Some((rule, bytes)) = held.take() {
                deliveries.deliver(rule.into(), 1);
                unsent_lines.note(rule, bytes);
            }
        };
        state.begin_use();
        let next = link.step(now, || {
            // Asked for the next one, it has handed the last one over.
            hand_over(&mut held);
            let Reported { event, utc_ns } = inbox.next()?;
            let line = sentence(&event, &names.words(&event), utc_ns);
            held = Some((event.rule, line.len()));
            Some(line)
        });
        if !link.is_holding() {
            hand_over(&mut held);
        }
        let counts = link.counts();
        state.set_device(counts.failures, counts.opened);
        lost = log_trouble(place, lost, next);
        if is_finishing {
            let unsent = link.unsent();
            let gone = counts.bytes.saturating_sub(unsent as u64);
            let sends = next == Next::Room || next == Next::Event && unsent > 0;
            let timeout = timeout.get_or_insert(DrainTimeout::new(now, gone));
            if !sends || !timeout.lasts(now, gone) {
                break;
            }
        }
        match (next, link.wire()) {
            (Next::Room, Some(wire)) => wire.wait(ROOM_NS),
            (Next::Retry { at_ns, .. }, _) => state.wait(at_ns),
            _ if is_finishing => state.wait(now.saturating_add(DRAIN_NS)),
            _ => state.wait(now.saturating_add(IDLE_NS)),
        }
    }
    let mut unsent = 0_u64;
    for rule in unsent_lines.of_last(link.unsent()) {
        deliveries.take_back(rule.into());
        unsent += 1;
    }
    if unsent > 0 {
        log::warn!("output {place}: {unsent} lines did not leave the device before the end");
    }
}
