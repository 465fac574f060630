//! `pinsight output`: an output tried by hand.

use super::board_file::BoardAnd;
use crate::appliance::{self, Failure};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `pinsight output`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    board: BoardAnd,
    /// The board, and the output's name in it. A GPIO line goes on for its pulse-ms, or for a second with
    /// mode = "level"; a serial line gets an event of the rule "test"
    #[arg(value_names = ["FILE", "NAME"], required = true, num_args = 1..=2)]
    names: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (board, name) = arguments.board.split(&arguments.names, "NAME")?;
    let name = name.to_string_lossy();
    let done = appliance::try_output(board, &name)?;
    super::print::print(&format!("output {name}: {done}\n"))
}
