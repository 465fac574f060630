//! Tiny models, for the faults that no published model has.

use super::flatbuffer::{Field, NEW, To, Writer};

/// Codes of operators: of `builtin_ops.h`.
pub const ADD: u8 = 0;
pub const DEQUANTIZE: u8 = 6;
pub const CALL: u8 = 31;
pub const CAST: u8 = 53;
pub const COS: u8 = 108;
pub const WHERE: u8 = 109;

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

/// A model of one operator, which takes `inputs` and gives `outputs`.
pub fn model(operator: u8, inputs: &[Tensor<'_>], outputs: &[Tensor<'_>]) -> Vec<u8> {
    model_beside(operator, inputs, outputs, None)
}

/// The same with data that no tensor names, at an offset of the file and with a size.
pub fn model_beside(
    operator: u8,
    inputs: &[Tensor<'_>],
    outputs: &[Tensor<'_>],
    beside: Option<(u64, u64)>,
) -> Vec<u8> {
    let mut file = Writer::empty();
    // version, operator_codes, subgraphs, description, buffers
    let slots = file.table(0, &[Field::Int(3), NEW, NEW, Field::Absent, NEW]);
    let [codes, graphs, buffers] = slots[..] else {
        unreachable!()
    };
    let slot = file.vector(codes, &[To::New])[0];
    file.operator_code(slot, operator);
    let slot = file.vector(graphs, &[To::New])[0];
    // tensors, inputs, outputs, operators
    let [tensors, graph_inputs, graph_outputs, operators] = file.table(slot, &[NEW; 4])[..] else {
        unreachable!()
    };
    let all: Vec<_> = inputs.iter().chain(outputs).collect();
    let slots = file.vector(tensors, &vec![To::New; all.len()]);
    for (slot, tensor) in slots.into_iter().zip(all) {
        // shape, type, buffer, name
        let fields = [NEW, Field::Byte(tensor.kind), Field::Int(0), NEW];
        let slots = file.table(slot, &fields);
        file.ints(slots[0], tensor.shape);
        file.text(slots[1], tensor.name);
    }
    let numbers = |first: usize, tensors: &[Tensor<'_>]| -> Vec<i32> {
        let numbers = first..first + tensors.len();
        numbers
            .map(|number| i32::try_from(number).unwrap())
            .collect()
    };
    let (first, second) = (numbers(0, inputs), numbers(inputs.len(), outputs));
    file.ints(graph_inputs, &first);
    file.ints(graph_outputs, &second);
    let slot = file.vector(operators, &[To::New])[0];
    // opcode_index, inputs, outputs
    let slots = file.table(slot, &[Field::Int(0), NEW, NEW]);
    file.ints(slots[0], &first);
    file.ints(slots[1], &second);
    // The first buffer is empty, and every tensor without constant data names it.
    let elements = vec![To::New; 1 + usize::from(beside.is_some())];
    let slots = file.vector(buffers, &elements);
    file.table(slots[0], &[]);
    if let Some((offset, size)) = beside {
        // data, offset, size
        file.longs(slots[1], &[None, Some(offset), Some(size)]);
    }
    file.into_bytes()
}
