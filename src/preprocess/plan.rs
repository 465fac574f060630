//! The plan of one camera for one tensor: all that can be known before the first frame.

use super::colour::{Conversion, stored, stored_range};
use super::{Mapping, scalar};
use crate::board::Fit;
use crate::frame::{PixelFormat, StreamFormat};
use crate::infer::{TensorInfo, TensorType};
use std::fmt;

/// Columns are worked on in groups of this many; column tables are padded to whole groups.
pub(super) const GROUP: usize = 16;

/// Rows between the one that is worked on and the one whose samples are asked for.
const AHEAD: usize = 1;

/// Longest side of an input tensor.
const MAX_SIDE: usize = 4096;

/// A camera's format and a tensor that do not go together. Found while arming.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// The input tensor is not [1, height, width, 3] or [1, height, width, 1].
    Shape {
        /// The shape found.
        found: Vec<usize>,
    },
    /// The camera's picture has fewer than 2 x 2 pixels.
    Picture {
        /// Width in pixels.
        width_px: u32,
        /// Height in pixels.
        height_px: u32,
    },
    /// Rows are longer than the distance from one to the next.
    Stride {
        /// The stream's stride.
        found_bytes: u32,
        /// Bytes of one row.
        needed_bytes: u64,
    },
    /// The driver's buffer is smaller than its picture.
    Buffer {
        /// The stream's buffer size.
        found_bytes: u32,
        /// Bytes up to the picture's last sample.
        needed_bytes: u64,
    },
    /// Black and white of the input range are equal or not finite.
    Range {
        /// The range found.
        found: [f32; 2],
    },
    /// A quantised tensor without a usable scale.
    Scale {
        /// The scale found.
        found: f32,
    },
    /// The quantised tensor cannot store most of the input range.
    Unstorable {
        /// The real values of black and white asked for.
        found: [f32; 2],
        /// The real values that the tensor stores.
        storable: [f64; 2],
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { found } => write!(
                f,
                "input tensor: found shape {found:?}, expected [1, height, width, 3] or [1, height, width, 1] with \
                 sides of 1..={MAX_SIDE}"
            ),
            Self::Picture {
                width_px,
                height_px,
            } => {
                write!(
                    f,
                    "picture: found {width_px} x {height_px} pixels, expected at least 2 x 2"
                )
            }
            Self::Stride {
                found_bytes,
                needed_bytes,
            } => {
                write!(
                    f,
                    "stride: found {found_bytes} bytes, expected at least {needed_bytes} for one row"
                )
            }
            Self::Buffer {
                found_bytes,
                needed_bytes,
            } => {
                write!(
                    f,
                    "buffer: found {found_bytes} bytes, expected at least {needed_bytes} for the picture"
                )
            }
            Self::Range { found } => {
                write!(
                    f,
                    "input-range: found {found:?}, expected two different finite numbers"
                )
            }
            Self::Scale { found } => {
                write!(
                    f,
                    "input tensor: found quantisation scale {found}, expected a positive finite number"
                )
            }
            Self::Unstorable { found, storable } => write!(
                f,
                "input-range: found {found:?}, expected a range inside [{:.4}, {:.4}], which is all that the quantised \
                 input tensor stores",
                storable[0], storable[1]
            ),
        }
    }
}

impl std::error::Error for PlanError {}

/// A frame that could not be turned into a tensor. Hot path: `Copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunError {
    /// The frame ends before the picture does.
    FrameShort {
        /// Bytes of the frame.
        found_bytes: usize,
        /// Bytes up to the picture's last sample.
        needed_bytes: usize,
    },
    /// The tensor is not the one that the plan was made for.
    TensorSize {
        /// Bytes of the tensor.
        found_bytes: usize,
        /// Bytes that the plan writes.
        needed_bytes: usize,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrameShort {
                found_bytes,
                needed_bytes,
            } => {
                write!(
                    f,
                    "frame: found {found_bytes} bytes, expected at least {needed_bytes}"
                )
            }
            Self::TensorSize {
                found_bytes,
                needed_bytes,
            } => {
                write!(
                    f,
                    "input tensor: found {found_bytes} bytes, expected {needed_bytes}"
                )
            }
        }
    }
}

impl std::error::Error for RunError {}

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

/// Where one output row reads: byte offsets of row starts in the frame, and how the two rows mix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    pub luma: [usize; 2],
    pub chroma: [usize; 2],
    /// Share of the second row.
    pub weight: f32,
}

/// Where the output columns read, relative to a row's start. Padded to whole groups with copies of the
/// last column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Columns {
    /// Byte of the first tap's luma; the second tap's is `luma_step` further.
    pub luma: Box<[u32]>,
    /// Byte of each tap's Cb; Cr is `cr_step` further.
    pub chroma: [Box<[u32]>; 2],
    /// Share of the second tap.
    pub weight: Box<[f32]>,
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
    /// Bytes from one luma sample to the next of its row.
    pub(super) luma_step: usize,
    /// Bytes from a Cb sample to its Cr sample.
    pub(super) cr_step: usize,
    /// Bytes of a row that hold luma.
    pub(super) luma_span: usize,
    /// Bytes of a row that hold chroma.
    pub(super) chroma_span: usize,
    frame_bytes: usize,
    tensor_bytes: usize,
    mapping: Mapping,
    kernel: Kernel,
    #[cfg(target_arch = "x86_64")]
    words: Option<super::avx2::Words>,
}

