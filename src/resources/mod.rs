//! A profile against a machine: the budget of memory and threads, and what the machine lacks.
//!
//! Answers for: every byte by purpose and node and every thread by core, before anything is mapped; whether a machine
//! has what the profile names, and which setting mends it. Does not answer for: asking the machine anything (`sys`), or
//! whether a camera or model exists (`appliance`). All pure.
//!
//! ```text
//! Board ─ place ─► Board of this machine ─ plan ─► Budget ─ shortfalls ─► refusals, warnings
//!           ▲                                ▲       ▲
//!           └──────────── Machine ───────────┴───────┘
//! ```

pub mod budget;
#[cfg(test)]
mod fixtures;
mod machine;
mod placement;
pub mod shortfall;

pub use budget::{Budget, Fixed, plan};
pub use machine::{Core, Hugepages, Machine, Node};
pub use placement::{Moved, place};
pub use shortfall::{Finding, Severity, Shortfall, shortfalls};
