//! The fast kernels' plan: whole-number arithmetic on strips of samples.
//!
//! For each line of the picture:
//!
//! 1. **Down**: each kind of sample of the rows that the line is made of is fetched, sixteen at once, set to
//!    sixteen bits, weighted and added up: a strip of 15-bit numbers, one for each sample.
//! 2. **Across**: the strip's elements that a position is made of are weighted and added up in 32 bits,
//!    eight positions at once.
//! 3. The sums are converted to colours, clamped to the gamut, and stored.
//!
//! Every format is fetched the same way: a table made at arming says which byte of which 16-byte window
//! becomes which sample ([`Fetch`]). The sums are whole numbers, the same on every machine.
//!
//! With AVX2 there is a shorter way for most pictures: what two columns and two rows bring is picked
//! straight from the frame ([`direct`]).

mod across;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod direct;
mod fetch;
mod line;
#[cfg(target_arch = "x86_64")]
mod mixtures;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod sideways;

use super::colour::{Conversion, single};
use super::plan::{Kernel, Plan};
use super::room::Room;
use super::sampling::Sampling;
use super::taps::{MOST_PLACES, MOST_TAPS, Taps, quantised};
use crate::frame::MAX_SAMPLES;
use across::{Across, WHOLE};
use fetch::Fetch;
use line::{Line, Out};
use std::ops::Range;

/// Positions of a group.
const GROUP: usize = 8;
/// Elements fetched at once.
const BLOCK: usize = 16;
/// Columns of the grid in a strip.
const COLUMNS: usize = 2048;
/// Elements of a strip: reading a position may go so far beyond its last one.
const STRIP: usize = COLUMNS + 128;
/// Tiles start at whole blocks of samples that two columns share.
const ALIGN: usize = 2 * BLOCK;

/// A row that a line is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
struct RowTap {
    /// Its start in the frame.
    at: usize,
    /// Its share of 32768.
    weight: u16,
}

/// What a sum of rows starts from: what its products lose on average, of samples of which the lowest `zeros`
/// bits are 0. Full-scale samples lose at least a whole unit a product, so that the sum stays below 2^15.
fn start(taps: &[RowTap], zeros: u32) -> u16 {
    if taps.len() <= 2 {
        return 0;
    }
    // The sixteen bits that a product loses are a multiple of a power of two, each about as often as the next.
    let lost = |tap: &RowTap| 0x1_0000 - (1 << (tap.weight.trailing_zeros() + zeros).min(16));
    let twice: u32 = taps.iter().map(lost).sum();
    u16::try_from((twice + 0x1_0000) >> 17).unwrap_or(0)
}

/// Positions whose elements fit into one set of strips.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tile {
    /// Groups from this one, an even number.
    group: usize,
    /// Up to this one, excluded: an even number, though the last one may hold no position.
    end: usize,
    /// First column of the grid in the strips.
    column: usize,
    /// Columns of the grid.
    columns: usize,
}

/// One channel: the sum of `gain * mixture`, plus `one`, and what that is clamped to.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Channel {
    gain: [f32; MAX_SAMPLES],
    one: f32,
    low: f32,
    high: f32,
}

/// How the fast kernels make one camera's tensor.
///
/// Holding one proves that each row tap and each fetch lies inside a frame of the plan's size, and each
/// position's elements inside a strip.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strips {
    fetches: Box<[Fetch]>,
    /// Of every line, of every sample: where its row taps start; and where the last one's end.
    lines: Room<u32>,
    rows: Room<RowTap>,
    tiles: Room<Tile>,
    /// Of samples of each column, and of those that two columns share.
    across: [Across; 2],
    channels: [Channel; 3],
    /// What AVX2 goes by straight from the frame; `None` where the machine has none, or the format's samples are not
    /// read so.
    #[cfg(target_arch = "x86_64")]
    eights: Option<avx2::Eights>,
    /// The tables are those of the plan's taps.
    aimed: bool,
}

/// One set of strips.
#[repr(align(64))]
struct Scratch {
    samples: [[i16; STRIP]; MAX_SAMPLES],
    #[cfg(target_arch = "x86_64")]
    mixtures: mixtures::Mixtures,
}

impl Strips {
    /// `None` where a line has too many rows, or a position too many columns.
    pub(super) fn new(
        sampling: &Sampling,
        taps: [&Taps; 2],
        conversion: &Conversion,
    ) -> Option<Self> {
        let most = taps[0].most();
        let mut strips = Self::with_room(sampling, taps, most, conversion)?;
        strips.aim(sampling, taps)?;
        Some(strips)
    }

