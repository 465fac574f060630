//! A board held against a machine: what is missing, how bad that is, and which setting mends it.
//!
//! Pure: the [`Machine`] is a description. Three things decide how bad a misfit is: some make a start
//! senseless and are always refused; memory follows `on-shortage`; what only makes timing worse is a
//! warning, or a refusal where the profile says `strict = true`.

mod misfit;
#[cfg(test)]
mod tests;

pub use misfit::{Misfit, Moved, Pages};

use crate::profile::{AbsentCore, Board, OnShortage, Wait};
use crate::resources::Machine;
use crate::resources::budget::{Budget, Policy, Role, ThreadPlan};
use crate::units::KIB;
use std::collections::BTreeSet;

/// One misfit and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What follows.
    pub severity: Severity,
    /// What does not fit; its `Display` names the setting to change.
    pub misfit: Misfit,
}

/// What follows from a misfit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The board does not start.
    Refusal,
    /// The board starts, and says so.
    Warning,
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
            let to = usable[*core % usable.len()];
            moved.push(Moved {
                key,
                from: *core,
                to,
            });
            *core = to;
        }
    };
    for camera in &mut board.cameras {
        settle(
            &mut camera.capture_core,
            format!("capture-core of camera {}", camera.name),
        );
    }
    for worker in &mut board.workers {
        for core in &mut worker.cores {
            settle(core, format!("cores of worker {}", worker.name));
        }
    }
    settle(&mut board.housekeeping.core, "core of housekeeping".into());
    (board, moved)
}

/// Holds a board (placed on this machine) and its budget against the machine. Refusals come first.
#[must_use]
pub fn fit(board: &Board, machine: &Machine, budget: &Budget) -> Vec<Finding> {
    let nicety = if board.strict {
        Severity::Refusal
    } else {
        Severity::Warning
    };
    let shortage = match board.memory.on_shortage {
        OnShortage::Refuse => Severity::Refusal,
        OnShortage::Fallback => Severity::Warning,
    };
    let mut findings = Vec::new();
    let mut say = |severity, misfits: Vec<Misfit>| {
        findings.extend(
            misfits
                .into_iter()
                .map(|misfit| Finding { severity, misfit }),
        );
    };
    say(Severity::Refusal, absent_cores(machine, budget));
    say(Severity::Refusal, starved(board, budget));
    say(Severity::Refusal, memory(board, machine, budget));
    say(shortage, absent_nodes(board, machine));
    say(shortage, hugepages(board, machine, budget));
    say(shortage, lock(machine, budget));
    say(nicety, real_time(machine, budget));
    say(nicety, shared(board, budget));
    say(nicety, throttled(board, machine));
    say(nicety, isolation(machine, budget));
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn absent_cores(machine: &Machine, budget: &Budget) -> Vec<Misfit> {
    let usable = machine.usable_cores();
    budget
        .threads
        .iter()
        .filter(|thread| !usable.contains(&thread.core))
        .map(|thread| Misfit::CoreAbsent {
            thread: thread.name.clone(),
            core: thread.core,
            online: machine.core(thread.core).is_some(),
            usable: usable.clone(),
        })
        .collect()
}

/// The workers that never sleep: (worker's thread, the others on its core).
fn spinning<'b>(board: &Board, budget: &'b Budget) -> Vec<(&'b ThreadPlan, Vec<&'b ThreadPlan>)> {
    let spins = |thread: &&ThreadPlan| matches!(thread.role, Role::Worker(index) if board.workers[index].wait == Wait::Spin);
    let beside = |thread: &ThreadPlan| {
        budget
            .threads
            .iter()
            .filter(|other| *other != thread && other.core == thread.core)
            .collect()
    };
    budget
        .threads
        .iter()
        .filter(spins)
        .map(|thread| (thread, beside(thread)))
        .collect()
}

/// A SCHED_FIFO thread that never sleeps leaves nothing of its core to threads below it.
fn starved(board: &Board, budget: &Budget) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    for (spinner, others) in spinning(board, budget) {
        let Policy::Fifo(priority) = spinner.policy else {
            continue;
        };
        let below = others
            .into_iter()
            .filter(|other| other.policy.priority() <= priority);
        misfits.extend(below.map(|other| Misfit::Starved {
            spinner: spinner.name.clone(),
            thread: other.name.clone(),
            core: spinner.core,
        }));
    }
    misfits
}

/// Threads that wait for each other on one core.
fn shared(board: &Board, budget: &Budget) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    let cores: BTreeSet<usize> = budget.threads.iter().map(|thread| thread.core).collect();
    for core in cores {
        let fifo: Vec<&ThreadPlan> = budget
            .threads
            .iter()
            .filter(|t| t.core == core && t.policy != Policy::Other)
            .collect();
        if fifo.len() > 1 {
            let threads = fifo
                .iter()
                .map(|t| (t.name.clone(), t.policy.priority()))
                .collect();
            misfits.push(Misfit::FifoShared { core, threads });
        }
    }
    for (spinner, others) in spinning(board, budget) {
        if spinner.policy == Policy::Other && !others.is_empty() {
            misfits.push(Misfit::SpinShared {
                spinner: spinner.name.clone(),
                core: spinner.core,
                threads: others.into_iter().map(|other| other.name.clone()).collect(),
            });
        }
    }
    misfits
}

