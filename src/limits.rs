//! Capacities that are fixed when the program is built. Each is a bound on memory, not a wish.

/// Cameras of one board: one ready bit each in the doorbell's word.
pub const MAX_CAMERAS: usize = 64;
/// Records of one recording.
pub const MAX_RECORDS: u32 = 10_000_000;
/// Frame slots of one camera: one bit each in the lane's return words.
pub const MAX_SLOTS: usize = 512;
/// Positions of one frame ring.
pub const MAX_RING: usize = 256;
/// Rings of one camera, each with its readers; a run has one.
pub const MAX_TAPS: usize = 4;
/// Inference workers of one board.
pub const MAX_WORKERS: usize = 16;
/// Threads of the process that are counted one by one.
pub const MAX_THREADS: usize = 96;
/// Models of one worker that process a frame after its own.
pub const MAX_THEN: usize = 3;
/// Boxes of one frame that one such model looks into.
pub const MAX_BOXES: usize = 16;
/// NUMA nodes.
pub const MAX_NODES: usize = 8;
/// Detections kept of one frame, after suppression.
pub const MAX_DETECTIONS: usize = 32;
/// Key points of one detection (BlazeFace has six).
pub const MAX_KEYPOINTS: usize = 6;
/// Output tensors of one model.
pub const MAX_OUTPUTS: usize = 8;
/// Bytes of a camera's, model's or thread's name.
pub const MAX_NAME: usize = 48;
/// Width, and height, of the largest picture.
pub const MAX_SIDE_PX: u32 = 8192;
/// How many times wider and higher a camera's image may be made.
pub const MAX_SCALE: u32 = 16;
/// Things followed at once on one camera by one model.
pub const MAX_TRACKS: usize = 64;
/// Rules of one board, and its zones, and its lines.
pub const MAX_RULES: usize = 64;
/// Outputs of one board for events: a thread each.
pub const MAX_EVENT_OUTPUTS: usize = 8;
/// Values that a queue may be asked to hold: results of a worker, events of an output.
pub const MAX_QUEUED: usize = 1024;

/// Values that a queue holds that is asked to hold so many: its size is one of four.
#[must_use]
pub const fn queue_room(values: usize) -> usize {
    match values {
        0..=16 => 16,
        17..=64 => 64,
        65..=256 => 256,
        _ => MAX_QUEUED,
    }
}
