//! The clockwork of a driver: frames are due at a rate, fill queued slots in order, and are lost when
//! none is queued. Sources that are no driver share it.
//!
//! A frame is painted when its slot is queued, before it is due, as a device's DMA writes it before the
//! interrupt: the time of painting is no part of the time from capture to dequeue. That works since the
//! n-th queued slot's frame number is known when it is queued: frames are lost only while no slot waits.
#![allow(unsafe_code)]

use crate::capture::{
    Dequeue, Dequeued, FrameSource, NotArmed, Readiness, SlotHome, SlotMemory, Slots, SourceError,
    StampKind, UnarmedSource, check_caller_slots,
};
use crate::frame::StreamFormat;
use crate::limits::MAX_SLOTS;
use heapless::Deque;
use nix::libc;

/// A slot that carries, or will carry, frame `number` of this stream.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    slot: u16,
    number: u64,
}

/// Slots, and which frame each is for.
#[derive(Debug)]
struct FrameClock {
    slots: Box<[SlotMemory]>,
    interval_ns: u64,
    /// Frames are due when the clock less this is a whole multiple of the interval; without it, an interval after
    /// `start` and so on.
    phase_ns: Option<u64>,
    /// While streaming: the time of `start`, or the last time at or before it that has the phase.
    origin_ns: Option<u64>,
    /// Number of the next frame that no slot is bound to.
    next: u64,
    waiting: Deque<Waiting, MAX_SLOTS>,
    held: [u64; MAX_SLOTS / 64],
}

impl FrameClock {
    /// `slots`, at most [`MAX_SLOTS`], as long as a frame; one frame each `interval_ns`.
    pub fn new(slots: Box<[SlotMemory]>, interval_ns: u64, phase_ns: Option<u64>) -> Self {
        Self {
            slots,
            interval_ns: interval_ns.max(1),
            phase_ns,
            origin_ns: None,
            next: 0,
            waiting: Deque::new(),
            held: [0; MAX_SLOTS / 64],
        }
    }

    pub fn slots(&self) -> &[SlotMemory] {
        &self.slots
    }

    /// Frames whose time has come at `now_ns`.
    fn due_count(&self, now_ns: u64) -> u64 {
        self.origin_ns
            .map_or(0, |origin| now_ns.saturating_sub(origin) / self.interval_ns)
    }

    /// When frame `number` is due; its end of frame.
    fn due_ns(&self, number: u64) -> u64 {
        self.origin_ns.map_or(u64::MAX, |origin| {
            origin.saturating_add(number.saturating_add(1).saturating_mul(self.interval_ns))
        })
    }

    /// Binds `slot` to the next frame, and has `paint` write that frame into it.
    pub fn queue(
        &mut self,
        slot: u16,
        now_ns: u64,
        paint: impl FnOnce(u64, &mut [u8]),
    ) -> Result<(), SourceError> {
        const REFUSED: SourceError = SourceError::new("queue", libc::EINVAL);
        let memory = *self.slots.get(usize::from(slot)).ok_or(REFUSED)?;
        let word = self.held.get_mut(usize::from(slot) / 64).ok_or(REFUSED)?;
        let bit = 1 << (slot % 64);
        if *word & bit != 0 {
            return Err(REFUSED);
        }
        *word |= bit;
        let number = self.next.max(self.due_count(now_ns));
        // Each of at most MAX_SLOTS slots is in the queue at most once, so there is room.
        if self.waiting.push_back(Waiting { slot, number }).is_err() {
            return Err(REFUSED);
        }
        self.next = number + 1;
        // SAFETY: the slot is with this source from this call until it is popped from `waiting`, and the
        // bit in `held` shows that it was not before; the reference ends with `paint`.
        let bytes = unsafe { memory.bytes_mut() };
        paint(number, bytes);
        Ok(())
    }

    pub fn start(&mut self, now_ns: u64) {
        let since_due = self
            .phase_ns
            .map_or(0, |phase| now_ns.saturating_sub(phase) % self.interval_ns);
        self.origin_ns = Some(now_ns - since_due);
    }

    pub fn stop(&mut self) {
        self.origin_ns = None;
        self.next = 0;
        self.waiting.clear();
        self.held = [0; MAX_SLOTS / 64];
    }

    /// The oldest frame that is due. Its length is the painter's to say: 0 bytes here.
    pub fn dequeue(&mut self, now_ns: u64) -> Result<Dequeue, SourceError> {
        if self.origin_ns.is_none() {
            return Err(SourceError::new("dequeue", libc::EINVAL));
        }
        let Some(&Waiting { slot, number }) = self.waiting.front() else {
            self.next = self.next.max(self.due_count(now_ns));
            return Ok(Dequeue::NotReady);
        };
        let capture_ns = self.due_ns(number);
        if capture_ns > now_ns {
            return Ok(Dequeue::NotReady);
        }
        self.waiting.pop_front();
        if let Some(word) = self.held.get_mut(usize::from(slot) / 64) {
            *word &= !(1 << (slot % 64));
        }
        // A driver's sequence number is 32 bits wide and wraps.
        #[allow(clippy::cast_possible_truncation)]
        let sequence = number as u32;
        Ok(Dequeue::Frame(Dequeued {
            slot,
            sequence,
            capture_ns,
            offset_bytes: 0,
            bytes_used: 0,
            stamp: StampKind::EndOfFrame,
            damaged: false,
        }))
    }

