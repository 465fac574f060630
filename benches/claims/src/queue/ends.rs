//! What every design has to offer: an end for each camera, and one for the consumer.

/// What a capture did.
pub(super) enum Captured {
    /// The frame is on its way.
    Sent,
    /// One frame of the camera was pushed out by it, or found no memory.
    Evicted,
    /// The consumer is gone.
    NobodyThere,
}

/// One camera's end: called when a frame is due.
pub(super) trait Source: Send {
    /// Captures the frame that was due at `due_ns`.
    fn capture(&mut self, due_ns: u64) -> Captured;
}

/// The consumer's end.
pub(super) trait Sink {
    /// Waits for a frame until `until_ns`, and calls `process` with camera, due time and payload while it
    /// holds the frame. `false`: nothing came in that time.
    fn next(&mut self, until_ns: u64, process: &mut dyn FnMut(usize, u64, &[u8])) -> bool;
}

/// Writes the whole frame, as a driver's DMA or a capture copy does, and stamps it with its due time.
pub(super) fn expose(payload: &mut [u8], due_ns: u64) {
    payload.fill(due_ns.to_le_bytes()[2]);
    payload[..8].copy_from_slice(&due_ns.to_le_bytes());
}

/// Whether `payload` is, at both ends, the frame that was exposed at `due_ns`.
pub(super) fn is_whole(payload: &[u8], due_ns: u64) -> bool {
    payload.starts_with(&due_ns.to_le_bytes()) && payload.last() == Some(&due_ns.to_le_bytes()[2])
}
