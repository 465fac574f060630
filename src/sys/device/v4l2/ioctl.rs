//! V4L2's ioctls with their structs, one function each. Nothing is interpreted here, and nothing
//! allocates.
#![allow(unsafe_code)]

use crate::capture::SourceError;
use crate::shown::Shown;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::Mode;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use v4l::v4l_sys;
use v4l::v4l2::vidioc;

pub(super) use v4l_sys::{
    v4l2_buffer, v4l2_capability, v4l2_control, v4l2_exportbuffer, v4l2_fmtdesc, v4l2_format,
    v4l2_frmivalenum, v4l2_frmsizeenum, v4l2_plane, v4l2_query_ext_ctrl, v4l2_querymenu,
    v4l2_requestbuffers, v4l2_selection, v4l2_streamparm,
};

/// Memory planes of one buffer, as the kernel counts them.
const VIDEO_MAX_PLANES: usize = v4l_sys::VIDEO_MAX_PLANES as usize;
/// Memory planes of the formats that this program reads.
pub(super) const MAX_PLANES: usize = 3;
/// Buffers of one queue.
pub(super) const MAX_BUFFERS: usize = v4l_sys::VIDEO_MAX_FRAME as usize;

/// How a struct's memory is initialised before the fields are set.
pub(super) fn zeroed<T: Plain>() -> T {
    // SAFETY: `Plain` is implemented for kernel structs of integers, raw pointers and unions of these
    // only: all zeroes is a value of each.
    unsafe { std::mem::zeroed() }
}

/// A kernel struct that may be all zeroes, and which one ioctl reads and writes.
///
/// # Safety
/// The type consists of integers, raw pointers and unions of these.
pub(super) unsafe trait Plain: Copy {}
macro_rules! plain {
    ($($name:ident)*) => { $(
        // SAFETY: integers, pointers and unions of these, by their definition in videodev2.h.
        unsafe impl Plain for $name {}
    )* };
}
plain!(v4l2_buffer v4l2_capability v4l2_control v4l2_query_ext_ctrl v4l2_querymenu v4l2_exportbuffer v4l2_fmtdesc);
plain!(v4l2_format v4l2_frmivalenum v4l2_frmsizeenum v4l2_plane v4l2_requestbuffers v4l2_streamparm v4l2_selection);
// SAFETY: an integer.
unsafe impl Plain for libc::c_int {}

/// Opens a device node without waiting in any later call.
pub(super) fn open_node(path: &CStr) -> Result<OwnedFd, SourceError> {
    loop {
        match open(
            path,
            OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC,
            Mode::empty(),
        ) {
            Ok(fd) => return Ok(fd),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(SourceError::new("open", errno as i32)),
        }
    }
}

/// # Safety
/// `request` is the ioctl whose argument is a `T`, and every pointer inside of `argument` points to what
/// that ioctl asks for.
unsafe fn ioctl<T: Plain>(
    fd: BorrowedFd<'_>,
    operation: &'static str,
    request: vidioc::_IOC_TYPE,
    argument: &mut T,
) -> Result<(), SourceError> {
    loop {
        let pointer = std::ptr::from_mut(argument).cast();
        // SAFETY: the pointer is to a live `T`, which is what `request` takes (contract of this function);
        // the descriptor is open while it is borrowed.
        let Err(error) = (unsafe { v4l::v4l2::ioctl(fd.as_raw_fd(), request, pointer) }) else {
            return Ok(());
        };
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            errno => return Err(SourceError::new(operation, errno.unwrap_or(0))),
        }
    }
}

/// Numbers that `v4l` does not have.
mod missing {
    use super::{v4l2_selection, vidioc};

    pub const VIDIOC_G_SELECTION: vidioc::_IOC_TYPE =
        nix::request_code_readwrite!(b'V', 94, size_of::<v4l2_selection>());
    pub const VIDIOC_S_SELECTION: vidioc::_IOC_TYPE =
        nix::request_code_readwrite!(b'V', 95, size_of::<v4l2_selection>());
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($type:ty) = $module:ident::$request:ident;)*) => { $(
        $(#[$doc])*
        pub(super) fn $name(fd: &OwnedFd, argument: &mut $type) -> Result<(), SourceError> {
            // SAFETY: the request's number encodes the size of this struct; it holds no pointers.
            unsafe { ioctl(fd.as_fd(), stringify!($request), $module::$request, argument) }
        }
    )* };
}

