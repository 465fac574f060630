//! Profiles as text: what is accepted, and every message for what is not.

use pinsight::board::{
    self, Absent, AbsentCore, Board, Decoder, Delegate, Fault, Fit, InputRange, Io, LoadError,
    OnShortage, Source, Wait,
};
use pinsight::frame::PixelFormat;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::path::{Path, PathBuf};

/// The least that a board needs.
const SMALL: &str = r#"name = "small"
[[camera]]
name = "front"
source = "v4l2"
device = "/dev/video0"
format = "NV12"
width-px = 640
height-px = 480
rate-hz = 30
[[model]]
name = "face"
path = "face.tflite"
sha256 = "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633"
decoder = "blazeface-short"
labels = ["face"]
[[worker]]
name = "eyes"
cores = [1]
model = "face"
"#;

/// A file with a fault on most lines, and the message for each.
const FAULTY: &str = include_str!("profile/faulty.toml");
const FAULTY_MESSAGES: &str = include_str!("profile/faulty.txt");
/// A file that is not TOML, and what is said of it.
const BROKEN: &str = include_str!("profile/broken.toml");
const BROKEN_MESSAGES: &str = include_str!("profile/broken.txt");

fn messages(file: &str, text: &str) -> Vec<String> {
    match board::read(file, text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(Fault::to_string).collect(),
    }
}

#[track_caller]
fn assert_messages(file: &str, text: &str, expected: &str) {
    let found = messages(file, text);
    let expected: Vec<&str> = expected.lines().collect();
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found, expected, "message {}", index + 1);
    }
    assert_eq!(
        found.len(),
        expected.len(),
        "all messages:\n{}",
        found.join("\n")
    );
}

/// `SMALL` with one line replaced has exactly this one fault.
#[track_caller]
fn assert_one_fault(old: &str, new: &str, expected: &str) {
    assert!(SMALL.contains(old), "{old} is not in the small profile");
    assert_messages("b.toml", &SMALL.replacen(old, new, 1), expected);
}

fn small() -> Board {
    board::read("boards/small.toml", SMALL).expect("the small profile is sound")
}

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
fn the_least_profile_gets_the_documented_defaults() {
    let board = small();
    assert_eq!(
        (board.name.as_str(), board.strict, board.absent_core),
        ("small", false, AbsentCore::Refuse)
    );
    assert_eq!(
        (board.memory.hugepage_kib, board.memory.on_shortage),
        (2048, OnShortage::Fallback)
    );
    assert_eq!(
        (board.memory.budget_mib, board.memory.malloc_arena_kib),
        (256, 0)
    );
    let camera = &board.cameras[0];
    assert_eq!(
        camera.source,
        Source::V4l2 {
            device: "/dev/video0".into()
        }
    );
    assert_eq!(
        (camera.format, camera.width_px, camera.height_px),
        (PixelFormat::Nv12, 640, 480)
    );
    assert_eq!(
        (camera.io, camera.ring_slots, camera.driver_slots),
        (Io::Auto, 1, 4)
    );
    assert_eq!((camera.capture_core, camera.node), (0, None));
    assert_eq!((camera.max_age_ms, camera.time_out_ms), (250, 2000));
    assert_eq!(board.capture.fifo_priority, 0);
    let model = &board.models[0];
    assert_eq!(
        (model.decoder, model.fit, &model.delegate),
        (Decoder::BlazefaceShort, Fit::Letterbox, &Delegate::Xnnpack)
    );
    assert_eq!((model.sha256[0], model.sha256[31]), (0x3b, 0x33));
    assert_eq!(
        (
            model.input_range,
            model.score_threshold,
            model.iou_threshold
        ),
        (InputRange::One([-1.0, 1.0]), 0.5, 0.3)
    );
    assert_eq!((model.max_detections, model.threads), (8, 1));
    let worker = &board.workers[0];
    assert_eq!(
        (worker.fifo_priority, worker.wait, worker.spin_us),
        (0, Wait::SpinThenPark, 50)
    );
    assert_eq!(
        (board.housekeeping.core, board.housekeeping.queue_results),
        (0, 64)
    );
    assert_eq!(board.housekeeping.record_results, 16_384);
}

