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
    /// What caused most of that time; null where there was no gap.
    pub longest_cause: Option<&'static str>,
    /// Gaps by cause.
    pub by_cause: BTreeMap<&'static str, u64>,
}

impl CameraGaps {
    /// With the greatest age that the results themselves show: a gap between two looks counts as one.
    pub(crate) fn with_greatest_age(self, age_ns: u64) -> Self {
        Self {
            longest_ns: self.longest_ns.max(age_ns),
            count: self.count.max(u64::from(age_ns > self.bound_ns)),
            ..self
        }
    }
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

#[cfg(test)]
mod tests {
    use super::CameraGaps;

    #[test]
    fn a_gap_that_only_the_results_show_counts_as_one() {
        let gaps = CameraGaps {
            bound_ns: 500,
            longest_ns: 100,
            ..CameraGaps::default()
        };
        let within = gaps.clone().with_greatest_age(500);
        assert_eq!((within.longest_ns, within.count), (500, 0));
        let beyond = gaps.clone().with_greatest_age(501);
        assert_eq!((beyond.longest_ns, beyond.count), (501, 1));
        let counted = CameraGaps { count: 3, ..gaps };
        assert_eq!(counted.with_greatest_age(501).count, 3);
    }
}
