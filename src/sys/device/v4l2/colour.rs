//! What a driver's colour fields mean, by V4L2's rules for what it leaves open.

use crate::frame::{Colour, Encoding, PixelFormat, Quantization};
use v4l::v4l_sys;

/// Colour of a format from the fields `colorspace`, `ycbcr_enc` and `quantization`. The encoding of
/// red, green and blue (raw Bayer data too) is what a luma made of them would have.
///
/// A range that is left open is full for all but Y'CbCr formats: the header's macro says so of red, green
/// and blue, and of luma alone it says nothing; monochrome sensors and the kernel's virtual camera use all
/// of it. A colorspace that is left open is sRGB, as V4L2 has it for what is neither SDTV nor HDTV. SMPTE 240M's
/// matrix is BT.709's to within 0.02 of full scale, and stands for it; constant luminance BT.2020 stands
/// for the other kind.
///
/// # Source
/// linux/videodev2.h: `V4L2_MAP_COLORSPACE_DEFAULT`, `V4L2_MAP_YCBCR_ENC_DEFAULT`,
/// `V4L2_MAP_QUANTIZATION_DEFAULT`; kernel documentation, "Detailed Colorspace Descriptions".
#[must_use]
pub fn colour(pixel: PixelFormat, colorspace: u32, ycbcr_enc: u32, quantization: u32) -> Colour {
    use v4l_sys as k;
    let encoding = match ycbcr_enc {
        k::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_601
        | k::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_XV601
        | k::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_SYCC => Encoding::Bt601,
        k::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_709
        | k::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_XV709
        | k::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_SMPTE240M => Encoding::Bt709,
        k::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_BT2020
        | k::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_BT2020_CONST_LUM => Encoding::Bt2020,
        _ => match colorspace {
            k::v4l2_colorspace_V4L2_COLORSPACE_REC709
            | k::v4l2_colorspace_V4L2_COLORSPACE_DCI_P3
            | k::v4l2_colorspace_V4L2_COLORSPACE_SMPTE240M => Encoding::Bt709,
            k::v4l2_colorspace_V4L2_COLORSPACE_BT2020 => Encoding::Bt2020,
            _ => Encoding::Bt601,
        },
    };
    let quantization = match quantization {
        k::v4l2_quantization_V4L2_QUANTIZATION_FULL_RANGE => Quantization::Full,
        k::v4l2_quantization_V4L2_QUANTIZATION_LIM_RANGE => Quantization::Limited,
        _ if pixel.is_full_range_by_default()
            || colorspace == k::v4l2_colorspace_V4L2_COLORSPACE_JPEG =>
        {
            Quantization::Full
        }
        _ => Quantization::Limited,
    };
    Colour {
        encoding,
        quantization,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_driver_leaves_open_follows_from_its_colorspace() {
        use Encoding::{Bt601, Bt709, Bt2020};
        use Quantization::{Full, Limited};
        // Colorspaces 0..=12 as videodev2.h numbers them.
        let defaults = [
            (Bt601, Limited), // default: sRGB
            (Bt601, Limited), // SMPTE 170M
            (Bt709, Limited), // SMPTE 240M
            (Bt709, Limited), // Rec. 709
            (Bt601, Limited), // BT.878
            (Bt601, Limited), // 470 M
            (Bt601, Limited), // 470 BG
            (Bt601, Full),    // JPEG
            (Bt601, Limited), // sRGB
            (Bt601, Limited), // opRGB
            (Bt2020, Limited),
            (Bt601, Limited), // raw
            (Bt709, Limited), // DCI-P3
        ];
        for (colorspace, (encoding, quantization)) in (0..).zip(defaults) {
            let found = colour(PixelFormat::Nv12, colorspace, 0, 0);
            assert_eq!(
                found,
                Colour {
                    encoding,
                    quantization
                },
                "colorspace {colorspace}"
            );
            let full = Colour {
                encoding,
                quantization: Full,
            };
            for pixel in [PixelFormat::Rgb24, PixelFormat::Srggb10, PixelFormat::Grey] {
                assert_eq!(colour(pixel, colorspace, 0, 0), full);
            }
        }
    }

    #[test]
    fn what_a_driver_states_wins() {
        let states = [
            (1, Encoding::Bt601),
            (2, Encoding::Bt709),
            (3, Encoding::Bt601),
            (4, Encoding::Bt709),
            (5, Encoding::Bt601),
            (6, Encoding::Bt2020),
            (7, Encoding::Bt2020),
            (8, Encoding::Bt709),
        ];
        for colorspace in 0..13 {
            for (ycbcr_enc, encoding) in states {
                for pixel in [PixelFormat::Nv12, PixelFormat::Rgb24] {
                    let of = |quantization| colour(pixel, colorspace, ycbcr_enc, quantization);
                    assert_eq!(of(0).encoding, encoding);
                    assert_eq!(of(1).quantization, Quantization::Full);
                    assert_eq!(of(2).quantization, Quantization::Limited);
                }
            }
        }
    }
}