#[test]
fn a_relative_path_starts_at_the_profiles_directory_and_an_absolute_one_does_not() {
    let model = |file: &str, text: &str| {
        board::read(file, text).expect("sound").models[0]
            .path
            .clone()
    };
    assert_eq!(
        model("/etc/pinsight/door.toml", SMALL),
        Path::new("/etc/pinsight/face.tflite")
    );
    assert_eq!(
        model("boards/door.toml", SMALL),
        Path::new("boards/face.tflite")
    );
    assert_eq!(model("door.toml", SMALL), Path::new("face.tflite"));
    let absolute = SMALL.replace("\"face.tflite\"", "\"/opt/face.tflite\"");
    assert_eq!(
        model("boards/door.toml", &absolute),
        Path::new("/opt/face.tflite")
    );
    let image = SMALL.replace(
        "\"v4l2\"\ndevice = \"/dev/video0\"",
        "\"image\"\npath = \"a/b.png\"",
    );
    let board = board::read("boards/door.toml", &image).expect("sound");
    assert_eq!(
        board.cameras[0].source,
        Source::Image {
            path: "boards/a/b.png".into(),
            pan_px: 8,
            scale: 1
        }
    );
}

#[test]
fn numbers_may_be_written_in_all_of_tomls_ways() {
    let text = SMALL
        .replace("width-px = 640", "width-px = 0x0280")
        .replace("rate-hz = 30", "rate-hz = 2.997e1");
    let text = text.replace("[[model]]", "time-out-ms = 1_500\n[[model]]");
    let board = board::read("b.toml", &text).expect("sound");
    let camera = &board.cameras[0];
    assert_eq!(
        (camera.width_px, camera.rate_hz, camera.time_out_ms),
        (640, 29.97, 1500)
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
        let found = messages("b.toml", text);
        assert!(!found.is_empty());
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
fn every_shipped_board_is_sound() {
    let mut seen = Vec::new();
    for entry in std::fs::read_dir("boards").expect("boards/") {
        let path = entry.expect("an entry of boards/").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let board = board::load(&path).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(
                Some(board.name.as_str()),
                path.file_stem().and_then(|stem| stem.to_str())
            );
            seen.push(board.name);
        }
    }
    seen.sort();
    assert_eq!(
        seen,
        [
            "cascade", "demo", "doorway", "person", "ssd", "stream", "vivid"
        ]
    );
}

const SHIPPED: &[&str] = &[
    "boards/cascade.toml",
    "boards/demo.toml",
    "boards/doorway.toml",
    "boards/person.toml",
    "boards/ssd.toml",
    "boards/stream.toml",
    "boards/vivid.toml",
];

/// The rows of the README's key tables: header of the section, key, values, default.
fn documented() -> Vec<[String; 4]> {
    let readme = std::fs::read_to_string("boards/README.md").expect("boards/README.md");
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in readme.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.trim_matches('`').to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", key, values, default, why, ""] = cells[..]
            && let Some(key) = key.strip_prefix('`').and_then(|key| key.strip_suffix('`'))
        {
            assert!(why.len() > 10, "{section}.{key}: the reason is missing");
            rows.push([section.clone(), key.into(), values.into(), default.into()]);
        }
    }
    rows
}

