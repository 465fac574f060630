//! What the threads of a run share: how they learn of frames, of results and of the end.

pub(crate) mod camera_state;
pub(crate) mod common;
pub(crate) mod doorbells;
pub(crate) mod drain;
pub(crate) mod event_line;
pub(crate) mod in_flight;
pub(crate) mod invoke_deadline;
pub(crate) mod messages;
pub(crate) mod names;
pub(crate) mod options;
pub(crate) mod outbox;
pub(crate) mod progress;
pub(crate) mod start_gate;
pub(crate) mod stop;
pub(crate) mod worker_state;
