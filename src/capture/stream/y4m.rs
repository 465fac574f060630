//! The header of a Y4M stream (YUV4MPEG2), as `ffmpeg -f yuv4mpegpipe` and GStreamer's `y4menc` write it.
//!
//! Answers for: what the first line says, or where it is wrong. Does not answer for: reading it from
//! anywhere, or for the frames after it ([`super::raw_frames`]).
//!
//! # Source
//! yuv4mpeg(5) of mjpegtools.

/// What a stream begins with.
const MAGIC: &[u8] = b"YUV4MPEG2";
/// Longest first line that is read, its line feed included.
pub const LONGEST_HEADER_BYTES: usize = 1024;

/// How a stream samples colour. Only 8-bit samples are named here: others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chroma {
    /// `C420` and its sitings: a plane each of Cb and Cr, half the size in both directions.
    C420,
    /// `C422`: a plane each of Cb and Cr, half the width.
    C422,
    /// `C444`: a plane each of Cb and Cr, full size.
    C444,
    /// `Cmono`: no colour.
    Mono,
}

/// The first line of a stream, read and sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Width, 1..=65535.
    pub width_px: u32,
    /// Height, 1..=65535.
    pub height_px: u32,
    /// Frames a second as a fraction; `None` where the stream does not say.
    pub rate: Option<(u32, u32)>,
    /// Sampling of the colour planes.
    pub chroma: Chroma,
    /// Samples use 0..=255 (`XCOLORRANGE=FULL`).
    pub full_range: bool,
}

/// A first line that is not one of a stream that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset_bytes}: found {found}, expected {expected}")]
pub struct HeaderError {
    /// Byte of the stream, from 0, at which it goes wrong.
    pub offset_bytes: usize,
    /// What stands there.
    pub found: String,
    /// What was expected there.
    pub expected: &'static str,
}

/// Longest excerpt of the stream in a message.
const MAX_EXCERPT_BYTES: usize = 24;

fn refuse(offset_bytes: usize, found: &[u8], expected: &'static str) -> HeaderError {
    let cut = found.get(..MAX_EXCERPT_BYTES).unwrap_or(found);
    let more = if cut.len() < found.len() { "…" } else { "" };
    let found = if found.is_empty() {
        "nothing".to_owned()
    } else {
        format!("`{}{more}`", cut.escape_ascii())
    };
    HeaderError {
        offset_bytes,
        found,
        expected,
    }
}

/// A decimal number without sign.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0_u32, |sum, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

fn side(digits: &[u8]) -> Option<u32> {
    number(digits).filter(|px| (1..=65_535).contains(px))
}

/// `F30:1`; `F0:0` says that it is not known.
fn rate(value: &[u8]) -> Option<Option<(u32, u32)>> {
    let colon = value.iter().position(|byte| *byte == b':')?;
    match (number(&value[..colon])?, number(&value[colon + 1..])?) {
        (0, 0) => Some(None),
        (0, _) | (_, 0) => None,
        rate => Some(Some(rate)),
    }
}

impl Header {
    /// Reads the first line: the bytes up to and with the first line feed, or what there is of it.
    ///
    /// # Errors
    /// Where it goes wrong, what stands there, and what was expected.
    pub fn parse(line: &[u8]) -> Result<Self, HeaderError> {
        let rest = line.strip_prefix(MAGIC).filter(|rest| {
            let next = rest.first();
            next == Some(&b' ') || next == Some(&b'\n')
        });
        let Some(rest) = rest else {
            return Err(refuse(
                0,
                line,
                "a Y4M stream, which begins with `YUV4MPEG2 `",
            ));
        };
        let Some(tags) = rest.strip_suffix(b"\n") else {
            return Err(refuse(
                line.len(),
                b"",
                "the end of the first line, a line feed within 1024 bytes",
            ));
        };
        let (mut width_px, mut height_px) = (None, None);
        let mut header = Self {
            width_px: 0,
            height_px: 0,
            rate: None,
            chroma: Chroma::C420,
            full_range: false,
        };
        let mut offset = MAGIC.len();
        for tag in tags.split(|byte| *byte == b' ') {
            let at = offset;
            offset += tag.len() + 1;
            let Some((letter, value)) = tag.split_first() else {
                continue;
            };
            let wrong = |expected| refuse(at, tag, expected);
            match letter {
                b'W' => {
                    let width = side(value);
                    width_px = Some(width.ok_or_else(|| wrong("W and a width, 1 to 65535"))?);
                }
                b'H' => {
                    let height = side(value);
                    height_px = Some(height.ok_or_else(|| wrong("H and a height, 1 to 65535"))?);
                }
                b'F' => {
                    header.rate =
                        rate(value).ok_or_else(|| wrong("F and a rate, such as F30:1"))?;
                }
                b'I' => match value {
                    b"p" | b"?" => {}
                    _ => return Err(wrong("Ip, whole frames: the stream is interlaced")),
                },
                b'C' => {
                    header.chroma = match value {
                        b"420" | b"420jpeg" | b"420mpeg2" | b"420paldv" => Chroma::C420,
                        b"422" => Chroma::C422,
                        b"444" => Chroma::C444,
                        b"mono" => Chroma::Mono,
                        _ => {
                            return Err(wrong(
                                "8-bit samples: C420, C420jpeg, C420mpeg2, C420paldv, C422, C444 or Cmono",
                            ));
                        }
                    };
                }
                b'X' => {
                    if let Some(range) = value.strip_prefix(b"COLORRANGE=") {
                        header.full_range = range == b"FULL";
                    }
                }
                b'A' => {}
                _ => return Err(wrong("a tag: W, H, F, I, A, C or X")),
            }
        }
        let end = line.len() - 1;
        header.width_px = width_px.ok_or_else(|| refuse(end, b"", "W and a width"))?;
        header.height_px = height_px.ok_or_else(|| refuse(end, b"", "H and a height"))?;
        Ok(header)
    }

