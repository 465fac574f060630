//! A model whose input is [1, height, width, 3] made into one of [1, 3, height, width], for the tests: what
//! exporters make of PyTorch's models.
//!
//! ```text
//! input [1, 3, h, w] -> TRANSPOSE -> the graph as it was
//! ```

use super::flatbuffer::{Field, NEW, Reader, To, Writer, next};
use super::{Model, engine_of, published};
use pinsight::profile::Delegate;
use pinsight::sys::tflite::TfliteEngine;

/// Of `builtin_ops.h`.
const TRANSPOSE: u8 = 39;
/// `TensorType` of the schema.
const FLOAT32: u8 = 0;
/// `TensorType` of the schema.
const INT32: u8 = 2;

/// A published model with an input of planes, ready to run on one thread.
pub fn engine(model: &Model, delegate: Delegate) -> TfliteEngine {
    engine_of(&with_planes(&published(model)), delegate)
}

/// The same model with an input of planes.
fn with_planes(model: &[u8]) -> Vec<u8> {
    let old = Reader(model);
    let root = old.target(0);
    let [To::Old(graph)] = old.tables(root, 2)[..] else {
        panic!("one subgraph")
    };
    let (mut codes, mut buffers) = (old.tables(root, 1), old.tables(root, 4));
    let (code, buffer) = (next(&codes), next(&buffers));
    codes.push(To::New);
    buffers.push(To::New);
    let mut tensors = old.tables(graph, 0);
    let (planes, order) = (next(&tensors), next(&tensors) + 1);
    let [pixels] = old.ints(graph, 1)[..] else {
        panic!("one input")
    };
    let To::Old(input) = tensors[usize::try_from(pixels).unwrap()] else {
        unreachable!()
    };
    let [1, height, width, 3] = old.ints(input, 0)[..] else {
        panic!("{:?}", old.ints(input, 0))
    };
    tensors.extend([To::New; 2]);
    let operators = [vec![To::New], old.tables(graph, 3)].concat();

    let mut new = Writer::new(model);
    // version, operator_codes, subgraphs, description, buffers, metadata_buffer, metadata
    let version = old.field(root, 0).map_or(3, |at| old.int(at));
    let kept = |index| old.same(root, index);
    let fields = [
        Field::Int(version),
        NEW,
        NEW,
        kept(3),
        NEW,
        kept(5),
        kept(6),
    ];
    let [codes_slot, graphs_slot, buffers_slot] = new.table(0, &fields)[..] else {
        unreachable!()
    };
    let slot = new.vector(codes_slot, &codes)[0];
    new.operator_code(slot, TRANSPOSE);
    let slot = new.vector(buffers_slot, &buffers)[0];
    let slot = new.table(slot, &[NEW])[0];
    new.data(slot, &[0, 2, 3, 1]);
    let slot = new.vector(graphs_slot, &[To::New])[0];
    // tensors, inputs, outputs, operators, name
    let fields = [NEW, NEW, old.same(graph, 2), NEW, old.same(graph, 4)];
    let [tensors_slot, inputs_slot, operators_slot] = new.table(slot, &fields)[..] else {
        unreachable!()
    };
    let slots = new.vector(tensors_slot, &tensors);
    for (slot, shape, kind, buffer, name) in [
        (slots[0], &[1, 3, height, width][..], FLOAT32, 0, "planes"),
        (slots[1], &[4], INT32, buffer, "order"),
    ] {
        // shape, type, buffer (the first is empty), name
        let fields = [NEW, Field::Byte(kind), Field::Int(buffer), NEW];
        let slots = new.table(slot, &fields);
        new.ints(slots[0], shape);
        new.text(slots[1], name);
    }
    new.ints(inputs_slot, &[planes]);
    let slot = new.vector(operators_slot, &operators)[0];
    // opcode_index, inputs, outputs
    let slots = new.table(slot, &[Field::Int(code), NEW, NEW]);
    new.ints(slots[0], &[planes, order]);
    new.ints(slots[1], &[pixels]);
    new.finish(model)
}
