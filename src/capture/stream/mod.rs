//! What a stream of bytes is made of: Y4M, raw and MJPEG frames, and clips made of a camera's frames. Pure.

pub mod assembly;
pub mod clip;
pub mod gather;
pub mod mjpeg;
pub mod y4m;
