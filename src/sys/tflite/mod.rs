//! TensorFlow Lite behind [`Engine`]: through tflitec, with XNNPACK or with the library's own kernels; through
//! an interpreter of our own with a delegate that is loaded from a file.
//!
//! Answers for: that the model is the one the profile names, that its tensors are what the rest of the
//! program can serve, that the delegate asked for really runs the graph, and that nothing here allocates
//! once it is built. Does not answer for: allocations of the library's own kernels (they are counted
//! elsewhere; [`Graph::is_wholly_delegated`] says whether any are left), or pinning (`sys::thread`): the
//! engine is built and run by one thread, which has its place before it builds, because threads that
//! XNNPACK starts inherit the mask of the one that builds it.
#![allow(unsafe_code)]

mod ffi;
#[cfg(test)]
mod forge;
mod graph;
mod model;
mod operators;
mod owned;
mod plugin;
mod session;
#[cfg(test)]
mod tests;

pub use graph::{Graph, Step};
pub use model::{MAX_MODEL_BYTES, ModelError, ModelFault, ModelFile};
pub use plugin::PluginFault;

use crate::infer::{Engine, EngineError, TensorInfo, TensorType};
use crate::limits::MAX_OUTPUTS;
use crate::profile::{self, Delegate, OnFailure};
use session::Session;
use std::fmt;
use std::ptr::{self, NonNull};
use tflitec::interpreter::{Interpreter, Options};
use tflitec::model::Model;
use tflitec::tensor::{DataType, Tensor};

/// Largest extent of a tensor along one dimension.
const MAX_DIMENSION: usize = 1 << 24;

/// Version of the TensorFlow Lite library that is loaded.
#[must_use]
pub fn library_version() -> &'static str {
    tflitec::tf_lite_version()
}

/// How an engine runs its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Threads of the interpreter and of XNNPACK, at least 1.
    pub threads: u32,
    /// What runs the graph. It is refused, and not replaced, if it fails.
    pub delegate: Delegate,
}

impl Settings {
    pub(crate) fn delegate_name(&self) -> String {
        match &self.delegate {
            Delegate::Xnnpack => "xnnpack".into(),
            Delegate::None => "none".into(),
            Delegate::Plugin(plugin) => plugin.path.display().to_string(),
        }
    }
}

impl From<&profile::Model> for Settings {
    fn from(model: &profile::Model) -> Self {
        Self {
            threads: model.threads,
            delegate: model.delegate.clone(),
        }
    }
}

/// A value at a fixed place on the heap, for others to borrow for as long as they like.
struct Held<T>(NonNull<T>);

impl<T> Held<T> {
    fn new(value: T) -> Self {
        Self(NonNull::from(Box::leak(Box::new(value))))
    }

    /// # Safety
    /// The reference, and whatever keeps it, is gone before `self` is.
    unsafe fn forever(&self) -> &'static T {
        // SAFETY: the value lives until `self` is dropped, is never moved, and is only ever shared.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        // SAFETY: it came from a box in `new`, and nobody borrows it any more (`forever`).
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// A tensor's memory inside the interpreter.
///
/// Its bytes are foreign memory, which tflitec only lends as `&[u8]`. Writing through such a borrow is
/// not allowed, so that only the address is taken from it; memory outside of Rust's own is exposed
/// without further ado (`std::ptr::with_exposed_provenance`), and a pointer made anew from the address
/// may be written through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    address: usize,
    bytes: usize,
}

impl Region {
    fn of(tensor: &Tensor<'_>) -> Self {
        let data = tensor.data::<u8>();
        Self {
            address: data.as_ptr().expose_provenance(),
            bytes: data.len(),
        }
    }

    const fn as_ptr(self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.address)
    }
}

/// What runs the model.
enum Runner {
    Tflitec {
        // Fields are dropped in this order: the interpreter borrows from the model.
        interpreter: Interpreter<'static>,
        _model: Held<Model<'static>>,
        delegate: String,
    },
    Own(Session),
}

