//! `pinsight output`: an output tried by hand.

use crate::appliance::{self, Failure};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `pinsight output`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Board profile (TOML)
    #[arg(long, value_name = "FILE")]
    board: PathBuf,
    /// The output's name in the profile. A GPIO line goes on for its pulse-ms, or for a second with
    /// mode = "level"; a serial line gets an event of the rule "test"
    name: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let done = appliance::try_output(&arguments.board, &arguments.name)?;
    super::print::print(&format!("output {}: {done}\n", arguments.name))
}
