//! The board that a command is about: `pinsight run FILE`, or `--board FILE`.

use crate::appliance::{Exit, Failure};
use clap::Args;
use std::path::{Path, PathBuf};

/// A board profile, named in one of two ways.
#[derive(Debug, Args)]
#[group(id = "board-file", required = true, multiple = false)]
pub(super) struct BoardFile {
    /// Board profile (TOML); boards/README.md explains every key
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same, as an option
    #[arg(long, value_name = "FILE")]
    board: Option<PathBuf>,
}

impl BoardFile {
    pub(super) fn path(&self) -> &Path {
        // One of both is there: the group is required.
        let named = self.file.as_deref().or(self.board.as_deref());
        named.unwrap_or(Path::new(""))
    }
}

/// A board and one thing more, as in `pinsight snapshot FILE OUT` or `pinsight snapshot --board FILE OUT`. clap has no
/// words for a first argument that an option may stand for.
#[derive(Debug, Args)]
pub(super) struct BoardAnd {
    /// Board profile (TOML), where it is not the first argument
    #[arg(long, value_name = "FILE")]
    board: Option<PathBuf>,
}

impl BoardAnd {
    /// The board, and the thing, which `names` has behind it. `what` it is called in the usage.
    pub(super) fn split<'n>(
        &'n self,
        names: &'n [PathBuf],
        what: &str,
    ) -> Result<(&'n Path, &'n Path), Failure> {
        match (&self.board, names) {
            (None, [board, thing]) | (Some(board), [thing]) => Ok((board, thing)),
            _ => {
                let found = names.len();
                let expected = match self.board {
                    Some(_) => format!("{what} alone, as --board names the board"),
                    None => format!("the board FILE and {what}"),
                };
                let message =
                    format!("found {found} arguments beside the options, expected {expected}");
                Err(Failure::new(Exit::Usage, message))
            }
        }
    }
}
