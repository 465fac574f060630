//! V4L2's I/O methods, and which one `io = "auto"` takes: by trial and by measurement. Pure.
//!
//! # Source
//! Kernel documentation, "Input/Output" of the Video for Linux API: USERPTR, MMAP, DMABUF.

use super::read_speed::ReadSpeed;
use crate::capture::SourceError;
use nix::libc;

/// A way of exchanging buffers with a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IoMethod {
    /// The driver writes into the caller's slots.
    UserPtr,
    /// The driver's buffers are the slots, mapped from its node.
    Mmap,
    /// The same, mapped through dma-bufs that it exports.
    DmabufExport,
    /// Buffers of a dma-heap are the slots, and the driver imports them.
    DmabufImport,
    /// The driver's buffers are copied into the caller's slots.
    Copy,
}

impl IoMethod {
    /// The word for it in a profile.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::UserPtr => "userptr",
            Self::Mmap => "mmap",
            Self::DmabufExport => "dmabuf",
            Self::DmabufImport => "dma-heap",
            Self::Copy => "copy",
        }
    }

    /// A picture has to lie in one piece of the driver's memory.
    pub(super) const fn needs_one_piece(self) -> bool {
        matches!(self, Self::Mmap | Self::DmabufExport | Self::DmabufImport)
    }
}

/// Attempts at one camera. Each leaves it without buffers.
pub(super) trait Trials {
    /// Whether a picture lies in one piece of the driver's memory.
    fn one_piece(&self) -> bool;
    /// Whether the driver takes memory of the caller's.
    fn user(&mut self) -> Result<(), SourceError>;
    /// Makes a buffer of the driver's own, and reads it.
    fn mapped(&mut self) -> Result<ReadSpeed, SourceError>;
    /// Has the driver take a heap's buffer, and reads it. Gives the heap's name.
    fn imported(&mut self) -> Result<(String, ReadSpeed), SourceError>;
}

/// A method, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub io: IoMethod,
    /// In a few words; empty where the first choice was taken.
    pub why: String,
}

/// The best method: no copy before one copy, and cached memory before a slot that is slow to read.
///
/// # Errors
/// No method works. EBUSY: somebody else has the camera, and nothing can be said.
pub(super) fn choose(trials: &mut impl Trials) -> Result<Choice, SourceError> {
    match trials.user() {
        Ok(()) => Ok(Choice {
            io: IoMethod::UserPtr,
            why: String::new(),
        }),
        Err(error) if error.errno == libc::EBUSY => Err(error),
        Err(error) => choose_without_user(trials, error),
    }
}

