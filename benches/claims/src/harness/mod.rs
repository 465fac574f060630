//! What the claims share of the machine: cores and threads, slots, counters, sleeps.

pub(crate) mod cache_misses;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod meter;
pub(crate) mod pair;
pub(crate) mod usage;
