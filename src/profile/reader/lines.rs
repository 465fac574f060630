//! The lines of a text, found once.

use std::ops::Range;

/// Where the lines of a text begin.
#[derive(Debug)]
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub fn new(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = breaks.map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(starts).collect();
        Self { text, starts }
    }

    /// Index of the line that has this byte.
    fn index(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset) - 1
    }

    /// The line of a byte, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.index(offset.min(self.text.len())) + 1
    }

    /// Line and column (in characters) of a byte, both from 1.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.index(offset);
        let before = &self.text.as_bytes()[self.starts[line]..offset];
        let before = String::from_utf8_lossy(before);
        (line + 1, before.chars().count() + 1)
    }

    /// The bytes of the line that has this byte, its line end included.
    pub fn around(&self, offset: usize) -> Range<usize> {
        let line = self.index(offset.min(self.text.len()));
        let end = self.starts.get(line + 1).copied();
        // What stands behind the last byte is on the last line.
        self.starts[line]..end.unwrap_or(self.text.len() + 1)
    }
}
