//! The memory planes of a driver's buffers, and their places in a slot.

use super::ioctl::MAX_PLANES;
use crate::frame::{PixelFormat, StreamFormat};

/// How many memory planes a buffer has, and the bytes that the driver asks for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planes {
    count: usize,
    sizes_bytes: [u32; MAX_PLANES],
}

impl Planes {
    /// The whole picture in one.
    pub(super) const fn one(size_bytes: u32) -> Self {
        Self {
            count: 1,
            sizes_bytes: [size_bytes, 0, 0],
        }
    }

    /// One for each plane of `pixel`, with these strides and sizes; `None` where they do not hold a picture,
    /// or their rows would not lie in it as the format says.
    pub(super) fn several(
        pixel: PixelFormat,
        (strides_bytes, sizes_bytes): (&[u32; MAX_PLANES], &[u32; MAX_PLANES]),
        height_px: u32,
    ) -> Option<Self> {
        let count = pixel.memory_planes();
        let planes = pixel.layout().planes();
        let given = strides_bytes.iter().zip(sizes_bytes);
        let holds = planes.iter().zip(given).all(|(plane, (stride, size))| {
            let expected = plane.stride(strides_bytes[0]);
            let rows = u64::from(height_px.div_ceil(plane.rows));
            u64::from(*stride) == expected && u64::from(*size) >= expected * rows
        });
        (holds && planes.len() == count && count <= MAX_PLANES).then_some(Self {
            count,
            sizes_bytes: *sizes_bytes,
        })
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Bytes that the driver asks for each.
    pub(super) fn sizes_bytes(&self) -> &[u32] {
        &self.sizes_bytes[..self.count]
    }

    /// Where plane `plane` begins in a slot, and its bytes there. A picture in one plane keeps all that the
    /// driver asks for; several lie as the format says, without padding.
    pub(super) fn place(&self, format: &StreamFormat, plane: usize) -> (usize, usize) {
        if self.count == 1 {
            return (0, format.size_bytes as usize);
        }
        let layout = format.pixel.layout();
        let offset = |plane| {
            let bytes = layout.plane_offset(plane, format.stride_bytes, format.height_px);
            usize::try_from(bytes).unwrap_or(usize::MAX)
        };
        (offset(plane), offset(plane + 1) - offset(plane))
    }

    /// Each plane asks for exactly its place: the driver can write into a slot.
    pub(super) fn fit_a_slot(&self, format: &StreamFormat) -> bool {
        self.count == 1
            || (0..self.count)
                .all(|plane| self.place(format, plane).1 == self.sizes_bytes[plane] as usize)
    }
}
