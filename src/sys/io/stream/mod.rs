//! Cameras that are a stream of bytes: a Y4M, raw or MJPEG file, a FIFO, standard input.
//!
//! Answers for: reading without waiting, pace, loss and end of such a stream. Does not answer for: what
//! the bytes mean (`capture::stream::y4m`, `capture::stream::raw_frames`, `capture::stream::jpeg_frames`).
//!
//! A **file** is played at a rate: a frame is read ahead and given when it is due, and frames whose time
//! passes while nobody has a slot for them are lost, as a camera's are. Bytes that are not in memory are
//! asked for, and looked at again later. A **pipe** has its writer's pace: a frame is given when its last
//! byte has come, and that is its time of capture; frames that come while there is no slot are read and
//! lost, so that what follows is fresh.
#![allow(unsafe_code)]

mod error;
mod input;

pub use error::{StreamError, StreamErrorKind};

use crate::capture::stream::frames::{Fed, Frames};
use crate::capture::stream::jpeg_frames::JpegFrames;
use crate::capture::stream::mjpeg::size_px;
use crate::capture::stream::raw_frames::{Layout, RawFrames};
use crate::capture::stream::y4m::{Header, LONGEST_HEADER_BYTES};
use crate::capture::{
    Dequeue, Dequeued, FrameSource, NotArmed, Readiness, SlotHome, SlotMemory, Slots, SourceError,
    StampKind, UnarmedSource, check_caller_slots,
};
use crate::frame::{PixelFormat, StreamFormat};
use crate::limits::MAX_SLOTS;
use crate::profile::{Container, Feed};
use crate::sys::clock::now_ns;
use crate::units::{NS_PER_MS, NS_PER_S};
use heapless::Deque;
use input::{Input, Read};
use nix::libc;
use std::io::IsTerminal as _;

/// How long a writer may take to send the first line: a camera's pipeline takes seconds to start.
const HEADER_NS: u64 = 15 * NS_PER_S;
/// When a wait for the first line is said.
const SAID_NS: u64 = NS_PER_S;
/// Bytes of a file in which its first picture is looked for.
const SEARCHED_BYTES: usize = 16 << 20;
/// When bytes are looked for again that the disk had not brought.
const DISK_NS: u64 = NS_PER_MS;
/// Lost bytes that are read in one turn, at least: what a pipe holds. Other cameras wait meanwhile.
const LOST_BYTES: u64 = 1 << 20;
/// Frames of a file that are passed over in one turn.
const LOST_FRAMES: u64 = 64;

/// What is to be read, and as what.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamConfig {
    /// Where from.
    pub feed: Feed,
    /// What frames are wrapped in.
    pub container: Container,
    /// A file begins again at its end.
    pub repeat: bool,
    /// Sample layout of the slots.
    pub pixel: PixelFormat,
    /// Size; `None` takes what a Y4M stream says.
    pub size_px: Option<(u32, u32)>,
    /// Time between a file's frames; `None` takes what a Y4M stream says.
    pub interval_ns: Option<u64>,
    /// Time that a writer gets to send the first line; `None` is [`HEADER_NS`].
    pub wait_ns: Option<u64>,
}

/// A stream whose header is read, and that has no slots yet.
#[derive(Debug)]
pub struct UnarmedStream {
    input: Input,
    frames: Box<dyn Frames>,
    repeat: bool,
    /// Length of the header.
    data_start: u64,
    said: String,
}

