//! Log lines: one write(2) each to standard error, from a buffer on the stack. Never allocates, and never
//! waits for a reader: a line that a full pipe does not take is lost.
//!
//! Under the journal each line begins with the priority that it reads (`<3>` and the like, sd-daemon(3)), and has no
//! time: the journal has its own. Elsewhere it begins with the time and the level in a word.
#![allow(unsafe_code)]

use super::terminal;
use crate::shown::ShownLines;
use crate::sync::{AtomicU8, Ordering};
use crate::sys::clock::{Utc, realtime_ns};
use crate::sys::io::poll::{PIPE_BUF, is_writable};
use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::libc;
use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd};

/// Bytes of the longest line, its line end included. journald and pipes take this in one piece
/// (PIPE_BUF is 4096).
pub const LINE_BYTES: usize = 1024;

/// What stands at the end of a line that did not fit.
const CUT: &str = " [cut]";

const _: () = assert!(LINE_BYTES <= PIPE_BUF);

/// How the level of a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Style {
    /// `<3>`: for journald.
    Priority,
    /// Time and level.
    Plain,
    /// The same on a terminal.
    Terminal,
    /// The same with the level in its colour.
    Colour,
}

impl Style {
    /// Every style.
    pub const ALL: [Self; 4] = [Self::Priority, Self::Plain, Self::Terminal, Self::Colour];

    /// Colour is for a terminal alone, and not where `NO_COLOR` says anything (no-color.org).
    fn of(is_journal: bool, is_terminal: bool, is_dumb: bool, no_color: Option<&OsStr>) -> Self {
        let plain = is_dumb || no_color.is_some_and(|value| !value.is_empty());
        match (is_journal, is_terminal) {
            (true, _) => Self::Priority,
            (_, false) => Self::Plain,
            (_, true) if plain => Self::Terminal,
            (_, true) => Self::Colour,
        }
    }

    /// What stands before a line's own text.
    fn write_start(self, level: Level, utc_ns: u64, to: &mut impl fmt::Write) -> fmt::Result {
        let (priority, word, colour) = match level {
            Level::Error => (3, "error", "1;31"),
            Level::Warn => (4, "warning", "33"),
            Level::Info => (6, "info", "32"),
            Level::Debug => (7, "debug", "36"),
            Level::Trace => (7, "trace", "36"),
        };
        let time = Utc(utc_ns);
        match self {
            Self::Priority => write!(to, "<{priority}>"),
            Self::Plain | Self::Terminal => write!(to, "{time} {word}: "),
            Self::Colour => write!(to, "{time} \x1b[{colour}m{word}\x1b[0m: "),
        }
    }
}

static LOGGER: StderrLogger = StderrLogger {
    style: AtomicU8::new(Style::Plain as u8),
};

struct StderrLogger {
    style: AtomicU8,
}

impl StderrLogger {
    fn style(&self) -> Style {
        Style::ALL[usize::from(self.style.load(Ordering::Relaxed)) % Style::ALL.len()]
    }
}

/// Makes `log`'s macros write to standard error. A second call only changes the level.
pub fn init(level: LevelFilter) {
    let is_journal = std::env::var_os("JOURNAL_STREAM")
        .is_some_and(|stream| leads_to(&stream, std::io::stderr().as_fd()));
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let is_terminal = !is_journal && terminal::open(!is_dumb);
    let no_color = std::env::var_os("NO_COLOR");
    let style = Style::of(is_journal, is_terminal, is_dumb, no_color.as_deref());
    LOGGER.style.store(style as u8, Ordering::Relaxed);
    // An error means that a logger is set already; it is this one, nobody else sets one.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
}

/// Whether `stream`, the device and inode of `JOURNAL_STREAM`, is where `stderr` leads to (systemd.exec(5)). A service
/// manager sets the variable for what it starts, and a child of that may write elsewhere.
fn leads_to(stream: &OsStr, stderr: BorrowedFd<'_>) -> bool {
    let Ok(found) = nix::sys::stat::fstat(stderr) else {
        return false;
    };
    let named = stream.to_str().and_then(|stream| stream.split_once(':'));
    named.is_some_and(|(device, inode)| {
        device.parse() == Ok(found.st_dev) && inode.parse() == Ok(found.st_ino)
    })
}

/// Writes text of several lines to standard error, whatever it holds: the reason of an end, a table. Under the journal
/// each line begins with the priority of `level`; elsewhere with time and level, where `stamped`. Nothing is shown
/// below it any more.
pub fn say(level: Level, stamped: bool, text: &impl fmt::Display) {
    terminal::close();
    let text = in_lines(LOGGER.style(), level, stamped.then(realtime_ns), text);
    // A full disk behind it, or a reader that went away, must not end the program, as `eprintln!` would.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn in_lines(style: Style, level: Level, utc_ns: Option<u64>, text: &impl fmt::Display) -> String {
    let text = text.to_string();
    let mut lines = String::new();
    for line in text.split_inclusive('\n') {
        if style == Style::Priority || utc_ns.is_some() {
            let _ = style.write_start(level, utc_ns.unwrap_or(0), &mut lines);
        }
        lines.push_str(line);
    }
    lines
}

impl Log for StderrLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let style = self.style();
        let line = LogLine::new(style, record.level(), realtime_ns(), *record.args());
        if matches!(style, Style::Terminal | Style::Colour) {
            terminal::line(line.as_str());
        } else if is_writable(std::io::stderr().as_fd()) {
            let bytes = line.as_str().as_bytes();
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
    text: heapless::String<LINE_BYTES>,
    cut: bool,
}

