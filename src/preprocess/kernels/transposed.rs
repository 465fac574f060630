//! Images that lie on their side: a line is a column of the tensor.
//!
//! Pixels of a line that go to as many rows of the tensor touch as many cache lines. A band of some lines is
//! therefore written beside the tensor, and then copied to its place: what these lines have in a row lies together.

use super::output_line::OutputLine;
use crate::preprocess::layout::TensorLayout;
use std::ops::Range;

/// Most lines of a band.
const LINES: usize = 16;
/// Bytes of a band: no less than the longest line, of 4096 pixels of three float32 numbers.
const BYTES: usize = 64 * 1024;

/// Writes the image: `write` makes some lines, each from the byte that the function gives.
#[inline(never)]
pub(super) fn write(
    layout: &TensorLayout,
    tensor: &mut [u8],
    mut write: impl FnMut(Range<usize>, &mut OutputLine<'_>, &dyn Fn(usize) -> usize),
) {
    let (pixel, count) = (layout.pixel_bytes(), layout.line_px());
    let row = count * pixel;
    let lines = (BYTES / (row * layout.planes).max(1)).clamp(1, LINES);
    let plane = lines * row;
    let mut band = [0; BYTES];
    let Some(band) = band.get_mut(..plane * layout.planes) else {
        return;
    };
    let copy = match pixel {
        1 => copy::<1>,
        2 => copy::<2>,
        3 => copy::<3>,
        4 => copy::<4>,
        6 => copy::<6>,
        _ => copy::<12>,
    };
    let step = layout.pixel_at(1, 0) - layout.pixel_at(0, 0);
    for first in (0..layout.lines()).step_by(lines) {
        let some = first..layout.lines().min(first + lines);
        let mut line = OutputLine {
            tensor: &mut *band,
            plane,
            at: 0,
            pixel,
            count,
        };
        write(some.clone(), &mut line, &|index| (index - first) * row);
        let planes = tensor.chunks_exact_mut(layout.plane_bytes());
        for (out, band) in planes.zip(band.chunks_exact(plane.max(1))) {
            let out = out.get_mut(layout.pixel_at(0, first)..).unwrap_or_default();
            copy(band, row, some.len(), out, step);
        }
    }
}

/// Copies the pixels of some lines of `row` bytes to their places: those of each column together, `step` bytes from
/// one to the next. The compiler knows how many bytes a pixel has: a call for each would take longer than all the
/// rest.
fn copy<const N: usize>(band: &[u8], row: usize, lines: usize, out: &mut [u8], step: usize) {
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
