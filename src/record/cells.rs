//! The cells of a recording, one after the other, with memory for some of them at a time.

use super::layout::{CellFault, HEADER_BYTES, RECORD_BYTES, decode_record};
use super::result::ArchivedResultRecord;
use nix::unistd::{Whence, lseek};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// Cells that are read at a time.
const AT_ONCE: u64 = 256;

/// Where cell `index` lies.
pub(super) const fn offset(index: u64) -> u64 {
    HEADER_BYTES as u64 + index.saturating_mul(RECORD_BYTES as u64)
}

/// Looks at these cells, as far as the file has them, and gives how many of them lie in holes of the file, which were
/// not read: they are empty. A cell that the disk does not give is damaged. Without a capacity, any record may stand
/// in any cell.
pub(super) fn scan<E>(
    file: &File,
    cells: Range<u64>,
    capacity: Option<u64>,
    mut each: impl FnMut(u64, Result<&ArchivedResultRecord, CellFault>) -> Result<(), E>,
) -> Result<u64, E> {
    let length = file.metadata().map_or(0, |found| found.len());
    let there = length.saturating_sub(HEADER_BYTES as u64) / RECORD_BYTES as u64;
    let end = cells.end.min(there);
    let mut buffer = rkyv::util::AlignedVec::<64>::new();
    let (mut next, mut in_holes, mut was_empty) = (cells.start, 0, true);
    while next < end {
        if was_empty {
            let data = next_data(file, next).clamp(next, end);
            in_holes += data - next;
            next = data;
        }
        let last = end.min(next + AT_ONCE);
        #[allow(clippy::cast_possible_truncation)] // at most AT_ONCE
        buffer.resize((last - next) as usize * RECORD_BYTES, 0);
        let is_whole = file.read_exact_at(&mut buffer, offset(next)).is_ok();
        was_empty = true;
        for (index, cell) in (next..last).zip(buffer.chunks_exact_mut(RECORD_BYTES)) {
            let found = if is_whole || file.read_exact_at(cell, offset(index)).is_ok() {
                decode_record(cell, index, capacity)
            } else {
                Err(CellFault::Damaged)
            };
            was_empty &= found
                .as_ref()
                .is_err_and(|fault| *fault == CellFault::Empty);
            each(index, found)?;
        }
        next = last;
    }
    Ok(in_holes)
}

/// The first cell from `index` on that has bytes on the disk.
fn next_data(file: &File, index: u64) -> u64 {
    let Ok(from) = nix::libc::off_t::try_from(offset(index)) else {
        return index;
    };
    match lseek(file, from, Whence::SeekData) {
        Ok(at) => {
            let cells = at.unsigned_abs().saturating_sub(HEADER_BYTES as u64);
            cells / RECORD_BYTES as u64
        }
        // No more of them, up to the end.
        Err(nix::errno::Errno::ENXIO) => u64::MAX,
        // A file system that does not know: every cell is read.
        Err(_) => index,
    }
}
