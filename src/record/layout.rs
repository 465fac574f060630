//! How a recording lies on disk: the header cell and the record cells, from values to bytes and back. Pure.

use super::result::{ArchivedResultRecord, ResultRecord};
use rkyv::rancor::Failure;

/// Bytes of one cell: CRC, padding to the archive's alignment, archive, rounded up to 64.
pub const RECORD_BYTES: usize =
    (CRC_BYTES + size_of::<ArchivedResultRecord>()).next_multiple_of(64);
/// The CRC-32C and its padding, so that the archive behind it is aligned to 8.
const CRC_BYTES: usize = 8;
/// Bytes before the first record.
pub(super) const HEADER_BYTES: usize = 8192;
/// First bytes of every recording, of whatever version.
pub(super) const KIND: [u8; 7] = *b"PINSREC";
/// The layout's version, behind [`KIND`].
const VERSION: u8 = b'3';
/// Where the header's JSON starts: kind, version, length, CRC.
const HEADER_START: usize = 16;

const _: () = assert!(align_of::<ArchivedResultRecord>() <= CRC_BYTES);

/// What the records' indices mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileHeader {
    /// Board's name.
    pub board: String,
    /// Version of the program that made the file.
    pub version: String,
    /// Cameras by index.
    pub cameras: Vec<String>,
    /// Models by index.
    pub models: Vec<String>,
    /// Labels by class, of each model.
    pub labels: Vec<Vec<String>>,
    /// Record cells.
    pub capacity: u64,
    /// Bytes of one cell.
    pub record_bytes: u64,
    /// Each record's `utc_ns` is the time of its capture: where its distance from `capture_ns` changes, a clock was set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub capture_time: bool,
}

impl FileHeader {
    /// As it is written.
    pub(super) fn settled(&self) -> Self {
        Self {
            record_bytes: RECORD_BYTES as u64,
            capacity: self.capacity.max(1),
            ..self.clone()
        }
    }

    /// Records under this header mean what they mean under the other one.
    pub(super) fn means_the_same(&self, other: &Self) -> bool {
        let versionless = |header: &Self| Self {
            version: String::new(),
            capture_time: false,
            ..header.settled()
        };
        versionless(self) == versionless(other)
    }
}

/// Names of board, cameras and labels are longer than the header cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    /// Bytes they take.
    pub(super) found_bytes: usize,
}

impl TooLong {
    /// Bytes that there are.
    pub(super) const LIMIT_BYTES: usize = HEADER_BYTES - HEADER_START;
}

pub(super) fn encode_header(header: &FileHeader) -> Result<Vec<u8>, TooLong> {
    // Strings and numbers only: serialising them cannot fail.
    let json = serde_json::to_vec(&header.settled()).unwrap_or_default();
    let too_long = || TooLong {
        found_bytes: json.len(),
    };
    let mut cell = vec![0u8; HEADER_BYTES];
    let length = u32::try_from(json.len()).map_err(|_| too_long())?;
    cell.get_mut(HEADER_START..HEADER_START + json.len())
        .ok_or_else(too_long)?
        .copy_from_slice(&json);
    cell[..KIND.len()].copy_from_slice(&KIND);
    cell[KIND.len()] = VERSION;
    cell[8..12].copy_from_slice(&length.to_le_bytes());
    cell[12..16].copy_from_slice(&crc32c::crc32c(&json).to_le_bytes());
    Ok(cell)
}

/// Why there is no header in a header cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// The first bytes are those of nothing known.
    Foreign,
    /// A recording that this program does not read: what is odd.
    Other(&'static str),
    /// A recording that is not whole: what is odd.
    Damaged(&'static str),
}

impl HeaderFault {
    /// What was found, in words.
    pub(super) const fn found(self) -> &'static str {
        match self {
            Self::Foreign => "other first bytes",
            Self::Other(found) | Self::Damaged(found) => found,
        }
    }
}

/// Reads the header from the bytes of its cell.
pub(super) fn decode_header(bytes: &[u8]) -> Result<FileHeader, HeaderFault> {
    use HeaderFault::{Damaged, Foreign, Other};
    let fixed = bytes
        .get(..HEADER_START)
        .ok_or(Damaged("a file shorter than a header"))?;
    if fixed[..KIND.len()] != KIND {
        return Err(Foreign);
    }
    if fixed[KIND.len()] != VERSION {
        return Err(Other("the layout of another version"));
    }
    let word =
        |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let length = usize::try_from(word(8)).unwrap_or(usize::MAX);
    let json = bytes
        .get(HEADER_START..HEADER_BYTES)
        .and_then(|rest| rest.get(..length))
        .ok_or(Damaged("a header longer than its cell"))?;
    if crc32c::crc32c(json) != word(12) {
        return Err(Damaged("a header whose CRC does not match"));
    }
    let header: FileHeader =
        serde_json::from_slice(json).map_err(|_| Other("a header of another version"))?;
    if header.record_bytes != RECORD_BYTES as u64 {
        return Err(Other("records of another size"));
    }
    if header.capacity == 0 {
        return Err(Other("a header of no records"));
    }
    Ok(header)
}

/// A cell, aligned so that the archive in it is.
#[repr(C, align(64))]
#[derive(Clone, Debug)]
pub(super) struct Cell(pub(super) [u8; RECORD_BYTES]);

impl Cell {
    pub(super) const EMPTY: Self = Self([0; RECORD_BYTES]);

    /// Makes it the cell of `record`. Allocates nothing.
    pub(super) fn encode(&mut self, record: &ResultRecord) -> std::io::Result<()> {
        self.0.fill(0);
        let buffer = rkyv::ser::writer::Buffer::from(&mut self.0[CRC_BYTES..]);
        // Records hold no pointers: serialising them needs no scratch memory, so it is given none.
        let scratch = rkyv::ser::allocator::SubAllocator::new(&mut []);
        rkyv::api::low::to_bytes_in_with_alloc::<_, _, Failure>(record, buffer, scratch)
            .map_err(|_| std::io::Error::from_raw_os_error(nix::libc::EMSGSIZE))?;
        let crc = crc32c::crc32c(&self.0[CRC_BYTES..]);
        self.0[..4].copy_from_slice(&crc.to_le_bytes());
        Ok(())
    }
}

/// Why a cell is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellFault {
    /// It was never written.
    Empty,
    /// It was written, and is not whole, or is the record of another cell.
    Damaged,
}

/// The record in cell `index` of `capacity`; without one, any record may be in it. The bytes are aligned as a
/// [`Cell`]'s.
pub(super) fn decode_record(
    cell: &[u8],
    index: u64,
    capacity: Option<u64>,
) -> Result<&ArchivedResultRecord, CellFault> {
    let (crc, body) = cell.split_at_checked(CRC_BYTES).ok_or(CellFault::Damaged)?;
    let stored = u32::from_le_bytes([crc[0], crc[1], crc[2], crc[3]]);
    if crc32c::crc32c(body) != stored {
        let untouched = cell.iter().all(|byte| *byte == 0);
        return Err(if untouched {
            CellFault::Empty
        } else {
            CellFault::Damaged
        });
    }
    let archived = body
        .get(..size_of::<ArchivedResultRecord>())
        .ok_or(CellFault::Damaged)?;
    let record = rkyv::api::low::access::<ArchivedResultRecord, Failure>(archived)
        .map_err(|_| CellFault::Damaged)?;
    match capacity {
        Some(capacity) if record.number.to_native().checked_rem(capacity) != Some(index) => {
            Err(CellFault::Damaged)
        }
        _ => Ok(record),
    }
}
