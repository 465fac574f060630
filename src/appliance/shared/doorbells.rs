//! The doorbells of a run: one for each set of cameras that workers have.
//!
//! Workers with the same cameras share a bell, so that each can serve every bit of it, as a bell asks for.
//! A camera that is in several sets rings each of their bells: whoever comes first claims the frame, and the
//! others find its ring empty. No bit is ever taken by a worker that has no use for it, so none is lost, and
//! none keeps a worker awake.

use crate::ring::Doorbell;
use crate::sync::Arc;

/// A set of cameras by bits, the bell of those who wait at it, and how many they are.
#[derive(Debug)]
struct Group {
    cameras: u64,
    bell: Arc<Doorbell>,
    workers: usize,
}

/// Every bell that capture rings.
#[derive(Debug)]
pub(crate) struct Doorbells(Box<[Group]>);

impl Doorbells {
    /// The bells of workers that have these cameras, each given by the bits of its cameras.
    pub(crate) fn new(workers: impl IntoIterator<Item = u64>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for cameras in workers {
            match groups.iter_mut().find(|group| group.cameras == cameras) {
                Some(group) => group.workers += 1,
                None => groups.push(Group {
                    cameras,
                    bell: Arc::new(Doorbell::new()),
                    workers: 1,
                }),
            }
        }
        Self(groups.into())
    }

    /// The bell of the workers that have exactly these cameras, and how many workers wait at it.
    pub(crate) fn of(&self, cameras: u64) -> Option<(Arc<Doorbell>, usize)> {
        let group = self.0.iter().find(|group| group.cameras == cameras)?;
        Some((Arc::clone(&group.bell), group.workers))
    }

    /// Frames of these cameras are in their rings. Wait-free but for waking who sleeps.
    pub(crate) fn ring(&self, cameras: u64) {
        for group in &self.0 {
            let theirs = cameras & group.cameras;
            if theirs != 0 {
                group.bell.ring(theirs);
            }
        }
    }

    /// Ends every wait at every bell, now and later.
    pub(crate) fn close(&self) {
        for group in &self.0 {
            group.bell.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Doorbells;
    use crate::ring::{Waiting, Woken};

    #[test]
    fn workers_of_the_same_cameras_share_a_bell_and_a_camera_of_two_sets_rings_both() {
        let bells = Doorbells::new([0b011, 0b110, 0b011, 0b100]);
        let of = |cameras| bells.of(cameras).unwrap();
        let ((left, two), (right, one), (last, _)) = (of(0b011), of(0b110), of(0b100));
        assert_eq!((two, one), (2, 1));
        assert!(bells.of(0b111).is_none());
        bells.ring(0b010);
        assert_eq!((left.take(), right.take(), last.take()), (0b010, 0b010, 0));
        bells.ring(0b101);
        assert_eq!(
            (left.take(), right.take(), last.take()),
            (0b001, 0b100, 0b100)
        );
        bells.close();
        for bell in [left, right, last] {
            assert_eq!(bell.wait(Waiting::Park, u64::MAX, || 0), Woken::Closed);
        }
    }
}
