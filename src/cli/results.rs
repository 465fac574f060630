//! `pinsight results`: a recording read back in place.

use super::recorded::{CSV_HEADER, RecordLine};
use crate::appliance::{Exit, Failure};
use crate::record::{ArchivedResultRecord, FileHeader, HeaderState, Reading};
use crate::sys::clock::{CLOCK_SET_NS, ClockStep, Utc};
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

/// Text that is gathered before it is written.
const AT_ONCE_BYTES: usize = 64 << 10;

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let reading =
        Reading::open(&arguments.file).map_err(|error| Failure::new(Exit::Storage, error))?;
    match reading.state {
        HeaderState::Whole | HeaderState::Single => {}
        HeaderState::OneDamaged => log::warn!(
            "{}: one of its two headers is damaged, and the other one was read; the next run writes it anew",
            arguments.file.display()
        ),
        HeaderState::Damaged => log::warn!(
            "{}: its headers are damaged: what its records are of is not known, and they are shown with numbers \
             instead of names, as far as they are whole",
            arguments.file.display()
        ),
    }
    let is_wanted =
        |record: &ArchivedResultRecord| !arguments.seen || record.detections_total.to_native() > 0;
    let index = reading.index(is_wanted);
    let tail = arguments.tail.map_or(u64::MAX, |tail| tail as u64);
    let mut passed_over = index.wanted.saturating_sub(tail);
    let mut text = String::new();
    if arguments.format == Format::Csv {
        text.push_str(CSV_HEADER);
    }
    let mut before: Option<Before> = None;
    reading.each(&index, |record| {
        if !is_wanted(record) {
            return Ok(());
        }
        if passed_over > 0 {
            passed_over -= 1;
            return Ok(());
        }
        match arguments.format {
            Format::Table => {
                if before.is_none_or(|before| !before.is_of(record)) {
                    begin(&mut text, before, record);
                } else if let Some(before) = before
                    && reading.header.capture_time
                {
                    clock(&mut text, before, record);
                }
                before = Some(Before::of(record));
                line(&mut text, &reading.header, record);
            }
            Format::Jsonl => RecordLine::of(&reading.header, record)
                .add_json(&mut text)
                .map_err(|error| Failure::new(Exit::Internal, error))?,
            Format::Csv => RecordLine::of(&reading.header, record).add_csv(&mut text),
        }
        if text.len() >= AT_ONCE_BYTES {
            super::print::print(&text)?;
            text.clear();
        }
        Ok(())
    })?;
    let summary = index.summary;
    let counts = format!(
        "board {}, pinsight {}: {} records whole, {} damaged, {} cells empty",
        known(&reading.header.board),
        known(&reading.header.version),
        summary.valid,
        summary.damaged,
        summary.empty
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

/// What the header says, if there is one.
fn known(text: &str) -> &str {
    if text.is_empty() { "?" } else { text }
}

/// The name at a place, or the place where there is no name.
struct Name<'a>(Option<&'a String>, u16);

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(name) => f.write_str(name),
            None => write!(f, "?{}", self.1),
        }
    }
}

/// What a record is held against the one before it for.
#[derive(Clone, Copy)]
struct Before {
    run: u32,
    /// 0 is a boot that is not known.
    boot: u64,
    /// CLOCK_REALTIME less CLOCK_MONOTONIC.
    ahead_ns: i64,
}

impl Before {
    fn of(record: &ArchivedResultRecord) -> Self {
        let (utc_ns, capture_ns) = (record.utc_ns.to_native(), record.capture_ns.to_native());
        Self {
            run: record.run.to_native(),
            boot: record.boot.to_native(),
            ahead_ns: utc_ns.wrapping_sub(capture_ns).cast_signed(),
        }
    }

    fn is_of(&self, record: &ArchivedResultRecord) -> bool {
        (self.run, self.boot) == (record.run.to_native(), record.boot.to_native())
    }
}

/// Says where the records of another run begin.
fn begin(text: &mut String, before: Option<Before>, record: &ArchivedResultRecord) {
    let (run, boot) = (record.run.to_native(), record.boot.to_native());
    let began = match before {
        Some(before) if before.boot != boot && before.boot != 0 && boot != 0 => {
            "the machine had started anew"
        }
        Some(_) => "the program had started anew",
        None => "the first one here",
    };
    let _ = writeln!(text, "run {run}: {began}");
}

/// Says where the machine's clock was set within a run.
fn clock(text: &mut String, before: Before, record: &ArchivedResultRecord) {
    let step_ns = Before::of(record).ahead_ns.wrapping_sub(before.ahead_ns);
    if step_ns.unsigned_abs() > CLOCK_SET_NS {
        let step = ClockStep(step_ns);
        let _ = writeln!(text, "run {}: the clock was set by {step}", before.run);
    }
}

fn line(text: &mut String, header: &FileHeader, record: &ArchivedResultRecord) {
    let (camera, model) = (record.camera.to_native(), record.model.to_native());
    let labels = header.labels.get(usize::from(model));
    let utc_ns = record.utc_ns.to_native();
    let age_us = record.since_capture_ns[4].to_native() / NS_PER_US;
    let _ = write!(
        text,
        "{} utc_ms {}  {}  {}  frame {}  {}  age {}.{:03} ms ",
        record.number,
        utc_ns / NS_PER_MS,
        Utc(utc_ns),
        Name(header.cameras.get(usize::from(camera)), camera),
        record.sequence,
        Name(header.models.get(usize::from(model)), model),
        age_us / 1000,
        age_us % 1000,
    );
    let shown = usize::from(record.detections_total.to_native()).min(record.detections.len());
    for seen in &record.detections[..shown] {
        let class = seen.class.to_native();
        let label = labels.and_then(|labels| labels.get(usize::from(class)));
        let _ = write!(
            text,
            " {} {:.2} at {},{} {}x{}",
            Name(label, class),
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
