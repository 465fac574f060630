//! Y'CbCr samples to the values that a tensor stores, as one affine map for each channel.

use crate::frame::{Colour, Encoding, Quantization};
use crate::infer::{TensorInfo, TensorType};

/// `y*Y' + cb*Cb + cr*Cr + one`, then clamped: one channel of one sample, in the tensor's stored units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Channel {
    pub y: f32,
    pub cb: f32,
    pub cr: f32,
    pub one: f32,
}

/// From sample values 0..=255 to the tensor's stored units, not yet rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Conversion {
    /// Red, green, blue; a grey tensor uses the first, which is then the luma.
    pub channels: [Channel; 3],
    /// What the smaller of black and white becomes: colours outside the gamut are clamped here.
    pub low: f32,
    /// What the greater of black and white becomes.
    pub high: f32,
    /// What black becomes: the value of the bars.
    pub black: f32,
    /// Least value that the element type stores.
    pub least: f32,
    /// Greatest value that the element type stores.
    pub greatest: f32,
}

/// Luma coefficients of red and blue; green has the rest.
const fn luma_weights(encoding: Encoding) -> (f64, f64) {
    match encoding {
        Encoding::Bt601 => (0.299, 0.114),
        Encoding::Bt709 => (0.2126, 0.0722),
        Encoding::Bt2020 => (0.2627, 0.0593),
    }
}

/// Least and greatest stored value of an element type.
pub(super) const fn stored_range(kind: TensorType) -> (f64, f64) {
    match kind {
        TensorType::F32 => (f32::MIN as f64, f32::MAX as f64),
        TensorType::U8 => (0.0, 255.0),
        TensorType::I8 => (-128.0, 127.0),
    }
}

/// A real value as the tensor stores it, not yet rounded.
pub(super) fn stored(tensor: &TensorInfo, real: f64) -> f64 {
    match tensor.kind {
        TensorType::F32 => real,
        TensorType::U8 | TensorType::I8 => {
            real / f64::from(tensor.scale) + f64::from(tensor.zero_point)
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // f64 to the nearest f32 is meant.
const fn single(value: f64) -> f32 {
    value as f32
}

impl Conversion {
    /// `range` holds the real values of black and white; `grey` asks for the luma alone.
    pub(super) fn new(colour: Colour, tensor: &TensorInfo, range: [f32; 2], grey: bool) -> Self {
        let (kr, kb) = luma_weights(colour.encoding);
        let kg = 1.0 - kr - kb;
        // Samples to Y' in 0..=1 and Cb, Cr in -0.5..=0.5.
        let (y_offset, y_gain, c_gain) = match colour.quantization {
            Quantization::Limited => (16.0, 1.0 / 219.0, 1.0 / 224.0),
            Quantization::Full => (0.0, 1.0 / 255.0, 1.0 / 255.0),
        };
        let rows = [
            (0.0, 2.0 * (1.0 - kr)),
            (-2.0 * (1.0 - kb) * kb / kg, -2.0 * (1.0 - kr) * kr / kg),
            (2.0 * (1.0 - kb), 0.0),
        ];
        // 0..=1 to stored units.
        let black = stored(tensor, f64::from(range[0]));
        let white = stored(tensor, f64::from(range[1]));
        let span = white - black;
        let channels = rows.map(|(cb, cr)| {
            let (cb, cr) = if grey {
                (0.0, 0.0)
            } else {
                (cb * c_gain * span, cr * c_gain * span)
            };
            let y = y_gain * span;
            Channel {
                y: single(y),
                cb: single(cb),
                cr: single(cr),
                one: single(black - y_offset * y - 128.0 * (cb + cr)),
            }
        });
        let (least, greatest) = stored_range(tensor.kind);
        Self {
            channels,
            low: single(black.min(white)),
            high: single(black.max(white)),
            black: single(black),
            least: single(least),
            greatest: single(greatest),
        }
    }
}
