//! The arithmetic of the budget: from a board and a machine to bytes and threads.

use super::{
    Budget, BudgetLine, DISK, Fixed, FrameNeed, Home, LOOKER, Policy, Purpose, Region, Role,
    ThreadPlan, decoding,
};
use crate::frame::{ArenaLayout, CameraNeed};
use crate::limits::queue_room;
use crate::profile::{AbsentCamera, Board, Camera, camera_slots};
use crate::resources::Machine;
use crate::units::KIB;
use std::collections::{BTreeMap, BTreeSet};

/// The node of a camera's slots: its own wish if this machine has that node, else its capture core's.
#[must_use]
pub fn camera_node(camera: &Camera, machine: &Machine) -> usize {
    let wished = camera.node.filter(|node| machine.node(*node).is_some());
    wished.unwrap_or_else(|| machine.node_of_core(camera.capture_core))
}

/// Works out the budget. `needs` has one entry for each camera, in order.
///
/// # Panics
/// When `needs` or `fixed.model_bytes` has another length than the board's cameras or workers.
#[must_use]
pub fn plan(board: &Board, machine: &Machine, needs: &[FrameNeed], fixed: &Fixed) -> Budget {
    assert_eq!(needs.len(), board.cameras.len(), "one need for each camera");
    assert_eq!(
        fixed.model_bytes.len(),
        board.workers.len(),
        "one model size for each worker"
    );
    let threads = threads(board);
    let (mut lines, regions) = frames(board, machine, needs);
    for (worker, bytes) in board.workers.iter().zip(&fixed.model_bytes) {
        let node = machine.node_of_core(worker.cores.first().copied().unwrap_or(0));
        let purpose = Purpose::Model {
            worker: worker.name.clone(),
        };
        lines.push(BudgetLine {
            purpose,
            node: Some(node),
            bytes: *bytes,
        });
    }
    for (worker, each) in board.workers.iter().zip(decoding(board, needs)) {
        let bytes = (each.copy_bytes + each.picture_bytes).next_multiple_of(machine.page_bytes);
        if bytes == 0 {
            continue;
        }
        lines.push(BudgetLine {
            purpose: Purpose::Decoding {
                worker: worker.name.clone(),
            },
            node: Some(machine.node_of_core(worker.cores.first().copied().unwrap_or(0))),
            bytes,
        });
    }
    let count =
        |wanted: fn(&ThreadPlan) -> bool| threads.iter().filter(|t| wanted(t)).count() as u64;
    let hot = count(|thread| matches!(thread.role, Role::Capture | Role::Worker(_)));
    let arena_bytes = (board.memory.malloc_arena_kib * KIB).next_multiple_of(machine.page_bytes);
    // One place of a queue stays empty.
    let places = queue_room(board.housekeeping.queue_results) as u64 + 1;
    let queued = places * board.workers.len() as u64;
    lines.extend(
        [
            (Purpose::MallocArenas, arena_bytes * hot),
            (Purpose::Stacks, fixed.stack_bytes * count(|_| true)),
            (Purpose::Results, queued * fixed.result_bytes),
            (Purpose::Histograms, fixed.histogram_bytes),
            (Purpose::Events, fixed.event_bytes),
            (Purpose::Files, fixed.file_bytes),
        ]
        .into_iter()
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(purpose, bytes)| BudgetLine {
            purpose,
            node: None,
            bytes,
        }),
    );
    // What is not part of the total stands below it.
    lines.sort_by_key(|line| !line.is_ours());
    Budget {
        lines,
        regions,
        threads,
        limit_mib: board.memory.budget_mib,
    }
}

/// One camera's part in the regions.
struct Part<'b> {
    index: usize,
    name: &'b str,
    slots: u16,
    need: FrameNeed,
}

fn frames(board: &Board, machine: &Machine, needs: &[FrameNeed]) -> (Vec<BudgetLine>, Vec<Region>) {
    let mut nodes: BTreeMap<usize, Vec<Part<'_>>> = BTreeMap::new();
    for (index, (camera, need)) in board.cameras.iter().zip(needs).enumerate() {
        nodes
            .entry(camera_node(camera, machine))
            .or_default()
            .push(Part {
                index,
                name: &camera.name,
                slots: camera_slots(camera, board.judges_of(camera)),
                need: *need,
            });
    }
    let (mut lines, mut regions) = (Vec::new(), Vec::new());
    for (node, parts) in nodes {
        let region = region(node, &parts, board.memory.hugepage_kib);
        lines.extend(region_lines(&region, &parts, board.memory.hugepage_kib));
        regions.push(region);
    }
    (lines, regions)
}

