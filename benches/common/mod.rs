//! What the benches share: criterion as they run it, hand-off between two cores, ratios.

use criterion::Criterion;
use pinsight::latency::{Histogram, Summary};
use pinsight::sys::clock::now_ns;
use pinsight::sys::coreset::CoreSet;
use pinsight::sys::thread::{Children, Policy, ThreadSpec, current_cores, place};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Barrier;

/// Ours comes first in every group; the others are compared with it.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub question: &'static str,
    /// Who was measured.
    pub design: &'static str,
    /// Median, nanoseconds.
    pub p50_ns: f64,
    /// 99th percentile, where single operations were timed.
    pub p99_ns: Option<f64>,
}

/// Criterion with its files under target/, and without a plot.
pub fn criterion() -> Criterion {
    Criterion::default()
        .configure_from_args()
        .without_plots()
        .output_directory(&directory().join("criterion"))
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench")
}

/// The median that criterion has just estimated; `None` when the filter left it out.
pub fn median_ns(group: &'static str, design: &'static str) -> Option<Row> {
    let file = format!("criterion/{group}/{design}/new/estimates.json");
    let text = std::fs::read_to_string(directory().join(file)).ok()?;
    let estimates: Value = serde_json::from_str(&text).ok()?;
    Some(Row {
        question: group,
        design,
        p50_ns: estimates["median"]["point_estimate"].as_f64()?,
        p99_ns: None,
    })
}

/// Pins the calling thread to the first or to the last core that it may use.
pub fn pin(last: bool) {
    let cores = current_cores().expect("the kernel tells the cores");
    let core = if last {
        cores.iter().last()
    } else {
        cores.first()
    };
    place(&ThreadSpec {
        name: String::new(),
        cores: CoreSet::single(core.expect("a thread has a core")),
        policy: Policy::Other,
        children: Children::Reset,
        policy_required: false,
        stack_bytes: 0,
    })
    .expect("a core of the own set");
}

/// Half the time of round trips between two cores: `ping` sends and waits for the answer, `pong` waits
/// and answers.
pub fn round_trips(
    trips: u32,
    histogram: &mut Histogram,
    mut ping: impl FnMut() + Send,
    mut pong: impl FnMut() + Send,
) {
    let together = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(true);
            together.wait();
            (0..trips).for_each(|_| pong());
        });
        scope.spawn(|| {
            pin(false);
            together.wait();
            for _ in 0..trips {
                let begun_ns = now_ns();
                ping();
                histogram.record((now_ns() - begun_ns) / 2);
            }
        });
    });
}

/// The row of a distribution.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a hand-off")]
pub fn row(question: &'static str, design: &'static str, summary: &Summary) -> Row {
    Row {
        question,
        design,
        p50_ns: summary.p50 as f64,
        p99_ns: Some(summary.p99 as f64),
    }
}

/// Prints the rows with their ratios to the first of the same question, and writes them as JSON.
pub fn conclude(bench: &str, rows: &[Row]) {
    println!(
        "\n{:<34} {:<22} {:>10} {:>7} {:>10} {:>7}",
        "", "", "P50 ns", "ratio", "P99 ns", "ratio"
    );
    let mut question = "";
    for row in rows {
        let first = rows
            .iter()
            .find(|first| first.question == row.question)
            .unwrap_or(row);
        let title = if question == row.question {
            ""
        } else {
            row.question
        };
        question = row.question;
        let (p99, p99_ratio) = row.p99_ns.zip(first.p99_ns).map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |(p99, base)| (format!("{p99:.1}"), format!("{:.2}", p99 / base)),
        );
        println!(
            "{title:<34} {:<22} {:>10.1} {:>7.2} {p99:>10} {p99_ratio:>7}",
            row.design,
            row.p50_ns,
            row.p50_ns / first.p50_ns,
        );
    }
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "question": row.question,
                "design": row.design,
                "p50_ns": row.p50_ns,
                "p99_ns": row.p99_ns,
            })
        })
        .collect();
    let file = directory().join(format!("{bench}.json"));
    if let Err(error) = std::fs::write(
        &file,
        format!("{:#}\n", json!({ "bench": bench, "rows": rows })),
    ) {
        eprintln!("{}: {error}", file.display());
    }
}
