//! Declarations of the library's C interface, beside tflitec's private ones.
//!
//! # Source
//! `tensorflow/lite/core/c/{c_api,c_api_opaque,common,operator}.h` of TensorFlow Lite 2.17.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};

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
    pub fn TfLiteInterpreterOptionsAddDelegate(options: *mut Options, delegate: *mut Delegate);
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

/// The string as text, with what is not UTF-8 replaced.
///
/// # Safety
/// `string` is null or a string that lives through the call.
pub unsafe fn text(string: *const c_char) -> Option<String> {
    if string.is_null() {
        return None;
    }
    // SAFETY: not null, and a string by this function's requirement.
    let string = unsafe { CStr::from_ptr(string) };
    Some(string.to_string_lossy().into_owned())
}
