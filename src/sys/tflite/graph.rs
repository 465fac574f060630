//! What an interpreter will run, looked at from inside.
//!
//! The C interface does not say which operators a delegate took. A second delegate does: it is applied
//! after the first, is shown the execution plan, writes it down, and takes nothing. tflitec lets nobody
//! reach its interpreter, so this is done once, while arming, with an interpreter of our own that is
//! made from the same model with the same options and thrown away.
#![allow(unsafe_code)]

use super::model::ModelFault;
use super::{Settings, library_version, operators};
use crate::board::Delegate;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

/// Declarations beside tflitec's private ones.
///
/// # Source
/// `tensorflow/lite/core/c/{c_api,c_api_opaque,common,operator}.h` of TensorFlow Lite 2.17.
mod ffi {
    use super::{MaybeUninit, c_char, c_int, c_void};

    /// An object that only the library looks into.
    macro_rules! opaque {
        ($($name:ident)*) => {$(
            #[repr(C)]
            pub struct $name {
                _private: [u8; 0],
            }
        )*};
    }
    opaque!(Model Options Interpreter Tensor Delegate Context Node Operator);

    pub const OK: c_int = 0;
    /// `kTfLiteDelegateFlagsAllowDynamicTensors`: looking is allowed at any graph.
    pub const ALLOW_DYNAMIC_TENSORS: i64 = 1;
    /// `kTfLiteBuiltinDelegate`
    pub const BUILTIN_DELEGATE: c_int = 51;
    /// `kTfLiteBuiltinCustom`
    pub const BUILTIN_CUSTOM: c_int = 32;
    /// `kTfLiteAllocationStrategyMalloc`
    pub const STRATEGY_MALLOC: c_int = 4;

    /// `TfLiteIntArray`, up to its flexible part.
    #[repr(C)]
    pub struct IntArray {
        pub size: c_int,
        pub data: [c_int; 0],
    }

    /// `TfLiteXNNPackDelegateOptions`: 32 bytes in 2.17, more in later versions, room for them here.
    #[repr(C)]
    pub struct XnnpackOptions {
        pub num_threads: i32,
        pub flags: u32,
        pub rest: MaybeUninit<[u64; 31]>,
    }

    pub type Prepare = unsafe extern "C" fn(*mut Context, *mut Delegate, *mut c_void) -> c_int;

    /// `TfLiteOpaqueDelegateBuilder`
    #[repr(C)]
    pub struct DelegateBuilder {
        pub data: *mut c_void,
        pub prepare: Option<Prepare>,
        pub copy_from_buffer_handle: *const c_void,
        pub copy_to_buffer_handle: *const c_void,
        pub free_buffer_handle: *const c_void,
        pub flags: i64,
    }

