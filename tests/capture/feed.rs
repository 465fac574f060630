//! Files and pipes that stand for cameras in the tests of streams.

use super::contract::SLOTS;
use super::stage::{Clock, Stage, arm};
use pinsight::sys::io::stream::{StreamConfig, UnarmedStream};
use pinsight::units::NS_PER_S;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Time between the frames of a file.
pub const INTERVAL: u64 = 33_333_333;
/// Their size.
pub const SIZE: (u32, u32) = (64, 48);

pub fn simulated() -> Clock {
    Clock::Simulated(5 * NS_PER_S)
}

/// A file with these bytes.
pub fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A FIFO, and a thread that has it written until its reader is gone: `write` says whether it still could.
pub fn endless_pipe(
    folder: &Path,
    name: &str,
    mut write: impl FnMut(&mut File) -> bool + Send + 'static,
) -> PathBuf {
    let path = folder.join(name);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let to = path.clone();
    std::thread::spawn(move || {
        let mut pipe = File::create(to).unwrap();
        while write(&mut pipe) {}
    });
    path
}

#[track_caller]
pub fn staged(config: &StreamConfig, clock: Clock) -> Stage {
    let unarmed = UnarmedStream::open(config).unwrap_or_else(|error| panic!("{error}"));
    arm(Box::new(unarmed), SLOTS, clock)
}

/// Frames are taken, and sources reopened, without a call of the heap.
#[track_caller]
pub fn enters_no_heap(stages: &mut [Stage]) {
    let hot = pinsight::sys::malloc_guard::register_hot().unwrap();
    let guard = pinsight::sys::malloc_guard::guard_on();
    for stage in stages {
        for _ in 0..3 {
            stage.queue_all();
            stage.start().unwrap();
            for _ in 0..50 {
                let frame = stage.next_frame();
                stage.queue(frame.slot).unwrap();
            }
            stage.reopen().unwrap();
        }
    }
    drop(guard);
    assert_eq!(hot.counts().calls, 0);
}
