//! What machine this is: cores, nodes, pages, privileges, and what the kernel's command line says of them.
//!
//! Answers for: reading it, from any root (`/`, or a directory with captured files). Does not answer
//! for: whether a profile fits (`resources`), or cameras (`sys::device::v4l2`).
//!
//! # Source
//! Linux `Documentation/ABI/testing/sysfs-devices-system-cpu`, `Documentation/ABI/stable/sysfs-devices-node`,
//! proc(5).

mod report;

use crate::resources::{Core, Hugepages, Machine, Node};
use crate::sys::cpu::core_set::CoreSet;
use crate::sys::cpu::model_name;
use crate::sys::io::procfs;
use crate::sys::memory;
use crate::sys::memory::hugepool;
use crate::units::KIB;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// CAP_IPC_LOCK's bit: no limit on locked memory.
const CAP_IPC_LOCK: u32 = 14;
/// CAP_SYS_NICE's bit: any real-time priority.
const CAP_SYS_NICE: u32 = 23;

/// One machine, and how this process stands to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// What profiles are fitted to.
    pub machine: Machine,
    /// The processor's name.
    pub cpu: String,
    /// The board's name, where the firmware has it.
    pub board: Option<String>,
    /// The kernel's release.
    pub kernel: String,
    /// How the kernel lets itself be interrupted.
    pub preemption: Preemption,
    /// Cores that are online.
    pub online: CoreSet,
    /// Cores of them that this process may use.
    pub allowed: CoreSet,
    /// Cores kept from the scheduler (`isolcpus=`, or an isolated cpuset).
    pub isolated: CoreSet,
    /// Cores without a periodic tick while one thread runs (`nohz_full=`).
    pub nohz_full: CoreSet,
    /// Frequency governors, with the cores that each governs; empty without frequency scaling.
    pub governors: Vec<(String, CoreSet)>,
    /// Transparent huge pages: `always`, `madvise`, `never`; `absent` when the kernel has none.
    pub transparent_hugepages: String,
    /// Memory of the machine.
    pub total_bytes: u64,
}

/// How the kernel lets itself be interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preemption {
    /// PREEMPT_RT.
    RealTime,
    /// PREEMPT or PREEMPT_DYNAMIC.
    Full,
    /// At most voluntarily.
    Server,
}

impl fmt::Display for Preemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RealTime => "PREEMPT_RT",
            Self::Full => "PREEMPT",
            Self::Server => "not preemptible",
        })
    }
}

/// A file that every Linux has could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct TopologyError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub error: io::Error,
}

/// Reads the machine below `root`.
///
/// # Errors
/// `/proc` is not there, or says nothing that can be understood.
pub fn read(root: &Path) -> Result<Topology, TopologyError> {
    let files = Files { root };
    let status = files.required("proc/self/status")?;
    let meminfo = files.required("proc/meminfo")?;
    let cpuinfo = files.required("proc/cpuinfo")?;
    let kernel = files.required("proc/sys/kernel/osrelease")?;
    let allowed = files.status_cores(&status);
    let online = files
        .cores("sys/devices/system/cpu/online")
        .unwrap_or(allowed);
    let mut isolated = files
        .cores("sys/devices/system/cpu/isolated")
        .unwrap_or_default();
    isolated.extend(
        files
            .cores("sys/fs/cgroup/cpuset.cpus.isolated")
            .unwrap_or_default()
            .iter(),
    );
    let kib = |key| procfs::field(meminfo.as_bytes(), key).unwrap_or(0);
    let nodes = files.nodes();
    let machine = Machine {
        cores: online
            .iter()
            .map(|index| Core {
                index,
                node: files.node_of(index, &nodes),
                isolated: isolated.contains(index),
                allowed: allowed.contains(index),
            })
            .collect(),
        nodes: nodes
            .iter()
            .map(|index| Node {
                index,
                hugepages: files.pools(index, nodes.len() == 1),
            })
            .collect(),
        page_bytes: memory::machine_page_bytes(),
        default_hugepage_kib: kib("Hugepagesize"),
        available_bytes: kib("MemAvailable") * KIB,
        fifo_priority_limit: files.fifo_priority_limit(&status),
        memlock_bytes: files.memlock_bytes(&status),
        rt_throttle_us_per_s: files.rt_throttle_us_per_s(),
    };
    Ok(Topology {
        machine,
        cpu: model_name::name(&cpuinfo),
        board: files.board(),
        kernel,
        preemption: files.preemption(),
        online,
        allowed,
        isolated,
        nohz_full: files
            .cores("sys/devices/system/cpu/nohz_full")
            .unwrap_or_default(),
        governors: files.governors(&online),
        transparent_hugepages: files.transparent_hugepages(),
        total_bytes: kib("MemTotal") * KIB,
    })
}