    /// While streaming: the number of the frame that is given next.
    pub fn streaming_front(&self) -> Option<u64> {
        self.origin_ns
            .map(|_| self.waiting.front().map_or(self.next, |front| front.number))
    }

    pub fn readiness(&self) -> Readiness {
        let next = self.streaming_front().unwrap_or(self.next);
        Readiness::At(self.due_ns(next))
    }
}

/// What a painted source shows.
pub(super) trait Paint: Send + std::fmt::Debug {
    /// Writes frame `number` in `format`.
    fn paint(&self, format: &StreamFormat, number: u64, bytes: &mut [u8]);

    /// Frame `later` shows what frame `earlier` does: a slot that holds the one need not be painted for the other.
    fn same(&self, earlier: u64, later: u64) -> bool {
        let _ = (earlier, later);
        false
    }

    /// Bytes that it holds beside the slots.
    fn own_bytes(&self) -> u64;

    /// What it is, for the log.
    fn io(&self) -> String;

    /// Bytes of frame `number`: of one that is longer than the format's, as many as fit are painted, and it is
    /// damaged. `None`: there is none, and no later one.
    fn bytes(&self, format: &StreamFormat, number: u64) -> Option<u32> {
        let _ = number;
        Some(format.size_bytes)
    }
}

/// A source whose frames are painted, before it has slots.
#[derive(Debug)]
pub struct UnarmedPainted<P> {
    pub(super) format: StreamFormat,
    pub(super) painter: P,
    /// When frames are due: at these nanoseconds of each interval, counted from the clock's 0; an interval after the
    /// start and so on when absent.
    pub(super) phase_ns: Option<u64>,
}

impl<P: Paint + 'static> UnarmedSource for UnarmedPainted<P> {
    fn format(&self) -> StreamFormat {
        self.format
    }
    fn slot_home(&self) -> SlotHome {
        SlotHome::Caller
    }
    fn own_bytes(&self) -> u64 {
        self.painter.own_bytes()
    }
    fn io(&self) -> String {
        self.painter.io()
    }
    fn arm(self: Box<Self>, slots: Slots<'_>) -> Result<Box<dyn FrameSource>, NotArmed> {
        match check_caller_slots(&self.format, slots, MAX_SLOTS) {
            Ok(slots) => Ok(Box::new(Painted {
                painted: vec![None; slots.len()].into(),
                frame_clock: FrameClock::new(slots, self.format.interval_ns, self.phase_ns),
                format: self.format,
                painter: self.painter,
            })),
            Err(error) => Err(NotArmed {
                source: self,
                error,
            }),
        }
    }
}

/// A source whose frames are painted, with its slots.
#[derive(Debug)]
struct Painted<P> {
    format: StreamFormat,
    painter: P,
    frame_clock: FrameClock,
    /// By slot: the frame that is in it. Nobody else writes into slots.
    painted: Box<[Option<u64>]>,
}

impl<P: Paint> FrameSource for Painted<P> {
    fn format(&self) -> StreamFormat {
        self.format
    }
    fn slots(&self) -> &[SlotMemory] {
        self.frame_clock.slots()
    }
    fn start(&mut self, now_ns: u64) -> Result<(), SourceError> {
        self.frame_clock.start(now_ns);
        Ok(())
    }
    fn queue(&mut self, slot: u16, now_ns: u64) -> Result<(), SourceError> {
        let Self {
            format,
            painter,
            frame_clock,
            painted,
        } = self;
        frame_clock.queue(slot, now_ns, |number, bytes| {
            let painted = &mut painted[usize::from(slot)];
            if painted.is_none_or(|earlier| !painter.same(earlier, number)) {
                painter.paint(format, number, bytes);
                *painted = Some(number);
            }
        })
    }
    fn dequeue(&mut self, now_ns: u64) -> Result<Dequeue, SourceError> {
        // Asked for while the source is stopped, the clock says so.
        let Some(next) = self.frame_clock.streaming_front() else {
            return self.frame_clock.dequeue(now_ns);
        };
        let Some(bytes) = self.painter.bytes(&self.format, next) else {
            return Ok(Dequeue::Ended);
        };
        let mut dequeued = self.frame_clock.dequeue(now_ns)?;
        if let Dequeue::Frame(frame) = &mut dequeued {
            frame.damaged = bytes > self.format.size_bytes;
            frame.bytes_used = bytes.min(self.format.size_bytes);
        }
        Ok(dequeued)
    }
    fn readiness(&self) -> Readiness {
        let next = self.frame_clock.streaming_front();
        match next.map(|next| self.painter.bytes(&self.format, next)) {
            // There is something to learn at once.
            Some(None) => Readiness::At(0),
            _ => self.frame_clock.readiness(),
        }
    }
    fn stop(&mut self) -> Result<(), SourceError> {
        self.frame_clock.stop();
        Ok(())
    }
    fn reopen(&mut self, _now_ns: u64) -> Result<(), SourceError> {
        self.frame_clock.stop();
        Ok(())
    }
}
