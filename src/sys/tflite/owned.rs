//! Objects of the library, given back when they are dropped, and values that the library borrows.
#![allow(unsafe_code)]

use std::ptr::NonNull;

/// An object of the library with the function that gives it back.
pub(super) struct Owned<T> {
    object: NonNull<T>,
    delete: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// # Safety
    /// `object` is null or was given by the library, belongs to the caller, and is given back by `delete`.
    pub(super) unsafe fn new(object: *mut T, delete: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(object).map(|object| Self { object, delete })
    }

    pub(super) fn as_ptr(&self) -> *mut T {
        self.object.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: by `new`, the object is this owner's and `delete` is its function; this runs once.
        unsafe { (self.delete)(self.object.as_ptr()) }
    }
}

/// A value at a fixed place on the heap, for others to borrow for as long as they like.
pub(super) struct Held<T>(NonNull<T>);

impl<T> Held<T> {
    pub(super) fn new(value: T) -> Self {
        Self(NonNull::from(Box::leak(Box::new(value))))
    }

    /// # Safety
    /// The reference, and whatever keeps it, is gone before `self` is.
    pub(super) unsafe fn forever(&self) -> &'static T {
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
