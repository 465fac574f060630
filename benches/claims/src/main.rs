//! `pinsight-bench`: the claims of Pinsight's design, measured on this machine.
//!
//! One file or folder for each claim: what can be set, what is measured, and the report of it.
//! [`harness`] is what the claims share of the machine (cores, slots, counters, sleeps), [`report`] what they
//! share of the output (tables, JSON, plots). Claims know nothing of each other.
//!
//! Every claim is measured beside what it replaces, in the same run: threads are pinned the same way for every
//! design, each warms up before it is measured, and times run from when something was *due*, not from when a
//! busy thread found the time for it.

mod error;
mod harness;
mod report;

mod channel;
mod header;
mod leak;
mod numa;
mod preprocess;
mod queue;
mod sharing;
mod stages;

mod cli;

use pinsight::appliance::Exit;
use pinsight::sys::malloc_guard;
use pinsight::sys::service::{logger, termination};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before the first thread: one heap for all of them.
    malloc_guard::limit_glibc_arenas();
    logger::init(log::LevelFilter::Info);
    termination::log_panics();
    std::panic::catch_unwind(cli::run)
        .unwrap_or(Exit::Internal)
        .into()
}