    // Elsewhere the same functions may be declared with untyped pointers.
    #[allow(clashing_extern_declarations)]
    unsafe extern "C" {
        pub fn TfLiteModelCreate(bytes: *const c_void, size: usize) -> *mut Model;
        pub fn TfLiteModelDelete(model: *mut Model);
        pub fn TfLiteInterpreterOptionsCreate() -> *mut Options;
        pub fn TfLiteInterpreterOptionsDelete(options: *mut Options);
        pub fn TfLiteInterpreterOptionsSetNumThreads(options: *mut Options, threads: i32);
        pub fn TfLiteInterpreterOptionsAddDelegate(options: *mut Options, delegate: *mut Delegate);
        pub fn TfLiteInterpreterCreate(
            model: *const Model,
            options: *const Options,
        ) -> *mut Interpreter;
        pub fn TfLiteInterpreterDelete(interpreter: *mut Interpreter);
        pub fn TfLiteInterpreterAllocateTensors(interpreter: *mut Interpreter) -> c_int;
        pub fn TfLiteInterpreterInvoke(interpreter: *mut Interpreter) -> c_int;
        pub fn TfLiteInterpreterGetInputTensorCount(interpreter: *const Interpreter) -> i32;
        pub fn TfLiteInterpreterGetOutputTensorCount(interpreter: *const Interpreter) -> i32;
        pub fn TfLiteInterpreterGetInputTensor(
            interpreter: *const Interpreter,
            index: i32,
        ) -> *mut Tensor;
        pub fn TfLiteInterpreterGetOutputTensor(
            interpreter: *const Interpreter,
            index: i32,
        ) -> *const Tensor;
        pub fn TfLiteTensorGetAllocationStrategy(tensor: *const Tensor) -> c_int;
        pub fn TfLiteTensorName(tensor: *const Tensor) -> *const c_char;
        pub fn TfLiteTensorData(tensor: *const Tensor) -> *mut c_void;
        pub fn TfLiteTensorByteSize(tensor: *const Tensor) -> usize;
        pub fn TfLiteXNNPackDelegateOptionsDefault() -> XnnpackOptions;
        pub fn TfLiteXNNPackDelegateCreate(options: *const XnnpackOptions) -> *mut Delegate;
        pub fn TfLiteXNNPackDelegateDelete(delegate: *mut Delegate);
        pub fn TfLiteOpaqueDelegateCreate(builder: *const DelegateBuilder) -> *mut Delegate;
        pub fn TfLiteOpaqueDelegateDelete(delegate: *mut Delegate);
        pub fn TfLiteOpaqueContextGetExecutionPlan(
            context: *mut Context,
            plan: *mut *mut IntArray,
        ) -> c_int;
        pub fn TfLiteOpaqueContextGetNodeAndRegistration(
            context: *mut Context,
            index: c_int,
            node: *mut *mut Node,
            operator: *mut *mut Operator,
        ) -> c_int;
        pub fn TfLiteOperatorGetBuiltInCode(operator: *const Operator) -> c_int;
        pub fn TfLiteOperatorGetCustomName(operator: *const Operator) -> *const c_char;
    }
}

/// One step of the execution plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A part of the graph that a delegate runs, by the delegate's name for it.
    Delegated(String),
    /// A kernel of the library, by its code in `builtin_ops.h`.
    Builtin(i32),
    /// A kernel that is registered by name.
    Custom(String),
}

/// What an interpreter runs, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// The execution plan, after the delegate took its parts.
    pub steps: Vec<Step>,
}

impl Graph {
    /// Parts that the delegate runs.
    #[must_use]
    pub fn delegated(&self) -> usize {
        self.steps
            .iter()
            .filter(|step| matches!(step, Step::Delegated(_)))
            .count()
    }

    /// Whether the delegate runs all of it. XNNPACK then allocates nothing once warm; kernels of the library
    /// may allocate in each inference, though not all of them do.
    #[must_use]
    pub fn is_wholly_delegated(&self) -> bool {
        self.delegated() == self.steps.len()
    }
}

/// `1 part by TfLiteXNNPackDelegate`, or with more: `, 2 kernels of the library (CAST, SOFTMAX)`.
impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let delegated = self.delegated();
        let name = self.steps.iter().find_map(|step| match step {
            Step::Delegated(name) => Some(name.as_str()),
            _ => None,
        });
        if let Some(name) = name {
            write!(f, "{delegated} part{} by {name}", plural(delegated))?;
        }
        let own = self.steps.len() - delegated;
        if own == 0 {
            return Ok(());
        }
        let comma = if name.is_some() { ", " } else { "" };
        write!(f, "{comma}{own} kernel{} of the library (", plural(own))?;
        let mut codes: Vec<String> = self
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Delegated(_) => None,
                Step::Builtin(code) => Some(
                    operators::name(*code).map_or_else(|| format!("code {code}"), str::to_owned),
                ),
                Step::Custom(name) => Some(name.clone()),
            })
            .collect();
        codes.sort();
        codes.dedup();
        write!(f, "{})", codes.join(", "))
    }
}

/// An object of the library with the function that gives it back.
struct Owned<T> {
    object: NonNull<T>,
    delete: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// # Safety
    /// `object` is null or was given by the library, belongs to the caller, and is given back by `delete`.
    unsafe fn new(object: *mut T, delete: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(object).map(|object| Self { object, delete })
    }

    fn as_ptr(&self) -> *mut T {
        self.object.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: by `new`, the object is this owner's and `delete` is its function; this runs once.
        unsafe { (self.delete)(self.object.as_ptr()) }
    }
}

/// What the looking delegate wrote down; `None` until it was called, or when the library failed it.
type Seen = Option<Vec<Step>>;

