//! An open camera with its driver's queue: calls that need to know its planes and its kind of memory.

use super::controls::Setting;
use super::dmabuf::DmaBuf;
use super::io_method::IoMethod;
use super::ioctl::{
    Buffer, MAX_BUFFERS, MAX_PLANES, export_buffer, query_buffer, queue_buffer, request_buffers,
    stream_off, v4l2_exportbuffer, v4l2_requestbuffers, zeroed,
};
use super::mapping::Mapping;
use super::negotiate::{Agreed, CameraRequest};
use super::node::{Finder, Queue};
use crate::capture::{SlotMemory, SourceError};
use crate::sys::device::usb_port::UsbPort;
use crate::sys::memory::machine_page_bytes;
use nix::libc;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use v4l::v4l_sys;

/// Buffers shared by descriptor, by slot.
pub(super) type Shared = [Option<DmaBuf>; MAX_BUFFERS];

/// None.
pub(super) fn not_shared() -> Shared {
    [const { None }; MAX_BUFFERS]
}

/// The open device, and what it takes to open it again.
#[derive(Debug)]
pub(super) struct Device {
    /// `None` while the device is gone.
    pub fd: Option<OwnedFd>,
    pub finder: Finder,
    /// Where it is plugged in; `None` for what is not behind USB.
    pub port: Option<UsbPort>,
    pub queue: Queue,
    pub request: CameraRequest,
    pub agreed: Agreed,
    /// What the profile sets.
    pub controls: Box<[Setting]>,
}

/// Where a driver's buffers lie that are mapped side by side, their planes rounded up to pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Bytes of one whole buffer, whole pages.
    pub slot_bytes: usize,
    /// Bytes that the driver's first plane has.
    pub first_bytes: usize,
    /// Where each plane begins.
    pub offsets: [usize; MAX_PLANES],
}

impl Device {
    pub(super) fn fd(&self, operation: &'static str) -> Result<&OwnedFd, SourceError> {
        self.fd
            .as_ref()
            .ok_or(SourceError::new(operation, libc::ENODEV))
    }

    /// The kernel's number for the memory of a queue.
    const fn memory(io: IoMethod) -> u32 {
        match io {
            IoMethod::UserPtr => v4l_sys::v4l2_memory_V4L2_MEMORY_USERPTR,
            IoMethod::Mmap | IoMethod::DmabufExport | IoMethod::Copy => {
                v4l_sys::v4l2_memory_V4L2_MEMORY_MMAP
            }
            IoMethod::DmabufImport => v4l_sys::v4l2_memory_V4L2_MEMORY_DMABUF,
        }
    }

    /// Makes `count` buffers, or frees them with 0. Gives the number that the driver made.
    pub(super) fn request_buffers(&self, io: IoMethod, count: usize) -> Result<usize, SourceError> {
        let fd = self.fd("VIDIOC_REQBUFS")?;
        let mut raw = v4l2_requestbuffers {
            count: u32::try_from(count).unwrap_or(u32::MAX),
            type_: self.queue.kind(),
            memory: Self::memory(io),
            ..zeroed()
        };
        request_buffers(fd, &mut raw)?;
        Ok((raw.count as usize).min(MAX_BUFFERS))
    }

    pub(super) fn stream_off(&self) -> Result<(), SourceError> {
        let fd = self.fd("VIDIOC_STREAMOFF")?;
        // A small number: 1 or 9.
        stream_off(fd, &mut self.queue.kind().cast_signed())
    }

    pub(super) fn buffer(&self, io: IoMethod, index: usize) -> Buffer {
        let planes = match self.queue {
            Queue::Single => 0,
            Queue::Multi => self.agreed.planes.count(),
        };
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        Buffer::new(self.queue.kind(), Self::memory(io), index, planes)
    }

    /// Lends the driver its own buffer `index`.
    pub(super) fn queue_own(&self, index: usize) -> Result<(), SourceError> {
        let mut buffer = self.buffer(IoMethod::Mmap, index);
        queue_buffer(self.fd("VIDIOC_QBUF")?, &mut buffer)
    }

