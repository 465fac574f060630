//! Files of JSON lines: of each result that shows something, and of each event. A line is formatted into a
//! fixed buffer.

use super::look::{Change, Look};
use crate::latency::{Stage, Stamps};
use crate::limits::{MAX_DETECTIONS, MAX_OUTPUTS};
use crate::record::FrameResult;
use crate::sys::clock::{Utc, UtcText};
use crate::sys::io::output_file::{Identity, OpenError, Target};
use crate::sys::io::poll::{PIPE_BUF, is_writable};
use crate::sys::service::terminal;
use crate::units::{NS_PER_MS, NS_PER_US};
use schemars::JsonSchema;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Longest line: `MAX_DETECTIONS` detections at their widest fit.
pub(crate) const LINE_BYTES: usize = 16 * 1024;

/// Where lines go.
#[derive(Debug)]
pub(crate) struct LineFile {
    file: File,
    /// Of a regular file: its name, which may come to lead elsewhere.
    name: Option<Name>,
    /// A line break, then the line.
    line: Box<[u8; LINE_BYTES]>,
    /// The last line was cut: the next one wants a line break before it.
    torn: bool,
}

/// The name of a file that is written.
#[derive(Debug)]
struct Name {
    path: PathBuf,
    /// The file that it led to when it was opened.
    file: Identity,
    /// It was made then.
    is_new: bool,
}

/// Opens a file for lines.
fn append_to(path: &Path) -> Result<(File, Option<Name>), OpenError> {
    let target = Target::of(path)?;
    let (file, found) = target.open(OpenOptions::new().append(true))?;
    let has_name = found.is_file() && !target.is_descriptor;
    let name = has_name.then(|| Name {
        file: Identity::of(&found),
        is_new: target.kind.is_none(),
        path: target.path,
    });
    Ok((file, name))
}

/// One line of the file of results: what one model found in one frame.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ResultLine<'a> {
    /// Time of the capture: CLOCK_REALTIME, milliseconds since 1970.
    utc_ms: u64,
    /// The same in UTC, as RFC 3339 has it, with milliseconds.
    #[schemars(with = "String")]
    time: UtcText,
    /// The camera, as the profile names it.
    camera: &'a str,
    /// The model, as the profile names it.
    model: &'a str,
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
    /// What the frame showed, strongest first.
    #[schemars(with = "Vec<Seen<'a>>")]
    detections: heapless::Vec<Seen<'a>, MAX_DETECTIONS>,
    /// What the model's outputs held: with `decoder = "raw"` alone.
    #[serde(skip_serializing_if = "heapless::Vec::is_empty")]
    #[schemars(with = "Vec<Output<'a>>")]
    outputs: heapless::Vec<Output<'a>, MAX_OUTPUTS>,
}

/// What one output of a model held.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output<'a> {
    /// Its dimensions.
    shape: &'a [u32],
    /// Smallest value.
    min: f32,
    /// Largest value.
    max: f32,
    /// Place of the largest value, from 0, counted over all dimensions.
    argmax: u32,
}

/// A detection.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Seen<'a> {
    /// The class, as the model's labels name it; `?` for one without a label.
    label: &'a str,
    /// Confidence, 0 to 1.
    score: f32,
    /// x, y, width and height in pixels of the camera's picture.
    box_px: [i32; 4],
    /// The box of the model that it was looked for in: its place, from 0, in that model's line.
    #[serde(skip_serializing_if = "Option::is_none")]
    within: Option<u16>,
}

/// Names that a line shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    /// The camera's.
    pub(crate) camera: &'a str,
    /// The model's.
    pub(crate) model: &'a str,
    /// The model's labels.
    pub(crate) labels: &'a [String],
}