calls! {
    /// What the node is.
    query_capability(v4l2_capability) = vidioc::VIDIOC_QUERYCAP;
    /// Format number `index`.
    enumerate_format(v4l2_fmtdesc) = vidioc::VIDIOC_ENUM_FMT;
    /// Size number `index` of a format.
    enumerate_size(v4l2_frmsizeenum) = vidioc::VIDIOC_ENUM_FRAMESIZES;
    /// Interval number `index` of a format and size.
    enumerate_interval(v4l2_frmivalenum) = vidioc::VIDIOC_ENUM_FRAMEINTERVALS;
    /// The format.
    get_format(v4l2_format) = vidioc::VIDIOC_G_FMT;
    /// Sets the format, and says which one it became.
    set_format(v4l2_format) = vidioc::VIDIOC_S_FMT;
    /// The frame interval.
    get_parameters(v4l2_streamparm) = vidioc::VIDIOC_G_PARM;
    /// Sets the frame interval, and says which one it became.
    set_parameters(v4l2_streamparm) = vidioc::VIDIOC_S_PARM;
    /// What a control is, or the one after it.
    query_control(v4l2_query_ext_ctrl) = vidioc::VIDIOC_QUERY_EXT_CTRL;
    /// An item of a menu control.
    query_menu(v4l2_querymenu) = vidioc::VIDIOC_QUERYMENU;
    /// A control's value.
    get_control(v4l2_control) = vidioc::VIDIOC_G_CTRL;
    /// Sets a control's value.
    set_control(v4l2_control) = vidioc::VIDIOC_S_CTRL;
    /// A rectangle of the sensor.
    get_selection(v4l2_selection) = missing::VIDIOC_G_SELECTION;
    /// Sets a rectangle of the sensor, and says which one it became.
    set_selection(v4l2_selection) = missing::VIDIOC_S_SELECTION;
    /// Makes (or with count 0 frees) the queue's buffers.
    request_buffers(v4l2_requestbuffers) = vidioc::VIDIOC_REQBUFS;
    /// Opens a plane of an MMAP buffer as a dma-buf.
    export_buffer(v4l2_exportbuffer) = vidioc::VIDIOC_EXPBUF;
    /// Starts the queue of a type.
    stream_on(libc::c_int) = vidioc::VIDIOC_STREAMON;
    /// Stops the queue of a type, and takes every buffer back from the driver.
    stream_off(libc::c_int) = vidioc::VIDIOC_STREAMOFF;
}

/// The text of a field that the kernel fills with bytes up to a zero. A device's own name is among what comes this way.
pub(super) fn text(field: &[u8]) -> String {
    let bytes = field.split(|&byte| byte == 0).next().unwrap_or_default();
    Shown(String::from_utf8_lossy(bytes)).to_string()
}

/// Item `index` of a menu in words, or as the number that it stands for (`numbers`); `None` where there
/// is none.
pub(super) fn menu_item(fd: &OwnedFd, id: u32, index: u32, numbers: bool) -> Option<String> {
    let mut raw: v4l2_querymenu = zeroed();
    (raw.id, raw.index) = (id, index);
    query_menu(fd, &mut raw).ok()?;
    let item = raw.__bindgen_anon_1;
    if numbers {
        // SAFETY: any bytes are a value of this integer, and all of the union was zeroed at first.
        let number = unsafe { item.value };
        Some(number.to_string())
    } else {
        // SAFETY: any bytes are a value of this array, and all of the union was zeroed at first.
        let name = unsafe { item.name };
        Some(text(&name))
    }
}

/// A buffer of one queue, ready for an ioctl.
#[derive(Clone, Copy)]
pub(super) struct Buffer {
    raw: v4l2_buffer,
    planes: [v4l2_plane; VIDEO_MAX_PLANES],
    /// Memory planes for a multi-planar queue, 0 for a single-planar one.
    plane_count: usize,
}

