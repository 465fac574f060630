//! A float32 model made into one whose input and outputs are float16, for the tests: no model like that is in
//! a package registry.
//!
//! ```text
//! input float16 -> DEQUANTIZE -> the graph as it was -> CAST -> each output float16
//! ```

use super::flatbuffer::{Field, NEW, Reader, To, Writer, next};
use super::{Model, engine_of, published};
use pinsight::profile::Delegate;
use pinsight::sys::tflite::TfliteEngine;

/// Of `builtin_ops.h`.
const DEQUANTIZE: u8 = 6;
/// Of `builtin_ops.h`.
const CAST: u8 = 53;
/// `TensorType` of the schema.
const FLOAT16: u8 = 1;

/// The bytes of a published model, with float16 at both ends.
pub fn bytes(model: &Model) -> Vec<u8> {
    with_float16_ends(&published(model))
}

/// The same, ready to run on one thread.
pub fn engine(model: &Model, delegate: Delegate) -> TfliteEngine {
    engine_of(&bytes(model), delegate)
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

    let mut new = Writer::new(model);
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
        new.operator_code(slot, code);
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
    new.finish(model)
}
