//! The profiles that come along, and the reference of `boards/README.md`.

use pinsight::profile::{self, Absent};

/// The profiles that come along.
const SHIPPED: &[&str] = &[
    "boards/cascade.toml",
    "boards/demo.toml",
    "boards/doorway.toml",
    "boards/person.toml",
    "boards/ssd.toml",
    "boards/stream.toml",
    "boards/vivid.toml",
];

#[test]
fn every_shipped_board_is_sound() {
    let mut seen = Vec::new();
    for entry in std::fs::read_dir("boards").expect("boards/") {
        let path = entry.expect("an entry of boards/").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let board = profile::load(&path).unwrap_or_else(|error| panic!("{error}"));
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
    let keys: Vec<[String; 4]> = profile::key_list()
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
                Absent::Derived(words) => words.into(),
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
    for key in profile::key_list() {
        let line = format!("\n{} = ", key.name);
        let shown = boards.iter().any(|text| text.contains(&line));
        assert!(
            shown || matches!(key.absent, Absent::Derived(_)) || UNSHIPPED.contains(&key.name),
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
