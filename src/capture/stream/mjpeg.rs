//! JPEG pictures one after the other in a stream of bytes: where each begins and ends. Pure.
//!
//! Markers with a length are passed over whole, so that a thumbnail's end is not taken for the picture's.
//! What stands between pictures (padding, the headers of a multipart stream) is nobody's. Whether a picture
//! is sound is not checked here: the decoder does that.
//!
//! # Source
//! ITU-T T.81 (JPEG), annex B.

use std::ops::Range;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No picture has begun; `marked` after a 0xFF.
    Between { marked: bool },
    /// SOI was found where the picture before it should have ended.
    Begun,
    /// A marker comes next; `marked` after its 0xFF.
    Segment { marked: bool },
    /// The length of a segment comes next.
    Length { scan: bool, high: Option<u8> },
    /// So many bytes belong to a segment.
    Body { scan: bool, left: u16 },
    /// Samples; `marked` after a 0xFF.
    Samples { marked: bool },
}

/// What a run of bytes is, up to the end of a picture or of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// A picture begins: its first two bytes are those of SOI, which are not part of `own`.
    pub begins: bool,
    /// The bytes of the run that belong to the picture.
    pub own: Range<usize>,
    /// The picture ends with them.
    pub ends: bool,
}

/// Finds pictures in bytes that come in pieces.
#[derive(Clone, Debug)]
pub struct Splitter {
    state: State,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Splitter {
    /// Before the first byte of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Between { marked: false },
        }
    }

    /// A picture has begun and has not ended.
    const fn is_within(&self) -> bool {
        !matches!(self.state, State::Between { .. } | State::Begun)
    }

    /// Looks at the next bytes, and at those behind `own` the next time.
    pub fn next(&mut self, bytes: &[u8]) -> Piece {
        let mut piece = Piece {
            begins: false,
            own: 0..0,
            ends: false,
        };
        if self.state == State::Begun {
            piece.begins = true;
            self.state = State::Segment { marked: false };
        }
        let mut at = 0;
        while at < bytes.len() && !piece.ends {
            let within = self.is_within();
            at += self.step(&bytes[at..], &mut piece);
            if !within {
                piece.begins = self.is_within();
                piece.own = at..at;
            }
        }
        piece.own.end = at.max(piece.own.start);
        piece
    }

    /// Takes some bytes of `ahead`, which is not empty.
    fn step(&mut self, ahead: &[u8], piece: &mut Piece) -> usize {
        let byte = ahead[0];
        let to_mark = || ahead.iter().position(|&byte| byte == 0xff);
        let (next, taken) = match self.state {
            State::Between { marked: true } if byte == SOI => (State::Segment { marked: false }, 1),
            State::Between { marked: true } if byte == 0xff => (self.state, 1),
            State::Between { .. } => match to_mark() {
                Some(at) => (State::Between { marked: true }, at + 1),
                None => (State::Between { marked: false }, ahead.len()),
            },
            State::Begun => (State::Segment { marked: false }, 0),
            State::Segment { marked: false } if byte == 0xff => {
                (State::Segment { marked: true }, 1)
            }
            State::Segment { marked: true } => match byte {
                0xff => (self.state, 1),
                // No marker, or one that stands alone.
                0x00 | 0x01 | 0xd0..=0xd7 => self.end(piece, 1),
                EOI => self.end(piece, 1),
                SOI => self.end_before_another(piece),
                _ => (
                    State::Length {
                        scan: byte == SOS,
                        high: None,
                    },
                    1,
                ),
            },
            State::Segment { marked: false } => self.end(piece, 0),
            State::Length { scan, high: None } => (
                State::Length {
                    scan,
                    high: Some(byte),
                },
                1,
            ),
            State::Length {
                scan,
                high: Some(high),
            } => match u16::from_be_bytes([high, byte]).checked_sub(2) {
                Some(left) => (Self::within(scan, left), 1),
                None => self.end(piece, 1),
            },
            State::Body { scan, left } => {
                let taken = ahead.len().min(usize::from(left));
                let left = left - u16::try_from(taken).unwrap_or(left);
                (Self::within(scan, left), taken)
            }
            State::Samples { marked: false } => match to_mark() {
                Some(at) => (State::Samples { marked: true }, at + 1),
                None => (self.state, ahead.len()),
            },
            State::Samples { marked: true } => match byte {
                0xff => (self.state, 1),
                0x00 | 0xd0..=0xd7 => (State::Samples { marked: false }, 1),
                EOI => self.end(piece, 1),
                SOI => self.end_before_another(piece),
                // Tables of the next scan of a progressive picture, or the scan itself.
                _ => (
                    State::Length {
                        scan: byte == SOS,
                        high: None,
                    },
                    1,
                ),
            },
        };
        self.state = next;
        taken
    }

    const fn within(scan: bool, left: u16) -> State {
        match (left, scan) {
            (0, true) => State::Samples { marked: false },
            (0, false) => State::Segment { marked: false },
            _ => State::Body { scan, left },
        }
    }

    fn end(&self, piece: &mut Piece, taken: usize) -> (State, usize) {
        piece.ends = true;
        (State::Between { marked: false }, taken)
    }

    fn end_before_another(&self, piece: &mut Piece) -> (State, usize) {
        piece.ends = true;
        (State::Begun, 1)
    }
}

