//! Two threads on two cores that begin together.

use crate::error::BenchError;
use crate::harness::machine::{Cores, pin};
use crate::harness::usage::Switches;
use pinsight::sys::clock::now_ns;
use std::sync::Barrier;

/// What one thread did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<T> {
    pub(crate) result: T,
    pub(crate) begun_ns: u64,
    pub(crate) ended_ns: u64,
    pub(crate) switches: Switches,
}

/// What both did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<A, B> {
    pub(crate) sender: Side<A>,
    pub(crate) receiver: Side<B>,
}

impl<A, B> Pair<A, B> {
    /// From the first's begin to the last's end.
    pub(crate) fn elapsed_ns(&self) -> u64 {
        let begun_ns = self.sender.begun_ns.min(self.receiver.begun_ns);
        self.sender.ended_ns.max(self.receiver.ended_ns) - begun_ns
    }
}

/// Runs `sender` on the first producer's core and `receiver` on the consumer's.
///
/// # Errors
/// The machine refuses a thread or a core.
pub(crate) fn run<A: Send, B: Send>(
    cores: &Cores,
    sender: impl FnOnce() -> A + Send,
    receiver: impl FnOnce() -> B + Send,
) -> Result<Pair<A, B>, BenchError> {
    let together = Barrier::new(2);
    std::thread::scope(|scope| {
        let receiver = scope.spawn(|| side(cores.consumer(), &together, receiver));
        let sender = scope.spawn(|| side(cores.producer(0), &together, sender));
        let died = |_| BenchError::Machine("a thread of the experiment died".into());
        Ok(Pair {
            sender: sender.join().map_err(died)??,
            receiver: receiver.join().map_err(died)??,
        })
    })
}

fn side<T>(
    core: Option<usize>,
    together: &Barrier,
    work: impl FnOnce() -> T,
) -> Result<Side<T>, BenchError> {
    let pinned = pin(core);
    // The other side waits here whether this one is pinned or not.
    together.wait();
    pinned?;
    let before = Switches::of_thread();
    let begun_ns = now_ns();
    let result = work();
    let ended_ns = now_ns();
    Ok(Side {
        result,
        begun_ns,
        ended_ns,
        switches: Switches::of_thread().since(before),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_run_and_are_timed() {
        let cores = Cores::allowed().unwrap();
        let pair = run(&cores, || 1, || "two").unwrap();
        assert_eq!((pair.sender.result, pair.receiver.result), (1, "two"));
        assert!(pair.elapsed_ns() >= pair.sender.ended_ns - pair.sender.begun_ns);
    }
}