fn region(node: usize, parts: &[Part<'_>], hugepage_kib: u64) -> Region {
    let needs: Vec<CameraNeed> = parts
        .iter()
        .map(|part| CameraNeed {
            slots: part.slots,
            bytes: match part.need.home {
                Home::Region => part.need.image_bytes.into(),
                Home::Driver => 0,
            },
        })
        .collect();
    let layout = ArenaLayout::of(&needs)
        .expect("64 cameras of 512 slots of 4 GiB each fit the address space");
    Region {
        node,
        cameras: parts.iter().map(|part| part.index).collect(),
        bytes: layout.total_bytes().next_multiple_of(hugepage_kib * KIB),
        layout,
    }
}

fn region_lines(region: &Region, parts: &[Part<'_>], hugepage_kib: u64) -> Vec<BudgetLine> {
    let node = Some(region.node);
    let mut lines = Vec::new();
    let mut rest_bytes = region.bytes;
    for (part, place) in parts.iter().zip(region.layout.places()) {
        let (camera, slots) = (part.name.to_owned(), part.slots);
        let slot_bytes = place.payload_stride;
        lines.push(match part.need.home {
            Home::Region => BudgetLine {
                purpose: Purpose::Slots {
                    camera,
                    slots,
                    slot_bytes,
                },
                node,
                bytes: slot_bytes * u64::from(slots),
            },
            Home::Driver => BudgetLine {
                purpose: Purpose::DriverBuffers { camera, slots },
                node: None,
                bytes: u64::from(part.need.image_bytes) * u64::from(slots),
            },
        });
    }
    let slots = parts.iter().map(|part| u32::from(part.slots)).sum();
    lines.push(BudgetLine {
        purpose: Purpose::Headers { slots },
        node,
        bytes: region.layout.header_bytes(),
    });
    rest_bytes -= lines
        .iter()
        .filter(|line| line.is_ours())
        .map(|line| line.bytes)
        .sum::<u64>();
    if rest_bytes > 0 {
        let purpose = Purpose::Remainder { hugepage_kib };
        lines.push(BudgetLine {
            purpose,
            node,
            bytes: rest_bytes,
        });
    }
    lines
}

fn threads(board: &Board) -> Vec<ThreadPlan> {
    let cores: BTreeSet<usize> = board
        .cameras
        .iter()
        .map(|camera| camera.capture_core)
        .collect();
    let policy = Policy::from_priority(board.capture.fifo_priority);
    let capture = cores.into_iter().map(|core| ThreadPlan {
        name: format!("capture-{core}"),
        role: Role::Capture,
        core,
        policy,
    });
    let workers = board
        .workers
        .iter()
        .enumerate()
        .flat_map(|(index, worker)| {
            worker
                .cores
                .iter()
                .enumerate()
                .map(move |(nth, core)| ThreadPlan {
                    name: if nth == 0 {
                        worker.name.clone()
                    } else {
                        format!("{}/{nth}", worker.name)
                    },
                    role: if nth == 0 {
                        Role::Worker(index)
                    } else {
                        Role::Helper(index)
                    },
                    core: *core,
                    policy: Policy::from_priority(worker.fifo_priority),
                })
        });
    let housekeeping = ThreadPlan {
        name: "housekeeping".into(),
        role: Role::Housekeeping,
        core: board.housekeeping.core,
        policy: Policy::Other,
    };
    let waits = |camera: &Camera| camera.absent == AbsentCamera::Wait;
    let looker = board.cameras.iter().any(waits).then(|| ThreadPlan {
        name: LOOKER.into(),
        ..housekeeping.clone()
    });
    let disk = ThreadPlan {
        name: DISK.into(),
        ..housekeeping.clone()
    };
    let slow = [housekeeping, disk].into_iter().chain(looker);
    let outputs = board.outputs.iter().map(|output| ThreadPlan {
        name: output.name.clone(),
        role: Role::Output,
        core: board.housekeeping.core,
        policy: Policy::Other,
    });
    capture.chain(workers).chain(slow).chain(outputs).collect()
}
