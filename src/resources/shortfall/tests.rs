//! Boards against machines that lack one thing at a time.

use super::{Finding, Severity, shortfalls};
use crate::profile::Board;
use crate::resources::Machine;
use crate::resources::fixtures::{board, budget, machine};
use crate::resources::placement::place;

fn findings(board: &Board, machine: &Machine) -> Vec<(Severity, String)> {
    let said = |Finding {
                    severity,
                    shortfall,
                    ..
                }: Finding| (severity, shortfall.to_string());
    shortfalls(board, machine, &budget(board, machine))
        .into_iter()
        .map(said)
        .collect()
}

/// The one finding, as a refusal or a warning, once for each of two tops of the profile.
#[track_caller]
fn assert_only(board: &Board, machine: &Machine, severity: Severity, expected: &str) {
    assert_eq!(findings(board, machine), [(severity, expected.to_owned())]);
}

/// Capture, worker and housekeeping each on an isolated core of their own.
fn apart(top: &str, camera: &str, worker: &str, tail: &str) -> Board {
    board(top, &format!("capture-core = 2\n{camera}"), worker, tail)
}

const STRICT: &str = "strict = true";
const REFUSE: &str = "[memory]\non-shortage = \"refuse\"";

#[test]
fn a_machine_that_lacks_nothing_gets_no_finding() {
    let rt = "fifo-priority = 50\nwait = \"spin\"";
    let mut machine = machine(2, 4);
    machine.rt_throttle_us_per_s = 0;
    let board = apart(
        STRICT,
        "node = 1",
        rt,
        &format!("{REFUSE}\n[capture]\nfifo-priority = 60"),
    );
    assert_eq!(findings(&board, &machine), []);
}

#[test]
fn the_defaults_start_on_a_fresh_machine_with_one_or_two_cores() {
    for cores in [1, 2] {
        let mut fresh = machine(1, cores);
        fresh
            .cores
            .iter_mut()
            .for_each(|core| core.isolated = false);
        fresh.nodes[0]
            .hugepages
            .iter_mut()
            .for_each(|pool| (pool.total, pool.free) = (0, 0));
        fresh.memlock_bytes = Some(8 << 20);
        fresh.fifo_priority_limit = 0;
        let (board, moved) = place(
            board("absent-core = \"wrap\"", "", "fifo-priority = 50", ""),
            &fresh,
        );
        assert_eq!(moved.len(), usize::from(cores == 1));
        let findings = findings(&board, &fresh);
        assert!(
            findings
                .iter()
                .all(|(severity, _)| *severity == Severity::Warning),
            "{findings:?}"
        );
        assert!(findings.len() >= 3, "{findings:?}");
    }
}

#[test]
fn an_absent_core_is_refused_and_the_cores_there_are_named() {
    let board = board("", "", "", "");
    assert_only(
        &board,
        &{
            let mut one = machine(1, 1);
            one.cores[0].isolated = true;
            one
        },
        Severity::Refusal,
        "thread detector: core 1 is offline or does not exist, expected one of 0; change the profile's core, or set absent-core = \"wrap\"",
    );
    let mut caged = machine(1, 8);
    caged.cores[1].allowed = false;
    caged.cores[0].isolated = true;
    assert_only(
        &board,
        &caged,
        Severity::Refusal,
        "thread detector: core 1 is outside this process's cpuset, expected one of 0,2-7; change the profile's core, or set absent-core = \"wrap\"",
    );
}

#[test]
fn wrap_moves_absent_cores_only_and_says_which() {
    let mut caged = machine(1, 8);
    caged
        .cores
        .iter_mut()
        .for_each(|core| core.allowed = core.index > 4);
    let (board, moved) = place(
        board("absent-core = \"wrap\"", "capture-core = 6", "", ""),
        &caged,
    );
    assert_eq!(
        (
            board.cameras[0].capture_core,
            &board.workers[0].cores[..],
            board.housekeeping.core
        ),
        (6, &[6][..], 5)
    );
    let said: Vec<String> = moved.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "cores of worker detector: core 1 is not there, core 6 serves instead (absent-core = \"wrap\")",
            "core of housekeeping: core 0 is not there, core 5 serves instead (absent-core = \"wrap\")",
        ]
    );
    let refusing = self::board("", "capture-core = 99", "", "");
    assert_eq!(place(refusing.clone(), &caged), (refusing, Vec::new()));
}

#[test]
fn an_absent_node_follows_on_shortage() {
    let said =
        "camera front: node 1 does not exist, expected one of 0; change or remove camera.node";
    assert_only(
        &apart("", "node = 1", "", ""),
        &machine(1, 4),
        Severity::Warning,
        said,
    );
    assert_only(
        &apart("", "node = 1", "", REFUSE),
        &machine(1, 4),
        Severity::Refusal,
        said,
    );
}