fn throttled(board: &Board, machine: &Machine) -> Vec<Misfit> {
    let us_per_s = machine.rt_throttle_us_per_s;
    board
        .workers
        .iter()
        .filter(|worker| us_per_s > 0 && worker.wait == Wait::Spin && worker.fifo_priority > 0)
        .map(|worker| Misfit::Throttled {
            worker: worker.name.clone(),
            us_per_s,
        })
        .collect()
}

fn absent_nodes(board: &Board, machine: &Machine) -> Vec<Misfit> {
    let nodes: Vec<usize> = machine.nodes.iter().map(|node| node.index).collect();
    let absent = |node: &usize| !nodes.contains(node);
    board
        .cameras
        .iter()
        .filter_map(|camera| Some((camera, camera.node.filter(absent)?)))
        .map(|(camera, node)| Misfit::NodeAbsent {
            camera: camera.name.clone(),
            node,
            nodes: nodes.clone(),
        })
        .collect()
}

/// What each region asks of its node's pool.
fn page_needs(board: &Board, machine: &Machine, budget: &Budget) -> Vec<Pages> {
    let kib = board.memory.hugepage_kib;
    let pool = |node| machine.node(node).and_then(|node| node.pool(kib));
    budget
        .regions
        .iter()
        .map(|region| Pages {
            node: region.node,
            needed: region.bytes / (kib * KIB),
            free: pool(region.node).map_or(0, |pool| pool.free),
            total: pool(region.node).map_or(0, |pool| pool.total),
        })
        .collect()
}

fn hugepages(board: &Board, machine: &Machine, budget: &Budget) -> Vec<Misfit> {
    let kib = board.memory.hugepage_kib;
    let sizes: BTreeSet<u64> = machine
        .nodes
        .iter()
        .flat_map(|node| &node.hugepages)
        .map(|pool| pool.kib)
        .collect();
    if !sizes.contains(&kib) {
        return vec![Misfit::HugepageSize {
            kib,
            sizes: sizes.into_iter().collect(),
        }];
    }
    let needs = page_needs(board, machine, budget);
    if needs.iter().all(|pages| pages.free >= pages.needed) {
        return Vec::new();
    }
    // The kernel's argument lists every node, so a node that has enough stands there with what it has.
    let targets = machine
        .nodes
        .iter()
        .map(|node| {
            let total = node.pool(kib).map_or(0, |pool| pool.total);
            let missing = needs
                .iter()
                .filter(|pages| pages.node == node.index)
                .map(|pages| pages.needed.saturating_sub(pages.free))
                .sum::<u64>();
            (node.index, total, total + missing)
        })
        .collect();
    let short = needs
        .into_iter()
        .filter(|pages| pages.free < pages.needed)
        .collect();
    vec![Misfit::Hugepages {
        kib,
        default_kib: machine.default_hugepage_kib,
        short,
        targets,
    }]
}

fn lock(machine: &Machine, budget: &Budget) -> Vec<Misfit> {
    let needed_bytes = budget.total_bytes();
    match machine.memlock_bytes {
        Some(limit_bytes) if limit_bytes < needed_bytes => vec![Misfit::Memlock {
            limit_bytes,
            needed_bytes,
        }],
        _ => Vec::new(),
    }
}

/// Plain memory for everything that does not come from a pool of hugepages.
fn memory(board: &Board, machine: &Machine, budget: &Budget) -> Vec<Misfit> {
    let from_pools: u64 = page_needs(board, machine, budget)
        .iter()
        .filter(|pages| pages.free >= pages.needed)
        .map(|pages| pages.needed * board.memory.hugepage_kib * KIB)
        .sum();
    let needed_bytes = budget.total_bytes() - from_pools;
    if needed_bytes <= machine.available_bytes {
        return Vec::new();
    }
    vec![Misfit::Memory {
        available_bytes: machine.available_bytes,
        needed_bytes,
    }]
}

fn real_time(machine: &Machine, budget: &Budget) -> Vec<Misfit> {
    let limit = machine.fifo_priority_limit;
    let highest = budget
        .threads
        .iter()
        .max_by_key(|thread| thread.policy.priority());
    match highest {
        Some(thread) if thread.policy.priority() > limit => {
            vec![Misfit::NoRealTime {
                thread: thread.name.clone(),
                priority: thread.policy.priority(),
                limit,
            }]
        }
        _ => Vec::new(),
    }
}

fn isolation(machine: &Machine, budget: &Budget) -> Vec<Misfit> {
    let hot = |thread: &&ThreadPlan| !matches!(thread.role, Role::Housekeeping | Role::Output);
    let open = |core: &usize| {
        machine
            .core(*core)
            .is_some_and(|core| core.allowed && !core.isolated)
    };
    let cores: BTreeSet<usize> = budget
        .threads
        .iter()
        .filter(hot)
        .map(|thread| thread.core)
        .filter(open)
        .collect();
    if cores.is_empty() {
        return Vec::new();
    }
    // The kernel boots on core 0 and keeps work there; and isolating the core that housekeeping runs on
    // would isolate the slow work with the fast.
    let slow: BTreeSet<usize> = budget
        .threads
        .iter()
        .filter(|t| t.role == Role::Housekeeping)
        .map(|t| t.core)
        .chain([0])
        .collect();
    let isolate = cores.difference(&slow).copied().collect();
    vec![Misfit::NotIsolated {
        cores: cores.into_iter().collect(),
        isolate,
    }]
}
