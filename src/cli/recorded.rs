//! The records of a recording for other programs: as lines of JSON, and as a table of comma-separated values.

use crate::record::{ArchivedResultRecord, FileHeader};
use crate::shown::{Shown, acts};
use crate::sys::clock::{Utc, UtcText};
use crate::units::{NS_PER_MS, NS_PER_US};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::{self, Write as _};

/// One record of a recording: what one model found in one frame.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct RecordLine<'a> {
    /// Number of the record since the file was made; newer records are larger.
    number: u64,
    /// Number of the run that wrote it, from 1.
    run: u32,
    /// Number of the machine's boot: another number, another boot. 0 where it is not known.
    boot: u64,
    /// Time of the frame's capture: CLOCK_REALTIME, milliseconds since 1970. Recordings of earlier versions have the
    /// time of the result.
    utc_ms: u64,
    /// The same in UTC, as RFC 3339 has it, with milliseconds.
    #[schemars(with = "String")]
    time: UtcText,
    /// Capture of the frame: CLOCK_MONOTONIC, nanoseconds; to be compared within one boot.
    capture_ns: u64,
    /// The camera, as the profile names it; null where the header does not.
    camera: Option<&'a str>,
    /// The model, as the profile names it; null where the header does not.
    model: Option<&'a str>,
    /// Frame number since the program started, counted by the capture thread.
    sequence: u64,
    /// The driver's own sequence number.
    driver_sequence: u32,
    /// From the capture to the result, microseconds.
    age_us: u64,
    /// From the dequeue to the lease, microseconds: the wait for a worker.
    waited_us: u64,
    /// From the frame to the tensor, microseconds.
    preprocess_us: u64,
    /// The model's own time, microseconds.
    invoke_us: u64,
    /// Decoding and suppression, microseconds.
    postprocess_us: u64,
    /// Detections that the frame gave.
    detections_total: u16,
    /// The strongest of them.
    detections: Vec<RecordedSeen<'a>>,
}

/// A detection of a recording.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RecordedSeen<'a> {
    /// The class, as the model's labels name it; `?` for one without a label.
    label: &'a str,
    /// Confidence, 0 to 1.
    score: f32,
    /// x, y, width and height in pixels of the camera's picture.
    box_px: [i32; 4],
    /// The box of the model that it was looked for in: its place, from 0, in that model's record.
    #[serde(skip_serializing_if = "Option::is_none")]
    within: Option<u16>,
}

impl<'a> RecordLine<'a> {
    pub(super) fn of(header: &'a FileHeader, record: &ArchivedResultRecord) -> Self {
        let since_us = record
            .since_capture_ns
            .each_ref()
            .map(|since_ns| since_ns.to_native() / NS_PER_US);
        let [dequeued, leased, preprocessed, invoked, result] = since_us;
        let model = usize::from(record.model.to_native());
        let camera = header.cameras.get(usize::from(record.camera.to_native()));
        let labels = header.labels.get(model);
        let total = record.detections_total.to_native();
        let seen = record.detections.iter().take(usize::from(total));
        Self {
            number: record.number.to_native(),
            run: record.run.to_native(),
            boot: record.boot.to_native(),
            utc_ms: record.utc_ns.to_native() / NS_PER_MS,
            time: Utc(record.utc_ns.to_native()).text(),
            capture_ns: record.capture_ns.to_native(),
            camera: camera.map(String::as_str),
            model: header.models.get(model).map(String::as_str),
            sequence: record.sequence.to_native(),
            driver_sequence: record.driver_sequence.to_native(),
            age_us: result,
            waited_us: leased.saturating_sub(dequeued),
            preprocess_us: preprocessed.saturating_sub(leased),
            invoke_us: invoked.saturating_sub(preprocessed),
            postprocess_us: result.saturating_sub(invoked),
            detections_total: total,
            detections: seen
                .map(|seen| RecordedSeen {
                    label: labels
                        .and_then(|labels| labels.get(usize::from(seen.class.to_native())))
                        .map_or("?", String::as_str),
                    score: f32::from(seen.score_65535.to_native()) / f32::from(u16::MAX),
                    box_px: [
                        seen.x_px.to_native().into(),
                        seen.y_px.to_native().into(),
                        seen.width_px.to_native().into(),
                        seen.height_px.to_native().into(),
                    ],
                    within: seen.within.to_native().checked_sub(1),
                })
                .collect(),
        }
    }