#[test]
fn too_few_hugepages_name_the_command_for_exactly_as_many() {
    let mut machine = machine(1, 4);
    machine.nodes[0].hugepages[0] = crate::resources::Hugepages {
        kib: 2048,
        total: 20,
        free: 3,
    };
    let said =
        "node 0: hugepages of 2048 KiB: 9 needed, 3 of 20 free; run `sysctl vm.nr_hugepages=26`";
    assert_only(&apart("", "", "", ""), &machine, Severity::Warning, said);
    assert_only(
        &apart("", "", "", REFUSE),
        &machine,
        Severity::Refusal,
        said,
    );
    machine.default_hugepage_kib = 1_048_576;
    let said = "node 0: hugepages of 2048 KiB: 9 needed, 3 of 20 free; run `echo 26 > /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages`";
    assert_only(&apart("", "", "", ""), &machine, Severity::Warning, said);
}

#[test]
fn too_few_hugepages_on_one_node_of_two_name_that_nodes_file() {
    let mut machine = machine(2, 4);
    machine.nodes[1].hugepages[0].free = 0;
    let said = "node 1: hugepages of 2048 KiB: 9 needed, 0 of 512 free; run `echo 521 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages`";
    assert_only(
        &apart("", "node = 1", "", ""),
        &machine,
        Severity::Warning,
        said,
    );
}

#[test]
fn too_few_pages_of_a_gibibyte_name_the_kernels_arguments_for_all_nodes() {
    let huge = "[memory]\nhugepage-kib = 1048576\nbudget-mib = 4096";
    let mut two = machine(2, 4);
    two.nodes[0].hugepages[1].free = 0;
    let said = "node 0: hugepages of 1048576 KiB: 1 needed, 0 of 4 free; kernel arguments `hugepagesz=1G hugepages=0:5,1:4`";
    assert_only(&apart("", "", "", huge), &two, Severity::Warning, said);
    let mut one = machine(1, 4);
    one.nodes[0].hugepages[1].free = 0;
    let said = "node 0: hugepages of 1048576 KiB: 1 needed, 0 of 4 free; kernel arguments `hugepagesz=1G hugepages=5`";
    assert_only(&apart("", "", "", huge), &one, Severity::Warning, said);
}

#[test]
fn a_hugepage_size_that_the_kernel_lacks_names_those_it_has() {
    let board = apart("", "", "", "[memory]\nhugepage-kib = 32768");
    assert_only(
        &board,
        &machine(1, 4),
        Severity::Warning,
        "the kernel has no hugepages of 32768 KiB, its sizes in KiB: 2048, 1048576; change memory.hugepage-kib",
    );
}

#[test]
fn a_lock_limit_below_the_budget_follows_on_shortage() {
    let mut machine = machine(1, 4);
    machine.memlock_bytes = Some(8 << 20);
    let said = "20582512 bytes are to be locked and 8388608 may be; set LimitMEMLOCK=infinity in the unit, or `ulimit -l 20101` before the start";
    assert_only(&apart("", "", "", ""), &machine, Severity::Warning, said);
    assert_only(
        &apart("", "", "", REFUSE),
        &machine,
        Severity::Refusal,
        said,
    );
}

#[test]
fn plain_memory_that_is_not_there_is_refused_always() {
    let mut machine = machine(1, 4);
    machine.available_bytes = 1 << 20;
    // With hugepages for the slots, only the rest has to be found.
    let said = "1708144 bytes of plain memory are needed and 1048576 can be had; lower camera.ring-slots or the picture's size, or free memory";
    assert_only(&apart("", "", "", ""), &machine, Severity::Refusal, said);
    machine.nodes[0].hugepages[0].free = 0;
    machine.available_bytes = 16 << 20;
    let found = findings(&apart("", "", "", ""), &machine);
    assert_eq!(found[0].0, Severity::Refusal);
    assert!(
        found[0]
            .1
            .starts_with("20582512 bytes of plain memory are needed"),
        "{found:?}"
    );
}

#[test]
fn a_priority_above_the_right_follows_strict() {
    let mut machine = machine(1, 4);
    machine.fifo_priority_limit = 0;
    let said = "thread detector: SCHED_FIFO 50 is above the 0 that this process may take; set LimitRTPRIO=50 in the unit, or fifo-priority = 0";
    assert_only(
        &apart("", "", "fifo-priority = 50", ""),
        &machine,
        Severity::Warning,
        said,
    );
    assert_only(
        &apart(STRICT, "", "fifo-priority = 50", ""),
        &machine,
        Severity::Refusal,
        said,
    );
}

