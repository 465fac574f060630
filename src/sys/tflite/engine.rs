//! A model that runs: built, checked and tried by the thread that runs it.
#![allow(unsafe_code)]

use super::graph::{Graph, Inspector};
use super::interpreter::create_with;
use super::model::{ModelError, ModelFault, ModelFile};
use super::outside;
use super::owned::Held;
use super::plugin::Plugin;
use crate::infer::{Engine, EngineError, TensorInfo, TensorType};
use crate::limits::MAX_OUTPUTS;
use crate::profile::{self, Delegate, OnFailure};
use std::fmt;
use std::ptr;
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

/// How far a model is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing of it is there.
    Begun,
    /// Its file is in memory.
    Read,
    /// Its interpreter is made, and the delegate has taken its part of the graph, with its weights.
    Made,
    /// Its tensors have their places.
    Allocated,
    /// It has run.
    Ran,
}

/// A tensor's memory inside the interpreter.
///
/// Its bytes are foreign memory, which tflitec only lends as `&[u8]`. Writing through such a borrow is
/// not allowed, so that only the address is taken from it; memory outside of Rust's own is exposed
/// without further ado (`std::ptr::with_exposed_provenance`), and a pointer made anew from the address
/// may be written through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TensorMemory {
    address: usize,
    bytes: usize,
}

impl TensorMemory {
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
    interpreter: Interpreter<'static>,
    _delegates: (Inspector, Option<Plugin>),
    _model: Held<Model<'static>>,
    _file: Held<ModelFile>,
    input: TensorInfo,
    input_memory: TensorMemory,
    outputs: Vec<TensorInfo>,
    output_memory: Vec<TensorMemory>,
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
        Self::build_watched(file, settings, &mut |_| ())
    }

    /// The same, with a look after each stage.
    pub(super) fn build_watched(
        file: ModelFile,
        settings: Settings,
        done: &mut dyn FnMut(Stage),
    ) -> Result<Self, ModelError> {
        let path = file.path().to_owned();
        // The library trusts what it reads: where that ends the process all the same, this is the last line.
        log::info!(
            "{}: TensorFlow Lite {} makes its interpreter, delegate \"{}\"",
            path.display(),
            library_version(),
            settings.delegate_name()
        );
        Self::assemble(file, &settings, done).map_err(|fault| ModelError { path, fault })
    }

    /// Builds the engine from a file that is named; where its delegate fails and `on_failure` allows it, builds
    /// it anew with the library's own kernels, and gives the reason.
    ///
    /// # Errors
    /// What is wrong with the file or the model, or what does not fit.
    pub fn build_or_replace(
        path: &std::path::Path,
        sha256: &[u8; 32],
        settings: Settings,
        on_failure: OnFailure,
    ) -> Result<(Self, Option<ModelError>), ModelError> {
        Self::build_or_replace_watched((path, sha256), settings, on_failure, &mut |_| ())
    }

    /// The same, with a look after each stage; they begin anew where the delegate is replaced.
    pub(super) fn build_or_replace_watched(
        (path, sha256): (&std::path::Path, &[u8; 32]),
        settings: Settings,
        on_failure: OnFailure,
        done: &mut dyn FnMut(Stage),
    ) -> Result<(Self, Option<ModelError>), ModelError> {
        let threads = settings.threads;
        let mut build = |settings| {
            done(Stage::Begun);
            let file = ModelFile::read(path, sha256)?;
            done(Stage::Read);
            Self::build_watched(file, settings, done)
        };
        match build(settings) {
            Ok(engine) => Ok((engine, None)),
            Err(error) if on_failure == OnFailure::Builtin && error.fault.is_the_delegates() => {
                let plain = Settings {
                    threads,
                    delegate: Delegate::None,
                };
                // Nothing of the first interpreter is left: a delegate that failed half-way has changed it.
                let engine = build(plain)?;
                Ok((engine, Some(error)))
            }
            Err(error) => Err(error),
        }
    }

    fn assemble(
        file: ModelFile,
        settings: &Settings,
        done: &mut dyn FnMut(Stage),
    ) -> Result<Self, ModelFault> {
        let delegate = settings.delegate_name();
        let refused = || ModelFault::Refused {
            library: library_version(),
        };
        let failed = || ModelFault::Interpreter {
            library: library_version(),
            delegate: delegate.clone(),
        };
        let options = Options {
            thread_count: i32::try_from(settings.threads.max(1)).unwrap_or(1),
            is_xnnpack_enabled: settings.delegate == Delegate::Xnnpack,
        };

        // Whatever keeps a reference is declared after what it refers to, here, and before it in `Self`: it
        // is dropped first.
        let file = Held::new(file);
        // SAFETY: the model keeps the reference.
        let bytes = unsafe { file.forever() }.bytes();
        let model = Held::new(Model::from_bytes(bytes).map_err(|_| refused())?);
        if let Some((offset, size)) = outside::beyond(bytes) {
            let file_bytes = bytes.len();
            return Err(ModelFault::Outside {
                offset,
                size,
                file_bytes,
            });
        }
        let plugin = match &settings.delegate {
            Delegate::Plugin(plugin) => Some(Plugin::load(plugin).map_err(|fault| {
                let path = plugin.path.clone();
                ModelFault::Plugin { path, fault }
            })?),
            Delegate::Xnnpack | Delegate::None => None,
        };
        let inspector = Inspector::new().ok_or_else(failed)?;
        let delegates = plugin.iter().map(Plugin::as_ptr);
        let delegates: Vec<_> = delegates.chain([inspector.as_ptr()]).collect();
        // SAFETY: the interpreter keeps the reference.
        let lent = unsafe { model.forever() };
        let make = || Interpreter::new(lent, Some(options));
        // SAFETY: the interpreter, which the view is of, is dropped before the delegates and after the view.
        let (interpreter, view) = unsafe { create_with(&delegates, make) };
        let interpreter = interpreter.map_err(|_| failed())?;
        let view = view.ok_or_else(failed)?;
        done(Stage::Made);

        let invoke = || {
            interpreter.invoke().map_err(|_| ModelFault::Invoke {
                delegate: delegate.clone(),
            })
        };
        let allocated = interpreter.allocate_tensors();
        allocated.map_err(|_| ModelFault::Allocate {
            delegate: delegate.clone(),
        })?;
        done(Stage::Allocated);
        let graph = inspector.graph().ok_or_else(failed)?;
        view.check_inputs()?;
        // The first inference allocates. After it every tensor has its place, and keeps it.
        invoke()?;
        view.check_outputs()?;
        if settings.delegate != Delegate::None && graph.delegated() == 0 {
            return Err(ModelFault::DelegateUnused {
                delegate,
                steps: graph.steps.len(),
            });
        }
        let inputs = interpreter.input_tensor_count();
        if inputs != 1 {
            return Err(ModelFault::Inputs { found: inputs });
        }
        let outputs = interpreter.output_tensor_count();
        if !(1..=MAX_OUTPUTS).contains(&outputs) {
            return Err(ModelFault::Outputs {
                found: outputs,
                most: MAX_OUTPUTS,
            });
        }
        let tensor = |tensor: tflitec::Result<Tensor<'_>>, index| {
            let tensor = tensor.map_err(|error| match error.kind() {
                tflitec::ErrorKind::InvalidTensorDataType => ModelFault::TensorType {
                    found: format!("{index} of a type unknown to tflitec"),
                },
                _ => ModelFault::Allocate {
                    delegate: delegate.clone(),
                },
            });
            describe(&tensor?)
        };
        let places = || -> Result<Vec<(TensorInfo, TensorMemory)>, ModelFault> {
            let outputs = (0..outputs).map(|index| tensor(interpreter.output(index), index));
            [tensor(interpreter.input(0), 0)]
                .into_iter()
                .chain(outputs)
                .collect()
        };
        let (input, _) = tensor(interpreter.input(0), 0)?;
        if input.picture().is_none() {
            return Err(ModelFault::InputShape {
                found: input.to_string(),
            });
        }
        let before = places()?;
        invoke()?;
        invoke()?;
        let mut after = places()?;
        if let Some((found, _)) = before.iter().zip(&after).find(|(was, is)| was != is) {
            return Err(ModelFault::Dynamic {
                tensor: found.0.name.clone(),
            });
        }
        done(Stage::Ran);
        let (input, input_memory) = after.remove(0);
        let (outputs, output_memory) = after.into_iter().unzip();
        Ok(Self {
            interpreter,
            _delegates: (inspector, plugin),
            _model: model,
            _file: file,
            input,
            input_memory,
            outputs,
            output_memory,
            graph,
        })
    }

    /// What runs the graph, step by step.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }
}

