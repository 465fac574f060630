//! An interpreter of our own, through the library's C interface.
//!
//! tflitec's interpreter takes XNNPACK or nothing, and lets nobody reach it. This one takes any delegate: it is
//! what runs a model with a plugin, and what is looked at, and thrown away, for the others.
#![allow(unsafe_code)]

use super::graph::{self, Graph, Seen};
use super::model::ModelFault;
use super::owned::Owned;
use super::plugin::Plugin;
use super::{Region, Settings, TensorSeen, ffi, library_version};
use crate::infer::TensorType;
use crate::profile::Delegate;
use std::ffi::c_int;
use std::ptr;

/// An interpreter with all that it needs. It stays on the thread that built it.
pub(super) struct Session {
    // Fields are dropped in this order: each borrows from the ones below it.
    interpreter: Owned<ffi::Interpreter>,
    _looking: Owned<ffi::Delegate>,
    _delegate: Option<Applied>,
    _model: Owned<ffi::Model>,
    _seen: Box<Seen>,
    name: String,
}

/// What was asked to run the graph.
enum Applied {
    Xnnpack(Owned<ffi::Delegate>),
    Plugin(Plugin),
}

impl Applied {
    fn as_ptr(&self) -> *mut ffi::Delegate {
        match self {
            Self::Xnnpack(delegate) => delegate.as_ptr(),
            Self::Plugin(plugin) => plugin.as_ptr(),
        }
    }
}

impl Session {
    /// Builds an interpreter of `model`, runs it once, and tells what runs its graph.
    ///
    /// # Safety
    /// The bytes outlive the session.
    pub(super) unsafe fn build(
        model: &[u8],
        settings: &Settings,
    ) -> Result<(Self, Graph), ModelFault> {
        let name = settings.delegate_name();
        let failed = || ModelFault::Interpreter {
            library: library_version(),
            delegate: name.clone(),
        };
        let threads = i32::try_from(settings.threads).unwrap_or(1);

        let mut seen: Box<Seen> = Box::new(None);
        // SAFETY: the bytes outlive the model, by this function's requirement.
        let object = unsafe { ffi::TfLiteModelCreate(model.as_ptr().cast(), model.len()) };
        // SAFETY: made above, and ours.
        let model = unsafe { Owned::new(object, ffi::TfLiteModelDelete) };
        let model = model.ok_or_else(|| ModelFault::Refused {
            library: library_version(),
        })?;
        let delegate = match &settings.delegate {
            Delegate::None => None,
            Delegate::Xnnpack => Some(Applied::Xnnpack(xnnpack(threads).ok_or_else(failed)?)),
            Delegate::Plugin(plugin) => Some(Applied::Plugin(Plugin::load(plugin)?)),
        };
        // SAFETY: `seen` is dropped after the interpreter, and read only when that is made.
        let looking = unsafe { graph::looking(&raw mut *seen) }.ok_or_else(failed)?;
        // SAFETY: it takes nothing.
        let object = unsafe { ffi::TfLiteInterpreterOptionsCreate() };
        // SAFETY: made above, and ours.
        let options = unsafe { Owned::new(object, ffi::TfLiteInterpreterOptionsDelete) };
        let options = options.ok_or_else(failed)?;
        // SAFETY: the options are valid.
        unsafe { ffi::TfLiteInterpreterOptionsSetNumThreads(options.as_ptr(), threads) };
        let delegates = delegate.iter().map(Applied::as_ptr);
        for delegate in delegates.chain([looking.as_ptr()]) {
            // SAFETY: both are valid, and the delegate outlives the interpreter.
            unsafe { ffi::TfLiteInterpreterOptionsAddDelegate(options.as_ptr(), delegate) };
        }
        // SAFETY: both are valid, and the model outlives the interpreter.
        let object = unsafe { ffi::TfLiteInterpreterCreate(model.as_ptr(), options.as_ptr()) };
        // SAFETY: made above, and ours.
        let interpreter = unsafe { Owned::new(object, ffi::TfLiteInterpreterDelete) };
        let interpreter = interpreter.ok_or_else(failed)?;
        // SAFETY: the interpreter is valid.
        if unsafe { ffi::TfLiteInterpreterAllocateTensors(interpreter.as_ptr()) } != ffi::OK {
            return Err(ModelFault::Allocate { delegate: name });
        }
        let steps = seen.take().ok_or_else(failed)?;
        let session = Self {
            interpreter,
            _looking: looking,
            _delegate: delegate,
            _model: model,
            _seen: seen,
            name,
        };
        session.run_once()?;
        Ok((session, Graph { steps }))
    }

