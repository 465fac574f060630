//! The terminal that standard error is: rows that stand below the log and are redrawn in place.
//!
//! Lines of the log come from several threads, and each of them takes the rows away, prints itself, and puts them
//! back, in one write. Never allocates, and waits for no reader: a terminal that was stopped (Ctrl-S) costs what would
//! have been shown.
#![allow(unsafe_code)]

use crate::sys::io::poll::is_writable;
use nix::libc;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of all rows.
pub const BLOCK_BYTES: usize = 8 * 1024;
/// Most rows of a block.
pub const MAX_ROWS: u16 = 32;
/// Bytes of a line of the log with the rows below it and what moves the cursor.
const WRITE_BYTES: usize = BLOCK_BYTES + 2048;

/// Rows and columns of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// Rows of text, without what moves the cursor.
#[derive(Clone, Debug, Default)]
pub struct Block {
    text: heapless::String<BLOCK_BYTES>,
    rows: u16,
}

impl Block {
    /// No rows.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            text: heapless::String::new(),
            rows: 0,
        }
    }

    /// Forgets the rows.
    pub fn clear(&mut self) {
        self.text.clear();
        self.rows = 0;
    }

    /// Adds a row, which must have no line break. One that finds no room is left out.
    pub fn push(&mut self, row: &str) {
        let fits = self.text.len() + 1 + row.len() <= BLOCK_BYTES;
        if fits && self.rows < MAX_ROWS {
            if self.rows > 0 {
                let _ = self.text.push('\n');
            }
            let _ = self.text.push_str(row);
            self.rows += 1;
        }
    }

    /// The rows with a line break between them.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many there are.
    #[must_use]
    pub fn rows(&self) -> u16 {
        self.rows
    }
}

/// What is to be written at once.
type Bytes = heapless::String<WRITE_BYTES>;

/// What stands on the terminal.
struct Screen {
    /// Below the log.
    block: Block,
    /// Columns of the terminal when it was drawn.
    columns: u16,
    /// It is on the terminal.
    shown: bool,
    /// What is on the terminal is not known: a write ended early.
    torn: bool,
    bytes: Bytes,
}

impl Screen {
    const fn new() -> Self {
        Self {
            block: Block::new(),
            columns: 0,
            shown: false,
            torn: false,
            bytes: Bytes::new(),
        }
    }

    /// To the place of the first row.
    fn home(&mut self, columns: u16) {
        self.bytes.clear();
        if !self.shown && !self.torn {
            return;
        }
        let _ = self.bytes.push('\r');
        if self.torn || columns < self.columns {
            // Some terminals wrap rows anew when they become narrower, and some cut them: where the first one is
            // then, only the terminal knows.
            let _ = self.bytes.push_str("\x1b[?7h\x1b[H\x1b[2J");
        } else if self.block.rows > 1 {
            let _ = write!(self.bytes, "\x1b[{}A", self.block.rows - 1);
        }
    }

    /// The rows, from the cursor on. Each is cut at the right edge (DECAWM off).
    fn draw(&mut self, columns: u16) {
        let _ = self.bytes.push_str("\x1b[?7l");
        for (index, row) in self.block.text.split('\n').enumerate() {
            let before = if index == 0 { "" } else { "\r\n" };
            let _ = write!(self.bytes, "{before}{row}\x1b[K");
        }
        let _ = self.bytes.push_str("\x1b[J\x1b[?7h");
        self.columns = columns;
        self.shown = true;
    }

    /// The bytes that draw these rows in the place of the ones before.
    fn show(&mut self, block: &Block, columns: u16) -> &[u8] {
        self.home(columns);
        self.block.clone_from(block);
        self.draw(columns);
        self.bytes.as_bytes()
    }

    /// The bytes of a line above the rows, which ends with its line break.
    fn line(&mut self, line: &str, columns: u16) -> &[u8] {
        let shown = self.shown;
        self.home(columns);
        let _ = self.bytes.push_str(if shown { "\x1b[J" } else { "" });
        let _ = self.bytes.push_str(line);
        if shown {
            self.draw(columns);
        }
        self.bytes.as_bytes()
    }

    /// The bytes that leave nothing of the rows.
    fn hide(&mut self, columns: u16) -> &[u8] {
        let shown = self.shown;
        self.home(columns);
        let _ = self.bytes.push_str(if shown { "\x1b[J" } else { "" });
        self.shown = false;
        self.bytes.as_bytes()
    }
}

/// A terminal with what stands on it.
struct Terminal {
    file: Option<File>,
    /// Nothing is shown any more, or not at all.
    is_closed: bool,
    screen: Screen,
}

static TERMINAL: Mutex<Terminal> = Mutex::new(Terminal {
    file: None,
    is_closed: true,
    screen: Screen::new(),
});

fn terminal() -> MutexGuard<'static, Terminal> {
    // A thread that panicked here left bytes that are at worst wrong to look at.
    TERMINAL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Terminal {
    fn columns(&self) -> u16 {
        let size = self.file.as_ref().and_then(size_of);
        size.map_or(0, |size| size.columns)
    }

    /// Writes what `bytes` makes of the screen. Where the terminal takes nothing, all stays as it is.
    fn put(&mut self, bytes: impl FnOnce(&mut Screen, u16) -> &[u8]) {
        let columns = self.columns();
        let Some(file) = &self.file else {
            return;
        };
        if !is_writable(file.as_fd()) {
            return;
        }
        let bytes = bytes(&mut self.screen, columns);
        let mut left = bytes;
        while !left.is_empty() {
            match (&*file).write(left) {
                Ok(count @ 1..) => left = &left[count..],
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // It was stopped meanwhile, or is gone.
                _ => break,
            }
        }
        self.screen.torn = !left.is_empty() && self.screen.shown;
    }
}

