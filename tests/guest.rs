//! Pinsight on a machine with real V4L2 cameras, NUMA nodes and hugepages: the guest of `tests/vm`.
//!
//! The guest is booted twice: for cameras that work, and for cameras that fail. Each time a script in it
//! carries out named scenarios and leaves their exit codes, words and proofs; each test here asserts one
//! promise about them. Where the guest cannot be had, every test fails and says why.

#[path = "vm/evidence.rs"]
mod evidence;

use evidence::{Boot, HUGEPAGE_BYTES, Proof, Scenario, Thread};
use serde_json::Value;
use std::fs;
use std::sync::OnceLock;

/// Exit codes of the program, as its `--help` documents them.
mod exit {
    pub const MACHINE: i32 = 4;
    pub const CAMERA: i32 = 5;
}

/// Cores that `tests/vm/boards/guest.toml` gives to capture and to inference: both of node 1.
const CAPTURE_CORE: &str = "2";
const WORKER_CORE: &str = "3";

const NV12_1080P_BYTES: u64 = 1920 * 1080 * 3 / 2;

/// A scenario of `tests/vm/checks/capture.sh`, from the boot that all tests share.
#[track_caller]
fn scenario(name: &'static str) -> Scenario {
    capture().scenario(name)
}

fn capture() -> &'static Boot {
    static BOOT: OnceLock<Boot> = OnceLock::new();
    BOOT.get_or_init(|| Boot::run("capture"))
}

/// A scenario of `tests/vm/checks/faults.sh`, from the boot that all tests of faults share.
#[track_caller]
fn fault(name: &'static str) -> Scenario {
    static BOOT: OnceLock<Boot> = OnceLock::new();
    BOOT.get_or_init(|| Boot::run("faults")).scenario(name)
}

/// Asserts that the program's own count of what happened after ready is zero throughout.
#[track_caller]
fn nothing_happened_after_ready(proof: &Proof) {
    for count in [
        "heap_calls",
        "heap_growth_bytes",
        "minor_faults",
        "major_faults",
        "migrations",
    ] {
        assert_eq!(
            proof.number(&format!("/after_ready/{count}")),
            0,
            "{count}:\n{:#}",
            proof.at("/after_ready")
        );
    }
}

/// Asserts that each scenario of a boot left the free hugepages of each node as it found them.
#[track_caller]
fn gives_the_hugepages_back(boot: &Boot, at_least: usize) {
    let mut seen = 0;
    for entry in fs::read_dir(&boot.share).unwrap_or_else(|e| panic!("{e}: {:?}", boot.trouble)) {
        let folder = entry.expect("it can be listed").path();
        if let (Ok(before), Ok(after)) = (
            fs::read_to_string(folder.join("hugepages.before")),
            fs::read_to_string(folder.join("hugepages.after")),
        ) {
            let name = folder.display();
            assert_eq!(before, after, "free hugepages by node, {name}");
            seen += 1;
        }
    }
    assert!(seen >= at_least, "only {seen} scenarios were looked at");
}

/// Asserts that results came again after a fault, that every camera's ledger closes over it, and that no
/// hot thread entered the heap for it. Gives the proof.
#[track_caller]
fn came_back(scenario: &Scenario) -> Proof {
    let proof = scenario.proof();
    let (before, back, end) = (
        scenario.number("results.before"),
        scenario.number("results.back"),
        scenario.number("results.end"),
    );
    assert!(
        before >= 20 && end >= back + 20,
        "results: {before} before, {back} when it was back, {end} at the end\n{}",
        scenario.said()
    );
    for camera in 0..proof.at("/cameras").as_array().map_or(0, Vec::len) {
        proof.ledger_closes(camera);
    }
    for count in [
        "heap_calls",
        "heap_growth_bytes",
        "major_faults",
        "migrations",
    ] {
        let found = proof.number(&format!("/after_ready/{count}"));
        assert_eq!(found, 0, "{count}:\n{:#}", proof.at("/after_ready"));
    }
    proof
}

/// Asserts that two looks at a program saw the same files open and the same address space.
#[track_caller]
fn took_nothing(scenario: &Scenario) {
    let (before, after) = (scenario.observed("before"), scenario.observed("after"));
    assert_eq!(before.open_files, after.open_files, "open files");
    assert_eq!(before.virtual_memory, after.virtual_memory, "address space");
    assert_eq!(before.huge_bytes, after.huge_bytes, "hugepages by node");
    assert_eq!(before.threads.len(), after.threads.len(), "threads");
}

