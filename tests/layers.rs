//! Dependencies point one way: this reads every `use` line and path of `src` and fails when a module reaches to its
//! right, in the crate or within `appliance`, and when files name each other in a circle.

#[path = "layers/source.rs"]
mod source;

use source::Tree;
use std::collections::{BTreeMap, BTreeSet};

/// Modules from left to right; those of one row must not reach each other, unless `HANDED_OVER` says so.
const ROWS: &[&[&str]] = &[
    &["units", "limits", "columns", "proptest_cases", "shown"],
    &["sync"],
    &["frame", "ring", "ledger", "latency", "profile"],
    &[
        "resources",
        "capture",
        "jpeg",
        "preprocess",
        "infer",
        "postprocess",
        "event",
        "health",
        "record",
    ],
    &["sys"],
    &["appliance"],
    &["cli"],
];

/// Types that one stage hands to the next: (from, to) pairs within a row.
const HANDED_OVER: &[(&str, &str)] = &[
    // The ring carries slots and headers; the lane keeps a frame's memory.
    ("ring", "frame"),
    // The profile names pixel formats.
    ("profile", "frame"),
    // The budget counts slots by the lane's own formula.
    ("profile", "ring"),
    // Tensors are described by the engine and written by the preprocessor, read by the decoder.
    ("preprocess", "infer"),
    ("postprocess", "infer"),
    // Boxes go back to camera pixels by the mapping that the preprocessor made.
    ("postprocess", "preprocess"),
    // What is recorded is what was detected.
    ("record", "postprocess"),
    ("event", "postprocess"),
];

/// The same within `appliance`.
const APPLIANCE_ROWS: &[&[&str]] = &[
    &["exit"],
    &["report", "shared"],
    &["prepare"],
    &["threads"],
    &["start"],
    &["run", "commands"],
];

/// The same within its threads: housekeeping holds the ends of outputs and disk, and `sizes` knows them all.
const THREAD_ROWS: &[&[&str]] = &[
    &["hot"],
    &["capture", "inference", "disk", "output"],
    &["housekeeping"],
    &["sizes"],
];

fn allowed(rows: &[&[&str]], handed_over: &[(&str, &str)], from: &str, to: &str) -> bool {
    if from == to || handed_over.contains(&(from, to)) {
        return true;
    }
    let row_of = |module| rows.iter().position(|row| row.contains(&module));
    match (row_of(from), row_of(to)) {
        (Some(from), Some(to)) => to < from,
        _ => false,
    }
}

/// What reaches the wrong way among the modules below `folder`, and how many arrows there are. Test code counts as well.
fn wrong_ways(
    tree: &Tree,
    folder: &[&str],
    rows: &[&[&str]],
    handed_over: &[(&str, &str)],
) -> (Vec<String>, usize) {
    let mut wrong = Vec::new();
    let mut arrows = BTreeMap::new();
    for (path, source) in &tree.files {
        let Some([from, ..]) = source.module.below(folder) else {
            continue;
        };
        if from == "main" {
            continue;
        }
        assert!(
            rows.iter().any(|row| row.contains(&from.as_str())),
            "{path} has no row in this test"
        );
        for named in tree.names(source, true) {
            let Some([to, ..]) = named.below(folder) else {
                continue;
            };
            // An item of the folder itself, which hands its modules' items on.
            let to = match tree.home(&named, 8) {
                Some(home) => match home.below(folder) {
                    Some([to, ..]) => to.clone(),
                    _ => continue,
                },
                None => to.clone(),
            };
            if !allowed(rows, handed_over, from, &to) {
                wrong.push(format!("{path}: {from} reaches {to}"));
            }
            *arrows.entry((from.clone(), to)).or_insert(0) += 1;
        }
    }
    (wrong, arrows.len())
}

