//! Where the image's pixels lie in the input tensor, and how they are stored.

use crate::infer::TensorType;
use half::f16;

/// Longest side of an input tensor.
pub(super) const MAX_SIDE: usize = 4096;

/// Most bytes of a pixel: three float32 numbers.
pub(super) const MAX_PIXEL_BYTES: usize = 12;

/// Rectangle of the tensor that the image fills, in tensor pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageRect {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// The tensor's memory.
///
/// A *line* is what becomes of a row of the camera: a row of the image, or a column where the image is transposed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TensorLayout {
    pub kind: TensorType,
    pub tensor_px: [usize; 2],
    pub channels: usize,
    /// As many as channels where each is a plane of its own; else 1.
    pub planes: usize,
    pub image: ImageRect,
    /// The camera's rows are the tensor's columns.
    pub is_transposed: bool,
    /// Of the whole tensor.
    pub bytes: usize,
}

impl TensorLayout {
    /// Bytes of a pixel in a plane.
    pub(super) const fn pixel_bytes(&self) -> usize {
        self.channels / self.planes * self.kind.bytes()
    }

    /// Bytes of a plane: the whole tensor where there is one.
    pub(super) const fn plane_bytes(&self) -> usize {
        self.bytes / self.planes
    }

    /// Pixels of a line.
    pub(super) const fn line_px(&self) -> usize {
        if self.is_transposed {
            self.image.height
        } else {
            self.image.width
        }
    }

    /// Lines of the image.
    pub(super) const fn lines(&self) -> usize {
        if self.is_transposed {
            self.image.width
        } else {
            self.image.height
        }
    }

    /// Byte of a plane at which a pixel of a line starts.
    pub(super) const fn pixel_at(&self, column: usize, line: usize) -> usize {
        let (x, y) = if self.is_transposed {
            (line, column)
        } else {
            (column, line)
        };
        let pixel = (self.image.y + y) * self.tensor_px[0] + self.image.x + x;
        pixel * self.pixel_bytes()
    }

    /// Stores values, each where the one before ends, as far as there is memory.
    pub(super) fn write_pixel(&self, values: [f32; 3], out: &mut [u8]) {
        for (out, value) in out.chunks_exact_mut(self.kind.bytes()).zip(values) {
            self.write_element(value, out);
        }
    }

    /// Stores a value in exactly its bytes.
    pub(super) fn write_element(&self, value: f32, out: &mut [u8]) {
        match self.kind {
            TensorType::F32 => out.copy_from_slice(&value.to_ne_bytes()),
            TensorType::F16 => out.copy_from_slice(&f16::from_f32(value).to_ne_bytes()),
            TensorType::U8 | TensorType::I8 => out.fill(quantise(value)),
        }
    }

    /// Writes `black` where the tensor has no image.
    pub(super) fn fill_bars(&self, black: [f32; 3], tensor: &mut [u8]) {
        let pixel = self.pixel_bytes();
        let row = self.tensor_px[0] * pixel;
        let ImageRect {
            x,
            y,
            width,
            height,
        } = self.image;
        let mut stored = [0; MAX_PIXEL_BYTES];
        self.write_pixel(black, &mut stored);
        let planes = tensor.chunks_exact_mut(self.plane_bytes());
        for (plane, black) in planes.zip(stored.chunks_exact(pixel)) {
            let fill = |bytes: &mut [u8]| {
                for out in bytes.chunks_exact_mut(pixel) {
                    out.copy_from_slice(black);
                }
            };
            for (index, line) in plane.chunks_exact_mut(row).enumerate() {
                if index < y || index >= y + height {
                    fill(line);
                } else if width < self.tensor_px[0] {
                    let (left, rest) = line.split_at_mut(x * pixel);
                    fill(left);
                    fill(rest.get_mut(width * pixel..).unwrap_or_default());
                }
            }
        }
    }
}

/// Adding it leaves a number below 2^22 rounded to nearest, ties to even, in the low mantissa bits.
const ROUNDER: f32 = 12_582_912.0;

/// The byte that stores `value`, which the type stores: two's complement for signed types.
#[allow(clippy::cast_possible_truncation)] // The low byte of the mantissa is the rounded number.
fn quantise(value: f32) -> u8 {
    (value + ROUNDER).to_bits() as u8
}
