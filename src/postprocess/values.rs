//! An output tensor's elements as real values.

use super::output_reader::DecodeError;
use crate::infer::{TensorInfo, TensorType};
use half::f16;

/// Logits beyond are as good as certain; the exponential stays finite.
const MAX_LOGIT: f32 = 100.0;

/// The probability of a logit.
pub(super) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit.clamp(-MAX_LOGIT, MAX_LOGIT)).exp())
}

/// Which output, and how its bytes become real values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values {
    output: usize,
    bytes: usize,
    kind: TensorType,
    scale: f32,
    zero_point: i32,
}

impl Values {
    pub(super) fn new(output: usize, info: &TensorInfo) -> Self {
        let &TensorInfo {
            kind,
            scale,
            zero_point,
            ..
        } = info;
        Self {
            output,
            bytes: info.bytes(),
            kind,
            scale,
            zero_point,
        }
    }

    /// Least and greatest real value that the tensor can hold.
    pub(super) fn range(&self) -> (f32, f32) {
        match self.kind {
            TensorType::F32 | TensorType::F16 => (f32::NEG_INFINITY, f32::INFINITY),
            TensorType::U8 => (self.real(0), self.real(255)),
            TensorType::I8 => (self.real(-128), self.real(127)),
        }
    }

    #[allow(clippy::cast_precision_loss)] // A few hundred.
    fn real(&self, stored: i32) -> f32 {
        self.scale * stored.saturating_sub(self.zero_point) as f32
    }

    /// This tensor among the model's outputs, if it has the size it had at arming.
    pub(super) fn of<'a>(&self, outputs: &[&'a [u8]]) -> Result<View<'a>, DecodeError> {
        let bytes = outputs.get(self.output).copied().unwrap_or_default();
        if bytes.len() == self.bytes {
            return Ok(View {
                values: *self,
                bytes,
            });
        }
        Err(DecodeError {
            output: self.output,
            found_bytes: bytes.len(),
            needed_bytes: self.bytes,
        })
    }
}

/// The elements of one output after one inference.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    values: Values,
    bytes: &'a [u8],
}

impl View<'_> {
    /// Element `index`; not a number beyond the last one.
    #[inline]
    pub(super) fn at(&self, index: usize) -> f32 {
        let byte = || self.bytes.get(index).copied();
        match self.values.kind {
            TensorType::F32 => self
                .bytes
                .as_chunks()
                .0
                .get(index)
                .map_or(f32::NAN, |&b| f32::from_ne_bytes(b)),
            TensorType::F16 => self
                .bytes
                .as_chunks()
                .0
                .get(index)
                .map_or(f32::NAN, |&b| f16::from_ne_bytes(b).to_f32()),
            TensorType::U8 => byte().map_or(f32::NAN, |b| self.values.real(i32::from(b))),
            TensorType::I8 => {
                byte().map_or(f32::NAN, |b| self.values.real(i32::from(b.cast_signed())))
            }
        }
    }
}