/// The looking delegate's `Prepare`.
///
/// # Safety
/// As the library calls it: `context` is valid during the call, and `seen` is the builder's `data`, a
/// [`Seen`] that nobody else uses during the call.
unsafe extern "C" fn look(
    context: *mut ffi::Context,
    _: *mut ffi::Delegate,
    seen: *mut c_void,
) -> c_int {
    // SAFETY: `context` is valid by this function's requirement.
    let steps = unsafe { steps(context) };
    // SAFETY: `seen` points at a `Seen` that is not used elsewhere, by this function's requirement.
    unsafe { *seen.cast::<Seen>() = steps };
    ffi::OK
}

/// # Safety
/// `context` is valid.
unsafe fn steps(context: *mut ffi::Context) -> Option<Vec<Step>> {
    let mut plan = ptr::null_mut();
    // SAFETY: `context` is valid, and `plan` is a place for one pointer.
    if unsafe { ffi::TfLiteOpaqueContextGetExecutionPlan(context, &raw mut plan) } != ffi::OK {
        return None;
    }
    let plan = NonNull::new(plan)?.as_ptr();
    // SAFETY: the library gave a valid array, which it keeps until the plan changes.
    let size = unsafe { (*plan).size };
    // SAFETY: as above; the place is computed and not read, and keeps the whole array's provenance.
    let first = unsafe { &raw const (*plan).data };
    let (first, count) = (first.cast::<c_int>(), usize::try_from(size).ok()?);
    (0..count)
        .map(|index| {
            // SAFETY: the flexible part has `size` elements.
            let node = unsafe { first.wrapping_add(index).read() };
            // SAFETY: `context` is valid by this function's requirement.
            unsafe { step(context, node) }
        })
        .collect()
}

/// # Safety
/// `context` is valid.
unsafe fn step(context: *mut ffi::Context, index: c_int) -> Option<Step> {
    let (mut node, mut operator) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: `context` is valid, `node` and `operator` are places for one pointer each.
    let status = unsafe {
        ffi::TfLiteOpaqueContextGetNodeAndRegistration(
            context,
            index,
            &raw mut node,
            &raw mut operator,
        )
    };
    if status != ffi::OK || operator.is_null() {
        return None;
    }
    // SAFETY: the library gave a valid operator.
    let code = unsafe { ffi::TfLiteOperatorGetBuiltInCode(operator) };
    // SAFETY: as above.
    let name = unsafe { ffi::TfLiteOperatorGetCustomName(operator) };
    let name = || {
        // SAFETY: the name is null or a string that the operator keeps.
        unsafe { text(name) }.unwrap_or_else(|| "a delegate".into())
    };
    Some(match code {
        ffi::BUILTIN_DELEGATE => Step::Delegated(name()),
        ffi::BUILTIN_CUSTOM => Step::Custom(name()),
        code => Step::Builtin(code),
    })
}

/// # Safety
/// `string` is null or a string that lives through the call.
unsafe fn text(string: *const c_char) -> Option<String> {
    if string.is_null() {
        return None;
    }
    // SAFETY: not null, and a string by this function's requirement.
    let string = unsafe { CStr::from_ptr(string) };
    Some(string.to_string_lossy().into_owned())
}