impl LineFile {
    /// Lines go to `path`, behind what it already holds; `-` is standard output. Where a power cut or a full
    /// disk left half a line at the end of a file, the first one starts on a line of its own.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or is none for lines. ENXIO: a FIFO that nobody reads.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let (file, name) = if path == Path::new("-") {
            if std::io::stdout().is_terminal() {
                // Lines and a live view would write over each other.
                terminal::close();
            }
            // A plain descriptor: the standard library's own buffer would be one more allocation.
            let stdout = std::io::stdout().as_fd().try_clone_to_owned()?;
            (File::from(stdout), None)
        } else {
            append_to(path)?
        };
        Ok(Self {
            torn: ends_in_half_a_line(&file),
            file,
            name,
            line: Box::new([b'\n'; LINE_BYTES]),
        })
    }

    /// Takes a file away that was made here and holds nothing.
    pub(crate) fn unmake(&self) {
        if let Some(name) = self.name.as_ref().filter(|name| name.is_new) {
            let _ = std::fs::remove_file(&name.path);
        }
    }

    /// Looks whether its name still leads to it. Where it does not, what the name leads to now is written, as a
    /// program that turns logs over wants it; a file that vanished is made anew.
    pub(crate) fn look(&mut self) -> Look {
        let Some(name) = &self.name else {
            return Look::Same;
        };
        let change = match std::fs::symlink_metadata(&name.path) {
            Ok(found) if Identity::of(&found) == name.file => return Look::Same,
            Ok(_) => Change::Replaced,
            Err(error) if error.kind() == ErrorKind::NotFound => Change::Vanished,
            Err(error) => return Look::Astray(Change::Vanished, Box::new(error)),
        };
        match append_to(&name.path) {
            Ok((file, name @ Some(_))) => {
                self.torn = ends_in_half_a_line(&file);
                (self.file, self.name) = (file, name);
                Look::Renewed(change)
            }
            Ok((_, None)) => Look::Astray(change, "what is there is no regular file".into()),
            Err(error) => Look::Astray(change, Box::new(error)),
        }
    }

    /// Writes one line, of a frame that was captured at `utc_ns`. Allocates nothing, and waits for no reader.
    ///
    /// # Errors
    /// The write's errno, EAGAIN where a reader is too slow; the line is lost, and the next one starts on a
    /// line of its own.
    pub(crate) fn write(
        &mut self,
        result: &FrameResult,
        shown: Shown<'_>,
        utc_ns: u64,
    ) -> Result<(), Error> {
        let stamps: &Stamps = &result.stamps;
        let us = |stage: Stage| stage.of(stamps) / NS_PER_US;
        let line = ResultLine {
            utc_ms: utc_ns / NS_PER_MS,
            time: Utc(utc_ns).text(),
            camera: shown.camera,
            model: shown.model,
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
                    label: shown
                        .labels
                        .get(usize::from(seen.class))
                        .map_or("?", String::as_str),
                    score: seen.score,
                    box_px: [seen.x_px, seen.y_px, seen.width_px, seen.height_px].map(whole),
                    within: seen.within.checked_sub(1),
                })
                .collect(),
            outputs: result
                .summaries
                .iter()
                .map(|output| Output {
                    shape: output.shape(),
                    min: output.min,
                    max: output.max,
                    argmax: output.argmax,
                })
                .collect(),
        };
        self.put_line(&line)
    }

    /// Writes anything as one line. Allocates nothing, and waits for no reader.
    ///
    /// # Errors
    /// As of [`LineFile::write`].
    pub(crate) fn put_line(&mut self, line: &impl Serialize) -> Result<(), Error> {
        let space = self.line.len() - 1;
        let used = serde_json_core::to_slice(line, &mut self.line[1..space])
            .map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
        self.line[1 + used] = b'\n';
        self.put(2 + used)
    }

    /// Writes the buffer up to `end`, in pieces that are taken at once or not at all.
    fn put(&mut self, end: usize) -> Result<(), Error> {
        let mut from = usize::from(!self.torn);
        while from < end {
            if !is_writable(self.file.as_fd()) {
                return Err(Error::from_raw_os_error(nix::libc::EAGAIN));
            }
            let piece = &self.line[from..end.min(from + PIPE_BUF)];
            match self.file.write(piece) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => from += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // Behind the line break that mends a cut line, or behind the line's own, nothing is cut.
            self.torn = from != 1 && from != end;
        }
        Ok(())
    }
}

/// Whether the last byte of a regular file is no line break. One that cannot be read is taken for whole.
fn ends_in_half_a_line(file: &File) -> bool {
    let last = || -> Result<u8, Error> {
        let found = file.metadata()?;
        if !found.is_file() || found.len() == 0 {
            return Ok(b'\n');
        }
        // It was opened for writing alone.
        let file = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let mut last = [b'\n'];
        file.read_exact_at(&mut last, found.len() - 1)?;
        Ok(last[0])
    };
    last().is_ok_and(|last| last != b'\n')
}

/// The nearest whole pixel. `as` saturates, and makes NaN 0.
#[allow(clippy::cast_possible_truncation)]
fn whole(value: f32) -> i32 {
    value.round() as i32
}

#[cfg(test)]
mod tests {
    use super::{Change, LineFile, Look, Shown};
    use crate::limits::{MAX_DETECTIONS, MAX_OUTPUTS};
    use crate::postprocess::{Detection, Summary};
    use crate::record::FrameResult;

