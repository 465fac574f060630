//! Whose frame is next: pure, so that a laptop can simulate a board.
//!
//! What counts is how soon after something happens it is known: the age of information of each camera, which is
//! the age of its newest inferred frame, at every moment. A worker that comes free has one frame of each pending
//! camera to choose from, the newest, and knows when the next ones are expected. It takes the one of the greatest index:
//!
//! ```text
//! a frame that is there:          share * (1/2 (now - known)      - age)
//! a frame that is about to come:  share * (1/2 (expected - known))       - wait * 1/2 (sum of all shares + 3) / workers
//! ```
//!
//! `known` is when the frame came that was last taken of this camera: the longer ago, the more is gained. `age` is how
//! long the frame has been there: so much older is what will be known until the camera's next turn. A wait delays every
//! camera's next result, by half of it in the mean of a turn; a little more is charged, since a frame may come late.
//!
//! The index alone bounds no camera's gap. So each camera has a deadline, its fair turn and nearly a frame interval after
//! it was last served, and a choice is left out by which another camera could not be served in time.
//!
//! While all frames can be inferred there is nothing to choose but the order: whose last frame is the oldest goes first,
//! and no frame is waited for.

use crate::limits::MAX_CAMERAS;

/// What one camera may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// One of priority 1 gets twice the results of one of priority 0, of priority 2 three times as many, as far as it has
    /// frames.
    pub priority: u8,
    /// Time from one frame to the next; 0 where that is not known.
    pub interval_ns: u64,
    /// Time from one inferred frame to the next where fewer than all are wanted; 0 for all.
    pub least_gap_ns: u64,
}

impl Share {
    /// Parts of the results that a camera of this priority gets, where one of priority 0 gets one.
    #[must_use]
    pub const fn weight_of(priority: u8) -> u64 {
        priority as u64 + 1
    }

    const fn weight(&self) -> u64 {
        Self::weight_of(self.priority)
    }

    /// The shortest time from one result to the next.
    const fn shortest_gap_ns(&self) -> u64 {
        if self.interval_ns > self.least_gap_ns {
            self.interval_ns
        } else {
            self.least_gap_ns
        }
    }
}

/// What is known of one camera's frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// When its newest frame came; 0 where that is not known.
    pub arrived_ns: u64,
    /// When its next frame should be there, and may be taken; 0 where that is not known.
    pub expected_ns: u64,
    /// When the frame came that was last taken, whichever worker did; 0 where that is not known.
    pub known_ns: u64,
    /// When that one was taken.
    pub served_ns: u64,
}

/// What a free worker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It takes this camera's frame.
    Take(usize),
    /// It asks again when a frame has come, or at this time: a frame that is about to come is worth more
    /// than any that is there.
    WaitUntil(u64),
}

/// One camera that the workers serve.
#[derive(Clone, Copy, Debug)]
struct Camera {
    index: usize,
    share: Share,
    /// Usual time that a worker takes for one frame.
    service_ns: u64,
    /// Longest time from one frame taken to the next.
    max_gap_ns: u64,
}

/// A camera at the moment of a choice, that has a frame or expects one.
#[derive(Clone, Copy, Debug)]
struct Candidate<'a> {
    camera: &'a Camera,
    is_pending: bool,
    deadline_ns: u64,
    seen: Seen,
}

impl<'a> Candidate<'a> {
    /// `None` where it has no frame and expects none.
    fn new(camera: &'a Camera, is_pending: bool, now_ns: u64, seen: Seen) -> Option<Self> {
        let deadline_ns = seen.served_ns.saturating_add(camera.max_gap_ns);
        let deadline_ns = if is_pending {
            deadline_ns
        } else if seen.expected_ns > now_ns {
            deadline_ns.max(seen.expected_ns)
        } else {
            return None;
        };
        Some(Self {
            camera,
            is_pending,
            deadline_ns,
            seen,
        })
    }

    fn weight(&self) -> i64 {
        signed(self.camera.share.weight())
    }
}

/// Decides which camera's frame a free worker takes. Allocates nothing; time, and what was seen of each camera, are
/// arguments: several workers that tell each other when they took a frame decide alike. A decision takes a time that grows
/// with the cameras as sorting them does.
///
/// No pending camera starves: where no choice keeps all deadlines, because more is asked for than the workers can give,
/// the earliest deadline goes first. Where no stamps are known (all zero) that is serving in turn.
///
/// # Source
/// Index policies for the age of information: Kadota, Sinha, Uysal-Biyikoglu, Singh, Modiano, "Scheduling policies for
/// minimizing age of information in broadcast wireless networks" (2018). This index is another one, chosen by simulation.
#[derive(Clone, Debug)]
pub struct Scheduler {
    cameras: heapless::Vec<Camera, MAX_CAMERAS>,
    weights: u64,
    /// How many workers serve these cameras.
    workers: u64,
    /// Whether more frames come than can be inferred.
    is_overloaded: bool,
}