#[test]
fn the_reference_has_every_key_with_the_readers_own_values_and_defaults() {
    let keys: Vec<[String; 4]> = board::key_list()
        .into_iter()
        .map(|key| {
            let section = if key.table.is_empty() {
                "Top of the file"
            } else {
                key.table
            };
            let values = match key.belongs_to {
                Some(with) => format!("{}; only with `{with}`", key.expected),
                None => key.expected,
            };
            let default = match key.absent {
                Absent::Fault => "required".into(),
                Absent::Default(value) => format!("`{value}`"),
                Absent::Derived => match key.name {
                    "class-thresholds" | "duty-cycle-ms" | "max-rate-hz" | "then" => "none",
                    "within" => "the whole picture",
                    "controls" | "crop" => "what the driver has",
                    "node" => "the node of `capture-core`",
                    "camera" => "the only camera",
                    "model" => "the only model",
                    "zone" | "region" => "the whole picture",
                    "classes" | "rules" | "cameras" | "within-classes" => "all of them",
                    other => panic!("what holds without {other}?"),
                }
                .into(),
            };
            [section.into(), key.name.into(), values, default]
        })
        .collect();
    let documented = documented();
    for key in &keys {
        assert!(
            documented.contains(key),
            "boards/README.md lacks this row: {key:?}"
        );
    }
    for row in &documented {
        assert!(
            keys.contains(row),
            "boards/README.md has a row that no key answers to: {row:?}"
        );
    }
    assert!(keys.len() > 40, "found only {} keys", keys.len());
}

#[test]
fn every_key_but_the_derived_is_shown_in_a_shipped_board() {
    // No package of a registry has a YOLO for TensorFlow Lite.
    const UNSHIPPED: &[&str] = &["box-unit"];
    let boards: Vec<String> = SHIPPED
        .iter()
        .map(|file| std::fs::read_to_string(file).expect(file))
        .collect();
    for key in board::key_list() {
        let line = format!("\n{} = ", key.name);
        let shown = boards.iter().any(|text| text.contains(&line));
        assert!(
            shown || key.absent == Absent::Derived || UNSHIPPED.contains(&key.name),
            "no shipped board shows {}",
            key.name
        );
    }
}

#[test]
fn every_number_of_a_shipped_board_has_its_reason_beside_it() {
    for &file in SHIPPED {
        let text = std::fs::read_to_string(file).expect(file);
        let lines: Vec<&str> = text.lines().collect();
        let mut numbers = 0;
        for (index, line) in lines.iter().enumerate() {
            let Some((key, value)) = line.split_once(" = ") else {
                continue;
            };
            if line.starts_with('#')
                || !value.starts_with(|first: char| first.is_ascii_digit() || first == '[')
            {
                continue;
            }
            numbers += 1;
            // A comment speaks for the lines below it, up to the next empty line, comment or header.
            let above = lines[..index]
                .iter()
                .rev()
                .find(|line| line.starts_with('#') || !line.contains(" = "));
            assert!(
                above.is_some_and(|line| line.starts_with('#')),
                "{file}: {key} has no reason"
            );
        }
        assert!(numbers > 15, "{file}: found only {numbers} numbers");
    }
}

#[test]
fn a_file_that_cannot_be_a_profile_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    };
    let error = |path: &Path| board::load(path).expect_err("not a profile").to_string();
    let absent = dir.path().join("absent.toml");
    assert!(matches!(
        board::load(&absent),
        Err(LoadError::Unreadable { .. })
    ));
    assert!(error(&absent).starts_with(&format!(
        "{}: cannot be read: No such file",
        absent.display()
    )));
    assert!(matches!(
        board::load(dir.path()),
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

/// Texts that are nearly profiles: a shipped one with some places overwritten.
fn mutated() -> impl Strategy<Value = String> {
    let boards = [
        include_str!("../boards/demo.toml"),
        include_str!("../boards/vivid.toml"),
        SMALL,
        FAULTY,
        BROKEN,
    ];
    let scraps = prop::sample::select(vec![
        "",
        "\"",
        "'''",
        "[",
        "]",
        "[[",
        "]]",
        "=",
        "\n",
        "{",
        "}",
        ",",
        ".",
        "#",
        "\\u0000",
        "\u{fffd}",
        "é",
        "-1",
        "1e400",
        "nan",
        "0x",
        "99999999999999999999",
        "true",
        "1979-05-27",
        "[[camera]]\n",
        "[memory]\n",
        "[camera]\n",
        "camera = 3\n",
        "name = \"x\"\n",
        "[[model.a]]\n",
        "a.b.c = 1\n",
        "memory.x = 1\n",
        "[worker.0]\n",
    ]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, scraps), 1..6);
    (prop::sample::select(boards.to_vec()), edits).prop_map(|(text, edits)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, length, scrap) in edits {
            let at = at.index(chars.len() + 1);
            let end = (at + length).min(chars.len());
            chars.splice(at..end, scrap.chars());
        }
        chars.into_iter().collect()
    })
}