    pub(super) fn inputs(&self) -> usize {
        // SAFETY: the interpreter is valid.
        let count = unsafe { ffi::TfLiteInterpreterGetInputTensorCount(self.interpreter.as_ptr()) };
        usize::try_from(count).unwrap_or(0)
    }

    pub(super) fn outputs(&self) -> usize {
        // SAFETY: the interpreter is valid.
        let count =
            unsafe { ffi::TfLiteInterpreterGetOutputTensorCount(self.interpreter.as_ptr()) };
        usize::try_from(count).unwrap_or(0)
    }

    /// Runs the model; `false` when the interpreter reports an error.
    pub(super) fn invoke(&self) -> bool {
        // SAFETY: the interpreter is valid and its tensors are allocated.
        unsafe { ffi::TfLiteInterpreterInvoke(self.interpreter.as_ptr()) == ffi::OK }
    }

    /// Input tensor `index`; null beyond the last one.
    fn input(&self, index: usize) -> *mut ffi::Tensor {
        let index = i32::try_from(index).unwrap_or(-1);
        // SAFETY: the interpreter is valid; the library gives null for an index that is no input's.
        unsafe { ffi::TfLiteInterpreterGetInputTensor(self.interpreter.as_ptr(), index) }
    }

    /// Output tensor `index`; null beyond the last one.
    fn output(&self, index: usize) -> *const ffi::Tensor {
        let index = i32::try_from(index).unwrap_or(-1);
        // SAFETY: the interpreter is valid; the library gives null for an index that is no output's.
        unsafe { ffi::TfLiteInterpreterGetOutputTensor(self.interpreter.as_ptr(), index) }
    }

    /// Runs the model on zeros, and refuses inputs and outputs that are allocated anew in each run, or whose
    /// names are not text.
    fn run_once(&self) -> Result<(), ModelFault> {
        for index in 0..self.inputs() {
            let tensor = self.input(index);
            // SAFETY: the tensor is null or the interpreter's.
            unsafe { check(tensor) }?;
            // SAFETY: as above, and nobody else looks at its memory.
            unsafe { zero(tensor) };
        }
        if !self.invoke() {
            return Err(ModelFault::Invoke {
                delegate: self.name.clone(),
            });
        }
        for index in 0..self.outputs() {
            // SAFETY: the tensor is null or the interpreter's.
            unsafe { check(self.output(index)) }?;
        }
        Ok(())
    }

    /// What is known of a tensor.
    pub(super) fn tensor(&self, side: super::Side, index: usize) -> Result<TensorSeen, ModelFault> {
        let tensor = match side {
            super::Side::Input => self.input(index).cast_const(),
            super::Side::Output => self.output(index),
        };
        if tensor.is_null() {
            return Err(ModelFault::Allocate {
                delegate: self.name.clone(),
            });
        }
        // SAFETY: not null, and the interpreter's, which is borrowed.
        Ok(unsafe { describe(tensor) })
    }
}

