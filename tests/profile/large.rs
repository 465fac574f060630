//! Files far beyond what a profile may be: one message for a limit, a hundred messages and no more, each of bounded length.

use crate::{SMALL, messages};
use std::fmt::Write as _;

/// Messages of one file: a hundred, and one that says how many there are behind them.
const MOST: usize = 101;
/// Bytes of the longest message: it fits a few lines of a terminal, whatever the file has.
const LONGEST: usize = 1000;

/// Whatever the text, what is said of it is for a person to read.
#[track_caller]
fn bounded(text: &str) -> Vec<String> {
    let found = messages("b.toml", text);
    assert!(found.len() <= MOST, "{} messages", found.len());
    for message in &found {
        assert!(
            message.len() <= LONGEST,
            "{} bytes: {message}",
            message.len()
        );
    }
    found
}

/// The small profile with `count` more tables, each made of its number.
fn with_tables(count: usize, table: impl Fn(usize) -> String) -> String {
    let mut text = SMALL.to_owned();
    (0..count).for_each(|number| text += &table(number));
    text
}

#[test]
fn tables_beyond_their_limit_have_one_message_and_are_not_read() {
    let rule = |number| format!("[[rule]]\nname = \"r{number}\"\nkind = \"presence\"\n");
    for count in [65, 20_000, 40_000] {
        let found = bounded(&with_tables(count, rule));
        let expected =
            format!("b.toml:20: rule: found {count} tables, expected 0 to 64 tables `[[rule]]`");
        assert_eq!(found, [expected]);
    }
    // Who names one that was not read is not wrong.
    let output =
        "[[output]]\nname = \"o\"\nkind = \"serial\"\ndevice = \"/dev/ttyS0\"\nrules = [\"r70\"]\n";
    let found = bounded(&format!("{}{output}", with_tables(80, rule)));
    assert_eq!(found.len(), 1, "{found:?}");
    let worker = |number| {
        format!(
            "[[worker]]\nname = \"w{number}\"\ncores = [1]\nmodel = \"face\"\ncameras = [\"front\"]\n"
        )
    };
    let found = bounded(&with_tables(40_000, worker));
    assert_eq!(
        found,
        ["b.toml:16: worker: found 40001 tables, expected 1 to 16 tables `[[worker]]`"]
    );
    for header in ["camera", "model", "zone", "line", "rule", "output"] {
        let found = bounded(&with_tables(20_000, |_| format!("[[{header}]]\n")));
        let limits = found
            .iter()
            .filter(|message| message.contains(" tables, expected "));
        assert_eq!(limits.count(), 1, "{found:#?}");
    }
}

#[test]
fn the_first_hundred_faults_are_reported_and_the_others_counted() {
    let mut text = SMALL.to_owned();
    for number in 0..20_000 {
        let _ = writeln!(text, "quay-{number} = {number}");
    }
    let found = bounded(&text);
    assert_eq!(found.len(), MOST);
    assert!(
        found[0].starts_with("b.toml:20: worker.quay-0: found an unknown key"),
        "{}",
        found[0]
    );
    assert!(
        found[99].starts_with("b.toml:119: worker.quay-99: "),
        "{}",
        found[99]
    );
    assert_eq!(found[100], "b.toml:119: and 19900 more; mend these first");

    let text = format!("{SMALL}{}", "= 1\n".repeat(20_000));
    let found = bounded(&text);
    assert_eq!(found.len(), MOST);
    assert!(
        found[..100]
            .iter()
            .all(|message| message.contains(": syntax: ")),
        "{found:#?}"
    );
    // The parser has two of each line.
    assert_eq!(found[100], "b.toml:70: and 39899 more; mend these first");
    // All of them on one line.
    bounded(&format!("{SMALL}x = [{}", "= ,".repeat(50_000)));
    bounded(&format!(
        "{SMALL}x = {{{}}}",
        (0..50_000).map(|n| format!("a{n}=1,")).collect::<String>()
    ));
}

#[test]
fn a_value_of_a_megabyte_is_not_printed_whole() {
    let long = "x".repeat(1 << 20);
    for text in [
        SMALL.replace("\"small\"", &format!("\"{long}\"")),
        SMALL.replace("\"v4l2\"", &format!("\"{long}\"")),
        SMALL.replace("[\"face\"]", &format!("[\"{long}\"]")),
        SMALL.replace(
            "rate-hz = 30",
            &format!("rate-hz = {}", "9".repeat(1 << 20)),
        ),
        SMALL.replace("[\"face\"]", &format!("[{}]", "\"a\",".repeat(100_000))),
        SMALL.replace(
            "cores = [1]",
            &format!("cores = [{}1]", "1,".repeat(100_000)),
        ),
        SMALL.replace("rate-hz = 30", &format!("rate-hz = 30\n{long} = 1")),
        SMALL.replace(
            "rate-hz = 30",
            &format!("rate-hz = 30\ncontrols = {{ {long} = 1.5 }}"),
        ),
        format!("{SMALL}x = {}", "[".repeat(100_000)),
        format!("{SMALL}x = {}", "{a=".repeat(100_000)),
        format!("{SMALL}{} = 1", vec!["a"; 100_000].join(".")),
        format!("{SMALL}[{}]", vec!["a"; 100_000].join(".")),
        format!("{SMALL}x = \"{long}"),
        long.clone(),
    ] {
        assert!(!bounded(&text).is_empty());
    }
}

#[test]
fn a_table_of_names_has_an_end() {
    let entries = |count| {
        (0..count)
            .map(|n| format!("a{n} = 0, "))
            .collect::<String>()
    };
    let thresholds = |count| {
        let line = format!(
            "labels = [\"face\"]\nclass-thresholds = {{ {} }}",
            entries(count)
        );
        SMALL.replace("labels = [\"face\"]", &line)
    };
    let found = bounded(&thresholds(100_000));
    let end = "found a table of 100000, expected a table of labels, each with a number (score), 0 to 1; there may be 1024 at most";
    assert!(found[0].ends_with(end), "{found:?}");
    // A class that is unknown costs a message; a thousand cost a hundred.
    let found = bounded(&thresholds(1000));
    assert_eq!(
        found.last().unwrap(),
        "b.toml:16: and 900 more; mend these first"
    );
}