impl Topology {
    /// The governor in one word, for the proof: its name, `mixed`, or `none` without frequency scaling.
    #[must_use]
    pub fn governor(&self) -> &str {
        match self.governors.as_slice() {
            [] => "none",
            [(name, _)] => name,
            _ => "mixed",
        }
    }
}

/// The files of one machine.
struct Files<'r> {
    root: &'r Path,
}

impl Files<'_> {
    fn required(&self, path: &str) -> Result<String, TopologyError> {
        let path = self.root.join(path);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned()),
            Err(error) => Err(TopologyError { path, error }),
        }
    }

    /// The file's text without its end; `None` when it is not there or says nothing.
    fn text(&self, path: &str) -> Option<String> {
        let text = self.required(path).ok()?;
        // Device tree strings end with NUL.
        let text = text.trim_end_matches('\0').trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn cores(&self, path: &str) -> Option<CoreSet> {
        // The kernel writes `(null)` for an empty mask of some files.
        CoreSet::parse(&self.text(path)?)
    }

    fn status_cores(&self, status: &str) -> CoreSet {
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        list.and_then(CoreSet::parse).unwrap_or_default()
    }

    /// Nodes that have memory; node 0 where the kernel knows no nodes.
    fn nodes(&self) -> CoreSet {
        self.cores("sys/devices/system/node/has_memory")
            .filter(|nodes| !nodes.is_empty())
            .unwrap_or_else(|| CoreSet::single(0))
    }

    fn node_of(&self, core: usize, nodes: &CoreSet) -> usize {
        // A node without memory may have cores; they count as on the first node.
        let has = |node: &usize| {
            self.cores(&format!("sys/devices/system/node/node{node}/cpulist"))
                .is_some_and(|cores| cores.contains(core))
        };
        nodes
            .iter()
            .find(has)
            .or_else(|| nodes.first())
            .unwrap_or(0)
    }

    /// Pools of huge pages of a node; the machine's where the kernel shows none by node.
    fn pools(&self, node: usize, only: bool) -> Vec<Hugepages> {
        let mut pools = Vec::new();
        for bytes in hugepool::sizes(self.root) {
            let machine = hugepool::read(self.root, bytes, None);
            let own = hugepool::read(self.root, bytes, Some(node)).or(machine.filter(|_| only));
            let (Some(machine), Some(own)) = (machine, own) else {
                continue;
            };
            pools.push(Hugepages {
                kib: bytes / KIB,
                total: own.total,
                // Promised pages are counted for the whole machine only.
                free: own.free.min(machine.available()),
            });
        }
        pools
    }

    fn has_capability(&self, status: &str, bit: u32) -> bool {
        let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
        mask.unwrap_or(0) & (1 << bit) != 0
    }

    /// The soft limit of a line of /proc/self/limits; `None` is unlimited.
    fn limit(&self, name: &str) -> Option<u64> {
        let limits = self.text("proc/self/limits").unwrap_or_default();
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        let soft = line.and_then(|rest| rest.split_ascii_whitespace().next());
        match soft {
            Some("unlimited") => None,
            soft => Some(soft.and_then(|number| number.parse().ok()).unwrap_or(0)),
        }
    }

    fn fifo_priority_limit(&self, status: &str) -> u32 {
        if self.has_capability(status, CAP_SYS_NICE) {
            return 99;
        }
        let limit = self.limit("Max realtime priority").unwrap_or(99).min(99);
        u32::try_from(limit).unwrap_or(99)
    }

    fn memlock_bytes(&self, status: &str) -> Option<u64> {
        if self.has_capability(status, CAP_IPC_LOCK) {
            return None;
        }
        self.limit("Max locked memory")
    }

    fn rt_throttle_us_per_s(&self) -> u64 {
        let number = |name: &str| -> Option<i64> {
            self.text(&format!("proc/sys/kernel/{name}"))?.parse().ok()
        };
        let runtime = number("sched_rt_runtime_us").unwrap_or(-1);
        let period = number("sched_rt_period_us")
            .filter(|&us| us > 0)
            .unwrap_or(1_000_000);
        if runtime < 0 || runtime >= period {
            return 0;
        }
        let kept = u128::from((period - runtime).unsigned_abs());
        u64::try_from(kept * 1_000_000 / u128::from(period.unsigned_abs())).unwrap_or(1_000_000)
    }

    fn board(&self) -> Option<String> {
        let paths = [
            "proc/device-tree/model",
            "sys/firmware/devicetree/base/model",
            "sys/devices/virtual/dmi/id/product_name",
        ];
        paths.iter().find_map(|path| self.text(path))
    }

    fn preemption(&self) -> Preemption {
        let version = self.text("proc/version").unwrap_or_default();
        if self.text("sys/kernel/realtime").as_deref() == Some("1")
            || version.contains("PREEMPT_RT")
        {
            Preemption::RealTime
        } else if version.contains(" PREEMPT ") || version.contains("PREEMPT_DYNAMIC") {
            Preemption::Full
        } else {
            Preemption::Server
        }
    }

    fn governors(&self, online: &CoreSet) -> Vec<(String, CoreSet)> {
        let mut governors: Vec<(String, CoreSet)> = Vec::new();
        for core in online.iter() {
            let path = format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
            let Some(name) = self.text(&path) else {
                continue;
            };
            match governors.iter_mut().find(|(known, _)| *known == name) {
                Some((_, cores)) => cores.extend([core]),
                None => governors.push((name, CoreSet::single(core))),
            }
        }
        governors
    }

    fn transparent_hugepages(&self) -> String {
        let modes = self
            .text("sys/kernel/mm/transparent_hugepage/enabled")
            .unwrap_or_default();
        let chosen = modes
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'));
        chosen.map_or("absent", |(mode, _)| mode).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::MIB;

    /// A directory with captured files.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            for (path, text) in files {
                tree.write(path, text);
            }
            tree
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn read(&self) -> Topology {
            read(self.0.path()).unwrap()
        }
    }

    const STATUS: (&str, &str) = (
        "proc/self/status",
        "Name:\tx\nCapEff:\t0000000000000000\nCpus_allowed_list:\t0-5\n",
    );
    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal: 7990000 kB\nMemFree: 1 kB\nMemAvailable: 6000000 kB\nHugepagesize: 2048 kB\n",
    );
    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
        Max locked memory         8388608              8388608              bytes     \n\
        Max realtime priority     40                   40                             \n";

    /// A Jetson Orin Nano as its files show it, with two cores isolated.
    fn jetson() -> Tree {
        let core = "CPU implementer\t: 0x41\nCPU part\t: 0xd42\n\n";
        let tree = Tree::new(&[
            STATUS,
            MEMINFO,
            ("proc/cpuinfo", &core.repeat(6)),
            ("proc/self/limits", LIMITS),
            ("proc/sys/kernel/osrelease", "5.15.136-rt-tegra\n"),
            ("proc/sys/kernel/sched_rt_runtime_us", "950000\n"),
            ("proc/sys/kernel/sched_rt_period_us", "1000000\n"),
            (
                "proc/version",
                "Linux version 5.15.136-rt-tegra (gcc) #1 SMP PREEMPT_RT Mon\n",
            ),
            (
                "proc/device-tree/model",
                "NVIDIA Jetson Orin Nano Developer Kit\0",
            ),
            ("sys/devices/system/cpu/online", "0-5\n"),
            ("sys/devices/system/cpu/isolated", "4-5\n"),
            ("sys/devices/system/cpu/nohz_full", "4-5\n"),
            (
                "sys/kernel/mm/transparent_hugepage/enabled",
                "always [madvise] never\n",
            ),
        ]);
        for core in 0..6 {
            let name = if core < 4 { "schedutil" } else { "performance" };
            let path = format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
            tree.write(&path, name);
        }
        for (file, count) in [("nr", "32"), ("free", "30"), ("resv", "6")] {
            let path = format!("sys/kernel/mm/hugepages/hugepages-2048kB/{file}_hugepages");
            tree.write(&path, count);
        }
        tree
    }

    #[test]
    fn a_board_without_numa_is_one_node_with_the_machines_pools() {
        let found = jetson().read();
        assert_eq!(found.cpu, "6 x Cortex-A78AE");
        assert_eq!(
            found.board.as_deref(),
            Some("NVIDIA Jetson Orin Nano Developer Kit")
        );
        assert_eq!(found.preemption, Preemption::RealTime);
        assert_eq!(found.kernel, "5.15.136-rt-tegra");
        assert_eq!(found.isolated.to_string(), "4-5");
        assert_eq!(found.nohz_full.to_string(), "4-5");
        assert_eq!(found.governor(), "mixed");
        assert_eq!(found.transparent_hugepages, "madvise");
        let machine = &found.machine;
        assert_eq!(machine.cores.len(), 6);
        assert!(
            machine
                .cores
                .iter()
                .all(|core| core.node == 0 && core.allowed)
        );
        assert!(machine.core(5).unwrap().isolated && !machine.core(3).unwrap().isolated);
        assert_eq!(machine.nodes.len(), 1);
        let pool = machine.nodes[0].pool(2048).unwrap();
        assert_eq!((pool.total, pool.free), (32, 24));
        assert_eq!(machine.available_bytes, 6_000_000 * KIB);
        assert_eq!(machine.fifo_priority_limit, 40);
        assert_eq!(machine.memlock_bytes, Some(8 * MIB));
        assert_eq!(machine.rt_throttle_us_per_s, 50_000);
    }

    #[test]
    fn cores_and_pools_are_told_by_node_where_there_are_several() {
        let tree = jetson();
        tree.write("sys/devices/system/node/has_memory", "0-1\n");
        tree.write("sys/devices/system/node/node0/cpulist", "0-2\n");
        tree.write("sys/devices/system/node/node1/cpulist", "3-5\n");
        for (node, free) in [(0, "28"), (1, "2")] {
            let pool = format!("sys/devices/system/node/node{node}/hugepages/hugepages-2048kB");
            tree.write(&format!("{pool}/nr_hugepages"), "16\n");
            tree.write(&format!("{pool}/free_hugepages"), free);
        }
        let machine = tree.read().machine;
        assert_eq!(machine.core(2).unwrap().node, 0);
        assert_eq!(machine.core(3).unwrap().node, 1);
        let free: Vec<u64> = machine
            .nodes
            .iter()
            .map(|node| node.hugepages[0].free)
            .collect();
        assert_eq!(free, [24, 2], "six pages are promised to somebody");
    }

    #[test]
    fn capabilities_lift_both_limits() {
        let tree = jetson();
        let caps = (1_u64 << CAP_SYS_NICE) | (1 << CAP_IPC_LOCK);
        let status = format!("CapEff:\t{caps:016x}\nCpus_allowed_list:\t1-2\n");
        tree.write("proc/self/status", &status);
        let found = tree.read();
        assert_eq!(found.machine.fifo_priority_limit, 99);
        assert_eq!(found.machine.memlock_bytes, None);
        assert_eq!(found.allowed.to_string(), "1-2");
        assert!(!found.machine.core(0).unwrap().allowed);
        assert_eq!(found.machine.usable_cores(), [1, 2]);
    }

    #[test]
    fn a_kernel_that_does_not_throttle_keeps_nothing() {
        let tree = jetson();
        tree.write("proc/sys/kernel/sched_rt_runtime_us", "-1\n");
        assert_eq!(tree.read().machine.rt_throttle_us_per_s, 0);
        tree.write("proc/sys/kernel/sched_rt_runtime_us", "400000\n");
        tree.write("proc/sys/kernel/sched_rt_period_us", "500000\n");
        assert_eq!(tree.read().machine.rt_throttle_us_per_s, 200_000);
    }

    #[test]
    fn a_bare_machine_is_read_too_and_an_absent_proc_is_an_error_that_names_the_file() {
        let bare = Tree::new(&[
            STATUS,
            MEMINFO,
            ("proc/cpuinfo", ""),
            ("proc/sys/kernel/osrelease", "6.12.0\n"),
        ]);
        let found = bare.read();
        assert_eq!(found.governor(), "none");
        assert_eq!(found.transparent_hugepages, "absent");
        assert_eq!(
            (found.cpu.as_str(), found.board.as_deref()),
            ("unknown", None)
        );
        assert!(found.isolated.is_empty());
        let text = found.to_string();
        assert!(text.contains("isolated   none"), "{text}");
        assert!(text.contains("no right to SCHED_FIFO"), "{text}");
        let error = read(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(
            error.starts_with("/nonexistent/proc/self/status: "),
            "{error}"
        );
    }

    #[test]
    fn the_report_names_everything_once() {
        let text = jetson().read().to_string();
        for part in [
            "6 x Cortex-A78AE",
            "5.15.136-rt-tegra (PREEMPT_RT)",
            "6 online (0-5)",
            "isolated   4-5",
            "schedutil on 0-3, performance on 4-5",
            "node 0     cores 0-5; hugepages of 2048 KiB: 24 free of 32",
            "SCHED_FIFO up to 40",
            "up to 8192 KiB",
        ] {
            assert_eq!(text.matches(part).count(), 1, "{part} in\n{text}");
        }
    }

    #[test]
    fn this_machine_can_be_read() {
        let found = read(Path::new("/")).unwrap();
        assert!(!found.online.is_empty() && found.allowed.is_subset(&found.online));
        assert_eq!(found.machine.cores.len(), found.online.len());
        assert!(found.machine.available_bytes > 0 && !found.kernel.is_empty());
    }
}
