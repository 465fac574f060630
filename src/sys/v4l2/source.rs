//! A V4L2 camera as a source of frames: our own buffer queue over the kernel's.

use super::controls::{Setting, agree, apply};
use super::error::{CameraError, CameraErrorKind};
use super::list::{Named, cameras};
use super::mapping::Mapping;
use super::negotiate::{CameraRequest, negotiate, renegotiate};
use super::node::{Finder, Node, Queue, c_path};
use super::raw::{
    Buffer, MAX_BUFFERS, dequeue_buffer, query_buffer, queue_buffer, request_buffers, stream_off,
    stream_on, v4l2_requestbuffers, zeroed,
};
use super::stamp::stamp;
use crate::board::{ControlSetting, Io};
use crate::capture::{
    ArmError, Dequeue, Dequeued, FrameSource, MemoryKeeper, NotArmed, Readiness, SlotHome,
    SlotMemory, Slots, SourceError, UnarmedSource, check_caller_slots,
};
use crate::frame::StreamFormat;
use crate::limits::MAX_SLOTS;
use nix::libc;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use v4l::v4l_sys;

/// Whose memory the driver's buffers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// Ours: the driver writes into the slots.
    User,
    /// The driver's, mapped.
    Mapped,
}

impl Memory {
    const fn code(self) -> u32 {
        match self {
            Self::User => v4l_sys::v4l2_memory_V4L2_MEMORY_USERPTR,
            Self::Mapped => v4l_sys::v4l2_memory_V4L2_MEMORY_MMAP,
        }
    }

    /// The word for it in a profile.
    const fn word(self) -> &'static str {
        match self {
            Self::User => "userptr",
            Self::Mapped => "mmap",
        }
    }
}

/// The open device, and what it takes to open it again.
#[derive(Debug)]
struct Device {
    /// `None` while the device is gone.
    fd: Option<OwnedFd>,
    finder: Finder,
    queue: Queue,
    request: CameraRequest,
    format: StreamFormat,
    /// What the profile sets.
    controls: Box<[Setting]>,
}

impl Device {
    fn fd(&self, operation: &'static str) -> Result<&OwnedFd, SourceError> {
        self.fd
            .as_ref()
            .ok_or(SourceError::new(operation, libc::ENODEV))
    }

    /// Makes `count` buffers, or frees them with 0. Gives the number that the driver made.
    fn request_buffers(&self, memory: Memory, count: usize) -> Result<usize, SourceError> {
        let fd = self.fd("VIDIOC_REQBUFS")?;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let (type_, memory) = (self.queue.kind(), memory.code());
        let mut raw = v4l2_requestbuffers {
            count,
            type_,
            memory,
            ..zeroed()
        };
        request_buffers(fd, &mut raw)?;
        Ok(raw.count as usize)
    }

    fn stream_off(&self) -> Result<(), SourceError> {
        let fd = self.fd("VIDIOC_STREAMOFF")?;
        // A small number: 1 or 9.
        stream_off(fd, &mut self.queue.kind().cast_signed())
    }

    fn buffer(&self, memory: Memory, index: u32) -> Buffer {
        // Formats of more than one memory plane were not agreed to.
        let planes = usize::from(self.queue == Queue::Multi);
        Buffer::new(self.queue.kind(), memory.code(), index, planes)
    }

    /// Lends `slot` to the driver as its buffer `index`.
    fn queue_buffer(
        &self,
        memory: Memory,
        index: u32,
        slot: &SlotMemory,
    ) -> Result<(), SourceError> {
        let mut buffer = self.buffer(memory, index);
        if memory == Memory::User {
            // Arming has checked that the slot is at least this long.
            buffer.set_user_memory(0, slot.start().as_ptr().addr(), self.format.size_bytes);
        }
        queue_buffer(self.fd("VIDIOC_QBUF")?, &mut buffer)
    }

    /// Maps the buffers `0..count` of an MMAP queue into the places of `mapping`.
    fn map(&self, mapping: &Mapping, count: usize) -> Result<(), SourceError> {
        let fd = self.fd("VIDIOC_QUERYBUF")?;
        for slot in 0..count {
            let mut buffer = self.buffer(Memory::Mapped, u32::try_from(slot).unwrap_or(u32::MAX));
            query_buffer(fd, &mut buffer)?;
            let (length, offset) = buffer.mapping(0);
            if length < self.format.size_bytes {
                return Err(SourceError::new(
                    "VIDIOC_QUERYBUF (short buffer)",
                    libc::EINVAL,
                ));
            }
            mapping.map(fd, slot, 0, length as usize, offset)?;
        }
        Ok(())
    }

