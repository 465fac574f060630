//! The plan of one camera for one tensor: all that can be known before the first frame.

use super::colour::{Conversion, stored, stored_range};
use super::sampling::{Columns, Row, Sampling};
use super::{Mapping, PlanError, RunError, scalar};
use crate::board::{Fit, Resample};
use crate::frame::StreamFormat;
use crate::infer::{TensorInfo, TensorType};

/// Columns are worked on in groups of this many; column tables are padded to whole groups.
pub(super) const GROUP: usize = 16;

/// Rows between the one that is worked on and the one whose samples are asked for.
const AHEAD: usize = 1;

/// Longest side of an input tensor.
pub(super) const MAX_SIDE: usize = 4096;

/// The code that runs a plan. Every kernel gives the same tensor, but for rounding in the last bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Plain Rust, on every machine.
    Scalar,
    /// x86-64 with AVX2 and FMA.
    Avx2,
}

impl Kernel {
    /// Its name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
        }
    }
}

/// Rectangle of the tensor that the picture fills, in tensor pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// How one camera's frames become one model's input tensor.
///
/// Holding a plan proves that every offset in it lies inside a frame of [`Plan::frame_bytes`], and that
/// its picture lies inside a tensor of [`Plan::tensor_bytes`].
///
/// | tensor | shape | stored |
/// |---|---|---|
/// | f32 | [1, h, w, 3] red, green, blue; [1, h, w, 1] luma | black and white are the ends of the input range |
/// | u8, i8 | the same | `round(real / scale) + zero_point`, clamped to the type |
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub(super) columns: Columns,
    pub(super) rows: Box<[Row]>,
    pub(super) conversion: Conversion,
    pub(super) picture: Picture,
    pub(super) tensor_px: [usize; 2],
    pub(super) channels: usize,
    pub(super) kind: TensorType,
    pub(super) sampling: Sampling,
    frame_bytes: usize,
    tensor_bytes: usize,
    mapping: Mapping,
    kernel: Kernel,
    #[cfg(target_arch = "x86_64")]
    words: Option<super::avx2::Words>,
}

/// `round(length * scale)`, at least one and at most `limit`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped to 1..=MAX_SIDE.
fn scaled(length: u32, scale: f64, limit: usize) -> usize {
    ((f64::from(length) * scale).round() as usize).clamp(1, limit)
}

fn place(fit: Fit, width_px: u32, height_px: u32, tensor_px: [usize; 2]) -> Picture {
    let [width, height] = tensor_px;
    match fit {
        Fit::Stretch | Fit::Crop => Picture {
            x: 0,
            y: 0,
            width,
            height,
        },
        Fit::Letterbox => {
            let scale =
                (width as f64 / f64::from(width_px)).min(height as f64 / f64::from(height_px));
            let (w, h) = (
                scaled(width_px, scale, width),
                scaled(height_px, scale, height),
            );
            Picture {
                x: (width - w) / 2,
                y: (height - h) / 2,
                width: w,
                height: h,
            }
        }
    }
}

/// The part of the camera's picture that the tensor shows: start and size along x, and along y.
fn region(fit: Fit, covered_px: [u32; 2], tensor_px: [usize; 2]) -> [[f64; 2]; 2] {
    let covered = covered_px.map(f64::from);
    let tensor = tensor_px.map(|px| px as f64);
    let scale = match fit {
        Fit::Crop => (covered[0] / tensor[0]).min(covered[1] / tensor[1]),
        Fit::Letterbox | Fit::Stretch => return covered.map(|size| [0.0, size]),
    };
    [0, 1].map(|axis| {
        let size = (tensor[axis] * scale).min(covered[axis]);
        [(covered[axis] - size) / 2.0, size]
    })
}

#[allow(clippy::cast_possible_truncation)] // f64 to the nearest f32 is meant.
const fn nearest(value: f64) -> f32 {
    value as f32
}

#[allow(clippy::cast_possible_truncation)] // Sides are at most 65535, exact in f32.
const fn exact(value: u32) -> f32 {
    value as f32
}

fn exact_side(value: usize) -> f32 {
    u16::try_from(value).map_or(f32::INFINITY, f32::from)
}

impl Plan {
    /// [`Plan::resampled`], bilinear.
    ///
    /// # Errors
    /// What does not go together, with what was found.
    pub fn new(
        format: &StreamFormat,
        tensor: &TensorInfo,
        fit: Fit,
        input_range: [f32; 2],
    ) -> Result<Self, PlanError> {
        Self::resampled(format, tensor, fit, Resample::Bilinear, input_range)
    }