    /// Time from frame to frame, at least 1 ns; `None` where the stream does not say.
    #[must_use]
    pub fn interval_ns(&self) -> Option<u64> {
        let (frames, seconds) = self.rate?;
        Some((u64::from(seconds) * 1_000_000_000 / u64::from(frames)).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_lines_that_the_usual_programs_write_are_read() {
        let ffmpeg = Header::parse(
            b"YUV4MPEG2 W1920 H1080 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG XCOLORRANGE=LIMITED\n",
        );
        let header = Header {
            width_px: 1920,
            height_px: 1080,
            rate: Some((30_000, 1001)),
            chroma: Chroma::C420,
            full_range: false,
        };
        assert_eq!(ffmpeg, Ok(header));
        assert_eq!(header.interval_ns(), Some(33_366_666));
        let full =
            Header::parse(b"YUV4MPEG2 W64 H48 F25:1 Ip A0:0 C422 XCOLORRANGE=FULL\n").unwrap();
        assert!(full.full_range);
        assert_eq!(full.chroma, Chroma::C422);
        let least = Header::parse(b"YUV4MPEG2 H2 W4 F0:0\n").unwrap();
        assert_eq!((least.width_px, least.height_px, least.rate), (4, 2, None));
    }

    #[test]
    fn a_broken_line_is_refused_where_it_breaks() {
        for (line, offset_bytes, found, expected) in [
            (&b"RIFF\x00"[..], 0, "`RIFF\\x00`", "YUV4MPEG2"),
            (b"", 0, "nothing", "YUV4MPEG2"),
            (
                b"YUV4MPEG2X W4 H4\n",
                0,
                "`YUV4MPEG2X W4 H4\\n`",
                "YUV4MPEG2",
            ),
            (b"YUV4MPEG2 W4 H4", 15, "nothing", "a line feed"),
            (b"YUV4MPEG2 W0 H4\n", 10, "`W0`", "1 to 65535"),
            (b"YUV4MPEG2 W4 H-4\n", 13, "`H-4`", "1 to 65535"),
            (
                b"YUV4MPEG2 W99999999999 H4\n",
                10,
                "`W99999999999`",
                "1 to 65535",
            ),
            (b"YUV4MPEG2 W4 H4 F30\n", 16, "`F30`", "F30:1"),
            (b"YUV4MPEG2 W4 H4 F1:0\n", 16, "`F1:0`", "F30:1"),
            (b"YUV4MPEG2 W4 H4 It\n", 16, "`It`", "interlaced"),
            (b"YUV4MPEG2 W4 H4 C420p10\n", 16, "`C420p10`", "8-bit"),
            (b"YUV4MPEG2 W4 H4 Q\n", 16, "`Q`", "a tag"),
            (b"YUV4MPEG2 H4\n", 12, "nothing", "a width"),
            (b"YUV4MPEG2 W4\n", 12, "nothing", "a height"),
        ] {
            let error = Header::parse(line).unwrap_err();
            let text = line.escape_ascii();
            assert_eq!(
                (error.offset_bytes, &*error.found),
                (offset_bytes, found),
                "{text}"
            );
            assert!(error.expected.contains(expected), "{text}: {error}");
        }
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn no_bytes_make_it_panic(line: Vec<u8>) {
            let _ = Header::parse(&line);
        }

        #[test]
        fn no_tags_make_it_panic_and_what_is_read_is_in_range(
            tags in "( [WHFICAX][0-9:a-zA-Z=]{0,12}){0,8}", cut in 0_usize..120,
        ) {
            let line = format!("YUV4MPEG2{tags}\n");
            for line in [line.as_bytes(), line.as_bytes().get(..cut).unwrap_or_default()] {
                if let Ok(header) = Header::parse(line) {
                    prop_assert!((1..=65_535).contains(&header.width_px));
                    prop_assert!((1..=65_535).contains(&header.height_px));
                    prop_assert!(header.interval_ns() != Some(0));
                } else if let Err(error) = Header::parse(line) {
                    prop_assert!(error.offset_bytes <= line.len());
                }
            }
        }
    }
}