    /// Length of the first buffer of an MMAP queue.
    fn buffer_length(&self) -> Result<usize, SourceError> {
        let mut buffer = self.buffer(Memory::Mapped, 0);
        query_buffer(self.fd("VIDIOC_QUERYBUF")?, &mut buffer)?;
        Ok(buffer.mapping(0).0 as usize)
    }
}

/// A camera whose format is agreed, and which has no buffers yet.
#[derive(Debug)]
pub struct UnarmedCamera {
    path: PathBuf,
    device: Device,
    memory: Memory,
    /// May fall back from USERPTR to MMAP.
    auto: bool,
    /// Why MMAP, where USERPTR was tried.
    refused: Option<SourceError>,
}

impl UnarmedCamera {
    /// Opens a camera by the path of its node, or by `card:` or `bus:` and what it says of itself; agrees on format and rate, and finds out how buffers can be exchanged.
    ///
    /// # Errors
    /// The device, what was found, what was expected, and the setting to change.
    pub fn open(path: &Path, request: &CameraRequest, io: Io) -> Result<Self, CameraError> {
        let wrong = |kind| CameraError::new(path, kind);
        let kernel = |error| CameraError::of_open(path, error);
        let named = Named::of(path);
        let node_path = match named {
            Named::Path(path) => path.to_owned(),
            Named::Card(_) | Named::Bus(_) => named.find(&cameras()).map_err(wrong)?,
        };
        let Some(c_path) = c_path(&node_path) else {
            return Err(wrong(CameraErrorKind::Absent));
        };
        let node = Node::open(&c_path).map_err(kernel)?;
        let Some(queue) = node.queue() else {
            let found = format!("{:?}", node.capabilities);
            return Err(wrong(CameraErrorKind::NotCapture { found }));
        };
        let format = negotiate(&node.fd, queue, request).map_err(|kind| match kind {
            CameraErrorKind::Kernel(error) => kernel(error),
            kind => wrong(kind),
        })?;
        let any_port = matches!(named, Named::Card(_));
        let finder = Finder::new(c_path, &node, queue, any_port);
        let device = Device {
            fd: Some(node.fd),
            finder,
            queue,
            request: *request,
            format,
            controls: Box::default(),
        };
        let mut camera = Self {
            path: path.to_owned(),
            device,
            memory: if io == Io::Mmap {
                Memory::Mapped
            } else {
                Memory::User
            },
            auto: io == Io::Auto,
            refused: None,
        };
        match camera.try_memory() {
            Err(error) if error.errno == libc::EBUSY => return Err(kernel(error)),
            Err(error) if camera.auto => {
                camera.fall_back(error);
                camera.try_memory().map_err(kernel)?;
            }
            Err(error) => {
                let expected = camera.memory.word();
                return Err(wrong(CameraErrorKind::Io { expected, error }));
            }
            Ok(()) => {}
        }
        Ok(camera)
    }