#[test]
fn two_fifo_threads_on_one_core_follow_strict() {
    let capture = "[capture]\nfifo-priority = 60";
    let board = |top| board(top, "capture-core = 1", "fifo-priority = 50", capture);
    let said = "core 1: capture-1 (60), detector (50) share it under SCHED_FIFO, each waits while another of at least its priority runs; give them cores of their own";
    assert_only(&board(""), &machine(1, 4), Severity::Warning, said);
    assert_only(&board(STRICT), &machine(1, 4), Severity::Refusal, said);
}

#[test]
fn a_worker_that_spins_on_a_shared_core_follows_strict() {
    let board = |top| board(top, "capture-core = 1", "wait = \"spin\"", "");
    let said = "worker detector never sleeps on core 1, the core of capture-1 too; set wait = \"spin-then-park\", or give the worker a core of its own";
    assert_only(&board(""), &machine(1, 4), Severity::Warning, said);
    assert_only(&board(STRICT), &machine(1, 4), Severity::Refusal, said);
}

#[test]
fn a_fifo_worker_that_spins_above_another_thread_is_refused_always() {
    let mut machine = machine(1, 4);
    machine.rt_throttle_us_per_s = 0;
    let board = |capture: &str| {
        board(
            "",
            "capture-core = 1",
            "wait = \"spin\"\nfifo-priority = 50",
            capture,
        )
    };
    let said = "worker detector never sleeps under SCHED_FIFO on core 1, so that thread capture-1 would never run there; set wait = \"spin-then-park\", or give the worker a core of its own";
    assert_only(&board(""), &machine, Severity::Refusal, said);
    // A capture thread above the worker interrupts it: two FIFO threads, and no starvation.
    let found = findings(&board("[capture]\nfifo-priority = 60"), &machine);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, Severity::Warning);
}

#[test]
fn the_kernels_throttle_is_named_for_a_fifo_worker_that_spins() {
    let board = apart("", "", "wait = \"spin\"\nfifo-priority = 50", "");
    let said = "worker detector never sleeps under SCHED_FIFO, and the kernel stops such threads for 50000 µs of each second; run `sysctl kernel.sched_rt_runtime_us=-1`, or set wait = \"spin-then-park\" or fifo-priority = 0";
    assert_only(&board, &machine(1, 4), Severity::Warning, said);
}

#[test]
fn cores_that_are_not_isolated_follow_strict_and_name_the_kernels_arguments() {
    let mut machine = machine(1, 4);
    machine.cores[1].isolated = false;
    machine.cores[2].isolated = false;
    let said = "core 1-2: not isolated, other programs may delay capture and inference; kernel arguments `isolcpus=1-2 nohz_full=1-2 rcu_nocbs=1-2`";
    assert_only(&apart("", "", "", ""), &machine, Severity::Warning, said);
    assert_only(
        &apart(STRICT, "", "", ""),
        &machine,
        Severity::Refusal,
        said,
    );
    machine.cores[1].isolated = true;
    let said = "core 0: not isolated, other programs may delay capture and inference; move the threads to cores other than 0 and housekeeping's, then isolate those";
    assert_only(&board("", "", "", ""), &machine, Severity::Warning, said);
}

#[test]
fn refusals_come_first() {
    let mut bare = machine(1, 1);
    bare.fifo_priority_limit = 0;
    let board = board("", "", "fifo-priority = 50", "");
    let severities: Vec<Severity> = findings(&board, &bare)
        .into_iter()
        .map(|(severity, _)| severity)
        .collect();
    assert!(
        severities.len() > 1 && severities.is_sorted(),
        "{severities:?}"
    );
    assert_eq!(severities[0], Severity::Refusal);
}

#[test]
fn what_is_missing_stands_at_the_key_that_asks_for_it_all_at_once_by_line() {
    let mut bare = machine(1, 2);
    bare.fifo_priority_limit = 0;
    bare.memlock_bytes = Some(1 << 20);
    bare.available_bytes = 1 << 20;
    bare.nodes[0].hugepages[0].free = 0;
    let board = board(
        STRICT,
        "capture-core = 7\nnode = 3",
        "fifo-priority = 50\nwait = \"spin\"",
        "[memory]\non-shortage = \"refuse\"\nhugepage-kib = 2048\n[housekeeping]\ncore = 9",
    );
    let found = shortfalls(&board, &bare, &budget(&board, &bare));
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    let places = said
        .iter()
        .map(|said| said.split(": ").take(2).collect::<Vec<_>>().join(": "));
    let mut places: Vec<String> = places.collect();
    places.dedup();
    assert_eq!(
        places,
        [
            "b.toml:10: camera.capture-core",
            "b.toml:11: camera.node",
            "b.toml:22: worker.fifo-priority",
            "b.toml:23: worker.wait",
            "b.toml:24: memory.budget-mib",
            "b.toml:26: memory.hugepage-kib",
            "b.toml:28: housekeeping.core",
        ],
        "{said:#?}"
    );
}
