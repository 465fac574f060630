//! Pictures that lie on their side: a line of the camera is a column of the tensor.
//!
//! Pixels of a line that go to as many rows of the tensor touch as many cache lines. A band of some lines is
//! therefore written beside the tensor, and then put to its place: what these lines have in a row lies together.

use super::{Line, Scratch, Strips};
use crate::preprocess::plan::{Kernel, Plan};

/// Most lines of a band.
const LINES: usize = 16;
/// Bytes of a band: no less than the longest line, of 4096 pixels of three float32 numbers.
const BYTES: usize = 64 * 1024;

/// As [`Strips::write_picture`].
#[inline(never)]
pub(super) fn write(
    strips: &Strips,
    plan: &Plan,
    kernel: Kernel,
    frame: &[u8],
    tensor: &mut [u8],
    scratch: &mut Scratch,
) {
    let (pixel, count) = (plan.pixel_bytes(), plan.across.len());
    let row = count * pixel;
    let lines = (BYTES / (row * plan.planes).max(1)).clamp(1, LINES);
    let plane = lines * row;
    let mut band = [0; BYTES];
    let Some(band) = band.get_mut(..plane * plan.planes) else {
        return;
    };
    let put = match pixel {
        1 => put::<1>,
        2 => put::<2>,
        3 => put::<3>,
        4 => put::<4>,
        6 => put::<6>,
        _ => put::<12>,
    };
    let step = plan.pixel_at(1, 0) - plan.pixel_at(0, 0);
    for first in (0..plan.down.len()).step_by(lines) {
        let some = first..plan.down.len().min(first + lines);
        let mut line = Line {
            tensor: &mut *band,
            plane,
            at: 0,
            pixel,
            count,
        };
        let at = |down| (down - first) * row;
        strips.write_lines(plan, kernel, some.clone(), frame, scratch, &mut line, at);
        let planes = tensor.chunks_exact_mut(plan.plane_bytes());
        for (out, band) in planes.zip(band.chunks_exact(plane.max(1))) {
            let out = out.get_mut(plan.pixel_at(0, first)..).unwrap_or_default();
            put(band, row, some.len(), out, step);
        }
    }
}

/// Puts the pixels of some lines of `row` bytes to their places: those of each position together, `step` bytes from
/// one to the next. The compiler knows how many bytes a pixel has: a call for each would take longer than all the
/// rest.
fn put<const N: usize>(band: &[u8], row: usize, lines: usize, out: &mut [u8], step: usize) {
    for index in 0..row / N {
        let out = out.get_mut(index * step..).unwrap_or_default();
        let out = out.as_chunks_mut::<N>().0.iter_mut().take(lines);
        for (line, out) in out.enumerate() {
            let at = line * row + index * N;
            if let Some(pixel) = band.get(at..).and_then(<[u8]>::first_chunk) {
                *out = *pixel;
            }
        }
    }
}
