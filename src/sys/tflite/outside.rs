//! Data that a model names by its place in the file, and not by an offset of its FlatBuffer. The library's verifier
//! checks every offset by the schema, and not these: they are numbers to it. The library adds them up and looks whether
//! the sum lies in the file, which it does as well where the sum wraps.
//!
//! # Source
//! `tensorflow/lite/schema.fbs`: `Buffer` (`offset`, `size`), `Operator` (`large_custom_options_offset`,
//! `large_custom_options_size`) and the tables that lead there, by their fields' order; FlatBuffers' internals.

/// Fields, by their places in their tables.
const MODEL_SUBGRAPHS: usize = 2;
const MODEL_BUFFERS: usize = 4;
const SUBGRAPH_OPERATORS: usize = 3;
const BUFFER_OFFSET: usize = 1;
const BUFFER_SIZE: usize = 2;
const OPERATOR_OPTIONS_OFFSET: usize = 9;
const OPERATOR_OPTIONS_SIZE: usize = 10;

/// The first piece of data, as offset and size, that is not wholly in the file. What cannot be read as a table has
/// none: whether the file is sound otherwise is the verifier's matter.
pub(super) fn beyond(file: &[u8]) -> Option<(u64, u64)> {
    let file = File(file);
    let model = file.target(0)?;
    let buffers = file.tables(model, MODEL_BUFFERS);
    let buffers = buffers.map(|at| (at, BUFFER_OFFSET, BUFFER_SIZE));
    let operators = file
        .tables(model, MODEL_SUBGRAPHS)
        .flat_map(|graph| file.tables(graph, SUBGRAPH_OPERATORS));
    let operators = operators.map(|at| (at, OPERATOR_OPTIONS_OFFSET, OPERATOR_OPTIONS_SIZE));
    let pieces = buffers.chain(operators);
    pieces
        .map(|(table, offset, size)| (file.long(table, offset), file.long(table, size)))
        .find(|(offset, size)| {
            let end = offset.checked_add(*size);
            end.is_none_or(|end| end > file.0.len() as u64)
        })
}

/// A file, read within its bounds.
#[derive(Clone, Copy)]
struct File<'a>(&'a [u8]);

impl<'a> File<'a> {
    fn bytes<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    fn word(self, at: usize) -> Option<usize> {
        let word = u32::from_le_bytes(self.bytes(at)?);
        usize::try_from(word).ok()
    }

    /// What the offset at this place points to.
    fn target(self, at: usize) -> Option<usize> {
        at.checked_add(self.word(at)?)
    }

    /// Where a field of the table lies; nothing where it is absent.
    fn field(self, table: usize, index: usize) -> Option<usize> {
        let back = i32::from_le_bytes(self.bytes(table)?);
        let vtable = table.checked_add_signed(isize::try_from(back).ok()?.checked_neg()?)?;
        let short = |at| {
            self.bytes(at)
                .map(|two| usize::from(u16::from_le_bytes(two)))
        };
        let entry = 4 + 2 * index;
        if entry >= short(vtable)? {
            return None;
        }
        match short(vtable.checked_add(entry)?)? {
            0 => None,
            at => table.checked_add(at),
        }
    }

    /// A field of 64 bits; 0, its default, where it is absent.
    fn long(self, table: usize, index: usize) -> u64 {
        let bytes = self.field(table, index).and_then(|at| self.bytes(at));
        bytes.map_or(0, u64::from_le_bytes)
    }

    /// The tables of a vector.
    fn tables(self, table: usize, index: usize) -> impl Iterator<Item = usize> + 'a {
        let vector = self.field(table, index).and_then(|at| self.target(at));
        let vector = vector.and_then(|at| Some((at.checked_add(4)?, self.word(at)?)));
        let (first, count) = vector.unwrap_or_default();
        // No vector has more elements than the file has room for.
        let count = count.min(self.0.len() / 4);
        (0..count).filter_map(move |element| self.target(first.checked_add(4 * element)?))
    }
}

#[cfg(test)]
mod tests {
    use super::beyond;
    use crate::sys::tflite::test_models::{ADD, FLOAT32, Tensor, model_beside};

    fn model(offset: u64, size: u64) -> Vec<u8> {
        let tensor = |name| Tensor {
            name,
            shape: &[1, 4, 4, 3],
            kind: FLOAT32,
        };
        model_beside(
            ADD,
            &[tensor("a"), tensor("b")],
            &[tensor("c")],
            Some((offset, size)),
        )
    }

    #[test]
    fn data_is_found_beyond_the_file_also_where_its_end_wraps() {
        let length = model(0, 0).len() as u64;
        for (offset, size) in [(0, 0), (16, 32), (length - 8, 8), (length, 0)] {
            assert_eq!(beyond(&model(offset, size)), None, "{offset} {size}");
        }
        for wild in [
            (length - 8, 9),
            (length + 1, 0),
            (u64::MAX - 7, 64),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(beyond(&model(wild.0, wild.1)), Some(wild));
        }
    }

    #[test]
    fn no_bytes_break_the_reader() {
        let sound = model(16, 32);
        for at in 0..sound.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = sound.clone();
                changed[at] = value;
                let _ = beyond(&changed);
            }
            let _ = beyond(&sound[..at]);
        }
    }
}
