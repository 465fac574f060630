//! A camera whose buffers are copied: slow to read, in several pieces, or with rows of another length than its
//! slots were made for. One copy puts each picture into a slot, and the driver has its buffer back at once.

use super::ioctl::{Filled, MAX_PLANES};
use super::planes::Planes;
use super::source::V4l2Source;
use crate::capture::{Dequeue, Dequeued, FrameSource, Readiness, SlotMemory, SourceError, Traits};
use crate::frame::StreamFormat;
use crate::limits::MAX_SLOTS;
use heapless::Deque;
use nix::libc;

/// The driver's queue, and slots of the caller's to copy to.
#[derive(Debug)]
pub(super) struct CopySource {
    /// With the driver's own buffers, all of which are lent to it while it streams.
    inner: V4l2Source,
    slots: Box<[SlotMemory]>,
    /// What the slots hold: the driver's format, but for the length of its rows.
    held: StreamFormat,
    /// Slots that are lent to this source, the oldest first.
    free: Deque<u16, MAX_SLOTS>,
    /// A buffer could not be given back after its frame was copied: reported after the frame.
    failed: Option<SourceError>,
    planes: Planes,
    /// Where each plane begins in the mapping of a driver's buffer.
    offsets: [usize; MAX_PLANES],
}

impl CopySource {
    /// `slots` hold a picture of `held` each, which is the format of `inner` but for `stride_bytes` and
    /// `size_bytes`; they are at most [`MAX_SLOTS`].
    pub(super) fn new(
        inner: V4l2Source,
        slots: Box<[SlotMemory]>,
        held: StreamFormat,
        planes: Planes,
        offsets: [usize; MAX_PLANES],
    ) -> Self {
        Self {
            inner,
            slots,
            held,
            free: Deque::new(),
            failed: None,
            planes,
            offsets,
        }
    }

