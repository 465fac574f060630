//! A board held against a machine: what is missing, how bad that is, and which setting mends it.
//!
//! Pure: the [`Machine`] is a description. Three things decide how bad a shortfall is: some make a start senseless and
//! are always refused; memory follows `on-shortage`; what only makes timing worse is a warning, or a refusal where the
//! profile says `strict = true`.

mod kinds;
#[cfg(test)]
mod tests;

pub use kinds::{Pages, Shortfall};

use super::budget::{Budget, Policy, Role, ThreadPlan};
use super::machine::Machine;
use crate::profile::{Board, HUGEPAGE_SIZES_KIB, KeyPlace, OnShortage, Wait};
use crate::units::KIB;
use std::collections::BTreeSet;
use std::fmt;

/// One shortfall and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What follows.
    pub severity: Severity,
    /// The key of the profile that asks for it; nothing where the machine alone decides.
    pub place: Option<KeyPlace>,
    /// What is missing; its `Display` names the setting to change.
    pub shortfall: Shortfall,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.shortfall),
            None => self.shortfall.fmt(f),
        }
    }
}

/// What follows from a shortfall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The board does not start.
    Refusal,
    /// The board starts, and reports it.
    Warning,
}

/// Holds a board (placed on this machine) and its budget against the machine. Refusals come first, each kind by line.
#[must_use]
pub fn shortfalls(board: &Board, machine: &Machine, budget: &Budget) -> Vec<Finding> {
    let refused_if = |refused| match refused {
        true => Severity::Refusal,
        false => Severity::Warning,
    };
    let timing = refused_if(board.strict);
    let shortage = refused_if(board.memory.on_shortage == OnShortage::Refuse);
    let held = Held {
        board,
        machine,
        budget,
    };
    let mut findings = Vec::new();
    for (severity, shortfalls) in [
        (Severity::Refusal, held.absent_cores()),
        (Severity::Refusal, held.starved()),
        (Severity::Refusal, held.memory()),
        (shortage, held.absent_nodes()),
        (shortage, held.hugepages()),
        (shortage, held.lock()),
        (timing, held.real_time()),
        (timing, held.shared()),
        (timing, held.throttled()),
        (timing, held.isolation()),
    ] {
        let found = |shortfall| Finding {
            severity,
            place: held.place(&shortfall),
            shortfall,
        };
        findings.extend(shortfalls.into_iter().map(found));
    }
    let line = |finding: &Finding| finding.place.as_ref().map(|place| place.line);
    findings.sort_by_key(|finding| (finding.severity, line(finding)));
    findings
}

/// A board and its budget against a machine.
struct Held<'h> {
    board: &'h Board,
    machine: &'h Machine,
    budget: &'h Budget,
}

