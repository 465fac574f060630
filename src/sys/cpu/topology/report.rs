//! A machine in the words of `pinsight probe`.

use super::Topology;
use crate::sys::cpu::core_set::CoreSet;
use crate::units::KIB;
use std::fmt;

/// The lines of `pinsight probe`.
impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        let mib = |bytes: u64| bytes / (KIB * KIB);
        writeln!(f, "machine    {}", self.cpu)?;
        if let Some(board) = &self.board {
            writeln!(f, "board      {board}")?;
        }
        writeln!(f, "kernel     {} ({})", self.kernel, self.preemption)?;
        write!(
            f,
            "cores      {} online ({})",
            self.online.len(),
            self.online
        )?;
        if self.allowed != self.online {
            write!(f, ", this process may use {}", self.allowed)?;
        }
        writeln!(f)?;
        writeln!(f, "isolated   {}", Listed(&self.isolated))?;
        writeln!(f, "nohz_full  {}", Listed(&self.nohz_full))?;
        write!(f, "governor   ")?;
        match self.governors.as_slice() {
            [] => f.write_str("none (no frequency scaling)")?,
            [(name, _)] => f.write_str(name)?,
            several => {
                for (index, (name, cores)) in several.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{name} on {cores}")?;
                }
            }
        }
        writeln!(f)?;
        writeln!(
            f,
            "memory     {} MiB, {} MiB available",
            mib(self.total_bytes),
            mib(machine.available_bytes)
        )?;
        for node in &machine.nodes {
            let cores: CoreSet = machine
                .cores
                .iter()
                .filter(|core| core.node == node.index)
                .map(|core| core.index)
                .collect();
            write!(f, "node {:<6}cores {}", node.index, Listed(&cores))?;
            for pool in &node.hugepages {
                write!(
                    f,
                    "; hugepages of {} KiB: {} free of {}",
                    pool.kib, pool.free, pool.total
                )?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "thp        {} (transparent hugepages)",
            self.transparent_hugepages
        )?;
        match machine.fifo_priority_limit {
            0 => writeln!(
                f,
                "real time  no right to SCHED_FIFO (set LimitRTPRIO or CAP_SYS_NICE)"
            )?,
            limit => writeln!(
                f,
                "real time  SCHED_FIFO up to {limit}; the kernel keeps {} us of each second",
                machine.rt_throttle_us_per_s
            )?,
        }
        match machine.memlock_bytes {
            None => writeln!(f, "locking    without limit"),
            Some(bytes) => {
                writeln!(
                    f,
                    "locking    up to {} KiB (set LimitMEMLOCK=infinity)",
                    bytes / KIB
                )
            }
        }
    }
}

/// A set of cores, or `none`.
struct Listed<'c>(&'c CoreSet);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str("none")
        } else {
            self.0.fmt(f)
        }
    }
}
