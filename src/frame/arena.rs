//! One region of memory cut into headers and payload slots, exact to the byte.
//!
//! ```text
//! 0        headers of camera 0, 1, ... (64 bytes each)      padding to a page
//! ├────────────────────────────────────────────────────────┬───────────────┤
//! payloads of camera 0: slot 0 │ slot 1 │ ...   each from a page boundary
//! ├──────────────────────────────────────────────────────────────────────── ... ┤
//! ```
//!
//! All headers come before all payloads, so that nothing that runs past the end of a payload meets a
//! header. Mapping the region, its pages and its guard pages are `sys`'s business.
#![allow(unsafe_code)]

use super::header::FrameHeader;
use super::table::{Keep, Payload, SlotTable};
use crate::limits::MAX_SLOTS;
use crate::units::round_up;
use std::ptr::NonNull;

/// Payloads begin at multiples of this: what USERPTR needs of a buffer, and more than any vector
/// instruction needs of a row.
pub const PAYLOAD_ALIGN: u64 = 4096;
const HEADER_BYTES: u64 = size_of::<FrameHeader>() as u64;

/// What one camera needs of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CameraNeed {
    /// Slots, 1..=512.
    pub slots: u16,
    /// Payload bytes of one slot; 0 when the driver's own buffers are the payloads.
    pub bytes: u64,
}

/// Why the arena cannot be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// A camera asks for no slot, or for more than a lane can hold.
    Slots {
        /// Place of the camera in the list.
        camera: usize,
        /// What it asks for.
        slots: u16,
    },
    /// The sum does not fit the address space.
    TooLarge,
}

impl std::fmt::Display for LayoutError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Slots { camera, slots } => {
                write!(
                    f,
                    "camera {camera} asks for {slots} slots, expected 1 to {MAX_SLOTS}"
                )
            }
            Self::TooLarge => f.write_str("the arena is larger than the address space"),
        }
    }
}

impl std::error::Error for LayoutError {}

/// Where one camera's part lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CameraPlace {
    /// Slots.
    pub slots: u16,
    /// Usable payload bytes of one slot.
    pub bytes: u64,
    /// Offset of the first header.
    pub headers_offset: u64,
    /// Offset of the first payload.
    pub payloads_offset: u64,
    /// Bytes from one payload to the next.
    pub payload_stride: u64,
}

/// The cut of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArenaLayout {
    places: Vec<CameraPlace>,
    header_bytes: u64,
    payload_bytes: u64,
    total_bytes: u64,
}

impl ArenaLayout {
    /// The layout for these cameras, in this order.
    ///
    /// # Errors
    /// A slot count out of range, or a sum that does not fit.
    pub fn of(needs: &[CameraNeed]) -> Result<Self, LayoutError> {
        let mut places = Vec::with_capacity(needs.len());
        let mut end = 0_u64;
        let mut payload_bytes = 0_u64;
        for (camera, need) in needs.iter().enumerate() {
            let slots = u64::from(need.slots);
            if need.slots == 0 || usize::from(need.slots) > MAX_SLOTS {
                return Err(LayoutError::Slots {
                    camera,
                    slots: need.slots,
                });
            }
            payload_bytes = need
                .bytes
                .checked_mul(slots)
                .and_then(|bytes| payload_bytes.checked_add(bytes))
                .ok_or(LayoutError::TooLarge)?;
            places.push(CameraPlace {
                slots: need.slots,
                bytes: need.bytes,
                headers_offset: end,
                payloads_offset: 0,
                payload_stride: round_up(need.bytes, PAYLOAD_ALIGN).ok_or(LayoutError::TooLarge)?,
            });
            end += slots * HEADER_BYTES;
        }
        let header_bytes = end;
        if payload_bytes > 0 {
            end = round_up(end, PAYLOAD_ALIGN).ok_or(LayoutError::TooLarge)?;
        }
        for place in &mut places {
            place.payloads_offset = end;
            end = place
                .payload_stride
                .checked_mul(u64::from(place.slots))
                .and_then(|bytes| end.checked_add(bytes))
                .filter(|&end| isize::try_from(end).is_ok())
                .ok_or(LayoutError::TooLarge)?;
        }
        Ok(Self {
            places,
            header_bytes,
            payload_bytes,
            total_bytes: end,
        })
    }

    /// Where each camera's part lies, in the order of the needs.
    #[must_use]
    pub fn places(&self) -> &[CameraPlace] {
        &self.places
    }

    /// Bytes of all headers.
    #[must_use]
    pub const fn header_bytes(&self) -> u64 {
        self.header_bytes
    }

    /// Usable bytes of all payloads.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Bytes that alignment costs.
    #[must_use]
    pub const fn padding_bytes(&self) -> u64 {
        self.total_bytes - self.header_bytes - self.payload_bytes
    }

