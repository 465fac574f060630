//! Which way of exchanging buffers: what `io = "auto"` takes, by trial and by measurement. Pure.

use super::speed::Speed;
use crate::capture::SourceError;
use nix::libc;

/// A way of exchanging buffers with a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The driver writes into the caller's slots.
    User,
    /// The driver's buffers are the slots, mapped from its node.
    Mapped,
    /// The same, mapped through dma-bufs that it exports.
    Exported,
    /// Buffers of a dma-heap are the slots, and the driver imports them.
    Imported,
    /// The driver's buffers are copied into the caller's slots.
    Copied,
}

impl Way {
    /// The word for it in a profile.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::User => "userptr",
            Self::Mapped => "mmap",
            Self::Exported => "dmabuf",
            Self::Imported => "dma-heap",
            Self::Copied => "copy",
        }
    }

    /// A picture has to lie in one piece of the driver's memory.
    pub(super) const fn needs_one_piece(self) -> bool {
        matches!(self, Self::Mapped | Self::Exported | Self::Imported)
    }
}

/// Attempts at one camera. Each leaves it without buffers.
pub(super) trait Trials {
    /// Whether a picture lies in one piece of the driver's memory.
    fn one_piece(&self) -> bool;
    /// Whether the driver takes memory of the caller's.
    fn user(&mut self) -> Result<(), SourceError>;
    /// Makes a buffer of the driver's own, and reads it.
    fn mapped(&mut self) -> Result<Speed, SourceError>;
    /// Has the driver take a heap's buffer, and reads it. Gives the heap's name.
    fn imported(&mut self) -> Result<(String, Speed), SourceError>;
}

/// A way, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub way: Way,
    /// In a few words; empty where the first choice was taken.
    pub why: String,
}

/// The best way: no copy before one copy, and cached memory before a slot that is slow to read.
///
/// # Errors
/// There is no way. EBUSY: somebody else has the camera, and nothing can be said.
pub(super) fn choose(trials: &mut impl Trials) -> Result<Choice, SourceError> {
    match trials.user() {
        Ok(()) => Ok(Choice {
            way: Way::User,
            why: String::new(),
        }),
        Err(error) if error.errno == libc::EBUSY => Err(error),
        Err(error) => choose_without_user(trials, error),
    }
}

/// The best way for a driver that has refused memory of the caller's.
///
/// # Errors
/// There is no way.
pub(super) fn choose_without_user(
    trials: &mut impl Trials,
    refused: SourceError,
) -> Result<Choice, SourceError> {
    let because = |way, why: String| {
        let why = format!("no userptr: {refused}; {why}");
        Ok(Choice { way, why })
    };
    let speed = trials.mapped()?;
    if !trials.one_piece() {
        let why = format!("several memory planes; the driver's buffers are {speed}");
        return because(Way::Copied, why);
    }
    if !speed.is_uncached() {
        return because(Way::Mapped, format!("the driver's buffers are {speed}"));
    }
    match trials.imported() {
        Ok((heap, fast)) if !fast.is_uncached() => because(
            Way::Imported,
            format!("the driver's buffers are {speed}; those of heap {heap} are {fast}"),
        ),
        Ok((heap, slow)) => because(
            Way::Copied,
            format!("the driver's buffers are {speed}; those of heap {heap} are {slow}"),
        ),
        Err(error) => because(
            Way::Copied,
            format!("the driver's buffers are {speed}; no dma-heap: {error}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EINVAL: SourceError = SourceError::new("VIDIOC_REQBUFS", libc::EINVAL);
    const FAST: Speed = Speed {
        buffer_mb_s: 5000,
        ordinary_mb_s: 5100,
    };
    const SLOW: Speed = Speed {
        buffer_mb_s: 90,
        ordinary_mb_s: 5100,
    };

    struct Camera {
        one_piece: bool,
        user: Result<(), SourceError>,
        mapped: Result<Speed, SourceError>,
        imported: Result<Speed, SourceError>,
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
        fn mapped(&mut self) -> Result<Speed, SourceError> {
            self.asked.push("mapped");
            self.mapped
        }
        fn imported(&mut self) -> Result<(String, Speed), SourceError> {
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
        assert_eq!((choice.way, choice.why.as_str()), (Way::User, ""));
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
        assert_eq!(choice.way, Way::Mapped);
        assert_eq!(
            choice.why,
            format!("no userptr: {EINVAL}; the driver's buffers are {FAST}")
        );
        assert_eq!(camera.asked, ["user", "mapped"]);
    }

    #[test]
    fn uncached_buffers_are_replaced_by_a_heaps_or_else_copied() {
        let way = |imported| {
            let mut camera = Camera {
                mapped: Ok(SLOW),
                imported,
                ..camera()
            };
            choose(&mut camera).unwrap()
        };
        let heap = way(Ok(FAST));
        assert_eq!(heap.way, Way::Imported);
        assert!(
            heap.why.contains("heap linux,cma are cached"),
            "{}",
            heap.why
        );
        for imported in [Ok(SLOW), Err(EINVAL)] {
            let copied = way(imported);
            assert_eq!(copied.way, Way::Copied);
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
        assert_eq!(choose(&mut camera).unwrap().way, Way::Copied);
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