impl LogLine {
    /// Formats a line. Line breaks inside become blanks, since journald would take the rest as lines
    /// of their own; other characters that act on a terminal stand by their numbers. What does not fit is cut at a
    /// character's end, and marked.
    #[must_use]
    pub fn new(style: Style, level: Level, utc_ns: u64, args: fmt::Arguments<'_>) -> Self {
        let mut line = Self {
            text: heapless::String::new(),
            cut: false,
        };
        // It fits.
        let _ = style.write_start(level, utc_ns, &mut line.text);
        // The only error is the full buffer, which is marked; an error of the value itself leaves the
        // line as far as it came.
        let _ = write!(line, "{}", ShownLines(args));
        let cut = if line.cut { CUT } else { "" };
        let _ = line.text.push_str(cut);
        let _ = line.text.push('\n');
        line
    }

    /// The line with its line end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Write for LogLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Room for the mark and the line end is kept free.
        const ROOM: usize = LINE_BYTES - CUT.len() - 1;
        for character in text.chars() {
            self.cut |= self.text.len() + character.len_utf8() > ROOM;
            if self.cut {
                return Err(fmt::Error);
            }
            // Others that act on a terminal have been replaced.
            let shown = if character == '\n' { ' ' } else { character };
            let _ = self.text.push(shown);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-30T18:30:00.250Z.
    const THEN_NS: u64 = 1_796_063_400_250_000_000;

    fn line(style: Style, level: Level, args: fmt::Arguments<'_>) -> String {
        LogLine::new(style, level, THEN_NS, args)
            .as_str()
            .to_owned()
    }

    #[test]
    fn the_journal_gets_priorities_and_others_get_time_and_level() {
        let journal = |level| line(Style::Priority, level, format_args!("x"));
        assert_eq!(journal(Level::Error), "<3>x\n");
        assert_eq!(journal(Level::Warn), "<4>x\n");
        assert_eq!(journal(Level::Info), "<6>x\n");
        assert_eq!(journal(Level::Debug), "<7>x\n");
        let of = |style| {
            line(
                style,
                Level::Warn,
                format_args!("camera {} is slow", "front"),
            )
        };
        let plain = "2026-11-30T18:30:00.250Z warning: camera front is slow\n";
        assert_eq!(of(Style::Plain), plain);
        assert_eq!(of(Style::Terminal), plain);
        let coloured = "2026-11-30T18:30:00.250Z \x1b[33mwarning\x1b[0m: camera front is slow\n";
        assert_eq!(of(Style::Colour), coloured);
    }

    #[test]
    fn colour_is_for_terminals_that_have_it_and_people_who_want_it() {
        let set = |value: &'static str| Some(OsStr::new(value));
        assert_eq!(Style::of(true, false, false, None), Style::Priority);
        assert_eq!(Style::of(false, false, false, None), Style::Plain);
        assert_eq!(Style::of(false, true, false, None), Style::Colour);
        assert_eq!(Style::of(false, true, false, set("")), Style::Colour);
        assert_eq!(Style::of(false, true, false, set("1")), Style::Terminal);
        assert_eq!(Style::of(false, true, true, None), Style::Terminal);
    }

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let found = nix::sys::stat::fstat(&writer).unwrap();
        let named =
            |device, inode| leads_to(OsStr::new(&format!("{device}:{inode}")), writer.as_fd());
        assert!(named(found.st_dev, found.st_ino));
        assert!(!named(found.st_dev, found.st_ino + 1));
        assert!(!named(found.st_dev + 1, found.st_ino));
        assert!(!leads_to(OsStr::new(""), writer.as_fd()));
        assert!(!leads_to(OsStr::new("8:"), reader.as_fd()));
    }

    #[test]
    fn text_of_several_lines_has_what_the_style_asks_for_before_each() {
        let text = "pinsight: a\npinsight: b\n";
        let of = |style, utc_ns| in_lines(style, Level::Error, utc_ns, &text);
        assert_eq!(
            of(Style::Priority, None),
            "<3>pinsight: a\n<3>pinsight: b\n"
        );
        assert_eq!(of(Style::Plain, None), text);
        let time = "2026-11-30T18:30:00.250Z error: pinsight: ";
        assert_eq!(
            of(Style::Plain, Some(THEN_NS)),
            format!("{time}a\n{time}b\n")
        );
    }

    #[test]
    fn a_message_with_line_breaks_stays_one_line() {
        let line = line(Style::Priority, Level::Info, format_args!("a\nb\n\nc"));
        assert_eq!(line, "<6>a b  c\n");
    }

    #[test]
    fn a_name_from_outside_does_not_act_on_the_terminal() {
        let name = "\u{1b}]0;mine\u{7}\u{202e}\r";
        let line = line(Style::Priority, Level::Info, format_args!("card {name}"));
        let shown = "<6>card \\u{1b}]0;mine\\u{7}\\u{202e}\\u{d}\n";
        assert_eq!(line, shown);
    }

    #[test]
    fn a_long_message_is_cut_between_characters_and_marked() {
        for pad in 0..4 {
            let long = format!("{}{}", "x".repeat(pad), "é€".repeat(600));
            for style in Style::ALL {
                let line = line(style, Level::Info, format_args!("{long} {long}"));
                assert!(line.ends_with(" [cut]\n"));
                assert!(line.len() <= LINE_BYTES);
                assert!(line.len() > LINE_BYTES - 4);
            }
        }
    }

    #[test]
    fn the_longest_message_that_fits_is_not_marked() {
        let fits = LINE_BYTES - CUT.len() - 1 - "<6>".len();
        let of = |count| {
            line(
                Style::Priority,
                Level::Info,
                format_args!("{}", "y".repeat(count)),
            )
        };
        assert!(of(fits).ends_with("y\n"));
        assert!(of(fits + 1).ends_with("y [cut]\n"));
    }
}
