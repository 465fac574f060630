//! The ways in which a machine can lack what a board asks for, each with the setting that mends it.

use crate::units::{KIB, MIB};
use thiserror::Error;

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

/// Something that the board asks for and the machine lacks. `Display`: what is wrong, then the setting that mends it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Shortfall {
    /// A thread's core is offline, does not exist, or is outside this process's cpuset.
    #[error("thread {thread}: core {core} {}, expected one of {}; change the profile's core{}", state(*online), cpu_list(usable), or_wrap(*strict))]
    CoreAbsent {
        /// The thread.
        thread: String,
        /// Its core.
        core: usize,
        /// The core is there, and only this process may not use it.
        online: bool,
        /// The cores that it may use.
        usable: Vec<usize>,
        /// The profile lets nothing be replaced.
        strict: bool,
    },
    /// A worker that never sleeps, under SCHED_FIFO, leaves nothing to another thread of its core.
    #[error(
        "worker {spinner} never sleeps under SCHED_FIFO on core {core}, so that thread {thread} would never run there; set wait = \"spin-then-park\", or give the worker a core of its own"
    )]
    Starved {
        /// The worker.
        spinner: String,
        /// The thread that would never run.
        thread: String,
        /// Their core.
        core: usize,
    },
    /// Not enough plain memory.
    #[error(
        "{needed_bytes} bytes of plain memory are needed and {available_bytes} can be had; lower camera.ring-slots or the picture's size, or free memory"
    )]
    Memory {
        /// What can be had.
        available_bytes: u64,
        /// What the budget takes beside the hugepages that there are.
        needed_bytes: u64,
    },
    /// A camera's node does not exist.
    #[error(
        "camera {camera}: node {node} does not exist, expected one of {}; change or remove camera.node",
        cpu_list(nodes)
    )]
    NodeAbsent {
        /// The camera.
        camera: String,
        /// Its node.
        node: usize,
        /// The nodes that there are.
        nodes: Vec<usize>,
    },
    /// The kernel has no hugepages of this size.
    #[error(
        "the kernel has no hugepages of {kib} KiB, its sizes in KiB: {}; change memory.hugepage-kib",
        or_none(sizes, ", ")
    )]
    HugepageSize {
        /// The profile's size.
        kib: u64,
        /// The sizes that there are.
        sizes: Vec<u64>,
    },
    /// Too few free hugepages.
    #[error("{}; {}", too_few(*kib, short), hugepage_setting(*kib, *default_kib, targets))]
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
    #[error("{needed_bytes} bytes are to be locked and {limit_bytes} may be; set LimitMEMLOCK=infinity in the unit, or `ulimit -l {}` before the start", needed_bytes.div_ceil(KIB))]
    Memlock {
        /// What it may lock.
        limit_bytes: u64,
        /// What it has to lock.
        needed_bytes: u64,
    },
    /// This process may not take a thread's SCHED_FIFO priority.
    #[error(
        "thread {thread}: SCHED_FIFO {priority} is above the {limit} that this process may take; set LimitRTPRIO={priority} in the unit, or fifo-priority = {limit}"
    )]
    NoRealTime {
        /// The thread with the highest.
        thread: String,
        /// Its priority.
        priority: u32,
        /// The highest that may be taken; 0 is none.
        limit: u32,
    },
    /// Several SCHED_FIFO threads on one core.
    #[error("core {core}: {} share it under SCHED_FIFO, each waits while another of at least its priority runs; give them cores of their own", threads.join(", "))]
    FifoShared {
        /// The core.
        core: usize,
        /// The threads, each with its priority.
        threads: Vec<String>,
    },
    /// A worker that never sleeps shares its core.
    #[error("worker {spinner} never sleeps on core {core}, the core of {} too; set wait = \"spin-then-park\", or give the worker a core of its own", threads.join(", "))]
    SpinShared {
        /// The worker.
        spinner: String,
        /// Its core.
        core: usize,
        /// The other threads there.
        threads: Vec<String>,
    },
    /// The kernel stops a worker that never sleeps, to protect itself.
    #[error(
        "worker {worker} never sleeps under SCHED_FIFO, and the kernel stops such threads for {us_per_s} µs of each second; run `sysctl kernel.sched_rt_runtime_us=-1`, or set wait = \"spin-then-park\" or fifo-priority = 0"
    )]
    Throttled {
        /// The worker.
        worker: String,
        /// Microseconds of each second.
        us_per_s: u64,
    },
    /// Capture and inference run on cores that the scheduler also gives to others.
    #[error(
        "core {}: not isolated, other programs may delay capture and inference; {}",
        cpu_list(cores),
        isolation_setting(isolate)
    )]
    NotIsolated {
        /// The cores.
        cores: Vec<usize>,
        /// Those of them that can be isolated as the profile stands.
        isolate: Vec<usize>,
    },
}

fn state(online: bool) -> &'static str {
    if online {
        "is outside this process's cpuset"
    } else {
        "is offline or does not exist"
    }
}

/// With `strict = true` a profile may not say this.
fn or_wrap(strict: bool) -> &'static str {
    if strict {
        ""
    } else {
        ", or set absent-core = \"wrap\""
    }
}

fn isolation_setting(isolate: &[usize]) -> String {
    if isolate.is_empty() {
        return "move the threads to cores other than 0 and housekeeping's, then isolate those"
            .into();
    }
    let list = cpu_list(isolate);
    format!("kernel arguments `isolcpus={list} nohz_full={list} rcu_nocbs={list}`")
}

fn too_few(kib: u64, short: &[Pages]) -> String {
    let nodes = short.iter().map(|pages| {
        let Pages {
            node,
            needed,
            free,
            total,
        } = pages;
        format!("node {node}: hugepages of {kib} KiB: {needed} needed, {free} of {total} free")
    });
    or_none(nodes, ", ")
}

/// The command or kernel argument that gives every node its pages.
///
/// # Source
/// Linux `Documentation/admin-guide/mm/hugetlbpage.rst`: `vm.nr_hugepages` is for the default size over
/// all nodes; a node's own pool is in its sysfs directory; pages of 1 GiB are best had at boot, with
/// `hugepages=<node>:<count>,…` after `hugepagesz=`.
fn hugepage_setting(kib: u64, default_kib: u64, targets: &[(usize, u64, u64)]) -> String {
    let only = <&[_; 1]>::try_from(targets)
        .ok()
        .map(|[(_, _, wanted)]| wanted);
    if kib * KIB >= 1024 * MIB {
        let counts = targets
            .iter()
            .map(|(node, _, wanted)| format!("{node}:{wanted}"));
        let counts = only.map_or_else(|| or_none(counts, ","), u64::to_string);
        let gib = kib * KIB / (1024 * MIB);
        return format!("kernel arguments `hugepagesz={gib}G hugepages={counts}`");
    }
    if let Some(wanted) = only.filter(|_| kib == default_kib) {
        return format!("run `sysctl vm.nr_hugepages={wanted}`");
    }
    let short = targets.iter().filter(|(_, total, wanted)| wanted > total);
    let commands = short.map(|(node, _, wanted)| {
        format!("`echo {wanted} > /sys/devices/system/node/node{node}/hugepages/hugepages-{kib}kB/nr_hugepages`")
    });
    format!("run {}", or_none(commands, " and "))
}

/// Numbers as the kernel writes lists of them: `0-3,6`.
fn cpu_list(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let runs = runs.map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        _ => run[0].to_string(),
    });
    or_none(runs, ",")
}

fn or_none<T: ToString>(items: impl IntoIterator<Item = T>, between: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        "none".into()
    } else {
        items.join(between)
    }
}
