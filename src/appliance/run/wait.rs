//! The wait for what ends a run.

use crate::appliance::start::started::Started;
use crate::sys::clock::now_ns;
use crate::sys::service::signal::StopSignals;
use crate::sys::thread::Spawned;
use crate::units::{NS_PER_MS, NS_PER_S};

/// Longest wait between two looks at what ends a run.
const LOOK_NS: u64 = 50 * NS_PER_MS;

/// Waits until so many seconds of watching are over, a thread asks for the end or ends, or a signal comes.
pub(crate) fn wait_for_end(run: &Started, signals: &StopSignals, seconds: Option<u64>) {
    let end_ns = seconds.map(|seconds| run.ready_ns.saturating_add(seconds * NS_PER_S));
    while !is_over(run) {
        let now = now_ns();
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
