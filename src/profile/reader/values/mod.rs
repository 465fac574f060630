//! What a key takes: each parser states it in words, and reads a TOML value by it.

mod lists;
mod numbers;
mod parser;
mod words;

pub use lists::{array, distinct, entries, list, wrong_entry};
pub use numbers::{
    even, float, integer, one_of, or_zero, power_of_two, real, share, single, whole,
};
pub use parser::{Refused, ValueParser};
pub(in crate::profile) use words::words;
pub use words::{choice, device_node, is_path, label, name, path, text, truth};
