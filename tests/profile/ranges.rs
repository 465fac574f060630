//! The values that a message names are those that the check takes.

use crate::{SMALL, assert_one_fault, messages};
use pinsight::profile;

/// What is said of this key, in a file that may have other faults.
fn said(table: &str, beside: &str, key: &str, value: &str) -> Vec<String> {
    let text = match table {
        "" => format!("{key} = {value}\n{SMALL}"),
        _ => format!("{SMALL}{table}\n{beside}\n{key} = {value}\n"),
    };
    let name = format!(
        ": {}{key}: ",
        match table.trim_matches(['[', ']']) {
            "" => String::new(),
            table => format!("{table}."),
        }
    );
    // Of the last table: the small profile's own keys stand before.
    let line = text
        .lines()
        .position(|line| line == format!("{key} = {value}"));
    let place = format!("b.toml:{}{name}", line.map_or(0, |line| line + 1));
    let mut all = messages("b.toml", &text);
    all.retain(|message| message.starts_with(&place));
    all
}

/// The two ends of a range in words, e.g. `a whole number (ms), 1 to 600000`.
fn range(expected: &str) -> Option<(f64, f64)> {
    let (words, ends) = expected.rsplit_once(", ")?;
    let (least, most) = ends.split_once(" to ")?;
    let number = [
        "a whole number (",
        "a number (",
        "an even number (",
        "a power of two (",
    ];
    let is_number = number.iter().any(|start| words.contains(start));
    let is_list = words.starts_with("an array") || words.starts_with("a table");
    (is_number && !is_list).then_some((least.parse().ok()?, most.parse().ok()?))
}

#[test]
fn a_number_at_the_end_of_its_range_is_taken_and_the_next_is_refused_with_that_range() {
    let mut tried = 0;
    for key in profile::key_list() {
        let Some((least, most)) = range(&key.expected) else {
            continue;
        };
        // The key that it belongs to, with the first of the values.
        let beside = key
            .belongs_to
            .clone()
            .unwrap_or_default()
            .replace('…', "face");
        let beside = match beside.match_indices('"').nth(1) {
            Some((end, _)) => &beside[..=end],
            None => "",
        };
        let beside = match key.name {
            // A mode of one kind.
            "pulse-ms" => "kind = \"gpio\"",
            name if name.starts_with("within-") => "decoder = \"ssd\"\nwithin = \"face\"",
            _ => beside,
        };
        let refusal = format!(", expected {}", key.expected);
        let say = |value: f64| said(key.table, beside, key.name, &value.to_string());
        let refused = |value: f64| say(value).iter().any(|message| message.ends_with(&refusal));
        // Real numbers have no next one: some that is plainly outside.
        let (step, whole) = match key.expected.starts_with("a number") {
            true => ((most - least) / 1e4, false),
            false => (1.0, true),
        };
        for (end, beyond) in [(least, least - step), (most, most + step)] {
            assert!(
                !refused(end),
                "{}.{} = {end}: {:?}",
                key.table,
                key.name,
                say(end)
            );
            // 0 is a value of its own for some.
            if !(key.expected.starts_with("0, or ") && beyond == 0.0) {
                assert!(
                    refused(beyond),
                    "{}.{} = {beyond}: {:?}",
                    key.table,
                    key.name,
                    say(beyond)
                );
            }
        }
        if whole && key.expected.starts_with("an even number") {
            assert!(refused(least + 1.0), "{}", key.name);
        }
        tried += 1;
    }
    assert!(tried > 35, "found only {tried} ranges");
}

