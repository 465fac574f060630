//! How many slots a camera needs, and what its workers ask of its lane.

use super::Camera;
use crate::ring::{TapNeed, slots_needed};

/// Slots of a camera, so that capture never finds none free whatever the workers that judge it do.
#[must_use]
pub fn camera_slots(camera: &Camera, workers: usize) -> u16 {
    // The ranges of the keys bound each number, and the sum by 800.
    let small = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let slots = slots_needed(small(camera.driver_slots as usize), &[tap(camera, workers)]);
    small(slots)
}

/// What inference asks of a camera's lane: one reader for each worker that judges
/// it, each with one frame at a time.
#[must_use]
pub fn tap(camera: &Camera, workers: usize) -> TapNeed {
    TapNeed {
        capacity: camera.ring_slots as usize,
        readers: u16::try_from(workers).unwrap_or(u16::MAX),
        leases: 1,
    }
}
