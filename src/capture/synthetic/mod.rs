//! Sources that need no kernel: colour bars, an image over which the camera's window moves, a folder of JPEG images.

#[cfg(test)]
mod forged;
mod frame_clock;
pub mod image;
pub mod image_folder;
pub mod paint;
pub mod pattern;