    /// None, with room for whatever these taps have room for, as long as no position has more than `most`
    /// columns.
    pub(super) fn with_room(
        sampling: &Sampling,
        taps: [&Taps; 2],
        most: usize,
        conversion: &Conversion,
    ) -> Option<Self> {
        let [across, down] = taps;
        let samples = sampling.samples().len();
        let positions = across.positions();
        let channels = channels(sampling, conversion);
        Some(Self {
            fetches: (0..samples)
                .map(|sample| Fetch::new(sampling, sample))
                .collect::<Option<_>>()?,
            lines: Room::of(down.positions() * samples + 1),
            rows: Room::of(down.room() * samples),
            across: [(); 2].map(|()| Across::with_room(positions, most.min(MOST_TAPS))),
            tiles: Room::of(positions.div_ceil(2 * GROUP)),
            channels,
            #[cfg(target_arch = "x86_64")]
            eights: avx2::Eights::with_room(sampling, positions).filter(|_| avx2::is_available()),
            aimed: false,
        })
    }

    /// Makes them those of other taps of the same format, in the memory that is there. `None` where a line
    /// has too many rows, a position too many columns, or the memory does not do: they serve no kernel then.
    pub(super) fn aim(&mut self, sampling: &Sampling, taps: [&Taps; 2]) -> Option<()> {
        let [across, down] = taps;
        self.aimed = false;
        if taps.iter().any(|taps| taps.most() > MOST_TAPS) {
            return None;
        }
        tiles(across, &mut self.tiles)?;
        rows(sampling, down, &mut self.lines, &mut self.rows)?;
        for (of, px) in self.across.iter_mut().zip(1..) {
            of.aim(across, &self.tiles, px)?;
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(eights) = &mut self.eights {
            eights.aim(sampling, taps);
        }
        self.aimed = true;
        Some(())
    }

    /// Whether this machine has the instructions of `kernel`, and these tables serve it.
    pub(super) fn serves(&self, kernel: Kernel) -> bool {
        if !self.aimed {
            return false;
        }
        match kernel {
            Kernel::Scalar => false,
            Kernel::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::is_available(),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2Direct => self.eights.as_ref().is_some_and(|eights| eights.aimed),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => true,
            #[allow(unreachable_patterns)] // Of other machines.
            _ => false,
        }
    }

    /// Writes the picture. `frame` is as long as the plan asks, and `kernel` one that serves.
    pub(super) fn write_picture(
        &self,
        plan: &Plan,
        kernel: Kernel,
        frame: &[u8],
        tensor: &mut [u8],
    ) {
        let mut scratch = Scratch {
            samples: [[0; STRIP]; MAX_SAMPLES],
            #[cfg(target_arch = "x86_64")]
            mixtures: mixtures::NO_MIXTURES,
        };
        if plan.is_sideways() {
            return sideways::write(self, plan, kernel, frame, tensor, &mut scratch);
        }
        let mut line = Line {
            at: 0,
            plane: plan.plane_bytes(),
            pixel: plan.pixel_bytes(),
            count: plan.across.len(),
            tensor,
        };
        let at = |down| plan.pixel_at(0, down);
        let lines = 0..plan.down.len();
        self.write_lines(plan, kernel, lines, frame, &mut scratch, &mut line, at);
    }

    /// Writes some lines, the pixels of each from the byte that `at` gives.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a line is made of, and where it goes"
    )]
    fn write_lines(
        &self,
        plan: &Plan,
        kernel: Kernel,
        lines: Range<usize>,
        frame: &[u8],
        scratch: &mut Scratch,
        line: &mut Line<'_>,
        at: impl Fn(usize) -> usize,
    ) {
        #[cfg(target_arch = "x86_64")]
        if let (Kernel::Avx2Direct, Some(eights)) = (kernel, &self.eights) {
            for down in lines {
                line.at = at(down);
                avx2::direct(self, eights, plan, down, frame, scratch, line);
            }
            return;
        }
        for tile in self.tiles.iter() {
            for down in lines.clone() {
                line.at = at(down);
                self.down(kernel, tile, down, frame, scratch);
                self.across(kernel, plan, tile, scratch, line);
            }
        }
    }

    /// Fills the strips of one line.
    fn down(&self, kernel: Kernel, tile: &Tile, down: usize, frame: &[u8], scratch: &mut Scratch) {
        for (index, fetch) in self.fetches.iter().enumerate() {
            let blocks = fetch.blocks(tile);
            let taps = self.taps(down, index);
            let strip = &mut scratch.samples[index];
            match kernel {
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx2 => avx2::down(fetch, frame, taps, blocks, strip),
                #[cfg(target_arch = "aarch64")]
                Kernel::Neon => neon::down(fetch, frame, taps, blocks, strip),
                _ => portable::down(fetch, frame, taps, blocks, strip),
            }
        }
    }

    /// Makes pixels of the strips.
    fn across(
        &self,
        kernel: Kernel,
        plan: &Plan,
        tile: &Tile,
        scratch: &mut Scratch,
        line: &mut Line<'_>,
    ) {
        match kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::across(self, plan, tile, scratch, line),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => neon::across(self, plan, tile, scratch, line),
            _ => portable::across(self, plan, tile, scratch, line),
        }
    }

    /// The row taps of one sample of one line.
    fn taps(&self, down: usize, sample: usize) -> &[RowTap] {
        let at = down * self.fetches.len() + sample;
        let (Some(&from), Some(&to)) = (self.lines.get(at), self.lines.get(at + 1)) else {
            return &[];
        };
        self.rows
            .get(from as usize..to as usize)
            .unwrap_or_default()
    }

    /// Distinct rows that are read: start and length.
    pub(super) fn rows_read(&self, sampling: &Sampling) -> Vec<(usize, usize)> {
        let lines = self.lines.len() / self.fetches.len().max(1);
        let mut rows: Vec<_> = (0..lines)
            .flat_map(|down| (0..self.fetches.len()).map(move |sample| (down, sample)))
            .flat_map(|(down, sample)| {
                let span = sampling.span(sample);
                self.taps(down, sample)
                    .iter()
                    .map(move |tap| (tap.at, span))
            })
            .collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }
}