/// # Safety
/// `tensor` is valid.
unsafe fn describe(tensor: *const ffi::Tensor) -> TensorSeen {
    // SAFETY: `tensor` is valid by this function's requirement.
    let name = unsafe { ffi::TfLiteTensorName(tensor) };
    // SAFETY: the name is null or a string that the tensor keeps.
    let name = unsafe { graph::text(name) }.unwrap_or_default();
    // SAFETY: as for the name.
    let kind: c_int = unsafe { ffi::TfLiteTensorType(tensor) };
    // SAFETY: as for the name.
    let dimensions = unsafe { ffi::TfLiteTensorNumDims(tensor) };
    let extent = |dimension: i32| {
        // SAFETY: `tensor` is valid, and the dimension one of its own.
        let extent = unsafe { ffi::TfLiteTensorDim(tensor, dimension) };
        usize::try_from(extent).unwrap_or(0)
    };
    // SAFETY: as for the name.
    let quantization = unsafe { ffi::TfLiteTensorQuantizationParams(tensor) };
    // SAFETY: as for the name.
    let data = unsafe { ffi::TfLiteTensorData(tensor) };
    // SAFETY: as for the name.
    let bytes = unsafe { ffi::TfLiteTensorByteSize(tensor) };
    TensorSeen {
        name,
        kind: match kind {
            ffi::FLOAT32 => Ok(TensorType::F32),
            ffi::FLOAT16 => Ok(TensorType::F16),
            ffi::UINT8 => Ok(TensorType::U8),
            ffi::INT8 => Ok(TensorType::I8),
            other => Err(format!("type {other} of c_api_types.h")),
        },
        shape: (0..dimensions).map(extent).collect(),
        quantization: (quantization.scale != 0.0)
            .then_some((quantization.scale, quantization.zero_point)),
        region: Region {
            address: data.expose_provenance(),
            // A tensor without memory has no bytes that could be reached.
            bytes: if data.is_null() { 0 } else { bytes },
        },
    }
}

fn xnnpack(threads: i32) -> Option<Owned<ffi::Delegate>> {
    // SAFETY: it takes nothing, and writes at most what there is room for.
    let mut options = unsafe { ffi::TfLiteXNNPackDelegateOptionsDefault() };
    options.num_threads = threads;
    // SAFETY: the options are the library's defaults but for the threads, and are copied.
    let object = unsafe { ffi::TfLiteXNNPackDelegateCreate(&raw const options) };
    // SAFETY: made above, and ours.
    unsafe { Owned::new(object, ffi::TfLiteXNNPackDelegateDelete) }
}

/// # Safety
/// `tensor` is null or valid, and nobody else looks at its memory.
unsafe fn zero(tensor: *mut ffi::Tensor) {
    if tensor.is_null() {
        return;
    }
    // SAFETY: not null, and valid by this function's requirement.
    let data = unsafe { ffi::TfLiteTensorData(tensor) };
    // SAFETY: as above.
    let size = unsafe { ffi::TfLiteTensorByteSize(tensor) };
    if !data.is_null() {
        // SAFETY: allocated tensors have `size` bytes at `data`.
        unsafe { ptr::write_bytes(data.cast::<u8>(), 0, size) };
    }
}

/// # Safety
/// `tensor` is null or valid.
unsafe fn check(tensor: *const ffi::Tensor) -> Result<(), ModelFault> {
    if tensor.is_null() {
        return Ok(());
    }
    // SAFETY: not null, and valid by this function's requirement.
    let name = unsafe { ffi::TfLiteTensorName(tensor) };
    // SAFETY: the name is null or a string that the tensor keeps.
    let name = unsafe { graph::text(name) }.unwrap_or_default();
    if name.contains(char::REPLACEMENT_CHARACTER) {
        return Err(ModelFault::Name { found: name });
    }
    // SAFETY: as for the name.
    match unsafe { ffi::TfLiteTensorGetAllocationStrategy(tensor) } {
        ffi::STRATEGY_MALLOC => Err(ModelFault::Dynamic { tensor: name }),
        _ => Ok(()),
    }
}
