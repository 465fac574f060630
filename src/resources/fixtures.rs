//! Machines and boards that the tests of this module share.

use super::budget::{Budget, Fixed, FrameNeed, ModelNeed, ModelPart, plan};
use super::machine::{Core, Hugepages, Machine, Node};
use crate::profile::{Board, read};

/// A camera of 1080p NV12 on core 0, a worker with one core on core 1; `tail` is more of the file.
#[track_caller]
pub(super) fn board(top: &str, camera: &str, worker: &str, tail: &str) -> Board {
    let text = format!(
        "name = \"b\"\n{top}\n[[camera]]\nname = \"front\"\nsource = \"pattern\"\nformat = \"NV12\"\nwidth-px = 1920\nheight-px = 1080\nrate-hz = 30\n{camera}\n\
         [[model]]\nname = \"m\"\npath = \"m.tflite\"\ndecoder = \"classify\"\nlabels = [\"a\"]\n\
         sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n\
         [[worker]]\nname = \"detector\"\nmodel = \"m\"\ncores = [1]\n{worker}\n{tail}\n"
    );
    read("b.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// A machine that lacks nothing: `nodes` nodes of `per_node` cores, all isolated but core 0, 512 free
/// pages of 2 MiB and 4 of 1 GiB on each node.
pub(super) fn machine(nodes: usize, per_node: usize) -> Machine {
    let pool = |kib, count| Hugepages {
        kib,
        total: count,
        free: count,
    };
    Machine {
        cores: (0..nodes * per_node)
            .map(|index| Core {
                index,
                node: index / per_node,
                isolated: index > 0,
                allowed: true,
            })
            .collect(),
        nodes: (0..nodes)
            .map(|index| Node {
                index,
                hugepages: vec![pool(2048, 512), pool(1_048_576, 4)],
            })
            .collect(),
        page_bytes: 4096,
        default_hugepage_kib: 2048,
        available_bytes: 8 << 30,
        fifo_priority_limit: 99,
        memlock_bytes: None,
        rt_throttle_us_per_s: 50_000,
    }
}

/// Round sizes, so that sums can be followed by eye.
pub(super) fn fixed(workers: usize) -> Fixed {
    Fixed {
        result_bytes: 1_000,
        histogram_bytes: 300_000,
        stack_bytes: 262_144,
        event_bytes: 0,
        file_bytes: 65_536,
        models: vec![
            vec![ModelNeed {
                model: "face".into(),
                parts: vec![(ModelPart::File, 229_032)],
            }];
            workers
        ],
    }
}

pub(super) fn budget(board: &Board, machine: &Machine) -> Budget {
    let needs: Vec<FrameNeed> = board.cameras.iter().map(FrameNeed::from_profile).collect();
    plan(board, machine, &needs, &fixed(board.workers.len()))
}
