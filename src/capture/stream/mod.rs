//! What a stream of bytes is made of: Y4M, raw and MJPEG frames, and clips made of a camera's frames. Pure.

pub mod clip;
pub mod frames;
pub mod jpeg_frames;
pub mod mjpeg;
pub mod raw_frames;
pub mod y4m;
