//! A V4L2 camera as a source of frames: our own buffer queue over the kernel's.
//!
//! Buffers that are shared by descriptor (`dmabuf`, `dma-heap`) are the processor's to read from the moment
//! that [`FrameSource::dequeue`] returns them to the moment that [`FrameSource::queue`] takes them: the one
//! begins the reading, the other ends it (`begun` says which are between). Who reads a frame, and how often,
//! does not matter.

use super::buffers::Buffers;
use super::controls::{apply, slows_in_dim_light};
use super::device::Device;
use super::io_method::IoMethod;
use super::ioctl::{Filled, MAX_BUFFERS, dequeue_buffer, stream_on};
use super::negotiate::renegotiate;
use super::timestamp::stamp;
use crate::capture::{
    Dequeue, Dequeued, FrameSource, MemoryKeeper, Readiness, SlotMemory, SourceError, Traits,
};
use crate::frame::StreamFormat;
use nix::libc;
use std::os::fd::AsRawFd as _;
use v4l::v4l_sys;

/// A V4L2 camera with its buffers.
#[derive(Debug)]
pub(super) struct V4l2Source {
    device: Device,
    buffers: Buffers,
    /// Slots that the processor may read, of those that are shared.
    begun: [bool; MAX_BUFFERS],
    /// The slot that each buffer carries while the driver has it.
    lent: [Option<u16>; MAX_BUFFERS],
    streaming: bool,
}

impl V4l2Source {
    /// A camera whose driver has made these buffers.
    pub(super) fn new(device: Device, buffers: Buffers) -> Self {
        Self {
            device,
            buffers,
            begun: [false; MAX_BUFFERS],
            lent: [None; MAX_BUFFERS],
            streaming: false,
        }
    }

    /// Whether the driver has the buffer `index`.
    pub(super) fn is_lent(&self, index: usize) -> bool {
        self.lent.get(index).is_some_and(Option::is_some)
    }

    /// # Errors
    /// ENODEV while the device is gone.
    pub(super) fn check_open(&self, operation: &'static str) -> Result<(), SourceError> {
        self.device.fd(operation).map(drop)
    }

    /// The buffer for `slot`: its own number where there is such a buffer, so that the driver meets the
    /// same memory under the same number and need not look at its pages again; else any free one.
    fn buffer_for(&self, slot: u16) -> Result<usize, SourceError> {
        let number = usize::from(slot);
        let lent = self.lent.get(..self.buffers.count).unwrap_or_default();
        if number >= self.buffers.slots.len() || lent.contains(&Some(slot)) {
            return Err(SourceError::new("VIDIOC_QBUF", libc::EINVAL));
        }
        if lent.get(number) == Some(&None) {
            return Ok(number);
        }
        if self.buffers.io != IoMethod::UserPtr {
            return Err(SourceError::new("VIDIOC_QBUF", libc::EINVAL));
        }
        lent.iter()
            .position(Option::is_none)
            .ok_or(SourceError::new("VIDIOC_QBUF", libc::ENOBUFS))
    }

    /// Takes the oldest filled buffer: its slot, and what the driver says of it.
    pub(super) fn take(&mut self) -> Result<Option<(u16, Filled)>, SourceError> {
        let fd = self.device.fd("VIDIOC_DQBUF")?;
        if !self.streaming {
            return Err(SourceError::new("VIDIOC_DQBUF", libc::EINVAL));
        }
        let mut buffer = self.device.buffer(self.buffers.io, 0);
        match dequeue_buffer(fd, &mut buffer) {
            Ok(()) => {}
            Err(SourceError {
                errno: libc::EAGAIN,
                ..
            }) => return Ok(None),
            Err(error) => return Err(error),
        }
        let filled = buffer.filled();
        let slot = self
            .lent
            .get_mut(filled.index as usize)
            .and_then(Option::take);
        let unknown = SourceError::new("VIDIOC_DQBUF (unknown buffer)", libc::EINVAL);
        Ok(Some((slot.ok_or(unknown)?, filled)))
    }

    /// A filled buffer as a frame in `slot`, whose planes lie as the format says.
    pub(super) fn describe(&self, slot: u16, filled: &Filled, now_ns: u64) -> Dequeued {
        let (capture_ns, stamp) = stamp(filled, now_ns);
        let [first, others @ ..] = filled.planes;
        let bytes_used = first.bytes + others.iter().map(|samples| samples.bytes).sum::<u32>();
        Dequeued {
            slot,
            sequence: filled.sequence,
            capture_ns,
            offset_bytes: first.data_offset,
            bytes_used,
            stamp,
            damaged: filled.flags & v4l_sys::V4L2_BUF_FLAG_ERROR != 0,
        }
    }

    /// Several planes of which one does not begin where its memory does are not one picture.
    fn is_torn(&self, filled: &Filled) -> bool {
        self.device.agreed.planes.count() > 1
            && filled.planes.iter().any(|samples| samples.data_offset != 0)
    }

    /// Opens the device and makes its buffers as they were before.
    fn open(&mut self) -> Result<(), SourceError> {
        let node = self.device.finder.open()?;
        let Device {
            queue,
            ref request,
            ref agreed,
            ref controls,
            ..
        } = self.device;
        renegotiate(&node.fd, queue, request, agreed)?;
        apply(&node.fd, controls)?;
        self.device.fd = Some(node.fd);
        let made = self.make_buffers();
        if made.is_err() {
            self.close();
        }
        made
    }

