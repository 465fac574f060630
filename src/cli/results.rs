//! `pinsight results`: a recording read back in place.

use super::recorded::{CSV_HEADER, RecordLine};
use crate::appliance::{Exit, Failure};
use crate::record::{ArchivedResultRecord, FileHeader, Reading};
use crate::units::{NS_PER_MS, NS_PER_US};
use clap::{Args, ValueEnum};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Arguments of `pinsight results`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Recording made by `pinsight run --record`
    file: PathBuf,
    /// Show only the newest N records
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    /// Show only records with detections
    #[arg(long)]
    seen: bool,
    /// How they are written: for people, as lines of JSON (`pinsight schema recording`), or as comma-separated values
    /// with a line for each detection
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Jsonl,
    Csv,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let reading =
        Reading::open(&arguments.file).map_err(|error| Failure::new(Exit::Storage, error))?;
    let records = reading.records();
    let mut wanted: Vec<_> = records
        .iter()
        .filter(|record| !arguments.seen || record.detections_total.to_native() > 0)
        .collect();
    if let Some(tail) = arguments.tail {
        wanted.drain(..wanted.len().saturating_sub(tail));
    }
    let mut text = String::new();
    let mut run = None;
    if arguments.format == Format::Csv {
        text.push_str(CSV_HEADER);
    }
    for record in &wanted {
        match arguments.format {
            Format::Table => {
                begin(&mut text, &mut run, record);
                line(&mut text, &reading.header, record);
            }
            Format::Jsonl => RecordLine::of(&reading.header, record)
                .add_json(&mut text)
                .map_err(|error| Failure::new(Exit::Internal, error))?,
            Format::Csv => RecordLine::of(&reading.header, record).add_csv(&mut text),
        }
    }
    let summary = reading.summary();
    let counts = format!(
        "board {}, pinsight {}: {} records whole, {} damaged, {} cells empty",
        reading.header.board, reading.header.version, summary.valid, summary.damaged, summary.empty
    );
    if arguments.format == Format::Table {
        text.push_str(&counts);
        text.push('\n');
    }
    super::print::print(&text)?;
    if summary.damaged > 0 {
        // One torn record is what a power cut may cost; the reader is told, and the rest is good.
        log::warn!(
            "{} records fail their CRC and were left out",
            summary.damaged
        );
    }
    Ok(())
}

/// Says where the records of another run begin. Run and boot of the record before are in `before`.
fn begin(text: &mut String, before: &mut Option<(u32, u64)>, record: &ArchivedResultRecord) {
    let (run, boot) = (record.run.to_native(), record.boot.to_native());
    let began = match *before {
        Some(known) if known == (run, boot) => return,
        // 0 is a boot that is not known.
        Some((_, known)) if known != boot && known != 0 && boot != 0 => {
            "the machine had started anew"
        }
        Some(_) => "the program had started anew",
        None => "the first one here",
    };
    *before = Some((run, boot));
    let _ = writeln!(text, "run {run}: {began}");
}

fn line(text: &mut String, header: &FileHeader, record: &ArchivedResultRecord) {
    let camera = header.cameras.get(usize::from(record.camera.to_native()));
    let model = usize::from(record.model.to_native());
    let labels = header.labels.get(model);
    let age_us = record.since_capture_ns[4].to_native() / NS_PER_US;
    let _ = write!(
        text,
        "{} utc_ms {}  {}  frame {}  {}  age {}.{:03} ms ",
        record.number,
        record.utc_ns.to_native() / NS_PER_MS,
        camera.map_or("?", String::as_str),
        record.sequence,
        header.models.get(model).map_or("?", String::as_str),
        age_us / 1000,
        age_us % 1000,
    );
    let shown = usize::from(record.detections_total.to_native()).min(record.detections.len());
    for seen in &record.detections[..shown] {
        let label = labels.and_then(|labels| labels.get(usize::from(seen.class.to_native())));
        let _ = write!(
            text,
            " {} {:.2} at {},{} {}x{}",
            label.map_or("?", String::as_str),
            f32::from(seen.score_65535.to_native()) / f32::from(u16::MAX),
            seen.x_px,
            seen.y_px,
            seen.width_px,
            seen.height_px,
        );
        let within = seen.within.to_native();
        if let Some(index) = within.checked_sub(1) {
            let _ = write!(text, " within {index}");
        }
    }
    text.push('\n');
}
