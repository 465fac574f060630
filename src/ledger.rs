//! Counters by cause.
