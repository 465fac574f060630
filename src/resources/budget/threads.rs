//! Threads by core.

use crate::profile::{AbsentCamera, Board};
use std::collections::BTreeSet;
use std::fmt;

/// The thread that looks for cameras that are not there.
pub const LOOKER: &str = "absent";
/// The thread that writes files, in a run that has any.
pub const DISK: &str = "disk";

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadPlan {
    /// Its name in reports.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// The core that it is pinned to.
    pub core: usize,
    /// How it is scheduled.
    pub policy: Policy,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Serves the cameras of its core.
    Capture,
    /// Claims frames and runs a model: the worker with this index.
    Worker(usize),
    /// Helps the interpreter of the worker with this index.
    Helper(usize),
    /// Everything slow.
    Housekeeping,
    /// Tells an output of events.
    Output,
}

/// Scheduling policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// SCHED_OTHER.
    Other,
    /// SCHED_FIFO with this priority.
    Fifo(u32),
}

impl Policy {
    /// As profiles write it: 0 is SCHED_OTHER.
    #[must_use]
    pub const fn from_priority(priority: u32) -> Self {
        if priority == 0 {
            Self::Other
        } else {
            Self::Fifo(priority)
        }
    }

    /// The SCHED_FIFO priority; 0 for SCHED_OTHER.
    #[must_use]
    pub const fn priority(self) -> u32 {
        match self {
            Self::Other => 0,
            Self::Fifo(priority) => priority,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => f.write_str("SCHED_OTHER"),
            Self::Fifo(priority) => write!(f, "SCHED_FIFO {priority}"),
        }
    }
}

/// Every thread of a board.
pub(super) fn threads(board: &Board) -> Vec<ThreadPlan> {
    let thread = |name: &str, role, core, policy| ThreadPlan {
        name: name.to_owned(),
        role,
        core,
        policy,
    };
    let mut threads = Vec::new();
    let cores: BTreeSet<usize> = board
        .cameras
        .iter()
        .map(|camera| camera.capture_core)
        .collect();
    for core in cores {
        let policy = Policy::from_priority(board.capture.fifo_priority);
        threads.push(thread(
            &format!("capture-{core}"),
            Role::Capture,
            core,
            policy,
        ));
    }
    for (index, worker) in board.workers.iter().enumerate() {
        let policy = Policy::from_priority(worker.fifo_priority);
        for (nth, core) in worker.cores.iter().copied().enumerate() {
            let helper = format!("{}/{nth}", worker.name);
            threads.push(match nth {
                0 => thread(&worker.name, Role::Worker(index), core, policy),
                _ => thread(&helper, Role::Helper(index), core, policy),
            });
        }
    }
    let mut slow =
        |name, role| threads.push(thread(name, role, board.housekeeping.core, Policy::Other));
    slow("housekeeping", Role::Housekeeping);
    slow(DISK, Role::Housekeeping);
    if board
        .cameras
        .iter()
        .any(|camera| camera.absent == AbsentCamera::Wait)
    {
        slow(LOOKER, Role::Housekeeping);
    }
    for output in &board.outputs {
        slow(&output.name, Role::Output);
    }
    threads
}
