//! The ways in which a machine can lack what a board asks for, each with the setting that mends it.

use crate::units::{KIB, MIB};
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
        write!(
            f,
            "{}: core {} is not there, core {} serves instead (absent-core = \"wrap\")",
            self.key, self.from, self.to
        )
    }
}

/// What one region asks of its node's pool of hugepages, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// NUMA node.
    pub node: usize,
    /// What the region takes.
    pub needed: u64,
    /// What a new mapping can have.
    pub free: u64,
    /// What there is.
    pub total: u64,
}

/// Something that the board asks for and the machine lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A thread's core is offline, does not exist, or is outside this process's cpuset.
    CoreAbsent {
        /// The thread.
        thread: String,
        /// Its core.
        core: usize,
        /// The core is there, and only this process may not use it.
        online: bool,
        /// The cores that it may use.
        usable: Vec<usize>,
    },
    /// A worker that never sleeps, under SCHED_FIFO, leaves nothing to another thread of its core.
    Starved {
        /// The worker.
        spinner: String,
        /// The thread that would never run.
        thread: String,
        /// Their core.
        core: usize,
    },
    /// Not enough plain memory.
    Memory {
        /// What can be had.
        available_bytes: u64,
        /// What the budget takes beside the hugepages that there are.
        needed_bytes: u64,
    },
    /// A camera's node does not exist.
    NodeAbsent {
        /// The camera.
        camera: String,
        /// Its node.
        node: usize,
        /// The nodes that there are.
        nodes: Vec<usize>,
    },
    /// The kernel has no hugepages of this size.
    HugepageSize {
        /// The profile's size.
        kib: u64,
        /// The sizes that there are.
        sizes: Vec<u64>,
    },
    /// Too few free hugepages.
    Hugepages {
        /// Their size.
        kib: u64,
        /// The size that `vm.nr_hugepages` speaks of.
        default_kib: u64,
        /// The nodes that have too few.
        short: Vec<Pages>,
        /// For every node: number, pages that there are, pages that there should be.
        targets: Vec<(usize, u64, u64)>,
    },
    /// This process may not lock that much.
    Memlock {
        /// What it may lock.
        limit_bytes: u64,
        /// What it has to lock.
        needed_bytes: u64,
    },
    /// This process may not take a thread's SCHED_FIFO priority.
    NoRealTime {
        /// The thread with the highest.
        thread: String,
        /// Its priority.
        priority: u32,
        /// The highest that may be taken; 0 is none.
        limit: u32,
    },
    /// Several SCHED_FIFO threads on one core.
    FifoShared {
        /// The core.
        core: usize,
        /// Threads and priorities.
        threads: Vec<(String, u32)>,
    },
    /// A worker that never sleeps shares its core.
    SpinShared {
        /// The worker.
        spinner: String,
        /// Its core.
        core: usize,
        /// The other threads there.
        threads: Vec<String>,
    },
    /// The kernel stops a worker that never sleeps, to protect itself.
    Throttled {
        /// The worker.
        worker: String,
        /// Microseconds of each second.
        us_per_s: u64,
    },
    /// Capture and inference run on cores that the scheduler also gives to others.
    NotIsolated {
        /// The cores.
        cores: Vec<usize>,
        /// Those of them that can be isolated as the profile stands.
        isolate: Vec<usize>,
    },
}

