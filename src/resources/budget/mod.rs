//! The budget: every byte by purpose and node, every thread by core, before anything is mapped.
//!
//! Pure arithmetic over a [`Board`](crate::profile::Board), a [`Machine`](crate::resources::Machine) and a few
//! sizes that other modules know. It is done twice: from the profile alone (`pinsight check`), and again
//! with what the cameras agreed to.

mod entries;
mod frames;
mod plan;
mod table;
#[cfg(test)]
mod tests;
mod threads;

pub use entries::{BudgetLine, ModelNeed, ModelPart, Purpose};
pub use frames::{FrameNeed, Home, Region, camera_node, decoding};
pub use plan::{Fixed, plan};
pub use table::{Budget, OverBudget, Total};
pub use threads::{DISK, LOOKER, Policy, Role, ThreadPlan};