    /// Works out how frames of `format` become `tensor`, on the fastest kernel of this machine.
    ///
    /// `input_range` holds the real values of black and white, before quantisation.
    ///
    /// # Errors
    /// What does not go together, with what was found.
    pub fn resampled(
        format: &StreamFormat,
        tensor: &TensorInfo,
        fit: Fit,
        resample: Resample,
        input_range: [f32; 2],
    ) -> Result<Self, PlanError> {
        let (tensor_px, channels) = match tensor.shape[..] {
            [1, h @ 1..=MAX_SIDE, w @ 1..=MAX_SIDE, c @ (1 | 3)] => ([w, h], c),
            _ => {
                return Err(PlanError::Shape {
                    found: tensor.shape.clone(),
                });
            }
        };
        let sampling = Sampling::new(format, channels == 1)?;
        let frame_bytes = sampling.frame_bytes(format);
        if (format.size_bytes as usize) < frame_bytes {
            return Err(PlanError::Buffer {
                found_bytes: format.size_bytes,
                needed_bytes: frame_bytes as u64,
            });
        }
        check_range(tensor, input_range)?;

        // What the grid covers: the picture, or of a Bayer picture with odd sides what is in whole squares.
        let [width_px, height_px] = sampling.covered_px();
        let picture = place(fit, width_px, height_px, tensor_px);
        let region = region(fit, [width_px, height_px], tensor_px);
        let rows = sampling.rows(region[1], picture.height, resample);
        let columns = sampling.columns(region[0], picture.width, resample);
        #[cfg(target_arch = "x86_64")]
        let words = super::avx2::Words::new(&sampling, &columns);
        Ok(Self {
            #[cfg(target_arch = "x86_64")]
            kernel: if words.is_some() {
                Kernel::Avx2
            } else {
                Kernel::Scalar
            },
            #[cfg(not(target_arch = "x86_64"))]
            kernel: Kernel::Scalar,
            #[cfg(target_arch = "x86_64")]
            words,
            columns,
            rows,
            conversion: Conversion::new(&sampling, format.colour, tensor, input_range),
            picture,
            tensor_px,
            channels,
            kind: tensor.kind,
            sampling,
            frame_bytes,
            tensor_bytes: tensor.bytes(),
            mapping: Mapping::of_region(
                [exact(width_px), exact(height_px)],
                [0, 1].map(|part| region.map(|axis| nearest(axis[part]))),
                tensor_px.map(exact_side),
                [exact_side(picture.x), exact_side(picture.y)],
                [exact_side(picture.width), exact_side(picture.height)],
            ),
        })
    }

    /// The same plan on another kernel; `None` where this machine or these rows cannot have it.
    #[must_use]
    pub fn with_kernel(self, kernel: Kernel) -> Option<Self> {
        let available = match kernel {
            Kernel::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => self.words.is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx2 => false,
        };
        available.then_some(Self { kernel, ..self })
    }

