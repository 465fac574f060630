//! The header of a recording, which is there twice: before the cells and behind them.

use super::cells::{offset, scan};
use super::layout::{FileHeader, HEADER_BYTES, HeaderFault, RECORD_BYTES, decode_header};
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// Cells that are looked at for a record where both headers are spoilt: a recording is filled from its start on.
const LOOKED_AT: u64 = 4096;

/// What the headers of a recording are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderState {
    /// Both are whole.
    Whole,
    /// A file of an earlier version, with the first one only.
    Single,
    /// One is damaged, and the other one was read.
    OneDamaged,
    /// Both are damaged: what the records' indices mean is not known.
    Damaged,
}

/// Bytes of a recording with so many cells.
pub(super) const fn file_bytes(capacity: u64) -> u64 {
    offset(capacity).saturating_add(HEADER_BYTES as u64)
}

/// Reads the header, from wherever it is whole.
///
/// # Errors
/// It is nowhere.
pub(super) fn find(file: &File) -> Result<(FileHeader, HeaderState), HeaderFault> {
    let length = file.metadata().map_or(0, |found| found.len());
    match read(file, 0) {
        Ok(header) => {
            let second = offset(header.capacity);
            let state = match read(file, second) {
                Ok(_) => HeaderState::Whole,
                Err(_) if length <= second => HeaderState::Single,
                Err(_) => HeaderState::OneDamaged,
            };
            Ok((header, state))
        }
        Err(fault) => {
            let second = length.checked_sub(HEADER_BYTES as u64);
            match second.filter(|at| *at > 0).map(|at| read(file, at)) {
                Some(Ok(header)) if file_bytes(header.capacity) == length => {
                    Ok((header, HeaderState::OneDamaged))
                }
                _ => Err(fault),
            }
        }
    }
}

fn read(file: &File, at: u64) -> Result<FileHeader, HeaderFault> {
    let mut cell = vec![0; HEADER_BYTES];
    let mut length = 0;
    while length < cell.len() {
        match file.read_at(&mut cell[length..], at + length as u64) {
            Ok(0) | Err(_) => break,
            Ok(count) => length += count,
        }
    }
    decode_header(&cell[..length])
}

/// Whether there is a record among the first cells, whatever the headers are.
pub(super) fn has_a_record(file: &File) -> bool {
    let found = scan(file, 0..LOOKED_AT, None, |_, cell| match cell {
        Ok(_) => Err(()),
        Err(_) => Ok(()),
    });
    found.is_err()
}

/// As many cells as a file without a header has, as its length tells.
pub(super) fn cells_without_header(file: &File) -> u64 {
    // Else a length would not tell whether there is a second header.
    const { assert!(!HEADER_BYTES.is_multiple_of(RECORD_BYTES)) };
    let (header, record) = (HEADER_BYTES as u64, RECORD_BYTES as u64);
    let length = file.metadata().map_or(0, |found| found.len());
    let behind_first = length.saturating_sub(header);
    match behind_first.checked_sub(header) {
        Some(cells) if cells.is_multiple_of(record) => cells / record,
        _ => behind_first / record,
    }
}