/// A tensor's description and place, where this program can serve it.
fn describe(tensor: &Tensor<'_>) -> Result<(TensorInfo, TensorMemory), ModelFault> {
    let name = tensor.name().to_owned();
    let kind = match tensor.data_type() {
        DataType::Float32 => TensorType::F32,
        DataType::Float16 => TensorType::F16,
        DataType::UInt8 => TensorType::U8,
        DataType::Int8 => TensorType::I8,
        other => {
            return Err(ModelFault::TensorType {
                found: format!("\"{name}\" of {other:?}"),
            });
        }
    };
    let shape = tensor.shape().dimensions().clone();
    let memory = TensorMemory::of(tensor);
    let elements = shape.iter().try_fold(1_usize, |product, &extent| {
        product
            .checked_mul(extent)
            .filter(|_| (1..=MAX_DIMENSION).contains(&extent))
    });
    if elements.and_then(|elements| elements.checked_mul(kind.bytes())) != Some(memory.bytes) {
        return Err(ModelFault::Dynamic { tensor: name });
    }
    // Integers without parameters mean themselves.
    let (scale, zero_point) = match (kind, tensor.quantization_parameters()) {
        (TensorType::F32 | TensorType::F16, _) => (0.0, 0),
        (_, Some(parameters)) => (parameters.scale, parameters.zero_point),
        (_, None) => (1.0, 0),
    };
    let info = TensorInfo {
        name,
        shape,
        kind,
        scale,
        zero_point,
    };
    Ok((info, memory))
}

impl Engine for TfliteEngine {
    fn input(&self) -> &TensorInfo {
        &self.input
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    fn input_bytes(&mut self) -> &mut [u8] {
        let TensorMemory { bytes, .. } = self.input_memory;
        // SAFETY: the tensor's `bytes` bytes were allocated by the interpreter, are initialised, and keep
        // their place (checked in `assemble`; only `allocate_tensors` or a resize would move them, and
        // `self` calls neither). The slice borrows `self` mutably, so that nothing else, the interpreter
        // included, reaches them while it lives.
        unsafe { std::slice::from_raw_parts_mut(self.input_memory.as_ptr(), bytes) }
    }

    fn invoke(&mut self) -> Result<(), EngineError> {
        let ran = self.interpreter.invoke();
        ran.map_err(|_| EngineError::Invoke)
    }

    fn output_bytes(&self, index: usize) -> &[u8] {
        let Some(region) = self.output_memory.get(index) else {
            return &[];
        };
        // SAFETY: as in `input_bytes`; written by the inferences of `assemble`. The slice borrows `self`,
        // and only `invoke`, which needs it mutably, writes to the tensor.
        unsafe { std::slice::from_raw_parts(region.as_ptr(), region.bytes) }
    }
}