/// Asserts that a picture shows vivid's 100 % colour bars, on three lines, in the middle of each bar.
#[track_caller]
fn shows_colour_bars(scenario: &Scenario) {
    const BARS: [[u8; 3]; 8] = [
        [255, 255, 255],
        [255, 255, 0],
        [0, 255, 255],
        [0, 255, 0],
        [255, 0, 255],
        [255, 0, 0],
        [0, 0, 255],
        [0, 0, 0],
    ];
    // 8 bits of limited-range Y'CbCr and back: an exact decoder is off by 3 at most.
    const TOLERANCE: u8 = 6;
    scenario.ended_with(0);
    let picture = image::open(scenario.folder.join("picture.png"))
        .expect("the snapshot is a picture")
        .into_rgb8();
    assert_eq!(picture.dimensions(), (1920, 1080));
    for y in [100, 540, 1000] {
        for (bar, expected) in (0..).zip(BARS) {
            let found = picture.get_pixel(bar * 240 + 120, y).0;
            let near = found
                .iter()
                .zip(expected)
                .all(|(f, e)| f.abs_diff(e) <= TOLERANCE);
            assert!(
                near,
                "bar {bar}, line {y}: found {found:?}, expected {expected:?}"
            );
        }
    }
}

// ------------------------------------------------------------------------------- capture and place

#[test]
#[ignore = "needs the guest: make test"]
fn userptr_carries_1080p30_nv12_for_hundreds_of_frames() {
    let proof = scenario("userptr_nv12").proof();
    assert_eq!(proof.word("/cameras/0/io"), "userptr");
    proof.frames_were_seen(300);
}

#[test]
#[ignore = "needs the guest: make test"]
fn frame_slots_lie_in_hugepages_of_the_named_node_and_no_other() {
    let scenario = scenario("userptr_nv12");
    let huge = scenario.observed("ready").huge_bytes;
    // At least driver-slots = 6 frames, each in a slot of whole pages.
    assert!(
        huge.get(&1)
            .is_some_and(|&bytes| bytes >= 6 * NV12_1080P_BYTES),
        "hugepages by node: {huge:?}"
    );
    assert_eq!(
        huge.keys().collect::<Vec<_>>(),
        [&1],
        "hugepages by node: {huge:?}"
    );
    assert_eq!(
        scenario.proof().number("/memory/hugepage_bytes"),
        huge[&1],
        "the proof says what the kernel says"
    );
}

#[test]
#[ignore = "needs the guest: make test"]
fn slots_named_for_node_0_lie_on_node_0() {
    let huge = scenario("userptr_yuyv").observed("ready").huge_bytes;
    assert_eq!(
        huge.keys().collect::<Vec<_>>(),
        [&0],
        "hugepages by node: {huge:?}"
    );
}

