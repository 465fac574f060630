//! The 64 bytes that travel: what a frame is, where its pixels lie, and a check that they still do.

use super::format::StreamFormat;
use super::state::SlotState;
use std::ops::Deref;

/// What is known of a frame when it is published; constant until its slot is filled again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FrameFacts {
    /// The camera's number on this board.
    pub camera: u16,
    /// The slot that holds the payload.
    pub slot: u16,
    /// The driver's sequence number (V4L2 `sequence`); wraps, and starts anew with the stream.
    pub driver_sequence: u32,
    /// Our own number: frames of this camera published before this one. Never repeats.
    pub sequence: u64,
    /// When the frame was captured, CLOCK_MONOTONIC, by the driver's stamp.
    pub capture_ns: u64,
    /// When we took it from the driver, CLOCK_MONOTONIC.
    pub dequeue_ns: u64,
    /// Bytes of payload.
    pub bytes_used: u32,
    /// Width in pixels.
    pub width_px: u16,
    /// Height in pixels.
    pub height_px: u16,
    /// Bytes from one row of the first plane to the next.
    pub stride_bytes: u32,
    /// V4L2 four-character code.
    pub fourcc: [u8; 4],
    /// Lowest byte: what `capture_ns` marks, in the numbers of the capture stage. Above it: what capture
    /// noticed on the way (`latency::Remarks`).
    pub stamp: u32,
    /// Bytes from the start of the slot to the payload (V4L2 `data_offset`).
    pub offset_bytes: u32,
}

const _: () = assert!(
    size_of::<FrameFacts>() == 56,
    "no padding: all bytes are checked"
);

impl FrameFacts {
    /// CRC-32C of all 56 bytes, as they lie in a little-endian memory.
    #[inline]
    #[must_use]
    pub fn crc(&self) -> u32 {
        super::crc::of(&self.words())
    }

    /// The 56 bytes as words of a little-endian memory. Put together from the fields, not read from
    /// their memory: a wide load cannot be served from the narrow stores that have just written it.
    #[inline]
    fn words(&self) -> [u64; 7] {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let half = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
        [
            pair(half(self.camera, self.slot), self.driver_sequence),
            self.sequence,
            self.capture_ns,
            self.dequeue_ns,
            pair(self.bytes_used, half(self.width_px, self.height_px)),
            pair(self.stride_bytes, u32::from_le_bytes(self.fourcc)),
            pair(self.stamp, self.offset_bytes),
        ]
    }
}

/// The header of a slot: 64 bytes on a cache line of its own.
///
/// `crc` and the facts are written by the slot's owner only, before it publishes the frame; the state
/// word is shared by the taps for as long as they have it.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C, align(64)))]
pub struct FrameHeader {
    pub(super) crc: u32,
    pub(super) state: SlotState,
    pub(super) facts: FrameFacts,
}

impl FrameHeader {
    /// The header of a slot that was never filled.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            crc: 0,
            state: SlotState::new(),
            facts: FrameFacts::default(),
        }
    }

    /// The checksum that it was sealed with.
    #[must_use]
    pub const fn crc(&self) -> u32 {
        self.crc
    }

    /// The state word.
    #[must_use]
    pub const fn state(&self) -> &SlotState {
        &self.state
    }

    /// Whether this is, unharmed, the header of the frame `sequence` in slot `slot`.
    ///
    /// # Errors
    /// What is wrong with it. A wrong checksum comes first: nothing else in the header counts then.
    #[inline]
    pub fn verify(&self, slot: u16, sequence: u64) -> Result<(), HeaderFault> {
        let computed = self.facts.crc();
        if computed != self.crc {
            return Err(HeaderFault::Torn {
                stored: self.crc,
                computed,
            });
        }
        if self.facts.slot != slot {
            return Err(HeaderFault::WrongSlot {
                expected: slot,
                found: self.facts.slot,
            });
        }
        if self.facts.sequence != sequence {
            return Err(HeaderFault::Reused {
                expected: sequence,
                found: self.facts.sequence,
            });
        }
        Ok(())
    }
}

