//! Frames of a camera as a clip that is a camera again: Y4M, or JPEG pictures one after the other. Pure.
//!
//! What a clip holds of a frame is exact: `source = "y4m"` or `"mjpeg"` gives the same samples back. A Y4M
//! stream does not say which matrix its colours follow; its reader goes by the height.

use super::y4m::Chroma;
use crate::frame::{Component, Model, PixelFormat, Quantization, Store, StreamFormat};
use crate::units::NS_PER_S;

/// What frames are wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipKind {
    /// YUV4MPEG2, of formats with 8-bit luma, alone or with differences sampled 4:2:0 or 4:2:2.
    Y4m,
    /// Nothing, of JPEG pictures.
    Mjpeg,
}

/// How the frames of one stream become a clip.
#[derive(Clone, Copy, Debug)]
pub struct Clip {
    format: StreamFormat,
    chroma: Option<Chroma>,
}

/// The sampling of a format's colour as Y4M names it; `None` where it has no name for it.
fn chroma(pixel: PixelFormat) -> Option<Chroma> {
    let layout = pixel.layout();
    let cb = layout
        .samples()
        .iter()
        .find(|sample| sample.component == Component::Cb);
    let bytes = layout.store == Store::Byte;
    match (layout.model, cb) {
        (Model::Grey, None) if bytes => Some(Chroma::Mono),
        (Model::Ycbcr, Some(cb)) if bytes && (cb.px, cb.rows) == (2, 2) => Some(Chroma::C420),
        (Model::Ycbcr, Some(cb)) if bytes && (cb.px, cb.rows) == (2, 1) => Some(Chroma::C422),
        _ => None,
    }
}

impl Clip {
    /// A clip of that kind of that stream; `None` where the kind cannot hold its frames.
    #[must_use]
    pub fn new(format: &StreamFormat, kind: ClipKind) -> Option<Self> {
        let chroma = chroma(format.pixel);
        let even = format.width_px.is_multiple_of(2) && format.height_px.is_multiple_of(2);
        let holds = match kind {
            ClipKind::Y4m => chroma.is_some() && even,
            ClipKind::Mjpeg => format.pixel == PixelFormat::Mjpg,
        };
        holds.then_some(Self {
            format: *format,
            chroma,
        })
    }

