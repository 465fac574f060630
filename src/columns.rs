//! Text in columns of a terminal: cut to a width, and lines wrapped at one.

use std::fmt::{self, Display, Formatter, Write};

/// Columns that every table and every line of prose has at most.
pub const COLUMNS: usize = 80;

/// Columns that a character takes. The wide ones are those of East Asian scripts and emoji, by their blocks
/// (Unicode Annex 11); what takes none is counted as one.
#[must_use]
pub fn columns_of(character: char) -> usize {
    let is_wide = matches!(
        character,
        '\u{1100}'..='\u{115f}'
            | '\u{2e80}'..='\u{303e}'
            | '\u{3041}'..='\u{a4cf}'
            | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe6f}'
            | '\u{ff00}'..='\u{ff60}'
            | '\u{1f300}'..='\u{1faff}'
            | '\u{20000}'..='\u{3fffd}'
    );
    1 + usize::from(is_wide)
}

/// Text in so many columns: filled up with blanks, or shortened with `…`. What would move the cursor is a blank.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a>(pub &'a str, pub usize);

impl Display for Cell<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(text, columns) = *self;
        let mut left = columns;
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            let width = columns_of(character);
            let is_last = rest.peek().is_none();
            // One column stays for the mark, unless nothing follows.
            if width + usize::from(!is_last) > left {
                if left > 0 {
                    f.write_char('…')?;
                    left -= 1;
                }
                break;
            }
            f.write_char(if character.is_control() {
                ' '
            } else {
                character
            })?;
            left -= width;
        }
        (0..left).try_for_each(|_| f.write_char(' '))
    }
}

/// Writes text in lines of at most [`COLUMNS`], each but the first behind `indent` blanks; `used` columns of the first
/// one are taken. It breaks at blanks only, and not within what stands between backquotes: a word or a command that is
/// longer has a line of its own.
///
/// # Errors
/// Those of `to`.
pub fn wrap(to: &mut impl Write, used: usize, indent: usize, text: &str) -> fmt::Result {
    let mut column = used;
    let mut is_quoted = false;
    let break_here = |c: char| {
        is_quoted ^= c == '`';
        c == ' ' && !is_quoted
    };
    let mut is_first = true;
    for word in text.split(break_here) {
        let width: usize = word.chars().map(columns_of).sum();
        if is_first {
            is_first = false;
        } else if column + 1 + width > COLUMNS {
            write!(to, "\n{:indent$}", "")?;
            column = indent;
        } else {
            to.write_char(' ')?;
            column += 1;
        }
        to.write_str(word)?;
        column += width;
    }
    to.write_char('\n')
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Cell, wrap};

    #[test]
    fn a_cell_has_its_columns_whatever_is_in_it() {
        assert_eq!(Cell("gate", 6).to_string(), "gate  ");
        assert_eq!(Cell("gate", 4).to_string(), "gate");
        assert_eq!(Cell("gates", 4).to_string(), "gat…");
        assert_eq!(Cell("größer", 5).to_string(), "größ…");
        assert_eq!(Cell("門口", 4).to_string(), "門口");
        assert_eq!(Cell("門口", 3).to_string(), "門…");
        assert_eq!(Cell("門口", 2).to_string(), "… ");
        assert_eq!(Cell("a\x1b[2J", 5).to_string(), "a [2J");
        assert_eq!(Cell("gate", 1).to_string(), "…");
        assert_eq!(Cell("gate", 0).to_string(), "");
        assert_eq!(Cell("", 2).to_string(), "  ");
    }

    #[test]
    fn prose_is_wrapped_at_blanks_and_commands_stay_whole() {
        let text = "word ".repeat(30) + "`a command of words` end";
        let mut lines = String::from("note: ");
        wrap(&mut lines, 6, 6, &text).unwrap();
        assert!(lines.lines().all(|line| line.len() <= COLUMNS), "{lines}");
        assert!(
            lines.lines().skip(1).all(|line| line.starts_with("      ")),
            "{lines}"
        );
        assert!(lines.contains("`a command of words`"), "{lines}");
        let words: Vec<_> = lines.split_whitespace().collect();
        assert_eq!(words.join(" "), format!("note: {text}"));
        let long = "x".repeat(100);
        let mut lines = String::new();
        wrap(&mut lines, 0, 2, &format!("a {long} b")).unwrap();
        assert_eq!(lines, format!("a\n  {long}\n  b\n"));
    }
}