impl UnarmedStream {
    /// Opens the stream, and reads its header. Waits for a pipe's writer, some seconds at most.
    ///
    /// # Errors
    /// Which stream, what was found there, and what was expected.
    pub fn open(config: &StreamConfig) -> Result<Self, StreamError> {
        let wrong = |kind| StreamError::new(&config.feed, kind);
        let opened = match &config.feed {
            Feed::Stdin if std::io::stdin().is_terminal() => {
                return Err(wrong(StreamErrorKind::Terminal));
            }
            Feed::Stdin => Input::stdin(),
            Feed::File(path) => Input::open(path),
        };
        let mut input = opened.map_err(|error| wrong(StreamErrorKind::Open(error)))?;
        let (frames, data_start, word) = match config.container {
            Container::Y4m => {
                let (header, bytes) = read_header(&mut input, config).map_err(wrong)?;
                let layout = y4m_layout(&header, config).map_err(wrong)?;
                (raw(layout), bytes, "y4m")
            }
            Container::Raw => {
                let size_px = config.size_px.unwrap_or_default();
                let interval_ns = config.interval_ns.unwrap_or_default();
                let layout = Layout::raw(config.pixel, size_px, interval_ns);
                let layout =
                    layout.ok_or_else(|| wrong(StreamErrorKind::Size { found: size_px }))?;
                (raw(layout), 0, "raw frames")
            }
            Container::Mjpeg => {
                let frames = mjpeg_frames(&mut input, config).map_err(wrong)?;
                (frames, 0, "mjpeg")
            }
        };
        if let Some(length_bytes) = input.length_bytes() {
            let expected_bytes = data_start + frames.frame_bytes();
            if frames.are_of_one_length() && length_bytes < expected_bytes {
                return Err(wrong(StreamErrorKind::Short {
                    length_bytes,
                    expected_bytes,
                }));
            }
            if frames.format().interval_ns == 0 {
                return Err(wrong(StreamErrorKind::NoRate));
            }
        }
        Ok(Self {
            said: format!("{word} from {}", error::describe(&config.feed)),
            repeat: config.repeat && input.is_file(),
            input,
            frames,
            data_start,
        })
    }
}

fn raw(layout: Layout) -> Box<dyn Frames> {
    Box::new(RawFrames::new(layout))
}

fn y4m_layout(header: &Header, config: &StreamConfig) -> Result<Layout, StreamErrorKind> {
    let found = (header.width_px, header.height_px);
    if let Some(expected) = config.size_px
        && found != expected
    {
        return Err(StreamErrorKind::OtherSize { found, expected });
    }
    let interval_ns = config.interval_ns.or(header.interval_ns());
    // 0 is "not said".
    let interval_ns = interval_ns.unwrap_or_default();
    let even = found.0.is_multiple_of(2) && found.1.is_multiple_of(2);
    let range = 16..=8192;
    if !even || !range.contains(&found.0) || !range.contains(&found.1) {
        return Err(StreamErrorKind::Size { found });
    }
    Layout::y4m(header, config.pixel, interval_ns).ok_or(StreamErrorKind::Chroma {
        found: header.chroma,
        format: config.pixel,
    })
}

/// Of a file that is played, its first picture has to be one of the profile's size: a size that is wrong
/// would make every frame a damaged one.
fn mjpeg_frames(
    input: &mut Input,
    config: &StreamConfig,
) -> Result<Box<dyn Frames>, StreamErrorKind> {
    let expected = config.size_px.unwrap_or_default();
    let interval_ns = config.interval_ns.unwrap_or_default();
    let mut frames =
        JpegFrames::new(expected, interval_ns).ok_or(StreamErrorKind::Size { found: expected })?;
    if input.is_file() {
        let mut picture = vec![0; frames.format().size_bytes as usize];
        let mut fed = Fed::More;
        let mut left_bytes = SEARCHED_BYTES;
        while fed == Fed::More && left_bytes > 0 {
            match input
                .read(frames.room(None))
                .map_err(StreamErrorKind::Read)?
            {
                Read::Bytes(count) => {
                    left_bytes = left_bytes.saturating_sub(count);
                    fed = frames.fed(Some(&mut picture), count);
                }
                Read::End => break,
                Read::NotYet => std::thread::sleep(std::time::Duration::from_nanos(DISK_NS)),
            }
        }
        input.rewind(0).map_err(StreamErrorKind::Read)?;
        frames.begin_anew();
        match size_px(&picture) {
            Some(found) if found == expected => {}
            Some(found) => return Err(StreamErrorKind::OtherSize { found, expected }),
            None => return Err(StreamErrorKind::NoPicture),
        }
    }
    Ok(Box::new(frames))
}