/// A TensorFlow Lite model, ready to run on the thread that built it.
///
/// Holding one proves that:
/// - the file had the expected checksum;
/// - the input is [1, height, width, channels] or [1, channels, height, width], and every tensor is f32, f16,
///   u8 or i8 and keeps its place;
/// - with a delegate asked for, it runs the graph or a part of it ([`TfliteEngine::graph`]);
/// - three inferences have succeeded.
pub struct TfliteEngine {
    // Fields are dropped in this order: each borrows from the ones below it.
    runner: Runner,
    _file: Held<ModelFile>,
    input: TensorInfo,
    input_region: Region,
    outputs: Vec<TensorInfo>,
    output_regions: Vec<Region>,
    graph: Graph,
}

impl fmt::Debug for TfliteEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TfliteEngine")
            .field("input", &self.input)
            .field("outputs", &self.outputs)
            .field("graph", &self.graph)
            .finish_non_exhaustive()
    }
}

impl TfliteEngine {
    /// Builds the engine on the calling thread, which is the one that will run it and has its cores.
    ///
    /// # Errors
    /// What is wrong with the model, or what does not fit.
    pub fn build(file: ModelFile, settings: Settings) -> Result<Self, ModelError> {
        let path = file.path().to_owned();
        // The library trusts what it reads: where that kills the process, this is the last line.
        log::info!(
            "{}: TensorFlow Lite {} makes its interpreter, delegate \"{}\"",
            path.display(),
            library_version(),
            settings.delegate_name()
        );
        Self::assemble(file, &settings).map_err(|fault| ModelError { path, fault })
    }

    /// Builds the engine from a file that is named; where its delegate fails and `on_failure` allows it, builds
    /// it anew with the library's own kernels, and tells why.
    ///
    /// # Errors
    /// What is wrong with the file or the model, or what does not fit.
    pub fn build_or_replace(
        path: &std::path::Path,
        sha256: &[u8; 32],
        settings: Settings,
        on_failure: OnFailure,
    ) -> Result<(Self, Option<ModelError>), ModelError> {
        let threads = settings.threads;
        match Self::build(ModelFile::read(path, sha256)?, settings) {
            Ok(engine) => Ok((engine, None)),
            Err(error) if on_failure == OnFailure::Builtin && error.fault.is_the_delegates() => {
                let plain = Settings {
                    threads,
                    delegate: Delegate::None,
                };
                // Nothing of the first interpreter is left: a delegate that failed half-way has changed it.
                let engine = Self::build(ModelFile::read(path, sha256)?, plain)?;
                Ok((engine, Some(error)))
            }
            Err(error) => Err(error),
        }
    }

