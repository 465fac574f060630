//! What a run made and did not keep, in the proof: results, notes, records and lines.

use super::words::write_line;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::{self, Formatter};

/// What one file of a run does not have.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct File {
    /// The argument that names it: `--record`, `--results` or `--events`.
    pub argument: &'static str,
    /// What it consists of: `records` or `lines`.
    #[serde(skip)]
    pub parts: &'static str,
    /// Records or lines that reached the file.
    pub written: u64,
    /// Times that the file vanished, was replaced or was cut short while it was written.
    pub replaced: u64,
    /// At the end its name led elsewhere: what it holds is not there.
    pub is_astray: bool,
    /// Writes and syncs that failed.
    pub failed: u64,
    /// Records or lines that were not written, because the disk stood still or was too slow.
    pub lost: u64,
}

/// A line for each number that is not 0: of what hot threads made and housekeeping did not take in time, then of files.
pub(crate) fn write(
    f: &mut Formatter<'_>,
    not_taken: &[(u64, &str)],
    files: &[File],
) -> fmt::Result {
    for (lost, what) in not_taken.iter().filter(|(lost, _)| *lost > 0) {
        write_line(
            f,
            2,
            format_args!("note: {what} that housekeeping did not take in time: {lost}"),
        )?;
    }
    for file in files {
        let (argument, parts) = (file.argument, file.parts);
        if file.failed > 0 {
            let failed = file.failed;
            write_line(
                f,
                2,
                format_args!("note: {argument}: writes that failed: {failed}"),
            )?;
        }
        if file.replaced > 0 {
            writeln!(
                f,
                "  note: {argument}: times that the file vanished, was replaced or was cut short: {}",
                file.replaced
            )?;
        }
        if file.lost > 0 {
            let lost = file.lost;
            write_line(
                f,
                2,
                format_args!(
                    "note: {argument}: {parts} lost, because the disk stood still or was too slow for what came at \
                     once: {lost}"
                ),
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::proof::Proof;
    use super::File;

    #[test]
    fn what_was_lost_or_not_written_is_said_with_its_file_and_nothing_where_nothing_was() {
        let file = |argument, parts, failed, lost| File {
            argument,
            parts,
            written: 1,
            failed,
            lost,
            ..File::default()
        };
        let mut proof = Proof {
            files: vec![file("--record", "records", 0, 0)],
            ..Proof::default()
        };
        assert!(!proof.to_string().contains("note:"), "{proof}");
        proof.results_lost = 44;
        proof.notes_lost = 2;
        proof.files = vec![
            file("--record", "records", 3, 0),
            file("--results", "lines", 0, 17),
            File {
                replaced: 2,
                ..file("--events", "lines", 0, 0)
            },
        ];
        // A note that is too long goes on, further in.
        let shown = proof.to_string().replace("\n    ", " ");
        let notes: Vec<_> = shown
            .lines()
            .filter(|line| line.contains("note:"))
            .collect();
        let expected = [
            "  note: results that housekeeping did not take in time: 44",
            "  note: lines of the log that housekeeping did not take in time: 2",
            "  note: --record: writes that failed: 3",
            "  note: --results: lines lost, because the disk stood still or was too slow for what came at once: 17",
            "  note: --events: times that the file vanished, was replaced or was cut short: 2",
        ];
        assert_eq!(notes, expected);
        let before = |first: &str, second: &str| shown.find(first) < shown.find(second);
        assert!(before("stood still or was too slow: 17", "detections"));
    }
}
