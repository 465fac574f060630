//! How samples are fetched sixteen and sixteen at once: tables of the bytes of a window of 64.

use crate::preprocess::sampling::Sampling;
use crate::preprocess::strip::BLOCK;
use crate::preprocess::strip::fetch::{Unpack, bytes, unpack};

/// Bytes of a window.
pub(super) const WINDOW: usize = 64;

/// What the upper sixteen words of a window are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Upper {
    /// Nothing.
    Nothing,
    /// The block that follows, of the same samples.
    Next,
    /// The same block of the samples of this number, which lie in the same rows.
    Other(usize),
}

/// How one or two kinds of samples are fetched.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fetch {
    /// Number of the lower sixteen words' samples.
    pub sample: usize,
    pub upper: Upper,
    /// Bytes from a block's start to its window.
    pub least: usize,
    /// Bytes from block to block.
    pub advance: usize,
    /// For each byte of the words the byte of the window.
    pub table: [u8; WINDOW],
    /// Bytes of the window that it names.
    pub bytes: usize,
    /// The bytes of the words that the window brings; the others are 0.
    pub mask: u64,
    pub unpack: Unpack,
    /// Of [`Unpack::Packed10`], for both sixteen.
    pub factors: [i16; 2 * BLOCK],
}

/// Each kind of sample once; `None` where one's lie too far apart.
pub(super) fn fetches(sampling: &Sampling) -> Option<Box<[Fetch]>> {
    let mut fetches: Vec<Fetch> = Vec::new();
    let count = sampling.samples().len();
    for sample in 0..count {
        let is_fetched = |fetch: &Fetch| fetch.upper == Upper::Other(sample);
        if fetches.iter().any(is_fetched) {
            continue;
        }
        let others = (sample + 1..count).map(Upper::Other);
        let fetch = others
            .chain([Upper::Next, Upper::Nothing])
            .find_map(|upper| Fetch::new(sampling, sample, upper))?;
        fetches.push(fetch);
    }
    Some(fetches.into())
}

impl Fetch {
    /// `None` where the window is too narrow, or the two kinds of samples lie in other rows or otherwise.
    fn new(sampling: &Sampling, index: usize, upper: Upper) -> Option<Self> {
        let sample = sampling.samples().get(index)?;
        let second = match upper {
            Upper::Other(other) => {
                let second = sampling.samples().get(other)?;
                let key = |sample: &crate::frame::Sample| {
                    let &crate::frame::Sample {
                        plane,
                        step,
                        px,
                        rows,
                        line,
                        shift,
                        bits,
                        ..
                    } = sample;
                    (plane, step, px, rows, line, shift, bits)
                };
                if key(sample) != key(second) {
                    return None;
                }
                Some((second, 0))
            }
            Upper::Next => Some((sample, BLOCK)),
            Upper::Nothing => None,
        };
        let store = sampling.store();
        let mut places = [None; WINDOW];
        let mut factors = [0; 2 * BLOCK];
        for (half, (kind, from)) in [Some((sample, 0)), second]
            .into_iter()
            .flatten()
            .enumerate()
        {
            for element in 0..BLOCK {
                let word = half * BLOCK + element;
                let [low, high] = bytes(store, kind, from + element);
                *places.get_mut(2 * word)? = low;
                *places.get_mut(2 * word + 1)? = high;
            }
            if let Unpack::Packed10(table) = unpack(store, kind) {
                for (factor, of) in factors.iter_mut().skip(half * BLOCK).zip(table) {
                    *factor = of.cast_signed();
                }
            }
        }
        let least = places.iter().flatten().copied().min()?;
        let (mut table, mut mask, mut reach) = ([0; WINDOW], 0, 0);
        for (at, (slot, place)) in table.iter_mut().zip(places).enumerate() {
            let Some(place) = place else { continue };
            if place - least >= WINDOW {
                return None;
            }
            *slot = u8::try_from(place - least).ok()?;
            mask |= 1 << at;
            reach = reach.max(place - least + 1);
        }
        let first = |element| bytes(store, sample, element)[1];
        Some(Self {
            sample: index,
            upper,
            least,
            advance: first(BLOCK)? - first(0)?,
            table,
            bytes: reach,
            mask,
            unpack: unpack(store, sample),
            factors,
        })
    }
}
