//! Where the samples of one format's grid lie in a frame.

use super::fault::PlanError;
use crate::frame::{MAX_SAMPLES, Model, PixelLayout, Sample, Store, StreamFormat};

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

    pub(super) const fn store(&self) -> Store {
        self.layout.store
    }

    /// Bytes of a row of the plane of sample `index`.
    pub(super) fn span(&self, index: usize) -> usize {
        self.span.get(index).copied().unwrap_or(0)
    }

    /// Pixels of the grid along x and y.
    pub(super) const fn grid_px(&self) -> [u32; 2] {
        self.grid_px
    }

    /// Image pixels, each way, of a pixel of the grid.
    pub(super) const fn block_px(&self) -> u32 {
        self.layout.block_px
    }

    /// Row of its plane in which sample `index` of the grid's row `y` lies.
    pub(super) fn plane_row(&self, index: usize, y: usize) -> usize {
        let Some(sample) = self.samples().get(index) else {
            return 0;
        };
        (y * self.layout.block_px as usize + sample.line) / sample.rows
    }

    /// Byte at which a row of the plane of sample `index` starts.
    pub(super) fn row_start(&self, index: usize, plane_row: usize) -> usize {
        match (self.plane.get(index), self.stride.get(index)) {
            (Some(plane), Some(stride)) => plane + plane_row * stride,
            _ => 0,
        }
    }

    /// Bytes up to the last sample of the image.
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
}
