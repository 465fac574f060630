//! What commands other than `run` do with a board.

pub(crate) mod check;
pub(crate) mod output_trial;
pub(crate) mod schema;
pub(crate) mod snapshot;
