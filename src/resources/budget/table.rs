//! The budget as people read it.

use super::{Budget, OverBudget, Policy, Purpose, ThreadPlan};
use crate::units::MIB;
use std::fmt;

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slots {
                camera,
                slots,
                slot_bytes,
            } => {
                write!(f, "slots of camera {camera}, {slots} of {slot_bytes}")
            }
            Self::Headers { slots } => write!(f, "headers of {slots} slots"),
            Self::Remainder { hugepage_kib } => {
                write!(f, "alignment to pages of {hugepage_kib} KiB")
            }
            Self::Model { worker } => write!(f, "model of worker {worker}"),
            Self::Decoding { worker } => write!(f, "decoding by worker {worker}"),
            Self::Results => f.write_str("queues of results"),
            Self::Histograms => f.write_str("latency histograms"),
            Self::Events => f.write_str("tracks and rules"),
            Self::MallocArenas => f.write_str("arenas for malloc of libraries"),
            Self::Stacks => f.write_str("stacks of threads"),
            Self::Files => f.write_str("queues and buffers of files"),
            Self::DriverBuffers { camera, slots } => {
                write!(f, "driver buffers (not ours) of camera {camera}, {slots}")
            }
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

impl fmt::Display for Budget {
    /// Two tables: bytes by purpose and node, threads by core.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .lines
            .iter()
            .map(|line| line.purpose.to_string())
            .collect();
        let width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0)
            .max("memory".len());
        let row = |f: &mut fmt::Formatter<'_>, name: &str, node: &str, bytes: u64| {
            // Hundredths of a MiB in whole numbers, cut and not rounded: the bytes stand beside them.
            let (whole, part) = (bytes / MIB, bytes % MIB * 100 / MIB);
            writeln!(
                f,
                "{name:<width$}  {node:>4}  {bytes:>14}  {whole:>6}.{part:02}"
            )
        };
        writeln!(
            f,
            "{:<width$}  {:>4}  {:>14}  {:>9}",
            "memory", "node", "bytes", "MiB"
        )?;
        let mut lines = self.lines.iter().zip(&names).peekable();
        while let Some((line, name)) = lines.next_if(|(line, _)| line.is_ours()) {
            let node = line.node.map_or("-".into(), |node| node.to_string());
            row(f, name, &node, line.bytes)?;
        }
        row(f, "total", "", self.total_bytes())?;
        row(f, "budget-mib", "", self.limit_mib * MIB)?;
        for (line, name) in lines {
            row(f, name, "-", line.bytes)?;
        }
        writeln!(f)?;
        writeln!(f, "{:>4}  {:<24}  policy", "core", "thread")?;
        let mut threads: Vec<&ThreadPlan> = self.threads.iter().collect();
        threads.sort_by_key(|thread| thread.core);
        for thread in threads {
            writeln!(
                f,
                "{:>4}  {:<24}  {}",
                thread.core, thread.name, thread.policy
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "memory.budget-mib: found {}, expected at least {} for {} bytes, of which {}",
            self.limit_mib,
            self.total_bytes.div_ceil(MIB),
            self.total_bytes,
            self.most.purpose,
        )?;
        if self.alike > 1 {
            write!(f, " and {} more of this kind", self.alike - 1)?;
        }
        write!(
            f,
            " take {}; lower {}, or raise memory.budget-mib",
            self.alike_bytes,
            self.most.purpose.setting(),
        )
    }
}

impl std::error::Error for OverBudget {}
