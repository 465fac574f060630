//! The housekeeping thread, which is not real-time: rules, log lines, the live line.

#[allow(clippy::module_inception)]
pub(crate) mod housekeeping;
pub(crate) mod rules;