/// Whatever the text: a sound board, or faults that have a place in it.
fn assert_reads(text: &str) {
    match board::read("p.toml", text) {
        Ok(board) => {
            assert!((1..=64).contains(&board.cameras.len()));
            for worker in &board.workers {
                let model = board.models.iter().find(|model| model.name == worker.model);
                assert_eq!(
                    model.expect("a reference that resolves").threads as usize,
                    worker.cores.len()
                );
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            let lines = text.split('\n').count();
            assert!(
                faults
                    .iter()
                    .all(|fault| (1..=lines).contains(&fault.line) && fault.column >= 1)
            );
            assert!(faults.is_sorted_by_key(|fault| fault.line));
            assert!(faults.iter().all(|fault| !fault.to_string().contains('\n')));
        }
    }
}

#[test]
fn the_mutations_give_boards_and_faults() {
    let mut runner = TestRunner::deterministic();
    let (mut sound, mut faulty) = (0, 0);
    for _ in 0..200 {
        let text = mutated().new_tree(&mut runner).expect("a text").current();
        match board::read("p.toml", &text) {
            Ok(_) => sound += 1,
            Err(_) => faulty += 1,
        }
    }
    assert!(sound > 5 && faulty > 50, "{sound} sound, {faulty} faulty");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nearly_a_profile_is_read_or_refused(text in mutated()) {
        assert_reads(&text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        assert_reads(&text);
    }

    #[test]
    fn any_text_of_tomls_own_characters_is_read_or_refused(text in "[a-z\\[\\]{}=.,\"'#\n 0-9_-]{0,200}") {
        assert_reads(&text);
    }
}

#[test]
fn standard_input_is_read_by_one_camera_and_does_not_begin_again() {
    let camera = |name: &str, repeat: &str| {
        format!(
            "[[camera]]\nname = \"{name}\"\nsource = \"y4m\"\npath = \"-\"\n{repeat}format = \"NV12\"\n\
             width-px = 64\nheight-px = 48\nrate-hz = 30\n"
        )
    };
    let two = camera("a", "loop = true\n") + &camera("b", "");
    let text = SMALL.replacen("[[model]]", &format!("{two}[[model]]"), 1);
    let found = messages("b.toml", &text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].ends_with("camera.loop: found true, expected false with path = \"-\": standard input cannot begin again"),
        "{}",
        found[0]
    );
    assert!(
        found[1].ends_with("camera.path: found \"-\", which camera \"a\" reads as well, expected standard input for one camera only"),
        "{}",
        found[1]
    );
}

#[test]
fn a_camera_that_is_waited_for_has_slots_of_ours() {
    let with = |io: &str| {
        let wanted = format!("device = \"/dev/video0\"\nabsent = \"wait\"\nio = \"{io}\"");
        SMALL.replacen("device = \"/dev/video0\"", &wanted, 1)
    };
    assert!(board::read("b.toml", &with("userptr")).is_ok());
    let found = messages("b.toml", &with("mmap"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains(
            "camera.io: found \"mmap\", expected \"auto\", \"userptr\" or \"copy\", because absent = \"wait\""
        ),
        "{}",
        found[0]
    );
}

#[test]
fn controls_are_numbers_truths_or_items_and_nothing_else() {
    let with = |controls: &str| {
        SMALL.replacen(
            "device = \"/dev/video0\"",
            &format!("device = \"/dev/video0\"\ncontrols = {controls}"),
            1,
        )
    };
    let board = board::read(
        "b.toml",
        &with("{ gain = -3, exposure-auto = true, menu = \"Auto\" }"),
    );
    let camera = &board.expect("sound").cameras[0];
    let mut found: Vec<String> = camera
        .controls
        .iter()
        .map(|control| format!("{} {}", control.name, control.value))
        .collect();
    found.sort();
    assert_eq!(found, ["exposure-auto 1", "gain -3", "menu \"Auto\""]);
    for (controls, words) in [
        (
            "{ gain = 1.5 }",
            "camera.controls: found gain = 1.5, expected a table of controls",
        ),
        ("{ gain = [1] }", "found gain = an array of 1, expected"),
        ("4", "found 4, expected a table of controls"),
    ] {
        let found = messages("b.toml", &with(controls));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(words), "{}", found[0]);
    }
}

#[test]
fn a_crop_is_four_numbers_of_which_the_sides_are_not_zero() {
    let with = |line: &str| {
        let device = "device = \"/dev/video0\"";
        SMALL.replacen(device, &format!("{device}\n{line}"), 1)
    };
    let board = board::read("b.toml", &with("crop = [0, 8, 640, 480]")).expect("sound");
    assert_eq!(board.cameras[0].crop, Some([0, 8, 640, 480]));
    for crop in [
        "[0, 0, 640]",
        "[0, 0, 0, 480]",
        "[0, 0, 640, 0]",
        "[-1, 0, 640, 480]",
        "[0, 0, 65536, 480]",
        "[0.5, 0, 640, 480]",
        "640",
    ] {
        let found = messages("b.toml", &with(&format!("crop = {crop}")));
        assert_eq!(found.len(), 1, "{found:?}");
        let words = format!("camera.crop: found {crop}, expected left, top, width and height");
        assert!(found[0].contains(&words), "{}", found[0]);
    }
}

#[test]
fn slots_of_the_drivers_are_as_many_as_it_has_buffers_and_ours_are_not() {
    for (io, refused) in [
        ("auto", true),
        ("mmap", true),
        ("dmabuf", true),
        ("dma-heap", true),
        ("userptr", false),
        ("copy", false),
    ] {
        let device = "device = \"/dev/video0\"";
        let keys = format!("{device}\nio = \"{io}\"\nring-slots = 64");
        let text = SMALL.replacen(device, &keys, 1);
        let read = board::read("b.toml", &text);
        assert_eq!(read.is_err(), refused, "{io}");
    }
}

/// The small profile with one more line for its model.
fn with_model(line: &str) -> String {
    SMALL.replacen("labels = ", &format!("{line}\nlabels = "), 1)
}

#[test]
fn a_delegate_is_a_word_or_a_library_with_options() {
    let line = "delegate = { plugin = \"lib/npu.so\", options = { cores = 2, fast = true, mode = \"a b\" } }";
    let board = board::read("boards/b.toml", &with_model(line)).expect("sound");
    let Delegate::Plugin(plugin) = &board.models[0].delegate else {
        panic!("{:?}", board.models[0].delegate)
    };
    assert_eq!(plugin.path, Path::new("boards/lib/npu.so"));
    let mut options = plugin.options.clone();
    options.sort();
    let expected = [("cores", "2"), ("fast", "true"), ("mode", "a b")];
    assert_eq!(
        options,
        expected.map(|(key, value)| (key.into(), value.into()))
    );
    for (line, words) in [
        ("delegate = \"xnnpak\"", "did you mean `xnnpack`?"),
        (
            "delegate = { options = {} }",
            "model.delegate: found a table without `plugin`, expected \"xnnpack\", \"none\" or",
        ),
        (
            "delegate = { plugin = 4 }",
            "found \"plugin\" = 4, expected",
        ),
        (
            "delegate = { plugin = \"a\", option = {} }",
            "found \"option\" = a table, expected",
        ),
        (
            "delegate = { plugin = \"a\", options = { x = [] } }",
            "found \"x\" = an empty array, expected",
        ),
        (
            "on-failure = \"ignore\"",
            "expected \"refuse\" or \"builtin\"",
        ),
    ] {
        let found = messages("b.toml", &with_model(line));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(words), "{}", found[0]);
    }
}

