//! The README is held to what there is: its profile loads, and the tests that its promises name exist.

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The text of every Rust file and script below `dir`.
fn sources(dir: &Path, text: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if let Ok(source) = fs::read_to_string(&path) {
            text.push_str(&source);
        }
    }
}

#[test]
fn its_profile_is_one() {
    let readme = readme();
    let profile = readme
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let board = pinsight::profile::read("README.md", profile.expect("a profile in the README"));
    let faults = board
        .as_ref()
        .err()
        .map(|faults| faults.iter().map(ToString::to_string));
    assert!(
        board.is_ok(),
        "{:?}",
        faults.map(Iterator::collect::<Vec<_>>)
    );
}

#[test]
fn every_promise_names_a_test_that_exists_or_says_pending() {
    let readme = readme();
    let table = readme
        .split("## Promises")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next());
    let rows: Vec<&str> = table
        .expect("a table of promises")
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| promise"))
        .collect();
    assert!(rows.len() > 12, "the table was found: {} rows", rows.len());
    let mut text = String::new();
    sources(&root().join("src"), &mut text);
    sources(&root().join("tests"), &mut text);
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    for row in rows {
        let proof = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            assert_eq!(proof, "pending", "{row}");
        }
        for name in names {
            let known = if let Some(target) = name.strip_prefix("make ") {
                makefile.contains(&format!("\n{target}: "))
            } else if let Some(path) = name.strip_prefix("tests/") {
                root().join("tests").join(path).exists()
            } else if let Some(module) = name.split("::").next().filter(|_| name.contains("::")) {
                root().join("src").join(module).exists()
            } else if name == "loom_*" {
                text.contains("fn loom_")
            } else if name.contains('_') {
                text.contains(&format!("fn {name}("))
            } else {
                root().join(name).exists() || name == "guest" || name == "vivid"
            };
            assert!(known, "{name} does not exist: {row}");
        }
    }
}

#[test]
fn its_exit_codes_are_those_of_the_help() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_pinsight"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let codes = |text: &str, mark: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix(mark)?.chars().next()?.to_digit(10))
            .collect::<Vec<u32>>()
    };
    let of_help = codes(&help, "  ");
    assert_eq!(of_help, (0..=7).collect::<Vec<_>>());
    assert_eq!(codes(&readme(), "| "), of_help);
}
