//! The arithmetic of the budget: from a board and a machine to bytes and threads.

use super::entries::{BudgetLine, ModelNeed, Purpose};
use super::frames::{FrameNeed, decoding, frames};
use super::table::Budget;
use super::threads::{Role, ThreadPlan, threads};
use crate::limits::queue_room;
use crate::profile::Board;
use crate::resources::machine::Machine;
use crate::units::KIB;

/// Sizes that only other modules know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// One result in a worker's queue.
    pub result_bytes: u64,
    /// All latency histograms together.
    pub histogram_bytes: u64,
    /// The locked stack of one thread.
    pub stack_bytes: u64,
    /// Tracks, and what rules know of them.
    pub event_bytes: u64,
    /// Queues and buffers of the files that a run writes.
    pub file_bytes: u64,
    /// For each worker, in order: what its models take.
    pub models: Vec<Vec<ModelNeed>>,
}

/// Works out the budget. `needs` has one entry for each camera, in order.
///
/// # Panics
/// When `needs` or `fixed.models` has another length than the board's cameras or workers.
#[must_use]
pub fn plan(board: &Board, machine: &Machine, needs: &[FrameNeed], fixed: &Fixed) -> Budget {
    assert_eq!(needs.len(), board.cameras.len(), "one need for each camera");
    assert_eq!(
        fixed.models.len(),
        board.workers.len(),
        "models for each worker"
    );
    let threads = threads(board);
    let (mut lines, regions) = frames(board, machine, needs);
    let mut of_worker = |purpose, cores: &[usize], bytes| {
        let node = machine.node_of_core(cores.first().copied().unwrap_or(0));
        let node = Some(node);
        lines.push(BudgetLine {
            purpose,
            node,
            bytes,
        });
    };
    for (worker, models) in board.workers.iter().zip(&fixed.models) {
        for need in models {
            for (part, bytes) in need.parts.iter().copied().filter(|(_, bytes)| *bytes > 0) {
                let purpose = Purpose::Model {
                    worker: worker.name.clone(),
                    model: need.model.clone(),
                    part,
                };
                of_worker(purpose, &worker.cores, bytes);
            }
        }
    }
    for (worker, each) in board.workers.iter().zip(decoding(board, needs)) {
        let bytes = (each.copy_bytes + each.picture_bytes).next_multiple_of(machine.page_bytes);
        let purpose = Purpose::Decoding {
            worker: worker.name.clone(),
        };
        if bytes > 0 {
            of_worker(purpose, &worker.cores, bytes);
        }
    }
    let count =
        |wanted: fn(&ThreadPlan) -> bool| threads.iter().filter(|t| wanted(t)).count() as u64;
    let hot = count(|thread| matches!(thread.role, Role::Capture | Role::Worker(_)));
    let arena_bytes = (board.memory.malloc_arena_kib * KIB).next_multiple_of(machine.page_bytes);
    // One place of a queue stays empty.
    let places = queue_room(board.housekeeping.queue_results) as u64 + 1;
    let queued = places * board.workers.len() as u64;
    let shared = [
        (
            Purpose::Sources,
            needs.iter().map(|need| need.own_bytes).sum(),
        ),
        (Purpose::MallocArenas, arena_bytes * hot),
        (Purpose::Stacks, fixed.stack_bytes * count(|_| true)),
        (Purpose::Results, queued * fixed.result_bytes),
        (Purpose::Histograms, fixed.histogram_bytes),
        (Purpose::Events, fixed.event_bytes),
        (Purpose::Files, fixed.file_bytes),
    ];
    let shared = shared.into_iter().filter(|(_, bytes)| *bytes > 0);
    lines.extend(shared.map(|(purpose, bytes)| BudgetLine {
        purpose,
        node: None,
        bytes,
    }));
    // What is not part of the total stands below it.
    lines.sort_by_key(|line| !line.is_ours());
    Budget {
        lines,
        regions,
        threads,
        limit_mib: board.memory.budget_mib,
    }
}
