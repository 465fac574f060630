//! Values and lists of words as messages quote them.

use toml::Spanned;
use toml::de::DeValue;

/// Longest excerpt of a value in a message.
const MAX_EXCERPT: usize = 40;
/// Longest word that can be meant for another one: twice the longest name.
pub const MAX_MEANT_BYTES: usize = 96;

/// A value as it is quoted in a message.
pub fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => excerpt(&number.to_string()),
        DeValue::Float(number) => excerpt(&number.to_string()),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date or time".into(),
        DeValue::Array(array) if array.is_empty() => "an empty array".into(),
        DeValue::Array(array) => format!("an array of {}", array.len()),
        DeValue::Table(_) => "a table".into(),
    }
}

/// The elements of an array, the first four of them.
pub fn elements(array: &[Spanned<DeValue<'_>>]) -> String {
    let shown = array
        .iter()
        .take(4)
        .map(|element| describe(element.get_ref()));
    let shown: Vec<String> = shown.collect();
    let more = if array.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    format!("[{}{more}]", shown.join(", "))
}

/// Text in quotes, without control characters, cut when it is long.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", printable(text))
}

/// Text without control characters, cut when it is long. Only its beginning is looked at: a value may be a megabyte.
pub fn printable(text: &str) -> String {
    let beginning: String = text.chars().take(MAX_EXCERPT + 1).collect();
    excerpt(&beginning.escape_debug().to_string())
}

fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_EXCERPT) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

/// The first eight of these words in quotes.
pub fn some_quoted<'a>(words: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 8;
    let more = if words.len() > SHOWN { ", …" } else { "" };
    let shown: Vec<String> = words.take(SHOWN).map(quoted).collect();
    format!("{}{more}", shown.join(", "))
}

/// Words of this program's own, in quotes.
pub fn in_quotes<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words
        .into_iter()
        .map(|word| format!("\"{word}\""))
        .collect()
}

/// "a, b or c".
pub fn alternatives(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The candidate that `word` most likely means, if one is close.
///
/// # Source
/// Jaro-Winkler similarity favours a common beginning, which is what a forgotten unit leaves.
pub fn similar<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this a guess misleads more often than it helps.
    const CLOSE: f64 = 0.82;
    if word.len() > MAX_MEANT_BYTES {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['_', ' '], "-");
    let word = plain(word);
    let scores = candidates
        .into_iter()
        .map(|each| (strsim::jaro_winkler(&word, &plain(each)), each));
    let close = scores.filter(|(score, _)| *score >= CLOSE);
    close
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
