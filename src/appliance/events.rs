//! The event log: one JSON line for each result that shows something, formatted into a fixed buffer.

use crate::latency::{Stage, Stamps};
use crate::limits::MAX_DETECTIONS;
use crate::record::FrameResult;
use crate::units::{NS_PER_MS, NS_PER_US};
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

/// Longest line: `MAX_DETECTIONS` detections at their widest fit.
const LINE_BYTES: usize = 16 * 1024;

/// Where event lines go.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    line: Box<[u8; LINE_BYTES]>,
}

#[derive(Serialize)]
struct Line<'a> {
    utc_ms: u64,
    camera: &'a str,
    sequence: u64,
    driver_sequence: u32,
    age_us: u64,
    waited_us: u64,
    preprocess_us: u64,
    invoke_us: u64,
    postprocess_us: u64,
    detections: heapless::Vec<Seen<'a>, MAX_DETECTIONS>,
}

#[derive(Serialize)]
struct Seen<'a> {
    label: &'a str,
    score: f32,
    /// x, y, width, height.
    box_px: [i32; 4],
}

impl EventLog {
    /// Lines go to `path`, behind what it already holds; `-` is standard output.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = if path == Path::new("-") {
            // A plain descriptor: the standard library's own buffer would be one more allocation.
            File::from(std::io::stdout().as_fd().try_clone_to_owned()?)
        } else {
            OpenOptions::new().create(true).append(true).open(path)?
        };
        Ok(Self {
            file,
            line: Box::new([0; LINE_BYTES]),
        })
    }

    /// Writes one line with one write(2). Allocates nothing.
    ///
    /// # Errors
    /// The write's errno; the line is lost.
    pub fn write(
        &mut self,
        result: &FrameResult,
        camera: &str,
        labels: &[String],
        utc_ns: u64,
    ) -> Result<(), Error> {
        let stamps: &Stamps = &result.stamps;
        let us = |stage: Stage| stage.of(stamps) / NS_PER_US;
        let line = Line {
            utc_ms: utc_ns / NS_PER_MS,
            camera,
            sequence: result.sequence,
            driver_sequence: result.driver_sequence,
            age_us: us(Stage::CaptureToResult),
            waited_us: us(Stage::DequeueToLease),
            preprocess_us: us(Stage::Preprocess),
            invoke_us: us(Stage::Invoke),
            postprocess_us: us(Stage::Postprocess),
            detections: result
                .detections
                .iter()
                .map(|seen| Seen {
                    label: labels
                        .get(usize::from(seen.class))
                        .map_or("?", String::as_str),
                    score: seen.score,
                    box_px: [seen.x_px, seen.y_px, seen.width_px, seen.height_px].map(whole),
                })
                .collect(),
        };
        let text = &mut self.line[..];
        let space = text.len() - 1;
        let used = serde_json_core::to_slice(&line, &mut text[..space])
            .map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
        text[used] = b'\n';
        self.file.write_all(&text[..=used])
    }
}

/// The nearest whole pixel. `as` saturates, and makes NaN 0.
#[allow(clippy::cast_possible_truncation)]
fn whole(value: f32) -> i32 {
    value.round() as i32
}

#[cfg(test)]
mod tests {
    use super::EventLog;
    use crate::limits::MAX_DETECTIONS;
    use crate::postprocess::Detection;
    use crate::record::FrameResult;

    #[test]
    fn the_fullest_line_fits_and_is_json() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let widest = Detection {
            score: 1.175_494_4e-38,
            x_px: f32::MIN,
            y_px: f32::MIN,
            width_px: f32::NAN,
            height_px: f32::MAX,
            ..Detection::default()
        };
        let mut result = FrameResult {
            sequence: u64::MAX,
            driver_sequence: u32::MAX,
            ..FrameResult::default()
        };
        while result.detections.push(widest).is_ok() {}
        assert_eq!(result.detections.len(), MAX_DETECTIONS);
        let camera = "c".repeat(crate::limits::MAX_NAME);
        let labels = vec!["l".repeat(crate::limits::MAX_NAME)];
        let mut log = EventLog::open(&path).unwrap();
        log.write(&result, &camera, &labels, u64::MAX).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["camera"], camera.as_str());
        assert_eq!(
            value["detections"].as_array().unwrap().len(),
            MAX_DETECTIONS
        );
        assert_eq!(value["detections"][0]["box_px"][2], 0);
        assert_eq!(value["detections"][0]["label"], labels[0].as_str());
    }

    #[test]
    fn a_second_log_continues_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        for _ in 0..2 {
            let mut log = EventLog::open(&path).unwrap();
            log.write(&FrameResult::default(), "front", &[], 0).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }
}
