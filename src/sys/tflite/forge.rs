//! Tiny models made by hand, for the faults that no published model has.
//!
//! # Source
//! FlatBuffers' internals (offsets, vtables); `tensorflow/lite/schema.fbs` (fields, in their order).

/// Codes of operators: of `builtin_ops.h`.
pub const ADD: i32 = 0;
pub const DEQUANTIZE: i32 = 6;
pub const CALL: i32 = 31;
pub const CAST: i32 = 53;
pub const COS: i32 = 108;
pub const WHERE: i32 = 109;

/// Element types of the schema.
pub const FLOAT32: u8 = 0;
pub const FLOAT16: u8 = 1;
pub const INT64: u8 = 4;

/// A tensor of the graph.
pub struct Tensor<'a> {
    pub name: &'a str,
    pub shape: &'a [i32],
    pub kind: u8,
}

/// A field of a table.
enum Field {
    Absent,
    Byte(u8),
    Int(i32),
    /// An offset, to be set when its target is written.
    To,
}

/// Written front to back: a table's children follow it, and its offsets are set when they do.
struct Writer(Vec<u8>);

impl Writer {
    fn int(&mut self, value: usize) -> usize {
        let at = self.0.len();
        self.0.extend(u32::try_from(value).unwrap().to_le_bytes());
        at
    }

    /// Sets the offset at `slot` to what is written next.
    fn here(&mut self, slot: usize) {
        let distance = u32::try_from(self.0.len() - slot).unwrap();
        self.0[slot..slot + 4].copy_from_slice(&distance.to_le_bytes());
    }

    /// A vtable and its table; `slot` is set to the table. Returns the places of its offsets.
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
        self.here(slot);
        let table = self.int(self.0.len() - vtable);
        let mut offsets = vec![];
        for (index, field) in fields.iter().enumerate() {
            let value = match field {
                Field::Absent | Field::To => 0,
                Field::Byte(byte) => i32::from(*byte),
                Field::Int(int) => *int,
            };
            self.0.extend(value.to_le_bytes());
            if matches!(field, Field::To) {
                offsets.push(table + 4 + 4 * index);
            }
        }
        offsets
    }

    fn ints(&mut self, slot: usize, values: &[i32]) {
        self.here(slot);
        self.int(values.len());
        values
            .iter()
            .for_each(|value| self.0.extend(value.to_le_bytes()));
    }

    /// A vector of `count` offsets; returns their places.
    fn vector(&mut self, slot: usize, count: usize) -> Vec<usize> {
        self.here(slot);
        self.int(count);
        (0..count).map(|_| self.int(0)).collect()
    }

    fn text(&mut self, slot: usize, text: &str) {
        self.here(slot);
        self.int(text.len());
        self.0.extend(text.bytes().chain([0]));
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// A model of one operator, which takes `inputs` and gives `outputs`.
pub fn model(operator: i32, inputs: &[Tensor<'_>], outputs: &[Tensor<'_>]) -> Vec<u8> {
    let mut writer = Writer(vec![]);
    let root = writer.int(0);
    writer.0.extend(b"TFL3");
    // version, operator_codes, subgraphs, description, buffers
    let model = writer.table(
        root,
        &[
            Field::Int(3),
            Field::To,
            Field::To,
            Field::Absent,
            Field::To,
        ],
    );
    let [codes, graphs, buffers] = model[..] else {
        unreachable!()
    };
    for slot in writer.vector(codes, 1) {
        // deprecated_builtin_code, custom_code, version, builtin_code
        let code = u8::try_from(operator).unwrap();
        writer.table(
            slot,
            &[
                Field::Byte(code),
                Field::Absent,
                Field::Int(1),
                Field::Int(operator),
            ],
        );
    }
    let slot = writer.vector(graphs, 1)[0];
    // tensors, inputs, outputs, operators
    let graph = writer.table(slot, &[Field::To, Field::To, Field::To, Field::To]);
    let [tensors, graph_inputs, graph_outputs, operators] = graph[..] else {
        unreachable!()
    };
    let slots = writer.vector(tensors, inputs.len() + outputs.len());
    for (slot, tensor) in slots.into_iter().zip(inputs.iter().chain(outputs)) {
        // shape, type, buffer, name
        let table = [
            Field::To,
            Field::Byte(tensor.kind),
            Field::Int(0),
            Field::To,
        ];
        let [shape, name] = writer.table(slot, &table)[..] else {
            unreachable!()
        };
        writer.ints(shape, tensor.shape);
        writer.text(name, tensor.name);
    }
    let count = |tensors: &[Tensor<'_>]| i32::try_from(tensors.len()).unwrap();
    let first: Vec<i32> = (0..count(inputs)).collect();
    let second: Vec<i32> = (0..count(outputs))
        .map(|index| count(inputs) + index)
        .collect();
    writer.ints(graph_inputs, &first);
    writer.ints(graph_outputs, &second);
    let slot = writer.vector(operators, 1)[0];
    // opcode_index, inputs, outputs
    let table = writer.table(slot, &[Field::Int(0), Field::To, Field::To]);
    writer.ints(table[0], &first);
    writer.ints(table[1], &second);
    // The first buffer is empty, and every tensor without constant data names it.
    let slot = writer.vector(buffers, 1)[0];
    writer.table(slot, &[]);
    writer.0
}