/// The first line, byte by byte: what follows it belongs to the frames.
fn read_header(input: &mut Input, config: &StreamConfig) -> Result<(Header, u64), StreamErrorKind> {
    let mut line = heapless::Vec::<u8, LONGEST_HEADER_BYTES>::new();
    let began_ns = now_ns();
    let wait_ns = config.wait_ns.unwrap_or(HEADER_NS).min(HEADER_NS);
    let until_ns = began_ns.saturating_add(wait_ns);
    let mut is_said = false;
    while !line.is_full() && line.last() != Some(&b'\n') {
        let mut byte = [0];
        match input.read(&mut byte).map_err(StreamErrorKind::Read)? {
            Read::Bytes(_) => {
                let _ = line.push(byte[0]);
            }
            Read::End => break,
            Read::NotYet if now_ns() >= until_ns => {
                return Err(StreamErrorKind::Silent {
                    seconds: wait_ns / NS_PER_S,
                });
            }
            Read::NotYet if !is_said && now_ns() >= began_ns.saturating_add(SAID_NS) => {
                is_said = true;
                log::info!(
                    "{}: nothing has come yet; waiting for its first line, {} s in all",
                    error::describe(&config.feed),
                    wait_ns / NS_PER_S
                );
            }
            Read::NotYet if input.is_file() => {
                std::thread::sleep(std::time::Duration::from_nanos(DISK_NS));
            }
            // Also for a FIFO without a writer, which poll does not wait for.
            Read::NotYet => {
                input.wait_ms(50).map_err(StreamErrorKind::Read)?;
            }
        }
    }
    let header = Header::parse(&line).map_err(StreamErrorKind::Header)?;
    Ok((header, line.len() as u64))
}

impl UnarmedSource for UnarmedStream {
    fn format(&self) -> StreamFormat {
        self.frames.format()
    }
    fn slot_home(&self) -> SlotHome {
        SlotHome::Caller
    }
    fn own_bytes(&self) -> u64 {
        self.frames.own_bytes()
    }
    fn io(&self) -> String {
        self.said.clone()
    }
    fn arm(self: Box<Self>, slots: Slots<'_>) -> Result<Box<dyn FrameSource>, NotArmed> {
        match check_caller_slots(&self.format(), slots, MAX_SLOTS) {
            Ok(slots) => Ok(Box::new(Stream {
                input: self.input,
                frames: self.frames,
                repeat: self.repeat,
                data_start: self.data_start,
                slots,
                queued: Deque::new(),
                held: [false; MAX_SLOTS],
                target: Target::None,
                whole: None,
                number: 0,
                since_rewind: 0,
                origin_ns: None,
                wake_ns: 0,
                ended: false,
                broke_off: false,
            })),
            Err(error) => Err(NotArmed {
                source: self,
                error,
            }),
        }
    }
}

/// Where the frame goes that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// None is.
    None,
    Slot(u16),
    /// Nobody wants it.
    Away,
}

/// A frame that is read, or as much of it as there was.
#[derive(Clone, Copy, Debug)]
struct Whole {
    slot: u16,
    number: u64,
    bytes: usize,
    damaged: bool,
}

/// What reading has come to.
enum Pumped {
    NotYet,
    Frame,
    /// The end, or what is no frame, after so many bytes of one.
    End(usize),
}

/// A stream with its slots.
#[derive(Debug)]
struct Stream {
    input: Input,
    frames: Box<dyn Frames>,
    repeat: bool,
    data_start: u64,
    slots: Box<[SlotMemory]>,
    queued: Deque<u16, MAX_SLOTS>,
    held: [bool; MAX_SLOTS],
    target: Target,
    whole: Option<Whole>,
    /// Of the frame that is read, or comes next.
    number: u64,
    /// Frames since the file's beginning.
    since_rewind: u64,
    /// Time of `start`, while streaming.
    origin_ns: Option<u64>,
    /// When a file is to be looked at again.
    wake_ns: u64,
    ended: bool,
    /// Within a frame, or with what is no frame.
    broke_off: bool,
}

impl Stream {
    fn interval_ns(&self) -> u64 {
        self.frames.format().interval_ns.max(1)
    }