    fn front(labels: &[String]) -> Shown<'_> {
        Shown {
            camera: "front",
            model: "m",
            labels,
        }
    }

    #[test]
    fn the_fullest_line_fits_and_is_json() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let widest = Detection {
            score: 1.175_494_4e-38,
            x_px: f32::MIN,
            y_px: f32::MIN,
            width_px: f32::NAN,
            height_px: f32::MAX,
            within: u16::MAX,
            ..Detection::default()
        };
        let mut result = FrameResult {
            sequence: u64::MAX,
            driver_sequence: u32::MAX,
            ..FrameResult::default()
        };
        while result.detections.push(widest).is_ok() {}
        assert_eq!(result.detections.len(), MAX_DETECTIONS);
        let summary = Summary {
            shape: [u32::MAX; 6],
            rank: 6,
            min: f32::MIN,
            max: f32::MAX,
            argmax: u32::MAX,
        };
        while result.summaries.push(summary).is_ok() {}
        assert_eq!(result.summaries.len(), MAX_OUTPUTS);
        let camera = "c".repeat(crate::limits::MAX_NAME);
        let labels = vec!["l".repeat(crate::limits::MAX_NAME)];
        let mut log = LineFile::open(&path).unwrap();
        let shown = Shown {
            camera: &camera,
            model: &camera,
            labels: &labels,
        };
        log.write(&result, shown, u64::MAX).unwrap();
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
    fn a_reader_that_is_too_slow_costs_lines_and_no_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let absent = LineFile::open(&path).unwrap_err();
        assert!(absent.advice().contains("start its reader"), "{absent}");
        let mut reader = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let mut log = LineFile::open(&path).unwrap();
        let mut result = FrameResult::default();
        while result.detections.push(Detection::default()).is_ok() {}
        let labels = vec!["l".repeat(crate::limits::MAX_NAME)];
        let mut whole = 0;
        let refused = loop {
            match log.write(&result, front(&labels), 0) {
                Ok(()) => whole += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused.raw_os_error(), Some(nix::libc::EAGAIN));
        let mut taken = vec![0; 1 << 20];
        let count = std::io::Read::read(&mut reader, &mut taken).unwrap();
        log.write(&result, front(&labels), 0).unwrap();
        let more = std::io::Read::read(&mut reader, &mut taken[count..]).unwrap();
        let text = std::str::from_utf8(&taken[..count + more]).unwrap();
        let is_json = |line: &&str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert_eq!(text.lines().filter(is_json).count(), whole + 1);
    }

    #[test]
    fn a_second_log_continues_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        for _ in 0..2 {
            let mut log = LineFile::open(&path).unwrap();
            log.write(&FrameResult::default(), front(&[]), 0).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn a_file_that_vanished_is_made_anew_and_one_that_was_replaced_is_written_on() {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("lines"), dir.path().join("lines.1"));
        let mut log = LineFile::open(&path).unwrap();
        let write = |log: &mut LineFile| {
            log.write(&FrameResult::default(), front(&[]), 0).unwrap();
        };
        let lines = |path| std::fs::read_to_string(path).unwrap().lines().count();
        write(&mut log);
        assert!(matches!(log.look(), Look::Same));
        std::fs::rename(&path, &aside).unwrap();
        write(&mut log);
        assert!(matches!(log.look(), Look::Renewed(Change::Vanished)));
        write(&mut log);
        assert!(matches!(log.look(), Look::Same));
        assert_eq!((lines(&aside), lines(&path)), (2, 1));
        // Another file, which ends in half a line.
        std::fs::write(&aside, "{").unwrap();
        std::fs::rename(&aside, &path).unwrap();
        assert!(matches!(log.look(), Look::Renewed(Change::Replaced)));
        write(&mut log);
        assert_eq!(lines(&path), 2);
        // What was open before has no name to be looked at.
        let open = std::fs::OpenOptions::new().append(true).open(&path);
        let open = open.unwrap();
        let descriptor = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        let mut given = LineFile::open(descriptor.as_ref()).unwrap();
        write(&mut given);
        assert!(matches!(given.look(), Look::Same));
        assert_eq!(lines(&path), 3);
        // Nothing is written into what is no file, nor through a link that leads nowhere.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(log.look(), Look::Astray(Change::Replaced, _)));
        std::fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("nothing", &path).unwrap();
        assert!(matches!(log.look(), Look::Astray(Change::Replaced, _)));
        assert!(!dir.path().join("nothing").exists());
    }

    #[test]
    fn half_a_line_that_an_earlier_run_left_spoils_none_of_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let whole = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        for (left, lines) in [("", 2), ("{}\n", 3), ("{\"utc_ms\":17", 3), ("\n", 3)] {
            std::fs::write(&path, left).unwrap();
            let mut log = LineFile::open(&path).unwrap();
            for _ in 0..2 {
                log.write(&FrameResult::default(), front(&[]), 0).unwrap();
            }
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with(left), "{text}");
            assert_eq!(text.lines().count(), lines, "{text}");
            assert_eq!(
                text.lines()
                    .rev()
                    .take(2)
                    .filter(|line| whole(line))
                    .count(),
                2
            );
        }
    }
}