    /// Adds it as a line of JSON. What would act on a terminal stands by its number, as JSON allows.
    pub(super) fn add_json(&self, text: &mut String) -> serde_json::Result<()> {
        for character in serde_json::to_string(self)?.chars() {
            if acts(character) {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            } else {
                text.push(character);
            }
        }
        text.push('\n');
        Ok(())
    }

    /// Adds it as lines of [`CSV_HEADER`]'s columns: one for each detection, or one without any.
    pub(super) fn add_csv(&self, text: &mut String) {
        let frame = |text: &mut String| {
            let Self {
                number, run, boot, ..
            } = self;
            let _ = write!(
                text,
                "{number},{run},{boot},{},{},{},{},{},{},{},{},{},{},{},{}",
                self.utc_ms,
                self.time,
                self.capture_ns,
                Field(self.camera.unwrap_or("")),
                Field(self.model.unwrap_or("")),
                self.sequence,
                self.driver_sequence,
                self.age_us,
                self.waited_us,
                self.preprocess_us,
                self.invoke_us,
                self.postprocess_us
            );
        };
        for seen in &self.detections {
            frame(text);
            let [x, y, width, height] = seen.box_px;
            let (label, score) = (Field(seen.label), seen.score);
            let _ = write!(text, ",{label},{score:.4},{x},{y},{width},{height},");
            let _ = seen.within.map(|within| write!(text, "{within}"));
            text.push_str("\r\n");
        }
        if self.detections.is_empty() {
            frame(text);
            text.push_str(",,,,,,,\r\n");
        }
    }
}

/// Names of the columns, units in them.
pub(super) const CSV_HEADER: &str = "number,run,boot,utc_ms,time,capture_ns,camera,model,sequence,\
driver_sequence,age_us,waited_us,preprocess_us,invoke_us,postprocess_us,label,score,x_px,y_px,width_px,height_px,\
within\r\n";

/// A text as a field: in quotes where it needs them (RFC 4180). What would act on a terminal, line breaks too, stands by
/// its number.
struct Field<'a>(&'a str);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = Shown(self.0).to_string();
        if shown.contains([',', '"']) {
            write!(f, "\"{}\"", shown.replace('"', "\"\""))
        } else {
            f.write_str(&shown)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CSV_HEADER, Field, RecordLine, RecordedSeen};
    use crate::sys::clock::Utc;
    use crate::units::NS_PER_MS;

    #[test]
    fn a_field_is_quoted_where_it_has_to_be() {
        assert_eq!(Field("cup").to_string(), "cup");
        assert_eq!(Field("cup, red").to_string(), "\"cup, red\"");
        assert_eq!(Field("a \"cup\"").to_string(), "\"a \"\"cup\"\"\"");
        assert_eq!(Field("cup\u{9b}2J").to_string(), "cup\\u{9b}2J");
    }

    #[test]
    fn every_line_of_the_table_has_the_columns_of_its_header() {
        let seen = |label| RecordedSeen {
            label,
            score: 0.5,
            box_px: [-1, 2, 3, 4],
            within: Some(0),
        };
        let mut record = RecordLine {
            number: 7,
            run: 1,
            boot: 2,
            utc_ms: 3,
            time: Utc(3 * NS_PER_MS).text(),
            capture_ns: 4,
            camera: Some("front"),
            model: None,
            sequence: 5,
            driver_sequence: 6,
            age_us: 7,
            waited_us: 8,
            preprocess_us: 9,
            invoke_us: 10,
            postprocess_us: 11,
            detections_total: 0,
            detections: Vec::new(),
        };
        let mut text = CSV_HEADER.to_owned();
        record.add_csv(&mut text);
        record.detections = vec![seen("cup"), seen("face")];
        record.add_csv(&mut text);
        let lines: Vec<_> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 4);
        let columns = lines[0].split(',').count();
        assert!(
            lines.iter().all(|line| line.split(',').count() == columns),
            "{text}"
        );
        assert_eq!(
            lines[2],
            "7,1,2,3,1970-01-01T00:00:00.003Z,4,front,,5,6,7,8,9,10,11,cup,0.5000,-1,2,3,4,0"
        );
    }
}
