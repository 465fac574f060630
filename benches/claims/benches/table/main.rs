//! Writes the results of `make bench` into benches/README.md: reads the JSON files below target/bench,
//! and replaces what stands between the two markers. Run by `make bench`, after everything else.
//!
//! Environment: `BENCH_CONDITIONS`, one line that says date, commit, compiler and flags.

mod tensors;

use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tensors::{TARGETS, Tensors};

const BEGIN: &str = "<!-- results: written by make bench, not by hand -->\n";
const END: &str = "<!-- end of results -->\n";

fn main() -> ExitCode {
    let results = Results {
        directory: Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench"),
    };
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    match write(&results, &readme) {
        Ok(()) => {
            println!("{}: results written", readme.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(results: &Results, readme: &Path) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", readme.display());
    let text = std::fs::read_to_string(readme).map_err(wrong)?;
    let (before, rest) = text
        .split_once(BEGIN)
        .ok_or_else(|| format!("{}: no line {BEGIN}", readme.display()))?;
    let (_, after) = rest
        .split_once(END)
        .ok_or_else(|| format!("{}: no line {END}", readme.display()))?;
    let section = section(results)?;
    std::fs::write(readme, format!("{before}{BEGIN}\n{section}\n{END}{after}")).map_err(wrong)
}

/// The JSON files of one run.
struct Results {
    directory: PathBuf,
}

impl Results {
    /// What `bench` wrote; `None` when it did not run.
    fn of(&self, bench: &str) -> Option<Value> {
        let text = std::fs::read_to_string(self.directory.join(format!("{bench}.json"))).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn rows(&self, bench: &str) -> Vec<Value> {
        self.of(bench)
            .and_then(|report| report["rows"].as_array().cloned())
            .unwrap_or_default()
    }

    /// The first row of `bench` of which `key` is `value`.
    fn row(&self, bench: &str, key: &str, value: &str) -> Option<Value> {
        self.rows(bench).into_iter().find(|row| row[key] == value)
    }

    /// P50 and P99 of a design in the answer to a question.
    fn times(&self, bench: &str, question: &str, design: &str) -> Option<(f64, f64)> {
        let row = self
            .rows(bench)
            .into_iter()
            .find(|row| row["question"] == question && row["design"] == design)?;
        let p50 = row["p50_ns"].as_f64()?;
        Some((p50, row["p99_ns"].as_f64().unwrap_or(f64::NAN)))
    }
}

/// What `make bench-preprocess` measured.
fn tensors_of(results: &Results) -> Tensors {
    Tensors {
        ours: results.rows("preprocess"),
        peers: results.rows("preprocess-opencv"),
    }
}

fn section(results: &Results) -> Result<String, String> {
    let queue = results
        .of("queue")
        .ok_or("target/bench/queue.json is missing: run make bench")?;
    let mut text = String::new();
    let machine = &queue["machine"];
    let said = |key: &str| machine[key].as_str().unwrap_or("?").to_owned();
    let conditions = std::env::var("BENCH_CONDITIONS").unwrap_or_default();
    let go = results.of("queue-go");
    let go = go
        .as_ref()
        .map_or("not installed", |go| go["version"].as_str().unwrap_or("?"));
    let _ = writeln!(
        text,
        "{conditions}; {}; Linux {}; governor {}; Go {go}.\n",
        said("cpu"),
        said("kernel"),
        said("governor"),
    );
    figures(&mut text, results);
    age_of_results(&mut text, results);
    age_with_a_model(&mut text, results);
    peers(&mut text, results, "ring");
    peers(&mut text, results, "doorbell");
    for (bench, title) in [
        ("channel", "`pinsight-bench channel`"),
        ("sharing", "`pinsight-bench sharing`"),
        ("leak", "`pinsight-bench leak`"),
        ("numa", "`pinsight-bench numa`"),
        ("stages", "`pinsight-bench stages`"),
    ] {
        generic(&mut text, results, bench, title);
    }
    tensors_of(results).write(&mut text);
    header(&mut text, results);
    Ok(text)
}

/// One row of the table of figures to reach.
struct Figure {
    what: &'static str,
    measured: Option<f64>,
    reach: f64,
    limit: Option<f64>,
    unit: &'static str,
}

fn figures(text: &mut String, results: &Results) {
    let ms = |row: &Option<Value>, key: &str| Some(row.as_ref()?[key].as_f64()? / 1e6);
    let over = |value: Option<f64>, base: Option<f64>| Some(value? / base?);
    let ring = results.row("queue", "design", "ring");
    let rendezvous = results.row("queue", "design", "rendezvous");
    let go_ring = results.row("queue-go", "design", "go-ring");
    let go_rendezvous = results.row("queue-go", "design", "go-rendezvous");
    let p99 = ms(&ring, "p99_ns");
    // A frame that is fresh when it is taken.
    let limit = ms(&ring, "service_p50_ns");
    let fair = ms(&ring, "fair_gap_ns");
    // The age grows from the service's time to a fair turn more, and is above the P99 for a hundredth of it.
    let least_aoi_p99 = limit.zip(fair).map(|(service, fair)| service + 0.99 * fair);
    let model = results.row("queue-model", "design", "ring");
    let hand_off = |design| results.times("ring", "one-way hand-off, two cores", design);
    let exchange = |design| results.times("ring", "publish and claim, one core", design);
    let sent = |design| results.times("ring", "a frame sent, one core", design);
    let memory = |design| results.times("ring", "memory for a frame, one core", design);
    let p50_of = |times: Option<(f64, f64)>| times.map(|times| times.0);
    let p99_of = |times: Option<(f64, f64)>| times.map(|times| times.1);
    let word = hand_off("bare word");
    let rtrb = hand_off("rtrb");
    let figures = [
        Figure {
            what: "queue: P99 of the AoI, to the Go ring's",
            measured: over(ms(&ring, "aoi_p99_ns"), ms(&go_ring, "aoi_p99_ns")),
            reach: 0.95,
            limit: over(least_aoi_p99, ms(&go_ring, "aoi_p99_ns")),
            unit: "",
        },
        Figure {
            what: "queue: longest gap of a camera, to its fair share",
            measured: over(ms(&ring, "longest_gap_ns"), ms(&ring, "fair_gap_ns")),
            reach: 1.1,
            limit: Some(1.0),
            unit: "",
        },
        Figure {
            what: "queue, cameras in step before a real model: P99 of the AoI, to the array queue's",
            measured: over(
                ms(&model, "aoi_p99_ns"),
                ms(
                    &results.row("queue-model", "design", "array-queue"),
                    "aoi_p99_ns",
                ),
            ),
            reach: 1.02,
            limit: None,
            unit: "",
        },
        Figure {
            what: "queue: P99 of the age of a result",
            measured: p99,
            reach: 30.0,
            limit,
            unit: "ms",
        },
        Figure {
            what: "queue: P99 of the age, to the Go ring's",
            measured: over(p99, ms(&go_ring, "p99_ns")),
            reach: 0.6,
            limit: over(limit, ms(&go_ring, "p99_ns")),
            unit: "",
        },
        Figure {
            what: "queue: P99 of the age, to the rendezvous channel's",
            measured: over(p99, ms(&rendezvous, "p99_ns")),
            reach: 0.15,
            limit: over(limit, ms(&rendezvous, "p99_ns")),
            unit: "",
        },
        Figure {
            what: "queue: P99 of the age, to the Go rendezvous channel's",
            measured: over(p99, ms(&go_rendezvous, "p99_ns")),
            reach: 0.15,
            limit: over(limit, ms(&go_rendezvous, "p99_ns")),
            unit: "",
        },
        Figure {
            what: "queue: allocations a second",
            measured: ring
                .as_ref()
                .and_then(|ring| ring["allocations_per_s"].as_f64()),
            reach: 0.0,
            limit: Some(0.0),
            unit: "",
        },
        Figure {
            what: "hand-off between cores, P50; to reach: rtrb's",
            measured: p50_of(hand_off("ring of 1")),
            reach: p50_of(rtrb).unwrap_or(f64::NAN),
            limit: p50_of(word),
            unit: "ns",
        },
        Figure {
            what: "hand-off between cores, P99; to reach: rtrb's",
            measured: p99_of(hand_off("ring of 1")),
            reach: p99_of(rtrb).unwrap_or(f64::NAN),
            limit: p99_of(word),
            unit: "ns",
        },
        Figure {
            what: "publish and claim, nobody in the way",
            measured: p50_of(exchange("ring of 1")),
            reach: 30.0,
            limit: p50_of(exchange("two swaps")),
            unit: "ns",
        },
        Figure {
            what: "header sealed and sent",
            measured: p50_of(sent("header, oldest pushed out")),
            reach: 27.0,
            limit: p50_of(sent("64 bytes and a swap")),
            unit: "ns",
        },
        Figure {
            what: "slot acquired and given back",
            measured: p50_of(memory("slot and back")),
            reach: 16.0,
            limit: p50_of(memory("bit found, cleared, set")),
            unit: "ns",
        },
    ];
    let tensors = tensors_of(results);
    let figures = figures.into_iter().chain(TARGETS.iter().map(|target| {
        let worst = tensors.worst(target);
        Figure {
            what: target.what,
            measured: worst.map(|worst| worst.0),
            reach: target.reach,
            limit: worst.map(|worst| worst.1),
            unit: "",
        }
    }));
    text.push_str("### The figures to reach\n\n");
    text.push_str("| figure | measured | to reach | limit | measured / limit | |\n|---|---:|---:|---:|---:|---|\n");
    for Figure {
        what,
        measured,
        reach,
        limit,
        unit,
    } in figures
    {
        let number = |value: f64| {
            let digits = if value.abs() < 10.0 { 2 } else { 1 };
            format!("{value:.digits$} {unit}").trim_end().to_owned()
        };
        let Some(measured) = measured.filter(|value| value.is_finite()) else {
            let _ = writeln!(text, "| {what} | not measured | | | | |");
            continue;
        };
        let limit = limit.filter(|value| value.is_finite());
        let distance = limit
            .filter(|&limit| limit > 0.0)
            .map_or_else(String::new, |limit| format!("{:.2}", measured / limit));
        let verdict = if measured <= reach {
            "reached"
        } else {
            "**missed**"
        };
        let _ = writeln!(
            text,
            "| {what} | {} | {} | {} | {distance} | {verdict} |",
            number(measured),
            number(reach),
            limit.map_or_else(|| "-".into(), number),
        );
    }
    text.push('\n');
}

fn age_of_results(text: &mut String, results: &Results) {
    text.push_str("### `pinsight-bench queue`: how soon is it known?\n\n");
    text.push_str(
        "| design | AoI P50 ms | AoI P99 ms | longest gap ms | age P50 ms | age P99 ms | max ms | results | lost | evicted | allocations/s | MB/s | switches/s |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in results
        .rows("queue")
        .iter()
        .chain(&results.rows("queue-go"))
    {
        let ms = |key: &str| number(&row[key], 1e6, 2);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row["design"].as_str().unwrap_or("?"),
            ms("aoi_p50_ns"),
            ms("aoi_p99_ns"),
            ms("longest_gap_ns"),
            ms("p50_ns"),
            ms("p99_ns"),
            ms("max_ns"),
            row["results"],
            row["lost_in_source"],
            row["evicted"],
            number(&row["allocations_per_s"], 1.0, 0),
            number(&row["bytes_per_s"], 1e6, 1),
            number(&row["switches_per_s"], 1.0, 0),
        );
    }
    text.push('\n');
}

/// The same with a detector in place of a consumer that sleeps, whose own time varies.
fn age_with_a_model(text: &mut String, results: &Results) {
    let rows = results.rows("queue-model");
    if rows.is_empty() {
        return;
    }
    text.push_str("### `pinsight-bench queue --model`: cameras in step before SSD MobileNetV2\n\n");
    text.push_str(
        "| design | AoI P50 ms | AoI P99 ms | longest gap ms | age P50 ms | age P99 ms | the model's P50 ms | its P99 ms | results |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in &rows {
        let ms = |key: &str| number(&row[key], 1e6, 2);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row["design"].as_str().unwrap_or("?"),
            ms("aoi_p50_ns"),
            ms("aoi_p99_ns"),
            ms("longest_gap_ns"),
            ms("p50_ns"),
            ms("p99_ns"),
            ms("service_p50_ns"),
            ms("service_p99_ns"),
            row["results"],
        );
    }
    text.push('\n');
}

fn number(value: &Value, unit: f64, digits: usize) -> String {
    value
        .as_f64()
        .map_or_else(|| "-".into(), |value| format!("{:.digits$}", value / unit))
}

/// What criterion and the hand-offs measured, each with its ratio to ours.
fn peers(text: &mut String, results: &Results, bench: &str) {
    let rows = results.rows(bench);
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "### `cargo bench --bench {bench}`: beside the peers\n"
    );
    text.push_str(
        "| question | design | P50 ns | ratio | P99 ns | ratio |\n|---|---|---:|---:|---:|---:|\n",
    );
    for row in &rows {
        let first = rows
            .iter()
            .find(|first| first["question"] == row["question"])
            .unwrap_or(row);
        let over = |key: &str| {
            let (value, base) = (row[key].as_f64(), first[key].as_f64());
            value.zip(base).map_or_else(
                || "-".into(),
                |(value, base)| format!("{:.2}", value / base),
            )
        };
        let title = if std::ptr::eq(first, row) {
            row["question"].as_str().unwrap_or("?")
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "| {title} | {} | {} | {} | {} | {} |",
            row["design"].as_str().unwrap_or("?"),
            number(&row["p50_ns"], 1.0, 1),
            over("p50_ns"),
            number(&row["p99_ns"], 1.0, 1),
            over("p99_ns"),
        );
    }
    text.push('\n');
}

/// Rows of one kind: their keys are the columns. Series are left to the plot.
fn generic(text: &mut String, results: &Results, bench: &str, title: &str) {
    let rows = results.rows(bench);
    if !rows.is_empty() {
        let _ = writeln!(text, "### {title}\n");
        table(text, &rows);
    }
}

fn table(text: &mut String, rows: &[Value]) {
    let Some(first) = rows.first().and_then(Value::as_object) else {
        return;
    };
    let shown = |key: &&String| !key.contains("over_time");
    let keys: Vec<_> = first.keys().filter(shown).collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    text.push_str(&line(
        keys.iter().map(|key| key.replace('_', " ")).collect(),
    ));
    text.push_str(&line(keys.iter().map(|_| "---".into()).collect()));
    for row in rows {
        text.push_str(&line(
            keys.iter()
                .map(|key| cell(key, &row[key.as_str()]))
                .collect(),
        ));
    }
    text.push('\n');
}

fn cell(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values
            .iter()
            .map(|value| number(value, 1.0, 2))
            .collect::<Vec<_>>()
            .join(" / "),
        Value::Number(figure) if figure.is_f64() => {
            let digits = if key.ends_with("per_s") { 0 } else { 2 };
            number(value, 1.0, digits)
        }
        _ => value.to_string(),
    }
}

fn header(text: &mut String, results: &Results) {
    let Some(report) = results.of("header") else {
        return;
    };
    text.push_str("### `pinsight-bench header`\n\n");
    for part in ["steps", "mixed"] {
        if let Some(rows) = report["rows"][part].as_array() {
            table(text, rows);
        }
    }
}
