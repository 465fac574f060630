//! A float32 model made into one whose input and outputs are float16, for the tests: no model like that is in
//! a package registry.
//!
//! ```text
//! input float16 -> DEQUANTIZE -> the graph as it was -> CAST -> each output float16
//! ```
//!
//! The file's tables stay as they are and move up together; the tables that change are written anew in front of
//! them, because a FlatBuffers offset only points forward.
//!
//! # Source
//! FlatBuffers' internals (offsets, vtables); `tensorflow/lite/schema.fbs` (fields, in their order).

use super::{Model, cached, unhex};
use pinsight::board::Delegate;
use pinsight::sys::tflite::{ModelFile, Settings, TfliteEngine};
use sha2::{Digest, Sha256};

/// Of `builtin_ops.h`.
const DEQUANTIZE: u8 = 6;
/// Of `builtin_ops.h`.
const CAST: u8 = 53;
/// `TensorType` of the schema.
const FLOAT16: u8 = 1;

/// How far the old tables move: room for the new ones, and a multiple of what buffers are aligned to.
const ROOM: usize = 8192;
/// Behind the root's offset and the file's identifier.
const START: usize = 8;

/// The bytes of a published model, with float16 at both ends.
pub fn bytes(model: &Model) -> Vec<u8> {
    let whole = std::fs::read(cached(&format!("models/{}", model.file))).unwrap();
    let found: [u8; 32] = Sha256::digest(&whole).into();
    assert_eq!(found, unhex(&model.sha256));
    with_float16_ends(&whole)
}

/// The same, ready to run on one thread.
pub fn engine(model: &Model, delegate: Delegate) -> TfliteEngine {
    let bytes = bytes(model);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    let file = ModelFile::read(file.path(), &Sha256::digest(&bytes).into()).unwrap();
    let settings = Settings {
        threads: 1,
        delegate,
    };
    TfliteEngine::build(file, settings).unwrap()
}

/// A model's bytes, and places in them.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn int(&self, at: usize) -> i32 {
        i32::from_le_bytes(*self.0[at..].first_chunk().unwrap())
    }

    fn number(&self, at: usize) -> usize {
        usize::try_from(self.int(at)).unwrap()
    }

    /// What the offset at this place points to.
    fn target(&self, at: usize) -> usize {
        at + self.number(at)
    }

    /// Where field `index` of the table lies.
    fn field(&self, table: usize, index: usize) -> Option<usize> {
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
    fn elements(&self, table: usize, index: usize) -> Vec<usize> {
        let Some(field) = self.field(table, index) else {
            return vec![];
        };
        let vector = self.target(field);
        (0..self.number(vector))
            .map(|element| vector + 4 + 4 * element)
            .collect()
    }

    /// The tables or numbers of a vector.
    fn tables(&self, table: usize, index: usize) -> Vec<To> {
        let elements = self.elements(table, index).into_iter();
        elements.map(|at| To::Old(self.target(at))).collect()
    }

    fn ints(&self, table: usize, index: usize) -> Vec<i32> {
        let elements = self.elements(table, index).into_iter();
        elements.map(|at| self.int(at)).collect()
    }

    /// The same field in a new table.
    fn same(&self, table: usize, index: usize) -> Field {
        let field = self.field(table, index);
        field.map_or(Field::Absent, |at| Field::To(To::Old(self.target(at))))
    }
}

/// What an offset points to.
#[derive(Clone, Copy)]
enum To {
    /// A place of the old file.
    Old(usize),
    /// What will be written.
    New,
}

/// A field of a table.
#[derive(Clone, Copy)]
enum Field {
    Absent,
    Byte(u8),
    Int(i32),
    To(To),
}

const NEW: Field = Field::To(To::New);

/// The new tables, from the start of the file. Each says which of its offsets are still to be set.
struct Writer(Vec<u8>);

impl Writer {
    fn int(&mut self, value: i32) {
        self.0.extend(value.to_le_bytes());
    }

    fn point(&mut self, slot: usize, to: usize) {
        let distance = u32::try_from(to - slot).unwrap();
        self.0[slot..slot + 4].copy_from_slice(&distance.to_le_bytes());
    }

