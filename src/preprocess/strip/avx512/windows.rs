//! Which elements of a strip sixteen positions are made of, as permutations of one or two registers.

use crate::preprocess::room::Room;
use crate::preprocess::strip::across::Across;
use crate::preprocess::strip::{GROUP, STRIP};
use std::ops::Range;

/// Positions that are mixed at once.
pub(super) const LANES: usize = 2 * GROUP;
/// Elements of a register.
pub(super) const WORDS: usize = 32;

/// How what sixteen positions are made of lies in the strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// In one register.
    One,
    /// In two.
    Two,
    /// Of each group of eight positions in two of their own.
    TwoEach,
}

/// The kinds of [`Reach`], for the compiler.
pub(super) const ONE: u8 = 0;
pub(super) const TWO: u8 = 1;
pub(super) const TWO_EACH: u8 = 2;

impl Reach {
    /// How each eight of sixteen positions lie; `None` where they lie too far apart.
    fn of([low, high]: &[Range<usize>; 2]) -> Option<Self> {
        let whole = low.end.max(high.end) - low.start.min(high.start);
        if whole <= WORDS {
            Some(Self::One)
        } else if whole <= 2 * WORDS {
            Some(Self::Two)
        } else {
            (low.len().max(high.len()) <= 2 * WORDS).then_some(Self::TwoEach)
        }
    }
}

/// Two elements of each of sixteen positions.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Pick {
    /// Which of the elements of the registers.
    pub index: [i16; WORDS],
    /// Their weights; 0 for those that a position does not have.
    pub weights: [i16; WORDS],
}

/// The elements of each sixteen positions.
///
/// Holding them proves that the registers' elements lie inside a strip.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Windows {
    /// How those lie that lie furthest apart; `None` where that is too far.
    pub reach: Option<Reach>,
    /// First element of the registers, for each group of the sixteen.
    pub starts: Room<[u32; 2]>,
    /// Picks of each sixteen positions.
    pub steps: usize,
    pub picks: Room<Pick>,
}

/// Picks of sixteen positions that there is room for: positions of more elements seldom lie close enough.
const MOST_STEPS: usize = 5;

impl Windows {
    /// None, with room for so many positions of at most `most` elements each.
    pub(super) fn with_room(positions: usize, most: usize) -> Self {
        let sixteens = positions.div_ceil(LANES);
        Self {
            reach: None,
            starts: Room::of(sixteens),
            steps: 1,
            picks: Room::of(sixteens * most.div_ceil(2).min(MOST_STEPS)),
        }
    }

    /// Makes them those of other tables, in the memory that is there.
    pub(super) fn aim(&mut self, across: &Across) {
        self.starts.clear();
        self.picks.clear();
        self.reach = None;
        self.reach = self.filled(across);
    }

    /// `None` where positions are too wide.
    fn filled(&mut self, across: &Across) -> Option<Reach> {
        let sixteens = || across.starts.as_chunks::<2>().0.iter().enumerate();
        let count = |group: usize, lane: usize| {
            let most = 8 * across.chunks.max(1);
            let is_some = |element: &usize| across.weight(group, lane, *element) > 0;
            (0..most).rev().find(is_some).map_or(1, |last| last + 1)
        };
        let (mut reach, mut most) = (Reach::One, 1);
        for (sixteen, starts) in sixteens() {
            let mut halves = starts.map(|starts| from(&starts) as usize..0);
            for lane in 0..LANES {
                let (half, lane) = (lane / GROUP, lane % GROUP);
                let count = count(2 * sixteen + half, lane);
                most = most.max(count);
                let end = starts[half][lane] as usize + count;
                halves[half].end = halves[half].end.max(end);
            }
            reach = reach.max(Reach::of(&halves)?);
            // Two registers are read, whether or not one is enough.
            if halves.iter().any(|half| half.start + 2 * WORDS > STRIP) {
                return None;
            }
        }
        self.steps = most.div_ceil(2);
        for (sixteen, starts) in sixteens() {
            let at = match reach {
                Reach::TwoEach => [from(&starts[0]), from(&starts[1])],
                Reach::One | Reach::Two => [from(starts.as_flattened()); 2],
            };
            self.starts.put(at)?;
            for step in 0..self.steps {
                let mut pick = Pick {
                    index: [0; WORDS],
                    weights: [0; WORDS],
                };
                let slots = pick.index.iter_mut().zip(&mut pick.weights).enumerate();
                for (slot, (index, weight)) in slots {
                    let (lane, element) = (slot / 2, 2 * step + slot % 2);
                    let (half, lane) = (lane / GROUP, lane % GROUP);
                    *weight = across.weight(2 * sixteen + half, lane, element);
                    if *weight > 0 {
                        let place = starts[half][lane] as usize + element;
                        *index = i16::try_from(place.checked_sub(at[half] as usize)?).ok()?;
                    }
                }
                self.picks.put(pick)?;
            }
        }
        Some(reach)
    }
}

/// The first element of them all.
fn from(starts: &[u32]) -> u32 {
    starts.iter().copied().min().unwrap_or(0)
}
