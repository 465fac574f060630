//! `pinsight check`: fits a profile to this machine and starts nothing.

use crate::appliance::{self, Exit, Failure};
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Arguments of `pinsight check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Board profile (TOML)
    #[arg(long, value_name = "FILE")]
    board: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let fitted = appliance::fit(&arguments.board)?;
    let mut text = format!("{}\n", fitted.budget);
    for warning in fitted.warnings() {
        let _ = writeln!(text, "warning: {warning}");
    }
    super::print(&text)?;
    // The table first: a refusal is easier to mend with the figures in view.
    if let Some(refusal) = fitted.refusal() {
        return Err(refusal);
    }
    let mut faults = Vec::new();
    let mut exit = Exit::Camera;
    match appliance::open_cameras(&fitted.board) {
        Ok(formats) => {
            for (camera, format) in fitted.board.cameras.iter().zip(formats) {
                super::print(&format!("camera {}: {format}\n", camera.name))?;
            }
        }
        Err(failure) => faults.push(failure.message),
    }
    if let Err(failure) = appliance::check_decoding(&fitted.board) {
        if faults.is_empty() {
            exit = failure.exit;
        }
        faults.push(failure.message);
    }
    for model in &fitted.board.models {
        match appliance::check_model(model) {
            Ok(()) => super::print(&format!(
                "model {}: its file is the expected one\n",
                model.name
            ))?,
            Err(failure) => {
                if faults.is_empty() {
                    exit = failure.exit;
                }
                faults.push(failure.message);
            }
        }
    }
    for output in &fitted.board.outputs {
        match appliance::check_output(output) {
            Ok(found) => {
                let mut text = format!("output {}: {}\n", output.name, found.what);
                for warning in found.warnings {
                    let _ = writeln!(text, "warning: {warning}");
                }
                super::print(&text)?;
            }
            Err(failure) => {
                if faults.is_empty() {
                    exit = failure.exit;
                }
                faults.push(failure.message);
            }
        }
    }
    if !faults.is_empty() {
        return Err(Failure::new(exit, faults.join("\npinsight: ")));
    }
    super::print(&format!("board {} fits this machine\n", fitted.board.name))
}
