//! What a camera delivers, in V4L2's words.

use super::layout::{Model, PixelLayout};

/// What decoding one frame takes beside its slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoding {
    /// A copy of the compressed frame, with tables that it lacks.
    pub copy_bytes: u64,
    /// The picture, in three bytes a pixel.
    pub picture_bytes: u64,
}

/// Most bytes of tables that are put into a frame which lacks them.
pub const ADDED_TABLES_BYTES: u64 = 512;

/// Room for the tables before the samples of a JPEG picture: a few hundred bytes, and what else cameras put
/// there.
const LONGEST_TABLES_BYTES: u64 = 4096;

/// The enum and its table: one row for each format.
macro_rules! formats {
    ($($variant:ident { $fourcc:literal, $name:literal, $make:ident($($with:expr),*), $doc:literal })*) => {
        /// Pixel formats this program reads, named by their V4L2 four-character codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum PixelFormat {
            $(#[doc = $doc] $variant,)*
        }

        impl PixelFormat {
            /// Every format, the usual ones first, and the compressed one last.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// Their names, with the formats: what a board profile may say.
            pub const NAMES: [(&'static str, Self); Self::ALL.len()] = [$(($name, Self::$variant)),*];

            /// The four-character code as V4L2 writes it.
            #[must_use]
            pub const fn fourcc(self) -> [u8; 4] {
                let text: &str = match self {
                    $(Self::$variant => $fourcc,)*
                };
                match text.as_bytes().first_chunk() {
                    Some(fourcc) => *fourcc,
                    None => [0; 4],
                }
            }

            /// The code as text, without the blank that fills a short one.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Where its samples lie.
            #[must_use]
            pub const fn layout(self) -> &'static PixelLayout {
                match self {
                    $(Self::$variant => const { &PixelLayout::$make($($with),*) },)*
                }
            }
        }
    };
}

formats! {
    Nv12 { "NV12", "NV12", two_planes(2, true), "`NV12`. Luma plane, then Cb and Cr in turn at half resolution both ways." }
    Yuyv { "YUYV", "YUYV", pairs(0, 1, 3), "`YUYV`. Packed 4:2:2: Y0 Cb Y1 Cr." }
    Uyvy { "UYVY", "UYVY", pairs(1, 0, 2), "`UYVY`. Packed 4:2:2: Cb Y0 Cr Y1." }
    Yvyu { "YVYU", "YVYU", pairs(0, 3, 1), "`YVYU`. Packed 4:2:2: Y0 Cr Y1 Cb." }
    Vyuy { "VYUY", "VYUY", pairs(1, 2, 0), "`VYUY`. Packed 4:2:2: Cr Y0 Cb Y1." }
    Nv21 { "NV21", "NV21", two_planes(2, false), "`NV21`. As NV12 with Cr before Cb." }
    Nv16 { "NV16", "NV16", two_planes(1, true), "`NV16`. Luma plane, then Cb and Cr in turn at half resolution across." }
    Yu12 { "YU12", "YU12", three_planes(true), "`YU12`. Planar 4:2:0: luma, Cb, Cr (V4L2 `YUV420`)." }
    Yv12 { "YV12", "YV12", three_planes(false), "`YV12`. Planar 4:2:0: luma, Cr, Cb (V4L2 `YVU420`)." }
    Nv12m { "NM12", "NM12", two_planes(2, true), "`NM12`. As NV12, each plane in memory of its own at the driver." }
    Nv21m { "NM21", "NM21", two_planes(2, false), "`NM21`. As NV21, each plane in memory of its own at the driver." }
    Nv16m { "NM16", "NM16", two_planes(1, true), "`NM16`. As NV16, each plane in memory of its own at the driver." }
    Yu12m { "YM12", "YM12", three_planes(true), "`YM12`. As YU12, each plane in memory of its own at the driver." }
    Yv12m { "YM21", "YM21", three_planes(false), "`YM21`. As YV12, each plane in memory of its own at the driver." }
    Grey { "GREY", "GREY", grey(8), "`GREY`. Luma of 8 bits." }
    Y10 { "Y10 ", "Y10", grey(10), "`Y10`. Luma of 10 bits in words of 16." }
    Y12 { "Y12 ", "Y12", grey(12), "`Y12`. Luma of 12 bits in words of 16." }
    Y16 { "Y16 ", "Y16", grey(16), "`Y16`. Luma of 16 bits in words of 16." }
    Rgb24 { "RGB3", "RGB3", rgb(3, 0, 1, 2), "`RGB3`. Bytes: red, green, blue." }
    Bgr24 { "BGR3", "BGR3", rgb(3, 2, 1, 0), "`BGR3`. Bytes: blue, green, red." }
    Xbgr32 { "XR24", "XR24", rgb(4, 2, 1, 0), "`XR24`. Bytes: blue, green, red, unused." }
    Abgr32 { "AR24", "AR24", rgb(4, 2, 1, 0), "`AR24`. Bytes: blue, green, red, alpha (not looked at)." }
    Bgrx32 { "RX24", "RX24", rgb(4, 3, 2, 1), "`RX24`. Bytes: unused, blue, green, red." }
    Bgra32 { "RA24", "RA24", rgb(4, 3, 2, 1), "`RA24`. Bytes: alpha (not looked at), blue, green, red." }
    Rgbx32 { "XB24", "XB24", rgb(4, 0, 1, 2), "`XB24`. Bytes: red, green, blue, unused." }
    Rgba32 { "AB24", "AB24", rgb(4, 0, 1, 2), "`AB24`. Bytes: red, green, blue, alpha (not looked at)." }
    Xrgb32 { "BX24", "BX24", rgb(4, 1, 2, 3), "`BX24`. Bytes: unused, red, green, blue." }
    Argb32 { "BA24", "BA24", rgb(4, 1, 2, 3), "`BA24`. Bytes: alpha (not looked at), red, green, blue." }
    Bgr32 { "BGR4", "BGR4", rgb(4, 2, 1, 0), "`BGR4`. Bytes: blue, green, red, unused." }
    Rgb32 { "RGB4", "RGB4", rgb(4, 1, 2, 3), "`RGB4`. Bytes: unused, red, green, blue." }
    Rgb565 { "RGBP", "RGBP", rgb565(), "`RGBP`. Words of 16 bits: 5 of red at the top, 6 of green, 5 of blue." }
    Sbggr8 { "BA81", "BA81", bayer(8, b"BGGR"), "`BA81`. Raw Bayer of 8 bits, BG over GR." }
    Sgbrg8 { "GBRG", "GBRG", bayer(8, b"GBRG"), "`GBRG`. Raw Bayer of 8 bits, GB over RG." }
    Sgrbg8 { "GRBG", "GRBG", bayer(8, b"GRBG"), "`GRBG`. Raw Bayer of 8 bits, GR over BG." }
    Srggb8 { "RGGB", "RGGB", bayer(8, b"RGGB"), "`RGGB`. Raw Bayer of 8 bits, RG over GB." }
    Sbggr10 { "BG10", "BG10", bayer(10, b"BGGR"), "`BG10`. Raw Bayer of 10 bits in words of 16, BG over GR." }
    Sgbrg10 { "GB10", "GB10", bayer(10, b"GBRG"), "`GB10`. Raw Bayer of 10 bits in words of 16, GB over RG." }
    Sgrbg10 { "BA10", "BA10", bayer(10, b"GRBG"), "`BA10`. Raw Bayer of 10 bits in words of 16, GR over BG." }
    Srggb10 { "RG10", "RG10", bayer(10, b"RGGB"), "`RG10`. Raw Bayer of 10 bits in words of 16, RG over GB." }
    Sbggr12 { "BG12", "BG12", bayer(12, b"BGGR"), "`BG12`. Raw Bayer of 12 bits in words of 16, BG over GR." }
    Sgbrg12 { "GB12", "GB12", bayer(12, b"GBRG"), "`GB12`. Raw Bayer of 12 bits in words of 16, GB over RG." }
    Sgrbg12 { "BA12", "BA12", bayer(12, b"GRBG"), "`BA12`. Raw Bayer of 12 bits in words of 16, GR over BG." }
    Srggb12 { "RG12", "RG12", bayer(12, b"RGGB"), "`RG12`. Raw Bayer of 12 bits in words of 16, RG over GB." }
    Sbggr16 { "BYR2", "BYR2", bayer(16, b"BGGR"), "`BYR2`. Raw Bayer of 16 bits in words of 16, BG over GR." }
    Sgbrg16 { "GB16", "GB16", bayer(16, b"GBRG"), "`GB16`. Raw Bayer of 16 bits in words of 16, GB over RG." }
    Sgrbg16 { "GR16", "GR16", bayer(16, b"GRBG"), "`GR16`. Raw Bayer of 16 bits in words of 16, GR over BG." }
    Srggb16 { "RG16", "RG16", bayer(16, b"RGGB"), "`RG16`. Raw Bayer of 16 bits in words of 16, RG over GB." }
    Sbggr10p { "pBAA", "pBAA", bayer10p(b"BGGR"), "`pBAA`. Raw Bayer of 10 bits, four pixels in five bytes, BG over GR." }
    Sgbrg10p { "pGAA", "pGAA", bayer10p(b"GBRG"), "`pGAA`. Raw Bayer of 10 bits, four pixels in five bytes, GB over RG." }
    Sgrbg10p { "pgAA", "pgAA", bayer10p(b"GRBG"), "`pgAA`. Raw Bayer of 10 bits, four pixels in five bytes, GR over BG." }
    Srggb10p { "pRAA", "pRAA", bayer10p(b"RGGB"), "`pRAA`. Raw Bayer of 10 bits, four pixels in five bytes, RG over GB." }
    Mjpg { "MJPG", "MJPG", compressed(), "`MJPG`. A JPEG picture for each frame, of varying length." }
}

/// Formats whose samples lie in the buffer: all but the last.
const RAW: usize = PixelFormat::ALL.len() - 1;

impl PixelFormat {
    /// The formats whose samples lie open in the buffer.
    pub const RAW: [Self; RAW] = *Self::ALL.split_at(RAW).0.first_chunk().unwrap();

    /// Whether a frame has to be decoded before its samples can be read. Rows and planes of such a format
    /// have no bytes.
    #[must_use]
    pub const fn is_compressed(self) -> bool {
        matches!(self, Self::Mjpg)
    }

    /// Bytes of a buffer that holds any frame of this size whose rows have no padding. Of a compressed
    /// format it is what cameras ask for as a rule: two bytes a pixel, and room for the tables.
    #[must_use]
    pub const fn buffer_bytes(self, width_px: u32, height_px: u32) -> u64 {
        if self.is_compressed() {
            return width_px as u64 * height_px as u64 * 2 + LONGEST_TABLES_BYTES;
        }
        let layout = self.layout();
        let row_bytes = layout.row_bytes(width_px);
        if row_bytes > u32::MAX as u64 {
            return u64::MAX;
        }
        #[allow(clippy::cast_possible_truncation, reason = "checked above")]
        layout.image_bytes(row_bytes as u32, height_px)
    }

    /// What decoding a frame of this size in a buffer of `frame_bytes` takes; nothing where samples lie open.
    #[must_use]
    pub const fn decoding(self, frame_bytes: u32, width_px: u32, height_px: u32) -> Decoding {
        if !self.is_compressed() {
            return Decoding {
                copy_bytes: 0,
                picture_bytes: 0,
            };
        }
        Decoding {
            copy_bytes: frame_bytes as u64 + ADDED_TABLES_BYTES,
            picture_bytes: width_px as u64 * height_px as u64 * 3,
        }
    }

    /// The format with this four-character code.
    #[must_use]
    pub fn from_fourcc(fourcc: [u8; 4]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.fourcc() == fourcc)
    }

    /// Pieces of memory that a driver has for one picture: 1, or for the formats that say so one for each
    /// plane. In a slot the planes follow each other in any case.
    #[must_use]
    pub const fn memory_planes(self) -> usize {
        match self {
            Self::Nv12m | Self::Nv21m | Self::Nv16m | Self::Yu12m | Self::Yv12m => {
                self.layout().planes().len()
            }
            _ => 1,
        }
    }

    /// Bytes of the shortest row of `width_px` pixels in the first plane that leaves the others room.
    #[must_use]
    pub const fn row_bytes(self, width_px: u32) -> u64 {
        self.layout().row_bytes(width_px)
    }

    /// Bytes of an image whose first plane has rows of `stride_bytes`.
    #[must_use]
    pub const fn image_bytes(self, stride_bytes: u32, height_px: u32) -> u64 {
        self.layout().image_bytes(stride_bytes, height_px)
    }

    /// Whether samples are red, green and blue, in each pixel or under the filter of a sensor.
    #[must_use]
    pub const fn is_rgb(self) -> bool {
        matches!(self.layout().model, Model::Rgb | Model::Bayer)
    }

    /// Whether samples use their whole range unless the driver says otherwise: red, green and blue do by
    /// V4L2's rules, and luma alone is what a monochrome sensor measured.
    #[must_use]
    pub const fn is_full_range_by_default(self) -> bool {
        !matches!(self.layout().model, Model::Ycbcr)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_format_has_a_code_and_a_name_of_its_own_and_is_found_by_them() {
        let codes: HashSet<_> = PixelFormat::ALL.map(PixelFormat::fourcc).into();
        assert_eq!(codes.len(), PixelFormat::ALL.len());
        for (format, (name, named)) in PixelFormat::ALL.into_iter().zip(PixelFormat::NAMES) {
            assert_eq!(PixelFormat::from_fourcc(format.fourcc()), Some(format));
            assert_eq!((name, named), (format.name(), format));
            assert_eq!(format!("{name:4}").as_bytes(), format.fourcc());
        }
        assert_eq!(PixelFormat::from_fourcc(*b"H264"), None);
    }

    #[test]
    fn the_compressed_format_stands_apart() {
        assert!(
            PixelFormat::RAW
                .iter()
                .all(|format| !format.is_compressed())
        );
        assert!(PixelFormat::Mjpg.is_compressed());
        assert_eq!(PixelFormat::RAW.len() + 1, PixelFormat::ALL.len());
        assert_eq!(PixelFormat::Mjpg.row_bytes(1280), 0);
        assert_eq!(PixelFormat::Mjpg.image_bytes(0, 720), 0);
        assert_eq!(
            PixelFormat::Mjpg.buffer_bytes(1280, 720),
            1280 * 720 * 2 + 4096
        );
        assert_eq!(PixelFormat::Nv12.buffer_bytes(1280, 720), 1280 * 1080);
    }

    #[test]
    fn rows_and_pictures_have_the_bytes_that_v4l2_gives_them() {
        // Of 1280 x 722: bytes of a row of the first plane, bits of a pixel.
        let bits = |format: PixelFormat| match format.name() {
            "NV12" | "NV21" | "YU12" | "YV12" | "NM12" | "NM21" | "YM12" | "YM21" => (1280, 12),
            "NV16" | "NM16" => (1280, 16),
            "GREY" | "BA81" | "GBRG" | "GRBG" | "RGGB" => (1280, 8),
            "pBAA" | "pGAA" | "pgAA" | "pRAA" => (1600, 10),
            "RGB3" | "BGR3" => (3840, 24),
            name if name.ends_with("24") || name.ends_with('4') => (5120, 32),
            _ => (2560, 16),
        };
        for format in PixelFormat::RAW {
            let (row, bits) = bits(format);
            assert_eq!(format.row_bytes(1280), row, "{format:?}");
            let stride = u32::try_from(row).unwrap();
            let bytes = 1280 * 722 * bits / 8;
            assert_eq!(format.image_bytes(stride, 722), bytes, "{format:?}");
            let pieces = match format.name() {
                "NM12" | "NM21" | "NM16" => 2,
                "YM12" | "YM21" => 3,
                _ => 1,
            };
            assert_eq!(format.memory_planes(), pieces, "{format:?}");
        }
        // Odd sides: what is shared is stored whole.
        assert_eq!(PixelFormat::Yuyv.row_bytes(5), 12);
        assert_eq!(PixelFormat::Nv12.row_bytes(5), 6);
        assert_eq!(PixelFormat::Yu12.row_bytes(5), 6);
        assert_eq!(PixelFormat::Nv12.image_bytes(6, 5), 6 * (5 + 3));
        assert_eq!(PixelFormat::Yu12.image_bytes(6, 5), 6 * 5 + 2 * 3 * 3);
        assert_eq!(PixelFormat::Srggb10p.row_bytes(5), 10);
    }
}
