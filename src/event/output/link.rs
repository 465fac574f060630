//! A line to another device, which may vanish and come back: opened again with growing pauses, whole lines
//! only, and never a wait for whoever reads.

use super::next::Next;
use super::reconnect::Reconnect;
use super::sentence::Sentence;
use nix::errno::Errno;

/// What can be opened, time and again.
pub trait Port {
    /// What is then open.
    type Wire: Wire;

    /// Opens it. Does not wait for the other end.
    ///
    /// # Errors
    /// The device's refusal.
    fn open(&mut self) -> Result<Self::Wire, Errno>;
}

/// What takes bytes.
pub trait Wire {
    /// Hands over some bytes, as many as are taken at once.
    ///
    /// # Errors
    /// EAGAIN: none is taken now. Anything else: it is gone.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno>;

    /// Waits until it may take bytes again, at most so long.
    fn wait(&self, timeout_ns: u64);

    /// Bytes that it took and has yet to send; 0 where that is not known.
    fn unsent(&self) -> usize;
}

/// What a link did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Lines handed over whole.
    pub sent: u64,
    /// Times that the device could not be opened, or was lost.
    pub failures: u64,
    /// Times that it was opened.
    pub opened: u64,
    /// Bytes handed over, those of cut lines included.
    pub bytes: u64,
}

/// A line of text for each event.
#[derive(Debug)]
pub struct Link<P: Port> {
    port: P,
    wire: Reconnect<P::Wire>,
    /// The line being handed over, and how much of it is.
    line: Option<(Sentence, usize)>,
    /// The wire's last line was cut: the next one wants a line end before it.
    torn: bool,
    sent: u64,
    bytes: u64,
}

impl<P: Port> Link<P> {
    /// Not opened yet.
    pub fn new(port: P) -> Self {
        Self {
            port,
            wire: Reconnect::new(),
            line: None,
            torn: false,
            sent: 0,
            bytes: 0,
        }
    }

    /// Opens the device if it is time to, and hands over what it takes of the lines that `next` gives.
    pub fn step(&mut self, now_ns: u64, mut next: impl FnMut() -> Option<Sentence>) -> Next {
        self.wire.open_if_due(now_ns, || self.port.open());
        while let Some(wire) = self.wire.get_mut() {
            if self.torn {
                // A single byte, which cannot be cut.
                match wire.write(b"\n") {
                    Ok(count) => {
                        self.torn = count == 0;
                        self.bytes += count as u64;
                    }
                    Err(Errno::EAGAIN) => return Next::Room,
                    Err(errno) => {
                        self.lose(now_ns, errno);
                        break;
                    }
                }
                continue;
            }
            let (line, done) = match &mut self.line {
                Some((line, done)) => (line, done),
                empty @ None => match next() {
                    Some(line) => {
                        let (line, done) = empty.insert((line, 0));
                        (line, done)
                    }
                    None => return Next::Event,
                },
            };
            match wire.write(line.as_bytes().get(*done..).unwrap_or_default()) {
                Ok(count) => {
                    *done += count;
                    self.bytes += count as u64;
                    if *done >= line.len() {
                        self.line = None;
                        self.sent += 1;
                        self.wire.worked();
                    }
                }
                Err(Errno::EAGAIN) => return Next::Room,
                Err(errno) => self.lose(now_ns, errno),
            }
        }
        self.wire.retry()
    }

    /// The device is gone, or cannot be opened. What it had of a line is worth nothing: the line is sent
    /// again from its beginning, and arrives twice where its line end alone was missing.
    fn lose(&mut self, now_ns: u64, errno: Errno) {
        if let Some((_, done)) = &mut self.line {
            self.torn |= *done > 0;
            *done = 0;
        }
        self.wire.lose(now_ns, errno);
    }

    /// The open wire.
    pub const fn wire(&self) -> Option<&P::Wire> {
        self.wire.get()
    }

