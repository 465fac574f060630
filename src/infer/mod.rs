//! Engines that run a model, and the scheduler that decides whose frame is next.
//!
//! Answers for: what a tensor is, what an engine promises, and whose turn it is. Does not answer for:
//! TensorFlow Lite (`sys::tflite`), or threads and rings (`appliance`, `ring`).

mod allowance;
mod fixed;
mod forecast;
mod scheduler;

pub use allowance::Allowance;
pub use fixed::{FixedEngine, FixedEngineError};
pub use forecast::Forecast;
pub use scheduler::{Choice, Scheduler, Seen, Share};

use crate::limits::MAX_OUTPUTS;

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// Unsigned 8-bit, quantised.
    U8,
    /// Signed 8-bit, quantised.
    I8,
}

impl TensorType {
    /// Bytes of one element.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::U8 | Self::I8 => 1,
        }
    }

    /// Its name, as NumPy writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::U8 => "uint8",
            Self::I8 => "int8",
        }
    }

    /// Whether scale and zero point make its numbers.
    #[must_use]
    pub const fn is_quantised(self) -> bool {
        matches!(self, Self::U8 | Self::I8)
    }
}

/// Name, shape and type of a tensor. `real = scale * (stored - zero_point)` for quantised types.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// The model's name for it.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Element type.
    pub kind: TensorType,
    /// Quantisation scale; 0 for float.
    pub scale: f32,
    /// Quantisation zero point.
    pub zero_point: i32,
}

/// How a picture lies in an input tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureShape {
    /// Rows.
    pub height_px: usize,
    /// Pixels of a row.
    pub width_px: usize,
    /// Numbers of a pixel.
    pub channels: usize,
    /// Each channel is a plane of its own; else a pixel's channels lie together.
    pub is_planar: bool,
}

impl TensorInfo {
    /// As what picture an input tensor is taken; `None` where it has other than four dimensions, the first
    /// of 1.
    ///
    /// | shape | taken for |
    /// |---|---|
    /// | second dimension 1 or 3, and last one neither | [1, channels, height, width] |
    /// | any other | [1, height, width, channels] |
    #[must_use]
    pub fn picture(&self) -> Option<PictureShape> {
        let (height_px, width_px, channels, is_planar) = match self.shape[..] {
            [1, height, width, channels @ (1 | 3)] => (height, width, channels, false),
            [1, channels @ (1 | 3), height, width] => (height, width, channels, true),
            [1, height, width, channels] => (height, width, channels, false),
            _ => return None,
        };
        Some(PictureShape {
            height_px,
            width_px,
            channels,
            is_planar,
        })
    }

    /// Elements of the tensor.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of the tensor.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.elements() * self.kind.bytes()
    }
}

/// `"name" float32 [1, 2, 3]`, and scale and zero point where it is quantised.
impl std::fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {} {:?}", self.name, self.kind.name(), self.shape)?;
        if self.kind.is_quantised() {
            write!(f, " scale {} zero point {}", self.scale, self.zero_point)?;
        }
        Ok(())
    }
}

/// One inference failed. Hot path: `Copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineError {
    /// The interpreter reported an error.
    Invoke,
    /// The input could not be written.
    Input,
    /// An output could not be read.
    Output,
}

impl std::fmt::Display for EngineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Invoke => "the interpreter reported an error",
            Self::Input => "the input tensor could not be written",
            Self::Output => "an output tensor could not be read",
        })
    }
}

impl std::error::Error for EngineError {}

/// The bytes of every output tensor after `invoke`, in the engine's order.
pub fn outputs_of<E: Engine + ?Sized>(engine: &E) -> heapless::Vec<&[u8], MAX_OUTPUTS> {
    (0..engine.outputs().len().min(MAX_OUTPUTS))
        .map(|index| engine.output_bytes(index))
        .collect()
}

/// A model that is ready to run, on the thread that built it. After it is built no method allocates
/// memory of its own; what the library's kernels do is counted elsewhere.
pub trait Engine {
    /// The input tensor: a picture, as [`TensorInfo::picture`] says.
    fn input(&self) -> &TensorInfo;
    /// The output tensors.
    fn outputs(&self) -> &[TensorInfo];
    /// The input tensor's bytes, to be written before `invoke`. They keep their values until they are
    /// written again.
    fn input_bytes(&mut self) -> &mut [u8];
    /// Runs the model once.
    ///
    /// # Errors
    /// The step that failed; outputs are then meaningless.
    fn invoke(&mut self) -> Result<(), EngineError>;
    /// Bytes of output tensor `index` after `invoke`; empty for an index that is not an output's.
    fn output_bytes(&self, index: usize) -> &[u8];
}

#[cfg(test)]
mod tests {
    use super::{PictureShape, TensorInfo, TensorType};

    #[test]
    fn the_shape_tells_whether_a_pixels_channels_lie_together() {
        for (shape, expected) in [
            ([1, 48, 64, 3], Some((48, 64, 3, false))),
            ([1, 48, 64, 1], Some((48, 64, 1, false))),
            ([1, 3, 48, 64], Some((48, 64, 3, true))),
            ([1, 1, 48, 64], Some((48, 64, 1, true))),
            ([1, 48, 64, 4], Some((48, 64, 4, false))),
            ([1, 3, 48, 3], Some((3, 48, 3, false))),
            ([1, 1, 1, 3], Some((1, 1, 3, false))),
            ([2, 3, 48, 64], None),
        ] {
            let info = TensorInfo {
                name: "input".into(),
                shape: shape.to_vec(),
                kind: TensorType::F32,
                scale: 0.0,
                zero_point: 0,
            };
            let expected =
                expected.map(|(height_px, width_px, channels, is_planar)| PictureShape {
                    height_px,
                    width_px,
                    channels,
                    is_planar,
                });
            assert_eq!(info.picture(), expected, "{shape:?}");
        }
    }
}
