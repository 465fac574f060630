//! Model files for tests: written from nothing, or taken apart and put together with other tables, for models
//! that are in no package registry.
//!
//! The tables of a file that is taken apart stay as they are and move up together; the tables that change are
//! written anew in front of them, because a FlatBuffers offset only points forward.
//!
//! # Source
//! FlatBuffers' internals (offsets, vtables); `tensorflow/lite/schema.fbs` (fields, in their order).
#![allow(dead_code)] // Each test program uses its part.

/// How far the old tables move: room for the new ones, and a multiple of what buffers are aligned to.
const ROOM: usize = 8192;
/// Behind the root's offset and the file's identifier.
const START: usize = 8;

/// A model's bytes, and places in them.
pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    pub fn int(&self, at: usize) -> i32 {
        i32::from_le_bytes(*self.0[at..].first_chunk().unwrap())
    }

    pub fn number(&self, at: usize) -> usize {
        usize::try_from(self.int(at)).unwrap()
    }

    /// What the offset at this place points to.
    pub fn target(&self, at: usize) -> usize {
        at + self.number(at)
    }

    /// Where field `index` of the table lies.
    pub fn field(&self, table: usize, index: usize) -> Option<usize> {
        let short = |at: usize| usize::from(u16::from_le_bytes([self.0[at], self.0[at + 1]]));
        let vtable = table.checked_add_signed(-isize::try_from(self.int(table)).unwrap())?;
        let place = 4 + 2 * index;
        let at = if place < short(vtable) {
            short(vtable + place)
        } else {
            0
        };
        (at != 0).then_some(table + at)
    }

    /// The places of a vector's elements of four bytes each; none where there is no vector.
    pub fn elements(&self, table: usize, index: usize) -> Vec<usize> {
        let Some(field) = self.field(table, index) else {
            return vec![];
        };
        let vector = self.target(field);
        (0..self.number(vector))
            .map(|element| vector + 4 + 4 * element)
            .collect()
    }

    /// The tables or numbers of a vector.
    pub fn tables(&self, table: usize, index: usize) -> Vec<To> {
        let elements = self.elements(table, index).into_iter();
        elements.map(|at| To::Old(self.target(at))).collect()
    }

    pub fn ints(&self, table: usize, index: usize) -> Vec<i32> {
        let elements = self.elements(table, index).into_iter();
        elements.map(|at| self.int(at)).collect()
    }

    /// The same field in a new table.
    pub fn same(&self, table: usize, index: usize) -> Field {
        let field = self.field(table, index);
        field.map_or(Field::Absent, |at| Field::To(To::Old(self.target(at))))
    }
}

/// What an offset points to.
#[derive(Clone, Copy)]
pub enum To {
    /// A place of the old file.
    Old(usize),
    /// What will be written.
    New,
}

/// A field of a table.
#[derive(Clone, Copy)]
pub enum Field {
    Absent,
    Byte(u8),
    Int(i32),
    To(To),
}

pub const NEW: Field = Field::To(To::New);

/// The new tables, from the start of the file. Each says which of its offsets are still to be set.
pub struct Writer(Vec<u8>);

impl Writer {
    /// A file from nothing. Its root's offset is at 0.
    pub fn empty() -> Self {
        Self(b"\0\0\0\0TFL3".to_vec())
    }

    /// The file, where nothing follows the new tables.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The new tables of a model.
    pub fn new(model: &[u8]) -> Self {
        Self(model[..START].to_vec())
    }

    /// The new tables with the old ones behind them.
    pub fn finish(mut self, model: &[u8]) -> Vec<u8> {
        let found = self.0.len();
        assert!(found <= START + ROOM, "{found} bytes of new tables");
        self.0.resize(START + ROOM, 0);
        self.0.extend(&model[START..]);
        self.0
    }

    pub fn int(&mut self, value: i32) {
        self.0.extend(value.to_le_bytes());
    }

    pub fn point(&mut self, slot: usize, to: usize) {
        let distance = u32::try_from(to - slot).unwrap();
        self.0[slot..slot + 4].copy_from_slice(&distance.to_le_bytes());
    }

    /// An offset; says where it is if it is to be set.
    pub fn offset(&mut self, to: To) -> Option<usize> {
        let slot = self.0.len();
        self.int(0);
        match to {
            To::Old(at) => {
                self.point(slot, at + ROOM);
                None
            }
            To::New => Some(slot),
        }
    }

    pub fn table(&mut self, slot: usize, fields: &[Field]) -> Vec<usize> {
        let vtable = self.0.len();
        let sizes = [4 + 2 * fields.len(), 4 + 4 * fields.len()];
        let places = fields.iter().enumerate().map(|(index, field)| match field {
            Field::Absent => 0,
            _ => 4 + 4 * index,
        });
        for value in sizes.into_iter().chain(places) {
            self.0.extend(u16::try_from(value).unwrap().to_le_bytes());
        }
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.point(slot, self.0.len());
        self.int(i32::try_from(self.0.len() - vtable).unwrap());
        let mut slots = vec![];
        for field in fields {
            match field {
                Field::Absent => self.int(0),
                Field::Byte(byte) => self.int(i32::from(*byte)),
                Field::Int(int) => self.int(*int),
                Field::To(to) => slots.extend(self.offset(*to)),
            }
        }
        slots
    }

    /// A table whose fields are numbers of 64 bits.
    pub fn longs(&mut self, slot: usize, fields: &[Option<u64>]) {
        let vtable = self.0.len();
        let sizes = [4 + 2 * fields.len(), 4 + 8 * fields.len()];
        let places = fields.iter().enumerate().map(|(index, field)| match field {
            None => 0,
            Some(_) => 4 + 8 * index,
        });
        for value in sizes.into_iter().chain(places) {
            self.0.extend(u16::try_from(value).unwrap().to_le_bytes());
        }
        // The numbers are aligned to their size, and the table begins four bytes before them.
        let table = (self.0.len() + 4).next_multiple_of(8) - 4;
        self.0.resize(table, 0);
        self.point(slot, table);
        self.int(i32::try_from(table - vtable).unwrap());
        for field in fields {
            self.0.extend(field.unwrap_or(0).to_le_bytes());
        }
    }

    /// An OperatorCode of the library's own.
    pub fn operator_code(&mut self, slot: usize, code: u8) {
        // deprecated_builtin_code, custom_code, version, builtin_code
        let fields = [
            Field::Byte(code),
            Field::Absent,
            Field::Int(1),
            Field::Int(code.into()),
        ];
        self.table(slot, &fields);
    }

    pub fn ints(&mut self, slot: usize, values: &[i32]) {
        self.point(slot, self.0.len());
        self.int(i32::try_from(values.len()).unwrap());
        values.iter().for_each(|value| self.int(*value));
    }

    /// Numbers as bytes.
    pub fn data(&mut self, slot: usize, values: &[i32]) {
        self.point(slot, self.0.len());
        self.int(i32::try_from(4 * values.len()).unwrap());
        values.iter().for_each(|value| self.int(*value));
    }

    pub fn vector(&mut self, slot: usize, elements: &[To]) -> Vec<usize> {
        self.point(slot, self.0.len());
        self.int(i32::try_from(elements.len()).unwrap());
        elements.iter().filter_map(|to| self.offset(*to)).collect()
    }

    pub fn text(&mut self, slot: usize, text: &str) {
        self.point(slot, self.0.len());
        self.int(i32::try_from(text.len()).unwrap());
        self.0.extend(text.bytes().chain([0]));
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// The index of what is added to a list next.
pub fn next(list: &[To]) -> i32 {
    i32::try_from(list.len()).unwrap()
}