/// The size that the frame header of a JPEG picture says; `None` where there is none among these bytes.
#[must_use]
pub fn size_px(jpeg: &[u8]) -> Option<(u32, u32)> {
    let [0xff, SOI, rest @ ..] = jpeg else {
        return None;
    };
    let mut rest = rest;
    loop {
        let [0xff, marker, tail @ ..] = rest else {
            return None;
        };
        if *marker == 0xff {
            rest = &rest[1..];
            continue;
        }
        let length = usize::from(u16::from_be_bytes(*tail.first_chunk()?));
        match marker {
            0xc4 | 0xc8 | 0xcc => {}
            0xc0..=0xcf => {
                let &[h1, h0, w1, w0] = tail.get(3..7)?.first_chunk()?;
                return Some((
                    u32::from(u16::from_be_bytes([w1, w0])),
                    u32::from(u16::from_be_bytes([h1, h0])),
                ));
            }
            0x00 | 0x01 | 0xd0..=SOS => return None,
            _ => {}
        }
        rest = tail.get(length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A picture as far as its markers go, with `samples` and a thumbnail within.
    fn picture(samples: &[u8]) -> Vec<u8> {
        let mut jpeg = vec![0xff, SOI];
        jpeg.extend([0xff, 0xe1, 0, 8, 0xff, SOI, 1, 2, 0xff, EOI]);
        jpeg.extend([0xff, 0xff, 0xc0, 0, 11, 8, 0, 48, 0, 64, 1, 1, 0x11, 0]);
        jpeg.extend([0xff, SOS, 0, 8, 1, 1, 0, 0, 63, 0]);
        jpeg.extend(samples);
        jpeg.extend([0xff, EOI]);
        jpeg
    }

    /// The pictures in a stream that comes in pieces of these lengths, in turn; and whether the last one
    /// was left open.
    fn split(stream: &[u8], pieces: &[usize]) -> (Vec<Vec<u8>>, bool) {
        let mut splitter = Splitter::new();
        let (mut pictures, mut open) = (Vec::new(), None::<Vec<u8>>);
        let mut rest = stream;
        for piece in pieces.iter().cycle() {
            let (mut now, later) = rest.split_at((*piece).max(1).min(rest.len()));
            rest = later;
            loop {
                let piece = splitter.next(now);
                if piece.begins {
                    assert!(open.is_none());
                    open = Some(vec![0xff, SOI]);
                }
                if let Some(open) = &mut open {
                    open.extend(&now[piece.own.clone()]);
                }
                if piece.ends {
                    pictures.extend(open.take());
                }
                now = &now[piece.own.end..];
                if now.is_empty() && !piece.ends {
                    break;
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(open.is_some(), splitter.is_within());
        (pictures, open.is_some())
    }

    fn stream() -> (Vec<u8>, Vec<Vec<u8>>) {
        let pictures = vec![
            picture(&[1, 2, 0xff, 0, 3]),
            picture(&[]),
            picture(&[0xff, 0xd0, 9, 0xff, 0xff, 0xd1, 7]),
        ];
        let stream = [
            &b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"[..],
            &pictures[0],
            &pictures[1],
            &[0, 0, 0xff],
            &pictures[2],
            &[0xff],
        ]
        .concat();
        (stream, pictures)
    }

    #[test]
    fn the_size_stands_in_the_frame_header() {
        assert_eq!(size_px(&picture(&[1])), Some((64, 48)));
        assert_eq!(size_px(&picture(&[1])[..20]), None);
        assert_eq!(size_px(b"GIF89a"), None);
        assert_eq!(size_px(&[]), None);
    }

    #[test]
    fn a_picture_that_is_cut_ends_where_the_next_one_begins() {
        let whole = picture(&[1, 2, 3]);
        let cut = &whole[..whole.len() - 2];
        let (pictures, open) = split(&[cut, &whole, cut].concat(), &[5]);
        assert!(open, "the last one has no end");
        assert_eq!(pictures.len(), 2);
        assert_eq!(pictures[0][..cut.len()], *cut);
        assert_eq!(pictures[1], whole);
    }

    #[test]
    fn what_is_no_marker_ends_a_picture_and_the_next_one_is_found() {
        let whole = picture(&[1]);
        for wrong in [&[0x12_u8, 0x34][..], &[0xff, 0x00], &[0xff, 0xe0, 0, 1]] {
            let (pictures, open) = split(&[&whole[..2], wrong, &whole].concat(), &[3]);
            assert_eq!((pictures.len(), open), (2, false), "{wrong:?}");
            assert_eq!(pictures[1], whole);
        }
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn pictures_are_the_same_in_whatever_pieces_they_come(
            pieces in prop::collection::vec(1_usize..60, 1..20),
        ) {
            let (stream, pictures) = stream();
            prop_assert_eq!(split(&stream, &pieces), (pictures, false));
        }

        #[test]
        fn no_bytes_make_it_panic_and_pictures_do_not_depend_on_the_pieces(
            noise in prop::collection::vec(
                prop_oneof![Just(0xff_u8), Just(SOI), Just(EOI), Just(SOS), Just(0), any::<u8>()], 0..400),
            pieces in prop::collection::vec(1_usize..40, 1..10),
        ) {
            prop_assert_eq!(split(&noise, &pieces), split(&noise, &[usize::MAX]));
            let _ = size_px(&noise);
        }
    }
}
