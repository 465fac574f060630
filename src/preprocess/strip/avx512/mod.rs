//! The strips for x86-64 with the AVX-512 of Ice Lake, Zen 4 and later: BW, VL, VBMI and VNNI. Bytes of a
//! row and elements of a strip are picked by permutations of whole registers.
//!
//! Where two columns and two rows are enough and nothing is enlarged there is no strip between ([`direct`]);
//! positions that lie too far apart for that are those of [`super::avx2`], as are those that lie too far apart in
//! strips.
#![allow(unsafe_code)]

mod across;
mod direct;
mod down;
mod fetch;
mod mix;
mod windows;

pub(super) use across::{across, direct};
pub(super) use down::down;

use super::across::Across;
use super::{Channel, avx2};
use crate::preprocess::sampling::Sampling;
use crate::preprocess::taps::Taps;
use direct::{FINER, Sixteens};
use fetch::Fetch;
use std::arch::x86_64::{__m512i, _mm512_loadu_si512};
use windows::Windows;

/// What this kernel goes by, besides the tables that every kernel has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tables {
    fetches: Box<[Fetch]>,
    /// Of samples of each column, and of those that two columns share.
    windows: [Windows; 2],
    /// `None` where the format's samples are not read straight from the frame.
    direct: Option<Sixteens>,
    /// The plan's channels, of mixtures of these.
    finer: [Channel; 3],
}

impl Tables {
    /// With room for so many positions of at most `most` columns each. `None` where this machine lacks the
    /// instructions, or a format's samples lie too far apart.
    pub(super) fn with_room(
        sampling: &Sampling,
        positions: usize,
        most: usize,
        channels: &[Channel; 3],
    ) -> Option<Self> {
        if !is_available() {
            return None;
        }
        Some(Self {
            fetches: fetch::fetches(sampling)?,
            windows: [(); 2].map(|()| Windows::with_room(positions, most)),
            direct: Sixteens::with_room(sampling, positions),
            finer: channels.map(|channel| Channel {
                gain: channel.gain.map(|gain| gain * FINER),
                ..channel
            }),
        })
    }

    /// Makes them those of other tables, in the memory that is there.
    pub(super) fn aim(&mut self, across: &[Across; 2], sampling: &Sampling, taps: [&Taps; 2]) {
        for (windows, across) in self.windows.iter_mut().zip(across) {
            windows.aim(across);
        }
        if let Some(direct) = &mut self.direct {
            direct.aim(sampling, taps);
        }
    }

    /// Whether pictures are made straight from the frame.
    pub(super) fn are_direct(&self) -> bool {
        self.direct.as_ref().is_some_and(|direct| direct.aimed)
    }
}

/// Whether this machine has the instructions.
fn is_available() -> bool {
    avx2::is_available()
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vnni")
}

/// The bytes of one register.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Thirty-two words.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn load_words(words: &[i16; 32]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}
