//! The order in which the threads of a run end.

use super::collect::{Left, proof};
use super::health::Health;
use super::join::Join;
use crate::appliance::exit::{Exit, Failure};
use crate::appliance::report::proof::Proof;
use crate::appliance::shared::start_gate::Phase;
use crate::appliance::start::started::Started;
use crate::sys::clock::now_ns;
use crate::units::NS_PER_S;

/// A kind of thread.
#[derive(Clone, Copy)]
enum Kind {
    LateCameras,
    Capture,
    Inference,
    Housekeeping,
    Outputs,
    Disk,
}

/// Threads in the order in which they end, a row after the other, and the time that all of a row together get once they
/// were told to. What takes longer is a call into a driver, a model or a disk that does not come back; whatever one
/// row took is not the next one's to make up for.
const ORDER: [(&[Kind], u64); 4] = [
    (
        &[Kind::LateCameras, Kind::Capture, Kind::Inference],
        STOP_NS,
    ),
    (&[Kind::Housekeeping], STOP_NS),
    (&[Kind::Outputs], STOP_NS),
    (&[Kind::Disk], STOP_NS),
];
const STOP_NS: u64 = 10 * NS_PER_S;

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    /// What it did, as far as that is known.
    pub proof: Proof,
    /// A thread died or did not end: the proof lacks what it measured.
    pub failure: Option<Failure>,
}

/// Stops the streams, joins the threads, and collects what they leave behind. A thread that died or does not end
/// costs what it measured, and nothing else.
pub(crate) fn finish(mut run: Started, health: &Health) -> Ended {
    run.common.stop.ask();
    let others = run.common.stop.others().since(&run.others_before);
    run.common.gate.advance(Phase::Over);
    let mut join = Join::new(true);
    let mut left = Left::default();
    end_threads(&mut run, &mut join, &mut left);
    let proof = proof(&run, &left, health, join.joined(), &others);
    // Sources before the memory that they wrote to.
    drop(left);
    let mut failure = join.failure();
    if let Some(thread) = health.hung() {
        let beside = failure.map_or(String::new(), |failure| format!("; {}", failure.message));
        let message = format!("thread {thread} stood still for hang-exit-ms{beside}");
        failure = Some(Failure::new(Exit::Hang, message));
    }
    let_go(run, &join);
    Ended { proof, failure }
}

/// Ends the threads of a start that failed. The failure stays the one that came first.
pub(crate) fn abandon(mut run: Started, failure: Failure) -> Failure {
    run.common.gate.advance(Phase::Abandoned);
    run.common.stop.ask();
    let mut join = Join::new(false);
    end_threads(&mut run, &mut join, &mut Left::default());
    if let Some(also) = join.failure() {
        log::error!("{}", also.message);
    }
    let_go(run, &join);
    failure
}

/// Gives memory back, unless a thread is left that may touch it.
fn let_go(run: Started, join: &Join) {
    if join.is_stuck() {
        std::mem::forget(run);
    }
}

fn end_threads(run: &mut Started, join: &mut Join, left: &mut Left) {
    for (kinds, allowed_ns) in ORDER {
        join.allow(now_ns(), allowed_ns);
        for kind in kinds {
            end(*kind, run, join, left);
        }
    }
}

/// Tells the threads of a kind that nothing more comes, where they have to be told, and joins them.
fn end(kind: Kind, run: &mut Started, join: &mut Join, left: &mut Left) {
    let threads = &mut run.threads;
    match kind {
        Kind::LateCameras => {
            threads
                .late_cameras
                .take()
                .and_then(|thread| join.end_of(thread));
        }
        Kind::Capture => {
            let threads = threads.capture.drain(..);
            left.captures
                .extend(threads.filter_map(|capture| join.account_of(capture.thread)));
        }
        Kind::Inference => {
            let threads = threads.inference.drain(..);
            left.workers
                .extend(threads.filter_map(|thread| join.account_of(thread)));
        }
        Kind::Housekeeping => {
            left.run_ns = now_ns().saturating_sub(run.ready_ns);
            drop(run.guard.take());
            // It sees everything that the joined threads sent.
            run.common.housekeeping.finish();
            let events = threads.housekeeping.take();
            left.events = events.and_then(|thread| join.end_of(thread));
            // What it reported is in the outboxes.
            let outputs = run.outputs.iter().map(|output| &output.deliveries);
            let disk = run.disk.iter().map(|disk| &disk.deliveries);
            outputs.chain(disk).for_each(|outbox| outbox.drain.finish());
        }
        Kind::Outputs => {
            for thread in threads.outputs.drain(..) {
                join.end_of(thread);
            }
        }
        Kind::Disk => {
            threads.disk.take().and_then(|thread| join.end_of(thread));
        }
    }
}
