//! The thread of a GPIO line.

use super::state::{OutputState, log_trouble};
use crate::appliance::shared::messages::Reported;
use crate::appliance::shared::outbox::Inbox;
use crate::event::output::{GpioDriver, Next, SwitchPort};
use crate::limits::MAX_RULES;
use crate::sync::Ordering;
use crate::sys::clock::now_ns;
use crate::units::NS_PER_S;

/// Longest time until a chip that is gone is found out.
const LOOK_NS: u64 = NS_PER_S;

/// Does what events want until there are no more, and leaves the line off. An event that comes while the
/// device is away is lost. `place` is the output's name with its device, for the log.
pub(crate) fn switch_on_events<P: SwitchPort>(
    place: &str,
    mut driver: GpioDriver<P>,
    mut inbox: Inbox<Reported>,
    state: &OutputState,
) {
    let mut lost = None;
    loop {
        let is_finishing = state.deliveries.drain.is_finishing();
        let now = now_ns();
        let mut taken = [0_u64; MAX_RULES];
        while let Some(Reported { event, .. }) = inbox.next() {
            driver.take(&event, now);
            if let Some(count) = taken.get_mut(usize::from(event.rule)) {
                *count += 1;
            }
        }
        state.begin_use();
        let holds = state.holding.load(Ordering::Relaxed) != 0;
        let next = driver.step(holds, now);
        if next == Next::Event {
            for (rule, count) in taken.into_iter().enumerate() {
                state.deliveries.deliver(rule, count);
            }
        }
        let counts = driver.counts();
        state.set_device(counts.failures, counts.opened);
        lost = log_trouble(place, lost, next);
        if is_finishing {
            break;
        }
        let until_ns = match next {
            Next::Retry { at_ns, .. } => at_ns,
            _ => now.saturating_add(LOOK_NS),
        };
        state.wait(until_ns.min(driver.off_ns().unwrap_or(u64::MAX)));
    }
    driver.end();
}
