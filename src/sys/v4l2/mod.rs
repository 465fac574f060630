//! V4L2 cameras: found, asked, and streamed from.
//!
//! Answers for: talking to the kernel about video. Does not answer for: when to restart
//! (`capture::supervisor`), whether a timestamp is to be believed (`capture::continuity`), or the memory
//! of the slots (`sys::memory`).
//!
//! ```text
//! list ── cameras() ─────────────► probe, error messages
//! node ── open, identity ──┐
//! negotiate ── S_FMT, S_PARM, colour ──► source: UnarmedCamera ── arm ──► FrameSource
//! raw ── one function an ioctl ──┘          │ USERPTR: the caller's slots
//!                                           └ MMAP: mapping, whose addresses never change
//! ```
//!
//! Structs and request numbers are `v4l`'s. Its streams are not used: they own their buffers, allocate
//! when a frame is late, and panic when a device is gone.

mod colour;
mod controls;
mod error;
mod list;
mod mapping;
mod negotiate;
mod node;
mod raw;
mod source;
mod stamp;

pub use colour::colour;
pub use controls::OfferedControl;
pub use error::{CameraError, CameraErrorKind, fourcc_text};
pub use list::{Answer, Camera, OfferedFormat, OfferedSize, cameras};
pub use negotiate::CameraRequest;
pub use source::UnarmedCamera;
