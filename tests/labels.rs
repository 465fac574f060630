//! Each acquire is labelled, each release that it pairs with carries the same label, and no label means two things.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// An ordered access: its labels, and which ends of a pair it is.
#[derive(Debug, PartialEq, Eq)]
struct Access {
    line: usize,
    labels: Vec<String>,
    acquires: bool,
    releases: bool,
}

/// A letter and a number.
fn labels_of(comment: &str) -> impl Iterator<Item = &str> {
    let words = comment.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| {
        let mut letters = word.chars();
        letters.next().is_some_and(|c| c.is_ascii_uppercase())
            && word.len() > 1
            && letters.all(|c| c.is_ascii_digit())
    })
}

/// The accesses of a file. Labels stand in the comment above the statement, or on the line.
fn accesses(text: &str) -> Vec<Access> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let (code, comment) = line.split_once("//").unwrap_or((line, ""));
        let names = |order: &str| code.contains(&format!("Ordering::{order}"));
        let both = names("AcqRel") || names("SeqCst");
        let (acquires, releases) = (both || names("Acquire"), both || names("Release"));
        if !acquires && !releases {
            continue;
        }
        // The comment nearest above, past the lines of the same statement.
        let above = lines[..index].iter().rev();
        let statement = above.clone().take_while(|line| {
            !line.starts_with("//") && !line.ends_with([';', '}']) && !line.is_empty()
        });
        let comments = above
            .skip(statement.count())
            .take_while(|line| line.starts_with("//") && !line.starts_with("///"));
        let comments = comments.copied().chain([comment]);
        let labels = comments.flat_map(labels_of).map(str::to_owned).collect();
        found.push(Access {
            line: index + 1,
            labels,
            acquires,
            releases,
        });
    }
    found
}

fn read(folder: &Path, texts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.insert(
                path.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            );
        }
    }
}

/// What is wrong with the labels of these files.
fn faults(texts: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ends: BTreeMap<String, (String, bool, bool)> = BTreeMap::new();
    for (file, text) in texts {
        for access in accesses(text) {
            if access.labels.is_empty() {
                faults.push(format!("{file}:{}: no label", access.line));
            }
            for label in access.labels {
                let first = (file.clone(), false, false);
                let (of, acquired, released) = ends.entry(label.clone()).or_insert(first);
                if of != file {
                    faults.push(format!("{file}:{}: {label} is a pair of {of}", access.line));
                }
                *acquired |= access.acquires;
                *released |= access.releases;
            }
        }
    }
    for (label, (file, acquired, released)) in ends {
        if !acquired || !released {
            faults.push(format!("{file}: {label} has one end"));
        }
    }
    faults
}

#[test]
fn every_label_is_unique_and_stands_at_both_ends() {
    let mut texts = BTreeMap::new();
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut texts,
    );
    let count: usize = texts.values().map(|text| accesses(text).len()).sum();
    assert!(count > 20, "this test sees too few accesses: {count}");
    let faults = faults(&texts);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_label_that_is_missing_or_has_one_end_or_two_meanings_is_seen() {
    let texts = |files: &[(&str, &str)]| {
        let files = files.iter();
        files
            .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
            .collect()
    };
    let release = "// X1: publishes.\nflag.store(true, Ordering::Release);\n";
    let acquire = "let x = 1;\n// X1\nflag\n    .load(\n        Ordering::Acquire,\n    );\n";
    assert!(faults(&texts(&[("one", &format!("{release}{acquire}"))])).is_empty());
    assert_eq!(faults(&texts(&[("one", release)])), ["one: X1 has one end"]);
    let bare = "let x = 1;\nflag.load(Ordering::Acquire);\n";
    assert_eq!(faults(&texts(&[("one", bare)])), ["one:2: no label"]);
    let both = [("one", release), ("two", acquire)];
    assert_eq!(faults(&texts(&both)), ["two:5: X1 is a pair of one"]);
}