/// What a dequeued buffer says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub index: u32,
    pub flags: u32,
    pub sequence: u32,
    /// Seconds and microseconds, as the driver gave them.
    pub stamp: (i64, i64),
    /// By memory plane; those that the buffer does not have are empty.
    pub planes: [Samples; MAX_PLANES],
}

/// Where a dequeued plane's samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Samples {
    /// Bytes before the first one.
    pub data_offset: u32,
    /// Bytes of them.
    pub bytes: u32,
}

impl Buffer {
    /// A buffer of a queue of type `kind` with `plane_count` memory planes (0: single-planar).
    pub(super) fn new(kind: u32, memory: u32, index: u32, plane_count: usize) -> Self {
        let raw = v4l2_buffer {
            index,
            type_: kind,
            memory,
            ..zeroed()
        };
        Self {
            raw,
            planes: [zeroed(); VIDEO_MAX_PLANES],
            plane_count: plane_count.min(VIDEO_MAX_PLANES),
        }
    }

    /// Names the memory of plane `plane` (USERPTR).
    pub(super) fn set_user_memory(&mut self, plane: usize, address: usize, length: u32) {
        // The kernel's `unsigned long` is as wide as an address.
        let userptr = address as libc::c_ulong;
        if self.plane_count == 0 {
            self.raw.m.userptr = userptr;
            self.raw.length = length;
        } else if let Some(plane) = self.planes.get_mut(plane) {
            plane.m.userptr = userptr;
            plane.length = length;
        }
    }

    /// Names the dma-buf of plane `plane` (DMABUF).
    pub(super) fn set_dma_buf(&mut self, plane: usize, fd: BorrowedFd<'_>, length: u32) {
        if self.plane_count == 0 {
            self.raw.m.fd = fd.as_raw_fd();
            self.raw.length = length;
        } else if let Some(plane) = self.planes.get_mut(plane) {
            plane.m.fd = fd.as_raw_fd();
            plane.length = length;
        }
    }

    /// Length, and offset for mmap(2), of a plane (after [`query_buffer`]).
    pub(super) fn mapping(&self, plane: usize) -> (u32, u32) {
        if self.plane_count == 0 {
            // SAFETY: QUERYBUF of an MMAP queue writes `offset`; every field of the union is an integer
            // or a raw pointer, and all of its bytes were initialised by `zeroed`.
            (self.raw.length, unsafe { self.raw.m.offset })
        } else {
            let plane = self.planes.get(plane).copied().unwrap_or_else(zeroed);
            // SAFETY: as above, for `mem_offset` of a plane.
            (plane.length, unsafe { plane.m.mem_offset })
        }
    }

    /// What the driver filled in (after [`dequeue_buffer`]).
    pub(super) fn filled(&self) -> Filled {
        let mut planes = [Samples::default(); MAX_PLANES];
        if self.plane_count == 0 {
            planes[0].bytes = self.raw.bytesused;
        } else {
            for (samples, plane) in planes.iter_mut().zip(&self.planes).take(self.plane_count) {
                // `bytesused` counts what lies before the samples.
                *samples = Samples {
                    data_offset: plane.data_offset,
                    bytes: plane.bytesused.saturating_sub(plane.data_offset),
                };
            }
        }
        // Both are `long`, or 64 bits wide on 32-bit machines with a 64-bit time.
        #[allow(clippy::useless_conversion)]
        let stamp = (
            i64::from(self.raw.timestamp.tv_sec),
            i64::from(self.raw.timestamp.tv_usec),
        );
        Filled {
            index: self.raw.index,
            flags: self.raw.flags,
            sequence: self.raw.sequence,
            stamp,
            planes,
        }
    }

    fn call(
        &mut self,
        fd: &OwnedFd,
        operation: &'static str,
        request: vidioc::_IOC_TYPE,
    ) -> Result<(), SourceError> {
        if self.plane_count != 0 {
            self.raw.m.planes = self.planes.as_mut_ptr();
            // At most VIDEO_MAX_PLANES.
            #[allow(clippy::cast_possible_truncation)]
            {
                self.raw.length = self.plane_count as u32;
            }
        }
        // SAFETY: the three requests that this is called with take a v4l2_buffer. Of a multi-planar queue
        // it points to `length` planes of `self`, which outlives the call; of a single-planar one the
        // union holds an offset, a descriptor (which the kernel checks), or the address of memory that a
        // `SlotMemory` of the caller vouches for: mapped, writable, and nobody else's until the buffer is
        // dequeued or the queue stopped.
        unsafe { ioctl(fd.as_fd(), operation, request, &mut self.raw) }
    }
}

