//! Which lines a device still has in its queue, as far as the number of its bytes shows.

/// Lines that are remembered. A serial device queues a page, 4096 bytes: some 120 of the shortest lines.
const LINES: usize = 256;

/// The lines handed over last.
#[derive(Debug)]
pub struct UnsentLines {
    /// Rule and bytes of each.
    lines: heapless::Deque<(u16, usize), LINES>,
}

impl Default for UnsentLines {
    fn default() -> Self {
        Self {
            lines: heapless::Deque::new(),
        }
    }
}

impl UnsentLines {
    /// A line of a rule was handed over whole.
    pub fn note(&mut self, rule: u16, bytes: usize) {
        if self.lines.is_full() {
            self.lines.pop_front();
        }
        let _ = self.lines.push_back((rule, bytes));
    }

    /// The rules of the lines of which some of the last `bytes` are, newest first.
    pub fn of_last(&self, bytes: usize) -> impl Iterator<Item = u16> {
        let mut left = bytes;
        self.lines
            .iter()
            .rev()
            .map_while(move |&(rule, line_bytes)| {
                let has_some = left > 0;
                left = left.saturating_sub(line_bytes);
                has_some.then_some(rule)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::{LINES, UnsentLines};

    #[test]
    fn a_line_is_still_queued_while_its_last_byte_is() {
        let mut unsent = UnsentLines::default();
        for (rule, bytes) in [(1, 10), (2, 20), (3, 30)] {
            unsent.note(rule, bytes);
        }
        let of_last = |bytes| unsent.of_last(bytes).collect::<Vec<_>>();
        assert!(of_last(0).is_empty());
        assert_eq!(of_last(1), [3]);
        assert_eq!(of_last(30), [3]);
        assert_eq!(of_last(31), [3, 2]);
        assert_eq!(of_last(1000), [3, 2, 1]);
    }

    #[test]
    fn the_oldest_lines_are_forgotten() {
        let mut unsent = UnsentLines::default();
        for rule in 0..300 {
            unsent.note(rule, 1);
        }
        let queued: Vec<u16> = unsent.of_last(1000).collect();
        assert_eq!(queued.len(), LINES);
        assert_eq!((queued[0], queued[LINES - 1]), (299, 44));
    }
}
