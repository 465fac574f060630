//! Rules for text: names, labels, paths, digests.

use super::{Refused, Rule, describe};
use crate::limits::MAX_NAME;
use crate::profile::{ControlSetting, ControlValue};
use toml::de::DeValue;

/// Longest path that is accepted, the kernel's PATH_MAX.
const MAX_PATH_BYTES: usize = 4096;

/// Text that a test accepts.
pub(in crate::profile) struct Text {
    expected: &'static str,
    test: fn(&str) -> bool,
}

impl Rule for Text {
    type Out = String;
    fn expected(&self) -> String {
        self.expected.into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<String, Refused> {
        let text = value
            .as_str()
            .filter(|text| (self.test)(text))
            .ok_or_else(Refused::default)?;
        Ok(text.to_owned())
    }
}

/// A name: short, and without anything that a log line, a file name or JSON would have to escape.
pub(in crate::profile) fn name() -> Text {
    Text {
        expected: "a name of 1 to 48 letters a-z A-Z, digits, `-`, `_` and `.`",
        test: |text| {
            (1..=MAX_NAME).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        },
    }
}

/// What a person reads as a class.
pub(in crate::profile) fn label() -> Text {
    Text {
        expected: "text of 1 to 48 bytes without control characters",
        test: |text| (1..=MAX_NAME).contains(&text.len()) && !text.chars().any(char::is_control),
    }
}

/// A path to a file.
pub(in crate::profile) fn path() -> Text {
    Text {
        expected: "a path; a relative one starts at this file's directory",
        test: is_path,
    }
}

/// A device, by its path or by what it says of itself.
pub(in crate::profile) fn device() -> Text {
    Text {
        expected: "an absolute path of a device, `card:NAME` or `bus:NAME`",
        test: |text| {
            let name = text
                .strip_prefix("card:")
                .or_else(|| text.strip_prefix("bus:"));
            is_path(text) && name.map_or(text.starts_with('/'), |name| !name.is_empty())
        },
    }
}

/// A device by its path.
pub(in crate::profile) fn node() -> Text {
    Text {
        expected: "an absolute path of a device",
        test: |text| is_path(text) && text.starts_with('/'),
    }
}

fn is_path(text: &str) -> bool {
    (1..MAX_PATH_BYTES).contains(&text.len()) && !text.contains('\0')
}

/// Controls of a camera, each with its value.
pub(in crate::profile) struct Controls;

impl Rule for Controls {
    type Out = Vec<ControlSetting>;
    fn expected(&self) -> String {
        "a table of controls, each a whole number, true or false, or the name of a menu's item"
            .into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<Self::Out, Refused> {
        let table = value.as_table().ok_or_else(Refused::default)?;
        let mut out = Vec::new();
        for (name, value) in table {
            let wrong = || Refused {
                span: Some(value.span()),
                found: Some(format!(
                    "{} = {}",
                    name.get_ref(),
                    describe(value.get_ref())
                )),
                hint: None,
            };
            let value = match value.get_ref() {
                DeValue::Boolean(truth) => ControlValue::Number((*truth).into()),
                DeValue::String(item) => ControlValue::Item(item.clone().into_owned()),
                DeValue::Integer(number) => ControlValue::Number(
                    i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| wrong())?,
                ),
                _ => return Err(wrong()),
            };
            out.push(ControlSetting {
                name: name.get_ref().clone().into_owned(),
                value,
            });
        }
        Ok(out)
    }
}

/// The SHA-256 of a file.
pub(in crate::profile) struct Sha256;

impl Rule for Sha256 {
    type Out = [u8; 32];
    fn expected(&self) -> String {
        "64 hexadecimal digits, as `sha256sum` prints them".into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<[u8; 32], Refused> {
        let text = value.as_str().ok_or_else(Refused::default)?;
        if text.len() != 64 {
            let found = format!("text of {} characters", text.chars().count());
            return Err(Refused {
                found: Some(found),
                ..Refused::default()
            });
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| {
                char::from(pair[at])
                    .to_digit(16)
                    .and_then(|d| u8::try_from(d).ok())
            };
            let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                return Err(Refused::default());
            };
            *byte = high << 4 | low;
        }
        Ok(digest)
    }
}
