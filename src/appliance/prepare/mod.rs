//! Everything that exists before the first thread: the profile held against the machine, files, cameras, memory, models.

pub(crate) mod board;
pub(crate) mod cameras;
pub(crate) mod files;
pub(crate) mod fit;
pub(crate) mod format;
pub(crate) mod jpeg;
pub(crate) mod late_camera;
pub(crate) mod line_file;
pub(crate) mod look;
pub(crate) mod memory;
pub(crate) mod model;
pub(crate) mod own_files;
pub(crate) mod v4l2_camera;
