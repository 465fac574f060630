//! Which bytes of a frame a row and a column of the tensor read.

use super::PlanError;
use super::plan::GROUP;
use crate::board::Resample;
use crate::frame::{MAX_SAMPLES, Model, PixelLayout, Sample, Store, StreamFormat};

/// Where one output row reads: byte offsets of row starts in the frame, and how the two rows mix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    /// Of each sample, in the first and in the second row.
    pub at: [[usize; MAX_SAMPLES]; 2],
    /// Share of the second row.
    pub weight: f32,
}

/// Where the output columns read, relative to a row's start. Padded to whole groups with copies of the
/// last column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Columns {
    /// Byte of each sample, of the first and of the second tap; empty for samples that are not used.
    pub at: [[Box<[u32]>; MAX_SAMPLES]; 2],
    /// Share of the second tap.
    pub weight: Box<[f32]>,
}

/// How one format's pixels are read for a tensor: of a grey tensor's Y'CbCr camera, the luma alone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sampling {
    layout: &'static PixelLayout,
    grey: bool,
    /// Pixels of the grid.
    grid_px: [u32; 2],
    /// Bytes before each sample's plane.
    plane: [usize; MAX_SAMPLES],
    /// Bytes from row to row of each sample's plane.
    stride: [usize; MAX_SAMPLES],
    /// Bytes of a row of each sample's plane.
    span: [usize; MAX_SAMPLES],
}

/// The part of a side that is read: `count` positions over `size` samples from `start`, of `length`.
#[derive(Clone, Copy, Debug)]
struct Extent {
    start: f64,
    size: f64,
    length: u32,
    count: usize,
    resample: Resample,
}

impl Extent {
    /// First tap and share of the second for output position `index`.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It lies in 0..=length - 2.
    fn tap(&self, index: usize) -> (usize, f32) {
        // The product first: where it is exact, so is a quotient that is whole.
        let at = self.start + (index as f64 + 0.5) * self.size / self.count as f64;
        let centre = match self.resample {
            Resample::Bilinear => at - 0.5,
            Resample::Nearest => at.floor(),
        };
        let centre = centre.clamp(0.0, f64::from(self.length - 1));
        let first = centre.floor().min(f64::from(self.length - 2));
        (first as usize, (centre - first) as f32)
    }
}

