//! A source with memory, a clock, and a record of who has which slot: what every check needs.
#![allow(unsafe_code, dead_code)]

use pinsight::capture::{
    Dequeue, Dequeued, FrameSource, NotArmed, Readiness, SlotHome, SlotMemory, Slots, SourceError,
    UnarmedSource,
};
use pinsight::units::{NS_PER_MS, NS_PER_S};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// The time that a source lives in.
#[derive(Debug)]
pub enum Clock {
    /// Passes by being waited for.
    Simulated(u64),
    /// CLOCK_MONOTONIC.
    Real,
}

impl Clock {
    pub fn now(&self) -> u64 {
        match self {
            Self::Simulated(now) => *now,
            Self::Real => pinsight::sys::clock::now_ns(),
        }
    }

    /// Waits for the source, at most until `until_ns`.
    pub fn wait(&mut self, readiness: Readiness, until_ns: u64) {
        match (self, readiness) {
            // A simulated wait ends at least a microsecond later, as a real one does.
            (Self::Simulated(now), Readiness::At(due_ns)) => {
                *now = due_ns.min(until_ns).max(*now + 1000);
            }
            (Self::Simulated(_), Readiness::Fd(_)) => panic!("a descriptor lives in real time"),
            (Self::Real, readiness) => {
                let now = pinsight::sys::clock::now_ns();
                let (fd, due_ns) = match readiness {
                    Readiness::Fd(fd) => (fd, until_ns),
                    Readiness::At(due_ns) => (-1, due_ns.min(until_ns)),
                };
                let ms = i32::try_from(due_ns.saturating_sub(now).div_ceil(NS_PER_MS))
                    .unwrap_or(i32::MAX);
                let mut poll = nix::libc::pollfd {
                    fd,
                    events: nix::libc::POLLIN,
                    revents: 0,
                };
                // SAFETY: one live pollfd; a negative descriptor is passed over.
                unsafe { nix::libc::poll(&raw mut poll, 1, ms) };
            }
        }
    }
}

/// Page-aligned memory for the slots of a source.
pub struct Region {
    start: NonNull<u8>,
    layout: Layout,
}

