//! The proof's tail: the slowest results, and why the slow ones were slow.

use super::words::{Figure, ms, write_line};
use crate::columns::Cell;
use crate::latency::{Cause, Causes};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Formatter};

/// Slow results that the table shows; the JSON has all that were kept.
const SHOWN: usize = 5;

/// One of the slowest results.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SlowResult {
    /// Camera's name.
    pub camera: String,
    /// Worker's name.
    pub worker: String,
    /// Frame number since the program started.
    pub sequence: u64,
    /// When its result was made, in milliseconds after ready.
    pub at_ms: f64,
    /// Capture to result, nanoseconds.
    pub total_ns: u64,
    /// The stage that exceeded its own median by most.
    pub stage: &'static str,
    /// What that stage took, nanoseconds.
    pub stage_ns: u64,
    /// The stage's median over the run, nanoseconds.
    pub typical_ns: u64,
    /// The worker's run-queue wait meanwhile, nanoseconds; null where it was not read.
    pub queued_ns: Option<u64>,
    /// What made the stage slow; never empty.
    pub causes: Causes,
    /// What else was seen on the frame's way.
    pub also: Causes,
}

/// Slow results by cause. A result may have several, so the causes may add up to more than `slow`.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct TailCauses {
    /// Results.
    pub results: u64,
    /// Of them, those beyond the 99th percentile of their camera so far, or beyond twice its median so far.
    pub slow: u64,
    /// Of the slow ones, those with this cause.
    #[serde(flatten)]
    pub by_cause: BTreeMap<&'static str, u64>,
}

/// A stage in words.
fn stage_words(stage: &str) -> String {
    match stage {
        "dequeue_to_lease" => "queue wait".to_owned(),
        stage => stage.replace('_', " "),
    }
}

/// Causes as a list in words.
fn words(causes: Causes) -> String {
    let words: Vec<_> = causes.iter().map(Cause::words).collect();
    words.join(", ")
}

/// The slowest results, one line each, and the count of causes.
pub(crate) fn write(
    f: &mut Formatter<'_>,
    slowest: &[SlowResult],
    causes: &TailCauses,
) -> fmt::Result {
    if slowest.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "\n  {:<22}{:>10}{:>7}  {:<20}{:>8}{:>9}",
        "slowest results, ms", "at, s", "total", "slow stage", "took", "baseline"
    )?;
    for slow in slowest.iter().take(SHOWN) {
        let sequence = format!(" #{}", slow.sequence);
        writeln!(
            f,
            "  {:<22}{:>10.3}{}  {:<20} {}  {}",
            format!(
                "{}{sequence}",
                short(&slow.camera, 22_usize.saturating_sub(sequence.len()))
            ),
            slow.at_ms / 1e3,
            Figure(ms(slow.total_ns)),
            stage_words(slow.stage),
            Figure(ms(slow.stage_ns)),
            Figure(ms(slow.typical_ns)),
        )?;
        let queued = match slow.queued_ns {
            Some(queued_ns) if queued_ns > slow.stage_ns / 100 => {
                format!(" ({:.3} run-queue wait)", ms(queued_ns))
            }
            Some(_) if slow.causes.has(Cause::Unexplained) => " (no run-queue wait)".to_owned(),
            _ => String::new(),
        };
        let also = match slow.also.is_empty() {
            true => String::new(),
            false => format!("; also {}", words(slow.also)),
        };
        let causes = words(slow.causes);
        write_line(f, 4, format_args!("because: {causes}{queued}{also}"))?;
    }
    let mut named: Vec<_> = Cause::ALL
        .into_iter()
        .filter_map(|cause| Some((cause, *causes.by_cause.get(cause.name())?)))
        .filter(|(_, count)| *count > 0)
        .collect();
    named.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let named = named
        .iter()
        .map(|(cause, count)| format!("{} {count}", cause.words()));
    let named = named.collect::<Vec<_>>().join(", ");
    let before = if named.is_empty() { "" } else { ": " };
    let (slow, results) = (causes.slow, causes.results);
    write_line(
        f,
        4,
        format_args!(
            "beyond P99 or twice the median so far: {slow} of {results} results{before}{named}"
        ),
    )
}

/// A name in at most so many columns.
fn short(name: &str, columns: usize) -> String {
    Cell(name, columns).to_string().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::proof::Proof;
    use super::*;

    fn slow(stage: &'static str, causes: &[Cause], also: &[Cause]) -> SlowResult {
        SlowResult {
            camera: "gate".into(),
            worker: "detector".into(),
            sequence: 1234,
            at_ms: 12_345.0,
            total_ns: 9_000_000,
            stage,
            stage_ns: 7_100_000,
            typical_ns: 1_320_000,
            queued_ns: Some(5_600_000),
            causes: causes.iter().copied().collect(),
            also: also.iter().copied().collect(),
        }
    }

    #[test]
    fn a_slow_result_reads_as_a_sentence() {
        let proof = Proof {
            tail: vec![slow(
                "invoke",
                &[Cause::InvoluntarySwitch],
                &[Cause::DriverGap],
            )],
            tail_causes: TailCauses {
                results: 300,
                slow: 4,
                by_cause: BTreeMap::from([("involuntary_switch", 3), ("late_bell", 1)]),
            },
            ..Proof::default()
        };
        let table = proof.to_string();
        let line =
            "  gate #1234                12.345  9.000  invoke                 7.100    1.320
    because: involuntary switch (5.600 run-queue wait); also driver gap\n";
        assert!(table.contains(line), "{table}");
        let table = table.replace("\n      ", " ");
        let counts = "beyond P99 or twice the median so far: 4 of 300 results: involuntary switch 3, late bell 1\n";
        assert!(table.contains(counts), "{table}");
    }

    #[test]
    fn the_json_names_the_causes() {
        let json = serde_json::to_value(slow("invoke", &[Cause::PageFault], &[])).unwrap();
        assert_eq!(json["causes"], serde_json::json!(["page_fault"]));
        assert_eq!(json["also"], serde_json::json!([]));
        let causes = TailCauses {
            by_cause: BTreeMap::from([("migration", 2)]),
            ..TailCauses::default()
        };
        let json = serde_json::to_value(causes).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"results": 0, "slow": 0, "migration": 2})
        );
    }
}
