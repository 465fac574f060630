//! Several models on one frame, by the real program on the real photograph: faces in the boxes of persons.

mod plugin;
mod running;

use running::{Running, recorded};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const FACE: &str = "decoder = \"blazeface-short\"\nlabels = [\"face\"]\n\
    sha256 = \"3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633\"\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn face_path() -> PathBuf {
    root().join(".cache/models/face_detection_short_range.tflite")
}

/// Runs a board and gives its output, its proof, and its results by model and frame.
fn run(board: &str, arguments: &[&str]) -> (Output, Value, BTreeMap<String, BTreeMap<u64, Value>>) {
    run_in(
        &tempfile::tempdir().unwrap(),
        board,
        arguments,
        Running::end,
    )
}

/// The same in this folder, where `results` and `proof` are written. `end` waits for the end, or asks for it.
fn run_in(
    dir: &tempfile::TempDir,
    board: &str,
    arguments: &[&str],
    end: impl FnOnce(Running) -> Output,
) -> (Output, Value, BTreeMap<String, BTreeMap<u64, Value>>) {
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("board.toml"), board).unwrap();
    let output = end(Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--board"])
            .arg(path("board.toml"))
            .arg("--proof")
            .arg(path("proof"))
            .arg("--results")
            .arg(path("results"))
            .args(arguments),
    ));
    let said = String::from_utf8_lossy(&output.stderr);
    let proof = std::fs::read(path("proof")).unwrap_or_else(|error| panic!("{error}: {said}"));
    let mut results: BTreeMap<String, BTreeMap<u64, Value>> = BTreeMap::new();
    for line in std::fs::read_to_string(path("results")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let of = results
            .entry(line["model"].as_str().unwrap().into())
            .or_default();
        let sequence = line["sequence"].as_u64().unwrap();
        assert!(
            of.insert(sequence, line).is_none(),
            "one result of each model and frame"
        );
    }
    (output, serde_json::from_slice(&proof).unwrap(), results)
}

fn edges(seen: &Value) -> [f64; 4] {
    let px = |index: usize| seen["box_px"][index].as_f64().unwrap();
    [px(0), px(1), px(0) + px(2), px(1) + px(3)]
}

fn overlap(a: [f64; 4], b: [f64; 4]) -> f64 {
    let side = |low: usize| (a[low + 2].min(b[low + 2]) - a[low].max(b[low])).max(0.0);
    let area = |of: [f64; 4]| (of[2] - of[0]) * (of[3] - of[1]);
    let both = side(0) * side(1);
    both / (area(a) + area(b) - both)
}

