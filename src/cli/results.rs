//! `pinsight results`: a recording read back in place.

use crate::appliance::{Exit, Failure};
use crate::record::{ArchivedResultRecord, FileHeader, HeaderState, Reading};
use crate::units::{NS_PER_MS, NS_PER_US};
use clap::Args;
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
    let mut run = None;
    reading.each(&index, |record| {
        if !is_wanted(record) {
            return Ok(());
        }
        if passed_over > 0 {
            passed_over -= 1;
            return Ok(());
        }
        begin(&mut text, &mut run, record);
        line(&mut text, &reading.header, record);
        if text.len() >= AT_ONCE_BYTES {
            super::print::print(&text)?;
            text.clear();
        }
        Ok(())
    })?;
    let summary = index.summary;
    let _ = writeln!(
        text,
        "board {}, pinsight {}: {} records whole, {} damaged, {} cells empty",
        known(&reading.header.board),
        known(&reading.header.version),
        summary.valid,
        summary.damaged,
        summary.empty
    );
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
    let (camera, model) = (record.camera.to_native(), record.model.to_native());
    let labels = header.labels.get(usize::from(model));
    let age_us = record.since_capture_ns[4].to_native() / NS_PER_US;
    let _ = write!(
        text,
        "{} utc_ms {}  {}  frame {}  {}  age {}.{:03} ms ",
        record.number,
        record.utc_ns.to_native() / NS_PER_MS,
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