impl Scheduler {
    /// A scheduler of `shares.len()` cameras, of which those without a share are another's; one frame takes one of the
    /// `workers` a time of `service_ns`. `None` when there are more than [`MAX_CAMERAS`].
    #[must_use]
    pub fn new(shares: &[Option<Share>], service_ns: u64, workers: usize) -> Option<Self> {
        if shares.len() > MAX_CAMERAS {
            return None;
        }
        let served = shares.iter().enumerate();
        let cameras: heapless::Vec<Camera, MAX_CAMERAS> = served
            .filter_map(|(index, share)| {
                Some(Camera {
                    index,
                    share: (*share)?,
                    service_ns,
                    max_gap_ns: 0,
                })
            })
            .collect();
        let mut scheduler = Self {
            weights: cameras.iter().map(|camera| camera.share.weight()).sum(),
            cameras,
            workers: workers.max(1) as u64,
            is_overloaded: false,
        };
        scheduler.share_out();
        Some(scheduler)
    }

    /// The camera whose frame is next, of those whose bit is set in `pending`, or how long to wait for a
    /// better one; bits of other cameras are ignored, and `None` says that no other is set.
    #[must_use]
    pub fn next(&self, pending: u64, now_ns: u64, seen: impl Fn(usize) -> Seen) -> Option<Choice> {
        let candidates: heapless::Vec<Candidate<'_>, MAX_CAMERAS> = self
            .cameras
            .iter()
            .filter_map(|camera| {
                let is_pending = pending >> camera.index & 1 == 1;
                Candidate::new(camera, is_pending, now_ns, seen(camera.index))
            })
            .collect();
        let mut order: heapless::Vec<(u64, usize), MAX_CAMERAS> = candidates
            .iter()
            .enumerate()
            .map(|(place, candidate)| (candidate.deadline_ns, place))
            .collect();
        order.sort_unstable();
        let in_order = || order.iter().map(|&(_, place)| &candidates[place]);
        let first = in_order().find(|candidate| candidate.is_pending)?;
        let latest_ns = latest_starts(in_order(), self.workers);
        let options = in_order().zip(&latest_ns);
        let options = options.flat_map(|(candidate, &latest_ns)| {
            let index = candidate.camera.index;
            let take = (candidate.is_pending && now_ns <= latest_ns)
                .then(|| (self.index_of(candidate, now_ns), Choice::Take(index)));
            take.into_iter()
                .chain(self.wait_for(candidate, latest_ns, now_ns))
        });
        // Of equal ones the first, which has the earlier deadline.
        let best = options.reduce(|best, other| if other.0 > best.0 { other } else { best });
        Some(best.map_or(Choice::Take(first.camera.index), |(_, choice)| choice))
    }

    /// A frame of this camera took a worker so long: taken for the usual time by and by.
    pub fn learn(&mut self, camera: usize, service_ns: u64) {
        let known = self.cameras.iter_mut().find(|known| known.index == camera);
        let Some(Camera {
            service_ns: usual_ns,
            ..
        }) = known
        else {
            return;
        };
        // What takes long enough to overflow is no usual time.
        *usual_ns = usual_ns.saturating_mul(15).saturating_add(service_ns) / 16;
        self.share_out();
    }

    /// The index of a frame that is there, twice.
    fn index_of(&self, candidate: &Candidate<'_>, now_ns: u64) -> i64 {
        let Seen {
            arrived_ns,
            known_ns,
            served_ns,
            ..
        } = candidate.seen;
        let (gain_ns, age_ns) = if arrived_ns == 0 {
            (now_ns.saturating_sub(served_ns), 0)
        } else {
            (
                now_ns.saturating_sub(known_ns),
                now_ns.saturating_sub(arrived_ns),
            )
        };
        let charged_ns = if self.is_overloaded { 2 * age_ns } else { 0 };
        let worth_ns = signed(gain_ns).saturating_sub(signed(charged_ns));
        candidate.weight().saturating_mul(worth_ns)
    }