    /// Sets controls, now and whenever the device has been opened again.
    ///
    /// # Errors
    /// The control, what was found, what was expected.
    pub fn set_controls(&mut self, wanted: &[ControlSetting]) -> Result<(), CameraError> {
        let kernel = |error| CameraError::of_open(&self.path, error);
        let fd = self.device.fd("VIDIOC_S_CTRL").map_err(kernel)?;
        let controls = agree(fd, wanted).map_err(|kind| CameraError::new(&self.path, kind))?;
        self.device.controls = controls;
        Ok(())
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a buffer, and frees it.
    fn try_memory(&self) -> Result<(), SourceError> {
        self.device.request_buffers(self.memory, 1)?;
        self.device.request_buffers(self.memory, 0)?;
        Ok(())
    }

    fn fall_back(&mut self, error: SourceError) {
        self.memory = Memory::Mapped;
        self.refused = Some(error);
    }

    /// Makes buffers for the caller's slots, and has the driver accept each one once: it then knows the
    /// pages, and what it cannot write to shows now.
    fn arm_user(&self, slots: Slots<'_>) -> Result<Armed, ArmError> {
        let slots = check_caller_slots(&self.device.format, slots, MAX_SLOTS)?;
        let wanted = slots.len().min(MAX_BUFFERS);
        let buffers = self
            .device
            .request_buffers(Memory::User, wanted)
            .map_err(ArmError::Kernel)?;
        let buffers = buffers.min(MAX_BUFFERS);
        let mut accepted = Ok(());
        for (index, slot) in (0..).zip(slots.iter().take(buffers)) {
            accepted = accepted.and_then(|()| self.device.queue_buffer(Memory::User, index, slot));
        }
        let taken_back = self.device.stream_off();
        if let Err(error) = accepted.and(taken_back) {
            // What the driver says to this does not matter: the first error does.
            let _ = self.device.request_buffers(Memory::User, 0);
            return Err(ArmError::Kernel(error));
        }
        Ok(Armed {
            slots,
            mapping: None,
            buffers,
        })
    }

    /// Makes the driver's buffers, and maps them.
    fn arm_mapped(&self, slots: Slots<'_>) -> Result<Armed, ArmError> {
        let Slots::Source(wanted) = slots else {
            return Err(ArmError::Home {
                expected: SlotHome::Source,
            });
        };
        if wanted == 0 || wanted > MAX_BUFFERS {
            return Err(ArmError::Count {
                found: wanted,
                most: MAX_BUFFERS,
            });
        }
        let armed = self.map(wanted);
        if armed.is_err() {
            let _ = self.device.request_buffers(Memory::Mapped, 0);
        }
        armed.map_err(ArmError::Kernel)
    }

    fn map(&self, wanted: usize) -> Result<Armed, SourceError> {
        let device = &self.device;
        let buffers = device
            .request_buffers(Memory::Mapped, wanted)?
            .min(MAX_BUFFERS);
        let length = device.buffer_length()?;
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
            .ok()
            .flatten();
        let page = page
            .and_then(|page| usize::try_from(page).ok())
            .unwrap_or(4096);
        let mapping = Mapping::reserve(buffers, length.next_multiple_of(page))?;
        device.map(&mapping, buffers)?;
        Ok(Armed {
            slots: mapping.slots(length),
            mapping: Some(Arc::new(mapping)),
            buffers,
        })
    }
}

/// What arming made.
struct Armed {
    slots: Box<[SlotMemory]>,
    mapping: Option<Arc<Mapping>>,
    buffers: usize,
}

impl UnarmedSource for UnarmedCamera {
    fn format(&self) -> StreamFormat {
        self.device.format
    }

    fn slot_home(&self) -> SlotHome {
        match self.memory {
            Memory::User => SlotHome::Caller,
            Memory::Mapped => SlotHome::Source,
        }
    }

    fn own_bytes(&self) -> u64 {
        0
    }

    fn io(&self) -> String {
        let queue = match self.device.queue {
            Queue::Single => "",
            Queue::Multi => ", multi-planar",
        };
        match self.refused {
            None => format!("{}{queue}", self.memory.word()),
            Some(error) => format!("{}{queue} (no userptr: {error})", self.memory.word()),
        }
    }

    fn arm(mut self: Box<Self>, slots: Slots<'_>) -> Result<Box<dyn FrameSource>, NotArmed> {
        let armed = match self.memory {
            Memory::User => self.arm_user(slots),
            Memory::Mapped => self.arm_mapped(slots),
        };
        match armed {
            Ok(Armed {
                slots,
                mapping,
                buffers,
            }) => Ok(Box::new(V4l2Source {
                device: self.device,
                memory: self.memory,
                slots,
                mapping,
                buffers,
                lent: [None; MAX_BUFFERS],
                streaming: false,
            })),
            Err(error) => {
                if let (ArmError::Kernel(cause), Memory::User, true) =
                    (error, self.memory, self.auto)
                {
                    self.fall_back(cause);
                }
                Err(NotArmed {
                    source: self,
                    error,
                })
            }
        }
    }
}

/// A V4L2 camera with its buffers.
#[derive(Debug)]
struct V4l2Source {
    device: Device,
    memory: Memory,
    slots: Box<[SlotMemory]>,
    mapping: Option<Arc<Mapping>>,
    /// Buffers of the driver's queue.
    buffers: usize,
    /// The slot that each buffer carries while the driver has it.
    lent: [Option<u16>; MAX_BUFFERS],
    streaming: bool,
}

impl V4l2Source {
    /// The buffer for `slot`: its own number where there is such a buffer, so that the driver meets the
    /// same memory under the same number and need not look at its pages again; else any free one.
    fn buffer_for(&self, slot: u16) -> Result<usize, SourceError> {
        let number = usize::from(slot);
        let lent = self.lent.get(..self.buffers).unwrap_or_default();
        if number >= self.slots.len() || lent.contains(&Some(slot)) {
            return Err(SourceError::new("VIDIOC_QBUF", libc::EINVAL));
        }
        if lent.get(number) == Some(&None) {
            return Ok(number);
        }
        match self.memory {
            Memory::Mapped => Err(SourceError::new("VIDIOC_QBUF", libc::EINVAL)),
            Memory::User => lent
                .iter()
                .position(Option::is_none)
                .ok_or(SourceError::new("VIDIOC_QBUF", libc::ENOBUFS)),
        }
    }

