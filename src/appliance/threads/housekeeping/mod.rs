//! The housekeeping thread, which is not real-time: rules, log lines, the live view.

pub(crate) mod camera_trouble;
#[allow(clippy::module_inception)]
pub(crate) mod housekeeping;
pub(crate) mod live_view;
pub(crate) mod note_words;
pub(crate) mod rules;
pub(crate) mod wall_clock;