impl Region {
    pub fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes, 1 << 21).unwrap();
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
        Self { start, layout }
    }

    pub fn slots(&self, count: usize, bytes: usize) -> Vec<SlotMemory> {
        let step = bytes.next_multiple_of(4096);
        assert!(count * step <= self.layout.size());
        (0..count)
            .map(|slot| {
                // SAFETY: within the region, by the assertion above.
                let start = unsafe { self.start.add(slot * step) };
                // SAFETY: mapped for as long as the region lives, which `Stage` drops after the source;
                // the checks touch a slot only while they have it; slots do not overlap.
                unsafe { SlotMemory::new(start, bytes) }
            })
            .collect()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// A source on stage.
pub struct Stage<S = Box<dyn FrameSource>> {
    // Declared before the region: dropped before it.
    pub source: S,
    pub clock: Clock,
    /// Slots that the source has, by this side's books.
    pub lent: Vec<bool>,
    region: Option<Region>,
}

/// Arms a source with as many slots as asked, in whichever memory it wants.
#[track_caller]
pub fn arm(mut unarmed: Box<dyn UnarmedSource>, slots: usize, clock: Clock) -> Stage {
    let bytes = unarmed.format().size_bytes as usize;
    loop {
        let (home, io) = (unarmed.slot_home(), unarmed.io());
        let region = Region::new(slots * bytes.next_multiple_of(4096));
        let memory = region.slots(slots, bytes);
        let (armed, region) = match home {
            SlotHome::Caller => (unarmed.arm(Slots::Caller(&memory)), Some(region)),
            SlotHome::Source => (unarmed.arm(Slots::Source(slots)), None),
        };
        match armed {
            Ok(source) => {
                let lent = vec![false; source.slots().len()];
                return Stage {
                    source,
                    clock,
                    lent,
                    region,
                };
            }
            Err(NotArmed { source, .. }) if source.io() != io => unarmed = source,
            Err(NotArmed { error, .. }) => panic!("{error}"),
        }
    }
}

impl<S: FrameSource> Stage<S> {
    pub fn map<T>(self, wrap: impl FnOnce(S) -> T) -> Stage<T> {
        let Self {
            source,
            clock,
            lent,
            region,
        } = self;
        Stage {
            source: wrap(source),
            clock,
            lent,
            region,
        }
    }

    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    pub fn queue(&mut self, slot: u16) -> Result<(), SourceError> {
        let now = self.now();
        self.source.queue(slot, now)?;
        assert!(
            !std::mem::replace(&mut self.lent[usize::from(slot)], true),
            "slot {slot} lent twice"
        );
        Ok(())
    }

    /// Lends every slot that this side has.
    #[track_caller]
    pub fn queue_all(&mut self) {
        for slot in 0..self.lent.len() {
            if !self.lent[slot] {
                self.queue(u16::try_from(slot).unwrap()).unwrap();
            }
        }
    }

    pub fn start(&mut self) -> Result<(), SourceError> {
        let now = self.now();
        self.source.start(now)
    }

    pub fn stop(&mut self) -> Result<(), SourceError> {
        self.lent.fill(false);
        self.source.stop()
    }

    pub fn reopen(&mut self) -> Result<(), SourceError> {
        self.lent.fill(false);
        let now = self.now();
        self.source.reopen(now)
    }

    /// Takes a frame if there is one; checks that it came in a slot that was lent, and fits it.
    #[track_caller]
    pub fn dequeue(&mut self) -> Result<Option<Dequeued>, SourceError> {
        let now = self.now();
        let Dequeue::Frame(frame) = self.source.dequeue(now)? else {
            return Ok(None);
        };
        let lent = self
            .lent
            .get_mut(usize::from(frame.slot))
            .expect("a slot of this source");
        assert!(
            std::mem::replace(lent, false),
            "slot {} was not lent",
            frame.slot
        );
        let memory = self.source.slots()[usize::from(frame.slot)];
        let end = frame.offset_bytes as usize + frame.bytes_used as usize;
        assert!(
            end <= memory.len_bytes(),
            "{end} of {} bytes",
            memory.len_bytes()
        );
        Ok(Some(frame))
    }

    /// How often others may be late with what is to happen in real time.
    pub fn attempts(&self) -> u32 {
        match self.clock {
            Clock::Simulated(_) => 0,
            Clock::Real => 100,
        }
    }

    /// Waits for a frame, at most ten minutes.
    #[track_caller]
    pub fn next_frame(&mut self) -> Dequeued {
        let until = self.now() + 600 * NS_PER_S;
        loop {
            if let Some(frame) = self.dequeue().unwrap() {
                return frame;
            }
            assert!(self.now() < until, "a frame within ten minutes");
            let readiness = self.source.readiness();
            self.clock.wait(readiness, until);
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, ns: u64) {
        match &mut self.clock {
            Clock::Simulated(now) => *now += ns,
            Clock::Real => std::thread::sleep(std::time::Duration::from_nanos(ns)),
        }
    }

    /// The frame's samples. The slot must not be lent.
    #[track_caller]
    pub fn picture(&self, frame: &Dequeued) -> &[u8] {
        assert!(
            !self.lent[usize::from(frame.slot)],
            "the slot is this side's"
        );
        let memory = self.source.slots()[usize::from(frame.slot)];
        // SAFETY: the slot's memory is mapped and this side's until it is lent again, which takes
        // `&mut self`.
        let bytes =
            unsafe { std::slice::from_raw_parts(memory.start().as_ptr(), memory.len_bytes()) };
        let start = frame.offset_bytes as usize;
        &bytes[start..start + frame.bytes_used as usize]
    }

    /// Changes the first byte of a slot, to see whether the source writes there again. The slot must not be lent.
    #[track_caller]
    pub fn mark(&mut self, slot: u16) {
        assert!(!self.lent[usize::from(slot)], "the slot is this side's");
        let start = self.source.slots()[usize::from(slot)].start();
        // SAFETY: mapped, of at least a byte, and this side's until it is lent again.
        unsafe { *start.as_ptr() ^= 0xff };
    }
}