#[test]
fn an_input_range_is_a_pair_or_one_for_each_of_three_channels() {
    let range = |text: &str| {
        let text = with_model(&format!("input-range = {text}"));
        board::read("b.toml", &text).map(|board| board.models[0].input_range)
    };
    assert_eq!(range("[0, 255.0]"), Ok(InputRange::One([0.0, 255.0])));
    assert_eq!(
        range("[[-2.118, 2.249], [-2.036, 2.429], [2, -1]]"),
        Ok(InputRange::Each([
            [-2.118, 2.249],
            [-2.036, 2.429],
            [2.0, -1.0]
        ]))
    );
    for (text, found) in [
        ("[0, 0.0]", "[0, 0.0]"),
        ("[0, 1025]", "[0, 1025]"),
        ("[0, 1, 2]", "0"),
        ("[[0, 1], [1, 1], [0, 1]]", "[1, 1]"),
        ("[[0, 1], [0, 1], [0, 1, 2]]", "[0, 1, 2]"),
        ("[[0, 1], [0, 1]]", "[an array of 2, an array of 2]"),
        ("[[0, 1], [0, inf], [0, 1]]", "[0, inf]"),
        ("1", "1"),
    ] {
        let messages = messages("b.toml", &with_model(&format!("input-range = {text}")));
        assert_eq!(messages.len(), 1, "{messages:?}");
        let expected = format!(
            ": model.input-range: found {found}, expected two different numbers (of black, of white), each -1024 \
             to 1024, or such a pair for each of three channels"
        );
        assert!(messages[0].ends_with(&expected), "{messages:?}");
    }
}