    fn make_buffers(&mut self) -> Result<(), SourceError> {
        let Buffers { io, count, .. } = self.buffers;
        if self.device.request_buffers(io, count)? < count {
            return Err(SourceError::new(
                "VIDIOC_REQBUFS (fewer buffers)",
                libc::ENOMEM,
            ));
        }
        self.buffers.map(&self.device)
    }

    /// Lets go of buffers and device. What the kernel says to it does not matter: with the descriptor
    /// closed and the memory unmapped nothing of it is left.
    fn close(&mut self) {
        let _ = self.stop();
        self.end_all_reading();
        self.buffers.unmap();
        let _ = self.device.request_buffers(self.buffers.io, 0);
        self.device.fd = None;
    }

    fn end_all_reading(&mut self) {
        for (begun, shared) in self.begun.iter_mut().zip(&self.buffers.shared) {
            if std::mem::replace(begun, false)
                && let Some(shared) = shared
            {
                let _ = shared.end_read();
            }
        }
    }

    /// The processor may read the slot from now on.
    fn begin_reading(&mut self, slot: u16) -> Result<(), SourceError> {
        let index = usize::from(slot);
        if let (Some(Some(shared)), Some(begun)) =
            (self.buffers.shared.get(index), self.begun.get_mut(index))
        {
            shared.begin_read()?;
            *begun = true;
        }
        Ok(())
    }

    /// The processor has read the slot.
    fn end_reading(&mut self, slot: u16) -> Result<(), SourceError> {
        let index = usize::from(slot);
        if let (Some(Some(shared)), Some(begun @ true)) =
            (self.buffers.shared.get(index), self.begun.get_mut(index))
        {
            shared.end_read()?;
            *begun = false;
        }
        Ok(())
    }
}

impl FrameSource for V4l2Source {
    fn format(&self) -> StreamFormat {
        self.device.agreed.format
    }

    fn slots(&self) -> &[SlotMemory] {
        &self.buffers.slots
    }

    fn keeper(&self) -> Option<MemoryKeeper> {
        self.buffers
            .mapping
            .clone()
            .map(|mapping| -> MemoryKeeper { mapping })
    }

    fn start(&mut self, _now_ns: u64) -> Result<(), SourceError> {
        let fd = self.device.fd("VIDIOC_STREAMON")?;
        stream_on(fd, &mut self.device.queue.kind().cast_signed())?;
        self.streaming = true;
        Ok(())
    }

    fn queue(&mut self, slot: u16, _now_ns: u64) -> Result<(), SourceError> {
        let number = self.buffer_for(slot)?;
        self.end_reading(slot)?;
        let (Some(memory), Some(shared), Some(lent)) = (
            self.buffers.slots.get(usize::from(slot)),
            self.buffers
                .shared
                .get(usize::from(slot).min(MAX_BUFFERS - 1)),
            self.lent.get_mut(number),
        ) else {
            return Err(SourceError::new("VIDIOC_QBUF", libc::EINVAL));
        };
        match (self.buffers.io, shared) {
            (IoMethod::UserPtr, _) => self.device.queue_user(number, memory)?,
            (IoMethod::DmabufImport, Some(shared)) => self.device.queue_shared(number, shared)?,
            _ => self.device.queue_own(number)?,
        }
        *lent = Some(slot);
        Ok(())
    }

    fn dequeue(&mut self, now_ns: u64) -> Result<Dequeue, SourceError> {
        let Some((slot, filled)) = self.take()? else {
            return Ok(Dequeue::NotReady);
        };
        let mut frame = self.describe(slot, &filled, now_ns);
        // What cannot be made visible is not to be looked at.
        frame.damaged |= self.is_torn(&filled) || self.begin_reading(slot).is_err();
        Ok(Dequeue::Frame(frame))
    }

    fn readiness(&self) -> Readiness {
        match &self.device.fd {
            Some(fd) => Readiness::Fd(fd.as_raw_fd()),
            // There is something to learn at once: that the device is gone.
            None => Readiness::At(0),
        }
    }

    fn traits(&self) -> Traits {
        Traits {
            on_usb: self.device.port.is_some(),
            slows_in_dim_light: self.device.fd.as_ref().is_some_and(slows_in_dim_light),
        }
    }

    fn stop(&mut self) -> Result<(), SourceError> {
        self.streaming = false;
        self.lent = [None; MAX_BUFFERS];
        self.device.stream_off()
    }

    fn reopen(&mut self, _now_ns: u64) -> Result<(), SourceError> {
        self.close();
        self.open()
    }

    fn reset_port(&mut self) -> Result<(), SourceError> {
        // The device stays open, and its buffers mapped: somebody may still read them.
        let _ = self.stop();
        let none = SourceError::new("USBDEVFS_RESET", libc::ENOSYS);
        self.device.port.as_ref().ok_or(none)?.reset()
    }
}

impl Drop for V4l2Source {
    /// The driver stops writing into the slots before anybody else may have their memory. The mapping
    /// itself goes with the last keeper.
    fn drop(&mut self) {
        let _ = self.stop();
        let _ = self.device.request_buffers(self.buffers.io, 0);
    }
}
