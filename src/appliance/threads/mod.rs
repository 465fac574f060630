//! The threads of a run, a folder each.

pub(crate) mod capture;
pub(crate) mod disk;
pub(crate) mod hot;
pub(crate) mod housekeeping;
pub(crate) mod inference;
pub(crate) mod output;
pub(crate) mod sizes;