/// As few tiles as the strips' length allows; `None` where a group does not fit.
fn tiles(across: &Taps, tiles: &mut Room<Tile>) -> Option<()> {
    tiles.clear();
    // By twos, as the widest kernel takes them.
    for group in (0..across.len().div_ceil(GROUP)).step_by(2) {
        let columns = across.pixels(group * GROUP..(group + 2) * GROUP);
        let (from, to) = (columns.start / ALIGN * ALIGN, columns.end);
        let grown = tiles.last().map(|tile| {
            let column = tile.column.min(from);
            (column, to.max(tile.column + tile.columns) - column)
        });
        match (grown, tiles.last_mut()) {
            (Some((column, columns)), Some(tile)) if columns <= COLUMNS => {
                *tile = Tile {
                    end: group + 2,
                    column,
                    columns,
                    ..*tile
                };
            }
            _ if to - from > COLUMNS => return None,
            _ => tiles.put(Tile {
                group,
                end: group + 2,
                column: from,
                columns: to - from,
            })?,
        }
    }
    Some(())
}

/// Of every line, of every sample, the rows of its plane with their shares.
fn rows(
    sampling: &Sampling,
    down: &Taps,
    lines: &mut Room<u32>,
    rows: &mut Room<RowTap>,
) -> Option<()> {
    lines.clear();
    rows.clear();
    for (first, shares) in down.iter() {
        for sample in 0..sampling.samples().len() {
            lines.put(u32::try_from(rows.len()).ok()?)?;
            let row = |y: usize| sampling.plane_row(sample, first + y);
            let merged = merged(shares, |y| row(y) - row(0));
            for (index, weight) in quantised(&merged, 1 << 15).into_iter().enumerate() {
                let weight = u16::try_from(weight).ok()?;
                if weight > 0 {
                    let at = sampling.row_start(sample, row(0) + index);
                    rows.put(RowTap { at, weight })?;
                }
            }
        }
    }
    lines.put(u32::try_from(rows.len()).ok()?)
}

/// Shares of those that several positions share: `of` says which one, counted from the first's.
///
/// At most [`MOST_PLACES`] of them.
fn merged(shares: &[f64], of: impl Fn(usize) -> usize) -> heapless::Vec<f64, MOST_PLACES> {
    let count = shares.len().checked_sub(1).map_or(0, |last| of(last) + 1);
    let mut merged: heapless::Vec<f64, MOST_PLACES> =
        std::iter::repeat_n(0.0, count.min(MOST_PLACES)).collect();
    for (index, share) in shares.iter().enumerate() {
        if let Some(sum) = merged.get_mut(of(index)) {
            *sum += share;
        }
    }
    merged
}

/// From the mixtures of [`Across`] to stored units.
fn channels(sampling: &Sampling, conversion: &Conversion) -> [Channel; 3] {
    conversion.channels.map(|channel| {
        let mut gain = [0.0; MAX_SAMPLES];
        for ((gain, wanted), sample) in gain.iter_mut().zip(channel.gain).zip(sampling.samples()) {
            // Of a sample that was set to fifteen bits.
            let unit = wanted * 2_f64.powi(1 + sample.bits.cast_signed() - 16);
            *gain = single(unit / f64::from(WHOLE));
        }
        Channel {
            gain,
            one: single(channel.one),
            low: channel.low,
            high: channel.high,
        }
    })
}