impl fmt::Display for Misfit {
    /// What is wrong, then the setting that mends it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CoreAbsent {
                thread,
                core,
                online,
                usable,
            } => {
                let state = if *online {
                    "is outside this process's cpuset"
                } else {
                    "is offline or does not exist"
                };
                write!(
                    f,
                    "thread {thread}: core {core} {state}, expected one of {}; change the profile's core, or set absent-core = \"wrap\"",
                    cpu_list(usable)
                )
            }
            Self::Starved {
                spinner,
                thread,
                core,
            } => write!(
                f,
                "worker {spinner} never sleeps under SCHED_FIFO on core {core}, so that thread {thread} would never run there; set wait = \"spin-then-park\", or give the worker a core of its own"
            ),
            Self::Memory {
                available_bytes,
                needed_bytes,
            } => write!(
                f,
                "{needed_bytes} bytes of plain memory are needed and {available_bytes} can be had; lower camera.ring-slots or the picture's size, or free memory"
            ),
            Self::NodeAbsent {
                camera,
                node,
                nodes,
            } => write!(
                f,
                "camera {camera}: node {node} does not exist, expected one of {}; change or remove camera.node",
                cpu_list(nodes)
            ),
            Self::HugepageSize { kib, sizes } => {
                let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
                let sizes = if sizes.is_empty() {
                    "none".into()
                } else {
                    sizes.join(", ")
                };
                write!(
                    f,
                    "the kernel has no hugepages of {kib} KiB, its sizes in KiB: {sizes}; change memory.hugepage-kib"
                )
            }
            Self::Hugepages {
                kib,
                default_kib,
                short,
                targets,
            } => {
                for (index, pages) in short.iter().enumerate() {
                    let between = if index > 0 { ", " } else { "" };
                    write!(
                        f,
                        "{between}node {}: hugepages of {kib} KiB: {} needed, {} of {} free",
                        pages.node, pages.needed, pages.free, pages.total
                    )?;
                }
                write!(f, "; {}", hugepage_setting(*kib, *default_kib, targets))
            }
            Self::Memlock {
                limit_bytes,
                needed_bytes,
            } => write!(
                f,
                "{needed_bytes} bytes are to be locked and {limit_bytes} may be; set LimitMEMLOCK=infinity in the unit, or `ulimit -l {}` before the start",
                needed_bytes.div_ceil(KIB)
            ),
            Self::NoRealTime {
                thread,
                priority,
                limit,
            } => write!(
                f,
                "thread {thread}: SCHED_FIFO {priority} is above the {limit} that this process may take; set LimitRTPRIO={priority} in the unit, or fifo-priority = {limit}"
            ),
            Self::FifoShared { core, threads } => {
                let threads: Vec<String> = threads
                    .iter()
                    .map(|(name, priority)| format!("{name} ({priority})"))
                    .collect();
                write!(
                    f,
                    "core {core}: {} share it under SCHED_FIFO, each waits while another of at least its priority runs; give them cores of their own",
                    threads.join(", ")
                )
            }
            Self::SpinShared {
                spinner,
                core,
                threads,
            } => write!(
                f,
                "worker {spinner} never sleeps on core {core}, the core of {} too; set wait = \"spin-then-park\", or give the worker a core of its own",
                threads.join(", ")
            ),
            Self::Throttled { worker, us_per_s } => write!(
                f,
                "worker {worker} never sleeps under SCHED_FIFO, and the kernel stops such threads for {us_per_s} µs of each second; run `sysctl kernel.sched_rt_runtime_us=-1`, or set wait = \"spin-then-park\" or fifo-priority = 0"
            ),
            Self::NotIsolated { cores, isolate } if isolate.is_empty() => write!(
                f,
                "core {}: not isolated, other programs may delay capture and inference; move the threads to cores other than 0 and housekeeping's, then isolate those",
                cpu_list(cores)
            ),
            Self::NotIsolated { cores, isolate } => {
                let list = cpu_list(isolate);
                write!(
                    f,
                    "core {}: not isolated, other programs may delay capture and inference; kernel arguments `isolcpus={list} nohz_full={list} rcu_nocbs={list}`",
                    cpu_list(cores)
                )
            }
        }
    }
}

impl std::error::Error for Misfit {}

/// The command or kernel argument that gives every node its pages.
///
/// # Source
/// Linux `Documentation/admin-guide/mm/hugetlbpage.rst`: `vm.nr_hugepages` is for the default size over
/// all nodes; a node's own pool is in its sysfs directory; pages of 1 GiB are best had at boot, with
/// `hugepages=<node>:<count>,…` after `hugepagesz=`.
fn hugepage_setting(kib: u64, default_kib: u64, targets: &[(usize, u64, u64)]) -> String {
    if kib * KIB >= 1024 * MIB {
        let counts = match targets {
            [(_, _, wanted)] => wanted.to_string(),
            _ => {
                let counts: Vec<String> = targets
                    .iter()
                    .map(|(node, _, wanted)| format!("{node}:{wanted}"))
                    .collect();
                counts.join(",")
            }
        };
        return format!(
            "kernel arguments `hugepagesz={}G hugepages={counts}`",
            kib * KIB / (1024 * MIB)
        );
    }
    if let ([(_, _, wanted)], true) = (targets, kib == default_kib) {
        return format!("run `sysctl vm.nr_hugepages={wanted}`");
    }
    let commands: Vec<String> = targets
        .iter()
        .filter(|(_, total, wanted)| wanted > total)
        .map(|(node, _, wanted)| {
            format!("`echo {wanted} > /sys/devices/system/node/node{node}/hugepages/hugepages-{kib}kB/nr_hugepages`")
        })
        .collect();
    format!("run {}", commands.join(" and "))
}

/// Numbers as the kernel writes lists of them: `0-3,6`.
fn cpu_list(numbers: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let texts: Vec<String> = runs
        .iter()
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    if texts.is_empty() {
        "none".into()
    } else {
        texts.join(",")
    }
}