impl Deref for FrameHeader {
    type Target = FrameFacts;
    fn deref(&self) -> &FrameFacts {
        &self.facts
    }
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// The facts are not the ones that were sealed: half of another header, or a stray write.
    Torn {
        /// Checksum in the header.
        stored: u32,
        /// Checksum of the facts as they are.
        computed: u32,
    },
    /// The header is whole, and belongs to another slot.
    WrongSlot {
        /// The slot it lies in.
        expected: u16,
        /// The slot it names.
        found: u16,
    },
    /// The header is whole, and belongs to another frame: the slot was filled again.
    Reused {
        /// The frame that was claimed.
        expected: u64,
        /// The frame that is there.
        found: u64,
    },
}

impl std::fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Torn { stored, computed } => {
                write!(
                    f,
                    "the header is torn: sealed with {stored:#010x}, now {computed:#010x}"
                )
            }
            Self::WrongSlot { expected, found } => {
                write!(f, "slot {expected} holds the header of slot {found}")
            }
            Self::Reused { expected, found } => {
                write!(
                    f,
                    "the slot of frame {expected} was reused for frame {found}"
                )
            }
        }
    }
}

impl std::error::Error for HeaderFault {}

/// What the capture stage knows of a frame; the lane adds camera, slot and sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameMeta {
    /// The driver's sequence number.
    pub driver_sequence: u32,
    /// When the frame was captured, CLOCK_MONOTONIC.
    pub capture_ns: u64,
    /// When it was taken from the driver, CLOCK_MONOTONIC.
    pub dequeue_ns: u64,
    /// Bytes from the start of the slot to the payload (V4L2 `data_offset`).
    pub offset_bytes: u32,
    /// Bytes of payload.
    pub bytes_used: u32,
    /// Width in pixels.
    pub width_px: u16,
    /// Height in pixels.
    pub height_px: u16,
    /// Bytes from one row of the first plane to the next.
    pub stride_bytes: u32,
    /// V4L2 four-character code.
    pub fourcc: [u8; 4],
    /// Lowest byte: what `capture_ns` marks, in the numbers of the capture stage. Above it: what capture
    /// noticed on the way (`latency::Remarks`).
    pub stamp: u32,
}

impl FrameMeta {
    /// The part that is constant while `format` streams; stamps, sequence and bytes are zero.
    ///
    /// `None` when a side is longer than the header can say (65535 pixels).
    #[must_use]
    pub fn of(format: &StreamFormat) -> Option<Self> {
        Some(Self {
            width_px: u16::try_from(format.width_px).ok()?,
            height_px: u16::try_from(format.height_px).ok()?,
            stride_bytes: format.stride_bytes,
            fourcc: format.pixel.fourcc(),
            ..Self::default()
        })
    }

