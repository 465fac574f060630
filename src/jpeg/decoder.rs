//! Decoding the pictures of one camera.

use super::damage::Damage;
use super::flat::flat;
use super::stream::{self, Sampling};
use crate::frame::{Colour, Encoding, PixelFormat, Quantization, StreamFormat};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// What a picture is decoded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Red, green and blue: [`PixelFormat::Rgb24`].
    Rgb,
    /// Luma alone: [`PixelFormat::Grey`]. A third less work, for models that see no colour.
    Luma,
}

impl Samples {
    const fn pixel(self) -> PixelFormat {
        match self {
            Self::Rgb => PixelFormat::Rgb24,
            Self::Luma => PixelFormat::Grey,
        }
    }
}

/// How the frames of one MJPEG camera are decoded.
///
/// JPEG pictures are BT.601 in full range (JFIF), whatever the driver says of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jpeg {
    size_px: (u32, u32),
    interval_ns: u64,
    samples: Samples,
}

impl Jpeg {
    /// For a camera's stream; `None` where its format is another one, or its size is none.
    #[must_use]
    pub fn new(format: &StreamFormat, samples: Samples) -> Option<Self> {
        let range = 1..=u32::from(u16::MAX);
        let sized = range.contains(&format.width_px) && range.contains(&format.height_px);
        (format.pixel == PixelFormat::Mjpg && sized).then_some(Self {
            size_px: (format.width_px, format.height_px),
            interval_ns: format.interval_ns,
            samples,
        })
    }

    /// What its pictures are: rows without padding.
    #[must_use]
    pub fn decoded(&self) -> StreamFormat {
        let pixel = self.samples.pixel();
        let bytes = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let stride_bytes = bytes(pixel.row_bytes(self.size_px.0));
        StreamFormat {
            pixel,
            width_px: self.size_px.0,
            height_px: self.size_px.1,
            stride_bytes,
            size_bytes: bytes(pixel.image_bytes(stride_bytes, self.size_px.1)),
            colour: Colour {
                encoding: Encoding::Bt601,
                quantization: Quantization::Full,
            },
            interval_ns: self.interval_ns,
        }
    }

    /// Checks a frame and copies what its decoding needs; gives the length. The frame is not needed any
    /// more. `copy` has the length of [`PixelFormat::decoding`]. Does not allocate.
    ///
    /// # Errors
    /// What is wrong with the frame.
    pub fn take(&self, frame: &[u8], copy: &mut [u8]) -> Result<usize, Damage> {
        stream::take(frame, self.size_px, copy)
    }

    /// Decodes what [`Self::take`] has made into the first bytes of `picture`, and gives them. Asks for
    /// memory from the heap, and gives it back.
    ///
    /// # Errors
    /// What is wrong with the frame; the picture is then whatever had come of it.
    pub fn decode<'picture>(
        &self,
        taken: &[u8],
        picture: &'picture mut [u8],
    ) -> Result<&'picture [u8], Damage> {
        let wanted = self.decoded().size_bytes as usize;
        let picture = picture.get_mut(..wanted).ok_or(Damage::Long)?;
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(self.size_px.0 as usize)
            .set_max_height(self.size_px.1 as usize)
            .jpeg_set_out_colorspace(match self.samples {
                Samples::Rgb => ColorSpace::RGB,
                Samples::Luma => ColorSpace::Luma,
            });
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(taken), options);
        decoder.decode_headers().map_err(|_| Damage::Tables)?;
        if decoder.output_buffer_size() != Some(wanted) {
            return Err(Damage::Components);
        }
        decoder.decode_into(picture).map_err(|_| Damage::Samples)?;
        Ok(picture)
    }

    /// Pictures of the camera's size, one for each sampling, with which decoding can be tried; and one that
    /// ends too early.
    #[must_use]
    pub fn trials(&self) -> Vec<Vec<u8>> {
        let side = |px: u32| u16::try_from(px).unwrap_or(u16::MAX);
        let (width, height) = (side(self.size_px.0), side(self.size_px.1));
        let mut trials: Vec<_> = Sampling::ALL
            .iter()
            .map(|sampling| flat(width, height, *sampling))
            .collect();
        let mut short = flat(width, height, Sampling::S420);
        let half = short.len() / 2;
        short.truncate(half);
        short.extend([0xff, 0xd9]);
        trials.push(short);
        trials
    }
}
