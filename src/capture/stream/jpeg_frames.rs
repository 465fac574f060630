//! JPEG images of a stream, whose length nobody knows before their end. Pure.

use super::frames::{Fed, Frames, LastFrame, STAGED_BYTES};
use super::mjpeg::Splitter;
use crate::frame::{Colour, Encoding, PixelFormat, Quantization, StreamFormat};
use std::ops::Range;

/// What a picture begins with.
const SOI: [u8; 2] = [0xff, 0xd8];

/// One picture after the other, each from its first byte to its last.
#[derive(Debug)]
pub struct JpegFrames {
    format: StreamFormat,
    splitter: Splitter,
    staged: Box<[u8]>,
    /// Bytes that were read and not yet looked at.
    rest: Range<usize>,
    /// Bytes of the picture that have come.
    done: usize,
    last: LastFrame,
}

impl JpegFrames {
    /// Before the first picture of a stream of pictures of this size; `None` where that is out of range.
    #[must_use]
    pub fn new((width_px, height_px): (u32, u32), interval_ns: u64) -> Option<Self> {
        Some(Self {
            format: jpeg_format((width_px, height_px), interval_ns)?,
            splitter: Splitter::new(),
            staged: vec![0; STAGED_BYTES].into_boxed_slice(),
            rest: 0..0,
            done: 0,
            last: LastFrame::default(),
        })
    }
}

impl Frames for JpegFrames {
    fn frame_bytes(&self) -> u64 {
        self.format.size_bytes.into()
    }

    fn are_of_one_length(&self) -> bool {
        false
    }

    fn format(&self) -> StreamFormat {
        self.format
    }

    fn begin_anew(&mut self) {
        self.splitter = Splitter::new();
        self.rest = 0..0;
        self.done = 0;
    }

    fn is_between(&self) -> bool {
        self.done == 0
    }

    fn done_bytes(&self) -> usize {
        self.done
    }

    fn last(&self) -> LastFrame {
        self.last
    }

    fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    fn room<'a>(&'a mut self, _: Option<&'a mut [u8]>) -> &'a mut [u8] {
        &mut self.staged
    }

    fn fed(&mut self, slot: Option<&mut [u8]>, count: usize) -> Fed {
        self.rest = 0..count.min(STAGED_BYTES);
        self.rest(slot)
    }

    fn rest(&mut self, slot: Option<&mut [u8]>) -> Fed {
        let bytes = &self.staged[self.rest.clone()];
        let piece = self.splitter.next(bytes);
        let own = &bytes[piece.own.clone()];
        let begin: &[u8] = if piece.begins { &SOI } else { &[] };
        let mut done = if piece.begins { 0 } else { self.done };
        let mut room = slot.unwrap_or_default();
        let capacity = room.len();
        room = room.get_mut(done..).unwrap_or_default();
        for part in [begin, own] {
            let fits = part.len().min(room.len());
            let (now, later) = room.split_at_mut(fits);
            now.copy_from_slice(&part[..fits]);
            room = later;
            if piece.begins || done > 0 {
                done += part.len();
            }
        }
        self.rest.start += piece.own.end;
        self.done = done;
        if !piece.ends {
            return Fed::More;
        }
        self.last = LastFrame {
            bytes: done.min(capacity),
            cut: done > capacity,
        };
        self.done = 0;
        Fed::Frame
    }
}

/// The format of a stream of JPEG pictures; `None` where the size is out of range.
#[must_use]
pub fn jpeg_format((width_px, height_px): (u32, u32), interval_ns: u64) -> Option<StreamFormat> {
    let range = 16..=8192;
    if !range.contains(&width_px) || !range.contains(&height_px) {
        return None;
    }
    let pixel = PixelFormat::Mjpg;
    Some(StreamFormat {
        pixel,
        width_px,
        height_px,
        stride_bytes: 0,
        size_bytes: u32::try_from(pixel.buffer_bytes(width_px, height_px)).ok()?,
        colour: Colour {
            encoding: Encoding::Bt601,
            quantization: Quantization::Full,
        },
        interval_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture(samples: usize) -> Vec<u8> {
        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xda, 0, 2];
        jpeg.extend((0..samples).map(|sample| sample.to_le_bytes()[0] % 250));
        jpeg.extend([0xff, 0xd9]);
        jpeg
    }

    /// Feeds a stream in pieces of these lengths, in turn; gives the pictures.
    fn gather(stream: &[u8], pieces: &[usize], capacity: usize) -> Vec<(Vec<u8>, bool)> {
        let mut frames = JpegFrames::new((64, 48), 1).unwrap();
        let mut slot = vec![0; capacity];
        let mut pictures = Vec::new();
        let mut rest = stream;
        for piece in pieces.iter().cycle() {
            let fed = if frames.has_rest() {
                frames.rest(Some(&mut slot))
            } else {
                let room = frames.room(None);
                let count = (*piece).clamp(1, room.len()).min(rest.len());
                if count == 0 {
                    break;
                }
                room[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                frames.fed(Some(&mut slot), count)
            };
            assert_ne!(fed, Fed::Broken);
            if fed == Fed::Frame {
                let last = frames.last();
                pictures.push((slot[..last.bytes].to_vec(), last.cut));
            }
        }
        pictures
    }

    #[test]
    fn a_picture_that_does_not_fit_is_cut_and_the_next_one_is_whole() {
        let (long, short) = (picture(300), picture(100));
        let stream = [&long[..], &short].concat();
        for piece in [1, 7, 1000] {
            let pictures = gather(&stream, &[piece], 200);
            assert_eq!(pictures[0], (long[..200].to_vec(), true));
            assert_eq!(pictures[1], (short.clone(), false));
        }
    }

    #[test]
    fn a_size_out_of_range_is_none() {
        for size in [(8, 48), (64, 9000)] {
            assert!(JpegFrames::new(size, 1).is_none());
        }
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn pictures_are_whole_in_whatever_pieces_they_come(
            pieces in prop::collection::vec(1_usize..300, 1..20), gap in 0_usize..5,
        ) {
            let all: Vec<_> = [10, 0, 400, 90].map(picture).into();
            let stream: Vec<u8> = all.iter().flat_map(|one| [one.clone(), vec![0; gap]].concat()).collect();
            let found = gather(&stream, &pieces, 1000);
            let expected: Vec<_> = all.into_iter().map(|one| (one, false)).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_bytes_make_it_panic_or_write_beyond_its_slot(
            noise in prop::collection::vec(prop_oneof![Just(0xff_u8), Just(0xd8), Just(0xd9), any::<u8>()], 0..2000),
            pieces in prop::collection::vec(1_usize..500, 1..10), capacity in 0_usize..600,
        ) {
            gather(&noise, &pieces, capacity);
        }
    }
}