impl<'h> Held<'h> {
    fn threads(&self) -> impl Iterator<Item = &'h ThreadPlan> {
        self.budget.threads.iter()
    }

    /// The key that asks for what is missing.
    fn place(&self, shortfall: &Shortfall) -> Option<KeyPlace> {
        let of = |table, name: &str, key| Some(self.board.places.of(table, name, key));
        match shortfall {
            Shortfall::CoreAbsent { thread, .. } => self.place_of_thread(thread, "cores"),
            Shortfall::NoRealTime { thread, .. } => self.place_of_thread(thread, "fifo-priority"),
            Shortfall::Starved { spinner, .. } | Shortfall::SpinShared { spinner, .. } => {
                of("worker", spinner, "wait")
            }
            Shortfall::Throttled { worker, .. } => of("worker", worker, "wait"),
            Shortfall::NodeAbsent { camera, .. } => of("camera", camera, "node"),
            Shortfall::HugepageSize { .. } | Shortfall::Hugepages { .. } => {
                of("memory", "", "hugepage-kib")
            }
            Shortfall::Memory { .. } | Shortfall::Memlock { .. } => of("memory", "", "budget-mib"),
            Shortfall::FifoShared { core, .. } => {
                let fifo =
                    |thread: &&ThreadPlan| thread.core == *core && thread.policy != Policy::Other;
                let last = self.threads().filter(fifo).last()?;
                self.place_of_thread(&last.name, "cores")
            }
            Shortfall::NotIsolated { .. } => None,
        }
    }

    /// The key of a thread's table that has its cores or its priority.
    fn place_of_thread(&self, thread: &str, key: &'static str) -> Option<KeyPlace> {
        let of = |table, name: &str, key| Some(self.board.places.of(table, name, key));
        let thread = self.threads().find(|other| other.name == thread)?;
        match (thread.role, key) {
            (Role::Capture, "cores") => {
                let cameras = &self.board.cameras;
                let camera = cameras
                    .iter()
                    .find(|camera| camera.capture_core == thread.core)?;
                of("camera", &camera.name, "capture-core")
            }
            (Role::Capture, _) => of("capture", "", key),
            (Role::Worker(index) | Role::Helper(index), _) => {
                of("worker", &self.board.workers.get(index)?.name, key)
            }
            (Role::Housekeeping | Role::Output, _) => of("housekeeping", "", "core"),
        }
    }

    fn absent_cores(&self) -> Vec<Shortfall> {
        let usable = self.machine.usable_cores();
        let absent = |thread: &&ThreadPlan| !usable.contains(&thread.core);
        let shortfall = |thread: &ThreadPlan| Shortfall::CoreAbsent {
            thread: thread.name.clone(),
            core: thread.core,
            online: self.machine.core(thread.core).is_some(),
            usable: usable.clone(),
            strict: self.board.strict,
        };
        self.threads().filter(absent).map(shortfall).collect()
    }

    /// The workers that never sleep: (worker's thread, the others on its core).
    fn spinning(&self) -> impl Iterator<Item = (&'h ThreadPlan, Vec<&'h ThreadPlan>)> {
        let waits = |index: usize| self.board.workers[index].wait;
        let spins = move |role| matches!(role, Role::Worker(index) if waits(index) == Wait::Spin);
        let spinners = self.threads().filter(move |thread| spins(thread.role));
        spinners.map(|thread| {
            let beside = |other: &&ThreadPlan| *other != thread && other.core == thread.core;
            (thread, self.threads().filter(beside).collect())
        })
    }

    /// A SCHED_FIFO thread that never sleeps leaves nothing of its core to threads below it.
    fn starved(&self) -> Vec<Shortfall> {
        let mut shortfalls = Vec::new();
        for (spinner, mut others) in self.spinning() {
            let priority = spinner.policy.priority();
            others.retain(|other| priority > 0 && other.policy.priority() <= priority);
            shortfalls.extend(others.into_iter().map(|other| Shortfall::Starved {
                spinner: spinner.name.clone(),
                thread: other.name.clone(),
                core: spinner.core,
            }));
        }
        shortfalls
    }

    /// Threads that wait for each other on one core.
    fn shared(&self) -> Vec<Shortfall> {
        let mut shortfalls = Vec::new();
        let cores: BTreeSet<usize> = self.threads().map(|thread| thread.core).collect();
        for core in cores {
            let fifo = |thread: &&ThreadPlan| thread.core == core && thread.policy != Policy::Other;
            let shown = |t: &ThreadPlan| format!("{} ({})", t.name, t.policy.priority());
            let threads: Vec<String> = self.threads().filter(fifo).map(shown).collect();
            if threads.len() > 1 {
                shortfalls.push(Shortfall::FifoShared { core, threads });
            }
        }
        for (spinner, others) in self.spinning() {
            if spinner.policy == Policy::Other && !others.is_empty() {
                shortfalls.push(Shortfall::SpinShared {
                    spinner: spinner.name.clone(),
                    core: spinner.core,
                    threads: others.into_iter().map(|other| other.name.clone()).collect(),
                });
            }
        }
        shortfalls
    }

    fn throttled(&self) -> Vec<Shortfall> {
        let us_per_s = self.machine.rt_throttle_us_per_s;
        let mut workers = self.board.workers.clone();
        workers.retain(|worker| worker.wait == Wait::Spin && worker.fifo_priority > 0);
        let shortfall = |worker| Shortfall::Throttled { worker, us_per_s };
        let names = workers.into_iter().map(|worker| worker.name);
        names.filter(|_| us_per_s > 0).map(shortfall).collect()
    }

    fn absent_nodes(&self) -> Vec<Shortfall> {
        let nodes: Vec<usize> = self.machine.nodes.iter().map(|node| node.index).collect();
        let mut shortfalls = Vec::new();
        for camera in &self.board.cameras {
            if let Some(node) = camera.node.filter(|node| !nodes.contains(node)) {
                let (camera, nodes) = (camera.name.clone(), nodes.clone());
                shortfalls.push(Shortfall::NodeAbsent {
                    camera,
                    node,
                    nodes,
                });
            }
        }
        shortfalls
    }

    /// What each region asks of its node's pool.
    fn page_needs(&self) -> Vec<Pages> {
        let kib = self.board.memory.hugepage_kib;
        let pages = |region: &super::budget::Region| {
            let pool = self
                .machine
                .node(region.node)
                .and_then(|node| node.pool(kib));
            Pages {
                node: region.node,
                needed: region.bytes / (kib * KIB),
                free: pool.map_or(0, |pool| pool.free),
                total: pool.map_or(0, |pool| pool.total),
            }
        };
        self.budget.regions.iter().map(pages).collect()
    }

    fn hugepages(&self) -> Vec<Shortfall> {
        let kib = self.board.memory.hugepage_kib;
        let nodes = &self.machine.nodes;
        let pools = nodes.iter().flat_map(|node| &node.hugepages);
        let sizes: BTreeSet<u64> = pools.map(|pool| pool.kib).collect();
        if !sizes.contains(&kib) {
            // Those that the key takes.
            let takes = |kib: &u64| HUGEPAGE_SIZES_KIB.contains(kib);
            let sizes = sizes.into_iter().filter(takes).collect();
            return vec![Shortfall::HugepageSize { kib, sizes }];
        }
        let mut short = self.page_needs();
        short.retain(|pages| pages.free < pages.needed);
        if short.is_empty() {
            return Vec::new();
        }
        // The kernel's argument lists every node, so a node that has enough stands there with what it has.
        let target = |node: &super::machine::Node| {
            let total = node.pool(kib).map_or(0, |pool| pool.total);
            let theirs = short.iter().filter(|pages| pages.node == node.index);
            let missing: u64 = theirs.map(|pages| pages.needed - pages.free).sum();
            (node.index, total, total + missing)
        };
        vec![Shortfall::Hugepages {
            kib,
            default_kib: self.machine.default_hugepage_kib,
            targets: nodes.iter().map(target).collect(),
            short,
        }]
    }

    fn lock(&self) -> Vec<Shortfall> {
        let needed_bytes = self.budget.total_bytes();
        let limit = self
            .machine
            .memlock_bytes
            .filter(|limit| *limit < needed_bytes);
        let shortfall = |limit_bytes| Shortfall::Memlock {
            limit_bytes,
            needed_bytes,
        };
        limit.map(shortfall).into_iter().collect()
    }

    /// Plain memory for everything that does not come from a pool of hugepages.
    fn memory(&self) -> Vec<Shortfall> {
        let mut pooled = self.page_needs();
        pooled.retain(|pages| pages.free >= pages.needed);
        let page_bytes = self.board.memory.hugepage_kib * KIB;
        let from_pools: u64 = pooled.iter().map(|pages| pages.needed * page_bytes).sum();
        let needed_bytes = self.budget.total_bytes() - from_pools;
        let available_bytes = self.machine.available_bytes;
        if needed_bytes <= available_bytes {
            return Vec::new();
        }
        vec![Shortfall::Memory {
            available_bytes,
            needed_bytes,
        }]
    }

    fn real_time(&self) -> Vec<Shortfall> {
        let limit = self.machine.fifo_priority_limit;
        let highest = self.threads().max_by_key(|thread| thread.policy.priority());
        let above = highest.filter(|thread| thread.policy.priority() > limit);
        let shortfall = |thread: &ThreadPlan| Shortfall::NoRealTime {
            thread: thread.name.clone(),
            priority: thread.policy.priority(),
            limit,
        };
        above.map(shortfall).into_iter().collect()
    }

    fn isolation(&self) -> Vec<Shortfall> {
        let hot = |thread: &&ThreadPlan| !matches!(thread.role, Role::Housekeeping | Role::Output);
        let open = |core: &usize| {
            let core = self.machine.core(*core);
            core.is_some_and(|core| core.allowed && !core.isolated)
        };
        let hot_cores = self.threads().filter(hot).map(|thread| thread.core);
        let cores: BTreeSet<usize> = hot_cores.filter(open).collect();
        if cores.is_empty() {
            return Vec::new();
        }
        // The kernel boots on core 0 and keeps work there; and isolating the core that housekeeping runs on
        // would isolate the slow work with the fast.
        let slow = self
            .threads()
            .filter(|thread| thread.role == Role::Housekeeping);
        let slow: BTreeSet<usize> = slow.map(|thread| thread.core).chain([0]).collect();
        let isolate = cores.difference(&slow).copied().collect();
        let cores = cores.into_iter().collect();
        vec![Shortfall::NotIsolated { cores, isolate }]
    }
}
