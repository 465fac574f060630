//! The wait for what ends a run. Whoever waits watches: over threads and cameras, and for the service manager.

use super::health::{Health, LOOK_NS};
use crate::appliance::start::started::Started;
use crate::sys::clock::now_ns;
use crate::sys::service::notify::{Notifier, NotifyState};
use crate::sys::service::signal::StopSignals;
use crate::sys::thread::Spawned;
use crate::units::NS_PER_S;

/// Waits until so many seconds of watching are over, a thread asks for the end, ends or hangs, or a signal comes.
pub(crate) fn wait_for_end(
    run: &Started,
    health: &mut Health,
    signals: &StopSignals,
    notifier: Option<&Notifier>,
    seconds: Option<u64>,
) {
    let end_ns = seconds.map(|seconds| run.ready_ns.saturating_add(seconds * NS_PER_S));
    let mut keep_alive_ns = 0;
    while !is_over(run) {
        let now = now_ns();
        health.look(now);
        if health.hung().is_some() {
            return;
        }
        if let Some(notifier) = notifier
            && let Some(period_ns) = notifier.watchdog_ns()
            && now >= keep_alive_ns
            && !health.is_troubled()
        {
            // Twice in its time, as sd_watchdog_enabled(3) asks for. One that is not taken is sent again.
            if notifier.send(&[NotifyState::Watchdog]).is_ok() {
                keep_alive_ns = now.saturating_add(period_ns / 2);
            }
        }
        let left_ns = end_ns.map_or(LOOK_NS, |end_ns| end_ns.saturating_sub(now).min(LOOK_NS));
        if left_ns == 0 {
            return;
        }
        match signals.wait(left_ns) {
            Ok(None) => {}
            Ok(Some(signal)) => {
                log::info!("{signal}: stopping");
                return;
            }
            Err(error) => {
                log::error!("{error}; stopping");
                return;
            }
        }
    }
}

fn is_over(run: &Started) -> bool {
    let threads = &run.threads;
    run.common.stop.is_asked()
        || threads.inference.iter().any(Spawned::is_finished)
        || threads
            .capture
            .iter()
            .any(|capture| capture.thread.is_finished())
}
