//! `pinsight try-model`: what `check` and `run` start to try a model in a process of its own. Not for people.

use crate::appliance::{self, Failure};
use crate::sys::service::termination::exit_now;

pub(super) fn run() -> Result<(), Failure> {
    appliance::try_model()?;
    // What the model left is not taken apart: that it was made is the answer.
    exit_now(0)
}
