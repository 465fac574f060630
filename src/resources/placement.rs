//! Where threads go on a machine that lacks the profile's cores.

use super::machine::Machine;
use crate::profile::{AbsentCore, Board};
use std::fmt;

/// A core number that was replaced, where the profile allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The key, and whose it is.
    pub key: String,
    /// What the profile says.
    pub from: usize,
    /// What it became.
    pub to: usize,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, from, to } = self;
        write!(
            f,
            "{key}: core {from} is not there, core {to} serves instead (absent-core = \"wrap\")"
        )
    }
}

/// Gives every thread a core that this machine has, where the profile says `absent-core = "wrap"`: core n
/// becomes the (n mod count)-th core that this process may use. Returns what was moved.
#[must_use]
pub fn place(mut board: Board, machine: &Machine) -> (Board, Vec<Moved>) {
    let usable = machine.usable_cores();
    let mut moved = Vec::new();
    if board.absent_core == AbsentCore::Refuse || usable.is_empty() {
        return (board, moved);
    }
    let mut settle = |core: &mut usize, key: String| {
        if !usable.contains(core) {
            let (from, to) = (*core, usable[*core % usable.len()]);
            *core = to;
            moved.push(Moved { key, from, to });
        }
    };
    for camera in &mut board.cameras {
        let key = format!("capture-core of camera {}", camera.name);
        settle(&mut camera.capture_core, key);
    }
    for worker in &mut board.workers {
        for core in &mut worker.cores {
            settle(core, format!("cores of worker {}", worker.name));
        }
    }
    settle(&mut board.housekeeping.core, "core of housekeeping".into());
    (board, moved)
}
