//! Uncompressed frames of a stream, Y4M or raw: which bytes come next, and where they belong in the slot. Pure.
//!
//! Bytes that lie in the slot as they come are read straight into it. Those that are spread between
//! others (the Cb and Cr of NV12) go through a small buffer.

use super::frames::{Fed, Frames, LastFrame, STAGED_BYTES};
use super::y4m::{Chroma, Header};
use crate::frame::{Colour, Encoding, PixelFormat, Quantization, StreamFormat};

/// What stands before each picture of a Y4M stream, as a rule.
const MARK: &[u8] = b"FRAME\n";
/// Longest line before a picture: it may carry parameters.
const LONGEST_MARK_BYTES: usize = 256;
/// Height from which a stream that does not say is taken for BT.709, and below for BT.601: the usual
/// rule of players.
const HD_HEIGHT_PX: u32 = 720;

/// Bytes of a picture that come together, and where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plane {
    /// How many.
    bytes: usize,
    /// Place of the first one in the slot.
    start: usize,
    /// From one to the next.
    step: usize,
}

/// How a picture of a stream is laid into a slot.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    planes: [Plane; 3],
    marked: bool,
    format: StreamFormat,
}

impl Layout {
    /// A Y4M stream's pictures as `pixel`: 4:2:0 as NV12 or YU12, 4:2:2 as YUYV or NV16, and luma alone as
    /// GREY. `None` where its colour is not sampled as that format's, or
    /// the sides are odd.
    #[must_use]
    pub fn y4m(header: &Header, pixel: PixelFormat, interval_ns: u64) -> Option<Self> {
        let format = format(
            pixel,
            (header.width_px, header.height_px),
            header.full_range,
            interval_ns,
        )?;
        let luma = header.width_px as usize * header.height_px as usize;
        let plane = |bytes, start, step| Plane { bytes, start, step };
        let planes = match (header.chroma, pixel) {
            (Chroma::C420, PixelFormat::Yu12) => [
                plane(luma, 0, 1),
                plane(luma / 4, luma, 1),
                plane(luma / 4, luma + luma / 4, 1),
            ],
            (Chroma::C420, PixelFormat::Nv12) => [
                plane(luma, 0, 1),
                plane(luma / 4, luma, 2),
                plane(luma / 4, luma + 1, 2),
            ],
            (Chroma::C422, PixelFormat::Nv16) => [
                plane(luma, 0, 1),
                plane(luma / 2, luma, 2),
                plane(luma / 2, luma + 1, 2),
            ],
            (Chroma::Mono, PixelFormat::Grey) => {
                [plane(luma, 0, 1), plane(0, 0, 1), plane(0, 0, 1)]
            }
            (Chroma::C422, PixelFormat::Yuyv) => [
                plane(luma, 0, 2),
                plane(luma / 2, 1, 4),
                plane(luma / 2, 3, 4),
            ],
            _ => return None,
        };
        let bytes: usize = planes.iter().map(|plane| plane.bytes).sum();
        (bytes == format.size_bytes as usize).then_some(Self {
            planes,
            marked: true,
            format,
        })
    }

    /// Pictures one after the other, each as V4L2 lays `pixel` out without padding; `None` where the
    /// sides are odd.
    #[must_use]
    pub fn raw(pixel: PixelFormat, size_px: (u32, u32), interval_ns: u64) -> Option<Self> {
        let format = format(pixel, size_px, false, interval_ns)?;
        let none = Plane {
            bytes: 0,
            start: 0,
            step: 1,
        };
        let whole = Plane {
            bytes: format.size_bytes as usize,
            ..none
        };
        Some(Self {
            planes: [whole, none, none],
            marked: false,
            format,
        })
    }

    /// What the slots will hold.
    #[must_use]
    pub const fn format(&self) -> StreamFormat {
        self.format
    }

    /// Bytes of one picture in the stream, its mark included.
    #[must_use]
    pub const fn frame_bytes(&self) -> u64 {
        let mark = if self.marked { MARK.len() } else { 0 };
        self.format.size_bytes as u64 + mark as u64
    }
}

