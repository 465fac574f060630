//! The budget's sums, by hand.

use super::{Budget, BudgetLine, FrameNeed, Home, Policy, Purpose, Role, plan};
use crate::frame::Decoding;
use crate::profile::camera_slots;
use crate::resources::fixtures::{board, budget, fixed, machine};
use crate::units::MIB;
use proptest::prelude::*;

const CAMERA_2: &str = "[[camera]]\nname = \"side\"\nsource = \"v4l2\"\ndevice = \"/dev/video0\"\nformat = \"YUYV\"\nwidth-px = 640\nheight-px = 480\nrate-hz = 30\nio = \"mmap\"\n";

fn bytes(budget: &Budget, wanted: fn(&Purpose) -> bool) -> Vec<u64> {
    budget
        .lines
        .iter()
        .filter(|line| wanted(&line.purpose))
        .map(|line| line.bytes)
        .collect()
}

#[test]
fn a_1080p_nv12_camera_takes_what_can_be_counted_by_hand() {
    let board = board("", "", "", "[memory]\nmalloc-arena-kib = 70");
    let budget = budget(&board, &machine(1, 2));
    // One in the ring, one with the worker, four with the driver; 1920 x 1080 x 3 / 2 in whole pages.
    let slot = 3_112_960;
    assert_eq!(
        bytes(&budget, |p| matches!(p, Purpose::Slots { .. })),
        [6 * slot]
    );
    assert_eq!(
        bytes(&budget, |p| matches!(p, Purpose::Headers { .. })),
        [6 * 64]
    );
    assert_eq!(budget.region_bytes(), 9 * 2 * MIB);
    assert_eq!(
        bytes(&budget, |p| matches!(p, Purpose::Remainder { .. })),
        [18 * MIB - 6 * slot - 6 * 64]
    );
    assert_eq!(
        bytes(&budget, |p| matches!(p, Purpose::Model { .. })),
        [229_032]
    );
    assert_eq!(
        bytes(&budget, |p| matches!(p, Purpose::MallocArenas)),
        [2 * 73_728]
    );
    assert_eq!(
        bytes(&budget, |p| matches!(p, Purpose::Stacks)),
        [4 * 262_144]
    );
    assert_eq!(
        bytes(&budget, |p| matches!(p, Purpose::Results)),
        [65 * 1_000]
    );
    let all = 18 * MIB + 229_032 + 2 * 73_728 + 4 * 262_144 + 65_000 + 300_000 + 65_536;
    assert_eq!(budget.total_bytes(), all);
}

#[test]
fn the_regions_are_cut_as_the_arena_cuts_them() {
    let board = board("", "ring-slots = 4", "", CAMERA_2);
    let budget = budget(&board, &machine(2, 2));
    let [region] = &budget.regions[..] else {
        panic!("one region: {:?}", budget.regions)
    };
    assert_eq!((region.node, &region.cameras[..]), (0, &[0, 1][..]));
    // A ring of four wants one more slot for the frame that a worker passes over.
    assert_eq!(region.layout.places()[0].slots, 4 + 2 + 4);
    assert_eq!(region.layout.places()[1].payload_stride, 0);
    assert!(region.bytes >= region.layout.total_bytes());
    assert!(region.bytes - region.layout.total_bytes() < 2 * MIB);
}

#[test]
fn a_camera_has_slots_for_the_workers_that_process_it_and_a_worker_memory_for_its_cameras() {
    let jpeg = CAMERA_2.replace("YUYV", "MJPG");
    let more = "[[worker]]\nname = \"more\"\nmodel = \"m\"\ncores = [2]\ncameras = [\"side\"]\n";
    let board = board(
        "",
        "",
        "cameras = [\"front\", \"side\"]",
        &format!("{jpeg}{more}"),
    );
    let of_all = budget(&board, &machine(1, 4));
    let slots: Vec<u16> = board
        .cameras
        .iter()
        .map(|camera| camera_slots(camera, board.workers_of(camera)))
        .collect();
    assert_eq!(slots, [1 + 1 + 4, 1 + 2 + 4]);
    assert_eq!(of_all.regions[0].layout.places()[0].slots, 6);
    assert_eq!(of_all.regions[0].layout.places()[1].slots, 7);
    let decoding = |p: &Purpose| matches!(p, Purpose::Decoding { .. });
    assert_eq!(bytes(&of_all, decoding).len(), 2);
    let mut apart = board;
    apart.workers[0].cameras = vec!["front".into()];
    let apart = budget(&apart, &machine(1, 4));
    assert_eq!(bytes(&apart, decoding).len(), 1, "front's frames lie open");
}