/// First tap and share of the second for output position `index` of `count` over `length` samples.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The value lies in 0..=length - 2.
fn tap(index: usize, count: usize, length: u32) -> (u32, f32) {
    let scale = f64::from(length) / count as f64;
    let centre = ((index as f64 + 0.5) * scale - 0.5).clamp(0.0, f64::from(length - 1));
    let first = centre.floor().min(f64::from(length - 2));
    (first as u32, (centre - first) as f32)
}

/// `round(length * scale)`, at least one and at most `limit`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped to 1..=MAX_SIDE.
fn scaled(length: u32, scale: f64, limit: usize) -> usize {
    ((f64::from(length) * scale).round() as usize).clamp(1, limit)
}

fn place(fit: Fit, width_px: u32, height_px: u32, tensor_px: [usize; 2]) -> Picture {
    let [width, height] = tensor_px;
    match fit {
        Fit::Stretch => Picture {
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

#[allow(clippy::cast_possible_truncation)] // Sides are at most 65535, exact in f32.
const fn exact(value: u32) -> f32 {
    value as f32
}

fn exact_side(value: usize) -> f32 {
    u16::try_from(value).map_or(f32::INFINITY, f32::from)
}

/// Distances between samples, by pixel format.
pub(super) struct Layout {
    pub luma_step: usize,
    cr_step: usize,
    /// Bytes from one pair of chroma samples to the next of its row.
    chroma_step: usize,
    /// Byte of the first Cb in a row.
    chroma_first: usize,
    /// Byte of the first chroma row in the frame.
    chroma_plane: usize,
    /// Picture rows for each chroma row.
    chroma_rows: usize,
    pub luma_span: usize,
    pub chroma_span: usize,
}

impl Layout {
    fn new(format: &StreamFormat) -> Self {
        let width = format.width_px as usize;
        let pairs = width.div_ceil(2);
        match format.pixel {
            PixelFormat::Nv12 => Self {
                luma_step: 1,
                cr_step: 1,
                chroma_step: 2,
                chroma_first: 0,
                chroma_plane: format.stride_bytes as usize * format.height_px as usize,
                chroma_rows: 2,
                luma_span: width,
                chroma_span: pairs * 2,
            },
            PixelFormat::Yuyv => Self {
                luma_step: 2,
                cr_step: 2,
                chroma_step: 4,
                chroma_first: 1,
                chroma_plane: 0,
                chroma_rows: 1,
                luma_span: pairs * 4,
                chroma_span: pairs * 4,
            },
        }
    }
}

impl Plan {
    /// Works out how frames of `format` become `tensor`, on the fastest kernel of this machine.
    ///
    /// `input_range` holds the real values of black and white, before quantisation.
    ///
    /// # Errors
    /// What does not go together, with what was found.
    pub fn new(
        format: &StreamFormat,
        tensor: &TensorInfo,
        fit: Fit,
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
        let &StreamFormat {
            width_px,
            height_px,
            stride_bytes,
            ..
        } = format;
        if width_px < 2 || height_px < 2 {
            return Err(PlanError::Picture {
                width_px,
                height_px,
            });
        }
        let layout = Layout::new(format);
        let row_bytes = layout.luma_span.max(layout.chroma_span);
        if (stride_bytes as usize) < row_bytes {
            return Err(PlanError::Stride {
                found_bytes: stride_bytes,
                needed_bytes: row_bytes as u64,
            });
        }
        let last = height_px as usize - 1;
        let stride = stride_bytes as usize;
        let frame_bytes = (last * stride + layout.luma_span)
            .max(layout.chroma_plane + last / layout.chroma_rows * stride + layout.chroma_span);
        if (format.size_bytes as usize) < frame_bytes {
            return Err(PlanError::Buffer {
                found_bytes: format.size_bytes,
                needed_bytes: frame_bytes as u64,
            });
        }
        check_range(tensor, input_range)?;

        let picture = place(fit, width_px, height_px, tensor_px);
        let rows = (0..picture.height)
            .map(|index| {
                let (first, weight) = tap(index, picture.height, height_px);
                let taps = [first as usize, first as usize + 1];
                Row {
                    luma: taps.map(|y| y * stride),
                    chroma: taps.map(|y| layout.chroma_plane + y / layout.chroma_rows * stride),
                    weight,
                }
            })
            .collect();
        let columns = columns(&layout, picture.width, width_px);
        #[cfg(target_arch = "x86_64")]
        let words = super::avx2::Words::new(format.pixel, &columns, &layout);
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
            conversion: Conversion::new(format.colour, tensor, input_range, channels == 1),
            picture,
            tensor_px,
            channels,
            kind: tensor.kind,
            luma_step: layout.luma_step,
            cr_step: layout.cr_step,
            luma_span: layout.luma_span,
            chroma_span: layout.chroma_span,
            frame_bytes,
            tensor_bytes: tensor.bytes(),
            mapping: Mapping::new(
                [exact(width_px), exact(height_px)],
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

#[allow(clippy::cast_possible_truncation)] // Offsets within a row are below 4 * 65536.
fn columns(layout: &Layout, count: usize, width_px: u32) -> Columns {
    let taps: Vec<(u32, f32)> = (0..count.next_multiple_of(GROUP))
        .map(|index| tap(index.min(count - 1), count, width_px))
        .collect();
    let chroma = |further: u32| {
        let byte = |&(first, _): &(u32, f32)| {
            layout.chroma_first + (first + further) as usize / 2 * layout.chroma_step
        };
        taps.iter().map(|tap| byte(tap) as u32).collect()
    };
    Columns {
        luma: taps
            .iter()
            .map(|&(first, _)| first * layout.luma_step as u32)
            .collect(),
        chroma: [chroma(0), chroma(1)],
        weight: taps.iter().map(|&(_, weight)| weight).collect(),
    }
}
