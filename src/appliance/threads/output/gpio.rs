//! The thread of a switch.

use crate::appliance::shared::messages::EventReceiver;
use crate::appliance::threads::output::output::{Desk, tell_of_trouble};
use crate::event::output::{Next, Outlet, Relay};
use crate::limits::MAX_RULES;
use crate::sync::Ordering;
use crate::sys::clock::now_ns;
use crate::units::NS_PER_S;

/// Longest time until a chip that is gone is found out.
const LOOK_NS: u64 = NS_PER_S;

/// Does what events want until there are no more, and leaves the switch off. An event that comes while the
/// switch is away is lost. `place` is the output's name with its device, for the log.
pub(crate) fn relay_events<O: Outlet>(
    place: &str,
    mut relay: Relay<O>,
    mut queue: EventReceiver,
    desk: &Desk,
) {
    let mut lost = None;
    loop {
        let finishing = desk.is_finishing();
        let now = now_ns();
        let mut taken = [0_u64; MAX_RULES];
        while let Some(told) = queue.dequeue() {
            relay.take(&told.event, now);
            if let Some(count) = taken.get_mut(usize::from(told.event.rule)) {
                *count += 1;
            }
        }
        let holds = desk.states.load(Ordering::Relaxed) != 0;
        let next = relay.step(holds, now);
        if next == Next::Event {
            for (sent, count) in desk.sent.iter().zip(taken) {
                sent.fetch_add(count, Ordering::Relaxed);
            }
        }
        let counts = relay.counts();
        desk.failures.store(counts.failures, Ordering::Relaxed);
        desk.opened.store(counts.opened, Ordering::Relaxed);
        lost = tell_of_trouble(place, lost, next);
        if finishing {
            break;
        }
        let until_ns = match next {
            Next::Retry { at_ns, .. } => at_ns,
            _ => now.saturating_add(LOOK_NS),
        };
        desk.wait(until_ns.min(relay.off_ns().unwrap_or(u64::MAX)));
    }
    relay.end();
}
