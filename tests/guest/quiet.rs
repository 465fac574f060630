//! After ready: no allocation, no fault, no migration, as the program counts and as others see it.

use crate::evidence::Thread;
use crate::{nothing_happened_after_ready, scenario};
use serde_json::Value;

/// Cores that `tests/vm/boards/guest.toml` gives to capture and to inference: both of node 1.
const CAPTURE_CORE: &str = "2";
const WORKER_CORE: &str = "3";

#[test]
#[ignore = "needs the guest: make test"]
fn after_ready_hot_threads_allocate_nothing_fault_no_page_and_do_not_migrate() {
    for name in ["userptr_nv12", "mmap_yuyv", "two_nodes"] {
        nothing_happened_after_ready(&scenario(name).proof());
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn no_other_thread_enters_the_heap_after_ready_either() {
    for name in ["userptr_nv12", "stop_on_sigterm", "recording"] {
        let proof = scenario(name).proof();
        let calls = proof.number("/after_ready/heap_calls_other_threads");
        assert_eq!(calls, 0, "{name}:\n{:#}", proof.at("/after_ready"));
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_kernel_that_is_eager_to_move_pages_leaves_ours_alone() {
    let scenario = scenario("meddling_kernel");
    nothing_happened_after_ready(&scenario.proof());
    // The kernel did go round meanwhile: it unmapped the pages of a process that runs on another node than where
    // they lie. The scenario has one, and waits for it; how often khugepaged had the time for a full scan depends on
    // the machine.
    let at = |moment| scenario.count(moment, "numa_pte_updates");
    assert!(at("meddled.after") > at("meddled.before"));
}

#[test]
#[ignore = "needs the guest: make test"]
fn an_observer_sees_no_fault_no_migration_and_no_growth_after_ready() {
    let scenario = scenario("stop_on_sigterm");
    let (begin, end) = (scenario.observed("begin"), scenario.observed("end"));
    for core in [CAPTURE_CORE, WORKER_CORE] {
        for (id, before) in begin.pinned_to(core) {
            let after = end
                .threads
                .get(&id)
                .unwrap_or_else(|| panic!("thread {} is gone", before.name));
            let counts = |t: &Thread| (t.minor_faults, t.major_faults, t.migrations);
            assert_eq!(
                counts(before),
                counts(after),
                "minor faults, major faults, migrations of {}",
                before.name
            );
        }
    }
    assert_eq!(
        begin.threads.keys().collect::<Vec<_>>(),
        end.threads.keys().collect::<Vec<_>>(),
        "threads came or went"
    );
    assert_eq!(
        begin.virtual_memory, end.virtual_memory,
        "mappings came or went"
    );
    assert_eq!(
        begin.open_files, end.open_files,
        "files were opened or closed"
    );
}

#[test]
#[ignore = "needs the guest: make test"]
fn hot_threads_are_pinned_and_real_time_and_the_proof_says_so() {
    let scenario = scenario("userptr_nv12");
    let observed = scenario.observed("ready");
    for (core, priority) in [(CAPTURE_CORE, 30), (WORKER_CORE, 20)] {
        for (_, thread) in observed.pinned_to(core) {
            assert_eq!(
                (thread.policy, thread.priority),
                (1, priority),
                "{thread:?}"
            );
        }
    }
    let proof = scenario.proof();
    let threads = proof.at("/threads").as_array().expect("threads is a list");
    assert!(threads.len() >= 2, "{threads:#?}");
    for thread in threads {
        assert_eq!(thread["mask_verified"], Value::Bool(true), "{thread:#}");
    }
}
