//! Log lines: one write(2) each to standard error, from a buffer on the stack. Never allocates, and never
//! waits for a reader: a line that a full pipe does not take is lost.
//!
//! Where standard error is not a terminal, lines carry the priority prefix that journald reads
//! (`<3>` and the like, sd-daemon(3)); on a terminal the level is a word.
#![allow(unsafe_code)]

use crate::shown::ShownLines;
use crate::sync::{AtomicBool, Ordering};
use crate::sys::io::poll::{PIPE_BUF, is_writable};
use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::libc;
use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;

/// Bytes of the longest line, its line end included. journald and pipes take this in one piece
/// (PIPE_BUF is 4096).
pub const LINE_BYTES: usize = 1024;

/// What stands at the end of a line that did not fit.
const CUT: &str = " [cut]";

const _: () = assert!(LINE_BYTES <= PIPE_BUF);

/// How the level of a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `<3>`: for journald.
    Priority,
    /// `error: `: for people.
    Word,
}

static LOGGER: StderrLogger = StderrLogger {
    words: AtomicBool::new(false),
};

struct StderrLogger {
    words: AtomicBool,
}

/// Makes `log`'s macros write to standard error. A second call only changes the level.
pub fn init(level: LevelFilter) {
    LOGGER
        .words
        .store(std::io::stderr().is_terminal(), Ordering::Relaxed);
    // An error means that a logger is set already; it is this one, nobody else sets one.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
}

impl Log for StderrLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let style = if self.words.load(Ordering::Relaxed) {
            Style::Word
        } else {
            Style::Priority
        };
        let line = LogLine::new(style, record.level(), *record.args());
        if is_writable(std::io::stderr().as_fd()) {
            let bytes = line.as_bytes();
            // SAFETY: the buffer is live and `bytes.len()` long. Standard error may be closed: then the call
            // fails, and there is nobody to tell.
            unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
        }
    }

    fn flush(&self) {}
}

/// One finished line in a fixed buffer.
#[derive(Debug)]
pub struct LogLine {
    bytes: [u8; LINE_BYTES],
    used: usize,
    cut: bool,
}

impl LogLine {
    /// Formats a line. Line breaks inside become blanks, since journald would take the rest as lines
    /// of their own; other characters that act on a terminal stand by their numbers. What does not fit is cut at a character's end, and marked.
    #[must_use]
    pub fn new(style: Style, level: Level, args: fmt::Arguments<'_>) -> Self {
        let mut line = Self {
            bytes: [0; LINE_BYTES],
            used: 0,
            cut: false,
        };
        line.push(match (style, level) {
            (Style::Priority, Level::Error) => "<3>",
            (Style::Priority, Level::Warn) => "<4>",
            (Style::Priority, Level::Info) => "<6>",
            (Style::Priority, Level::Debug | Level::Trace) => "<7>",
            (Style::Word, Level::Error) => "error: ",
            (Style::Word, Level::Warn) => "warning: ",
            (Style::Word, Level::Info) => "info: ",
            (Style::Word, Level::Debug) => "debug: ",
            (Style::Word, Level::Trace) => "trace: ",
        });
        // The only error is the full buffer, which is marked; an error of the value itself leaves the
        // line as far as it came.
        let _ = write!(line, "{}", ShownLines(args));
        if line.cut {
            line.bytes[line.used..line.used + CUT.len()].copy_from_slice(CUT.as_bytes());
            line.used += CUT.len();
        }
        line.bytes[line.used] = b'\n';
        line.used += 1;
        line
    }

    /// The line with its line end.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    fn push(&mut self, text: &str) {
        // Room for the mark and the line end is kept free.
        let room = LINE_BYTES - CUT.len() - 1 - self.used;
        let mut count = text.len().min(room);
        while !text.is_char_boundary(count) {
            count -= 1;
        }
        self.cut |= count < text.len();
        let target = &mut self.bytes[self.used..self.used + count];
        target.copy_from_slice(&text.as_bytes()[..count]);
        for byte in target {
            if *byte == b'\n' {
                *byte = b' ';
            }
        }
        self.used += count;
    }
}

impl fmt::Write for LogLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Err(fmt::Error);
        }
        self.push(text);
        if self.cut { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &LogLine) -> &str {
        std::str::from_utf8(line.as_bytes()).expect("a line is cut between characters only")
    }

    #[test]
    fn the_journal_gets_priorities_and_people_get_words() {
        let journal =
            |level| text(&LogLine::new(Style::Priority, level, format_args!("x"))).to_owned();
        assert_eq!(journal(Level::Error), "<3>x\n");
        assert_eq!(journal(Level::Warn), "<4>x\n");
        assert_eq!(journal(Level::Info), "<6>x\n");
        assert_eq!(journal(Level::Debug), "<7>x\n");
        let word = LogLine::new(
            Style::Word,
            Level::Warn,
            format_args!("camera {} is slow", "front"),
        );
        assert_eq!(text(&word), "warning: camera front is slow\n");
    }

    #[test]
    fn a_message_with_line_breaks_stays_one_line() {
        let line = LogLine::new(Style::Priority, Level::Info, format_args!("a\nb\n\nc"));
        assert_eq!(text(&line), "<6>a b  c\n");
    }

    #[test]
    fn a_name_from_outside_does_not_act_on_the_terminal() {
        let name = "\u{1b}]0;mine\u{7}\u{202e}\r";
        let line = LogLine::new(Style::Word, Level::Info, format_args!("card {name}"));
        let shown = "info: card \\u{1b}]0;mine\\u{7}\\u{202e}\\u{d}\n";
        assert_eq!(text(&line), shown);
    }

    #[test]
    fn a_long_message_is_cut_between_characters_and_marked() {
        for pad in 0..4 {
            let long = format!("{}{}", "x".repeat(pad), "é€".repeat(600));
            let line = LogLine::new(Style::Priority, Level::Info, format_args!("{long} {long}"));
            assert!(text(&line).ends_with(" [cut]\n"));
            assert!(line.as_bytes().len() <= LINE_BYTES);
            assert!(line.as_bytes().len() > LINE_BYTES - 4);
        }
    }

    #[test]
    fn the_longest_message_that_fits_is_not_marked() {
        let fits = LINE_BYTES - CUT.len() - 1 - "<6>".len();
        let line = LogLine::new(
            Style::Priority,
            Level::Info,
            format_args!("{}", "y".repeat(fits)),
        );
        assert!(text(&line).ends_with("y\n"));
        let line = LogLine::new(
            Style::Priority,
            Level::Info,
            format_args!("{}", "y".repeat(fits + 1)),
        );
        assert!(text(&line).ends_with("y [cut]\n"));
    }
}
