//! What the benches share: criterion as they run it, hand-off between two cores, ratios.

use criterion::Criterion;
use hdrhistogram::Histogram;
use pinsight::sys::clock::now_ns;
use pinsight::sys::cpu::core_set::CoreSet;
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

/// Times of round trips between two cores: `ping` sends and waits for the answer, `pong` waits
/// and answers.
pub fn round_trips(
    trips: u32,
    histogram: &mut Histogram<u64>,
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
                histogram.saturating_record(now_ns() - begun_ns);
            }
        });
    });
}

/// A distribution of round trips, to the nanosecond.
pub fn distribution() -> Histogram<u64> {
    Histogram::new_with_max(1_000_000_000, 3).expect("constant bounds")
}

/// The row of a distribution of round trips: half of each is one way.
pub fn row(question: &'static str, design: &'static str, trips: &Histogram<u64>) -> Row {
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a hand-off")]
    let one_way = |quantile| trips.value_at_quantile(quantile) as f64 / 2.0;
    Row {
        question,
        design,
        p50_ns: one_way(0.5),
        p99_ns: Some(one_way(0.99)),
    }
}

/// Prints the rows with their ratios to the first of the same question, and writes them as JSON.
pub fn conclude(bench: &str, rows: &[Row]) {
    let mut question = "";
    for row in rows {
        let first = rows
            .iter()
            .find(|first| first.question == row.question)
            .unwrap_or(row);
        if question != row.question {
            question = row.question;
            println!(
                "\n{question:<32} {:>10} {:>6} {:>8} {:>6}",
                "P50 ns", "ratio", "P99 ns", "ratio"
            );
        }
        let (p99, p99_ratio) = row.p99_ns.zip(first.p99_ns).map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |(p99, base)| (format!("{p99:.0}"), format!("{:.2}", p99 / base)),
        );
        println!(
            "  {:<30} {:>10.1} {:>6.2} {p99:>8} {p99_ratio:>6}",
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
