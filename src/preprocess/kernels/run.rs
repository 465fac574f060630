//! Which kernels this machine and a plan have, and which functions they are.

use super::kernel::Kernel;
use super::output_line::OutputLine;
use super::scratch::Scratch;
use super::tables::Tables;
use super::tiles::Tile;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::windows::DirectTables;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx2 as native};
#[cfg(target_arch = "aarch64")]
use super::{neon, neon as native};
use super::{portable, transposed};
use crate::preprocess::colour::Conversion;
use crate::preprocess::filter_weights::FilterWeights;
use crate::preprocess::layout::TensorLayout;
use crate::preprocess::sampling::Sampling;
use std::ops::Range;

/// The fast kernels of one camera's tensor.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::preprocess) struct Kernels {
    tables: Tables,
    /// `None` where the machine has no direct kernel, or the format's samples are not read so.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    direct: Option<DirectTables<native::Picks>>,
    /// The tables are those of the plan's weights.
    is_current: bool,
}

impl Kernels {
    /// `None` where a line has too many rows, or an output pixel too many columns.
    pub(in crate::preprocess) fn new(
        sampling: &Sampling,
        weights: [&FilterWeights; 2],
        conversion: &Conversion,
    ) -> Option<Self> {
        let most = weights[0].most();
        let mut kernels = Self::with_capacity(sampling, weights, most, conversion)?;
        kernels.update(sampling, weights)?;
        Some(kernels)
    }

    /// None, with the capacity for whatever these weights have the capacity for, as long as no output pixel has more
    /// than `most` columns.
    pub(in crate::preprocess) fn with_capacity(
        sampling: &Sampling,
        weights: [&FilterWeights; 2],
        most: usize,
        conversion: &Conversion,
    ) -> Option<Self> {
        Some(Self {
            tables: Tables::with_capacity(sampling, weights, most, conversion)?,
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            direct: DirectTables::with_capacity(sampling, weights[0].capacity())
                .filter(|_| native::is_available()),
            is_current: false,
        })
    }

    /// Makes them those of other weights of the same format, in the memory that is there. `None` where a line
    /// has too many rows, an output pixel too many columns, or the memory does not suffice: no kernel serves then.
    pub(in crate::preprocess) fn update(
        &mut self,
        sampling: &Sampling,
        weights: [&FilterWeights; 2],
    ) -> Option<()> {
        self.is_current = false;
        self.tables.update(sampling, weights)?;
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        if let Some(direct) = &mut self.direct {
            direct.update(sampling, weights);
        }
        self.is_current = true;
        Some(())
    }

    /// Whether this machine has the instructions of `kernel`, and these tables serve it.
    pub(in crate::preprocess) fn serves(&self, kernel: Kernel) -> bool {
        if !self.is_current {
            return false;
        }
        match kernel {
            Kernel::Scalar => false,
            Kernel::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::is_available(),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2Direct => self.direct.as_ref().is_some_and(|direct| direct.is_current),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => neon::is_available(),
            #[cfg(target_arch = "aarch64")]
            Kernel::NeonDirect => self.direct.as_ref().is_some_and(|direct| direct.is_current),
            #[allow(unreachable_patterns)] // Of other machines.
            _ => false,
        }
    }

    /// Distinct rows that are read: start and length.
    pub(in crate::preprocess) fn rows_read(&self, sampling: &Sampling) -> Vec<(usize, usize)> {
        self.tables.vertical.rows_read(sampling)
    }

    /// Writes the image. `frame` is as long as the plan asks, and `kernel` one that serves.
    pub(in crate::preprocess) fn write_image(
        &self,
        layout: &TensorLayout,
        kernel: Kernel,
        frame: &[u8],
        tensor: &mut [u8],
    ) {
        let mut scratch = Scratch::new();
        let mut write =
            |lines: Range<usize>, line: &mut OutputLine<'_>, at: &dyn Fn(usize) -> usize| {
                self.write_lines(layout, kernel, lines, frame, &mut scratch, line, at);
            };
        if layout.is_transposed {
            return transposed::write(layout, tensor, write);
        }
        let mut line = OutputLine {
            at: 0,
            plane: layout.plane_bytes(),
            pixel: layout.pixel_bytes(),
            count: layout.line_px(),
            tensor,
        };
        write(0..layout.lines(), &mut line, &|index| {
            layout.pixel_at(0, index)
        });
    }

    /// Writes some lines, the pixels of each from the byte that `at` gives.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a line is made of, and where it goes"
    )]
    fn write_lines(
        &self,
        layout: &TensorLayout,
        kernel: Kernel,
        lines: Range<usize>,
        frame: &[u8],
        scratch: &mut Scratch,
        line: &mut OutputLine<'_>,
        at: &dyn Fn(usize) -> usize,
    ) {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        if let (Kernel::Avx2Direct | Kernel::NeonDirect, Some(direct)) = (kernel, &self.direct) {
            for index in lines {
                line.at = at(index);
                native::direct(
                    &self.tables,
                    direct,
                    layout,
                    index,
                    frame,
                    &mut scratch.filtered,
                    line,
                );
            }
            return;
        }
        for tile in self.tables.tiles.iter() {
            for index in lines.clone() {
                line.at = at(index);
                self.vertical(kernel, tile, index, frame, scratch);
                self.horizontal(kernel, layout, tile, scratch, line);
            }
        }
    }

    /// Adds up the rows of one line.
    fn vertical(
        &self,
        kernel: Kernel,
        tile: &Tile,
        line: usize,
        frame: &[u8],
        scratch: &mut Scratch,
    ) {
        let samples = self.tables.fetches.iter().zip(&mut scratch.rows);
        for (sample, (fetch, out)) in samples.enumerate() {
            let blocks = fetch.blocks(tile);
            let rows = self.tables.vertical.get(line, sample);
            match kernel {
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx2 => avx2::vertical(fetch, frame, rows, blocks, out),
                #[cfg(target_arch = "aarch64")]
                Kernel::Neon => neon::vertical(fetch, frame, rows, blocks, out),
                _ => portable::vertical(fetch, frame, rows, blocks, out),
            }
        }
    }

    /// Makes pixels of the row buffers.
    fn horizontal(
        &self,
        kernel: Kernel,
        layout: &TensorLayout,
        tile: &Tile,
        scratch: &mut Scratch,
        line: &mut OutputLine<'_>,
    ) {
        let run = match kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::horizontal,
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => neon::horizontal,
            _ => portable::horizontal,
        };
        run(&self.tables, layout, tile, scratch, line);
    }
}