    /// Bytes of the region: headers, payloads and padding.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// The slot table of camera `camera` (its place in the needs) in the region at `base`.
    ///
    /// # Panics
    /// When `camera` is not in the layout, `base` is not page-aligned, or `length` is too small.
    ///
    /// # Safety
    /// * `base` points to `length` bytes that are readable and writable for as long as `keep` lives.
    /// * Nothing else in the process reads or writes the part of `camera`, except the kernel on behalf
    ///   of a driver that was lent one of its slots; so the table of one camera is made once.
    pub unsafe fn table(
        &self,
        camera: usize,
        base: NonNull<u8>,
        length: usize,
        keep: Keep,
    ) -> SlotTable {
        let place = &self.places[camera];
        assert!(
            base.as_ptr()
                .addr()
                .is_multiple_of(offset(PAYLOAD_ALIGN, PAYLOAD_ALIGN)),
            "the region begins at a page boundary"
        );
        assert!(
            length as u64 >= self.total_bytes,
            "the region holds the whole layout"
        );
        let at = |byte| {
            // SAFETY: `of` computed every offset below `total_bytes`, which fits isize and `length`.
            unsafe { base.add(offset(byte, self.total_bytes)) }
        };
        let payloads: Vec<_> = (0..u64::from(place.slots))
            .map(|slot| Payload {
                start: at(place.payloads_offset + slot * place.payload_stride),
                length: offset(place.bytes, self.total_bytes),
            })
            .collect();
        let headers = at(place.headers_offset).cast::<FrameHeader>();
        // SAFETY: `of` gave each slot of the camera 64 bytes for its header, at a multiple of 64 from
        // the page-aligned base, and `bytes` for its payload, all disjoint; the caller grants sole use
        // of them for as long as `keep` lives.
        unsafe { SlotTable::from_parts(headers, &payloads, keep) }
    }
}

/// An offset that is known to be at most `bound`, which fits the address space.
fn offset(byte: u64, bound: u64) -> usize {
    assert!(byte <= bound, "offset inside the region");
    usize::try_from(byte).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, any, proptest};
    use std::sync::Arc;

    #[test]
    fn two_cameras_lie_where_the_sum_says() {
        let layout = ArenaLayout::of(&[
            CameraNeed {
                slots: 6,
                bytes: 3_110_400,
            },
            CameraNeed {
                slots: 4,
                bytes: 614_400,
            },
        ])
        .unwrap();
        let [first, second] = layout.places() else {
            panic!("two places")
        };
        assert_eq!((first.headers_offset, second.headers_offset), (0, 6 * 64));
        assert_eq!(
            (first.payloads_offset, first.payload_stride),
            (4096, 3_112_960)
        );
        assert_eq!(
            (second.payloads_offset, second.payload_stride),
            (4096 + 6 * 3_112_960, 614_400)
        );
        assert_eq!(layout.header_bytes(), 640);
        assert_eq!(layout.payload_bytes(), 6 * 3_110_400 + 4 * 614_400);
        assert_eq!(layout.total_bytes(), 4096 + 6 * 3_112_960 + 4 * 614_400);
        assert_eq!(layout.padding_bytes(), 4096 - 640 + 6 * 2560);
    }

    #[test]
    fn a_camera_whose_driver_owns_the_buffers_needs_only_headers() {
        let layout = ArenaLayout::of(&[CameraNeed { slots: 5, bytes: 0 }]).unwrap();
        assert_eq!((layout.total_bytes(), layout.padding_bytes()), (320, 0));
    }

    #[test]
    fn impossible_needs_are_refused() {
        let of = |slots, bytes| ArenaLayout::of(&[CameraNeed { slots, bytes }]);
        assert_eq!(
            of(0, 1),
            Err(LayoutError::Slots {
                camera: 0,
                slots: 0
            })
        );
        assert_eq!(
            of(513, 1),
            Err(LayoutError::Slots {
                camera: 0,
                slots: 513
            })
        );
        assert_eq!(of(1, u64::MAX), Err(LayoutError::TooLarge));
        assert_eq!(of(512, u64::MAX / 512), Err(LayoutError::TooLarge));
        assert_eq!(of(1, i64::MAX as u64), Err(LayoutError::TooLarge));
    }

    #[test]
    fn a_table_of_a_region_holds_empty_headers_and_aligned_payloads() {
        #[repr(align(4096))]
        struct Region {
            _bytes: [u8; 3 * 4096],
        }
        let layout = ArenaLayout::of(&[
            CameraNeed {
                slots: 1,
                bytes: 100,
            },
            CameraNeed {
                slots: 1,
                bytes: 4096,
            },
        ])
        .unwrap();
        assert_eq!(layout.total_bytes(), 3 * 4096);
        let region = Box::into_raw(Box::new(Region {
            _bytes: [0xaa; 3 * 4096],
        }));
        let base = NonNull::new(region).unwrap().cast();
        for camera in 0..2 {
            // SAFETY: the region was just allocated, is used by nothing else and is freed below, after
            // the tables; each camera's table is made once.
            let table = unsafe { layout.table(camera, base, 3 * 4096, Arc::new(())) };
            assert_eq!(table.slots(), 1);
            assert_eq!(table.state(0).word(), 0);
        }
        // SAFETY: made by Box::into_raw above, and the tables that used it are gone.
        drop(unsafe { Box::from_raw(region) });
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn no_two_parts_overlap_and_every_byte_is_counted(
            needs in proptest::collection::vec(
                (1..=512_u16, any::<u32>()).prop_map(|(slots, bytes)| CameraNeed { slots, bytes: bytes.into() }),
                0..8,
            )
        ) {
            let layout = ArenaLayout::of(&needs).unwrap();
            let mut parts = Vec::new();
            for place in layout.places() {
                for slot in 0..u64::from(place.slots) {
                    let header = place.headers_offset + 64 * slot;
                    let payload = place.payloads_offset + place.payload_stride * slot;
                    assert_eq!((header % 64, payload % PAYLOAD_ALIGN * u64::from(place.bytes > 0)), (0, 0));
                    parts.push((header, header + 64));
                    parts.push((payload, payload + place.bytes));
                }
            }
            parts.retain(|part| part.1 > part.0);
            parts.sort_unstable();
            assert!(parts.windows(2).all(|pair| pair[0].1 <= pair[1].0));
            assert!(parts.iter().all(|part| part.1 <= layout.total_bytes()));
            let used: u64 = parts.iter().map(|part| part.1 - part.0).sum();
            assert_eq!(used + layout.padding_bytes(), layout.total_bytes());
        }
    }
}