#[test]
fn a_list_of_numbers_is_refused_by_the_range_that_it_names() {
    let camera = "source = \"v4l2\"";
    let zone = "name = \"z\"";
    for (table, beside, key, taken, refused) in [
        (
            "[[camera]]",
            camera,
            "region",
            "[0, 0, 8192, 8192]",
            "[0, 0, 8194, 8192]",
        ),
        (
            "[[camera]]",
            camera,
            "region",
            "[8192, 0, 2, 2]",
            "[8194, 0, 2, 2]",
        ),
        (
            "[[camera]]",
            camera,
            "region",
            "[2, 2, 2, 2]",
            "[2, 2, 1, 2]",
        ),
        (
            "[[camera]]",
            camera,
            "region",
            "[0, 0, 2, 2]",
            "[0, 0, 0, 2]",
        ),
        (
            "[[camera]]",
            camera,
            "crop",
            "[65535, 0, 65535, 1]",
            "[65536, 0, 1, 1]",
        ),
        (
            "[[camera]]",
            camera,
            "crop",
            "[0, 0, 1, 1]",
            "[0, -1, 1, 1]",
        ),
        (
            "[[camera]]",
            camera,
            "duty-cycle-ms",
            "[1, 86400000]",
            "[1, 86400001]",
        ),
        ("[[camera]]", camera, "duty-cycle-ms", "[5, 5]", "[6, 5]"),
        (
            "[[zone]]",
            zone,
            "corners-px",
            "[[0, 0], [8192, 0], [0, 8192]]",
            "[[0, 0], [8192.5, 0], [0, 8192]]",
        ),
        ("[[line]]", zone, "from-px", "[0, 8192]", "[-0.5, 8192]"),
        (
            "[[model]]",
            zone,
            "input-range",
            "[-1024, 1024]",
            "[-1024.5, 1024]",
        ),
    ] {
        let keys = profile::key_list();
        let doc = keys
            .iter()
            .find(|doc| (doc.table, doc.name) == (table, key))
            .unwrap();
        let refusal = format!(", expected {}", doc.expected);
        let is_refused = |value| {
            let said = said(table, beside, key, value);
            said.iter().any(|message| message.ends_with(&refusal))
        };
        assert!(!is_refused(taken), "{key} = {taken}");
        assert!(
            is_refused(refused),
            "{key} = {refused}: {:?}",
            said(table, beside, key, refused)
        );
    }
}

#[test]
fn what_cannot_be_lowered_is_not_asked_for() {
    let cameras: String = (0..14)
        .map(|index| format!("[[worker]]\nname = \"w{index}\"\ncores = [1]\nmodel = \"face\"\n"))
        .collect();
    let text = SMALL.replace("rate-hz = 30", "rate-hz = 30\ndriver-slots = 32");
    let found = messages("b.toml", &format!("{text}{cameras}"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("b.toml:10: camera.driver-slots: found "),
        "{}",
        found[0]
    );
    assert!(
        found[0].contains("; lower driver-slots, or let the driver"),
        "{}",
        found[0]
    );
}

#[test]
fn what_other_programs_call_it_finds_its_name_here() {
    assert_one_fault(
        "rate-hz = 30",
        "fps = 30",
        "b.toml:9: camera.fps: found an unknown key, expected a key of [[camera]]; did you mean `rate-hz`?",
    );
    let found = messages(
        "b.toml",
        &SMALL.replace("labels =", "confidence = 0.5\nlabels ="),
    );
    let expected = "b.toml:15: model.confidence: found an unknown key, expected a key of [[model]]; did you mean `score-threshold`?";
    assert_eq!(found, [expected]);
    let rule = "[[rule]]\nname = \"r\"\nkind = \"presence\"\nconfidence = 0.5\n";
    let found = messages("b.toml", &format!("{SMALL}{rule}"));
    assert!(
        found[0].ends_with("; did you mean `min-score`?"),
        "{found:?}"
    );
    for (wrong, right) in [
        ("nv12", "NV12"),
        ("yuy2", "YUYV"),
        ("mjpeg", "MJPG"),
        ("I420", "YU12"),
        ("NV-12", "NV12"),
    ] {
        let expected = format!(
            "b.toml:6: camera.format: found \"{wrong}\", expected \"NV12\", \"YUYV\", \"UYVY\", \"YVYU\", \"VYUY\", \
             \"NV21\", \"NV16\", \"YU12\" or one of 44 others; did you mean `{right}`?"
        );
        assert_one_fault(
            "format = \"NV12\"",
            &format!("format = \"{wrong}\""),
            &expected,
        );
    }
}