    /// The index, twice, of waiting for the candidate's next frame, and until when.
    ///
    /// A wait is at most about a third of the time of an inference: longer ones win too little for the results they
    /// cost.
    fn wait_for(
        &self,
        candidate: &Candidate<'_>,
        latest_ns: u64,
        now_ns: u64,
    ) -> Option<(i64, Choice)> {
        let service_ns = candidate.camera.service_ns;
        let Candidate {
            deadline_ns,
            seen:
                Seen {
                    expected_ns,
                    known_ns,
                    ..
                },
            ..
        } = *candidate;
        let wait_ns = expected_ns.checked_sub(now_ns).filter(|&ns| ns > 0)?;
        let is_worth_it = self.is_overloaded && wait_ns <= service_ns / 20 * 7;
        if !is_worth_it || expected_ns > latest_ns.min(deadline_ns) {
            return None;
        }
        let gain_ns = signed(expected_ns.saturating_sub(known_ns));
        let gain = candidate.weight().saturating_mul(gain_ns);
        let cost = signed(self.weights + 3).saturating_mul(signed(wait_ns / self.workers));
        Some((gain.saturating_sub(cost), Choice::WaitUntil(expected_ns)))
    }

    /// Each camera's fair turn, and its longest gap with it: cameras that have fewer frames than their share, or want fewer,
    /// leave the rest to the others.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // Shares of the time; a turn too long for u64 saturates.
    fn share_out(&mut self) {
        let workers = self.workers as f64;
        let load = |camera: &Camera| {
            camera.service_ns as f64 / camera.share.shortest_gap_ns().max(1) as f64 / workers
        };
        // A turn is the time in which a camera of weight 1 is served once. It is the longer the more cameras want their
        // whole share, so those that do not are found first.
        let all: f64 = self.cameras.iter().map(load).sum();
        self.is_overloaded = all > 1.0;
        let mut turn_ns = 0.0;
        if self.is_overloaded {
            for _ in 0..self.cameras.len() {
                let (mut left, mut wanted_ns) = (1.0, 0.0);
                for camera in &self.cameras {
                    let gap_ns = turn_ns / camera.share.weight() as f64;
                    if turn_ns > 0.0 && gap_ns < camera.share.shortest_gap_ns() as f64 {
                        left -= load(camera);
                    } else {
                        let service_ns = camera.service_ns as f64 / workers;
                        wanted_ns += service_ns * camera.share.weight() as f64;
                    }
                }
                let next_ns = wanted_ns / f64::max(left, 1e-9);
                if (next_ns - turn_ns).abs() < 1.0 {
                    break;
                }
                turn_ns = next_ns;
            }
        }
        for camera in &mut self.cameras {
            let share = &camera.share;
            let turn_ns = (turn_ns / share.weight() as f64) as u64;
            let spare_ns = share.interval_ns - share.interval_ns / 8;
            let fair_ns = turn_ns.max(share.shortest_gap_ns());
            camera.max_gap_ns = fair_ns.saturating_add(spare_ns);
        }
    }
}

fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

/// For each of the candidates, in the order of their deadlines: when it has to begin at the latest, if it is served before all
/// others, so that these are served by their deadlines one after the other. Several workers are taken for one that is so
/// much faster.
fn latest_starts<'a>(
    candidates: impl Iterator<Item = &'a Candidate<'a>> + Clone,
    workers: u64,
) -> heapless::Vec<u64, MAX_CAMERAS> {
    // When it has to begin with those before it, which are served first.
    let mut before_ns = 0_u64;
    let mut latest: heapless::Vec<u64, MAX_CAMERAS> = candidates
        .clone()
        .map(|candidate| {
            let start_ns = candidate.deadline_ns.saturating_sub(before_ns);
            before_ns = before_ns.saturating_add(candidate.camera.service_ns / workers);
            start_ns
        })
        .collect();
    // Those before it begin after it, those behind it as they would anyway.
    let mut behind_ns = u64::MAX;
    let mut behind: heapless::Vec<u64, MAX_CAMERAS> = latest
        .iter()
        .rev()
        .map(|start_ns| {
            let of_this_ns = behind_ns;
            behind_ns = behind_ns.min(*start_ns);
            of_this_ns
        })
        .collect();
    behind.reverse();
    let mut before_ns = u64::MAX;
    for ((latest_ns, behind_ns), candidate) in latest.iter_mut().zip(behind).zip(candidates) {
        let service_ns = candidate.camera.service_ns / workers;
        let start_ns = std::mem::replace(
            latest_ns,
            behind_ns.min(before_ns.saturating_sub(service_ns)),
        );
        before_ns = before_ns.min(start_ns);
    }
    latest
}

#[cfg(test)]
mod tests;
