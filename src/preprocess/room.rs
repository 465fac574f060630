//! Lists that never grow.

use std::ops::{Deref, DerefMut};

/// A list with room for so many values: it is filled anew whenever a plan is aimed, in the memory that arming gave
/// it. A clone has as much room.
#[derive(Debug, PartialEq)]
pub(super) struct Room<T>(Vec<T>);

impl<T> Room<T> {
    /// Nothing, with room for so many.
    pub(super) fn of(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// How many there is room for.
    pub(super) fn room(&self) -> usize {
        self.0.capacity()
    }

    /// Adds a value; `None` where it is full.
    pub(super) fn put(&mut self, value: T) -> Option<()> {
        (self.0.len() < self.0.capacity()).then(|| self.0.push(value))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T: Clone> Clone for Room<T> {
    fn clone(&self) -> Self {
        let mut list = Vec::with_capacity(self.0.capacity());
        list.extend_from_slice(&self.0);
        Self(list)
    }
}

impl<T> Deref for Room<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Room<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
