//! Engines that run a model, and the scheduler that decides whose frame is next.

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorType {
    /// IEEE 754 single precision.
    F32,
    /// Unsigned 8-bit, quantised.
    U8,
    /// Signed 8-bit, quantised.
    I8,
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

/// A model that is ready to run, on the thread that built it.
pub trait Engine {
    /// The input tensor, [1, height, width, channels].
    fn input(&self) -> &TensorInfo;
    /// The output tensors.
    fn outputs(&self) -> &[TensorInfo];
    /// The input tensor's bytes, to be written before `invoke`.
    fn input_bytes(&mut self) -> &mut [u8];
    /// Runs the model once.
    ///
    /// # Errors
    /// The step that failed; outputs are then meaningless.
    fn invoke(&mut self) -> Result<(), EngineError>;
    /// Bytes of output tensor `index` after `invoke`.
    fn output_bytes(&self, index: usize) -> &[u8];
}
