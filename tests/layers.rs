//! Dependencies point one way: this reads every `use` line and path of `src` and fails when a module
//! reaches to its right.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules from left to right; those of one row must not reach each other, unless `HANDED_OVER` says so.
const ROWS: &[&[&str]] = &[
    &["units", "limits"],
    &["sync"],
    &["frame", "ring", "ledger", "latency", "board"],
    &[
        "capture",
        "jpeg",
        "preprocess",
        "infer",
        "postprocess",
        "event",
        "record",
    ],
    &["sys"],
    &["bench"],
    &["appliance"],
    &["cli"],
];

/// Types that one stage hands to the next: (from, to) pairs within a row.
const HANDED_OVER: &[(&str, &str)] = &[
    // The ring carries slots and headers; the lane keeps a frame's memory.
    ("ring", "frame"),
    // The profile names pixel formats.
    ("board", "frame"),
    // The budget counts slots by the lane's own formula.
    ("board", "ring"),
    // Tensors are described by the engine and written by the preprocessor, read by the decoder.
    ("preprocess", "infer"),
    ("postprocess", "infer"),
    // Boxes go back to camera pixels by the mapping that the preprocessor made.
    ("postprocess", "preprocess"),
    // What is recorded is what was detected.
    ("record", "postprocess"),
    ("event", "postprocess"),
];

fn row_of(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

fn allowed(from: &str, to: &str) -> bool {
    if from == to || HANDED_OVER.contains(&(from, to)) {
        return true;
    }
    match (row_of(from), row_of(to)) {
        (Some(from), Some(to)) => to < from,
        _ => false,
    }
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The top-level modules that a source text names by `crate::`. Test code counts as well.
fn reaches(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .flat_map(|line| line.split("crate::").skip(1))
        .flat_map(|rest| {
            let list = rest
                .strip_prefix('{')
                .map(|inner| inner.split('}').next().unwrap_or(""));
            match list {
                Some(inner) => inner.split(',').map(str::to_owned).collect(),
                None => vec![rest.to_owned()],
            }
        })
        .map(|path| {
            path.trim()
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect()
        })
        .filter(|name: &String| !name.is_empty())
        .collect()
}

#[test]
fn no_module_reaches_to_its_right() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut wrong = Vec::new();
    let mut edges: BTreeMap<(String, String), usize> = BTreeMap::new();
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        let first = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy();
        let from = first.trim_end_matches(".rs").to_owned();
        if from == "lib" || from == "main" {
            continue;
        }
        assert!(
            row_of(&from).is_some(),
            "{} has no row in this test",
            inside.display()
        );
        for to in reaches(&fs::read_to_string(&file).unwrap()) {
            if !allowed(&from, &to) {
                wrong.push(format!("{}: {from} reaches {to}", inside.display()));
            }
            *edges.entry((from.clone(), to)).or_default() += 1;
        }
    }
    assert!(
        edges.len() > 10,
        "this test sees too few dependencies to mean anything: {edges:?}"
    );
    assert!(
        wrong.is_empty(),
        "dependencies point one way:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_module_that_reaches_the_wrong_way_is_seen() {
    let found = reaches("use crate::appliance::Options;\nlet x = crate::cli::main();");
    assert_eq!(found, ["appliance", "cli"]);
    assert!(!allowed("ring", "appliance"));
    assert!(!allowed("capture", "sys"));
    assert!(!allowed("infer", "preprocess"));
    assert!(allowed("sys", "capture"));
    assert_eq!(reaches("use crate::{frame, sys::clock};"), ["frame", "sys"]);
}
