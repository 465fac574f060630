//! The housekeeping thread, which is not real-time: rules, log lines, the live view.

#[allow(clippy::module_inception)]
pub(crate) mod housekeeping;
pub(crate) mod live_view;
pub(crate) mod note_words;
pub(crate) mod rules;