#[test]
fn the_face_in_the_person_s_box_is_where_the_whole_picture_shows_it() {
    let board = std::fs::read_to_string(root().join("boards/cascade.toml")).unwrap();
    let board = board
        .replace("../.cache", &root().join(".cache").to_string_lossy())
        .replace("max-age-ms = 200", "max-age-ms = 60000")
        .replace(
            "then = [\"face\"]",
            "then = [\"face\", \"whole\", \"wide\"]",
        );
    let path = face_path();
    let whole = format!(
        "[[model]]\nname = \"whole\"\npath = \"{}\"\n{FACE}",
        path.display()
    );
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("record");
    // A margin that makes every part the whole picture again.
    let wide = whole.replace("\"whole\"", "\"wide\"");
    let board = format!(
        "{board}\n{whole}{wide}within = \"things\"\nwithin-classes = [\"Person\"]\nwithin-margin = 1.0\n"
    );
    let (output, proof, results) = run(
        &board,
        &["--frames", "20", "--record", recording.to_str().unwrap()],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(proof["after_ready"]["heap_calls"], 0, "{said}");
    assert_eq!(proof["cameras"][0]["identity_holds"], true);

    let (things, faces, whole) = (&results["things"], &results["face"], &results["whole"]);
    assert!(faces.len() >= 15, "{} faces", faces.len());
    let mut overlaps = Vec::new();
    for (sequence, line) in faces {
        let face = &line["detections"][0];
        assert_eq!(face["label"], "face");
        let within = usize::try_from(face["within"].as_u64().unwrap()).unwrap();
        let person = &things[sequence]["detections"][within];
        assert_eq!(person["label"], "Person");
        let (face, person) = (edges(face), edges(person));
        assert!(
            face[0] > person[0]
                && face[2] < person[2]
                && face[1] > person[1]
                && face[3] < person[3]
        );
        let alone = &whole[sequence]["detections"][0];
        assert_eq!(alone.get("within"), None);
        let wide = &results["wide"][sequence]["detections"][0];
        assert_eq!(wide["within"], within);
        assert_eq!(
            (&wide["box_px"], &wide["score"]),
            (&alone["box_px"], &alone["score"])
        );
        // The detector itself draws a face a little larger or smaller as it is framed.
        overlaps.push(overlap(face, edges(alone)));
    }

    let mean = overlaps.iter().sum::<f64>() / f64::from(u32::try_from(overlaps.len()).unwrap());
    assert!(
        overlaps.iter().all(|&overlap| overlap > 0.7) && mean > 0.77,
        "{mean}: {overlaps:?}"
    );

    let further = proof["further"].as_array().unwrap();
    let of = |index: usize, key: &str| further[index][key].as_u64().unwrap();
    assert_eq!(
        (&further[0]["model"], &further[1]["model"]),
        (&"face".into(), &"whole".into())
    );
    assert_eq!(
        (of(0, "frames"), of(0, "failed"), of(1, "frames")),
        (20, 0, 20)
    );
    assert!(of(0, "boxes") >= 15 && of(1, "boxes") == 0);
    assert_eq!(further[0]["invoke_ns"]["count"], further[0]["boxes"]);
    // More often where results come so late that a face counts as gone in between.
    let fired = proof["events"]["rules"][0]["fired"].as_u64().unwrap();
    assert!(fired >= 1, "a rule of the further model");

    let read = Command::new(env!("CARGO_BIN_EXE_pinsight"))
        .arg("results")
        .arg(&recording)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&read.stdout);
    let line = text
        .lines()
        .find(|line| line.contains("  face  "))
        .unwrap_or_else(|| panic!("{text}"));
    assert!(
        line.contains(" face 0.9") && line.ends_with(" within 0"),
        "{line}"
    );
    assert!(text.contains("80 records whole"), "{text}");
}

/// A face detector over the whole picture, then one that looks into the faces that it found, with `more` for its
/// keys; the camera's pictures are of this source.
fn faces_in_faces(camera: &str, first: &str, more: &str) -> String {
    let path = face_path();
    let path = path.display();
    format!(
        "name = \"twice\"\nabsent-core = \"wrap\"\n[memory]\nmalloc-arena-kib = 4096\n\
         [[camera]]\nname = \"photo\"\nwidth-px = 512\nheight-px = 512\nrate-hz = 20\nmax-age-ms = 10000\n{camera}\n\
         [[model]]\nname = \"first\"\npath = \"{path}\"\n{FACE}{first}\n\
         [[model]]\nname = \"second\"\npath = \"{path}\"\nwithin = \"first\"\nwithin-margin = 1.0\n{FACE}{more}\n\
         [[worker]]\nname = \"detector\"\ncores = [0]\nmodel = \"first\"\nthen = [\"second\"]\nwait = \"park\"\n"
    )
}

fn photo() -> String {
    let path = root().join(".cache/photos/astronaut.png");
    format!(
        "source = \"image\"\nformat = \"NV12\"\npan-px = 0\npath = \"{}\"",
        path.display()
    )
}

