//! The budget, and how people read it.

use super::entries::BudgetLine;
use super::frames::Region;
use super::threads::ThreadPlan;
use crate::columns::{COLUMNS, Cell};
use crate::units::MIB;
use std::fmt;
use thiserror::Error;

/// Columns beside a purpose: its node, its bytes and its MiB.
const FIGURES: usize = 33;

/// Every byte and every thread of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes by purpose.
    pub lines: Vec<BudgetLine>,
    /// The mapping of each node, ascending.
    pub regions: Vec<Region>,
    /// Threads by core.
    pub threads: Vec<ThreadPlan>,
    /// The profile's `budget-mib`.
    pub limit_mib: u64,
}

impl Budget {
    /// All bytes that this program allocates.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.lines
            .iter()
            .filter(|line| line.is_ours())
            .map(|line| line.bytes)
            .sum()
    }

    /// Bytes that are asked for as hugepages.
    #[must_use]
    pub fn region_bytes(&self) -> u64 {
        self.regions.iter().map(|region| region.bytes).sum()
    }

    /// Holds the total against the profile's `budget-mib`.
    ///
    /// # Errors
    /// It is more; the purpose that takes most, and what to change.
    pub fn within_limit(&self) -> Result<(), OverBudget> {
        let total_bytes = self.total_bytes();
        if total_bytes <= self.limit_mib * MIB {
            return Ok(());
        }
        let ours = || self.lines.iter().filter(|line| line.is_ours());
        let alike = |line: &BudgetLine| {
            let kind = std::mem::discriminant(&line.purpose);
            ours().filter(move |other| std::mem::discriminant(&other.purpose) == kind)
        };
        let alike_bytes = |line: &BudgetLine| alike(line).map(|line| line.bytes).sum::<u64>();
        match ours().max_by_key(|line| (alike_bytes(line), line.bytes)) {
            Some(most) => Err(OverBudget {
                total_bytes,
                limit_mib: self.limit_mib,
                alike: alike(most).count(),
                alike_bytes: alike_bytes(most),
                most: most.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// The board needs more memory than its profile allows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "memory.budget-mib: found {limit_mib}, expected at least {} for {total_bytes} bytes, of which {}{} take {alike_bytes}; {}, or raise memory.budget-mib",
    total_bytes.div_ceil(MIB), most.purpose, and_more(*alike), most.purpose.mend()
)]
pub struct OverBudget {
    /// What it needs.
    pub total_bytes: u64,
    /// What it may have.
    pub limit_mib: u64,
    /// The largest line of the purpose that takes most.
    pub most: BudgetLine,
    /// Lines of this purpose: of one camera, worker or node each.
    pub alike: usize,
    /// What they take together.
    pub alike_bytes: u64,
}

fn and_more(alike: usize) -> String {
    match alike {
        0 | 1 => String::new(),
        _ => format!(" and {} more of this kind", alike - 1),
    }
}

/// The budget in one line.
#[derive(Debug)]
pub struct Total<'b>(pub &'b Budget);

impl fmt::Display for Total<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.total_bytes();
        let (whole, part) = (bytes / MIB, bytes % MIB * 100 / MIB);
        write!(
            f,
            "memory: {whole}.{part:02} MiB of budget-mib = {}, {} threads; `pinsight check` lists them",
            self.0.limit_mib,
            self.0.threads.len()
        )
    }
}

impl fmt::Display for Budget {
    /// Two tables: bytes by purpose and node, threads by core.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.lines.iter().map(|line| line.purpose.to_string());
        let names: Vec<String> = names.collect();
        let widths = names.iter().map(|name| name.chars().count());
        let width = widths.max().unwrap_or(0).max("memory".len());
        let width = width.min(COLUMNS - FIGURES);
        let row = |f: &mut fmt::Formatter<'_>, name: &str, node: &str, bytes: u64| {
            // Hundredths of a MiB in whole numbers, cut and not rounded: the bytes stand beside them.
            let (whole, part) = (bytes / MIB, bytes % MIB * 100 / MIB);
            writeln!(
                f,
                "{}  {node:>4}  {bytes:>14}  {whole:>6}.{part:02}",
                Cell(name, width)
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
        let widths = self
            .threads
            .iter()
            .map(|thread| thread.name.chars().count());
        let width = widths.max().unwrap_or(0).clamp(24, 48);
        writeln!(f, "{:>4}  {:<width$}  policy", "core", "thread")?;
        let mut threads: Vec<&ThreadPlan> = self.threads.iter().collect();
        threads.sort_by_key(|thread| thread.core);
        for thread in threads {
            writeln!(
                f,
                "{:>4}  {}  {}",
                thread.core,
                Cell(&thread.name, width),
                thread.policy
            )?;
        }
        Ok(())
    }
}