    fn assemble(file: ModelFile, settings: &Settings) -> Result<Self, ModelFault> {
        let delegate = settings.delegate_name();
        let file = Held::new(file);
        // SAFETY: what keeps the reference is dropped before the file: it is declared after `file` here, and
        // before it in `Self`.
        let bytes = unsafe { file.forever() }.bytes();
        // SAFETY: the bytes live as long as the file, which outlives the session.
        let (session, graph) = unsafe { Session::build(bytes, settings) }?;
        if settings.delegate != Delegate::None && graph.delegated() == 0 {
            return Err(ModelFault::DelegateUnused {
                delegate,
                steps: graph.steps.len(),
            });
        }
        let runner = match &settings.delegate {
            Delegate::Plugin(_) => Runner::Own(session),
            Delegate::Xnnpack | Delegate::None => {
                drop(session);
                Runner::tflitec(bytes, settings)?
            }
        };

        let inputs = runner.inputs();
        if inputs != 1 {
            return Err(ModelFault::Inputs { found: inputs });
        }
        let outputs = runner.outputs();
        if !(1..=MAX_OUTPUTS).contains(&outputs) {
            return Err(ModelFault::Outputs {
                found: outputs,
                most: MAX_OUTPUTS,
            });
        }
        runner.allocate()?;
        let (input, input_region) = runner.inspect(0, Side::Input)?;
        if input.picture().is_none() {
            return Err(ModelFault::InputShape {
                found: input.to_string(),
            });
        }
        // SAFETY: the region is the interpreter's allocated input tensor, and nobody borrows it.
        unsafe { ptr::write_bytes(input_region.as_ptr(), 0, input_region.bytes) };

        // The first inference allocates. After it every tensor has its place, and keeps it.
        let run = || {
            let ran = runner.invoke();
            ran.then_some(()).ok_or_else(|| ModelFault::Invoke {
                delegate: delegate.clone(),
            })
        };
        run()?;
        let places = || -> Result<Vec<(TensorInfo, Region)>, ModelFault> {
            (0..outputs)
                .map(|index| runner.inspect(index, Side::Output))
                .collect()
        };
        let before = places()?;
        run()?;
        let after = places()?;
        if let Some(((info, _), _)) = before
            .iter()
            .zip(&after)
            .find(|(before, after)| before != after)
        {
            return Err(ModelFault::Dynamic {
                tensor: info.name.clone(),
            });
        }
        if runner.inspect(0, Side::Input)?.1 != input_region {
            return Err(ModelFault::Dynamic { tensor: input.name });
        }
        let (outputs, output_regions) = after.into_iter().unzip();
        Ok(Self {
            runner,
            _file: file,
            input,
            input_region,
            outputs,
            output_regions,
            graph,
        })
    }

    /// What runs the graph, step by step.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }
}

#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

/// A tensor as an interpreter shows it.
struct TensorSeen {
    name: String,
    /// Its element type, or what it is instead.
    kind: Result<TensorType, String>,
    shape: Vec<usize>,
    /// Scale and zero point, where it has them.
    quantization: Option<(f32, i32)>,
    region: Region,
}

impl Runner {
    /// # Errors
    /// The library refuses the model or the delegate.
    fn tflitec(bytes: &'static [u8], settings: &Settings) -> Result<Self, ModelFault> {
        let delegate = settings.delegate_name();
        let model = Model::from_bytes(bytes).map_err(|_| ModelFault::Refused {
            library: library_version(),
        })?;
        let model = Held::new(model);
        let options = Options {
            thread_count: i32::try_from(settings.threads.max(1)).unwrap_or(1),
            is_xnnpack_enabled: settings.delegate == Delegate::Xnnpack,
        };
        // SAFETY: the interpreter keeps the reference and is dropped before the model: it is declared after
        // `model` here, and before it in `Self`.
        let lent = unsafe { model.forever() };
        let interpreter =
            Interpreter::new(lent, Some(options)).map_err(|_| ModelFault::Interpreter {
                library: library_version(),
                delegate: delegate.clone(),
            })?;
        Ok(Self::Tflitec {
            interpreter,
            _model: model,
            delegate,
        })
    }

    fn inputs(&self) -> usize {
        match self {
            Self::Tflitec { interpreter, .. } => interpreter.input_tensor_count(),
            Self::Own(session) => session.inputs(),
        }
    }

    fn outputs(&self) -> usize {
        match self {
            Self::Tflitec { interpreter, .. } => interpreter.output_tensor_count(),
            Self::Own(session) => session.outputs(),
        }
    }

    fn allocate(&self) -> Result<(), ModelFault> {
        match self {
            Self::Tflitec {
                interpreter,
                delegate,
                ..
            } => interpreter
                .allocate_tensors()
                .map_err(|_| ModelFault::Allocate {
                    delegate: delegate.clone(),
                }),
            // It has run already.
            Self::Own(_) => Ok(()),
        }
    }

    fn invoke(&self) -> bool {
        match self {
            Self::Tflitec { interpreter, .. } => interpreter.invoke().is_ok(),
            Self::Own(session) => session.invoke(),
        }
    }