    /// A line that is not handed over yet.
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        self.line.is_some()
    }

    /// Bytes of whole lines that the wire took and has yet to send.
    pub fn unsent(&self) -> usize {
        let cut = self.line.as_ref().map_or(0, |(_, done)| *done);
        let unsent = self.wire.get().map_or(0, Wire::unsent);
        unsent.saturating_sub(cut)
    }

    /// What it did.
    #[must_use]
    pub const fn counts(&self) -> LinkCounts {
        LinkCounts {
            sent: self.sent,
            failures: self.wire.failures(),
            opened: self.wire.opened(),
            bytes: self.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reconnect::{FIRST_PAUSE_NS, LONGEST_PAUSE_NS};
    use super::{Link, Next, Port, Sentence, Wire};
    use nix::errno::Errno;
    use proptest::prelude::*;
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::rc::Rc;

    /// How a device behaves, and what it got.
    #[derive(Default)]
    struct Device {
        absent: bool,
        /// Bytes that it takes before it says EAGAIN.
        room: usize,
        /// Bytes that it takes before it is lost.
        life: Option<usize>,
        /// Bytes that it says it has yet to send.
        queued: usize,
        got: Vec<u8>,
    }

    #[derive(Clone, Default)]
    struct Fake(Rc<RefCell<Device>>);

    impl Port for Fake {
        type Wire = Self;
        fn open(&mut self) -> Result<Self, Errno> {
            if self.0.borrow().absent {
                return Err(Errno::ENOENT);
            }
            Ok(self.clone())
        }
    }

    impl Wire for Fake {
        fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
            let mut device = self.0.borrow_mut();
            if device.absent || device.life == Some(0) {
                device.life = None;
                return Err(Errno::EIO);
            }
            let count = bytes
                .len()
                .min(device.room)
                .min(device.life.unwrap_or(usize::MAX));
            if count == 0 {
                return Err(Errno::EAGAIN);
            }
            device.room -= count;
            if let Some(life) = &mut device.life {
                *life -= count;
            }
            device.got.extend_from_slice(&bytes[..count]);
            Ok(count)
        }
        fn wait(&self, _: u64) {}
        fn unsent(&self) -> usize {
            self.0.borrow().queued
        }
    }

    fn lines(texts: &[&str]) -> VecDeque<Sentence> {
        texts
            .iter()
            .map(|text| Sentence::try_from(*text).unwrap())
            .collect()
    }

    fn got(fake: &Fake) -> String {
        String::from_utf8(fake.0.borrow().got.clone()).unwrap()
    }

    #[test]
    fn what_a_full_wire_does_not_take_goes_on_where_it_was() {
        let fake = Fake::default();
        fake.0.borrow_mut().room = 4;
        let mut queue = lines(&["one\r\n", "two\r\n"]);
        let mut link = Link::new(fake.clone());
        assert_eq!(link.step(0, || queue.pop_front()), Next::Room);
        assert!(link.is_holding());
        assert_eq!(queue.len(), 1, "the second line still waits in the queue");
        for (queued, of_whole_lines) in [(3, 0), (4, 0), (9, 5)] {
            fake.0.borrow_mut().queued = queued;
            assert_eq!(link.unsent(), of_whole_lines, "4 bytes are the cut line's");
        }
        fake.0.borrow_mut().room = 100;
        assert_eq!(link.step(1, || queue.pop_front()), Next::Event);
        assert_eq!(got(&fake), "one\r\ntwo\r\n");
        assert_eq!((link.counts().sent, link.counts().bytes), (2, 10));
    }

    #[test]
    fn a_device_that_comes_back_gets_the_cut_line_again_behind_a_line_end() {
        let fake = Fake::default();
        fake.0.borrow_mut().room = 100;
        fake.0.borrow_mut().life = Some(2);
        let mut queue = lines(&["one\r\n"]);
        let mut link = Link::new(fake.clone());
        let lost = link.step(5, || queue.pop_front());
        let at_ns = 5 + FIRST_PAUSE_NS;
        let errno = Errno::EIO;
        assert_eq!(lost, Next::Retry { at_ns, errno });
        assert_eq!(
            link.step(at_ns - 1, || queue.pop_front()),
            lost,
            "not before"
        );
        assert_eq!(link.step(at_ns, || queue.pop_front()), Next::Event);
        assert_eq!(got(&fake), "on\none\r\n");
        let counts = link.counts();
        assert_eq!((counts.sent, counts.failures, counts.opened), (1, 1, 2));
    }

    #[test]
    fn a_device_that_stays_away_is_tried_ever_more_rarely() {
        let fake = Fake::default();
        fake.0.borrow_mut().absent = true;
        let mut link = Link::new(fake.clone());
        let mut now_ns = 0;
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let Next::Retry { at_ns, errno } = link.step(now_ns, || None) else {
                panic!("it is not there");
            };
            assert_eq!(errno, Errno::ENOENT);
            pauses.push(at_ns - now_ns);
            now_ns = at_ns;
        }
        assert_eq!(pauses[..3], [1, 2, 4].map(|times| FIRST_PAUSE_NS * times));
        assert_eq!(pauses[9], LONGEST_PAUSE_NS);
        fake.0.borrow_mut().absent = false;
        assert_eq!(link.step(now_ns, || None), Next::Event);
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn every_line_arrives_whole_and_in_order_whatever_is_taken_and_lost(
            steps in prop::collection::vec((0_usize..12, prop::option::weighted(0.3, 0_usize..12)), 1..40),
        ) {
            let fake = Fake::default();
            let texts: Vec<String> = (0..10).map(|number| format!("line {number}\r\n")).collect();
            let mut queue: VecDeque<Sentence> =
                texts.iter().map(|text| Sentence::try_from(text.as_str()).unwrap()).collect();
            let mut link = Link::new(fake.clone());
            let mut now_ns = 0;
            for (room, life) in steps {
                fake.0.borrow_mut().room = room;
                fake.0.borrow_mut().life = life;
                link.step(now_ns, || queue.pop_front());
                now_ns += LONGEST_PAUSE_NS;
            }
            // In the end the device takes everything.
            fake.0.borrow_mut().room = 10_000;
            fake.0.borrow_mut().life = None;
            prop_assert_eq!(link.step(now_ns, || queue.pop_front()), Next::Event);
            let got = got(&fake);
            let mut whole: Vec<&str> = got.split('\n').map(|line| line.trim_end_matches('\r')).filter(|line| line.len() == 6).collect();
            // One whose line end alone was cut off comes twice.
            whole.dedup();
            let expected: Vec<String> = (0..10).map(|number| format!("line {number}")).collect();
            prop_assert_eq!(whole, expected, "{:?}", got);
            prop_assert_eq!(link.counts().sent, 10);
        }
    }
}
