//! The rule for what runs a model's graph: a word, or a library with its options.

use super::{Refused, Rule, describe, quoted, similar};
use crate::profile::fault::Hint;
use crate::profile::rules::path;
use crate::profile::{Delegate, Plugin};
use toml::Spanned;
use toml::de::DeValue;

/// The delegates that need no library of their own.
const WORDS: &[(&str, Delegate)] = &[("xnnpack", Delegate::Xnnpack), ("none", Delegate::None)];

/// A delegate's name, or a table that names its library. The library's path is as it stands there.
pub(in crate::profile) struct DelegateOrPlugin;

impl Rule for DelegateOrPlugin {
    type Out = Delegate;
    fn expected(&self) -> String {
        "\"xnnpack\", \"none\" or a table { plugin = PATH, options = { NAME = VALUE } }".into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<Delegate, Refused> {
        if let Some(text) = value.as_str() {
            let found = WORDS.iter().find(|(word, _)| *word == text);
            return found.map(|(_, out)| out.clone()).ok_or_else(|| Refused {
                hint: similar(text, WORDS.iter().map(|(word, _)| *word))
                    .map(|word| Hint::Similar(word.into())),
                ..Refused::default()
            });
        }
        let table = value.as_table().ok_or_else(Refused::default)?;
        let mut found = None;
        let mut options = Vec::new();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "plugin" => {
                    let path = path().take(value.get_ref());
                    found = Some(path.map_err(|_| wrong("plugin", value))?);
                }
                "options" => {
                    let table = value.get_ref().as_table();
                    for (name, value) in table.ok_or_else(|| wrong("options", value))? {
                        let name: &str = name.get_ref().as_ref();
                        let text = text(value.get_ref()).filter(|text| !text.contains('\0'));
                        options.push((name.to_owned(), text.ok_or_else(|| wrong(name, value))?));
                    }
                }
                other => return Err(wrong(other, value)),
            }
        }
        Ok(Delegate::Plugin(Plugin {
            path: found
                .ok_or_else(|| Refused {
                    found: Some("a table without `plugin`".into()),
                    ..Refused::default()
                })?
                .into(),
            options,
        }))
    }
}

/// What a plugin is told: it takes text only.
fn text(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        _ => return None,
    })
}

fn wrong(key: &str, value: &Spanned<DeValue<'_>>) -> Refused {
    Refused {
        span: Some(value.span()),
        found: Some(format!("{} = {}", quoted(key), describe(value.get_ref()))),
        hint: None,
    }
}
