//! The slots of one camera: headers, and where their payloads lie.
//!
//! The table itself knows nothing of who owns which slot. Its access functions are `unsafe` and ask the
//! caller, the lane, for that.
#![allow(unsafe_code)]

use super::header::{FrameFacts, FrameHeader};
use super::state::SlotState;
use crate::limits::MAX_SLOTS;
use std::any::Any;
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::Arc;

/// What keeps the memory behind a table mapped.
pub type Keep = Arc<dyn Any + Send + Sync>;

/// Where one payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// First byte.
    pub start: NonNull<u8>,
    /// Usable bytes.
    pub length: usize,
}

/// Headers and payloads of one camera's slots.
#[derive(Debug)]
pub struct SlotTable {
    headers: NonNull<FrameHeader>,
    payloads: Box<[UnsafeCell<Payload>]>,
    keep: Keep,
}

// SAFETY: the memory behind the pointers is the table's alone (contract of `from_parts`), so it may be
// used from whichever thread has the table.
unsafe impl Send for SlotTable {}
// SAFETY: through a shared table only the state words are reached without `unsafe`, and they are
// atomic; every other access is an unsafe function whose caller answers for exclusion.
unsafe impl Sync for SlotTable {}

impl SlotTable {
    /// A table over memory that exists already: the arena's, or a driver's mapped buffers. Writes an
    /// empty header for each payload.
    ///
    /// # Panics
    /// When there are no payloads, more than 512, or the headers are not 64-byte aligned.
    ///
    /// # Safety
    /// * `headers` points to 64 writable bytes for each payload, used by nothing else.
    /// * Each payload points to `length` readable and writable bytes (`length` at most `isize::MAX`)
    ///   that overlap no other payload and no header, and are used by nothing else, except by the
    ///   kernel on behalf of a driver while the slot is lent to it.
    /// * All of this holds for as long as `keep` lives.
    pub unsafe fn from_parts(
        headers: NonNull<FrameHeader>,
        payloads: &[Payload],
        keep: Keep,
    ) -> Self {
        assert!(
            (1..=MAX_SLOTS).contains(&payloads.len()),
            "a lane has 1 to {MAX_SLOTS} slots"
        );
        assert!(headers.is_aligned(), "headers are aligned to 64 bytes");
        for slot in 0..payloads.len() {
            // SAFETY: the caller gives one aligned header for each payload.
            let header = unsafe { headers.add(slot) };
            // SAFETY: the caller lets us write it, and nothing else uses it.
            unsafe { header.write(FrameHeader::empty()) };
        }
        Self {
            headers,
            payloads: payloads.iter().copied().map(UnsafeCell::new).collect(),
            keep,
        }
    }

    /// Slots.
    #[must_use]
    pub fn slots(&self) -> u16 {
        u16::try_from(self.payloads.len()).unwrap_or(u16::MAX)
    }

    /// What keeps the memory mapped.
    #[must_use]
    pub fn keep(&self) -> &Keep {
        &self.keep
    }

    #[inline]
    fn header_ptr(&self, slot: u16) -> *mut FrameHeader {
        let slot = usize::from(slot);
        assert!(slot < self.payloads.len(), "slot inside the table");
        // SAFETY: `from_parts` was given a header for each payload, and `slot` is below their number.
        unsafe { self.headers.as_ptr().add(slot) }
    }

    /// The state word of a slot.
    #[inline]
    #[must_use]
    pub fn state(&self, slot: u16) -> &SlotState {
        let header = self.header_ptr(slot);
        // SAFETY: the pointer is to a header inside the table, so the field is inside it as well.
        let state = unsafe { &raw const (*header).state };
        // SAFETY: aligned, initialised by `from_parts`, alive as long as `self.keep`; it is atomic and
        // only ever reached by shared reference.
        unsafe { &*state }
    }

    /// The header of a slot.
    ///
    /// # Safety
    /// The caller holds a lease of the slot, or owns it, for as long as it uses the result.
    #[inline]
    #[must_use]
    pub unsafe fn header(&self, slot: u16) -> &FrameHeader {
        let header = self.header_ptr(slot);
        // SAFETY: aligned, initialised by `from_parts`, alive as long as `self.keep`. The caller's
        // lease or ownership means that nobody writes crc and facts; the state word is atomic.
        unsafe { &*header }
    }

