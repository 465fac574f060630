//! What runs a model's graph.

use super::digest::sha256;
use crate::profile::reader::Table;
use crate::profile::reader::text::quoted;
use crate::profile::reader::values::{
    Refused, ValueParser, choice, entries, path, words, wrong_entry,
};
use std::path::PathBuf;
use toml::de::DeValue;

/// `delegate` of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delegate {
    /// XNNPACK.
    Xnnpack,
    /// The built-in kernels.
    None,
    /// One that is loaded from a file.
    Plugin(Plugin),
}

/// `delegate = { plugin = …, sha256 = …, options = { … } }` of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The shared library.
    pub path: PathBuf,
    /// Expected SHA-256 of that file.
    pub sha256: [u8; 32],
    /// What is handed to it, as text.
    pub options: Vec<(String, String)>,
}

words! {
    /// `on-failure` of a model: what becomes of a delegate that fails while arming.
    pub enum OnFailure {
        /// Do not start; report why it failed.
        Refuse = "refuse",
        /// Start with the built-in kernels; reported, and in the proof.
        Builtin = "builtin",
    }
}

impl Delegate {
    pub(super) fn read(t: &mut Table<'_>) -> Self {
        match t.or("delegate", delegate(), "\"xnnpack\"") {
            Self::Plugin(plugin) => Self::Plugin(Plugin {
                path: t.join(&plugin.path.to_string_lossy()),
                ..plugin
            }),
            other => other,
        }
    }
}

/// A delegate's name, or a table that names its library. The library's path is as it stands there.
fn delegate() -> ValueParser<Delegate> {
    const EXPECTED: &str = "\"xnnpack\", \"none\" or a table { plugin = PATH, sha256 = DIGEST, options = { NAME = VALUE } }";
    /// The delegates that need no library of their own.
    const WORDS: &[(&str, bool)] = &[("xnnpack", true), ("none", false)];
    ValueParser::new(EXPECTED, |value| match value {
        DeValue::Table(_) => plugin(value).map(Delegate::Plugin),
        word => choice(WORDS).parse(word).map(|xnnpack| {
            if xnnpack {
                Delegate::Xnnpack
            } else {
                Delegate::None
            }
        }),
    })
}

fn plugin(value: &DeValue<'_>) -> Result<Plugin, Refused> {
    let (mut library, mut digest, mut options) = (None, None, Vec::new());
    for (key, value) in value.as_table().ok_or_else(Refused::default)? {
        let key: &str = key.get_ref();
        let wrong = |_| wrong_entry(&quoted(key), value);
        match key {
            "plugin" => library = Some(path().parse(value.get_ref()).map_err(wrong)?),
            "sha256" => digest = Some(sha256().parse(value.get_ref()).map_err(wrong)?),
            "options" if value.get_ref().is_table() => {
                let option =
                    |name: &str, value: &DeValue<'_>| Some((name.to_owned(), plain(value)?));
                options = entries("", quoted, option).parse(value.get_ref())?;
            }
            _ => return Err(wrong(Refused::default())),
        }
    }
    let path = library
        .ok_or_else(|| Refused::found("a table without `plugin`"))?
        .into();
    let sha256 = digest.ok_or_else(|| Refused::found("a table without `sha256`"))?;
    Ok(Plugin {
        path,
        sha256,
        options,
    })
}

/// The value of an option: a plugin takes text only.
fn plain(value: &DeValue<'_>) -> Option<String> {
    let text = match value {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.contains('\0'))
}
