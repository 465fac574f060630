//! Outputs on real kernel objects, in the guest of `tests/vm`: a GPIO chip through its character device, and
//! 16550 UARTs. The guest is booted once; `tests/vm/checks/outputs.sh` has the scenarios.

#[path = "vm/evidence.rs"]
#[allow(dead_code)] // the other tests' share of it
mod evidence;

use evidence::{Boot, Proof, Scenario};
use std::sync::OnceLock;

const MACHINE: i32 = 4;

fn boot() -> &'static Boot {
    static BOOT: OnceLock<Boot> = OnceLock::new();
    BOOT.get_or_init(|| Boot::run("outputs"))
}

#[track_caller]
fn scenario(name: &'static str) -> Scenario {
    boot().scenario(name)
}

/// The levels that the kernel noted for the line, each once: to make it what it is already is no change.
#[track_caller]
fn levels(scenario: &Scenario, file: &str) -> Vec<u8> {
    let text = scenario.text(file);
    let mut levels: Vec<u8> = text.lines().map(|line| line.parse().unwrap()).collect();
    levels.dedup();
    levels
}

/// Events of all rules that the output handed over, and that it did not. Neither hot threads nor others
/// entered the heap for them, and no frame was lost to them.
#[track_caller]
fn account(proof: &Proof) -> (u64, u64) {
    proof.ledger_closes(0);
    for count in ["heap_calls", "heap_calls_other_threads"] {
        assert_eq!(
            proof.number(&format!("/after_ready/{count}")),
            0,
            "{count}:\n{:#}",
            proof.at("/after_ready")
        );
    }
    let (sent, lost) = (
        proof.number("/events/outputs/0/sent"),
        proof.number("/events/outputs/0/lost"),
    );
    let rules = proof.at("/events/rules").as_array().expect("a list");
    let fired: u64 = rules
        .iter()
        .map(|rule| rule["fired"].as_u64().unwrap())
        .sum();
    assert_eq!(sent + lost, fired, "{:#}", proof.at("/events"));
    (sent, lost)
}

/// Whole lines, whose checksum is right.
#[track_caller]
fn whole(lines: &str) -> u64 {
    lines
        .split_inclusive('\n')
        .map(|line| {
            assert!(is_whole(line), "torn: {line:?}");
            1
        })
        .sum()
}

fn is_whole(line: &str) -> bool {
    let parts = line
        .strip_prefix('$')
        .and_then(|line| line.strip_suffix("\r\n"))
        .and_then(|line| line.split_once('*'));
    parts.is_some_and(|(body, sum)| {
        let found = body.bytes().fold(0, |sum, byte| sum ^ byte);
        u8::from_str_radix(sum, 16) == Ok(found) && body.split(',').count() == 10
    })
}

// ------------------------------------------------------------------------------------------------ GPIO

