//! `pinsight check`: fits a profile to this machine and starts nothing.

use super::board_file::BoardFile;
use crate::appliance::{self, Failure, Found};
use crate::columns::wrap;
use crate::shown::ShownLines;
use clap::Args;

/// Arguments of `pinsight check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    board: BoardFile,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let fitted = appliance::fit(arguments.board.path())?;
    let mut text = format!("{}\n", fitted.budget);
    for warning in fitted.warnings() {
        add(&mut text, &format!("warning: {warning}"));
    }
    super::print::print(&text)?;
    // The table first: a refusal is easier to mend with the figures in view.
    if let Some(refusal) = fitted.refusal() {
        return Err(refusal);
    }
    let mut faults = Vec::new();
    match appliance::open_cameras(&fitted.board) {
        Ok(formats) => {
            for (camera, format) in fitted.board.cameras.iter().zip(formats) {
                let mut text = String::new();
                add(&mut text, &format!("camera {}: {format}", camera.name));
                super::print::print(&text)?;
            }
        }
        Err(failure) => faults.push(failure),
    }
    faults.extend(appliance::check_decoding(&fitted.board).err());
    // Outputs before models, as arming tries them.
    for output in &fitted.board.outputs {
        let found = appliance::check_output(output);
        tell(&format!("output {}", output.name), found, &mut faults)?;
    }
    for model in &fitted.board.models {
        let found = appliance::check_model(&fitted.board, model);
        tell(&format!("model {}", model.name), found, &mut faults)?;
    }
    if let Some(first) = faults.first() {
        let exit = first.exit;
        let messages: Vec<_> = faults.into_iter().map(|fault| fault.message).collect();
        return Err(Failure::new(exit, messages.join("\npinsight: ")));
    }
    super::print::print(&format!("board {} fits this machine\n", fitted.board.name))
}

/// Prints what was found, or keeps the fault.
fn tell(of: &str, found: Result<Found, Failure>, faults: &mut Vec<Failure>) -> Result<(), Failure> {
    match found {
        Ok(found) => {
            let mut text = String::new();
            add(&mut text, &format!("{of}: {}", found.what));
            for warning in found.warnings {
                add(&mut text, &format!("warning: {warning}"));
            }
            super::print::print(&ShownLines(text))?;
        }
        Err(failure) => faults.push(failure),
    }
    Ok(())
}

/// Adds a line, or several where it is too long for one.
fn add(text: &mut String, line: &str) {
    // A String takes everything.
    let _ = wrap(text, 0, 2, line);
}
