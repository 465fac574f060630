//! `controls` of a camera.

use crate::profile::reader::text::printable;
use crate::profile::reader::values::{ValueParser, entries, integer};
use std::fmt;
use toml::de::DeValue;

/// One key of `controls` of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSetting {
    /// V4L2's name in small letters, with `-` between words.
    pub name: String,
    /// What it is to be.
    pub value: ControlValue,
}

/// The value of a control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlValue {
    /// A number; `true` is 1 and `false` is 0.
    Number(i64),
    /// The name of a menu's item.
    Item(String),
}

impl fmt::Display for ControlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Item(name) => write!(f, "\"{name}\""),
        }
    }
}

/// Controls, each with its value.
pub fn controls() -> ValueParser<Vec<ControlSetting>> {
    const EXPECTED: &str =
        "a table of controls, each a whole number, true or false, or the name of a menu's item";
    entries(EXPECTED, printable, |name, value| {
        let value = match value {
            DeValue::Boolean(truth) => ControlValue::Number((*truth).into()),
            DeValue::String(item) => ControlValue::Item(item.clone().into_owned()),
            other => ControlValue::Number(integer(other)?),
        };
        Some(ControlSetting {
            name: name.to_owned(),
            value,
        })
    })
}
