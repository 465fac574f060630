//! Text from outside (a file's names, what a driver or a model says of itself) as a terminal and the journal may have it.
//!
//! A name may carry escape sequences that clear the screen or set its title, characters that turn the order of what
//! follows around, and line breaks that begin a line of their own. Here they stand as `\u{1b}` and the like.

use std::fmt::{self, Display, Formatter, Write};

/// On one line: line breaks are shown too.
#[derive(Clone, Copy, Debug)]
pub struct Shown<T>(pub T);

/// A text of several lines, whose line breaks stay.
#[derive(Clone, Copy, Debug)]
pub struct ShownLines<T>(pub T);

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Plain { f, lines: false }, "{}", self.0)
    }
}

impl<T: Display> Display for ShownLines<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Plain { f, lines: true }, "{}", self.0)
    }
}

/// Hands on what is printable, and the rest by its number.
struct Plain<'a, 'f> {
    f: &'a mut Formatter<'f>,
    lines: bool,
}

impl Write for Plain<'_, '_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        let lines = self.lines;
        let bad = |c: char| acts(c) && !(lines && c == '\n');
        while let Some((at, c)) = text.char_indices().find(|(_, c)| bad(*c)) {
            self.f.write_str(&text[..at])?;
            write!(self.f, "{}", c.escape_unicode())?;
            text = &text[at + c.len_utf8()..];
        }
        self.f.write_str(text)
    }
}

/// Whether a character does something instead of being seen: control characters (C1, which begin escape sequences in one
/// byte, among them), what orders writing from right to left, breaks of lines and paragraphs, what is invisible.
///
/// # Source
/// Unicode 16: general categories Cc, Zl and Zp; `Bidi_Control`; of Cf what has no width and joins nothing, the tags
/// included. Joiners of letters (U+200C, U+200D) are part of words.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::{Shown, ShownLines, acts};

    #[test]
    fn nothing_that_acts_is_left_and_all_else_is() {
        let forged = "a\u{1b}[2Jb\u{9b}1mc\u{202e}d\ne\r\u{7f}é क्षि";
        let shown = Shown(forged).to_string();
        assert_eq!(
            shown,
            "a\\u{1b}[2Jb\\u{9b}1mc\\u{202e}d\\u{a}e\\u{d}\\u{7f}é क्षि"
        );
        assert!(!shown.chars().any(acts));
        assert_eq!(ShownLines("a\nb\t").to_string(), "a\nb\\u{9}");
        assert_eq!(Shown("it's \"plain\" \\").to_string(), "it's \"plain\" \\");
    }
}
