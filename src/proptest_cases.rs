//! How the property tests of this crate run: how many cases, and where the seeds of failures are kept.

use proptest::test_runner::{Config, FileFailurePersistence};

/// `count` cases; seeds of failures go to `tests/proptest-regressions`, and are tried first.
pub(crate) fn cases(count: u32) -> Config {
    let seeds = FileFailurePersistence::SourceParallel("tests/proptest-regressions");
    Config {
        failure_persistence: Some(Box::new(seeds)),
        ..Config::with_cases(count)
    }
}