    /// An offset; says where it is if it is to be set.
    fn offset(&mut self, to: To) -> Option<usize> {
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

    fn table(&mut self, slot: usize, fields: &[Field]) -> Vec<usize> {
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

    fn ints(&mut self, slot: usize, values: &[i32]) {
        self.point(slot, self.0.len());
        self.int(i32::try_from(values.len()).unwrap());
        values.iter().for_each(|value| self.int(*value));
    }

    fn vector(&mut self, slot: usize, elements: &[To]) -> Vec<usize> {
        self.point(slot, self.0.len());
        self.int(i32::try_from(elements.len()).unwrap());
        elements.iter().filter_map(|to| self.offset(*to)).collect()
    }

    fn text(&mut self, slot: usize, text: &str) {
        self.point(slot, self.0.len());
        self.int(i32::try_from(text.len()).unwrap());
        self.0.extend(text.bytes().chain([0]));
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

fn next(list: &[To]) -> i32 {
    i32::try_from(list.len()).unwrap()
}

/// The same model with an input and outputs of float16.
fn with_float16_ends(model: &[u8]) -> Vec<u8> {
    let old = Reader(model);
    let root = old.target(0);
    let [To::Old(graph)] = old.tables(root, 2)[..] else {
        panic!("one subgraph")
    };
    let mut codes = old.tables(root, 1);
    let first_code = next(&codes);
    codes.extend([To::New, To::New]);
    let mut tensors = old.tables(graph, 0);
    let (inputs, outputs) = (old.ints(graph, 1), old.ints(graph, 2));
    let first_tensor = next(&tensors);
    // Each end, old and new, with the operator that makes the one of the other.
    let ends: Vec<(i32, i32)> = inputs
        .iter()
        .chain(&outputs)
        .copied()
        .zip(first_tensor..)
        .collect();
    let shapes: Vec<Field> = ends
        .iter()
        .map(|(end, _)| match tensors[usize::try_from(*end).unwrap()] {
            To::Old(table) => old.same(table, 0),
            To::New => Field::Absent,
        })
        .collect();
    tensors.extend(ends.iter().map(|_| To::New));
    let operators: Vec<To> = [
        vec![To::New; inputs.len()],
        old.tables(graph, 3),
        vec![To::New; outputs.len()],
    ]
    .concat();

    let mut new = Writer(model[..START].to_vec());
    // version, operator_codes, subgraphs, description, buffers, metadata_buffer, metadata
    let version = old.field(root, 0).map_or(3, |at| old.int(at));
    let kept = |index| old.same(root, index);
    let fields = [
        Field::Int(version),
        NEW,
        NEW,
        kept(3),
        kept(4),
        kept(5),
        kept(6),
    ];
    let [codes_slot, graphs_slot] = new.table(0, &fields)[..] else {
        unreachable!()
    };
    let slots = new.vector(codes_slot, &codes);
    for (slot, code) in slots.into_iter().zip([DEQUANTIZE, CAST]) {
        // deprecated_builtin_code, custom_code, version, builtin_code
        let fields = [
            Field::Byte(code),
            Field::Absent,
            Field::Int(1),
            Field::Int(code.into()),
        ];
        new.table(slot, &fields);
    }
    let slot = new.vector(graphs_slot, &[To::New])[0];
    // tensors, inputs, outputs, operators, name
    let fields = [NEW, NEW, NEW, NEW, old.same(graph, 4)];
    let [tensors_slot, inputs_slot, outputs_slot, operators_slot] = new.table(slot, &fields)[..]
    else {
        unreachable!()
    };
    let slots = new.vector(tensors_slot, &tensors);
    for ((slot, shape), (end, _)) in slots.into_iter().zip(shapes).zip(&ends) {
        // shape, type, buffer (the first is empty), name
        let name = new.table(slot, &[shape, Field::Byte(FLOAT16), Field::Int(0), NEW])[0];
        new.text(name, &format!("half_{end}"));
    }
    let (new_inputs, new_outputs): (Vec<i32>, Vec<i32>) = {
        let ends: Vec<i32> = ends.iter().map(|(_, new)| *new).collect();
        let (first, second) = ends.split_at(inputs.len());
        (first.to_vec(), second.to_vec())
    };
    new.ints(inputs_slot, &new_inputs);
    new.ints(outputs_slot, &new_outputs);
    let slots = new.vector(operators_slot, &operators);
    for (index, (slot, (end, half))) in slots.into_iter().zip(&ends).enumerate() {
        let is_input = index < inputs.len();
        let code = first_code + i32::from(!is_input);
        let (from, to) = if is_input { (half, end) } else { (end, half) };
        // opcode_index, inputs, outputs
        let slots = new.table(slot, &[Field::Int(code), NEW, NEW]);
        new.ints(slots[0], &[*from]);
        new.ints(slots[1], &[*to]);
    }
    assert!(
        new.0.len() <= START + ROOM,
        "{} bytes of new tables",
        new.0.len()
    );
    new.0.resize(START + ROOM, 0);
    new.0.extend(&model[START..]);
    new.0
}
