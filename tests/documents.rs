//! The documents are held to what there is: profiles load, promises name tests that exist, links lead to files, exit
//! codes are those of the help.

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
fn the_readmes_profile_is_one() {
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

/// The numbered promises of SPECIFICATION.md: number, and what stands behind "Tests:".
fn promises(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let number = line
            .split_once(". **")
            .and_then(|(number, _)| number.parse().ok());
        match number {
            Some(number) => found.push((number, line.to_owned())),
            None if line.starts_with('#') => {}
            None => {
                if let Some((_, promise)) = found.last_mut() {
                    promise.push(' ');
                    promise.push_str(line.trim());
                }
            }
        }
    }
    let tests = |(number, promise): (usize, String)| {
        let (_, tests) = promise
            .split_once("Tests: ")
            .unwrap_or_else(|| panic!("promise {number} has no tests: {promise}"));
        (number, tests.trim().to_owned())
    };
    found.into_iter().map(tests).collect()
}

#[test]
fn every_promise_names_tests_that_exist_or_says_pending() {
    let specification = fs::read_to_string(root().join("SPECIFICATION.md")).unwrap();
    let promises = promises(&specification);
    let numbers: Vec<_> = promises.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=promises.len()).collect::<Vec<_>>());
    assert!(promises.len() > 40, "found {} promises", promises.len());
    let mut text = String::new();
    for folder in ["src", "tests", "benches"] {
        sources(&root().join(folder), &mut text);
    }
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    for (number, tests) in promises {
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            assert_eq!(tests, "pending.", "promise {number}");
        }
        for name in names {
            let known = if let Some(target) = name.strip_prefix("make ") {
                makefile.contains(&format!("\n{target}: "))
            } else if name == "loom_*" {
                text.contains("fn loom_")
            } else if name.contains('/') {
                root().join(name).exists()
            } else if name.contains("::") {
                let path = root().join("src").join(name.replace("::", "/"));
                path.is_dir() || path.with_extension("rs").exists()
            } else {
                text.contains(&format!("fn {name}("))
            };
            assert!(known, "{name} does not exist: promise {number}");
        }
    }
}

#[test]
fn a_promise_without_tests_is_noticed() {
    assert_eq!(
        promises(
            "1. **A.** Text.\n   Tests: `a`.\n\n## Part\n\n2. **B.** Text\n   more. Tests:\n   `b`."
        ),
        [(1, "`a`.".to_owned()), (2, "`b`.".to_owned())]
    );
    assert!(std::panic::catch_unwind(|| promises("1. **A.** Text.")).is_err());
}

#[test]
fn the_readme_is_short_enough_to_be_read() {
    let readme = readme();
    let prose = readme
        .split("```")
        .step_by(2)
        .flat_map(str::split_whitespace);
    let words = prose.count();
    assert!(
        words <= 1200,
        "the README has {words} words beside its examples"
    );
}

#[test]
fn every_link_of_the_documents_leads_to_a_file() {
    let documents = [
        "README.md",
        "SPECIFICATION.md",
        "boards/README.md",
        "benches/README.md",
        "tests/vm/README.md",
        "docs/commands.md",
        "docs/proof.md",
        "docs/limits.md",
        "docs/development.md",
    ];
    let mut links = 0;
    for document in documents {
        let path = root().join(document);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || link.contains("://") {
                continue;
            }
            links += 1;
            assert!(
                path.with_file_name(file).exists(),
                "{document} links to {link}"
            );
        }
    }
    assert!(links > 10, "{links} links were looked at");
}

#[test]
fn the_documented_exit_codes_are_those_of_the_help() {
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
    assert_eq!(of_help, (0..=9).collect::<Vec<_>>());
    let commands = fs::read_to_string(root().join("docs/commands.md")).unwrap();
    assert_eq!(codes(&commands, "| "), of_help);
}
