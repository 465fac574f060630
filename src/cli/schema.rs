//! `pinsight schema`: JSON Schema of what is written.

use super::recorded::RecordLine;
use crate::appliance::{self, Document, Exit, Failure};
use clap::{Args, ValueEnum};

/// Arguments of `pinsight schema`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What it describes
    #[arg(value_enum)]
    of: Of,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// A line of `run --results`
    Results,
    /// A line of `run --events`
    Events,
    /// The file of `run --proof`
    Proof,
    /// A line of `results --format jsonl`
    Recording,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let schema = match arguments.of {
        Of::Results => appliance::schema(Document::Results),
        Of::Events => appliance::schema(Document::Events),
        Of::Proof => appliance::schema(Document::Proof),
        Of::Recording => appliance::schema_of::<RecordLine<'_>>(),
    };
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| Failure::new(Exit::Internal, format!("schema: {error}")))?;
    super::print::print(&format!("{text}\n"))
}
