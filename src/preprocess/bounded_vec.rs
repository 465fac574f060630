//! A vector that never grows.

use std::ops::{Deref, DerefMut};

/// A vector of a capacity that is fixed when it is made: it is filled anew whenever a plan shows another region, in
/// the memory that arming gave it. A clone has the same capacity.
#[derive(Debug, PartialEq)]
pub(super) struct BoundedVec<T>(Vec<T>);

impl<T> BoundedVec<T> {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Adds a value; `None` where it is full.
    pub(super) fn push(&mut self, value: T) -> Option<()> {
        (self.0.len() < self.0.capacity()).then(|| self.0.push(value))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T: Clone> Clone for BoundedVec<T> {
    fn clone(&self) -> Self {
        let mut values = Vec::with_capacity(self.0.capacity());
        values.extend_from_slice(&self.0);
        Self(values)
    }
}

impl<T> Deref for BoundedVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for BoundedVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
