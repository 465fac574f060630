//! A camera whose format is agreed: which I/O method it takes, and how it gets its buffers.

use super::buffers::Buffers;
use super::controls::agree;
use super::copy_source::CopySource;
use super::device::Device;
use super::dmabuf::{DmaBuf, Heap, heaps};
use super::enumerate::{CameraName, cameras, with_cameras};
use super::error::{CameraError, CameraErrorKind};
use super::io_method::{Choice, IoMethod, Trials, choose, choose_without_user};
use super::ioctl::{MAX_BUFFERS, MAX_PLANES};
use super::negotiate::{Agreed, CameraRequest, as_it_is, negotiate};
use super::node::{Finder, Node, Queue, c_path};
use super::read_speed::ReadSpeed;
use super::source::V4l2Source;
use crate::capture::{
    ArmError, FrameSource, NotArmed, SlotHome, SlotMemory, Slots, SourceError, UnarmedSource,
    check_caller_slots,
};
use crate::frame::StreamFormat;
use crate::limits::MAX_SLOTS;
use crate::profile::{ControlSetting, Io};
use crate::sys::device::usb_port::UsbPort;
use nix::libc;
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// Where the kernel shows its dma-heaps.
pub(super) const HEAPS: &str = "/dev/dma_heap";
/// Buffers of the driver's own behind slots that are copied to, unless the board says otherwise: one being
/// filled, one queued behind it, two while the thread is late.
const COPIED_BUFFERS: usize = 4;

/// A camera whose format is agreed, and which has no buffers yet.
#[derive(Debug)]
pub struct UnarmedCamera {
    path: PathBuf,
    device: Device,
    io: IoMethod,
    /// Why this method, in a few words; empty where it was asked for, or is the first choice.
    why: String,
    /// May take another method when arming shows that this one fails.
    auto: bool,
    /// For [`IoMethod::DmabufImport`].
    heap: Option<Heap>,
    /// For [`IoMethod::Copy`]: the driver's own.
    copied_buffers: usize,
    /// For [`IoMethod::Copy`]: the length of a row in the slots, where it is not the driver's.
    rows_bytes: Option<u32>,
}

impl UnarmedCamera {
    /// Opens a camera by the path of its node, or by `card:` or `bus:` and what it says of itself; agrees on
    /// format, crop and rate, and finds out how buffers can be exchanged. `Io::Auto` measures the driver's
    /// buffers where it takes none of ours.
    ///
    /// # Errors
    /// The device, what was found, what was expected, and the setting to change.
    pub fn open(path: &Path, request: &CameraRequest, io: Io) -> Result<Self, CameraError> {
        let wrong = |kind| with_cameras(CameraError::new(path, kind));
        let kernel = |error| with_cameras(CameraError::of_open(path, error));
        let named = CameraName::of(path);
        let node_path = match named {
            CameraName::Path(path) => path.to_owned(),
            CameraName::Card(_) | CameraName::Bus(_) => named.find(&cameras()).map_err(wrong)?,
        };
        let (node, queue, c_path) = open_capture(&node_path, path)?;
        let agreed = negotiate(&node.fd, queue, request).map_err(|kind| match kind {
            CameraErrorKind::Kernel(error) => kernel(error),
            kind => wrong(kind),
        })?;
        let any_port = matches!(named, CameraName::Card(_));
        let port = UsbPort::of_node(&node.fd);
        let finder = Finder::new(c_path, &node, queue, any_port);
        let mut camera = Self::new(path, finder, (node, queue), *request, agreed);
        camera.device.port = port;
        camera.auto = io == Io::Auto;
        let expected = match io {
            Io::Auto => {
                let choice = choose(&mut camera).map_err(kernel)?;
                camera.take(choice);
                return Ok(camera);
            }
            Io::Userptr => IoMethod::UserPtr,
            Io::Mmap => IoMethod::Mmap,
            Io::Dmabuf => IoMethod::DmabufExport,
            Io::DmaHeap => IoMethod::DmabufImport,
            Io::Copy => IoMethod::Copy,
        };
        camera.io = expected;
        match camera.try_method(expected) {
            Ok(()) => Ok(camera),
            Err(error) if error.errno == libc::EBUSY => Err(kernel(error)),
            Err(error) => Err(wrong(CameraErrorKind::Io {
                expected: expected.word(),
                error,
            })),
        }
    }

