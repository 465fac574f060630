//! What is not a profile: every fault at once, with its place and what would do.

use crate::{SMALL, assert_messages, assert_one_fault, messages};
use pinsight::profile::{self, LoadError};
use std::path::{Path, PathBuf};

/// A file with a fault on most lines, and the message for each.
pub(crate) const FAULTY: &str = include_str!("faulty.toml");
const FAULTY_MESSAGES: &str = include_str!("faulty.txt");
/// A file that is not TOML, and what is said of it.
pub(crate) const BROKEN: &str = include_str!("broken.toml");
const BROKEN_MESSAGES: &str = include_str!("broken.txt");

#[test]
fn every_fault_of_a_file_is_reported_at_once_by_line() {
    assert_messages("faulty.toml", FAULTY, FAULTY_MESSAGES);
}

#[test]
fn syntax_errors_have_line_and_column_and_do_not_hide_other_faults() {
    assert_messages("broken.toml", BROKEN, BROKEN_MESSAGES);
}

#[test]
fn an_empty_profile_is_told_what_a_board_needs() {
    let expected = "\
e.toml:1: camera: found nothing, expected 1 to 64 tables `[[camera]]`
e.toml:1: model: found nothing, expected 1 to 16 tables `[[model]]`
e.toml:1: name: found nothing, expected a name of 1 to 48 letters a-z A-Z, digits, `-`, `_` and `.`; for example `name = \"front-door\"`
e.toml:1: worker: found nothing, expected 1 to 16 tables `[[worker]]`";
    assert_messages("e.toml", "", expected);
    assert_messages(
        "e.toml",
        "camera = []\nmodel = 1\nworker = [1]\nname = \"e\"",
        "\
e.toml:1: camera: found an empty array, expected 1 to 64 tables `[[camera]]`
e.toml:2: model: found 1, expected 1 to 16 tables `[[model]]`
e.toml:3: worker: found an array of 1, expected 1 to 16 tables `[[worker]]`",
    );
}

#[test]
fn numbers_that_are_not_finite_or_do_not_fit_are_faults() {
    for number in [
        "nan",
        "inf",
        "-inf",
        "1e999",
        "-1",
        "99999999999999999999999999999999999999999999999",
        "0",
    ] {
        let found = messages(
            "b.toml",
            &SMALL.replace("rate-hz = 30", &format!("rate-hz = {number}")),
        );
        assert_eq!(found.len(), 1, "{number}: {found:?}");
        assert!(
            found[0].starts_with("b.toml:9: camera.rate-hz: found "),
            "{}",
            found[0]
        );
        assert!(
            found[0].ends_with(", expected a number (Hz), 0.1 to 1000"),
            "{}",
            found[0]
        );
    }
}

#[test]
fn a_forgotten_unit_a_case_or_an_underscore_is_guessed() {
    for (right, wrong) in [
        ("width-px", "width"),
        ("width-px", "Width_px"),
        ("rate-hz", "rate"),
        ("rate-hz", "rate-fps"),
        ("height-px", "hieght-px"),
        ("source", "src"),
        ("device", "devise"),
    ] {
        let misspelt = SMALL.replacen(&format!("\n{right} ="), &format!("\n{wrong} ="), 1);
        let found = messages("b.toml", &misspelt);
        assert_eq!(found.len(), 1, "{wrong}: {found:?}");
        assert!(
            found[0].ends_with(&format!("; did you mean `{right}`?")),
            "{}",
            found[0]
        );
    }
}

#[test]
fn a_key_like_no_other_gets_the_list_of_keys() {
    let found = messages("b.toml", &SMALL.replace("cores = [1]", "on = [1]"));
    assert_eq!(
        found,
        [
            "b.toml:16: worker.cores: found nothing, expected an array of 1 to 16 different elements, each a whole number (core number), 0 to 1023; for example `cores = [1]`",
            "b.toml:18: worker.on: found an unknown key, expected a key of [[worker]]; there are name, cores, model, then, cameras, fifo-priority, wait, spin-us",
        ]
    );
}

#[test]
fn a_faulty_key_causes_no_faults_elsewhere() {
    assert_one_fault(
        "name = \"face\"",
        "name = \"fa ce\"",
        "b.toml:11: model.name: found \"fa ce\", expected a name of 1 to 48 letters a-z A-Z, digits, `-`, `_` and `.`",
    );
    assert_one_fault(
        "source = \"v4l2\"",
        "source = 4",
        "b.toml:4: camera.source: found 4, expected \"v4l2\", \"image\", \"pattern\", \"y4m\", \"raw\" or \"mjpeg\"",
    );
    assert_one_fault(
        "decoder = \"blazeface-short\"",
        "decoder = \"blazeface\"",
        "b.toml:14: model.decoder: found \"blazeface\", expected \"blazeface-short\", \"ssd\", \"yolo\", \"classify\" or \"raw\"; did you mean `blazeface-short`?",
    );
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    for text in [
        "name = \"\\u001b[2J\"",
        "\"\\u001b[2J\" = 1",
        "\"\\u001b[2J\" = \u{1b}",
    ] {
        let device = "device = \"/dev/video0\"";
        let control = format!("{device}\ncontrols = {{ \"\\u001b[2J\" = 1.5 }}");
        let mut found = messages("b.toml", &SMALL.replacen(device, &control, 1));
        assert_eq!(found.len(), 1, "{found:?}");
        found.extend(messages("b.toml", text));
        assert!(found.len() > 1);
        assert!(
            found.iter().all(|line| !line.chars().any(char::is_control)),
            "{found:?}"
        );
    }
}

#[test]
fn strict_and_wrap_exclude_each_other() {
    assert_one_fault(
        "name = \"small\"",
        "name = \"small\"\nstrict = true\nabsent-core = \"wrap\"",
        "b.toml:3: absent-core: found \"wrap\", expected \"refuse\", because strict = true lets nothing be replaced",
    );
}

#[test]
fn more_tables_than_the_program_has_room_for_are_refused() {
    let worker =
        |index: usize| format!("[[worker]]\nname = \"w{index}\"\ncores = [1]\nmodel = \"face\"\n");
    let many: String = (0..16).map(worker).collect();
    let found = messages("b.toml", &format!("{SMALL}{many}"));
    assert_eq!(
        found[0],
        "b.toml:16: worker: found 17 tables, expected 1 to 16 tables `[[worker]]`"
    );
}

#[test]
fn a_file_that_cannot_be_a_profile_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    };
    let error = |path: &Path| profile::load(path).expect_err("not a profile").to_string();
    let absent = dir.path().join("absent.toml");
    assert!(matches!(
        profile::load(&absent),
        Err(LoadError::Unreadable { .. })
    ));
    assert!(error(&absent).starts_with(&format!(
        "{}: cannot be read: No such file",
        absent.display()
    )));
    assert!(matches!(
        profile::load(dir.path()),
        Err(LoadError::Unreadable { .. })
    ));
    let binary = file("binary.toml", b"name = 1\n\xff\n");
    assert_eq!(
        error(&binary),
        format!(
            "{}:2: found bytes that are not UTF-8, expected TOML",
            binary.display()
        )
    );
    let huge = file("huge.toml", &vec![b'#'; (1 << 20) + 1]);
    assert_eq!(
        error(&huge),
        format!(
            "{}: found more than 1048576 bytes, expected a profile",
            huge.display()
        )
    );
    let faulty = file(
        "faulty.toml",
        SMALL
            .replace("= 30", "= 0")
            .replace("= 640", "= 1")
            .as_bytes(),
    );
    assert_eq!(error(&faulty).lines().count(), 2);
}
