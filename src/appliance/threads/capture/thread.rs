//! The body of a capture thread: start the streams when all memory is locked, and watch when all is ready.

use super::capture_loop::CaptureLoop;
use crate::appliance::exit::Failure;
use crate::appliance::shared::start_gate::Phase;
use crate::appliance::threads::hot::{HotUsage, measured, register};
use crate::capture::SourceError;
use crate::sys::thread::UsageProbe;
use std::sync::mpsc::SyncSender;

/// What a capture thread leaves behind.
pub(crate) struct CaptureLeft {
    pub(crate) usage: HotUsage,
    pub(crate) capture: CaptureLoop,
}

/// Why the streams of a capture thread did not start.
pub(crate) enum NotStarted {
    /// The thread could not prepare itself.
    Thread(Failure),
    /// This camera's stream does not start.
    Camera(u16, SourceError),
}

/// Whoever starts the run waits for `started`.
pub(crate) fn capture_thread(
    mut capture: CaptureLoop,
    started: &SyncSender<Result<(), NotStarted>>,
) -> Option<CaptureLeft> {
    let mut probe = UsageProbe::open();
    let hot = match register() {
        Ok(hot) => hot,
        Err(failure) => {
            let _ = started.send(Err(NotStarted::Thread(failure)));
            return None;
        }
    };
    if !capture.common.gate.wait_for(Phase::Stream) {
        return None;
    }
    let outcome = capture.start();
    let has_failed = outcome.is_err();
    let _ = started.send(outcome.map_err(|(camera, error)| NotStarted::Camera(camera, error)));
    if has_failed {
        return None;
    }
    if !capture.common.gate.wait_for(Phase::Watch) {
        capture.halt();
        return None;
    }
    let usage = measured(&mut probe, &hot, |probe, _| capture.run(probe));
    capture.common.gate.wait_for(Phase::Over);
    Some(CaptureLeft { usage, capture })
}