    /// A camera with a format and without a chosen method.
    fn new(
        path: &Path,
        finder: Finder,
        (node, queue): (Node, Queue),
        request: CameraRequest,
        agreed: Agreed,
    ) -> Self {
        Self {
            path: path.to_owned(),
            device: Device {
                fd: Some(node.fd),
                finder,
                port: None,
                queue,
                request,
                agreed,
                controls: Box::default(),
            },
            io: IoMethod::UserPtr,
            why: String::new(),
            auto: false,
            heap: None,
            copied_buffers: COPIED_BUFFERS,
            rows_bytes: None,
        }
    }

    /// Sets controls, now and whenever the device has been opened again.
    ///
    /// # Errors
    /// The control, what was found, what was expected.
    pub fn set_controls(&mut self, wanted: &[ControlSetting]) -> Result<(), CameraError> {
        let kernel = |error| with_cameras(CameraError::of_open(&self.path, error));
        let fd = self.device.fd("VIDIOC_S_CTRL").map_err(kernel)?;
        let controls = agree(fd, wanted).map_err(|kind| CameraError::new(&self.path, kind))?;
        self.device.controls = controls;
        Ok(())
    }

    /// How many buffers the driver has where they are copied from, 2 to 32.
    pub fn set_copied_buffers(&mut self, count: usize) {
        self.copied_buffers = count.clamp(2, MAX_BUFFERS);
    }

    /// Where buffers are copied, rows of pictures in the slots are so long, whatever the driver's are: its
    /// padding is left behind, or some is put in. Other ways, and compressed pictures, know no other rows than
    /// the driver's.
    pub fn set_rows(&mut self, stride_bytes: u32) {
        let agreed = &self.device.agreed.format;
        let copied = self.io == IoMethod::Copy && !agreed.pixel.is_compressed();
        let holds = u64::from(stride_bytes) >= agreed.pixel.row_bytes(agreed.width_px);
        if copied && holds && stride_bytes != agreed.stride_bytes {
            self.rows_bytes = Some(stride_bytes);
        }
    }

