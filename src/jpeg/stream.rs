//! The bytes of a JPEG picture: checked marker by marker, and put together anew with what its decoding needs.
//! Pure, and without allocation.
//!
//! What a camera may send is narrow: a sequential picture of 8 bits in one scan, ended by EOI. All else is
//! damage, so that the decoder meets neither a kind of picture that would take more memory than was measured
//! at arming, nor thumbnails, profiles or comments.
//!
//! # Source
//! ITU-T T.81 (JPEG), annex B.

use super::damage::Damage;
use super::huffman::{STANDARD, STANDARD_BYTES};
use crate::frame::ADDED_TABLES_BYTES;

// A copy has room for the tables and the stop.
const _: () = assert!((STANDARD_BYTES + STOP_BYTES) as u64 <= ADDED_TABLES_BYTES);

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DQT: u8 = 0xdb;
const DHT: u8 = 0xc4;
const DRI: u8 = 0xdd;
/// Adobe's segment, which says whether three components are colours as they are.
const APP14: u8 = 0xee;
const ADOBE_BYTES: usize = 14;

/// What stands behind the samples of a copy: ones, which are no Huffman code, so that a decoder whose picture
/// has too few samples meets an error instead of making the rest up; and EOI.
const STOP: [u8; STOP_BYTES] = {
    let mut bytes = [0; STOP_BYTES];
    let mut at = 0;
    while at < STOP_BYTES {
        bytes[at] = 0xff;
        at += 2;
    }
    bytes[STOP_BYTES - 1] = EOI;
    bytes
};
const STOP_BYTES: usize = 34;

/// How luma is sampled for one sample of each difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Luma alone.
    Grey,
    /// 4:4:4, one.
    S444,
    /// 4:2:2, two across: most cameras.
    S422,
    /// 4:2:0, two across and two down.
    S420,
}

impl Sampling {
    /// All that are read.
    pub const ALL: [Self; 4] = [Self::Grey, Self::S444, Self::S422, Self::S420];

    /// Luma's sampling factors, across in the high four bits and down in the low ones.
    pub(super) const fn factors(self) -> u8 {
        match self {
            Self::Grey | Self::S444 => 0x11,
            Self::S422 => 0x21,
            Self::S420 => 0x22,
        }
    }

    fn of(components: &[[u8; 3]]) -> Option<Self> {
        match components {
            [[_, 0x11, _]] => Some(Self::Grey),
            [[_, luma, _], [_, 0x11, _], [_, 0x11, _]] => Self::ALL[1..]
                .iter()
                .find(|sampling| sampling.factors() == *luma)
                .copied(),
            _ => None,
        }
    }
}

/// The frame header's facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    size_px: (u16, u16),
    sampling: Sampling,
}

/// One after the other, what stands before the samples.
struct Segments<'a> {
    rest: &'a [u8],
}

/// A marker with what belongs to it.
struct Segment<'a> {
    marker: u8,
    /// The whole of it, marker and length included.
    bytes: &'a [u8],
    body: &'a [u8],
}

impl<'a> Segments<'a> {
    fn of(jpeg: &'a [u8]) -> Result<Self, Damage> {
        match jpeg {
            [0xff, SOI, rest @ ..] => Ok(Self { rest }),
            _ => Err(Damage::NoPicture),
        }
    }

    fn next(&mut self) -> Result<Segment<'a>, Damage> {
        let mut bytes = self.rest;
        // A marker may be preceded by any number of fill bytes.
        while let [0xff, 0xff, ..] = bytes {
            bytes = &bytes[1..];
        }
        let marker = match *bytes {
            [0xff, marker, ..] => marker,
            [] | [0xff] => return Err(Damage::Cut),
            [found, ..] => return Err(Damage::Marker { found }),
        };
        // Those without a length, and what is no marker.
        if matches!(marker, 0x00 | 0x01 | 0xd0..=SOI) {
            return Err(Damage::Marker { found: marker });
        }
        if marker == EOI {
            return Err(Damage::Cut);
        }
        let Some(&length) = bytes.get(2..).and_then(|rest| rest.first_chunk()) else {
            return Err(Damage::Cut);
        };
        let length = usize::from(u16::from_be_bytes(length));
        if length < 2 {
            return Err(Damage::Tables);
        }
        let (bytes, rest) = bytes.split_at_checked(2 + length).ok_or(Damage::Cut)?;
        self.rest = rest;
        Ok(Segment {
            marker,
            bytes,
            body: &bytes[4..],
        })
    }
}