#[test]
fn buffers_of_the_driver_are_shown_and_not_counted() {
    let board = board("", "", "", CAMERA_2);
    let budget = budget(&board, &machine(1, 2));
    let line = budget.lines.last().expect("a line");
    assert_eq!(
        line.purpose,
        Purpose::DriverBuffers {
            camera: "side".into(),
            slots: 6
        }
    );
    assert_eq!((line.bytes, line.is_ours()), (6 * 640 * 480 * 2, false));
    let ours: u64 = budget.lines[..budget.lines.len() - 1]
        .iter()
        .map(|line| line.bytes)
        .sum();
    assert_eq!(budget.total_bytes(), ours);
}

#[test]
fn each_camera_is_bound_to_its_node_or_to_its_cores() {
    let other = "[[camera]]\nname = \"back\"\nsource = \"pattern\"\nformat = \"NV12\"\nwidth-px = 640\nheight-px = 480\nrate-hz = 30\n";
    let nodes = |camera: &str, tail: &str| -> Vec<(usize, Vec<usize>)> {
        let board = board("", camera, "", &format!("{other}{tail}"));
        let budget = budget(&board, &machine(2, 2));
        budget
            .regions
            .iter()
            .map(|region| (region.node, region.cameras.clone()))
            .collect()
    };
    assert_eq!(nodes("", ""), [(0, vec![0, 1])]);
    assert_eq!(nodes("", "capture-core = 3"), [(0, vec![0]), (1, vec![1])]);
    assert_eq!(nodes("node = 1", ""), [(0, vec![1]), (1, vec![0])]);
    assert_eq!(
        nodes("node = 7", ""),
        [(0, vec![0, 1])],
        "a node that is not there"
    );
}

#[test]
fn what_a_camera_agreed_to_replaces_what_the_profile_asked_for() {
    let board = board("", "", "", "");
    let machine = machine(1, 2);
    let needs = [FrameNeed {
        image_bytes: 3_133_440,
        home: Home::Region,
        decoding: Decoding::default(),
        own_bytes: 6_291_456,
    }];
    let budget = plan(&board, &machine, &needs, &fixed(1));
    assert_eq!(
        bytes(&budget, |p| matches!(p, Purpose::Sources)),
        [6_291_456]
    );
    assert_eq!(
        bytes(&budget, |p| matches!(p, Purpose::Slots { .. })),
        [6 * 3_133_440]
    );
}

#[test]
fn cameras_of_one_core_share_a_thread_and_every_core_of_a_worker_has_one() {
    let tail = format!(
        "{CAMERA_2}[capture]\nfifo-priority = 60\n[[model]]\nname = \"big\"\npath = \"b\"\ndecoder = \"classify\"\nlabels = [\"a\"]\nthreads = 2\nsha256 = \"{:064}\"\n[[worker]]\nname = \"more\"\nmodel = \"big\"\ncores = [2, 3]\nfifo-priority = 50\n",
        0
    );
    let board = board("", "", "", &tail);
    let budget = budget(&board, &machine(1, 4));
    let threads: Vec<_> = budget
        .threads
        .iter()
        .map(|t| (t.name.as_str(), t.role, t.core, t.policy.priority()))
        .collect();
    assert_eq!(
        threads,
        [
            ("capture-0", Role::Capture, 0, 60),
            ("detector", Role::Worker(0), 1, 0),
            ("more", Role::Worker(1), 2, 50),
            ("more/1", Role::Helper(1), 3, 50),
            ("housekeeping", Role::Housekeeping, 0, 0),
            ("disk", Role::Housekeeping, 0, 0),
        ]
    );
    assert_eq!(budget.threads[0].policy, Policy::Fifo(60));
}

#[test]
fn a_budget_that_is_too_small_names_what_takes_most_and_the_key() {
    let board = board("", "ring-slots = 64", "", "[memory]\nbudget-mib = 32");
    let budget = budget(&board, &machine(1, 2));
    let over = budget.within_limit().expect_err("more than 32 MiB");
    let total = budget.total_bytes();
    assert_eq!(
        over.to_string(),
        format!(
            "memory.budget-mib: found 32, expected at least {} for {total} bytes, of which slots of camera front, 70 of 3112960 take {}; lower camera.ring-slots, camera.driver-slots, camera.width-px or camera.height-px, or raise memory.budget-mib",
            total.div_ceil(MIB),
            70 * 3_112_960_u64,
        )
    );
}

