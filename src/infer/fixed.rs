//! An engine that always says the same: for tests, and for runs without a model.

use super::{Engine, EngineError, TensorInfo};
use std::fmt;

/// Fixed outputs whose sizes do not fit their tensors. Found while it is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedEngineError {
    /// Which output.
    pub index: usize,
    /// Bytes given.
    pub found_bytes: usize,
    /// Bytes of the tensor.
    pub needed_bytes: usize,
}

impl fmt::Display for FixedEngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            found_bytes,
            needed_bytes,
        } = self;
        write!(
            f,
            "fixed output {index}: found {found_bytes} bytes, expected {needed_bytes}"
        )
    }
}

impl std::error::Error for FixedEngineError {}

/// Gives the same outputs for every input. Every n-th invoke fails if asked to.
#[derive(Clone, Debug)]
pub struct FixedEngine {
    input: TensorInfo,
    input_bytes: Vec<u8>,
    outputs: Vec<TensorInfo>,
    output_bytes: Vec<Vec<u8>>,
    fail_every: u64,
    invokes: u64,
}

impl FixedEngine {
    /// An engine with this input tensor and these outputs.
    ///
    /// # Errors
    /// The first output whose bytes do not fill its tensor.
    pub fn new(
        input: TensorInfo,
        outputs: Vec<(TensorInfo, Vec<u8>)>,
    ) -> Result<Self, FixedEngineError> {
        for (index, (info, bytes)) in outputs.iter().enumerate() {
            if info.bytes() != bytes.len() {
                return Err(FixedEngineError {
                    index,
                    found_bytes: bytes.len(),
                    needed_bytes: info.bytes(),
                });
            }
        }
        let (outputs, output_bytes) = outputs.into_iter().unzip();
        let input_bytes = vec![0; input.bytes()];
        Ok(Self {
            input,
            input_bytes,
            outputs,
            output_bytes,
            fail_every: 0,
            invokes: 0,
        })
    }

    /// Every `n`-th invoke fails; 0 is never.
    #[must_use]
    pub fn failing_every(self, n: u64) -> Self {
        Self {
            fail_every: n,
            ..self
        }
    }

    /// Calls of `invoke` so far, failed ones included.
    #[must_use]
    pub const fn invokes(&self) -> u64 {
        self.invokes
    }
}

impl Engine for FixedEngine {
    fn input(&self) -> &TensorInfo {
        &self.input
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    fn input_bytes(&mut self) -> &mut [u8] {
        &mut self.input_bytes
    }

    fn invoke(&mut self) -> Result<(), EngineError> {
        self.invokes += 1;
        if self.fail_every != 0 && self.invokes.is_multiple_of(self.fail_every) {
            return Err(EngineError::Invoke);
        }
        Ok(())
    }

    fn output_bytes(&self, index: usize) -> &[u8] {
        self.output_bytes.get(index).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::{TensorType, outputs_of};

    fn tensor(shape: &[usize], kind: TensorType) -> TensorInfo {
        TensorInfo {
            name: "t".into(),
            shape: shape.to_vec(),
            kind,
            scale: 0.0,
            zero_point: 0,
        }
    }

    #[test]
    fn outputs_stay_as_they_were_given() {
        let input = tensor(&[1, 2, 2, 3], TensorType::U8);
        let outputs = vec![
            (tensor(&[1, 2], TensorType::U8), vec![7, 9]),
            (tensor(&[1], TensorType::F32), vec![0, 0, 0, 0]),
        ];
        let mut engine = FixedEngine::new(input, outputs).unwrap();
        assert_eq!(engine.input_bytes().len(), 12);
        engine.input_bytes().fill(3);
        engine.invoke().unwrap();
        assert_eq!(engine.input_bytes(), [3; 12]);
        assert_eq!(outputs_of(&engine)[..], [&[7_u8, 9][..], &[0, 0, 0, 0]]);
        assert!(engine.output_bytes(2).is_empty());
    }

    #[test]
    fn every_third_invoke_fails_when_asked_to() {
        let mut engine = FixedEngine::new(tensor(&[1], TensorType::U8), vec![])
            .unwrap()
            .failing_every(3);
        let failed = (1..=9).filter(|_| engine.invoke().is_err()).count();
        assert_eq!((failed, engine.invokes()), (3, 9));
    }

    #[test]
    fn an_output_of_the_wrong_size_is_named() {
        let output = (tensor(&[1, 4], TensorType::F32), vec![0; 15]);
        let error = FixedEngine::new(tensor(&[1], TensorType::U8), vec![output]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "fixed output 0: found 15 bytes, expected 16"
        );
    }
}