    /// The kernel that runs it.
    #[must_use]
    pub const fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Bytes that a frame needs at least.
    #[must_use]
    pub const fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }

    /// Bytes of the rows that one pass reads: what it has to move at least, where a row's columns lie
    /// closer together than cache lines.
    #[must_use]
    pub fn read_bytes(&self) -> usize {
        self.sampling.read_bytes(&self.rows)
    }

    /// Bytes of the tensor.
    #[must_use]
    pub const fn tensor_bytes(&self) -> usize {
        self.tensor_bytes
    }

    /// From the tensor's coordinates to the camera's.
    #[must_use]
    pub const fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// A point of the tensor, 0..=1 along each side, in camera pixels.
    #[must_use]
    pub fn to_camera(&self, x: f32, y: f32) -> [f32; 2] {
        self.mapping.to_camera(x, y)
    }

    /// Writes the whole tensor from one frame: picture and bars.
    ///
    /// # Errors
    /// The frame or the tensor is not what the plan was made for; the tensor is then unchanged.
    pub fn run(&self, frame: &[u8], tensor: &mut [u8]) -> Result<(), RunError> {
        self.check(frame, tensor)?;
        self.fill_bars(tensor)?;
        self.write_picture(frame, tensor);
        Ok(())
    }

    /// Writes the picture and leaves the bars: for a tensor that [`Plan::fill_bars`] has prepared and
    /// that keeps what was written to it.
    ///
    /// # Errors
    /// The frame or the tensor is not what the plan was made for; the tensor is then unchanged.
    pub fn run_picture(&self, frame: &[u8], tensor: &mut [u8]) -> Result<(), RunError> {
        self.check(frame, tensor)?;
        self.write_picture(frame, tensor);
        Ok(())
    }

    /// Writes black where the tensor has no picture.
    ///
    /// # Errors
    /// The tensor is not the one that the plan was made for; it is then unchanged.
    pub fn fill_bars(&self, tensor: &mut [u8]) -> Result<(), RunError> {
        self.check_tensor(tensor)?;
        let pixel = self.channels * self.kind.bytes();
        let row = self.tensor_px[0] * pixel;
        let Picture {
            x,
            y,
            width,
            height,
        } = self.picture;
        for (index, line) in tensor.chunks_exact_mut(row).enumerate() {
            if index < y || index >= y + height {
                self.fill_black(line);
            } else if width < self.tensor_px[0] {
                let (left, rest) = line.split_at_mut(x * pixel);
                self.fill_black(left);
                self.fill_black(rest.get_mut(width * pixel..).unwrap_or_default());
            }
        }
        Ok(())
    }

    fn fill_black(&self, bytes: &mut [u8]) {
        match self.kind {
            TensorType::F32 => {
                let black = self.conversion.black.to_ne_bytes();
                bytes.as_chunks_mut().0.fill(black);
            }
            TensorType::U8 | TensorType::I8 => bytes.fill(scalar::quantise(
                self.conversion.black,
                self.conversion.least,
                self.conversion.greatest,
            )),
        }
    }

    fn write_picture(&self, frame: &[u8], tensor: &mut [u8]) {
        let pixel = self.channels * self.kind.bytes();
        let row = self.tensor_px[0] * pixel;
        let Picture { x, y, width, .. } = self.picture;
        let lines = tensor.chunks_exact_mut(row).skip(y);
        for (index, (row, line)) in self.rows.iter().zip(lines).enumerate() {
            let line = line
                .get_mut(x * pixel..(x + width) * pixel)
                .unwrap_or_default();
            #[cfg(target_arch = "x86_64")]
            if let (Kernel::Avx2, Some(words)) = (self.kernel, &self.words) {
                if let Some(row) = self.rows.get(index + AHEAD) {
                    super::avx2::prefetch(self, frame, row);
                }
                super::avx2::write_row(self, words, frame, row, line);
                continue;
            }
            scalar::write_row(self, frame, row, line);
        }
    }

    fn check(&self, frame: &[u8], tensor: &[u8]) -> Result<(), RunError> {
        if frame.len() < self.frame_bytes {
            return Err(RunError::FrameShort {
                found_bytes: frame.len(),
                needed_bytes: self.frame_bytes,
            });
        }
        self.check_tensor(tensor)
    }

    fn check_tensor(&self, tensor: &[u8]) -> Result<(), RunError> {
        if tensor.len() == self.tensor_bytes {
            Ok(())
        } else {
            Err(RunError::TensorSize {
                found_bytes: tensor.len(),
                needed_bytes: self.tensor_bytes,
            })
        }
    }
}

/// The range has two different ends, and a quantised tensor can store it but for a twentieth of it:
/// calibrated ranges stop a little short of the nominal one.
fn check_range(tensor: &TensorInfo, range: [f32; 2]) -> Result<(), PlanError> {
    let [black, white] = range.map(f64::from);
    if !black.is_finite() || !white.is_finite() || range[0] == range[1] {
        return Err(PlanError::Range { found: range });
    }
    if tensor.kind == TensorType::F32 {
        return Ok(());
    }
    if !(tensor.scale.is_finite() && tensor.scale > 0.0) {
        return Err(PlanError::Scale {
            found: tensor.scale,
        });
    }
    let (least, greatest) = stored_range(tensor.kind);
    let slack = 0.05 * (stored(tensor, white) - stored(tensor, black)).abs();
    let fits = |real| (least - slack..=greatest + slack).contains(&stored(tensor, real));
    if fits(black) && fits(white) {
        return Ok(());
    }
    let real = |value: f64| (value - f64::from(tensor.zero_point)) * f64::from(tensor.scale);
    Err(PlanError::Unstorable {
        found: range,
        storable: [real(least), real(greatest)],
    })
}