    /// Lends `slot` to the driver as its buffer `index`, each plane at its place.
    pub(super) fn queue_user(&self, index: usize, slot: &SlotMemory) -> Result<(), SourceError> {
        let mut buffer = self.buffer(IoMethod::UserPtr, index);
        let Agreed { format, planes } = &self.agreed;
        for (plane, bytes) in planes.sizes_bytes().iter().enumerate() {
            // Arming has checked that the slot holds the format, and that the planes fit their places.
            let (offset, _) = planes.place(format, plane);
            buffer.set_user_memory(plane, slot.start().as_ptr().addr() + offset, *bytes);
        }
        queue_buffer(self.fd("VIDIOC_QBUF")?, &mut buffer)
    }

    /// Lends a shared buffer to the driver as its buffer `index`.
    pub(super) fn queue_shared(&self, index: usize, shared: &DmaBuf) -> Result<(), SourceError> {
        let mut buffer = self.buffer(IoMethod::DmabufImport, index);
        buffer.set_dma_buf(0, shared.as_fd(), self.agreed.format.size_bytes);
        queue_buffer(self.fd("VIDIOC_QBUF")?, &mut buffer)
    }

    /// How the driver's own buffers lie.
    pub(super) fn span(&self) -> Result<Span, SourceError> {
        let mut buffer = self.buffer(IoMethod::Mmap, 0);
        query_buffer(self.fd("VIDIOC_QUERYBUF")?, &mut buffer)?;
        let mut span = Span {
            slot_bytes: 0,
            first_bytes: buffer.mapping(0).0 as usize,
            offsets: [0; MAX_PLANES],
        };
        let planes = self.agreed.planes.count();
        for (plane, offset) in span.offsets.iter_mut().enumerate().take(planes) {
            *offset = span.slot_bytes;
            span.slot_bytes += whole_pages(buffer.mapping(plane).0 as usize);
        }
        Ok(span)
    }

    /// Maps the buffers `0..count` of an MMAP queue into the places of `mapping`, their planes page by page.
    pub(super) fn map(&self, mapping: &Mapping, count: usize) -> Result<(), SourceError> {
        let fd = self.fd("VIDIOC_QUERYBUF")?;
        for index in 0..count {
            let mut buffer = self.buffer(IoMethod::Mmap, index);
            query_buffer(fd, &mut buffer)?;
            let mut place = 0;
            for (plane, bytes) in self.agreed.planes.sizes_bytes().iter().enumerate() {
                let (length, offset) = buffer.mapping(plane);
                if length < *bytes {
                    let operation = "VIDIOC_QUERYBUF (short buffer)";
                    return Err(SourceError::new(operation, libc::EINVAL));
                }
                mapping.map(fd, index, place, length as usize, offset)?;
                place += whole_pages(length as usize);
            }
        }
        Ok(())
    }

    /// Opens the driver's own buffers `0..count` as dma-bufs. Of one plane each.
    pub(super) fn export(&self, shared: &mut Shared, count: usize) -> Result<(), SourceError> {
        for (index, place) in shared.iter_mut().enumerate().take(count) {
            *place = Some(self.export_one(index)?);
        }
        Ok(())
    }

    #[allow(unsafe_code)]
    fn export_one(&self, index: usize) -> Result<DmaBuf, SourceError> {
        let mut raw = v4l2_exportbuffer {
            type_: self.queue.kind(),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            flags: (libc::O_RDWR | libc::O_CLOEXEC).cast_unsigned(),
            ..zeroed()
        };
        export_buffer(self.fd("VIDIOC_EXPBUF")?, &mut raw)?;
        // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
        Ok(DmaBuf::new(unsafe { OwnedFd::from_raw_fd(raw.fd) }))
    }

    /// Maps shared buffers into the places of `mapping`, `bytes` of each.
    pub(super) fn map_shared(
        mapping: &Mapping,
        shared: &Shared,
        bytes: usize,
    ) -> Result<(), SourceError> {
        for (index, buffer) in shared.iter().flatten().enumerate() {
            mapping.map(buffer.fd(), index, 0, bytes, 0)?;
        }
        Ok(())
    }
}

/// `bytes`, rounded up.
pub(super) fn whole_pages(bytes: usize) -> usize {
    let page = usize::try_from(machine_page_bytes());
    bytes.next_multiple_of(page.unwrap_or(4096))
}
