//! The interpreter that tflitec makes, seen from inside.
//!
//! tflitec takes no delegate but XNNPACK, keeps the interpreter's pointer to itself, and does not say what a
//! delegate took. So this program defines `TfLiteInterpreterCreate`, as it defines malloc: tflitec's call comes
//! here, the delegates of [`create_with`] are added, and the library's own function makes the interpreter. The
//! one that runs is then the one that is looked at.
#![allow(unsafe_code)]

use super::ffi;
use super::model::ModelFault;
use nix::libc;
use std::cell::Cell;
use std::ptr;

type Create = unsafe extern "C" fn(*const ffi::Model, *const ffi::Options) -> *mut ffi::Interpreter;

/// None.
const NOTHING: *const [*mut ffi::Delegate] = &[];

thread_local! {
    /// What the next interpreter of this thread gets beside tflitec's own delegates.
    static DELEGATES: Cell<*const [*mut ffi::Delegate]> = const { Cell::new(NOTHING) };
    /// The interpreter that was made last; null is none.
    static MADE: Cell<*mut ffi::Interpreter> = const { Cell::new(ptr::null_mut()) };
}

/// Makes an interpreter of a model, or gives null.
///
/// # Safety
/// As of the C API: `model` is valid, `options` null or valid.
///
/// # Source
/// `tensorflow/lite/core/c/c_api.h`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn TfLiteInterpreterCreate(
    model: *const ffi::Model,
    options: *const ffi::Options,
) -> *mut ffi::Interpreter {
    // SAFETY: the name ends with NUL; RTLD_NEXT is the definition behind this executable's own.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"TfLiteInterpreterCreate".as_ptr()) };
    if found.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the library's function of this name has this type.
    let create = unsafe { std::mem::transmute::<*mut libc::c_void, Create>(found) };
    // SAFETY: `create_with` keeps the slice, and the delegates in it, while it waits for this call.
    for &delegate in unsafe { &*DELEGATES.replace(NOTHING) } {
        // SAFETY: the options are the caller's to change until it deletes them, and not null: with no
        // options there is no `create_with`. The delegate is valid and outlives the interpreter.
        unsafe { ffi::TfLiteInterpreterOptionsAddDelegate(options.cast_mut(), delegate) };
    }
    // SAFETY: the caller's promise.
    let made = unsafe { create(model, options) };
    MADE.set(made);
    made
}

/// Makes an interpreter by `make`, which has tflitec make one with options, and applies `delegates` behind its
/// own. Gives what `make` gave, and a view of the interpreter where one was made.
///
/// # Safety
/// The delegates outlive the interpreter; the view is not used once that is dropped.
pub(super) unsafe fn create_with<T>(
    delegates: &[*mut ffi::Delegate],
    make: impl FnOnce() -> T,
) -> (T, Option<View>) {
    MADE.set(ptr::null_mut());
    DELEGATES.set(delegates);
    let made = make();
    DELEGATES.set(NOTHING);
    let interpreter = MADE.replace(ptr::null_mut());
    (made, (!interpreter.is_null()).then_some(View(interpreter)))
}

/// An interpreter of tflitec's, for what that does not show.
pub(super) struct View(*mut ffi::Interpreter);

impl View {
    /// Prepares the first inference: every input is refused or zeroed.
    pub(super) fn check_inputs(&self) -> Result<(), ModelFault> {
        // SAFETY: the interpreter lives (`create_with`).
        let count = unsafe { ffi::TfLiteInterpreterGetInputTensorCount(self.0) };
        (0..count).try_for_each(|index| {
            // SAFETY: as above.
            let tensor = unsafe { ffi::TfLiteInterpreterGetInputTensor(self.0, index) };
            // SAFETY: the tensor is null or the interpreter's.
            unsafe { check(tensor) }?;
            // SAFETY: as above; nobody else looks at its memory.
            unsafe { zero(tensor) };
            Ok(())
        })
    }

    /// Looks at every output, once an inference has been made.
    pub(super) fn check_outputs(&self) -> Result<(), ModelFault> {
        // SAFETY: the interpreter lives (`create_with`).
        let count = unsafe { ffi::TfLiteInterpreterGetOutputTensorCount(self.0) };
        (0..count).try_for_each(|index| {
            // SAFETY: as above.
            let tensor = unsafe { ffi::TfLiteInterpreterGetOutputTensor(self.0, index) };
            // SAFETY: the tensor is null or the interpreter's.
            unsafe { check(tensor) }
        })
    }
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

/// Refuses what is allocated anew in each run, and a name that is not text: tflitec panics at one.
///
/// # Safety
/// `tensor` is null or valid.
unsafe fn check(tensor: *const ffi::Tensor) -> Result<(), ModelFault> {
    if tensor.is_null() {
        return Ok(());
    }
    // SAFETY: not null, and valid by this function's requirement.
    let name = unsafe { ffi::TfLiteTensorName(tensor) };
    // SAFETY: the name is null or a string that the tensor keeps.
    let name = unsafe { ffi::text(name) }.unwrap_or_default();
    if name.contains(char::REPLACEMENT_CHARACTER) {
        return Err(ModelFault::Name { found: name });
    }
    // SAFETY: as for the name.
    match unsafe { ffi::TfLiteTensorGetAllocationStrategy(tensor) } {
        ffi::STRATEGY_MALLOC => Err(ModelFault::Dynamic { tensor: name }),
        _ => Ok(()),
    }
}