    /// A tensor as it is now.
    fn tensor(&self, index: usize, side: Side) -> Result<TensorSeen, ModelFault> {
        let (interpreter, delegate) = match self {
            Self::Tflitec {
                interpreter,
                delegate,
                ..
            } => (interpreter, delegate),
            Self::Own(session) => return session.tensor(side, index),
        };
        let tensor = match side {
            Side::Input => interpreter.input(index),
            Side::Output => interpreter.output(index),
        };
        let tensor = tensor.map_err(|error| match error.kind() {
            tflitec::ErrorKind::InvalidTensorDataType => ModelFault::TensorType {
                found: format!("{index} of a type unknown to tflitec"),
            },
            _ => ModelFault::Allocate {
                delegate: delegate.clone(),
            },
        })?;
        let quantization = tensor.quantization_parameters();
        Ok(TensorSeen {
            name: tensor.name().to_owned(),
            kind: match tensor.data_type() {
                DataType::Float32 => Ok(TensorType::F32),
                DataType::Float16 => Ok(TensorType::F16),
                DataType::UInt8 => Ok(TensorType::U8),
                DataType::Int8 => Ok(TensorType::I8),
                other => Err(format!("{other:?}")),
            },
            shape: tensor.shape().dimensions().clone(),
            quantization: quantization.map(|of| (of.scale, of.zero_point)),
            region: Region::of(&tensor),
        })
    }

    /// A tensor's description and place, where this program can serve it.
    fn inspect(&self, index: usize, side: Side) -> Result<(TensorInfo, Region), ModelFault> {
        let TensorSeen {
            name,
            kind,
            shape,
            quantization,
            region,
        } = self.tensor(index, side)?;
        let kind = kind.map_err(|other| ModelFault::TensorType {
            found: format!("\"{name}\" of {other}"),
        })?;
        let elements = shape.iter().try_fold(1_usize, |product, &extent| {
            product
                .checked_mul(extent)
                .filter(|_| (1..=MAX_DIMENSION).contains(&extent))
        });
        if elements.and_then(|elements| elements.checked_mul(kind.bytes())) != Some(region.bytes) {
            return Err(ModelFault::Dynamic { tensor: name });
        }
        // Integers without parameters mean themselves.
        let (scale, zero_point) = match (kind, quantization) {
            (TensorType::F32 | TensorType::F16, _) => (0.0, 0),
            (_, Some(parameters)) => parameters,
            (_, None) => (1.0, 0),
        };
        let info = TensorInfo {
            name,
            shape,
            kind,
            scale,
            zero_point,
        };
        Ok((info, region))
    }
}

impl Engine for TfliteEngine {
    fn input(&self) -> &TensorInfo {
        &self.input
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    fn input_bytes(&mut self) -> &mut [u8] {
        let Region { bytes, .. } = self.input_region;
        // SAFETY: the tensor's `bytes` bytes were allocated by the interpreter, are initialised, and keep
        // their place (checked in `assemble`; only `allocate_tensors` or a resize would move them, and
        // `self` calls neither). The slice borrows `self` mutably, so that nothing else, the interpreter
        // included, reaches them while it lives.
        unsafe { std::slice::from_raw_parts_mut(self.input_region.as_ptr(), bytes) }
    }

    fn invoke(&mut self) -> Result<(), EngineError> {
        let ran = self.runner.invoke();
        ran.then_some(()).ok_or(EngineError::Invoke)
    }

    fn output_bytes(&self, index: usize) -> &[u8] {
        let Some(region) = self.output_regions.get(index) else {
            return &[];
        };
        // SAFETY: as in `input_bytes`; written by the inferences of `assemble`. The slice borrows `self`,
        // and only `invoke`, which needs it mutably, writes to the tensor.
        unsafe { std::slice::from_raw_parts(region.as_ptr(), region.bytes) }
    }
}