#[test]
fn many_small_parts_of_one_purpose_are_named_before_a_larger_single_one() {
    let board = board("", "", "", "");
    let mut budget = budget(&board, &machine(1, 2));
    let slots = budget.lines[0].clone();
    assert!(matches!(slots.purpose, Purpose::Slots { .. }));
    let histograms = BudgetLine {
        purpose: Purpose::Histograms,
        node: None,
        bytes: 2 * slots.bytes,
    };
    let others = std::iter::repeat_n(slots.clone(), 63);
    budget.lines = others.chain([slots.clone(), histograms]).collect();
    budget.limit_mib = 1;
    let message = budget.within_limit().unwrap_err().to_string();
    let together = format!(
        "{} and 63 more of this kind take {};",
        slots.purpose,
        64 * slots.bytes
    );
    assert!(message.contains(&together), "{message}");
    // What is to be done is a thing that one does.
    budget.lines = vec![BudgetLine {
        purpose: Purpose::Model {
            worker: "detector".into(),
            model: "face".into(),
            part: super::ModelPart::Tensors,
        },
        ..slots
    }];
    let message = budget.within_limit().unwrap_err().to_string();
    let mend = "; take a smaller model, or use fewer workers, or raise memory.budget-mib";
    assert!(message.ends_with(mend), "{message}");
}

#[test]
fn a_queue_is_budgeted_as_large_as_it_is() {
    let mut board = board("", "", "", "");
    board.housekeeping.queue_results = 65;
    let budget = budget(&board, &machine(1, 2));
    assert_eq!(
        bytes(&budget, |p| matches!(p, Purpose::Results)),
        [257 * 1_000]
    );
}

#[test]
fn a_budget_is_kept_to_the_byte() {
    let board = board("", "", "", "");
    let mut budget = budget(&board, &machine(1, 2));
    let spare = budget.limit_mib * MIB - budget.total_bytes();
    budget.lines[0].bytes += spare;
    assert_eq!(budget.within_limit(), Ok(()));
    budget.lines[0].bytes += 1;
    assert!(budget.within_limit().is_err());
}

#[test]
fn the_table_reads_in_columns() {
    let board = board("", "", "fifo-priority = 50", CAMERA_2);
    let table = budget(&board, &machine(1, 2)).to_string();
    let expected = "\
memory                                       node           bytes        MiB
slots of camera front, 6 of 3112960             0        18677760      17.81
headers of 12 slots                             0             768       0.00
alignment to pages of 2048 KiB                  0          195840       0.18
model face of detector: file                    0          229032       0.21
stacks of threads                               -         1048576       1.00
queues of results                               -           65000       0.06
latency histograms                              -          300000       0.28
queues and buffers of files                     -           65536       0.06
total                                                    20582512      19.62
budget-mib                                              268435456     256.00
driver buffers (not ours) of camera side, 6     -         3686400       3.51

core  thread                    policy
   0  capture-0                 SCHED_OTHER
   0  housekeeping              SCHED_OTHER
   0  disk                      SCHED_OTHER
   1  detector                  SCHED_FIFO 50
";
    assert_eq!(table, expected, "\n{table}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_lines_of_a_node_add_up_to_its_mapping(
        ring in 0_u32..=8, driver in 2_u32..=32, width in 8_u32..=4096, height in 8_u32..=4096, node in 0_usize..2,
        hugepage in prop::sample::select(vec![2048_u64, 32_768, 1_048_576]),
    ) {
        let camera = format!("ring-slots = {}\ndriver-slots = {driver}\nnode = {node}", 1 << ring);
        let mut board = board("", &camera, "", CAMERA_2);
        board.cameras[0].width_px = width * 2;
        board.cameras[0].height_px = height * 2;
        board.memory.hugepage_kib = hugepage;
        let budget = budget(&board, &machine(2, 2));
        for region in &budget.regions {
            prop_assert!(region.bytes.is_multiple_of(hugepage * 1024));
            let frames = budget.lines.iter().filter(|line| line.node == Some(region.node)).filter(|line| {
                matches!(line.purpose, Purpose::Slots { .. } | Purpose::Headers { .. } | Purpose::Remainder { .. })
            });
            prop_assert_eq!(frames.map(|line| line.bytes).sum::<u64>(), region.bytes);
        }
        let cameras: Vec<usize> = budget.regions.iter().flat_map(|region| region.cameras.clone()).collect();
        prop_assert_eq!(cameras.len(), 2);
    }
}
