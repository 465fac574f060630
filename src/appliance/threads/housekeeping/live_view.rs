//! The live view: a row for each camera on the terminal, below the log.
//!
//! Answers for: what a row says, and which rows are shown where there is no room for all. Does not answer for: how
//! rows get onto the terminal (`sys::service::terminal`).

use crate::appliance::shared::common::Common;
use crate::columns::{Cell, columns_of};
use crate::ledger::LedgerView;
use crate::limits::MAX_CAMERAS;
use crate::record::FrameResult;
use crate::sys::service::terminal::{self, Block, Size};
use crate::units::{NS_PER_MS, NS_PER_S};
use std::fmt::{self, Display, Formatter, Write as _};

/// Windows that a rate is the mean of.
const WINDOWS: usize = 8;
/// Widest row; a wider terminal stays empty on its right.
const MAX_COLUMNS: usize = 200;
/// Columns of the name, at least and at most.
const NAME: (usize, usize) = (6, 24);
/// Columns of each figure, in the order in which they are given up from the right.
const FIGURES: [(&str, usize); 4] = [
    ("results/s", 11),
    ("age", 10),
    ("longest gap", 13),
    ("dropped", 9),
];
/// Fewest columns for the last detection.
const SEEN: usize = 10;

/// What is known of one camera.
#[derive(Clone, Debug, Default)]
struct Watched {
    /// Results of the last windows.
    results: [u32; WINDOWS],
    last_result_ns: u64,
    longest_gap_ns: u64,
    /// Model, class and score.
    seen: Option<(u16, u16, f32)>,
}

impl Watched {
    fn take(&mut self, window: usize, result: &FrameResult) {
        self.results[window] += 1;
        let result_ns = result.stamps.result_ns;
        self.longest_gap_ns = self.gap_ns(result_ns);
        self.last_result_ns = self.last_result_ns.max(result_ns);
        if let Some(seen) = result.detections.first() {
            self.seen = Some((result.model, seen.class, seen.score));
        }
    }

