//! Gaps between results, and threads that stood still, in the proof.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// The gaps of one camera: times in which its age of information was above its bound.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CameraGaps {
    /// `max-gap-ms`, or what follows from rates and service times, in nanoseconds.
    pub bound_ns: u64,
    /// How many there were.
    pub count: u64,
    /// Greatest age of information that was seen, nanoseconds.
    pub longest_ns: u64,
    /// What caused most of that time.
    pub longest_cause: &'static str,
    /// Gaps by cause.
    pub by_cause: BTreeMap<&'static str, u64>,
}

/// A thread that stood still.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Standstills {
    /// The thread.
    pub thread: String,
    /// How often.
    pub times: u64,
    /// The longest time, nanoseconds.
    pub longest_ns: u64,
}