    /// When a file's frame is due.
    fn due_ns(&self, number: u64) -> u64 {
        let after = number.saturating_add(1).saturating_mul(self.interval_ns());
        self.origin_ns.unwrap_or(0).saturating_add(after)
    }

    /// Number of the frame that a file shows next at `now_ns`.
    fn next_due(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.origin_ns.unwrap_or(0)) / self.interval_ns()
    }

    /// Decides where the next frame goes; false when it is to wait.
    fn begin(&mut self, now_ns: u64) -> bool {
        let late = self.input.is_file() && self.number < self.next_due(now_ns);
        if late {
            self.target = Target::Away;
        } else if let Some(slot) = self.queued.pop_front() {
            self.target = Target::Slot(slot);
            if self.input.is_file() {
                let bytes = self.frames.frame_bytes().saturating_mul(2);
                self.input
                    .fetch(usize::try_from(bytes).unwrap_or(usize::MAX));
            }
        } else if self.input.is_file() {
            self.wake_ns = self.due_ns(self.number).max(now_ns.saturating_add(DISK_NS));
            return false;
        } else {
            self.target = Target::Away;
        }
        true
    }

    /// Reads of one frame what there is.
    fn pump(&mut self) -> Result<Pumped, SourceError> {
        loop {
            if self.target == Target::Away
                && self.input.is_file()
                && let Some(missing) = self.frames.missing_bytes()
            {
                self.input.pass_over(missing)?;
                self.frames.passed_over(missing);
                return Ok(Pumped::Frame);
            }
            let memory = match self.target {
                Target::Slot(slot) => self.slots.get(usize::from(slot)).copied(),
                Target::None | Target::Away => None,
            };
            // SAFETY: the slot was queued and has not been given back, so it is with this source; the
            // reference ends with this turn of the loop, and there is no other one.
            let mut bytes = memory.map(|memory| unsafe { memory.bytes_mut() });
            let fed = if self.frames.has_rest() {
                self.frames.rest(bytes)
            } else {
                let room = self.frames.room(bytes.as_deref_mut());
                match self.input.read(room)? {
                    Read::NotYet => return Ok(Pumped::NotYet),
                    Read::End => return Ok(Pumped::End(self.frames.done_bytes())),
                    Read::Bytes(count) => self.frames.fed(bytes, count),
                }
            };
            match fed {
                Fed::More => {}
                Fed::Frame => return Ok(Pumped::Frame),
                Fed::Broken => {
                    self.ended = true;
                    self.broke_off = true;
                    return Err(SourceError::new("FRAME line", libc::EBADMSG));
                }
            }
        }
    }

    /// The frame that was being read is over, with so many bytes of it.
    fn conclude(&mut self, bytes: usize, damaged: bool) {
        if let Target::Slot(slot) = self.target {
            self.whole = Some(Whole {
                slot,
                number: self.number,
                bytes,
                damaged,
            });
        }
        self.target = Target::None;
        self.number += 1;
    }

    /// The end of the stream, perhaps in the middle of a frame.
    fn end(&mut self, bytes: usize) -> Result<(), SourceError> {
        let is_cut = !self.frames.is_between();
        if !is_cut {
            // No frame was begun: the slot is the next one's.
            if let Target::Slot(slot) = self.target {
                let _ = self.queued.push_front(slot);
            }
            self.target = Target::None;
        } else {
            self.conclude(bytes, true);
        }
        self.frames.begin_anew();
        if self.repeat && self.since_rewind > 0 {
            self.since_rewind = 0;
            self.input.rewind(self.data_start)
        } else {
            self.ended = true;
            self.broke_off |= is_cut;
            Ok(())
        }
    }

    /// Gives the frame that was read, if it is due.
    fn give(&mut self, whole: Whole, now_ns: u64) -> Dequeue {
        let (capture_ns, stamp) = if self.input.is_file() {
            (self.due_ns(whole.number), StampKind::EndOfFrame)
        } else {
            // The writer does not say when it was captured.
            (now_ns, StampKind::Dequeue)
        };
        if capture_ns > now_ns {
            self.wake_ns = capture_ns;
            return Dequeue::NotReady;
        }
        self.whole = None;
        self.wake_ns = now_ns;
        if let Some(held) = self.held.get_mut(usize::from(whole.slot)) {
            *held = false;
        }
        Dequeue::Frame(Dequeued {
            slot: whole.slot,
            // As a driver's: 32 bits wide, and wraps.
            #[allow(clippy::cast_possible_truncation)]
            sequence: whole.number as u32,
            capture_ns,
            offset_bytes: 0,
            bytes_used: u32::try_from(whole.bytes).unwrap_or(u32::MAX),
            stamp,
            damaged: whole.damaged,
        })
    }
}