/// The best method for a driver that has refused memory of the caller's.
///
/// # Errors
/// No method works.
pub(super) fn choose_without_user(
    trials: &mut impl Trials,
    refused: SourceError,
) -> Result<Choice, SourceError> {
    let because = |io, why: String| {
        let why = format!("no userptr: {refused}; {why}");
        Ok(Choice { io, why })
    };
    let speed = trials.mapped()?;
    if !trials.one_piece() {
        let why = format!("several memory planes; the driver's buffers are {speed}");
        return because(IoMethod::Copy, why);
    }
    if !speed.is_uncached() {
        return because(IoMethod::Mmap, format!("the driver's buffers are {speed}"));
    }
    match trials.imported() {
        Ok((heap, fast)) if !fast.is_uncached() => because(
            IoMethod::DmabufImport,
            format!("the driver's buffers are {speed}; those of heap {heap} are {fast}"),
        ),
        Ok((heap, slow)) => because(
            IoMethod::Copy,
            format!("the driver's buffers are {speed}; those of heap {heap} are {slow}"),
        ),
        Err(error) => because(
            IoMethod::Copy,
            format!("the driver's buffers are {speed}; no dma-heap: {error}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EINVAL: SourceError = SourceError::new("VIDIOC_REQBUFS", libc::EINVAL);
    const FAST: ReadSpeed = ReadSpeed {
        buffer_mb_s: 5000,
        ordinary_mb_s: 5100,
    };
    const SLOW: ReadSpeed = ReadSpeed {
        buffer_mb_s: 90,
        ordinary_mb_s: 5100,
    };

    struct Camera {
        one_piece: bool,
        user: Result<(), SourceError>,
        mapped: Result<ReadSpeed, SourceError>,
        imported: Result<ReadSpeed, SourceError>,
        asked: Vec<&'static str>,
    }

    /// A camera that refuses everything.
    fn camera() -> Camera {
        Camera {
            one_piece: true,
            user: Err(EINVAL),
            mapped: Err(EINVAL),
            imported: Err(EINVAL),
            asked: Vec::new(),
        }
    }

    impl Trials for Camera {
        fn one_piece(&self) -> bool {
            self.one_piece
        }
        fn user(&mut self) -> Result<(), SourceError> {
            self.asked.push("user");
            self.user
        }
        fn mapped(&mut self) -> Result<ReadSpeed, SourceError> {
            self.asked.push("mapped");
            self.mapped
        }
        fn imported(&mut self) -> Result<(String, ReadSpeed), SourceError> {
            self.asked.push("imported");
            self.imported.map(|speed| ("linux,cma".to_owned(), speed))
        }
    }

    #[test]
    fn slots_of_ours_are_taken_without_asking_further() {
        let mut camera = Camera {
            user: Ok(()),
            ..camera()
        };
        let choice = choose(&mut camera).unwrap();
        assert_eq!((choice.io, choice.why.as_str()), (IoMethod::UserPtr, ""));
        assert_eq!(camera.asked, ["user"]);
    }

    #[test]
    fn buffers_of_the_driver_that_are_cached_are_the_slots() {
        let mut camera = Camera {
            mapped: Ok(FAST),
            imported: Ok(FAST),
            ..camera()
        };
        let choice = choose(&mut camera).unwrap();
        assert_eq!(choice.io, IoMethod::Mmap);
        assert_eq!(
            choice.why,
            format!("no userptr: {EINVAL}; the driver's buffers are {FAST}")
        );
        assert_eq!(camera.asked, ["user", "mapped"]);
    }

    #[test]
    fn uncached_buffers_are_replaced_by_a_heaps_or_else_copied() {
        let io = |imported| {
            let mut camera = Camera {
                mapped: Ok(SLOW),
                imported,
                ..camera()
            };
            choose(&mut camera).unwrap()
        };
        let heap = io(Ok(FAST));
        assert_eq!(heap.io, IoMethod::DmabufImport);
        assert!(
            heap.why.contains("heap linux,cma are cached"),
            "{}",
            heap.why
        );
        for imported in [Ok(SLOW), Err(EINVAL)] {
            let copied = io(imported);
            assert_eq!(copied.io, IoMethod::Copy);
            assert!(
                copied.why.contains("uncached, read at 90"),
                "{}",
                copied.why
            );
        }
    }

    #[test]
    fn pictures_in_several_pieces_are_put_together_by_copying() {
        let mut camera = Camera {
            one_piece: false,
            mapped: Ok(FAST),
            imported: Ok(FAST),
            ..camera()
        };
        assert_eq!(choose(&mut camera).unwrap().io, IoMethod::Copy);
        assert_eq!(camera.asked, ["user", "mapped"]);
    }

    #[test]
    fn a_camera_in_use_and_one_that_takes_nothing_are_errors() {
        let busy = SourceError::new("VIDIOC_REQBUFS", libc::EBUSY);
        let mut in_use = Camera {
            user: Err(busy),
            ..camera()
        };
        assert_eq!(choose(&mut in_use), Err(busy));
        assert_eq!(in_use.asked, ["user"]);
        assert_eq!(choose(&mut camera()), Err(EINVAL));
    }
}
