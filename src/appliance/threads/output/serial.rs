//! The thread of a serial line.

use crate::appliance::shared::messages::{EventReceiver, Told};
use crate::appliance::threads::output::output::{Desk, Roster, tell_of_trouble};
use crate::event::output::{Link, Next, Patience, Port, Trail, Wire as _, sentence};
use crate::sync::Ordering;
use crate::sys::clock::now_ns;
use crate::units::{NS_PER_MS, NS_PER_S};

/// Longest wait for something to happen.
const IDLE_NS: u64 = 60 * NS_PER_S;
/// Longest wait for a wire to take bytes, after which the end of the run is looked for.
const ROOM_NS: u64 = 250 * NS_PER_MS;
/// Time between two looks at what a wire has yet to send.
const DRAIN_NS: u64 = 10 * NS_PER_MS;

/// Hands lines over until there are no more events, and waits for the last ones to leave, as long as
/// [`Patience`] has it. A line that has not left is lost. `place` is the output's name with its device, for the log.
pub(crate) fn write_lines<P: Port>(
    place: &str,
    mut link: Link<P>,
    mut queue: EventReceiver,
    desk: &Desk,
    roster: &Roster,
) {
    // Rule and bytes of the line that the link holds.
    let mut held = None;
    let mut trail = Trail::default();
    let mut lost = None;
    let mut patience = None;
    loop {
        let finishing = desk.is_finishing();
        let now = now_ns();
        let mut hand_over = |held: &mut Option<(u16, usize)>| {
            if let Some((rule, bytes)) = held.take() {
                desk.handed_over(rule);
                trail.note(rule, bytes);
            }
        };
        let next = link.step(now, || {
            // Asked for the next one, it has handed the last one over.
            hand_over(&mut held);
            let Told { event, utc_ns } = queue.dequeue()?;
            let line = sentence(&event, &roster.words(&event), utc_ns);
            held = Some((event.rule, line.len()));
            Some(line)
        });
        if !link.is_holding() {
            hand_over(&mut held);
        }
        let counts = link.counts();
        desk.failures.store(counts.failures, Ordering::Relaxed);
        desk.opened.store(counts.opened, Ordering::Relaxed);
        lost = tell_of_trouble(place, lost, next);
        if finishing {
            let unsent = link.unsent();
            let gone = counts.bytes.saturating_sub(unsent as u64);
            let sends = next == Next::Room || next == Next::Event && unsent > 0;
            let patience = patience.get_or_insert(Patience::new(now, gone));
            if !sends || !patience.lasts(now, gone) {
                break;
            }
        }
        match (next, link.wire()) {
            (Next::Room, Some(wire)) => wire.wait(ROOM_NS),
            (Next::Retry { at_ns, .. }, _) => desk.wait(at_ns),
            _ if finishing => desk.wait(now.saturating_add(DRAIN_NS)),
            _ => desk.wait(now.saturating_add(IDLE_NS)),
        }
    }
    let mut unsent = 0_u64;
    for rule in trail.of_last(link.unsent()) {
        desk.took_back(rule);
        unsent += 1;
    }
    if unsent > 0 {
        log::warn!("output {place}: {unsent} lines did not leave the device before the end");
    }
}