impl FrameSource for Stream {
    fn format(&self) -> StreamFormat {
        self.frames.format()
    }

    fn slots(&self) -> &[SlotMemory] {
        &self.slots
    }

    fn start(&mut self, now_ns: u64) -> Result<(), SourceError> {
        self.origin_ns = Some(now_ns);
        self.wake_ns = now_ns;
        self.number = 0;
        Ok(())
    }

    fn queue(&mut self, slot: u16, _now_ns: u64) -> Result<(), SourceError> {
        const REFUSED: SourceError = SourceError::new("queue", libc::EINVAL);
        let number = usize::from(slot);
        let held = self.held.get_mut(number).ok_or(REFUSED)?;
        if number >= self.slots.len() || *held {
            return Err(REFUSED);
        }
        // Each of at most MAX_SLOTS slots is there at most once.
        self.queued.push_back(slot).map_err(|_| REFUSED)?;
        *held = true;
        Ok(())
    }

    fn dequeue(&mut self, now_ns: u64) -> Result<Dequeue, SourceError> {
        if self.origin_ns.is_none() {
            return Err(SourceError::new("dequeue", libc::EINVAL));
        }
        let frame_bytes = self.frames.frame_bytes();
        let mut lost = 0;
        loop {
            if let Some(whole) = self.whole {
                return Ok(self.give(whole, now_ns));
            }
            if self.ended {
                return Ok(Dequeue::Ended);
            }
            if self.target == Target::None && !self.begin(now_ns) {
                return Ok(Dequeue::NotReady);
            }
            match self.pump()? {
                Pumped::NotYet => {
                    self.wake_ns = now_ns.saturating_add(DISK_NS);
                    return Ok(Dequeue::NotReady);
                }
                Pumped::Frame => {
                    self.since_rewind += 1;
                    lost += u64::from(self.target == Target::Away);
                    let last = self.frames.last();
                    self.conclude(last.bytes, last.cut);
                }
                Pumped::End(bytes) => self.end(bytes)?,
            }
            let most = if self.input.is_file() && self.frames.are_of_one_length() {
                LOST_FRAMES
            } else {
                LOST_BYTES.div_ceil(frame_bytes)
            };
            if lost > most {
                self.wake_ns = now_ns;
                return Ok(Dequeue::NotReady);
            }
        }
    }

    fn readiness(&self) -> Readiness {
        match self.origin_ns {
            None => Readiness::At(u64::MAX),
            // There is something to learn at once.
            Some(_) if self.ended => Readiness::At(0),
            Some(_) if self.input.is_file() => Readiness::At(self.wake_ns),
            // What has been read already is not seen by poll.
            Some(_) if self.frames.has_rest() => Readiness::At(0),
            Some(_) => Readiness::Fd(self.input.raw()),
        }
    }

    fn broke_off(&self) -> bool {
        self.broke_off
    }

    fn stop(&mut self) -> Result<(), SourceError> {
        self.origin_ns = None;
        self.whole = None;
        self.queued.clear();
        self.held = [false; MAX_SLOTS];
        // What comes of a frame that was begun is nobody's.
        self.target = if self.frames.is_between() {
            Target::None
        } else {
            Target::Away
        };
        Ok(())
    }

    fn reopen(&mut self, _now_ns: u64) -> Result<(), SourceError> {
        self.stop()?;
        self.input.reopen()?;
        if self.input.is_file() {
            self.input.rewind(self.data_start)?;
            self.frames.begin_anew();
            self.target = Target::None;
            self.since_rewind = 0;
            self.ended = false;
            self.broke_off = false;
        }
        Ok(())
    }
}
