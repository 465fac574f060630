//! What a camera delivers, in V4L2's words.

/// Pixel formats this program reads, named by their V4L2 four-character codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// `NV12`: 8-bit luma plane, then interleaved CbCr at half resolution in both directions.
    Nv12,
    /// `YUYV`: packed 4:2:2, Y0 Cb Y1 Cr.
    Yuyv,
}

impl PixelFormat {
    /// Every format, in the order in which `auto` prefers them.
    pub const ALL: [Self; 2] = [Self::Nv12, Self::Yuyv];

    /// The four-character code as V4L2 writes it.
    #[must_use]
    pub const fn fourcc(self) -> [u8; 4] {
        match self {
            Self::Nv12 => *b"NV12",
            Self::Yuyv => *b"YUYV",
        }
    }

    /// The format with this four-character code.
    #[must_use]
    pub fn from_fourcc(fourcc: [u8; 4]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.fourcc() == fourcc)
    }

    /// The four characters as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nv12 => "NV12",
            Self::Yuyv => "YUYV",
        }
    }

    /// Bytes of the shortest row of `width_px` pixels (of the first plane).
    #[must_use]
    pub const fn row_bytes(self, width_px: u32) -> u64 {
        match self {
            Self::Nv12 => width_px as u64,
            Self::Yuyv => width_px.next_multiple_of(2) as u64 * 2,
        }
    }

    /// Bytes of an image whose first plane has rows of `stride_bytes`.
    #[must_use]
    pub const fn image_bytes(self, stride_bytes: u32, height_px: u32) -> u64 {
        let stride = stride_bytes as u64;
        match self {
            Self::Nv12 => stride * height_px as u64 + stride * height_px.div_ceil(2) as u64,
            Self::Yuyv => stride * height_px as u64,
        }
    }
}

/// Y'CbCr encoding (V4L2 `ycbcr_enc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// ITU-R BT.601.
    Bt601,
    /// ITU-R BT.709.
    #[default]
    Bt709,
    /// ITU-R BT.2020, non-constant luminance.
    Bt2020,
}

/// Range of the samples (V4L2 `quantization`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Quantization {
    /// Y' 16..=235, Cb and Cr 16..=240.
    #[default]
    Limited,
    /// 0..=255.
    Full,
}

/// How sample values become colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Colour {
    /// Y'CbCr matrix.
    pub encoding: Encoding,
    /// Sample range.
    pub quantization: Quantization,
}

/// What a stream delivers after negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamFormat {
    /// Layout of the samples.
    pub pixel: PixelFormat,
    /// Width in pixels, 1..=65535.
    pub width_px: u32,
    /// Height in pixels, 1..=65535.
    pub height_px: u32,
    /// Bytes from one row of the first plane to the next.
    pub stride_bytes: u32,
    /// Bytes the driver asks for in one buffer (V4L2 `sizeimage`).
    pub size_bytes: u32,
    /// Interpretation of the samples.
    pub colour: Colour,
    /// Time between frames that the driver agreed to, in nanoseconds; 0 when it does not say.
    pub interval_ns: u64,
}