#[test]
#[ignore = "needs the guest: make test"]
fn two_cameras_have_their_slots_on_two_nodes() {
    let scenario = scenario("two_nodes");
    let huge = scenario.observed("ready").huge_bytes;
    for node in [0, 1] {
        assert!(
            huge.get(&node)
                .is_some_and(|&bytes| bytes >= 6 * NV12_1080P_BYTES),
            "hugepages by node: {huge:?}"
        );
    }
    let proof = scenario.proof();
    for camera in [0, 1] {
        proof.ledger_closes(camera);
        assert!(
            proof.number(&format!("/cameras/{camera}/inferred")) > 0,
            "{:#}",
            proof.at("/cameras")
        );
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn mmap_carries_1080p30_yuyv_for_hundreds_of_frames() {
    let proof = scenario("mmap_yuyv").proof();
    assert_eq!(proof.word("/cameras/0/io"), "mmap");
    proof.frames_were_seen(300);
}

#[test]
#[ignore = "needs the guest: make test"]
fn userptr_carries_yuyv() {
    let proof = scenario("userptr_yuyv").proof();
    assert_eq!(proof.word("/cameras/0/io"), "userptr");
    proof.frames_were_seen(60);
}

#[test]
#[ignore = "needs the guest: make test"]
fn mmap_carries_nv12() {
    let proof = scenario("mmap_nv12").proof();
    assert_eq!(proof.word("/cameras/0/io"), "mmap");
    proof.frames_were_seen(60);
}

#[test]
#[ignore = "needs the guest: make test"]
fn auto_io_takes_userptr_where_the_driver_does() {
    assert_eq!(scenario("auto_io").proof().word("/cameras/0/io"), "userptr");
}

#[test]
#[ignore = "needs the guest: make test"]
fn auto_io_falls_back_to_mmap_where_the_driver_refuses_userptr_and_says_so() {
    let scenario = scenario("auto_io_refused");
    let proof = scenario.proof();
    assert_eq!(proof.word("/cameras/0/io"), "mmap");
    proof.frames_were_seen(60);
    scenario.stderr_names(&["userptr", "mmap"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn userptr_on_a_driver_that_refuses_it_is_a_camera_fault_that_names_the_setting() {
    scenario("userptr_refused")
        .ended_with(exit::CAMERA)
        .stderr_names(&["userptr", "io", "door"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn nv12_in_hugepages_is_decoded_to_the_right_colours() {
    shows_colour_bars(&scenario("colours_nv12"));
}

#[test]
#[ignore = "needs the guest: make test"]
fn yuyv_in_the_drivers_buffers_is_decoded_to_the_right_colours() {
    shows_colour_bars(&scenario("colours_yuyv"));
}

// --------------------------------------------------------------------------------- nothing is lost

#[test]
#[ignore = "needs the guest: make test"]
fn the_drivers_sequence_is_followed_without_gaps() {
    let proof = scenario("loses_nothing").proof();
    proof.frames_were_seen(45);
    // The driver itself skips a number when its own thread, emulated here, comes late: the scenario has
    // several attempts. What the program would lose, it would lose in each.
    assert_eq!(
        proof.number("/cameras/0/lost_in_driver"),
        0,
        "{:#}",
        proof.at("/cameras")
    );
}

#[test]
#[ignore = "needs the guest: make test"]
fn each_number_of_the_driver_is_a_frame_or_a_counted_loss() {
    for name in [
        "userptr_nv12",
        "mmap_yuyv",
        "dropped_by_driver",
        "held_up",
        "future_stamps",
    ] {
        let scenario = scenario(name);
        scenario.proof().numbers_add_up(&scenario.events());
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn eight_cameras_of_1080p_at_once_keep_their_ledgers_and_take_nothing_after_ready() {
    let proof = scenario("eight_cameras").proof();
    let cameras = proof.at("/cameras").as_array().map_or(0, Vec::len);
    assert_eq!(cameras, 8);
    let run_ms = proof.at("/run_ms").as_f64().expect("a time");
    for camera in 0..cameras {
        proof.ledger_closes(camera);
        let of = |key: &str| proof.number(&format!("/cameras/{camera}/{key}"));
        assert!(of("inferred") > 0, "{:#}", proof.at("/cameras"));
        assert_eq!((of("restarts"), of("reopens")), (0, 0), "camera {camera}");
        assert_eq!(proof.word(&format!("/cameras/{camera}/io")), "userptr");
        // The driver numbers the frames that there were time for, and skips those that it comes too late
        // for itself. Each of them is a frame or a loss; of the first ones some came before ready.
        let numbers = of("driver_frames") + of("lost_in_driver") - of("repeated_sequence");
        let due = run_ms * 30.0 / 1000.0;
        #[allow(clippy::cast_precision_loss)] // some hundreds
        let share = numbers as f64 / due;
        assert!(
            (0.8..=1.8).contains(&share),
            "camera {camera}: {numbers} numbers, {due:.0} were due:\n{:#}",
            proof.at("/cameras")
        );
        assert!(of("driver_frames") >= 60, "{:#}", proof.at("/cameras"));
    }
    nothing_happened_after_ready(&proof);
    let captures = proof.at("/threads").as_array().map_or(0, |threads| {
        let name = |thread: &Value| thread["name"].as_str().map(str::to_owned);
        let named = threads.iter().filter_map(name);
        named.filter(|name| name.starts_with("capture")).count()
    });
    assert_eq!(captures, 2, "four cameras on each thread");
}

#[test]
#[ignore = "needs the guest: make test"]
fn frames_that_the_driver_drops_are_counted_and_the_ledger_closes() {
    let proof = scenario("dropped_by_driver").proof();
    proof.ledger_closes(0);
    // One of four, at random, of the 450 frames of fifteen seconds.
    let lost = proof.number("/cameras/0/lost_in_driver");
    assert!(lost >= 40, "{lost} lost:\n{:#}", proof.at("/cameras"));
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_camera_that_delivers_less_than_agreed_is_diagnosed_once_in_the_log_and_in_the_proof() {
    let scenario = scenario("dropped_by_driver");
    let words = "instead of 30.0; the others are lost between camera and memory";
    let log = scenario.text("stderr");
    assert_eq!(log.matches(words).count(), 1, "{log}");
    let proof = scenario.proof();
    let warnings = proof.at("/warnings").to_string();
    assert!(
        warnings.contains("camera door: it delivers 2"),
        "{warnings}"
    );
    assert!(warnings.contains(words), "{warnings}");
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_program_that_was_held_up_counts_what_it_missed_and_goes_on_with_the_same_stream() {
    let proof = scenario("held_up").proof();
    proof.ledger_closes(0);
    // Two seconds of 30 frames, less the buffers that the driver still had.
    let lost = proof.number("/cameras/0/lost_in_driver");
    assert!(lost >= 40, "{lost} lost:\n{:#}", proof.at("/cameras"));
    assert_eq!(proof.number("/cameras/0/restarts"), 0, "it was no silence");
}

#[test]
#[ignore = "needs the guest: make test"]
fn time_stamps_from_the_future_spoil_no_statistics() {
    let proof = scenario("future_stamps").proof();
    proof.frames_were_seen(60);
    for stage in ["capture_to_dequeue", "capture_to_result"] {
        assert!(
            proof.number(&format!("/latency_ns/{stage}/count")) > 0,
            "{:#}",
            proof.at("/latency_ns")
        );
        // A difference that wrapped below zero would be centuries.
        let longest = proof.number(&format!("/latency_ns/{stage}/max"));
        assert!(longest < 60_000_000_000, "{stage}: {longest} ns");
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn every_stage_of_every_result_is_timed() {
    let proof = scenario("userptr_nv12").proof();
    let results = proof.number("/cameras/0/inferred");
    for stage in [
        "capture_to_dequeue",
        "dequeue_to_lease",
        "preprocess",
        "invoke",
        "postprocess",
        "capture_to_result",
    ] {
        let of = |key: &str| proof.number(&format!("/latency_ns/{stage}/{key}"));
        assert!(
            of("count") >= results,
            "{stage}: {} of {results} timed",
            of("count")
        );
        assert!(
            of("p50") <= of("p90")
                && of("p90") <= of("p99")
                && of("p99") <= of("p999")
                && of("p999") <= of("max"),
            "{stage}"
        );
    }
}

// -------------------------------------------------------------------------- nothing happens after ready

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
    // The kernel did go round meanwhile, and found others' pages. How often it had the time for a full scan of
    // same-page merging depends on the machine; that it unmapped pages to watch them does not.
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

// ------------------------------------------------------------------------------- stopping, refusing

#[test]
#[ignore = "needs the guest: make test"]
fn sigterm_and_sigint_end_with_the_proof_and_exit_0() {
    for name in ["stop_on_sigterm", "stop_on_sigint"] {
        let proof = scenario(name).proof();
        proof.frames_were_seen(1);
        assert_eq!(
            proof.number("/cameras/0/in_flight"),
            0,
            "{name}: no frame is left in flight"
        );
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn sigterm_before_ready_ends_with_exit_0() {
    scenario("stop_while_arming").ended_with(0);
}

#[test]
#[ignore = "needs the guest: make test"]
fn an_absent_camera_has_its_own_exit_code_and_is_named() {
    scenario("absent_camera")
        .ended_with(exit::CAMERA)
        .stderr_names(&["/dev/video9", "door"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_node_that_is_not_a_camera_is_refused_by_name() {
    scenario("not_a_camera")
        .ended_with(exit::CAMERA)
        .stderr_names(&["/dev/null", "door"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn too_few_hugepages_are_refused_with_the_setting_that_mends_it() {
    scenario("too_few_hugepages")
        .ended_with(exit::MACHINE)
        .stderr_names(&["hugepages", "node1"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn with_fallback_too_few_hugepages_mean_other_pages_and_it_is_said() {
    let scenario = scenario("fallback_pages");
    scenario.proof().frames_were_seen(60);
    scenario.stderr_names(&["hugepages"]);
    // The two pages that node 1 has do not hold a slot each: the arena is made of one kind of page.
    let huge = scenario.observed("ready").huge_bytes;
    assert!(
        huge.values().all(|&bytes| bytes <= 2 * HUGEPAGE_BYTES),
        "hugepages by node: {huge:?}"
    );
}

#[test]
#[ignore = "needs the guest: make test"]
fn every_end_gives_the_hugepages_back() {
    gives_the_hugepages_back(capture(), 15);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_board_can_be_started_again_and_again() {
    scenario("again_and_again").proof().frames_were_seen(10);
}

// ------------------------------------------------------------------------------------ other commands

#[test]
#[ignore = "needs the guest: make test"]
fn results_recorded_in_the_guest_are_read_back() {
    let scenario = scenario("recording");
    let results = scenario.proof().number("/cameras/0/inferred");
    assert_eq!(
        scenario.text("read-back.exit").trim(),
        "0",
        "{}",
        scenario.text("read-back.stderr")
    );
    let lines = scenario
        .text("read-back")
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count() as u64;
    assert!(lines >= results, "{lines} lines for {results} results");
}

#[test]
#[ignore = "needs the guest: make test"]
fn each_result_is_one_line_of_json_while_the_program_runs() {
    let scenario = scenario("userptr_nv12");
    let results = scenario.proof().number("/cameras/0/inferred");
    // The model of this board gives each frame a class, and so a line.
    assert_eq!(scenario.events().len() as u64, results);
}

#[test]
#[ignore = "needs the guest: make test"]
fn check_prints_the_budget_and_starts_nothing() {
    let scenario = scenario("check_command");
    scenario.ended_with(0);
    let said = scenario.text("stdout").to_lowercase();
    for word in ["budget", "door", "node"] {
        assert!(
            said.contains(word),
            "check should name {word:?}\n{}",
            scenario.said()
        );
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_profile_that_probe_writes_has_every_camera_and_check_accepts_it() {
    let scenario = scenario("probe_writes_profile");
    scenario.ended_with(0);
    let profile = scenario.text("mine.toml");
    for line in [
        "device = \"/dev/video0\"",
        "device = \"/dev/video1\"",
        "format = \"NV12\"",
        "width-px = 1920",
        "rate-hz = 30",
        "cores = [3]",
    ] {
        assert!(
            profile.lines().any(|found| found == line),
            "{line}\n{profile}"
        );
    }
    let said = scenario.text("check");
    assert_eq!(scenario.text("check.exit").trim(), "0", "{said}");
    assert!(said.contains("board mine fits this machine"), "{said}");
}

#[test]
#[ignore = "needs the guest: make test"]
fn probe_lists_nodes_hugepages_and_each_camera_with_its_formats() {
    let scenario = scenario("probe_command");
    scenario.ended_with(0);
    let said = scenario.text("stdout");
    for word in [
        "/dev/video0",
        "/dev/video1",
        "vivid",
        "NV12",
        "YUYV",
        "1920x1080",
        "hugepage",
        "io userptr  taken",
        "io mmap     cached, read at ",
        "io dmabuf   cached, read at ",
        "io dma-heap heap system: cached, read at ",
    ] {
        assert!(
            said.to_lowercase().contains(&word.to_lowercase()),
            "probe should name {word:?}\n{}",
            scenario.said()
        );
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn the_shipped_vivid_profile_runs_as_it_is() {
    scenario("shipped_profile").proof().frames_were_seen(60);
}

// ---------------------------------------------------------------------------------- cameras that fail

fn restarts(proof: &Proof) -> u64 {
    proof.number("/cameras/0/restarts")
}

fn reopens(proof: &Proof) -> u64 {
    proof.number("/cameras/0/reopens")
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_buffer_with_the_error_flag_is_a_damaged_frame_and_the_stream_goes_on() {
    let scenario = fault("buffer_error");
    let proof = came_back(&scenario);
    assert_eq!(proof.number("/cameras/0/dropped/damaged"), 1);
    assert_eq!((restarts(&proof), reopens(&proof)), (0, 0));
    nothing_happened_after_ready(&proof);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_buffer_that_the_driver_refuses_costs_a_restart_of_the_stream() {
    let scenario = fault("queue_error");
    let proof = came_back(&scenario);
    assert!(restarts(&proof) >= 1);
    assert_eq!(reopens(&proof), 0);
    scenario.stderr_names(&["VIDIOC_QBUF", "door"]);
    took_nothing(&scenario);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_fatal_streaming_error_costs_a_restart_of_the_stream() {
    let scenario = fault("fatal_streaming");
    let proof = came_back(&scenario);
    assert!(restarts(&proof) >= 1);
    assert_eq!(reopens(&proof), 0);
    took_nothing(&scenario);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_camera_that_is_gone_is_opened_again_and_nothing_is_left_behind() {
    for (name, io) in [("disconnect", "userptr"), ("disconnect_mmap", "mmap")] {
        let scenario = fault(name);
        let proof = came_back(&scenario);
        assert_eq!(proof.word("/cameras/0/io"), io);
        assert_eq!(reopens(&proof), 1, "{name}");
        scenario.stderr_names(&["camera door: the device is gone", "frames arrive again"]);
        took_nothing(&scenario);
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_camera_that_is_gone_again_and_again_leaves_files_memory_and_threads_as_they_were() {
    let scenario = fault("disconnect_again_and_again");
    assert_eq!(reopens(&came_back(&scenario)), 6);
    took_nothing(&scenario);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_stream_that_falls_silent_is_restarted_until_frames_come() {
    let scenario = fault("silence");
    assert!(restarts(&came_back(&scenario)) >= 1);
    scenario.stderr_names(&["camera door: it delivers no frames"]);
    took_nothing(&scenario);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_node_that_disappears_and_comes_back_is_found_again() {
    let scenario = fault("unbind");
    assert_eq!(reopens(&came_back(&scenario)), 1);
    took_nothing(&scenario);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_call_that_fails_on_the_way_back_is_tried_again() {
    for name in [
        "disconnect_then_reqbufs_error",
        "disconnect_then_streamon_error",
    ] {
        let scenario = fault(name);
        assert!(reopens(&came_back(&scenario)) >= 1, "{name}");
        took_nothing(&scenario);
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_camera_that_is_gone_does_not_hold_up_another_one() {
    let scenario = fault("one_of_two");
    let proof = came_back(&scenario);
    assert_eq!((restarts(&proof), reopens(&proof)), (0, 0), "of the other");
    assert!(proof.number("/cameras/1/reopens") >= 1);
    // Three seconds at 30 Hz; a busy machine's guest judges fewer.
    let (before, after) = (
        scenario.number("door.before"),
        scenario.number("door.after"),
    );
    assert!(after >= before + 15, "{before} results, then {after}");
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_camera_that_comes_after_the_start_is_taken_in() {
    let scenario = fault("late_camera");
    let proof = came_back(&scenario);
    assert_eq!(proof.word("/cameras/1/name"), "door");
    assert_eq!((restarts(&proof), reopens(&proof)), (0, 0), "of the other");
    assert_eq!(proof.number("/cameras/1/reopens"), 1);
    assert!(proof.number("/cameras/1/inferred") > 0);
    let (before, after) = (
        scenario.number("door.before"),
        scenario.number("door.after"),
    );
    assert!(after > before, "{before} results of it, then {after}");
    scenario.stderr_names(&["camera door: it is not there; watching without it"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn counters_that_pass_their_largest_value_are_followed() {
    for name in ["wrapped_sequence", "wrapped_timestamp"] {
        let proof = fault(name).proof();
        proof.frames_were_seen(150);
        // A wrap taken for a gap would be four thousand million frames, or centuries.
        assert!(proof.number("/cameras/0/lost_in_driver") < 150, "{name}");
        let longest = proof.number("/latency_ns/capture_to_result/max");
        assert!(longest < 60_000_000_000, "{name}: {longest} ns");
        assert_eq!((restarts(&proof), reopens(&proof)), (0, 0), "{name}");
    }
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_stream_that_does_not_start_at_first_is_a_camera_fault() {
    fault("start_fails")
        .ended_with(exit::CAMERA)
        .stderr_names(&["VIDIOC_STREAMON", "door"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_driver_that_refuses_our_memory_at_the_last_moment_gives_its_own() {
    let scenario = fault("late_refusal");
    let proof = scenario.proof();
    assert_eq!(proof.word("/cameras/0/io"), "mmap");
    proof.frames_were_seen(30);
    scenario.stderr_names(&["door", "refuses userptr", "mmap"]);
    fault("late_refusal_userptr")
        .ended_with(exit::CAMERA)
        .stderr_names(&["VIDIOC_QBUF", "door"]);
}
