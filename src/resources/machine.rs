//! What a profile is fitted to: a machine's cores, nodes, pages and rights. `sys` fills it in.

/// One machine, as this process may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The cores that are online, by number.
    pub cores: Vec<Core>,
    /// The NUMA nodes that have memory, by number; a machine without NUMA has node 0.
    pub nodes: Vec<Node>,
    /// Size of a plain page.
    pub page_bytes: u64,
    /// The hugepage size that `vm.nr_hugepages` speaks of (`Hugepagesize` in `/proc/meminfo`).
    pub default_hugepage_kib: u64,
    /// Memory that can be had without swapping (`MemAvailable`); reserved hugepages are not part of it.
    pub available_bytes: u64,
    /// Highest SCHED_FIFO priority that this process may take; 0 when it has no real-time right.
    pub fifo_priority_limit: u32,
    /// What it may lock; `None` without a limit.
    pub memlock_bytes: Option<u64>,
    /// Microseconds of each second that the kernel keeps from SCHED_FIFO threads; 0 when it keeps none.
    pub rt_throttle_us_per_s: u64,
}

/// A core that is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Core {
    /// The kernel's number.
    pub index: usize,
    /// Its NUMA node.
    pub node: usize,
    /// Kept from the scheduler's balancing (`isolcpus`, or an isolated cpuset).
    pub isolated: bool,
    /// This process may run on it (its cpuset has it).
    pub allowed: bool,
}

/// A NUMA node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The kernel's number.
    pub index: usize,
    /// Its pools of hugepages, one for each size that the kernel knows.
    pub hugepages: Vec<Hugepages>,
}

/// The hugepages of one size on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hugepages {
    /// Size of one.
    pub kib: u64,
    /// How many there are.
    pub total: u64,
    /// How many a new mapping can have: free, and promised to no other.
    pub free: u64,
}

impl Machine {
    /// The core with this number, if it is online.
    #[must_use]
    pub fn core(&self, index: usize) -> Option<Core> {
        self.cores.iter().copied().find(|core| core.index == index)
    }

    /// The node with this number.
    #[must_use]
    pub fn node(&self, index: usize) -> Option<&Node> {
        self.nodes.iter().find(|node| node.index == index)
    }

    /// Numbers of the cores that this process may use, ascending.
    #[must_use]
    pub fn usable_cores(&self) -> Vec<usize> {
        let mut cores: Vec<usize> = self
            .cores
            .iter()
            .filter(|core| core.allowed)
            .map(|core| core.index)
            .collect();
        cores.sort_unstable();
        cores
    }

    /// The node whose memory is nearest to a core; the first node when the core is not known.
    #[must_use]
    pub fn node_of_core(&self, index: usize) -> usize {
        let first = self.nodes.first().map_or(0, |node| node.index);
        self.core(index).map_or(first, |core| core.node)
    }
}

impl Node {
    /// The pool of hugepages of this size.
    #[must_use]
    pub fn pool(&self, kib: u64) -> Option<Hugepages> {
        self.hugepages.iter().copied().find(|pool| pool.kib == kib)
    }
}
