//! The program as it is called: what it prints, what it writes, how it ends.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn bench(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pinsight-bench"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn figures_go_to_standard_output_or_to_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leak.json");
    let leak = |json: &[&str]| {
        let output = bench(dir.path(), &[&["leak", "--frames", "1000"], json].concat());
        stdout(&output)
    };
    for json in [&["--json"][..], &["--json", "-"]] {
        let figures: Value = serde_json::from_str(&leak(json)).expect("JSON alone");
        assert!(figures.as_object().is_some_and(|object| !object.is_empty()));
    }
    let table = leak(&["--json", file.to_str().unwrap()]);
    assert!(serde_json::from_str::<Value>(&table).is_err(), "{table}");
    let written = std::fs::read(&file).unwrap();
    assert!(
        serde_json::from_slice::<Value>(&written)
            .unwrap()
            .is_object()
    );
    assert!(!dir.path().join("-").exists());
}

#[test]
fn a_plot_is_written_beside_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["leak", "--frames", "1000", "--svg", "leak.svg"];
    assert!(stdout(&bench(dir.path(), &arguments)).contains("one frame in 50"));
    let svg = std::fs::read_to_string(dir.path().join("leak.svg")).unwrap();
    assert!(svg.contains("heap") && svg.contains("lane"), "{svg}");
}

#[test]
fn each_kind_of_failure_has_the_exit_code_that_the_help_names() {
    let dir = tempfile::tempdir().unwrap();
    let help = stdout(&bench(dir.path(), &["--help"]));
    for (code, arguments) in [
        (2, &["leak", "--slots", "2"][..]),
        (2, &["queue", "--fps", "0"]),
        (2, &["no-claim"]),
        (7, &["leak", "--json", "no/such/folder.json"]),
    ] {
        let output = bench(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(!stderr(&output).is_empty());
        assert!(help.contains(&format!("\n  {code}  ")), "{help}");
    }
}
