//! JSON Schema of what a run writes, derived from the structs that are written.

use crate::appliance::prepare::line_file::ResultLine;
use crate::appliance::report::proof::Proof;
use crate::appliance::shared::event_line::EventLine;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

/// What a run writes as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// A line of `--results`.
    Results,
    /// A line of `--events`.
    Events,
    /// The file of `--proof`.
    Proof,
}

/// Its schema (draft 2020-12).
#[must_use]
pub fn schema(document: Document) -> Schema {
    match document {
        Document::Results => schema_of::<ResultLine<'_>>(),
        Document::Events => schema_of::<EventLine<'_>>(),
        Document::Proof => schema_of::<Proof>(),
    }
}

/// The schema of a type as it is written.
pub fn schema_of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<T>()
}