    /// What slots hold.
    fn held(&self) -> StreamFormat {
        let agreed = self.device.agreed.format;
        let Some(stride_bytes) = self.rows_bytes else {
            return agreed;
        };
        let bytes = agreed.pixel.image_bytes(stride_bytes, agreed.height_px);
        StreamFormat {
            stride_bytes,
            size_bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            ..agreed
        }
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn take(&mut self, choice: Choice) {
        (self.io, self.why) = (choice.io, choice.why);
    }

    /// Whether the driver takes this method: makes a buffer, and frees it.
    fn try_method(&mut self, io: IoMethod) -> Result<(), SourceError> {
        if io.needs_one_piece() && !self.one_piece() {
            let operation = "taking several memory planes for one slot";
            return Err(SourceError::new(operation, libc::EINVAL));
        }
        match io {
            IoMethod::UserPtr => self.user(),
            IoMethod::Mmap | IoMethod::Copy => self.with_buffers(io, |_| Ok(())),
            IoMethod::DmabufExport => self.with_buffers(io, |device| {
                Buffers::own(device, IoMethod::DmabufExport, 1).map(drop)
            }),
            IoMethod::DmabufImport => self.import().map(drop),
        }
    }

    /// Does something while the driver has a buffer.
    fn with_buffers<T>(
        &self,
        io: IoMethod,
        act: impl FnOnce(&Device) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        self.device.request_buffers(io, 1)?;
        let outcome = act(&self.device);
        let freed = self.device.request_buffers(io, 0);
        let outcome = outcome?;
        freed?;
        Ok(outcome)
    }

    /// Keeps the first heap whose buffer the driver takes, and reads that.
    fn import(&mut self) -> Result<ReadSpeed, SourceError> {
        let mut last = SourceError::new("open (dma-heap)", libc::ENOENT);
        for path in heaps(Path::new(HEAPS)) {
            let tried = Heap::open(&path).and_then(|heap| {
                let speed = self.with_buffers(IoMethod::DmabufImport, |device| {
                    let buffers = Buffers::of_heap(device, &heap, 1)?;
                    if let Some(shared) = &buffers.shared[0] {
                        device.queue_shared(0, shared)?;
                    }
                    device.stream_off()?;
                    read_speed(&buffers)
                })?;
                Ok((heap, speed))
            });
            match tried {
                Ok((heap, speed)) => {
                    self.heap = Some(heap);
                    return Ok(speed);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Makes buffers for the caller's slots, and has the driver accept each one once: it then knows the
    /// pages, and what it cannot write to shows now.
    fn arm_user(&self, slots: Slots<'_>) -> Result<Buffers, ArmError> {
        let slots = check_caller_slots(&self.device.agreed.format, slots, MAX_SLOTS)?;
        let wanted = slots.len().min(MAX_BUFFERS);
        let made = self.device.request_buffers(IoMethod::UserPtr, wanted);
        let count = made.map_err(ArmError::Kernel)?;
        let mut accepted = Ok(());
        for (index, slot) in slots.iter().take(count).enumerate() {
            accepted = accepted.and_then(|()| self.device.queue_user(index, slot));
        }
        let taken_back = self.device.stream_off();
        if let Err(error) = accepted.and(taken_back) {
            // What the driver says to this does not matter: the first error does.
            let _ = self.device.request_buffers(IoMethod::UserPtr, 0);
            return Err(ArmError::Kernel(error));
        }
        Ok(Buffers::user(slots, count))
    }

    /// Makes buffers that are the slots.
    fn arm_own(&self, slots: Slots<'_>) -> Result<Buffers, ArmError> {
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
        self.make(self.io, wanted).map_err(ArmError::Kernel)
    }

    fn make(&self, io: IoMethod, wanted: usize) -> Result<Buffers, SourceError> {
        let device = &self.device;
        let count = device.request_buffers(io, wanted)?;
        let made = match (io, &self.heap) {
            (IoMethod::DmabufImport, Some(heap)) => Buffers::of_heap(device, heap, count),
            (IoMethod::DmabufImport, None) => {
                Err(SourceError::new("open (dma-heap)", libc::ENOENT))
            }
            _ => Buffers::own(device, io, count),
        };
        if made.is_err() {
            let _ = device.request_buffers(io, 0);
        }
        made
    }

    fn armed(self, slots: Slots<'_>) -> Result<Box<dyn FrameSource>, (Box<Self>, ArmError)> {
        let made = match self.io {
            IoMethod::UserPtr => self.arm_user(slots).map(|buffers| (buffers, None)),
            IoMethod::Copy => self.arm_copied(slots),
            IoMethod::Mmap | IoMethod::DmabufExport | IoMethod::DmabufImport => {
                self.arm_own(slots).map(|buffers| (buffers, None))
            }
        };
        match made {
            Ok((buffers, None)) => Ok(Box::new(V4l2Source::new(self.device, buffers))),
            Ok((buffers, Some((slots, offsets)))) => {
                let (planes, held) = (self.device.agreed.planes, self.held());
                let inner = V4l2Source::new(self.device, buffers);
                Ok(Box::new(CopySource::new(
                    inner, slots, held, planes, offsets,
                )))
            }
            Err(error) => Err((Box::new(self), error)),
        }
    }

    /// Makes the driver's own buffers, to be copied into the caller's slots.
    fn arm_copied(&self, slots: Slots<'_>) -> Result<(Buffers, Option<Copies>), ArmError> {
        let slots = check_caller_slots(&self.held(), slots, MAX_SLOTS)?;
        let made = self.make(IoMethod::Mmap, self.copied_buffers);
        let buffers = made.map_err(ArmError::Kernel)?;
        let span = self.device.span().map_err(ArmError::Kernel)?;
        Ok((buffers, Some((slots, span.offsets))))
    }
}

/// An I/O method that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedIo {
    /// The word for it in a profile.
    pub io: &'static str,
    /// The heap, for `dma-heap`.
    pub heap: Option<String>,
    /// How fast its buffers are read, where they are not ours; or what the driver said.
    pub outcome: Result<Option<ReadSpeed>, SourceError>,
}

impl std::fmt::Display for TriedIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<8} ", self.io)?;
        if let Some(heap) = &self.heap {
            write!(f, "heap {heap}: ")?;
        }
        match self.outcome {
            Ok(Some(speed)) => speed.fmt(f),
            Ok(None) => f.write_str("taken"),
            Err(error) => write!(f, "no: {error}"),
        }
    }
}

/// Tries every I/O method with a node, in the format that it has; changes nothing of it.
///
/// # Errors
/// It cannot be asked, or somebody else uses it.
pub fn try_every_io(path: &Path) -> Result<Vec<TriedIo>, CameraError> {
    let kernel = |error| with_cameras(CameraError::of_open(path, error));
    let (node, queue, c_path) = open_capture(path, path)?;
    let agreed = as_it_is(&node.fd, queue).map_err(kernel)?;
    let request = CameraRequest {
        pixel: agreed.format.pixel,
        width_px: agreed.format.width_px,
        height_px: agreed.format.height_px,
        rate_hz: 0.0,
        crop: None,
    };
    let finder = Finder::new(c_path, &node, queue, false);
    let mut camera = UnarmedCamera::new(path, finder, (node, queue), request, agreed);
    let user = camera.user();
    if let Err(error) = user
        && error.errno == libc::EBUSY
    {
        return Err(kernel(error));
    }
    let tried = |io: IoMethod, outcome| TriedIo {
        io: io.word(),
        heap: None,
        outcome,
    };
    let mut all = vec![tried(IoMethod::UserPtr, user.map(|()| None))];
    all.push(tried(IoMethod::Mmap, camera.mapped().map(Some)));
    if camera.one_piece() {
        let exported = camera.with_buffers(IoMethod::DmabufExport, |device| {
            read_speed(&Buffers::own(device, IoMethod::DmabufExport, 1)?)
        });
        all.push(tried(IoMethod::DmabufExport, exported.map(Some)));
        let imported = camera.imported();
        all.push(TriedIo {
            io: IoMethod::DmabufImport.word(),
            heap: imported.as_ref().ok().map(|(heap, _)| heap.clone()),
            outcome: imported.map(|(_, speed)| Some(speed)),
        });
    }
    Ok(all)
}

/// Opens a node that streams video; errors name it as `device` does.
fn open_capture(node: &Path, device: &Path) -> Result<(Node, Queue, CString), CameraError> {
    let wrong = |kind| with_cameras(CameraError::new(device, kind));
    let path = c_path(node).ok_or_else(|| wrong(CameraErrorKind::Absent))?;
    let node =
        Node::open(&path).map_err(|error| with_cameras(CameraError::of_open(device, error)))?;
    match node.queue() {
        Some(queue) => Ok((node, queue, path)),
        None => Err(wrong(CameraErrorKind::NotCapture {
            found: format!("{:?}", node.capabilities),
        })),
    }
}

/// Where images are copied to, and where their planes begin in a buffer that they are copied from.
type Copies = (Box<[SlotMemory]>, [usize; MAX_PLANES]);

/// Reads the first of some buffers, which the driver does not have.
#[allow(unsafe_code)]
fn read_speed(buffers: &Buffers) -> Result<ReadSpeed, SourceError> {
    let none = SourceError::new("VIDIOC_REQBUFS (no buffer)", libc::ENOMEM);
    let buffer: &SlotMemory = buffers.slots.first().ok_or(none)?;
    let shared = buffers.shared[0].as_ref();
    shared.map_or(Ok(()), DmaBuf::begin_read)?;
    // SAFETY: the buffer was mapped just now and is not with the driver; nobody else knows of it.
    let speed = ReadSpeed::of(unsafe { buffer.bytes_mut() });
    shared.map_or(Ok(()), DmaBuf::end_read)?;
    Ok(speed)
}

impl Trials for UnarmedCamera {
    fn one_piece(&self) -> bool {
        self.device.agreed.planes.count() == 1
    }