    /// Opens the device and makes its buffers as they were before.
    fn open(&mut self) -> Result<(), SourceError> {
        let node = self.device.finder.open()?;
        let Device {
            queue,
            ref request,
            ref format,
            ref controls,
            ..
        } = self.device;
        renegotiate(&node.fd, queue, request, format)?;
        apply(&node.fd, controls)?;
        self.device.fd = Some(node.fd);
        let made = self.make_buffers();
        if made.is_err() {
            self.close();
        }
        made
    }

    fn make_buffers(&self) -> Result<(), SourceError> {
        let buffers = self.device.request_buffers(self.memory, self.buffers)?;
        if buffers < self.buffers {
            return Err(SourceError::new(
                "VIDIOC_REQBUFS (fewer buffers)",
                libc::ENOMEM,
            ));
        }
        match &self.mapping {
            Some(mapping) => self.device.map(mapping, self.buffers),
            None => Ok(()),
        }
    }

    /// Lets go of buffers and device. What the kernel says to it does not matter: with the descriptor
    /// closed and the memory unmapped nothing of it is left.
    fn close(&mut self) {
        let _ = self.stop();
        if let Some(mapping) = &self.mapping {
            let _ = mapping.clear();
        }
        let _ = self.device.request_buffers(self.memory, 0);
        self.device.fd = None;
    }
}

impl FrameSource for V4l2Source {
    fn format(&self) -> StreamFormat {
        self.device.format
    }

    fn slots(&self) -> &[SlotMemory] {
        &self.slots
    }

    fn keeper(&self) -> Option<MemoryKeeper> {
        self.mapping
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
        let (Some(memory), Some(lent), Ok(index)) = (
            self.slots.get(usize::from(slot)),
            self.lent.get_mut(number),
            u32::try_from(number),
        ) else {
            return Err(SourceError::new("VIDIOC_QBUF", libc::EINVAL));
        };
        self.device.queue_buffer(self.memory, index, memory)?;
        *lent = Some(slot);
        Ok(())
    }

    fn dequeue(&mut self, now_ns: u64) -> Result<Dequeue, SourceError> {
        let fd = self.device.fd("VIDIOC_DQBUF")?;
        if !self.streaming {
            return Err(SourceError::new("VIDIOC_DQBUF", libc::EINVAL));
        }
        let mut buffer = self.device.buffer(self.memory, 0);
        match dequeue_buffer(fd, &mut buffer) {
            Ok(()) => {}
            Err(SourceError {
                errno: libc::EAGAIN,
                ..
            }) => return Ok(Dequeue::NotReady),
            Err(error) => return Err(error),
        }
        let filled = buffer.filled();
        let slot = self
            .lent
            .get_mut(filled.index as usize)
            .and_then(Option::take);
        let slot = slot.ok_or(SourceError::new(
            "VIDIOC_DQBUF (unknown buffer)",
            libc::EINVAL,
        ))?;
        let (capture_ns, stamp) = stamp(&filled, now_ns);
        Ok(Dequeue::Frame(Dequeued {
            slot,
            sequence: filled.sequence,
            capture_ns,
            offset_bytes: filled.data_offset,
            bytes_used: filled.bytes_used.saturating_sub(filled.data_offset),
            stamp,
            damaged: filled.flags & v4l_sys::V4L2_BUF_FLAG_ERROR != 0,
        }))
    }

    fn readiness(&self) -> Readiness {
        match &self.device.fd {
            Some(fd) => Readiness::Fd(fd.as_raw_fd()),
            // There is something to learn at once: that the device is gone.
            None => Readiness::At(0),
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
}

impl Drop for V4l2Source {
    /// The driver stops writing into the slots before anybody else may have their memory. The mapping
    /// itself goes with the last keeper.
    fn drop(&mut self) {
        let _ = self.stop();
        let _ = self.device.request_buffers(self.memory, 0);
    }
}