    /// What stands before the first frame.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let word = match self.chroma {
            None => return Vec::new(),
            Some(Chroma::C420) => "420",
            Some(Chroma::C422) => "422",
            Some(Chroma::C444) => "444",
            Some(Chroma::Mono) => "mono",
        };
        let format = &self.format;
        // In thousandths of a hertz; 0:0 is "not known".
        let rate = match format.interval_ns {
            0 => "0:0".to_owned(),
            interval => format!(
                "{}:1000",
                (1000 * NS_PER_S + interval / 2) / interval.max(1)
            ),
        };
        let range = match format.colour.quantization {
            Quantization::Full => "FULL",
            Quantization::Limited => "LIMITED",
        };
        format!(
            "YUV4MPEG2 W{} H{} F{rate} Ip A0:0 C{word} XCOLORRANGE={range}\n",
            format.width_px, format.height_px
        )
        .into_bytes()
    }

    /// Most bytes of a frame.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.format.size_bytes as usize + 6
    }

    /// Appends a frame, from its first byte on; false where it is shorter than its format says, and nothing
    /// was appended.
    pub fn push(&self, frame: &[u8], clip: &mut Vec<u8>) -> bool {
        if self.chroma.is_none() {
            clip.extend_from_slice(frame);
            return true;
        }
        let before = clip.len();
        clip.extend_from_slice(b"FRAME\n");
        let whole = [Component::Luma, Component::Cb, Component::Cr]
            .iter()
            .all(|component| self.push_plane(*component, frame, clip));
        if !whole {
            clip.truncate(before);
        }
        whole
    }

    fn push_plane(&self, component: Component, frame: &[u8], clip: &mut Vec<u8>) -> bool {
        let layout = self.format.pixel.layout();
        let of = |sample: &&crate::frame::Sample| sample.component == component;
        let Some(sample) = layout.samples().iter().find(of) else {
            // Luma alone has no others.
            return true;
        };
        let bytes = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let stride_bytes = self.format.stride_bytes;
        let plane = layout.plane_offset(sample.plane, stride_bytes, self.format.height_px);
        let stride = bytes(layout.planes()[sample.plane].stride(stride_bytes));
        let (columns, rows) = (
            self.format.width_px as usize / sample.px,
            self.format.height_px as usize / sample.rows,
        );
        let last = (columns.max(1) - 1) * sample.step;
        for row in 0..rows {
            let start = bytes(plane) + row * stride + sample.first;
            let Some(samples) = frame.get(start..=start + last) else {
                return false;
            };
            clip.extend(samples.iter().step_by(sample.step));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::stream::frames::{Fed, Frames as _};
    use crate::capture::stream::raw_frames::{Layout, RawFrames};
    use crate::capture::stream::y4m::Header;
    use crate::capture::synthetic::paint::stream_format;

    /// A frame whose bytes all differ from their neighbours, padding included.
    fn frame(format: &StreamFormat, number: usize) -> Vec<u8> {
        (0..format.size_bytes as usize)
            .map(|at| (at * 31 + number * 7 + at / 251).to_le_bytes()[0])
            .collect()
    }

    fn rows<'a>(format: &StreamFormat, frame: &'a [u8]) -> Vec<&'a [u8]> {
        let layout = format.pixel.layout();
        let bytes = |value: u64| usize::try_from(value).unwrap();
        let planes = layout.planes().iter().enumerate();
        planes
            .flat_map(|(index, plane)| {
                let offset = layout.plane_offset(index, format.stride_bytes, format.height_px);
                frame[bytes(offset)..]
                    .chunks(bytes(plane.stride(format.stride_bytes)))
                    .take(format.height_px.div_ceil(plane.rows) as usize)
                    .map(|row| &row[..bytes(plane.row_bytes(format.width_px))])
            })
            .collect()
    }

    #[test]
    fn a_clip_gives_the_samples_back_byte_by_byte() {
        for pixel in [
            PixelFormat::Nv12,
            PixelFormat::Yu12,
            PixelFormat::Yuyv,
            PixelFormat::Nv16,
            PixelFormat::Grey,
        ] {
            // Rows are padded.
            let format = stream_format(pixel, 200, 76, 33_333_333).unwrap();
            assert!(u64::from(format.stride_bytes) > pixel.row_bytes(200));
            let clip = Clip::new(&format, ClipKind::Y4m).unwrap();
            let mut stream = clip.header();
            let header = Header::parse(&stream).unwrap();
            assert_eq!(header.interval_ns(), Some(33_333_333));
            let start = stream.len();
            let frames: Vec<_> = (0..3).map(|number| frame(&format, number)).collect();
            for frame in &frames {
                assert!(clip.push(frame, &mut stream));
            }
            let layout = Layout::y4m(&header, pixel, 1).unwrap();
            let mut reader = RawFrames::new(layout);
            let read = layout.format();
            let mut slot = vec![0; read.size_bytes as usize];
            let mut rest = &stream[start..];
            for frame in &frames {
                let mut fed = Fed::More;
                while fed == Fed::More {
                    let room = reader.room(Some(&mut slot));
                    let count = room.len().min(rest.len());
                    room[..count].copy_from_slice(&rest[..count]);
                    rest = &rest[count..];
                    fed = reader.fed(Some(&mut slot), count);
                }
                assert_eq!(fed, Fed::Frame);
                assert!(rows(&read, &slot) == rows(&format, frame), "{pixel:?}");
            }
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_frame_that_is_too_short_is_not_taken() {
        let format = stream_format(PixelFormat::Nv12, 64, 48, 1).unwrap();
        let clip = Clip::new(&format, ClipKind::Y4m).unwrap();
        let mut stream = clip.header();
        let before = stream.len();
        let whole = frame(&format, 0);
        assert!(!clip.push(&whole[..whole.len() - 1], &mut stream));
        assert_eq!(stream.len(), before);
    }

    #[test]
    fn formats_that_a_kind_cannot_hold_are_refused() {
        let rgb = stream_format(PixelFormat::Rgb24, 64, 48, 1).unwrap();
        let deep = stream_format(PixelFormat::Y10, 64, 48, 1).unwrap();
        let jpeg = crate::capture::stream::jpeg_frames::jpeg_format((64, 48), 1).unwrap();
        for format in [rgb, deep, jpeg] {
            assert!(Clip::new(&format, ClipKind::Y4m).is_none());
        }
        assert!(Clip::new(&rgb, ClipKind::Mjpeg).is_none());
        let clip = Clip::new(&jpeg, ClipKind::Mjpeg).unwrap();
        let mut stream = clip.header();
        assert!(clip.push(b"one", &mut stream) && clip.push(b"two", &mut stream));
        assert_eq!(stream, b"onetwo");
    }
}
