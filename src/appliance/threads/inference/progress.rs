//! What an inference thread reports while it arms.

use crate::appliance::exit::Failure;

/// A report to whoever arms it.
pub(crate) enum Progress {
    /// One more step is done: a model is loaded, or warm for one camera.
    Step,
    /// It got less than was asked for, in words.
    Less(String),
    /// It is ready, or cannot be.
    Ready(Result<(), Failure>),
}
