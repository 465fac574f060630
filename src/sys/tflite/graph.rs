//! What an interpreter runs.
//!
//! The C API does not say which operators a delegate took. A second delegate does: it is applied after the
//! first, is shown the execution plan, writes it down, and takes nothing.
#![allow(unsafe_code)]

use super::owned::{Held, Owned};
use super::{ffi, operators};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::ptr::{self, NonNull};

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

/// What the inspector wrote down.
type Seen = Cell<Option<Vec<Step>>>;

/// The inspector's `Prepare`.
///
/// # Safety
/// As the library calls it: `context` is valid during the call, and `seen` is the builder's `data`, a
/// [`Seen`] of this thread.
unsafe extern "C" fn inspect(
    context: *mut ffi::Context,
    _: *mut ffi::Delegate,
    seen: *mut c_void,
) -> c_int {
    // SAFETY: `context` is valid by this function's requirement.
    let steps = unsafe { steps(context) };
    // SAFETY: `seen` points at a `Seen` that lives, by this function's requirement.
    unsafe { &*seen.cast_const().cast::<Seen>() }.set(steps);
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
        unsafe { ffi::text(name) }.unwrap_or_else(|| "a delegate".into())
    };
    Some(match code {
        ffi::BUILTIN_DELEGATE => Step::Delegated(name()),
        ffi::BUILTIN_CUSTOM => Step::Custom(name()),
        code => Step::Builtin(code),
    })
}

/// A delegate that writes the execution plan down, as it finds it, and takes nothing.
pub(super) struct Inspector {
    // Fields are dropped in this order: the delegate borrows from the one below it.
    delegate: Owned<ffi::Delegate>,
    seen: Held<Seen>,
}

impl Inspector {
    pub(super) fn new() -> Option<Self> {
        let seen = Held::new(Seen::new(None));
        // SAFETY: the delegate keeps the reference, and is dropped first.
        let data: *const Seen = unsafe { seen.forever() };
        let builder = ffi::DelegateBuilder {
            data: data.cast_mut().cast(),
            prepare: Some(inspect),
            copy_from_buffer_handle: ptr::null(),
            copy_to_buffer_handle: ptr::null(),
            free_buffer_handle: ptr::null(),
            flags: ffi::ALLOW_DYNAMIC_TENSORS,
        };
        // SAFETY: the builder is copied, and what it points to outlives the delegate.
        let object = unsafe { ffi::TfLiteOpaqueDelegateCreate(&raw const builder) };
        // SAFETY: made above, and ours.
        let delegate = unsafe { Owned::new(object, ffi::TfLiteOpaqueDelegateDelete) }?;
        Some(Self { delegate, seen })
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::Delegate {
        self.delegate.as_ptr()
    }

    /// What it wrote down; `None` until it was applied, or when the library failed it.
    pub(super) fn graph(&self) -> Option<Graph> {
        // SAFETY: the reference does not leave this function.
        let steps = unsafe { self.seen.forever() }.take()?;
        Some(Graph { steps })
    }
}
