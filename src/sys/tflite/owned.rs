//! Objects of the library, given back when they are dropped.
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