/// Builds an interpreter of `model`, looks at it, runs it once, and throws it away.
pub(super) fn look_at(model: &[u8], settings: Settings) -> Result<Graph, ModelFault> {
    let delegate_name = settings.delegate_name();
    let failed = || ModelFault::Interpreter {
        library: library_version(),
        delegate: delegate_name,
    };
    let threads = i32::try_from(settings.threads).unwrap_or(1);

    // Objects are given back in the reverse of this order: the interpreter before all it uses.
    let mut seen: Box<Seen> = Box::new(None);
    // SAFETY: the bytes outlive the model.
    let object = unsafe { ffi::TfLiteModelCreate(model.as_ptr().cast(), model.len()) };
    // SAFETY: made above, and ours.
    let model = unsafe { Owned::new(object, ffi::TfLiteModelDelete) };
    let model = model.ok_or_else(|| ModelFault::Refused {
        library: library_version(),
    })?;
    let xnnpack = match settings.delegate {
        Delegate::None => None,
        Delegate::Xnnpack => Some(xnnpack(threads).ok_or_else(failed)?),
    };
    let builder = ffi::DelegateBuilder {
        data: (&raw mut *seen).cast(),
        prepare: Some(look),
        copy_from_buffer_handle: ptr::null(),
        copy_to_buffer_handle: ptr::null(),
        free_buffer_handle: ptr::null(),
        flags: ffi::ALLOW_DYNAMIC_TENSORS,
    };
    // SAFETY: the builder is copied; `seen` outlives the delegate.
    let object = unsafe { ffi::TfLiteOpaqueDelegateCreate(&raw const builder) };
    // SAFETY: made above, and ours.
    let looking =
        unsafe { Owned::new(object, ffi::TfLiteOpaqueDelegateDelete) }.ok_or_else(failed)?;
    // SAFETY: it takes nothing.
    let object = unsafe { ffi::TfLiteInterpreterOptionsCreate() };
    // SAFETY: made above, and ours.
    let options =
        unsafe { Owned::new(object, ffi::TfLiteInterpreterOptionsDelete) }.ok_or_else(failed)?;
    // SAFETY: the options are valid.
    unsafe { ffi::TfLiteInterpreterOptionsSetNumThreads(options.as_ptr(), threads) };
    for delegate in xnnpack.iter().chain([&looking]) {
        // SAFETY: both are valid, and the delegate outlives the interpreter.
        unsafe { ffi::TfLiteInterpreterOptionsAddDelegate(options.as_ptr(), delegate.as_ptr()) };
    }
    // SAFETY: both are valid, and the model outlives the interpreter.
    let object = unsafe { ffi::TfLiteInterpreterCreate(model.as_ptr(), options.as_ptr()) };
    // SAFETY: made above, and ours.
    let interpreter =
        unsafe { Owned::new(object, ffi::TfLiteInterpreterDelete) }.ok_or_else(failed)?;
    // SAFETY: the interpreter is valid.
    if unsafe { ffi::TfLiteInterpreterAllocateTensors(interpreter.as_ptr()) } != ffi::OK {
        return Err(ModelFault::Allocate {
            delegate: delegate_name,
        });
    }
    run_once(&interpreter, delegate_name)?;
    drop(interpreter);
    let steps = seen.take().ok_or_else(failed)?;
    Ok(Graph { steps })
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

/// Runs the model on zeros, and refuses inputs and outputs that are allocated anew in each run, or whose
/// names tflitec would not survive.
fn run_once(
    interpreter: &Owned<ffi::Interpreter>,
    delegate: &'static str,
) -> Result<(), ModelFault> {
    // SAFETY: the interpreter is valid.
    let inputs = unsafe { ffi::TfLiteInterpreterGetInputTensorCount(interpreter.as_ptr()) };
    for index in 0..inputs {
        // SAFETY: the interpreter is valid, and the index below the count.
        let tensor = unsafe { ffi::TfLiteInterpreterGetInputTensor(interpreter.as_ptr(), index) };
        // SAFETY: the tensor is null or the interpreter's.
        unsafe { check(tensor) }?;
        // SAFETY: as above, and nobody else looks at its memory.
        unsafe { zero(tensor) };
    }
    // SAFETY: the interpreter is valid and its tensors are allocated.
    if unsafe { ffi::TfLiteInterpreterInvoke(interpreter.as_ptr()) } != ffi::OK {
        return Err(ModelFault::Invoke { delegate });
    }
    // SAFETY: the interpreter is valid.
    let outputs = unsafe { ffi::TfLiteInterpreterGetOutputTensorCount(interpreter.as_ptr()) };
    for index in 0..outputs {
        // SAFETY: the interpreter is valid, and the index below the count.
        let tensor = unsafe { ffi::TfLiteInterpreterGetOutputTensor(interpreter.as_ptr(), index) };
        // SAFETY: the tensor is null or the interpreter's.
        unsafe { check(tensor) }?;
    }
    Ok(())
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
    let name = unsafe { text(name) }.unwrap_or_default();
    if name.contains(char::REPLACEMENT_CHARACTER) {
        return Err(ModelFault::Name { found: name });
    }
    // SAFETY: as for the name.
    match unsafe { ffi::TfLiteTensorGetAllocationStrategy(tensor) } {
        ffi::STRATEGY_MALLOC => Err(ModelFault::Dynamic { tensor: name }),
        _ => Ok(()),
    }
}