#[test]
fn a_class_threshold_is_of_a_label_that_the_model_has() {
    let board =
        board::read("b.toml", &with_model("class-thresholds = { face = 0.75 }")).expect("sound");
    let [threshold] = &board.models[0].class_thresholds[..] else {
        panic!("{:?}", board.models[0].class_thresholds)
    };
    assert_eq!((threshold.label.as_str(), threshold.score), ("face", 0.75));
    for (line, words) in [
        (
            "class-thresholds = { fase = 0.75 }",
            "model.class-thresholds: found \"fase\", expected one of the model's `labels`; did you mean `face`?",
        ),
        (
            "class-thresholds = { face = 1.5 }",
            "found \"face\" = 1.5, expected a table of labels",
        ),
        (
            "class-thresholds = 0.5",
            "found 0.5, expected a table of labels, each with a number (score), 0 to 1",
        ),
    ] {
        let found = messages("b.toml", &with_model(line));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(words), "{}", found[0]);
    }
}

#[test]
fn jpeg_pictures_come_from_cameras_and_mjpeg_streams_alone() {
    let camera = |source: &str, format: &str| {
        let path = match source {
            "pattern" => "",
            "v4l2" => "device = \"/dev/video9\"\n",
            _ => "path = \"clip\"\n",
        };
        let camera = format!(
            "[[camera]]\nname = \"jpeg\"\nsource = \"{source}\"\n{path}format = \"{format}\"\n\
             width-px = 64\nheight-px = 48\nrate-hz = 30\n"
        );
        let text = SMALL.replacen("[[model]]", &format!("{camera}[[model]]"), 1);
        messages("b.toml", &text)
    };
    for source in ["v4l2", "mjpeg"] {
        assert_eq!(camera(source, "MJPG"), [""; 0], "{source}");
    }
    for source in ["pattern", "image", "y4m", "raw"] {
        let found = camera(source, "MJPG");
        let words = "camera.format: found \"MJPG\", expected a format whose samples lie open";
        assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
    }
    let found = camera("mjpeg", "NV12");
    let words = "camera.format: found \"NV12\", expected \"MJPG\" with source = \"mjpeg\"";
    assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
}

