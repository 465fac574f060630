//! A pixel's samples to the values that a tensor stores, as one affine map for each channel.

use super::sampling::Sampling;
use crate::frame::{Colour, Component, Encoding, MAX_SAMPLES, Quantization, Sample};
use crate::infer::{TensorInfo, TensorType};
use crate::profile::{Channels, InputRange};
use half::f16;

/// The sum of `gain * sample` over a pixel's samples, plus `one`, then clamped: one channel of one pixel,
/// in the tensor's stored units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Channel {
    pub gain: [f64; MAX_SAMPLES],
    pub one: f64,
    /// What the smaller of black and white becomes, as far as the element type stores it: colours outside
    /// the gamut are clamped here.
    pub low: f32,
    /// What the greater of black and white becomes, as far as the element type stores it.
    pub high: f32,
    /// What black becomes: the value of the bars.
    pub black: f32,
}

/// From sample values to the tensor's stored units, not yet rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Conversion {
    /// In the tensor's order; of a grey tensor, the luma three times.
    pub channels: [Channel; 3],
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
        TensorType::F16 => (f16::MIN.to_f64_const(), f16::MAX.to_f64_const()),
        TensorType::U8 => (0.0, 255.0),
        TensorType::I8 => (-128.0, 127.0),
    }
}

/// A real value as the tensor stores it, not yet rounded.
pub(super) fn stored(tensor: &TensorInfo, real: f64) -> f64 {
    match tensor.kind {
        TensorType::F32 | TensorType::F16 => real,
        TensorType::U8 | TensorType::I8 => {
            real / f64::from(tensor.scale) + f64::from(tensor.zero_point)
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // f64 to the nearest f32 is meant.
pub(super) const fn single(value: f64) -> f32 {
    value as f32
}

/// `gain * (sample - zero)` is Y', R', G', B' in 0..=1, or Cb, Cr in -0.5..=0.5.
fn scale(sample: &Sample, quantization: Quantization) -> (f64, f64) {
    let difference = matches!(sample.component, Component::Cb | Component::Cr);
    // One unit of a sample of eight bits.
    let unit = f64::from(1_u32 << sample.bits) / 256.0;
    let most = f64::from((1_u32 << sample.bits) - 1);
    match (quantization, difference) {
        (Quantization::Limited, false) => (1.0 / (219.0 * unit), 16.0 * unit),
        (Quantization::Limited, true) => (1.0 / (224.0 * unit), 128.0 * unit),
        (Quantization::Full, false) => (1.0 / most, 0.0),
        (Quantization::Full, true) => (1.0 / most, 128.0 * unit),
    }
}

/// What a component adds to red, green and blue; with `grey`, to the luma, three times.
fn share(component: Component, encoding: Encoding, grey: bool) -> [f64; 3] {
    let (kr, kb) = luma_weights(encoding);
    let kg = 1.0 - kr - kb;
    match (component, grey) {
        (Component::Luma, _) => [1.0; 3],
        (Component::Cb, false) => [0.0, -2.0 * (1.0 - kb) * kb / kg, 2.0 * (1.0 - kb)],
        (Component::Cr, false) => [2.0 * (1.0 - kr), -2.0 * (1.0 - kr) * kr / kg, 0.0],
        (Component::Cb | Component::Cr, true) => [0.0; 3],
        (Component::Red, false) => [1.0, 0.0, 0.0],
        (Component::Green, false) => [0.0, 1.0, 0.0],
        (Component::Blue, false) => [0.0, 0.0, 1.0],
        (Component::Red, true) => [kr; 3],
        (Component::Green, true) => [kg; 3],
        (Component::Blue, true) => [kb; 3],
    }
}

impl Conversion {
    /// `range` holds the real values of black and white, as `check_range` accepted them.
    pub(super) fn new(
        sampling: &Sampling,
        colour: Colour,
        tensor: &TensorInfo,
        range: InputRange,
        order: Channels,
    ) -> Self {
        let samples = sampling.samples();
        let order = match order {
            Channels::Rgb | Channels::Grey => [0, 1, 2],
            Channels::Bgr => [2, 1, 0],
        };
        let (least, greatest) = stored_range(tensor.kind);
        let channels = [0, 1, 2].map(|index: usize| {
            let channel = order[index];
            // 0..=1 to stored units.
            let [black, white] = range.of(index).map(|real| stored(tensor, f64::from(real)));
            let mut gain = [0.0; MAX_SAMPLES];
            let mut one = black;
            for (gain, sample) in gain.iter_mut().zip(samples) {
                let alike = |other: &&Sample| other.component == sample.component;
                let count = samples.iter().filter(alike).count() as f64;
                let (unit, zero) = scale(sample, colour.quantization);
                let share = share(sample.component, colour.encoding, sampling.is_grey())[channel];
                let k = share / count * unit * (white - black);
                *gain = k;
                one -= k * zero;
            }
            Channel {
                gain,
                one,
                low: single(black.min(white).max(least)),
                high: single(black.max(white).min(greatest)),
                black: single(black.clamp(least, greatest)),
            }
        });
        Self { channels }
    }
}
