//! One line on the terminal, rewritten in place.

use crate::appliance::shared::names::Names;
use crate::latency::{Histogram, Stage};
use crate::record::FrameResult;
use crate::sys::io::poll::is_writable;
use crate::units::NS_PER_S;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;

/// Back to the line's start, empty it, and cut it at the right edge: DECAWM off.
const LINE_START: &str = "\r\x1b[K\x1b[?7l";
/// Lines wrap again: DECAWM on.
const WRAP: &[u8] = b"\x1b[?7h";

/// One line on the terminal, rewritten in place.
pub(crate) struct LiveLine {
    terminal: File,
    text: heapless::String<256>,
    window: Histogram,
    results: u64,
    total: u64,
    newest: Option<FrameResult>,
    shown: bool,
}

impl LiveLine {
    /// A line on this terminal.
    pub(crate) fn new(terminal: File) -> Self {
        Self {
            terminal,
            text: heapless::String::new(),
            window: Histogram::new(),
            results: 0,
            total: 0,
            newest: None,
            shown: false,
        }
    }

    pub(crate) fn take(&mut self, result: &FrameResult) {
        self.results += 1;
        self.total += 1;
        self.window
            .record(Stage::CaptureToResult.of(&result.stamps));
        self.newest = Some(result.clone());
    }

    /// Shows what came since the line was last shown, `window_ns` ago.
    pub(crate) fn show(&mut self, names: &Names, last_rule: Option<&str>, window_ns: u64) {
        #[allow(clippy::cast_precision_loss)] // for reading
        let ms = |ns: u64| ns as f64 / 1e6;
        self.text.clear();
        // A line that is too long ends early; nothing depends on it.
        let rate = self.results * NS_PER_S / window_ns.max(1);
        let _ = write!(
            self.text,
            "{LINE_START}  {} inferred, {rate}/s, age P50 {:.1} ms, worst {:.1} ms",
            self.total,
            ms(self.window.quantile_ns(0.5)),
            ms(self.window.quantile_ns(1.0)),
        );
        if let Some(newest) = &self.newest {
            let _ = write!(self.text, " | {}", names.camera(newest.camera));
            match newest.detections.first() {
                Some(seen) => {
                    let _ = write!(
                        self.text,
                        ": {} {:.2} at {:.0},{:.0} ({} in view)",
                        names.label(newest.model, seen.class),
                        seen.score,
                        seen.x_px,
                        seen.y_px,
                        newest.detections.len()
                    );
                }
                None => {
                    let _ = self.text.push_str(": nothing in view");
                }
            }
        }
        if let Some(rule) = last_rule {
            let _ = write!(self.text, " | last event {rule}");
        }
        self.write();
        self.shown = true;
        self.window.reset();
        self.results = 0;
    }

    pub(crate) fn clear(&mut self) {
        if self.shown {
            self.text.clear();
            let _ = self.text.push_str("\r\x1b[K");
            self.write();
            self.shown = false;
        }
    }

    /// A terminal that went away or was stopped costs the line only.
    fn write(&mut self) {
        if is_writable(self.terminal.as_fd()) {
            let _ = self.terminal.write_all(self.text.as_bytes());
            let _ = self.terminal.write_all(WRAP);
        }
    }
}