/// Looks whether standard error is a terminal. One of which nothing is known but that it writes (`TERM=dumb`) shows
/// no rows: `can_move` is false. Gives whether it is one.
pub fn open(can_move: bool) -> bool {
    let stderr = std::io::stderr();
    if !stderr.is_terminal() {
        return false;
    }
    // An open file of its own: O_NONBLOCK on the one that is shared would be the shell's, too.
    let own = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open("/proc/self/fd/2");
    // A terminal of another user may not be opened.
    let file = own.or_else(|_| stderr.as_fd().try_clone_to_owned().map(File::from));
    let mut terminal = terminal();
    terminal.file = file.ok();
    terminal.is_closed = !can_move || terminal.file.is_none();
    terminal.file.is_some()
}

/// Rows and columns, where rows can be shown. A terminal that does not know its size has 24 rows of 80.
#[must_use]
pub fn size() -> Option<Size> {
    let terminal = terminal();
    if terminal.is_closed {
        return None;
    }
    let unknown = Size {
        rows: 24,
        columns: 80,
    };
    let known = size_of(terminal.file.as_ref()?).filter(|size| size.rows > 0 && size.columns > 0);
    Some(known.unwrap_or(unknown))
}

/// Shows these rows below the log, in the place of the ones before.
pub fn show(block: &Block) {
    let mut terminal = terminal();
    if !terminal.is_closed {
        terminal.put(|screen, columns| screen.show(block, columns));
    }
}

/// Writes a line, which ends with its line break, above the rows.
pub fn line(line: &str) {
    terminal().put(|screen, columns| screen.line(line, columns));
}

/// Takes the rows away, and shows none any more.
pub fn close() {
    let mut terminal = terminal();
    if !terminal.is_closed {
        terminal.is_closed = true;
        terminal.put(Screen::hide);
    }
}

#[allow(clippy::multiple_unsafe_ops_per_block)] // one ioctl
fn size_of(file: &File) -> Option<Size> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes one winsize (ioctl_tty(2)), which the pointer leads to; the descriptor is open.
    let failed = unsafe { libc::ioctl(file.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (failed == 0).then_some(Size {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}

#[cfg(test)]
mod tests {
    use super::{Block, MAX_ROWS, Screen};

    fn block(rows: &[&str]) -> Block {
        let mut block = Block::new();
        rows.iter().for_each(|row| block.push(row));
        block
    }

    /// What a terminal shows, without blanks at the ends.
    fn seen(terminal: &vt100::Parser) -> String {
        let contents = terminal.screen().contents();
        contents.trim_end().to_owned()
    }

    #[test]
    fn rows_are_redrawn_in_place_and_a_line_of_the_log_comes_above_them() {
        let mut terminal = vt100::Parser::new(6, 20, 0);
        let mut screen = Screen::new();
        terminal.process(screen.line("first\r\n", 20));
        terminal.process(screen.show(&block(&["a 100", "b 100", "c 100"]), 20));
        assert_eq!(seen(&terminal), "first\na 100\nb 100\nc 100");
        // Shorter rows, and fewer of them, leave nothing behind.
        terminal.process(screen.show(&block(&["a 1", "b 1"]), 20));
        assert_eq!(seen(&terminal), "first\na 1\nb 1");
        terminal.process(screen.line("second\r\n", 20));
        assert_eq!(seen(&terminal), "first\nsecond\na 1\nb 1");
        // At the lower edge everything moves up.
        for number in 0..9 {
            terminal.process(screen.line(&format!("line {number}\r\n"), 20));
            terminal.process(screen.show(&block(&["a", "b", "c"]), 20));
        }
        assert_eq!(seen(&terminal), "line 6\nline 7\nline 8\na\nb\nc");
        // A line that is longer than the terminal is wide.
        terminal.process(screen.line(&format!("{}\r\n", "x".repeat(25)), 20));
        // As wrapped lines are one in `contents`.
        let wrapped = format!("line 8\n{}\na\nb\nc", "x".repeat(25));
        assert_eq!(seen(&terminal), wrapped);
        terminal.process(screen.hide(20));
        terminal.process(screen.line("last\r\n", 20));
        assert!(
            seen(&terminal).ends_with("xxxxx\nlast"),
            "{}",
            seen(&terminal)
        );
    }

    #[test]
    fn a_row_that_is_too_wide_is_cut_and_a_terminal_that_became_narrower_is_wiped() {
        let mut terminal = vt100::Parser::new(6, 20, 0);
        let mut screen = Screen::new();
        let wide = "0123456789".repeat(3);
        terminal.process(screen.show(&block(&[&wide, "below"]), 20));
        assert_eq!(seen(&terminal).lines().nth(1), Some("below"));
        terminal.screen_mut().set_size(6, 10);
        terminal.process(screen.show(&block(&["0123456789", "below"]), 10));
        assert_eq!(seen(&terminal), "0123456789\nbelow");
        terminal.process(screen.show(&block(&["0123456789", "below"]), 10));
        assert_eq!(seen(&terminal), "0123456789\nbelow");
    }

    #[test]
    fn rows_that_find_no_room_are_left_out() {
        let mut block = Block::new();
        for _ in 0..2 * MAX_ROWS {
            block.push("row");
        }
        assert_eq!(block.rows(), MAX_ROWS);
        assert_eq!(block.text().lines().count(), usize::from(MAX_ROWS));
        let mut block = Block::new();
        let long = "x".repeat(3000);
        (0..5).for_each(|_| block.push(&long));
        assert_eq!((block.rows(), block.text().lines().count()), (2, 2));
    }
}
