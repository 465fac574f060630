//! The memory behind a camera's buffers, for each I/O method.

use super::device::{Device, Shared, not_shared, whole_pages};
use super::dmabuf::Heap;
use super::io_method::IoMethod;
use super::mapping::Mapping;
use crate::capture::{SlotMemory, SourceError};
use std::sync::Arc;

/// Buffers of a driver's queue, with the memory of the slots that they carry.
#[derive(Debug)]
pub(super) struct Buffers {
    /// Not [`IoMethod::Copy`]: those are [`IoMethod::Mmap`], and the copies lie elsewhere.
    pub io: IoMethod,
    /// Buffers of the driver's queue.
    pub count: usize,
    pub slots: Box<[SlotMemory]>,
    /// Of all but [`IoMethod::UserPtr`].
    pub mapping: Option<Arc<Mapping>>,
    /// Of [`IoMethod::DmabufExport`] and [`IoMethod::DmabufImport`], by slot.
    pub shared: Shared,
}

impl Buffers {
    /// `count` buffers for slots of the caller's.
    pub(super) fn user(slots: Box<[SlotMemory]>, count: usize) -> Self {
        Self {
            io: IoMethod::UserPtr,
            count,
            slots,
            mapping: None,
            shared: not_shared(),
        }
    }

    /// `count` buffers of the driver's own, which it has made, mapped as `io` says (`Mmap`, `DmabufExport`).
    pub(super) fn own(device: &Device, io: IoMethod, count: usize) -> Result<Self, SourceError> {
        let span = device.span()?;
        let mapping = Mapping::reserve(count, span.slot_bytes)?;
        let bytes = if device.agreed.planes.count() == 1 {
            span.first_bytes
        } else {
            span.slot_bytes
        };
        let mut buffers = Self {
            io,
            count,
            slots: mapping.slots(bytes),
            mapping: Some(Arc::new(mapping)),
            shared: not_shared(),
        };
        buffers.map(device)?;
        Ok(buffers)
    }

    /// `count` buffers of a heap, for the driver to import.
    pub(super) fn of_heap(device: &Device, heap: &Heap, count: usize) -> Result<Self, SourceError> {
        let bytes = device.agreed.format.size_bytes as usize;
        let mut shared = not_shared();
        for place in shared.iter_mut().take(count) {
            *place = Some(heap.allocate(whole_pages(bytes))?);
        }
        let mapping = Mapping::reserve(count, whole_pages(bytes))?;
        Device::map_shared(&mapping, &shared, bytes)?;
        Ok(Self {
            io: IoMethod::DmabufImport,
            count,
            slots: mapping.slots(bytes),
            mapping: Some(Arc::new(mapping)),
            shared,
        })
    }

    /// Maps the driver's own buffers into their places. Does not allocate.
    pub(super) fn map(&mut self, device: &Device) -> Result<(), SourceError> {
        let Some(mapping) = &self.mapping else {
            return Ok(());
        };
        match self.io {
            IoMethod::Mmap | IoMethod::Copy => device.map(mapping, self.count),
            IoMethod::DmabufExport => {
                device.export(&mut self.shared, self.count)?;
                let bytes = self.slots.first().map_or(0, SlotMemory::len_bytes);
                Device::map_shared(mapping, &self.shared, bytes)
            }
            // Those are not the driver's, and stay mapped.
            IoMethod::DmabufImport | IoMethod::UserPtr => Ok(()),
        }
    }

    /// Lets go of the driver's own buffers; their places stay reserved.
    pub(super) fn unmap(&mut self) {
        if matches!(
            self.io,
            IoMethod::Mmap | IoMethod::DmabufExport | IoMethod::Copy
        ) {
            if let Some(mapping) = &self.mapping {
                let _ = mapping.clear();
            }
            self.shared = not_shared();
        }
    }
}
