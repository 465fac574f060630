//! What the figures were measured on, and which cores the experiments use.

use crate::error::BenchError;
use pinsight::sys::cpu::core_set::CoreSet;
use pinsight::sys::cpu::topology;
use pinsight::sys::thread::{Children, Policy, ThreadSpec, current_cores, place};
use std::path::Path;

/// The machine in the words of its kernel, name and value.
pub(crate) fn conditions() -> Vec<(&'static str, String)> {
    let build = if cfg!(debug_assertions) {
        "debug: the figures mean nothing"
    } else {
        "release"
    };
    let mut conditions = vec![("build", format!("{build}, {}", std::env::consts::ARCH))];
    // Without /proc the cores could not have been read either.
    if let Ok(machine) = topology::read(Path::new("/")) {
        let isolated: Vec<_> = machine.isolated.iter().collect();
        conditions.extend([
            (
                "cpu",
                format!(
                    "{}, {} cores for this process, isolated: {isolated:?}",
                    machine.cpu,
                    machine.allowed.len()
                ),
            ),
            (
                "kernel",
                format!("{}, {}", machine.kernel, machine.preemption),
            ),
            ("governor", machine.governor().to_owned()),
        ]);
    }
    conditions
}

/// Cores this process may use, by rising number.
#[derive(Clone, Debug)]
pub(crate) struct Cores(Vec<usize>);

impl Cores {
    /// # Errors
    /// The kernel does not say.
    pub(crate) fn allowed() -> Result<Self, BenchError> {
        let cores = current_cores().map_err(BenchError::machine)?;
        Ok(Self(cores.iter().collect()))
    }

    /// The core of the one consumer: the last one.
    pub(crate) fn consumer(&self) -> Option<usize> {
        self.0.last().copied()
    }

    /// The core of producer `number`: any but the consumer's, where there are two or more.
    pub(crate) fn producer(&self, number: usize) -> Option<usize> {
        let others = self.0.len().saturating_sub(1).max(1);
        self.0.get(number % others).copied()
    }

    /// Cores that there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// # Errors
    /// There is only one core, and `what` cannot be measured on it.
    pub(crate) fn need_two(&self, what: &str) -> Result<(), BenchError> {
        if self.count() >= 2 {
            return Ok(());
        }
        Err(BenchError::Machine(format!(
            "one core for this process; {what} needs two"
        )))
    }

    /// In words, for the conditions.
    pub(crate) fn describe(&self) -> String {
        match self.0.as_slice() {
            [] | [_] => "one core for everything".into(),
            [producers @ .., consumer] => {
                format!("producers pinned to {producers:?}, consumer to {consumer}")
            }
        }
    }
}

/// Pins the calling thread; with `None` it stays where it is.
///
/// # Errors
/// The kernel refused.
pub(crate) fn pin(core: Option<usize>) -> Result<(), BenchError> {
    let Some(core) = core else { return Ok(()) };
    place(&ThreadSpec {
        name: String::new(),
        cores: CoreSet::single(core),
        policy: Policy::Other,
        children: Children::Reset,
        policy_required: false,
        stack_bytes: 0,
    })
    .map(|_| ())
    .map_err(BenchError::machine)
}

#[cfg(test)]
mod tests {
    use super::{Cores, pin};

    #[test]
    fn the_consumer_has_a_core_of_its_own_where_there_are_two() {
        let cores = Cores(vec![2, 5, 7]);
        assert_eq!(cores.consumer(), Some(7));
        let producers: Vec<_> = (0..4).map(|number| cores.producer(number)).collect();
        assert_eq!(producers, [Some(2), Some(5), Some(2), Some(5)]);
        let one = Cores(vec![3]);
        assert_eq!((one.consumer(), one.producer(6)), (Some(3), Some(3)));
    }

    #[test]
    fn a_pinned_thread_is_allowed_on_that_core_only() {
        let core = Cores::allowed().unwrap().consumer();
        std::thread::spawn(move || {
            pin(core).unwrap();
            let cores = Cores::allowed().unwrap();
            assert_eq!((cores.0.len(), cores.consumer()), (1, core));
        })
        .join()
        .unwrap();
    }
}
