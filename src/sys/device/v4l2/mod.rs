//! V4L2 cameras: found, asked, and streamed from.
//!
//! Answers for: talking to the kernel about video. Does not answer for: when to restart
//! (`capture::health::supervisor`), whether a timestamp is to be believed (`capture::health::timestamps`), or the memory
//! of the slots (`sys::memory`).
//!
//! ```text
//! enumerate ── cameras() ────────► probe, error messages
//! node ── open, identity ──┐
//! negotiate ── S_SELECTION, S_FMT, S_PARM, colour, planes ──► camera: UnarmedCamera ── arm ──► FrameSource
//! ioctl ── one function each ──┘      │ io_method: which one,  │ source: the kernel's buffers, which are
//!                                     │ by trial and by speed  │         the slots, or carry the caller's
//!                                     │                        │ copy_source: into the caller's slots
//!                                     └── buffers: mapping (whose addresses never change), dmabuf
//! ```
//!
//! Structs and request numbers are `v4l`'s. Its streams are not used: they own their buffers, allocate
//! when a frame is late, and panic when a device is gone.

mod buffers;
mod colour;
mod controls;
mod copy_source;
mod crop;
mod device;
mod dmabuf;
mod enumerate;
mod error;
mod io_method;
mod mapping;
mod negotiate;
mod node;
mod planes;

mod camera;
mod ioctl;
mod read_speed;
mod source;
mod timestamp;

pub use camera::{TriedIo, UnarmedCamera, try_every_io};
pub use colour::colour;
pub use controls::OfferedControl;
pub use enumerate::{Answer, Camera, OfferedFormat, OfferedSize, cameras};
pub use error::{CameraError, CameraErrorKind, fourcc_text};
pub use negotiate::CameraRequest;
pub use read_speed::ReadSpeed;