#[test]
fn a_worker_names_the_cameras_that_it_judges_and_none_is_left_to_nobody() {
    let side = SMALL.split("[[model]]").next().unwrap();
    let side = side.split_once("[[camera]]").unwrap().1;
    let side = side.replace("front", "side").replace("video0", "video1");
    let two = SMALL.replacen("[[model]]", &format!("[[camera]]{side}[[model]]"), 1);
    let board = board::read("b.toml", &two).expect("sound");
    assert!(board.workers[0].judges("front") && board.workers[0].judges("side"));
    let named = format!("{two}cameras = [\"side\"]\n");
    let again = "[[worker]]\nname = \"more\"\ncores = [2]\nmodel = \"face\"\ncameras = [\"front\", \"side\"]\n";
    let board = board::read("b.toml", &format!("{named}{again}")).expect("sound");
    let judges: Vec<_> = board.cameras.iter().map(|c| board.judges_of(c)).collect();
    assert_eq!(
        (judges, board.workers[0].judges("front")),
        (vec![1, 2], false)
    );
    assert_messages(
        "b.toml",
        &named,
        "b.toml:3: camera.name: found \"front\", whose frames no worker judges, expected a camera that some [[worker]] judges; name it in the `cameras` of a [[worker]], or leave that key out there: then it judges all",
    );
    assert_messages(
        "b.toml",
        &format!("{two}cameras = [\"frant\"]\n"),
        "b.toml:28: worker.cameras: found \"frant\", expected names of [[camera]] tables: \"front\", \"side\"; did you mean `front`?",
    );
    let rule =
        "[[rule]]\nname = \"any\"\nkind = \"presence\"\ncamera = \"front\"\nmodel = \"face\"\n";
    let other = SMALL
        .split("[[model]]")
        .nth(1)
        .unwrap()
        .split("[[worker]]")
        .next()
        .unwrap();
    let other = other.replace("\"face\"", "\"nose\"");
    let elsewhere = again.replace("\"face\"", "\"nose\"");
    assert_messages(
        "b.toml",
        &format!("{named}{elsewhere}[[model]]{other}{rule}"),
        "b.toml:44: rule.model: found \"face\", which judges no frame of camera \"front\", expected a model that a [[worker]] with that camera among its `cameras` runs",
    );
}