fn bytes(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

impl Sampling {
    pub(super) fn new(format: &StreamFormat, grey: bool) -> Result<Self, PlanError> {
        let &StreamFormat {
            width_px,
            height_px,
            stride_bytes,
            ..
        } = format;
        let layout = format.pixel.layout();
        if layout.samples().is_empty() {
            return Err(PlanError::Compressed {
                found: format.pixel.name(),
            });
        }
        let grid_px = [width_px, height_px].map(|px| px / layout.block_px);
        if grid_px.iter().any(|&px| px < 2) {
            return Err(PlanError::Picture {
                width_px,
                height_px,
                least_px: 2 * layout.block_px,
            });
        }
        let needed_bytes = layout.row_bytes(width_px);
        if u64::from(stride_bytes) < needed_bytes {
            return Err(PlanError::Stride {
                found_bytes: stride_bytes,
                needed_bytes,
            });
        }
        let each = |of: &dyn Fn(usize) -> u64| {
            let mut out = [0; MAX_SAMPLES];
            for (out, sample) in out.iter_mut().zip(layout.samples()) {
                *out = bytes(of(sample.plane));
            }
            out
        };
        Ok(Self {
            layout,
            grey,
            grid_px,
            plane: each(&|plane| layout.plane_offset(plane, stride_bytes, height_px)),
            stride: each(&|plane| layout.planes()[plane].stride(stride_bytes)),
            span: each(&|plane| layout.planes()[plane].row_bytes(width_px)),
        })
    }

    /// The samples that are read of each pixel.
    pub(super) fn samples(&self) -> &'static [Sample] {
        let samples = self.layout.samples();
        if self.grey && self.layout.model == Model::Ycbcr {
            samples.split_at(1).0
        } else {
            samples
        }
    }

    pub(super) const fn is_grey(&self) -> bool {
        self.grey
    }

    pub(super) const fn model(&self) -> Model {
        self.layout.model
    }

    pub(super) const fn store(&self) -> Store {
        self.layout.store
    }

    /// Bytes of a row of the plane of each sample.
    pub(super) const fn span(&self) -> &[usize; MAX_SAMPLES] {
        &self.span
    }

    /// Camera pixels that the grid covers.
    pub(super) fn covered_px(&self) -> [u32; 2] {
        self.grid_px.map(|px| px * self.layout.block_px)
    }

    /// Bytes up to the last sample of the picture.
    pub(super) fn frame_bytes(&self, format: &StreamFormat) -> usize {
        let planes = self.layout.planes().iter().enumerate();
        let ends = planes.map(|(index, plane)| {
            let rows = u64::from(format.height_px.div_ceil(plane.rows));
            self.layout
                .plane_offset(index, format.stride_bytes, format.height_px)
                + (rows - 1) * plane.stride(format.stride_bytes)
                + plane.row_bytes(format.width_px)
        });
        bytes(ends.max().unwrap_or(0))
    }

    /// Bytes of the distinct rows that are read.
    pub(super) fn read_bytes(&self, rows: &[Row]) -> usize {
        let mut starts: Vec<(usize, usize)> = rows
            .iter()
            .flat_map(|row| row.at)
            .flat_map(|at| at.into_iter().zip(self.span).take(self.samples().len()))
            .collect();
        starts.sort_unstable();
        starts.dedup_by_key(|start| start.0);
        starts.iter().map(|start| start.1).sum()
    }

    /// `count` positions over `region`: start and size in camera pixels along an axis.
    fn extent(&self, axis: usize, region: [f64; 2], count: usize, resample: Resample) -> Extent {
        let [start, size] = region.map(|px| px / f64::from(self.layout.block_px));
        Extent {
            start,
            size,
            length: self.grid_px[axis],
            count,
            resample,
        }
    }

    /// What each of `count` rows reads of `region`: its top and height in camera pixels.
    pub(super) fn rows(&self, region: [f64; 2], count: usize, resample: Resample) -> Box<[Row]> {
        let extent = self.extent(1, region, count, resample);
        let block = self.layout.block_px as usize;
        let row_of = |y: usize| {
            let mut at = [0; MAX_SAMPLES];
            for (index, sample) in self.samples().iter().enumerate() {
                let row = (y * block + sample.line) / sample.rows;
                at[index] = self.plane[index] + row * self.stride[index];
            }
            at
        };
        (0..count)
            .map(|index| {
                let (first, weight) = extent.tap(index);
                Row {
                    at: [row_of(first), row_of(first + 1)],
                    weight,
                }
            })
            .collect()
    }

    /// What `count` columns read of `region`: its left edge and width in camera pixels.
    #[allow(clippy::cast_possible_truncation)] // Offsets within a row are below 4 * 65536.
    pub(super) fn columns(&self, region: [f64; 2], count: usize, resample: Resample) -> Columns {
        let extent = self.extent(0, region, count, resample);
        let taps: Vec<(usize, f32)> = (0..count.next_multiple_of(GROUP))
            .map(|index| extent.tap(index.min(count - 1)))
            .collect();
        let samples = self.samples();
        let store = self.layout.store;
        let at = [0, 1].map(|further| {
            std::array::from_fn(|index| {
                let offsets = |sample: &Sample| {
                    let byte =
                        |x: usize| store.byte(sample.first + x / sample.px * sample.step) as u32;
                    taps.iter().map(|&(x, _)| byte(x + further)).collect()
                };
                samples.get(index).map(offsets).unwrap_or_default()
            })
        });
        Columns {
            at,
            weight: taps.iter().map(|&(_, weight)| weight).collect(),
        }
    }
}