    /// The facts of this frame as number `sequence` of `camera`, in `slot`.
    #[inline]
    #[must_use]
    pub const fn facts(&self, camera: u16, slot: u16, sequence: u64) -> FrameFacts {
        FrameFacts {
            camera,
            slot,
            driver_sequence: self.driver_sequence,
            sequence,
            capture_ns: self.capture_ns,
            dequeue_ns: self.dequeue_ns,
            bytes_used: self.bytes_used,
            width_px: self.width_px,
            height_px: self.height_px,
            stride_bytes: self.stride_bytes,
            fourcc: self.fourcc,
            stamp: self.stamp,
            offset_bytes: self.offset_bytes,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;
    use std::mem::offset_of;

    fn sealed(facts: FrameFacts) -> FrameHeader {
        FrameHeader {
            crc: facts.crc(),
            state: SlotState::new(),
            facts,
        }
    }

    /// The facts as they lie in memory.
    #[allow(unsafe_code)]
    fn bytes_of(facts: FrameFacts) -> [u8; 56] {
        // SAFETY: both are 56 bytes, and the facts are repr(C) integers without padding.
        unsafe { std::mem::transmute(facts) }
    }

    #[allow(unsafe_code)]
    fn facts_of(bytes: [u8; 56]) -> FrameFacts {
        // SAFETY: both are 56 bytes, and any bytes are valid facts: all fields are integers.
        unsafe { std::mem::transmute(bytes) }
    }

    fn meta() -> FrameMeta {
        FrameMeta {
            driver_sequence: 11,
            capture_ns: 1_000,
            dequeue_ns: 2_000,
            offset_bytes: 128,
            bytes_used: 3_110_400,
            width_px: 1920,
            height_px: 1080,
            stride_bytes: 1920,
            fourcc: *b"NV12",
            stamp: 1,
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        assert_eq!(size_of::<FrameHeader>(), 64);
        assert_eq!(align_of::<FrameHeader>(), 64);
        assert_eq!(offset_of!(FrameHeader, crc), 0);
        assert_eq!(offset_of!(FrameHeader, state), 4);
        assert_eq!(offset_of!(FrameHeader, facts), 8);
        let facts = [
            (offset_of!(FrameFacts, camera), 0),
            (offset_of!(FrameFacts, slot), 2),
            (offset_of!(FrameFacts, driver_sequence), 4),
            (offset_of!(FrameFacts, sequence), 8),
            (offset_of!(FrameFacts, capture_ns), 16),
            (offset_of!(FrameFacts, dequeue_ns), 24),
            (offset_of!(FrameFacts, bytes_used), 32),
            (offset_of!(FrameFacts, width_px), 36),
            (offset_of!(FrameFacts, height_px), 38),
            (offset_of!(FrameFacts, stride_bytes), 40),
            (offset_of!(FrameFacts, fourcc), 44),
            (offset_of!(FrameFacts, stamp), 48),
            (offset_of!(FrameFacts, offset_bytes), 52),
        ];
        for (found, expected) in facts {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_checksum_is_crc_32c_of_the_bytes_in_memory() {
        // Bit by bit, with the polynomial 0x1edc6f41 reflected.
        let bitwise = |bytes: &[u8]| {
            !bytes.iter().fold(!0_u32, |crc, &byte| {
                (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                    (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
                })
            })
        };
        assert_eq!(
            bitwise(b"123456789"),
            0xe306_9283,
            "the catalogue's check value"
        );
        for facts in [FrameFacts::default(), meta().facts(3, 4, 5)] {
            assert_eq!(facts.crc(), bitwise(&bytes_of(facts)));
        }
    }

    #[test]
    fn a_sealed_header_verifies() {
        assert_eq!(sealed(meta().facts(2, 7, 40)).verify(7, 40), Ok(()));
    }

    #[test]
    fn any_flipped_bit_of_the_facts_is_a_torn_header() {
        let facts = meta().facts(2, 7, 40);
        for bit in 0..56 * 8 {
            let mut bytes = bytes_of(facts);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let harmed = facts_of(bytes);
            let header = FrameHeader {
                crc: facts.crc(),
                state: SlotState::new(),
                facts: harmed,
            };
            assert!(
                matches!(header.verify(7, 40), Err(HeaderFault::Torn { .. })),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_header_whose_halves_come_from_two_frames_is_torn() {
        let old = meta().facts(2, 7, 40);
        let new = FrameMeta {
            capture_ns: 9_000,
            driver_sequence: 12,
            ..meta()
        }
        .facts(2, 7, 41);
        for cut in (8..56).step_by(8) {
            let mut bytes = bytes_of(old);
            bytes[..cut].copy_from_slice(&bytes_of(new)[..cut]);
            let mixed = facts_of(bytes);
            let header = FrameHeader {
                crc: old.crc(),
                state: SlotState::new(),
                facts: mixed,
            };
            assert!(
                matches!(header.verify(7, 40), Err(HeaderFault::Torn { .. })),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_reused_or_foreign_header_is_told_apart_from_a_torn_one() {
        let header = sealed(meta().facts(2, 7, 41));
        assert_eq!(
            header.verify(7, 40),
            Err(HeaderFault::Reused {
                expected: 40,
                found: 41
            })
        );
        assert_eq!(
            header.verify(6, 41),
            Err(HeaderFault::WrongSlot {
                expected: 6,
                found: 7
            })
        );
    }

    #[test]
    fn geometry_comes_from_the_negotiated_format() {
        let format = StreamFormat {
            pixel: PixelFormat::Yuyv,
            width_px: 640,
            height_px: 480,
            stride_bytes: 1280,
            size_bytes: 614_400,
            colour: crate::frame::Colour::default(),
            interval_ns: 0,
        };
        let meta = FrameMeta::of(&format).unwrap();
        assert_eq!(
            (
                meta.width_px,
                meta.height_px,
                meta.stride_bytes,
                meta.fourcc
            ),
            (640, 480, 1280, *b"YUYV")
        );
        assert_eq!(
            FrameMeta::of(&StreamFormat {
                width_px: 65_536,
                ..format
            }),
            None
        );
    }
}