#[test]
fn further_models_come_after_those_whose_boxes_they_look_into() {
    let model = |name: &str, more: &str| {
        format!(
            "[[model]]\nname = \"{name}\"\npath = \"m\"\nsha256 = \"{:064}\"\n{more}\n",
            0
        )
    };
    let ssd = "decoder = \"ssd\"\nlabels = [\"Person\", \"Car\"]";
    let person = model("person", ssd);
    let class = model("class", "decoder = \"classify\"\nlabels = [\"a\"]");
    let within = |name: &str, of: &str| model(name, &format!("{ssd}\nwithin = \"{of}\""));
    let with = |then: &str, models: &str| format!("{SMALL}{then}\n{models}");

    let whole = format!(
        "{}within-classes = [\"Person\"]\nwithin-boxes = 16\nwithin-margin = 0\n",
        within("plate", "person")
    );
    let text = with(
        "then = [\"person\", \"plate\"]",
        &format!("{person}{whole}"),
    );
    let board = board::read("b.toml", &text).expect("sound");
    let models: Vec<_> = board
        .models_of(&board.workers[0])
        .map(|(at, _)| at)
        .collect();
    assert_eq!(models, [0, 1, 2]);
    let found = board.models[2].within.as_ref().unwrap();
    assert_eq!(
        (&*found.model, found.boxes, found.margin),
        ("person", 16, 0.0)
    );
    assert_eq!(found.classes, ["Person"]);
    let default =
        board::read("b.toml", &with("then = [\"in\"]", &within("in", "face"))).expect("sound");
    let default = default.models[1].within.clone().unwrap();
    assert_eq!(
        (default.boxes, default.margin, default.classes.len()),
        (4, 0.2, 0)
    );

    for (then, models, expected) in [
        (
            "then = [\"face\"]",
            String::new(),
            "worker.then: found \"face\", expected other models than the worker's `model`, which has judged the frame by then",
        ),
        (
            "then = [\"persn\"]",
            person.clone(),
            "worker.then: found \"persn\", expected the name of a [[model]]: \"face\", \"person\"; did you mean `person`?",
        ),
        (
            "then = [\"plate\", \"person\"]",
            format!("{person}{}", within("plate", "person")),
            "worker.then: found \"plate\", which looks into boxes of \"person\", expected \"person\" before it, as `model` or in `then`",
        ),
        (
            "",
            within("own", "own"),
            "model.within: found \"own\", expected another model, whose boxes it looks into",
        ),
        (
            "",
            within("plate", "persons"),
            "model.within: found \"persons\", expected the name of a [[model]]: \"face\", \"plate\"",
        ),
        (
            "",
            format!("{class}{}", within("plate", "class")),
            "model.within: found \"class\", whose decoder \"classify\" finds no boxes, expected a model whose decoder finds boxes",
        ),
        (
            "",
            format!(
                "{person}{}within-classes = [\"Persn\"]\n",
                within("plate", "person")
            ),
            "model.within-classes: found \"Persn\", expected one of the `labels` of model \"person\"; did you mean `Person`?",
        ),
        (
            "",
            format!("{person}within-boxes = 3\n"),
            "model.within-boxes: found 3, expected no such key: it belongs to `within = \"…\"`",
        ),
        (
            "then = [\"big\"]",
            model("big", &format!("{ssd}\nthreads = 2")),
            "worker.then: found \"big\", whose `threads` are 2, expected models of at most as many threads as the worker has cores, 1",
        ),
    ] {
        let found = messages("b.toml", &with(then, &models));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].ends_with(expected), "{}", found[0]);
    }
    // A circle has no model to begin with.
    let circle = format!("{}{}", within("a", "b"), within("b", "a"));
    let found = messages("b.toml", &with("then = [\"a\", \"b\"]", &circle));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].ends_with(
        "\"a\", which looks into boxes of \"b\", expected \"b\" before it, as `model` or in `then`"
    ));
    let first = SMALL.replace("model = \"face\"\n", "model = \"plate\"\n");
    let found = messages("b.toml", &format!("{first}{}", within("plate", "face")));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].ends_with("worker.model: found \"plate\", which looks into boxes of \"face\", expected a model without `within`, which sees the whole picture; name \"face\" here, and this one in `then`"),
        "{}", found[0]
    );
}

#[test]
fn a_camera_may_be_judged_more_rarely_and_in_parts_of_the_time_only() {
    let with = |lines: &str| SMALL.replacen("rate-hz = 30", &format!("rate-hz = 30\n{lines}"), 1);
    let lines = "priority = 3\nmax-rate-hz = 0.5\nduty-cycle-ms = [2000, 10000]";
    let board = board::read("b.toml", &with(lines)).expect("sound");
    let camera = &board.cameras[0];
    assert_eq!((camera.priority, camera.max_rate_hz), (3, Some(0.5)));
    assert_eq!(camera.duty_cycle_ms, Some([2000, 10_000]));
    for (line, words) in [
        (
            "duty-cycle-ms = [3, 2]",
            "camera.duty-cycle-ms: found [3, 2], expected two whole numbers",
        ),
        (
            "duty-cycle-ms = [0, 2]",
            "found [0, 2], expected two whole numbers",
        ),
        ("duty-cycle-ms = 5", "found 5, expected two whole numbers"),
        (
            "max-rate-hz = 0",
            "found 0, expected a number (Hz), 0.01 to 1000",
        ),
        (
            "priority = 10",
            "found 10, expected a whole number (greater goes first), 0 to 9",
        ),
    ] {
        let found = messages("b.toml", &with(line));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(words), "{}", found[0]);
    }
}
