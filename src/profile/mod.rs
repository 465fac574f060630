//! The board profile: what one board is to do, read from TOML and checked whole.
//!
//! Answers for: every key's name, unit, range, default and error. Does not answer for: whether a machine has what the
//! profile names (`resources`), or whether a camera or model exists (`appliance`). `boards/README.md` is the reference
//! for the people who write profiles.
//!
//! There is one file for each table, with its struct, its keys and its checks: a key is one line there and one row in
//! the reference. A check of several tables stands with the one that names the others. `reader` is underneath and knows
//! nothing of cameras.
//!
//! ```text
//! board ─► output ─► rule ─► zone, line ─► picture ─► camera
//!                      └───► worker ─► model, camera
//!                                all ─► reader
//! ```

mod board;
mod camera;
mod capture;
mod core;
mod files;
pub mod geometry;
mod health;
mod housekeeping;
mod line;
mod memory;
mod model;
mod output;
mod picture;
mod promises;
mod reader;
mod rule;
mod tracker;
mod worker;
mod zone;

pub use board::{AbsentCore, Board, key_list, load, read};
pub use camera::{
    AbsentCamera, Camera, Container, ControlSetting, ControlValue, Feed, Io, Rotate, Source, View,
    camera_slots, tap,
};
pub use capture::Capture;
pub use health::Health;
pub use housekeeping::Housekeeping;
pub use line::Tripwire;
pub use memory::{HUGEPAGE_SIZES_KIB, Memory, OnShortage};
pub use model::{
    BoxUnit, Channels, ClassThreshold, Decoder, Delegate, Fit, InputRange, Model, OnFailure,
    Plugin, Resample, Scores, Within,
};
pub use output::{Delivery, GpioMode, Output};
pub use promises::Promises;
pub use reader::{Absent, Fault, Hint, KeyDoc, KeyPlace, LoadError, Places, Problem};
pub use rule::{Anchor, Direction, Rule, RuleKind, Span};
pub use tracker::Tracker;
pub use worker::{Wait, Worker};
pub use zone::Zone;