    fn user(&mut self) -> Result<(), SourceError> {
        if !self
            .device
            .agreed
            .planes
            .fit_a_slot(&self.device.agreed.format)
        {
            let operation = "fitting the driver's padded planes into one slot";
            return Err(SourceError::new(operation, libc::EINVAL));
        }
        self.with_buffers(IoMethod::UserPtr, |_| Ok(()))
    }

    fn mapped(&mut self) -> Result<ReadSpeed, SourceError> {
        self.with_buffers(IoMethod::Mmap, |device| {
            read_speed(&Buffers::own(device, IoMethod::Mmap, 1)?)
        })
    }

    fn imported(&mut self) -> Result<(String, ReadSpeed), SourceError> {
        let speed = self.import()?;
        let name = self.heap.as_ref().map_or("?", Heap::name);
        Ok((name.to_owned(), speed))
    }
}

impl UnarmedSource for UnarmedCamera {
    fn format(&self) -> StreamFormat {
        self.held()
    }

    fn slot_home(&self) -> SlotHome {
        match self.io {
            IoMethod::UserPtr | IoMethod::Copy => SlotHome::Caller,
            IoMethod::Mmap | IoMethod::DmabufExport | IoMethod::DmabufImport => SlotHome::Source,
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
        let heap = match (&self.heap, self.io) {
            (Some(heap), IoMethod::DmabufImport) => format!(", heap {}", heap.name()),
            _ => String::new(),
        };
        let why = if self.why.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.why)
        };
        format!("{}{queue}{heap}{why}", self.io.word())
    }

    fn arm(self: Box<Self>, slots: Slots<'_>) -> Result<Box<dyn FrameSource>, NotArmed> {
        self.armed(slots).map_err(|(mut camera, error)| {
            if let (ArmError::Kernel(cause), IoMethod::UserPtr, true) =
                (error, camera.io, camera.auto)
                && let Ok(choice) = choose_without_user(&mut *camera, cause)
            {
                camera.take(choice);
            }
            NotArmed {
                source: camera,
                error,
            }
        })
    }
}