/// Rows without padding: a plane of the stream is then one range of the slot.
fn format(
    pixel: PixelFormat,
    (width_px, height_px): (u32, u32),
    full_range: bool,
    interval_ns: u64,
) -> Option<StreamFormat> {
    let range = 16..=8192;
    let even = width_px.is_multiple_of(2) && height_px.is_multiple_of(2);
    if pixel.is_compressed() || !even || !range.contains(&width_px) || !range.contains(&height_px) {
        return None;
    }
    let stride_bytes = u32::try_from(pixel.row_bytes(width_px)).ok()?;
    Some(StreamFormat {
        pixel,
        width_px,
        height_px,
        stride_bytes,
        size_bytes: u32::try_from(pixel.image_bytes(stride_bytes, height_px)).ok()?,
        colour: Colour {
            encoding: if height_px < HD_HEIGHT_PX {
                Encoding::Bt601
            } else {
                Encoding::Bt709
            },
            quantization: if full_range || pixel.is_rgb() {
                Quantization::Full
            } else {
                Quantization::Limited
            },
        },
        interval_ns,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Mark { have: usize },
    Plane { index: usize, done: usize },
}

/// One picture after the other, each from its first byte to its last.
#[derive(Debug)]
pub struct RawFrames {
    layout: Layout,
    place: Place,
    mark: [u8; LONGEST_MARK_BYTES],
    staged: Box<[u8]>,
}

impl RawFrames {
    /// At the beginning of a picture.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self {
            place: Self::beginning(&layout),
            layout,
            mark: [0; LONGEST_MARK_BYTES],
            staged: vec![0; STAGED_BYTES].into_boxed_slice(),
        }
    }

    const fn beginning(layout: &Layout) -> Place {
        if layout.marked {
            Place::Mark { have: 0 }
        } else {
            Place::Plane { index: 0, done: 0 }
        }
    }

    fn marked(&mut self, have: usize) -> Fed {
        let line = &self.mark[..have.min(LONGEST_MARK_BYTES)];
        let word = &MARK[..MARK.len() - 1];
        let usual = word.len().min(line.len());
        let ended = line.last() == Some(&b'\n');
        let parted = line
            .get(word.len())
            .is_none_or(|byte| b" \n".contains(byte));
        if line[..usual] != word[..usual] || !parted || (ended && line.len() < MARK.len()) {
            return Fed::Broken;
        }
        if ended {
            self.place = Place::Plane { index: 0, done: 0 };
        } else if have >= LONGEST_MARK_BYTES {
            return Fed::Broken;
        } else {
            self.place = Place::Mark { have };
        }
        Fed::More
    }

    fn samples(&mut self, index: usize, done: usize) -> Fed {
        if done < self.layout.planes[index].bytes {
            self.place = Place::Plane { index, done };
            return Fed::More;
        }
        let next = index + 1;
        match self.layout.planes.get(next) {
            Some(plane) if plane.bytes > 0 => {
                self.place = Place::Plane {
                    index: next,
                    done: 0,
                };
                Fed::More
            }
            _ => {
                self.begin_anew();
                Fed::Frame
            }
        }
    }
}

impl Frames for RawFrames {
    fn format(&self) -> StreamFormat {
        self.layout.format
    }

    fn frame_bytes(&self) -> u64 {
        self.layout.frame_bytes()
    }

    fn are_of_one_length(&self) -> bool {
        true
    }

    fn last(&self) -> LastFrame {
        LastFrame {
            bytes: self.layout.format.size_bytes as usize,
            cut: false,
        }
    }

    fn begin_anew(&mut self) {
        self.place = Self::beginning(&self.layout);
    }

    fn is_between(&self) -> bool {
        self.place == Self::beginning(&self.layout)
    }

    fn done_bytes(&self) -> usize {
        match self.place {
            Place::Mark { .. } => 0,
            Place::Plane { index, done } => {
                let before = self.layout.planes.iter().take(index);
                before.map(|plane| plane.bytes).sum::<usize>() + done
            }
        }
    }

    fn missing_bytes(&self) -> Option<usize> {
        match self.place {
            Place::Mark { .. } => None,
            Place::Plane { .. } => {
                Some((self.layout.format.size_bytes as usize).saturating_sub(self.done_bytes()))
            }
        }
    }