    /// Writes and seals the facts of a slot. The state word stays.
    ///
    /// # Safety
    /// The caller owns the slot: no reference to its header lives, and nobody else makes one meanwhile.
    #[inline]
    pub unsafe fn seal(&self, slot: u16, facts: FrameFacts) {
        let header = self.header_ptr(slot);
        let crc = facts.crc();
        // SAFETY: a field of a header inside the table, which the caller owns.
        unsafe { (*header).facts = facts };
        // SAFETY: as above.
        unsafe { (*header).crc = crc };
    }

    /// Where the payload of a slot lies.
    ///
    /// # Safety
    /// The caller holds a lease of the slot, or owns it.
    #[inline]
    #[must_use]
    pub unsafe fn payload(&self, slot: u16) -> Payload {
        // SAFETY: it is only written by `set_payload`, whose caller owns the slot, which excludes
        // this caller's lease or ownership.
        unsafe { *self.payloads[usize::from(slot)].get() }
    }

    /// Lets the slot's payload be another piece of memory, as after a driver's buffers were mapped anew.
    ///
    /// # Safety
    /// The caller owns the slot, and `payload` meets what [`SlotTable::from_parts`] asks of a payload,
    /// from now on for as long as the table lives.
    pub unsafe fn set_payload(&self, slot: u16, payload: Payload) {
        // SAFETY: the caller owns the slot, so nobody else reads or writes its entry.
        unsafe { *self.payloads[usize::from(slot)].get() = payload };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{End, FrameMeta};

    #[test]
    fn headers_and_payloads_of_a_table_are_apart_and_stay_apart() {
        let table = SlotTable::on_heap(3, 100);
        assert_eq!(table.slots(), 3);
        for slot in 0..3 {
            // SAFETY: the test is the only user of the table, so it owns every slot.
            let payload = unsafe { table.payload(slot) };
            assert_eq!(payload.length, 100);
            assert_eq!(payload.start.as_ptr().addr() % 4096, 0);
            let byte = u8::try_from(slot).unwrap() + 1;
            // SAFETY: 100 bytes of the table, owned as above.
            unsafe { payload.start.write_bytes(byte, 100) };
            // SAFETY: as above; no reference to the header lives.
            unsafe { table.seal(slot, FrameMeta::default().facts(9, slot, 70)) };
        }
        for slot in 0..3 {
            // SAFETY: as above.
            let header = unsafe { table.header(slot) };
            assert_eq!(header.verify(slot, 70), Ok(()));
            assert_eq!((header.camera, header.slot), (9, slot));
            // SAFETY: as above.
            let payload = unsafe { table.payload(slot) };
            // SAFETY: 100 initialised bytes that nobody writes meanwhile.
            let bytes = unsafe { std::slice::from_raw_parts(payload.start.as_ptr(), 100) };
            assert!(bytes.iter().all(|&byte| u16::from(byte) == slot + 1));
        }
    }

    #[test]
    fn sealing_leaves_the_state_word_alone() {
        let table = SlotTable::on_heap(1, 1);
        table.state(0).produce(2).unwrap();
        table.state(0).end(1, End::Discarded).unwrap();
        // SAFETY: the test is the only user of the table, and no reference to the header lives.
        unsafe { table.seal(0, FrameMeta::default().facts(0, 0, 0)) };
        assert_eq!(table.state(0).word(), 0x0501);
    }

    #[test]
    fn a_payload_can_be_elsewhere_and_can_move() {
        let table = SlotTable::on_heap(1, 8);
        let other = Box::leak(vec![7_u8; 16].into_boxed_slice());
        let payload = Payload {
            start: NonNull::from(&mut *other).cast(),
            length: 16,
        };
        // SAFETY: the test owns the slot; the bytes are leaked, so they outlive the table.
        unsafe { table.set_payload(0, payload) };
        // SAFETY: the test owns the slot.
        assert_eq!(unsafe { table.payload(0) }, payload);
    }

    #[test]
    fn the_memory_lives_as_long_as_the_table() {
        let table = SlotTable::on_heap(1, 8);
        let watch = Arc::downgrade(table.keep());
        assert!(watch.upgrade().is_some());
        drop(table);
        assert!(watch.upgrade().is_none());
    }
}