#[test]
fn a_picture_that_was_decoded_is_looked_into_as_well_without_a_heap_call() {
    let dir = tempfile::tempdir().unwrap();
    let photo = root().join(".cache/photos/astronaut.png");
    std::fs::copy(photo, dir.path().join("0.png")).unwrap();
    let camera = format!(
        "source = \"mjpeg\"\nformat = \"MJPG\"\nloop = true\npath = \"{}\"",
        dir.path().display()
    );
    let (output, proof, results) = run(&faces_in_faces(&camera, "", ""), &["--frames", "10"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(proof["after_ready"]["heap_calls"], 0, "{said}");
    assert_eq!(proof["cameras"][0]["identity_holds"], true);
    assert_eq!(results["second"].len(), 10, "{said}");
    for (sequence, line) in &results["second"] {
        let (found, expected) = (
            &line["detections"][0],
            &results["first"][sequence]["detections"][0],
        );
        let overlap = overlap(edges(found), edges(expected));
        assert!(overlap > 0.7, "{overlap}");
    }
}

/// Runs a board whose plugin is late from ready on, until the log says so, and then until `enough`: its output, its
/// proof, and the frames of which it recorded a result of its first model and of the further one.
fn run_late(
    board: impl FnOnce(&str) -> String,
    mode: &str,
    enough: impl FnOnce(&mut Running, &Path),
) -> (Output, Value, [BTreeSet<u64>; 2]) {
    let plugin = plugin::compile();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let delegate = plugin.delegate(&format!(
        "mode = \"{mode}\", begin = \"{}\", end = \"{}\"",
        path("begin").display(),
        path("end").display()
    ));
    let late = format!("invoke-deadline-ms = 1000\ndelegate = {delegate}\n");
    let record = path("record");
    let arguments = ["--record", record.to_str().unwrap()];
    let (output, proof, _) = run_in(&dir, &board(&late), &arguments, |mut run| {
        run.until_logged("ready after");
        std::fs::write(path("begin"), "").unwrap();
        run.until_logged("invoke-deadline-ms is 1000");
        enough(&mut run, dir.path());
        run.stop()
    });
    let results = recorded(&record);
    let frames = [0, 1].map(|step| {
        let of_step = results.iter().filter(|result| result.step == step);
        of_step.map(|result| result.sequence).collect()
    });
    (output, proof, frames)
}

#[test]
fn a_further_model_that_is_late_costs_its_own_result_and_not_the_frame() {
    let board = |late: &str| faces_in_faces(&photo(), "", late);
    let (output, proof, [of_first, of_second]) = run_late(board, "nap", |run, folder| {
        let before = recorded(&folder.join("record")).len();
        std::fs::write(folder.join("end"), "").unwrap();
        run.until("results of both models again", |_| {
            let after = recorded(&folder.join("record"));
            let of = |step| after[before..].iter().any(|result| result.step == step);
            of(0) && of(1)
        });
    });
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let line = log
        .lines()
        .find(|line| line.contains("invoke-deadline-ms is 1000"));
    let line = line.unwrap_or_else(|| panic!("the log says it: {log}"));
    assert!(
        line.contains("worker detector, model second: it has run for "),
        "{line}"
    );
    assert!(line.contains("it gives no result of that frame"), "{line}");
    let (camera, further) = (&proof["cameras"][0], &proof["further"][0]);
    assert_eq!(camera["identity_holds"], true, "{camera}");
    assert_eq!(camera["in_flight"], 0);
    let failed = further["failed"].as_u64().unwrap();
    assert!(failed >= 1, "{further}");
    // The frame of the late one is not among those that are refused, which is at most the one that waits at the end:
    // its first result is there, as that of every frame is whose second one is.
    assert!(
        camera["dropped"]["refused"].as_u64().unwrap() <= 1,
        "{camera}"
    );
    assert_eq!(camera["inferred"], of_first.len());
    assert!(of_second.is_subset(&of_first));
    assert_eq!((of_first.len() - of_second.len()) as u64, failed);
    assert!(proof["inferences_overdue"].as_u64().unwrap() >= 1);
}

#[test]
fn a_first_model_that_hangs_on_a_frame_whose_slot_is_kept_leaves_the_ledger_whole() {
    let board = |hangs: &str| faces_in_faces(&photo(), hangs, "");
    let (output, proof, _) = run_late(board, "hang", |_, _| ());
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(
        log.contains("thread detector did not end within 10 s of the stop"),
        "{log}"
    );
    let camera = &proof["cameras"][0];
    assert_eq!(camera["dropped"]["refused"], 1, "{camera}");
    assert_eq!(camera["identity_holds"], true, "{camera}");
}