/// Reads a frame header.
fn frame(segment: &Segment<'_>) -> Result<Frame, Damage> {
    let &[bits, h1, h0, w1, w0, count, ref components @ ..] = segment.body else {
        return Err(Damage::Tables);
    };
    if bits != 8 {
        return Err(Damage::Kind {
            found: segment.marker,
        });
    }
    let (components, rest) = components.as_chunks();
    if !rest.is_empty() || components.len() != usize::from(count) {
        return Err(Damage::Tables);
    }
    Ok(Frame {
        size_px: (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0])),
        sampling: Sampling::of(components).ok_or(Damage::Components)?,
    })
}

/// Bytes of the scan up to EOI.
fn scan_bytes(rest: &[u8], restarts: bool) -> Result<usize, Damage> {
    let mut at = 0;
    loop {
        let ahead = rest.get(at..).unwrap_or_default();
        at += ahead
            .iter()
            .position(|&byte| byte == 0xff)
            .ok_or(Damage::Cut)?;
        match rest.get(at + 1) {
            None => return Err(Damage::Cut),
            Some(0x00) => at += 2,
            Some(0xff) => at += 1,
            Some(0xd0..=0xd7) if restarts => at += 2,
            Some(&EOI) => return Ok(at),
            Some(&found) => return Err(Damage::Marker { found }),
        }
    }
}

/// Where the normalised picture is put together.
struct Out<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        let room = self.bytes.get_mut(self.used..self.used + bytes.len());
        room.ok_or(Damage::Long)?.copy_from_slice(bytes);
        self.used += bytes.len();
        Ok(())
    }
}

/// Checks that `jpeg` is a whole picture of `size_px`, and writes it into `copy` with what its decoding
/// needs: the standard Huffman tables where it has none, and without thumbnails, profiles, comments, and what
/// follows its end. `copy` needs at most the length of `jpeg` and [`ADDED_TABLES_BYTES`]. Gives the length used.
///
/// # Errors
/// What is wrong with the picture.
pub fn take(jpeg: &[u8], size_px: (u32, u32), copy: &mut [u8]) -> Result<usize, Damage> {
    let mut segments = Segments::of(jpeg)?;
    let mut out = Out {
        bytes: copy,
        used: 0,
    };
    out.put(&[0xff, SOI])?;
    let (mut found, mut has_tables, mut restarts) = (None, false, false);
    loop {
        let segment = segments.next()?;
        match segment.marker {
            DQT => out.put(segment.bytes)?,
            DHT => {
                has_tables = true;
                out.put(segment.bytes)?;
            }
            DRI => {
                let &[high, low] = segment.body else {
                    return Err(Damage::Tables);
                };
                restarts = (high, low) != (0, 0);
                out.put(segment.bytes)?;
            }
            0xc0 | 0xc1 if found.is_none() => {
                let frame = frame(&segment)?;
                let (width, height) = frame.size_px;
                if (u32::from(width), u32::from(height)) != size_px {
                    return Err(Damage::Size {
                        found: frame.size_px,
                    });
                }
                found = Some(frame);
                out.put(segment.bytes)?;
            }
            // Other frame headers, arithmetic conditioning, and heights that come later.
            0xc0..=0xcf | 0xdc | 0xde | 0xdf => {
                return Err(Damage::Kind {
                    found: segment.marker,
                });
            }
            APP14 if segment.bytes.len() == 2 + ADOBE_BYTES => out.put(segment.bytes)?,
            SOS => {
                let Some(frame) = found else {
                    return Err(Damage::Marker { found: SOS });
                };
                let components = if frame.sampling == Sampling::Grey {
                    1
                } else {
                    3
                };
                // Each component's tables, and the three bytes of a whole spectrum.
                if segment.body.first() != Some(&components)
                    || segment.body.len() != 4 + 2 * usize::from(components)
                    || segment.body[segment.body.len() - 3..] != [0, 63, 0]
                {
                    return Err(Damage::Components);
                }
                if !has_tables {
                    out.put(&STANDARD)?;
                }
                out.put(segment.bytes)?;
                let samples = scan_bytes(segments.rest, restarts)?;
                out.put(&segments.rest[..samples])?;
                out.put(&STOP)?;
                return Ok(out.used);
            }
            // Application data, comments, and what later editions may have added.
            _ => {}
        }
    }
}