    fn room<'a>(&'a mut self, slot: Option<&'a mut [u8]>) -> &'a mut [u8] {
        match self.place {
            Place::Mark { have } => {
                // One byte at a time beyond the usual mark, not to read into the picture.
                let end = if have < MARK.len() {
                    MARK.len()
                } else {
                    have + 1
                };
                let end = end.min(LONGEST_MARK_BYTES);
                &mut self.mark[have.min(end - 1)..end]
            }
            Place::Plane { index, done } => {
                let plane = self.layout.planes[index];
                match slot {
                    Some(slot) if plane.step == 1 && slot.len() >= plane.start + plane.bytes => {
                        &mut slot[plane.start + done..plane.start + plane.bytes]
                    }
                    _ => {
                        let most = (plane.bytes - done).min(STAGED_BYTES);
                        &mut self.staged[..most]
                    }
                }
            }
        }
    }

    fn fed(&mut self, slot: Option<&mut [u8]>, count: usize) -> Fed {
        match self.place {
            Place::Mark { have } => self.marked(have + count),
            Place::Plane { index, done } => {
                let plane = self.layout.planes[index];
                let count = count.min(plane.bytes - done);
                if let Some(slot) = slot
                    && plane.step > 1
                    && let Some(first) = slot.get_mut(plane.start + done * plane.step..)
                {
                    let spread = first.iter_mut().step_by(plane.step);
                    for (to, from) in spread.zip(&self.staged[..count]) {
                        *to = *from;
                    }
                }
                self.samples(index, done + count)
            }
        }
    }