    fn lend_own(&mut self) -> Result<(), SourceError> {
        for index in 0..self.inner.slots().len() {
            match self
                .inner
                .queue(u16::try_from(index).unwrap_or(u16::MAX), 0)
            {
                // It has it already.
                Err(SourceError {
                    errno: libc::EINVAL,
                    ..
                }) if self.inner.is_lent(index) => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Copies a picture out of the driver's buffer `from` into the slot. Gives its bytes: fewer than a
    /// picture's where the driver filled fewer.
    fn copy(&self, from: &SlotMemory, filled: &Filled, slot: &SlotMemory) -> u32 {
        let format = self.inner.format();
        if format.stride_bytes != self.held.stride_bytes {
            let starts: [(usize, usize); MAX_PLANES] = std::array::from_fn(|plane| {
                let samples = filled.planes[plane];
                let start = self.offsets[plane] + samples.data_offset as usize;
                (start, samples.bytes as usize)
            });
            let samples = &starts[..self.planes.count()];
            return copy_rows((from, &format, samples), (slot, &self.held));
        }
        let mut end = 0;
        for plane in 0..self.planes.count() {
            let samples = filled.planes[plane];
            let (to, room) = self.planes.place(&format, plane);
            let start = self.offsets[plane] + samples.data_offset as usize;
            let bytes = (samples.bytes as usize).min(room);
            if !copy_bytes(from, start, slot, to, bytes) {
                return 0;
            }
            end = to + bytes;
            if self.planes.count() > 1 && bytes < room {
                // What follows a gap does not count.
                break;
            }
        }
        u32::try_from(end).unwrap_or(u32::MAX)
    }
}

/// Copies a picture row by row, of which `samples` say where each of its memory planes begins and how many
/// bytes are filled there. Gives the bytes of the picture in the slot: fewer where the driver filled fewer.
fn copy_rows(
    (from, found, samples): (&SlotMemory, &StreamFormat, &[(usize, usize)]),
    (slot, held): (&SlotMemory, &StreamFormat),
) -> u32 {
    let layout = found.pixel.layout();
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let place = |format: &StreamFormat, plane| {
        bytes(layout.plane_offset(plane, format.stride_bytes, format.height_px))
    };
    let mut end = 0;
    for (index, plane) in layout.planes().iter().enumerate() {
        // Planes that share a piece of memory follow each other there.
        let (offset, (start, filled)) = match samples {
            [all] => (place(found, index), *all),
            several => (0, several.get(index).copied().unwrap_or_default()),
        };
        let found_stride = bytes(plane.stride(found.stride_bytes));
        let held_stride = bytes(plane.stride(held.stride_bytes));
        let row_bytes = bytes(plane.row_bytes(found.width_px));
        for row in 0..found.height_px.div_ceil(plane.rows) as usize {
            let at = offset + row * found_stride;
            let to = place(held, index) + row * held_stride;
            let whole = at + row_bytes <= filled && row_bytes <= held_stride;
            if !whole || !copy_bytes(from, start + at, slot, to, row_bytes) {
                return u32::try_from(end).unwrap_or(u32::MAX);
            }
            end = to + held_stride;
        }
    }
    u32::try_from(end).unwrap_or(u32::MAX)
}

/// Copies within the bounds of both; false where they would be overstepped.
#[allow(unsafe_code)]
fn copy_bytes(
    from: &SlotMemory,
    start: usize,
    to: &SlotMemory,
    place: usize,
    bytes: usize,
) -> bool {
    let within = |memory: &SlotMemory, start: usize| {
        start
            .checked_add(bytes)
            .is_some_and(|end| end <= memory.len_bytes())
    };
    if !within(from, start) || !within(to, place) {
        return false;
    }
    // SAFETY: `start` lies within the memory, by the check above.
    let source = unsafe { from.start().add(start) };
    // SAFETY: as above.
    let target = unsafe { to.start().add(place) };
    // SAFETY: both ranges are mapped for as long as this source has them (contract of `SlotMemory::new`), and
    // lie within their memory. The driver has given its buffer back and the slot is lent to this source, so
    // nobody else touches either. One is the driver's mapping, the other the caller's: they do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), target.as_ptr(), bytes) };
    true
}

impl FrameSource for CopySource {
    fn format(&self) -> StreamFormat {
        self.held
    }

    fn slots(&self) -> &[SlotMemory] {
        &self.slots
    }

    fn start(&mut self, now_ns: u64) -> Result<(), SourceError> {
        self.lend_own()?;
        self.inner.start(now_ns)
    }

    fn queue(&mut self, slot: u16, _now_ns: u64) -> Result<(), SourceError> {
        let refused = |errno| SourceError::new("VIDIOC_QBUF", errno);
        if usize::from(slot) >= self.slots.len() || self.free.iter().any(|free| *free == slot) {
            return Err(refused(libc::EINVAL));
        }
        self.inner.check_open("VIDIOC_QBUF")?;
        self.free
            .push_back(slot)
            .map_err(|_| refused(libc::ENOBUFS))
    }

    fn dequeue(&mut self, now_ns: u64) -> Result<Dequeue, SourceError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        // Without a slot a frame is lost, as it is to a driver without a buffer: the next one is newer.
        while let Some((index, filled)) = self.inner.take()? {
            let outcome = self.free.pop_front().map(|slot| {
                let place = self.slots[usize::from(slot)];
                let from = self.inner.slots()[usize::from(index)];
                let frame = self.inner.describe(slot, &filled, now_ns);
                let bytes_used = if frame.damaged {
                    0
                } else {
                    self.copy(&from, &filled, &place)
                };
                Dequeued {
                    offset_bytes: 0,
                    bytes_used,
                    ..frame
                }
            });
            if let Err(error) = self.inner.queue(index, now_ns) {
                if outcome.is_none() {
                    return Err(error);
                }
                self.failed = Some(error);
            }
            if let Some(frame) = outcome {
                return Ok(Dequeue::Frame(frame));
            }
        }
        Ok(Dequeue::NotReady)
    }

    fn readiness(&self) -> Readiness {
        self.inner.readiness()
    }

    fn traits(&self) -> Traits {
        self.inner.traits()
    }

    fn stop(&mut self) -> Result<(), SourceError> {
        self.free.clear();
        self.failed = None;
        self.inner.stop()
    }

    fn reopen(&mut self, now_ns: u64) -> Result<(), SourceError> {
        self.free.clear();
        self.failed = None;
        self.inner.reopen(now_ns)
    }

    fn reset_port(&mut self) -> Result<(), SourceError> {
        self.free.clear();
        self.failed = None;
        self.inner.reset_port()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Colour, Encoding, PixelFormat, Quantization};
    use std::ptr::NonNull;

    #[allow(unsafe_code)]
    fn memory(bytes: &mut [u8]) -> SlotMemory {
        let length = bytes.len();
        // SAFETY: the bytes are the test's own and outlive its use of this; nobody else touches them.
        unsafe { SlotMemory::new(NonNull::from(bytes).cast(), length) }
    }

    #[test]
    fn bytes_are_copied_to_their_place_and_nowhere_else() {
        let mut from = *b"..abcd..";
        let mut to = [b'-'; 8];
        let (source, target) = (memory(&mut from), memory(&mut to));
        assert!(copy_bytes(&source, 2, &target, 3, 4));
        assert_eq!(&to, b"---abcd-");
    }

    #[test]
    fn what_lies_beyond_either_memory_is_not_touched() {
        let mut from = [1; 8];
        let mut to = [0; 8];
        let (source, target) = (memory(&mut from), memory(&mut to));
        for (start, place, bytes) in [
            (5, 0, 4),
            (0, 5, 4),
            (0, 0, 9),
            (usize::MAX, 0, 2),
            (0, usize::MAX, 2),
        ] {
            assert!(!copy_bytes(&source, start, &target, place, bytes));
        }
        assert_eq!(to, [0; 8]);
    }

    fn format(pixel: PixelFormat, (width_px, height_px): (u32, u32), stride: u32) -> StreamFormat {
        let size = pixel.image_bytes(stride, height_px);
        StreamFormat {
            pixel,
            width_px,
            height_px,
            stride_bytes: stride,
            size_bytes: u32::try_from(size).unwrap(),
            colour: Colour {
                encoding: Encoding::Bt601,
                quantization: Quantization::Limited,
            },
            interval_ns: 0,
        }
    }

    #[test]
    fn rows_of_another_length_are_put_one_after_the_other_in_every_plane() {
        let size = (4, 2);
        let (found, held) = (
            format(PixelFormat::Nv12, size, 6),
            format(PixelFormat::Nv12, size, 4),
        );
        // Two bytes of nothing in front, as a driver may have them.
        let mut from = *b"__abcd..efgh..uvUV..";
        let mut to = [b'-'; 14];
        let (source, target) = (memory(&mut from), memory(&mut to));
        let bytes = copy_rows((&source, &found, &[(2, 18)]), (&target, &held));
        assert_eq!((bytes, &to), (12, b"abcdefghuvUV--"));
        // Narrower planes of the colours, and the planes of a buffer each.
        let (found, held) = (
            format(PixelFormat::Yu12m, size, 8),
            format(PixelFormat::Yu12m, size, 4),
        );
        let mut from = *b"abcd....efgh....uv..UV..";
        let mut to = [b'-'; 14];
        let (source, target) = (memory(&mut from), memory(&mut to));
        let planes = [(0, 16), (16, 4), (20, 4)];
        let bytes = copy_rows((&source, &found, &planes), (&target, &held));
        assert_eq!((bytes, &to), (12, b"abcdefghuvUV--"));
    }

    #[test]
    fn a_picture_that_ends_early_is_shorter_in_its_slot_too() {
        let size = (4, 3);
        let (found, held) = (
            format(PixelFormat::Grey, size, 6),
            format(PixelFormat::Grey, size, 4),
        );
        let mut from = *b"abcd..efgh..ijk";
        let mut to = [b'-'; 12];
        let (source, target) = (memory(&mut from), memory(&mut to));
        let bytes = copy_rows((&source, &found, &[(0, 15)]), (&target, &held));
        assert_eq!((bytes, &to), (8, b"abcdefgh----"));
        // The driver says more than there is.
        let bytes = copy_rows((&source, &found, &[(0, 99)]), (&target, &held));
        assert_eq!((bytes, &to), (8, b"abcdefgh----"));
    }
}