/// Where the buffer's memory is (MMAP).
pub(super) fn query_buffer(fd: &OwnedFd, buffer: &mut Buffer) -> Result<(), SourceError> {
    buffer.call(fd, "VIDIOC_QUERYBUF", vidioc::VIDIOC_QUERYBUF)
}

/// Lends the buffer to the driver.
pub(super) fn queue_buffer(fd: &OwnedFd, buffer: &mut Buffer) -> Result<(), SourceError> {
    buffer.call(fd, "VIDIOC_QBUF", vidioc::VIDIOC_QBUF)
}

/// Takes a filled buffer from the driver; EAGAIN when there is none.
pub(super) fn dequeue_buffer(fd: &OwnedFd, buffer: &mut Buffer) -> Result<(), SourceError> {
    buffer.call(fd, "VIDIOC_DQBUF", vidioc::VIDIOC_DQBUF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_any_bytes_becomes_text() {
        assert_eq!(text(b"vivid\0\0\0junk"), "vivid");
        assert_eq!(text(b"full to the end"), "full to the end");
        assert_eq!(text(&[0xFF, b'a', 0]), "\u{FFFD}a");
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_structs_have_the_sizes_of_the_64_bit_kernel() {
        assert_eq!(size_of::<v4l2_buffer>(), 88);
        assert_eq!(size_of::<v4l2_plane>(), 64);
        assert_eq!(size_of::<v4l2_format>(), 208);
        assert_eq!(size_of::<v4l2_capability>(), 104);
        assert_eq!(size_of::<v4l2_requestbuffers>(), 20);
        assert_eq!(size_of::<v4l2_streamparm>(), 204);
        assert_eq!(std::mem::offset_of!(v4l2_buffer, m), 64);
        assert_eq!(std::mem::offset_of!(v4l2_plane, data_offset), 16);
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_requests_have_the_numbers_of_the_64_bit_kernel() {
        assert_eq!(vidioc::VIDIOC_QUERYCAP, 0x8068_5600);
        assert_eq!(vidioc::VIDIOC_S_FMT, 0xC0D0_5605);
        assert_eq!(vidioc::VIDIOC_REQBUFS, 0xC014_5608);
        assert_eq!(vidioc::VIDIOC_QUERYBUF, 0xC058_5609);
        assert_eq!(vidioc::VIDIOC_QBUF, 0xC058_560F);
        assert_eq!(vidioc::VIDIOC_DQBUF, 0xC058_5611);
        assert_eq!(vidioc::VIDIOC_STREAMON, 0x4004_5612);
        assert_eq!(vidioc::VIDIOC_STREAMOFF, 0x4004_5613);
        assert_eq!(vidioc::VIDIOC_S_PARM, 0xC0CC_5616);
    }

    #[test]
    fn a_node_that_is_no_camera_and_one_that_is_absent_give_their_errno() {
        let null = open_node(c"/dev/null").unwrap();
        let error = query_capability(&null, &mut zeroed()).unwrap_err();
        assert_eq!(error, SourceError::new("VIDIOC_QUERYCAP", libc::ENOTTY));
        let error = open_node(c"/dev/no-such-node").unwrap_err();
        assert_eq!(error, SourceError::new("open", libc::ENOENT));
    }

    #[test]
    fn a_multi_planar_buffer_keeps_its_memory_in_its_planes() {
        let mut buffer = Buffer::new(9, 2, 3, 1);
        buffer.set_user_memory(0, 0x1000, 64);
        assert_eq!(buffer.planes[0].length, 64);
        buffer.planes[0].bytesused = 192;
        buffer.planes[0].data_offset = 128;
        let filled = buffer.filled();
        let samples = Samples {
            data_offset: 128,
            bytes: 64,
        };
        assert_eq!((filled.index, filled.planes[0]), (3, samples));
        assert_eq!(filled.planes[1], Samples::default());
    }
}
