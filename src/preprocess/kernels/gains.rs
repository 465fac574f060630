//! From filtered samples to the values that a tensor stores, in single precision.

use super::horizontal::WHOLE;
use crate::frame::MAX_SAMPLES;
use crate::preprocess::colour::{Conversion, single};
use crate::preprocess::sampling::Sampling;

/// One channel: the sum of `gain * filtered`, plus `one`, and what that is clamped to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gains {
    pub gain: [f32; MAX_SAMPLES],
    pub one: f32,
    pub low: f32,
    pub high: f32,
}

impl Gains {
    /// Of each channel, for what [`super::horizontal::HorizontalTable`] makes of a sample.
    pub(super) fn of(sampling: &Sampling, conversion: &Conversion) -> [Self; 3] {
        conversion.channels.map(|channel| {
            let mut gain = [0.0; MAX_SAMPLES];
            for ((gain, wanted), sample) in
                gain.iter_mut().zip(channel.gain).zip(sampling.samples())
            {
                // Of a sample that was set to fifteen bits.
                let unit = wanted * 2_f64.powi(1 + sample.bits.cast_signed() - 16);
                *gain = single(unit / f64::from(WHOLE));
            }
            Self {
                gain,
                one: single(channel.one),
                low: channel.low,
                high: channel.high,
            }
        })
    }
}