    /// The longest time without a result until `now_ns`, from the first result on.
    fn gap_ns(&self, now_ns: u64) -> u64 {
        let open_ns = match self.last_result_ns {
            0 => 0,
            last_ns => now_ns.saturating_sub(last_ns),
        };
        self.longest_gap_ns.max(open_ns)
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
struct Row<'a> {
    name: &'a str,
    per_s: f64,
    /// Of the newest inferred frame; `None` before the first one.
    age_ns: Option<u64>,
    gap_ns: u64,
    dropped: u64,
    seen: Option<(&'a str, f32)>,
}

/// The view, with its memory.
pub(crate) struct LiveView {
    common: Common,
    /// By camera.
    ledgers: Vec<LedgerView>,
    watched: Vec<Watched>,
    /// Lengths of the windows; the current one is still 0.
    windows_ns: [u64; WINDOWS],
    window: usize,
    shown_ns: u64,
    block: Block,
}

impl LiveView {
    /// A view of these cameras, where standard error is a terminal that can show it.
    pub(crate) fn new(common: &Common, ledgers: Vec<LedgerView>, now_ns: u64) -> Option<Self> {
        terminal::size()?;
        Some(Self {
            common: common.clone(),
            watched: vec![Watched::default(); ledgers.len()],
            ledgers,
            windows_ns: [0; WINDOWS],
            window: 0,
            shown_ns: now_ns,
            block: Block::new(),
        })
    }

    /// Takes a worker's own result.
    pub(crate) fn take(&mut self, result: &FrameResult) {
        if let Some(watched) = self.watched.get_mut(usize::from(result.camera)) {
            watched.take(self.window, result);
        }
    }

    /// Shows what is known by now.
    pub(crate) fn show(&mut self, now_ns: u64) {
        // Until ready, libraries write to standard error themselves.
        let size = terminal::size().filter(|_| self.common.gate.is_watching());
        let Some(size) = size else {
            self.shown_ns = now_ns;
            return;
        };
        self.windows_ns[self.window] = now_ns.saturating_sub(self.shown_ns);
        self.shown_ns = now_ns;
        let names = &self.common.names;
        let span_ns: u64 = self.windows_ns.iter().sum();
        let cameras = self.watched.iter().zip(&self.ledgers).enumerate();
        let rows = cameras.map(|(index, (watched, ledger))| {
            let results: u32 = watched.results.iter().sum();
            let frames = ledger.snapshot(|| 0);
            let known_ns = self.common.cameras.get(index).map_or(0, |c| c.known_ns());
            #[allow(clippy::cast_precision_loss)] // for reading
            Row {
                name: names.cameras.get(index).map_or("?", String::as_str),
                per_s: f64::from(results) / (span_ns.max(1) as f64 / NS_PER_S as f64),
                age_ns: (known_ns > 0).then(|| now_ns.saturating_sub(known_ns)),
                gap_ns: watched.gap_ns(now_ns),
                dropped: frames.dropped.total() - frames.dropped.evicted + frames.lost_in_driver,
                seen: watched
                    .seen
                    .map(|(model, class, score)| (names.label(model, class), score)),
            }
        });
        let rows: heapless::Vec<Row<'_>, MAX_CAMERAS> = rows.take(MAX_CAMERAS).collect();
        draw(&rows, size, &mut self.block);
        terminal::show(&self.block);
        self.window = (self.window + 1) % WINDOWS;
        self.windows_ns[self.window] = 0;
        for watched in &mut self.watched {
            watched.results[self.window] = 0;
        }
    }
}

/// Draws the rows for a terminal of this size. One line of it is left to the log. Where there is no room for all
/// cameras, those with the oldest information are shown, and how many there are beside them.
fn draw(rows: &[Row<'_>], size: Size, block: &mut Block) {
    block.clear();
    let columns = usize::from(size.columns).min(MAX_COLUMNS);
    let room = usize::from(size.rows.min(terminal::MAX_ROWS)).saturating_sub(1);
    let room = room.max(1);
    let longest = rows.iter().map(|row| width(row.name)).max().unwrap_or(0);
    let name = longest.clamp(NAME.0, NAME.1.min((columns / 4).max(NAME.0)));
    let all = 0..rows.len().min(MAX_CAMERAS);
    let mut order: heapless::Vec<usize, MAX_CAMERAS> = all.collect();
    // A header, and a line that says how many are left out, where that leaves room for a camera.
    let header = usize::from(room > 2 || room > rows.len());
    let left_out = rows.len() > room - header;
    let shown = room - header - usize::from(left_out && room > 1);
    if left_out {
        // One that was never inferred is the worst.
        let worst = |index: &usize| std::cmp::Reverse(rows[*index].age_ns.unwrap_or(u64::MAX));
        order.sort_unstable_by_key(|index| (worst(index), *index));
        order.truncate(shown);
    }
    if header == 1 {
        let cells = FIGURES.map(|(heading, _)| heading);
        push(block, columns, name, "camera", &cells, "last seen");
    }
    for index in &order {
        let row = &rows[*index];
        let mut texts: [Text; 4] = Default::default();
        let [per_s, age, gap, dropped] = &mut texts;
        let _ = write!(per_s, "{:.1}", row.per_s);
        let _ = match row.age_ns {
            Some(age_ns) => write!(age, "{}", Time(age_ns)),
            None => write!(age, "none yet"),
        };
        let _ = write!(gap, "{}", Time(row.gap_ns));
        let _ = write!(dropped, "{}", row.dropped);
        let mut seen = heapless::String::<256>::new();
        if let Some((label, score)) = row.seen {
            // A label that is too long for the buffer is none that fits the terminal.
            let _ = write!(seen, "{label} {score:.2}");
        }
        let cells = texts.each_ref().map(|text| text.as_str());
        push(block, columns, name, row.name, &cells, &seen);
    }
    if left_out && room > 1 {
        let mut text = heapless::String::<64>::new();
        let _ = write!(text, "{} more", rows.len() - order.len());
        block.push(text.get(..columns).unwrap_or(&text));
    }
}

type Text = heapless::String<24>;

/// One row of cells. Those that find no room are left out from the right; of the last detection so much is shown as
/// there is room for.
fn push(block: &mut Block, columns: usize, name: usize, of: &str, cells: &[&str; 4], seen: &str) {
    let mut row = heapless::String::<{ 4 * MAX_COLUMNS }>::new();
    let name = name.min(columns);
    let _ = write!(row, "{}", Cell(of, name));
    let mut used = name;
    for (cell, (_, width)) in cells.iter().zip(FIGURES) {
        if used + width > columns {
            break;
        }
        let _ = write!(row, "{cell:>width$}");
        used += width;
    }
    let figures: usize = FIGURES.iter().map(|(_, width)| width).sum();
    if used == name + figures && used + SEEN <= columns {
        let _ = write!(row, "  {}", Cell(seen, columns - used - 2));
    }
    block.push(row.trim_end());
}

fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// A time with its unit, in at most eight columns.
struct Time(u64);

impl Display for Time {
    #[allow(clippy::cast_precision_loss)] // for reading
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const MINUTE_NS: u64 = 60 * NS_PER_S;
        match self.0 {
            ns if ns < 10 * NS_PER_S => write!(f, "{} ms", ns / NS_PER_MS),
            ns if ns < 10 * MINUTE_NS => write!(f, "{:.1} s", ns as f64 / NS_PER_S as f64),
            ns if ns < 6000 * MINUTE_NS => write!(f, "{} min", ns / MINUTE_NS),
            ns => write!(f, "{} h", ns / (60 * MINUTE_NS)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, Time, Watched, draw, width};
    use crate::latency::Stamps;
    use crate::record::FrameResult;
    use crate::sys::service::terminal::{Block, Size};
    use crate::units::{NS_PER_MS, NS_PER_S};

    const FRONT: Row<'_> = Row {
        name: "front",
        per_s: 29.97,
        age_ns: Some(36 * NS_PER_MS),
        gap_ns: 4_015 * NS_PER_MS,
        dropped: 12,
        seen: Some(("person", 0.874)),
    };
    const SILENT: Row<'_> = Row {
        name: "the-camera-behind-the-house",
        per_s: 0.0,
        age_ns: None,
        gap_ns: 0,
        dropped: 0,
        seen: None,
    };

    fn drawn(rows: &[Row<'_>], size: (u16, u16)) -> String {
        let mut block = Block::new();
        let (rows_of, columns) = size;
        let size = Size {
            rows: rows_of,
            columns,
        };
        draw(rows, size, &mut block);
        block.text().to_owned()
    }

    #[test]
    fn a_camera_has_a_row_of_what_there_is_room_for() {
        let rows = [FRONT, SILENT];
        let wide = "\
camera                    results/s       age  longest gap  dropped  last seen
front                          30.0     36 ms      4015 ms       12  person 0.87
the-camera-behind-the-h…        0.0  none yet         0 ms        0";
        assert_eq!(drawn(&rows, (24, 200)), wide);
        let usual = "\
camera                results/s       age  longest gap  dropped  last seen
front                      30.0     36 ms      4015 ms       12  person 0.87
the-camera-behind-t…        0.0  none yet         0 ms        0";
        assert_eq!(drawn(&rows, (24, 80)), usual);
        let narrow = "\
camera      results/s       age
front            30.0     36 ms
the-camer…        0.0  none yet";
        assert_eq!(drawn(&rows, (24, 40)), narrow);
        assert_eq!(drawn(&rows, (24, 3)), "ca…\nfr…\nth…");
    }

    #[test]
    fn no_size_of_a_terminal_gets_more_than_it_has() {
        let long = "label ".repeat(40);
        let rows = [
            FRONT,
            SILENT,
            Row {
                seen: Some((&long, 0.5)),
                ..FRONT
            },
        ]
        .repeat(9);
        for columns in 1..=220 {
            for rows_of in [1, 2, 3, 4, 24, 200] {
                let drawn = drawn(&rows, (rows_of, columns));
                let most = usize::from(rows_of.max(2)) - 1;
                assert!(
                    drawn.lines().count() <= most,
                    "{columns}x{rows_of}: {drawn}"
                );
                let widest = drawn.lines().map(width).max().unwrap();
                assert!(
                    widest <= usize::from(columns),
                    "{columns}x{rows_of}: {drawn}"
                );
            }
        }
    }

    #[test]
    fn where_there_is_no_room_for_all_the_oldest_are_shown_and_the_others_counted() {
        let aged = |name, ms: u64| Row {
            name,
            age_ns: Some(ms * NS_PER_MS),
            ..FRONT
        };
        let rows = [
            aged("a", 30),
            aged("b", 900),
            aged("c", 40),
            SILENT,
            aged("d", 20),
        ];
        let names = |rows_of| {
            let drawn = drawn(&rows, (rows_of, 80));
            let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
            drawn.lines().map(first).collect::<Vec<_>>()
        };
        let silent = "the-camera-behind-t…";
        assert_eq!(names(7), ["camera", "a", "b", "c", silent, "d"]);
        assert_eq!(names(5), ["camera", silent, "b", "3"]);
        assert_eq!(names(4), ["camera", silent, "4"]);
        assert_eq!(names(3), [silent, "4"]);
        assert_eq!(names(1), [silent]);
        assert!(drawn(&rows, (5, 80)).ends_with("\n3 more"));
    }

    #[test]
    fn a_gap_that_is_still_open_counts() {
        let mut watched = Watched::default();
        assert_eq!(watched.gap_ns(5 * NS_PER_S), 0);
        let at = |ms: u64| FrameResult {
            stamps: Stamps {
                result_ns: ms * NS_PER_MS,
                ..Stamps::default()
            },
            ..FrameResult::default()
        };
        // Two workers' results may change places.
        for ms in [1000, 1100, 1050, 1900] {
            watched.take(0, &at(ms));
        }
        assert_eq!(watched.gap_ns(1910 * NS_PER_MS), 800 * NS_PER_MS);
        assert_eq!(watched.gap_ns(5900 * NS_PER_MS), 4000 * NS_PER_MS);
        assert_eq!(watched.results[0], 4);
    }

    #[test]
    fn a_time_takes_eight_columns_at_most() {
        let shown = [
            (0, "0 ms"),
            (9_999_999_999, "9999 ms"),
            (10_000_000_000, "10.0 s"),
            (599_940_000_000, "599.9 s"),
            (600 * NS_PER_S, "10 min"),
            (359_999 * NS_PER_S, "5999 min"),
            (360_000 * NS_PER_S, "100 h"),
        ];
        for (ns, text) in shown {
            assert_eq!(Time(ns).to_string(), text);
        }
    }
}