#[test]
#[ignore = "needs the guest: make test"]
fn each_event_is_one_pulse() {
    let scenario = scenario("gpio_pulse");
    assert_eq!(account(&scenario.proof()), (3, 0));
    assert_eq!(levels(&scenario, "levels"), [0, 1, 0, 1, 0]);
    assert_eq!(scenario.number("level"), 0);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_level_follows_its_state_active_low_too_and_sigterm_ends_it() {
    let scenario = scenario("gpio_level");
    assert_eq!(account(&scenario.proof()), (3, 0));
    // High is off; the state still held when the run ended.
    assert_eq!(levels(&scenario, "levels"), [1, 0, 1, 0, 1]);
    assert_eq!(scenario.number("level"), 1);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_killed_program_leaves_its_line_as_it_was_and_the_next_start_switches_it_off() {
    let scenario = scenario("gpio_killed");
    assert_eq!(levels(&scenario, "levels.killed"), [0, 1]);
    assert_eq!(scenario.number("level.killed"), 1);
    scenario.proof();
    assert_eq!(levels(&scenario, "levels"), [0]);
    assert_eq!(scenario.number("level"), 0);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_line_that_another_program_holds_is_refused_and_the_holder_is_named() {
    let scenario = scenario("gpio_held");
    let words = "line 17 of /dev/gpiochip0 cannot be had: sysfs holds it";
    scenario.ended_with(MACHINE).stderr_names(&[words]);
    let check = scenario.text("check");
    assert!(check.contains(words), "{check}");
    assert_eq!(scenario.text("check.exit").trim(), "4", "{check}");
    let probe = scenario.text("probe");
    assert!(probe.contains("line 17: sysfs holds it"), "{probe}");
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_line_that_the_chip_lacks_is_refused_with_those_that_it_has() {
    scenario("gpio_no_such_line")
        .ended_with(MACHINE)
        .stderr_names(&["line 24 of /dev/gpiochip0", "24 lines, 0 to 23"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_chip_that_comes_late_and_goes_and_comes_back_has_its_line_where_it_should_be() {
    let scenario = scenario("gpio_unplugged");
    scenario.stderr_names(&[
        "output lamp: line 17 of /dev/gpiochip0: ENOENT",
        "output lamp: line 17 of /dev/gpiochip0: ENODEV",
        "output lamp: line 17 of /dev/gpiochip0: it is back",
    ]);
    let proof = scenario.proof();
    // The begin of the state was made; its end, and its new begin, came while the chip was away.
    assert_eq!(account(&proof), (1, 2));
    assert_eq!(proof.number("/events/outputs/0/opened"), 2);
    assert!(proof.number("/events/outputs/0/failures") >= 2);
    // From the chip's return on: the state holds again, and the run ends.
    assert_eq!(levels(&scenario, "levels"), [0, 1, 0]);
    assert_eq!(scenario.number("level"), 0);
    let (before, after) = (scenario.observed("before"), scenario.observed("after"));
    assert_eq!(before.open_files, after.open_files, "open files");
}

// ---------------------------------------------------------------------------------------- serial lines

#[test]
#[ignore = "needs the guest: make test"]
fn the_last_lines_leave_a_slow_line_whole_before_the_program_ends() {
    let proof = scenario("serial_slow").proof();
    let (sent, _) = account(&proof);
    let received = std::fs::read(boot().share.join(".guest/line")).expect("what arrived");
    let received = String::from_utf8(received).expect("text");
    // A machine that is held up for seconds makes the end give up, and that is then said.
    let cut = received.rfind('\n').map_or(0, |end| end + 1);
    assert_eq!(whole(&received[..cut]), sent, "{received}");
    assert!(
        sent >= 2,
        "the wait sends what a UART's queue holds no more"
    );
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_serial_line_that_nobody_reads_costs_its_own_events_and_no_frame() {
    let (sent, lost) = account(&scenario("serial_stuck").proof());
    // Some bytes fit between two UARTs; the driver's queue and ours never left.
    assert!(sent <= 10 && lost >= 134, "{sent} sent, {lost} lost");
    scenario("serial_stuck").stderr_names(&["lines did not leave the device before the end"]);
}

#[test]
#[ignore = "needs the guest: make test"]
fn a_reader_that_comes_late_gets_whole_lines() {
    let scenario = scenario("serial_held_up");
    let (sent, lost) = account(&scenario.proof());
    assert!(lost > 0 && sent > 60, "{sent} sent, {lost} lost");
    let received = scenario.text("received");
    // Before the first of its lines there may be some that an earlier run left between the two UARTs, and the
    // bytes between them that were dropped tear one line.
    let lines: Vec<&str> = received.split_inclusive('\n').collect();
    let torn = lines.iter().filter(|line| !is_whole(line)).count();
    let own = lines.iter().rev().take_while(|line| is_whole(line)).count();
    assert!(torn <= 2, "{received}");
    assert_eq!(1 + own as u64, sent, "{received}");
}

#[test]
#[ignore = "needs the guest: make test"]
fn outputs_are_listed_checked_and_tried_by_hand() {
    let scenario = scenario("output_command");
    scenario.ended_with(0);
    let done = scenario.text("stdout");
    assert!(
        done.contains("line 17 of /dev/gpiochip0 was on (high) for 200 ms"),
        "{done}"
    );
    assert_eq!(levels(&scenario, "levels"), [0, 1, 0]);
    assert_eq!(scenario.number("level"), 0);
    let radio = scenario.text("radio");
    assert_eq!(scenario.text("radio.exit").trim(), "0", "{radio}");
    let received = scenario.text("received");
    assert_eq!(whole(&received), 1, "{received}");
    assert!(
        received.starts_with("$PINEV,test,test,once,,"),
        "{received}"
    );
    assert!(radio.contains(received.trim_end()), "{radio}");
    let check = scenario.text("check");
    for words in [
        "output lamp: line 17 (no name) of /dev/gpiochip0 (AMDIF031:00), free",
        "output radio: serial line /dev/ttyS2 at 115200 baud",
    ] {
        assert!(check.contains(words), "{check}");
    }
    assert_eq!(scenario.text("check.exit").trim(), "0", "{check}");
    let probe = scenario.text("probe");
    for words in [
        "gpio       /dev/gpiochip0\n           AMDIF031:00, lines 0 to 23\n",
        "serial     /dev/ttyS0 (serial)\n           the kernel's console holds it\n",
        "serial     /dev/ttyS3 (serial)\n           cat (process ",
    ] {
        assert!(probe.contains(words), "{words}\n{probe}");
    }
}
