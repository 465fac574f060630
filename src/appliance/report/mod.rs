//! The proof: plain data with fixed keys, and its table.

pub(crate) mod events;
pub(crate) mod further;
pub(crate) mod gaps;
pub(crate) mod losses;
pub(crate) mod promises;
pub(crate) mod proof;
pub(crate) mod tail;
pub(crate) mod words;
