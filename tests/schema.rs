//! What a run writes is what `pinsight schema` says, and nothing else.

mod running;

use running::{Running, recorded};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn pinsight(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pinsight"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn schema(of: &str) -> Value {
    serde_json::from_str(&pinsight(&["schema", of])).expect("a schema is JSON")
}

/// Says where a document is not as its schema.
#[track_caller]
fn holds(schema: &Value, document: &Value) {
    let validator = jsonschema::validator_for(schema).expect("a schema");
    let faults = validator.iter_errors(document);
    let faults: Vec<_> = faults
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}\n{document:#}");
}

/// Lines of JSON, of which there have to be some.
#[track_caller]
fn lines(text: &str) -> Vec<Value> {
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"));
    let lines: Vec<_> = lines.collect();
    assert!(!lines.is_empty());
    lines
}

#[test]
fn what_a_run_writes_is_as_its_schema_says() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let [proof, results, events, record] = ["proof", "results", "events", "record"].map(file);
    let mut run = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["run", "--board", "boards/demo.toml", "--proof", &proof])
            .args([
                "--results",
                &results,
                "--events",
                &events,
                "--record",
                &record,
            ]),
    );
    run.until("an event, and 10 results", |log| {
        log.contains("event face-passes: ") && recorded(record.as_ref()).len() >= 10
    });
    let output = run.stop();
    assert!(output.status.success(), "{output:?}");
    let read = |path: &str| std::fs::read_to_string(path).unwrap();

    let document: Value = serde_json::from_str(&read(&proof)).unwrap();
    holds(&schema("proof"), &document);
    let of_results = schema("results");
    lines(&read(&results))
        .iter()
        .for_each(|line| holds(&of_results, line));
    let of_events = schema("events");
    lines(&read(&events))
        .iter()
        .for_each(|line| holds(&of_events, line));

    let of_recording = schema("recording");
    let read_back = lines(&pinsight(&["results", "--format", "jsonl", &record]));
    read_back.iter().for_each(|line| holds(&of_recording, line));
    assert_eq!(read_back.len(), recorded(Path::new(&record)).len());
    // One line for each detection, or for a record without any.
    let table = pinsight(&["results", "--format", "csv", &record]);
    let detections = read_back
        .iter()
        .map(|line| line["detections"].as_array().unwrap().len());
    let rows: usize = detections.map(|count| count.max(1)).sum();
    assert_eq!(table.lines().count(), 1 + rows, "{table}");
    let columns = |line: &str| line.split(',').count();
    let header = columns(table.lines().next().unwrap());
    assert!(table.lines().all(|line| columns(line) == header), "{table}");

    // A key more, a key less, a number that is text: each is noticed.
    let validator = jsonschema::validator_for(&schema("proof")).unwrap();
    let changed = |change: fn(&mut Value)| {
        let mut document = document.clone();
        change(&mut document);
        validator.is_valid(&document)
    };
    assert!(changed(|_| {}));
    assert!(!changed(|proof| proof["novelty"] = 1.into()));
    assert!(!changed(|proof| proof["cameras"][0]["novelty"] = 1.into()));
    assert!(!changed(|proof| drop(
        proof.as_object_mut().unwrap().remove("events")
    )));
    assert!(!changed(
        |proof| proof["cameras"][0]["inferred"] = "many".into()
    ));
}

/// Calls `seen` with every object's properties below a schema.
fn properties(schema: &Value, at: &str, seen: &mut impl FnMut(&str, &Value)) {
    match schema {
        Value::Object(keys) => {
            for (key, value) in keys {
                let here = format!("{at}/{key}");
                if key == "properties" {
                    for (name, property) in value.as_object().expect("properties") {
                        seen(&format!("{here}/{name}"), property);
                    }
                }
                properties(value, &here, seen);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| properties(value, at, seen)),
        _ => {}
    }
}

#[test]
fn every_key_is_described_and_a_number_of_time_or_size_has_its_unit() {
    let units = [
        ("_ns", "nanoseconds"),
        ("_us", "microseconds"),
        ("_ms", "milliseconds"),
        ("_bytes", "ytes"),
        ("_px", "pixels"),
    ];
    for (of, least) in [
        ("results", 10),
        ("events", 10),
        ("proof", 60),
        ("recording", 10),
    ] {
        let mut count = 0;
        properties(&schema(of), "", &mut |key, property| {
            let description = property["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{of}{key} is not described");
            for (ending, unit) in units {
                let says = description.contains(unit);
                assert!(!key.ends_with(ending) || says, "{of}{key}: {description}");
            }
            count += 1;
        });
        assert!(count >= least, "{of}: {count} keys were looked at");
    }
}
