//! What a buffer's timestamp is.

use super::ioctl::Filled;
use crate::capture::StampKind;
use crate::units::{NS_PER_S, NS_PER_US};
use v4l::v4l_sys;

/// The time of capture by the driver's stamp, and what it marks. A stamp of no known clock, or one that
/// was copied from elsewhere, is replaced by the time of dequeue.
///
/// # Source
/// Kernel documentation, "Buffer Flags": `V4L2_BUF_FLAG_TIMESTAMP_MASK` and `V4L2_BUF_FLAG_TSTAMP_SRC_MASK`.
pub(super) fn stamp(filled: &Filled, now_ns: u64) -> (u64, StampKind) {
    let clock = filled.flags & v4l_sys::V4L2_BUF_FLAG_TIMESTAMP_MASK;
    let source = filled.flags & v4l_sys::V4L2_BUF_FLAG_TSTAMP_SRC_MASK;
    let (Ok(seconds), Ok(microseconds)) =
        (u64::try_from(filled.stamp.0), u64::try_from(filled.stamp.1))
    else {
        return (now_ns, StampKind::Dequeue);
    };
    if clock != v4l_sys::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC {
        return (now_ns, StampKind::Dequeue);
    }
    let capture_ns = seconds
        .saturating_mul(NS_PER_S)
        .saturating_add(microseconds.saturating_mul(NS_PER_US));
    let kind = if source == v4l_sys::V4L2_BUF_FLAG_TSTAMP_SRC_SOE {
        StampKind::StartOfExposure
    } else {
        StampKind::EndOfFrame
    };
    (capture_ns, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(flags: u32, stamp: (i64, i64)) -> Filled {
        Filled {
            index: 0,
            flags,
            sequence: 0,
            stamp,
            planes: Default::default(),
        }
    }

    #[test]
    fn a_monotonic_stamp_is_taken_with_what_it_marks() {
        let end = filled(v4l_sys::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC, (2, 3));
        assert_eq!(stamp(&end, 9), (2_000_003_000, StampKind::EndOfFrame));
        let start = filled(end.flags | v4l_sys::V4L2_BUF_FLAG_TSTAMP_SRC_SOE, (2, 3));
        assert_eq!(
            stamp(&start, 9),
            (2_000_003_000, StampKind::StartOfExposure)
        );
    }

    #[test]
    fn a_stamp_of_another_clock_or_before_its_epoch_is_the_time_of_dequeue() {
        let unknown = filled(v4l_sys::V4L2_BUF_FLAG_TIMESTAMP_UNKNOWN, (2, 3));
        let copied = filled(v4l_sys::V4L2_BUF_FLAG_TIMESTAMP_COPY, (2, 3));
        let negative = filled(v4l_sys::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC, (-1, 3));
        for filled in [unknown, copied, negative] {
            assert_eq!(stamp(&filled, 9), (9, StampKind::Dequeue));
        }
    }

    #[test]
    fn the_farthest_stamp_does_not_overflow() {
        let far = filled(
            v4l_sys::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC,
            (i64::MAX, i64::MAX),
        );
        assert_eq!(stamp(&far, 9), (u64::MAX, StampKind::EndOfFrame));
    }
}