fn tree() -> Tree {
    Tree::read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[track_caller]
fn holds(
    tree: &Tree,
    folder: &[&str],
    rows: &[&[&str]],
    handed_over: &[(&str, &str)],
    least: usize,
) {
    let (wrong, arrows) = wrong_ways(tree, folder, rows, handed_over);
    assert!(
        arrows > least,
        "this test sees too few dependencies to mean anything: {arrows}"
    );
    assert!(
        wrong.is_empty(),
        "dependencies point one way:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_module_reaches_to_its_right() {
    let tree = tree();
    holds(&tree, &[], ROWS, HANDED_OVER, 40);
    holds(&tree, &["appliance"], APPLIANCE_ROWS, &[], 15);
    holds(&tree, &["appliance", "threads"], THREAD_ROWS, &[], 3);
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    let tree = tree();
    let arrows = tree.arrows();
    let count: usize = arrows.values().map(BTreeSet::len).sum();
    assert!(count > 500, "this test sees too few arrows: {count}");
    let circles = tree.circles();
    let mut faults = Vec::new();
    for circle in &circles {
        for file in circle {
            let others: Vec<_> = arrows[file].intersection(circle).collect();
            faults.push(format!("{file} names items of {others:?}"));
        }
        faults.push(String::new());
    }
    assert!(
        faults.is_empty(),
        "circles of files:\n{}",
        faults.join("\n")
    );
}

#[test]
fn a_module_that_reaches_the_wrong_way_is_seen() {
    let mut tree = Tree::default();
    let text = "use crate::appliance::Options;\nlet x = crate::cli::main();";
    tree.add("ring.rs", &["ring"], text);
    tree.add("appliance/mod.rs", &["appliance"], "pub use run::Options;");
    tree.add(
        "appliance/run.rs",
        &["appliance", "run"],
        "pub struct Options;",
    );
    tree.add("cli.rs", &["cli"], "use crate::{frame, sys::clock};");
    tree.add("frame.rs", &["frame"], "");
    tree.add(
        "sys.rs",
        &["sys"],
        "// use crate::cli;\nlet x = \"crate::cli\";",
    );
    let (wrong, _) = wrong_ways(&tree, &[], ROWS, HANDED_OVER);
    let expected = [
        "ring.rs: ring reaches appliance",
        "ring.rs: ring reaches cli",
    ];
    assert_eq!(wrong, expected);
    let allowed = |from, to| allowed(ROWS, HANDED_OVER, from, to);
    assert!(!allowed("capture", "sys") && !allowed("infer", "preprocess"));
    assert!(allowed("sys", "capture"));
}

#[test]
fn a_circle_is_seen_by_whichever_way_its_files_name_each_other() {
    let circles = |files: &[(&str, &[&str], &str)]| {
        let mut tree = Tree::default();
        for (file, module, text) in files {
            tree.add(file, module, text);
        }
        let owned =
            |circle: &BTreeSet<&str>| circle.iter().map(|file| (*file).to_owned()).collect();
        tree.circles().iter().map(owned).collect::<Vec<Vec<_>>>()
    };
    let one = "pub struct One(super::two::Two);";
    // By a `use` line, by a path, by a module's name, through a parent that hands the item on.
    for two in [
        "use super::one::One; pub struct Two;",
        "pub struct Two(crate::one::One);",
        "use crate::one; pub struct Two(one::One);",
        "use super::{other, one::{self as first}}; pub struct Two(first::One);",
        "use super::One; pub struct Two;",
        "pub struct Two(super::One);",
    ] {
        let files: &[(&str, &[&str], &str)] = &[
            ("lib.rs", &[], "mod one; mod two; pub use one::One;"),
            ("one.rs", &["one"], one),
            ("two.rs", &["two"], two),
        ];
        assert_eq!(circles(files), [["one.rs", "two.rs"]], "{two}");
    }
    // A child that uses its parent is none, where the parent only declares it and hands its items on.
    let child = "use super::Parent; pub struct Child(Parent);";
    for (parent, is_circle) in [
        ("mod child; pub use child::Child; pub struct Parent;", false),
        (
            "mod child; pub use child::Child; pub struct Parent(Box<Child>);",
            true,
        ),
        ("mod child; pub struct Parent(Box<child::Child>);", true),
        (
            "mod child; use child::Child; pub struct Parent(Box<Child>);",
            true,
        ),
        ("mod child; pub struct Parent; // child::Child", false),
        (
            "mod child; pub struct Parent;\n#[cfg(test)]\nmod tests { use super::child::Child; }",
            false,
        ),
    ] {
        let files: &[(&str, &[&str], &str)] = &[
            ("a/mod.rs", &["a"], parent),
            ("a/child.rs", &["a", "child"], child),
        ];
        assert_eq!(!circles(files).is_empty(), is_circle, "{parent}");
    }
}