    fn passed_over(&mut self, mut count: usize) -> Fed {
        let mut fed = Fed::More;
        while count > 0 && fed == Fed::More {
            let Place::Plane { index, done } = self.place else {
                return Fed::Broken;
            };
            let step = count.min(self.layout.planes[index].bytes - done);
            count -= step;
            fed = self.samples(index, done + step);
        }
        fed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(chroma: Chroma) -> Header {
        Header {
            width_px: 32,
            height_px: 16,
            rate: None,
            chroma,
            full_range: false,
        }
    }

    /// Feeds `stream` in pieces of these lengths, in turn; gives what it came to, and the pictures.
    fn assemble(layout: Layout, stream: &[u8], pieces: &[usize]) -> (Fed, Vec<Vec<u8>>) {
        let mut frames = RawFrames::new(layout);
        let mut slot = vec![0; layout.format.size_bytes as usize];
        let mut pictures = Vec::new();
        let mut rest = stream;
        let mut last = Fed::More;
        for piece in pieces.iter().cycle() {
            let room = frames.room(Some(&mut slot));
            assert!(!room.is_empty());
            let count = room.len().min(rest.len()).min((*piece).max(1));
            if count == 0 {
                break;
            }
            room[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            last = frames.fed(Some(&mut slot), count);
            match last {
                Fed::More => {}
                Fed::Frame => pictures.push(slot.clone()),
                Fed::Broken => break,
            }
        }
        (last, pictures)
    }

    /// A stream of pictures whose samples count up, and what NV12 makes of them.
    fn stream_420(count: u8) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut stream = Vec::new();
        let mut pictures = Vec::new();
        for number in 0..count {
            let y: Vec<u8> = (0..512_u32).map(|i| i.to_le_bytes()[0] ^ number).collect();
            let cb: Vec<u8> = (0..128).map(|i| i ^ number).collect();
            let cr: Vec<u8> = (0..128).map(|i| (128 + i) ^ number).collect();
            let mark = if number % 2 == 0 {
                "FRAME\n"
            } else {
                "FRAME Ip X=1\n"
            };
            stream.extend_from_slice(mark.as_bytes());
            stream.extend(y.iter().chain(&cb).chain(&cr));
            let pairs = cb.iter().zip(&cr).flat_map(|(cb, cr)| [*cb, *cr]);
            pictures.push(y.iter().copied().chain(pairs).collect());
        }
        (stream, pictures)
    }

    #[test]
    fn planes_of_4_2_2_become_yuyv() {
        let layout = Layout::y4m(&header(Chroma::C422), PixelFormat::Yuyv, 1).unwrap();
        let mut stream = b"FRAME\n".to_vec();
        stream.extend([1; 512]);
        stream.extend([2; 256]);
        stream.extend([3; 256]);
        let (last, pictures) = assemble(layout, &stream, &[usize::MAX]);
        assert_eq!(last, Fed::Frame);
        assert_eq!(pictures, [[1, 2, 1, 3].repeat(256)]);
    }

    #[test]
    fn planes_stay_planes_where_the_format_has_them() {
        for (chroma, pixel, samples, expected) in [
            (
                Chroma::C420,
                PixelFormat::Yu12,
                &[(1, 512), (2, 128), (3, 128)][..],
                [[1].repeat(512), [2].repeat(128), [3].repeat(128)].concat(),
            ),
            (
                Chroma::C422,
                PixelFormat::Nv16,
                &[(1, 512), (2, 256), (3, 256)],
                [[1].repeat(512), [2, 3].repeat(256)].concat(),
            ),
            (
                Chroma::Mono,
                PixelFormat::Grey,
                &[(1, 512)],
                [1].repeat(512),
            ),
        ] {
            let layout = Layout::y4m(&header(chroma), pixel, 1).unwrap();
            let mut stream = b"FRAME\n".to_vec();
            for (value, count) in samples {
                stream.extend(std::iter::repeat_n(*value, *count));
            }
            let (last, pictures) = assemble(layout, &stream, &[100]);
            assert_eq!((last, pictures), (Fed::Frame, vec![expected]), "{pixel:?}");
        }
    }

    #[test]
    fn what_does_not_fit_the_format_or_is_odd_is_not_laid_out() {
        let none = |header: &Header, pixel| Layout::y4m(header, pixel, 1).is_none();
        assert!(none(&header(Chroma::C444), PixelFormat::Nv12));
        assert!(none(&header(Chroma::C420), PixelFormat::Yuyv));
        assert!(none(&header(Chroma::Mono), PixelFormat::Nv12));
        for (width_px, height_px) in [(33, 16), (32, 17), (14, 16), (32, 8194)] {
            let odd = Header {
                width_px,
                height_px,
                ..header(Chroma::C420)
            };
            assert!(none(&odd, PixelFormat::Nv12));
            assert!(Layout::raw(PixelFormat::Nv12, (width_px, height_px), 1).is_none());
        }
    }

    #[test]
    fn a_picture_that_nobody_wants_is_passed_over() {
        let (stream, pictures) = stream_420(2);
        let layout = Layout::y4m(&header(Chroma::C420), PixelFormat::Nv12, 1).unwrap();
        let mut frames = RawFrames::new(layout);
        assert_eq!(frames.missing_bytes(), None);
        frames.room(None).copy_from_slice(&stream[..6]);
        assert_eq!(frames.fed(None, 6), Fed::More);
        assert_eq!(frames.missing_bytes(), Some(768));
        let room = frames.room(None);
        assert_eq!(room.len(), 512);
        assert_eq!(frames.fed(None, 500), Fed::More);
        assert_eq!(frames.done_bytes(), 500);
        assert_eq!(frames.passed_over(268), Fed::Frame);
        assert!(frames.is_between());
        assert_eq!(assemble(layout, &stream[774..], &[7]).1, pictures[1..]);
    }

    #[test]
    fn what_is_no_mark_is_broken() {
        let layout = Layout::y4m(&header(Chroma::C420), PixelFormat::Nv12, 1).unwrap();
        let long = format!("FRAME {}\n", "x".repeat(300));
        for text in ["FRAMES\n", "frame\n", "\nFRAME", "FRA\nME", long.as_str()] {
            for piece in [1, 2, 6] {
                let (last, pictures) = assemble(layout, text.as_bytes(), &[piece]);
                assert_eq!((last, pictures.len()), (Fed::Broken, 0), "{text}");
            }
        }
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn pictures_are_the_same_in_whatever_pieces_they_come(
            pieces in prop::collection::vec(1_usize..900, 1..20),
        ) {
            let (stream, pictures) = stream_420(4);
            let layout = Layout::y4m(&header(Chroma::C420), PixelFormat::Nv12, 1).unwrap();
            prop_assert_eq!(assemble(layout, &stream, &pieces), (Fed::Frame, pictures));
        }

        #[test]
        fn no_bytes_make_it_panic_or_write_beyond_its_slot(
            noise in prop::collection::vec(any::<u8>(), 0..4000),
            pieces in prop::collection::vec(0_usize..2000, 1..10),
            y4m: bool, mark in 0_usize..300,
        ) {
            let layout = if y4m {
                Layout::y4m(&header(Chroma::C420), PixelFormat::Nv12, 1)
            } else {
                Layout::raw(PixelFormat::Yuyv, (32, 16), 1)
            };
            let mut stream = b"FRAME ".to_vec();
            stream.resize(mark.max(6), b'x');
            stream.push(b'\n');
            stream.extend(noise);
            assemble(layout.unwrap(), &stream, &pieces);
        }
    }
}
