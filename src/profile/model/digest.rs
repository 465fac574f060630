//! `sha256` of a model and of a delegate's library.

use crate::profile::reader::values::{Refused, ValueParser};

/// The SHA-256 of a file.
pub(super) fn sha256() -> ValueParser<[u8; 32]> {
    const EXPECTED: &str = "64 hexadecimal digits, as `sha256sum` prints them";
    ValueParser::new(EXPECTED, |value| {
        let text = value.as_str().ok_or_else(Refused::default)?;
        if text.len() != 64 {
            let count = text.chars().count();
            return Err(Refused::found(format!("text of {count} characters")));
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = pair.iter().map(|digit| char::from(*digit).to_digit(16));
            let number = digits.reduce(|high, low| Some(high? << 4 | low?)).flatten();
            let number = number.and_then(|number| u8::try_from(number).ok());
            *byte = number.ok_or_else(Refused::default)?;
        }
        Ok(digest)
    })
}
