//! The plan of one camera for one tensor.

use super::colour::{Conversion, stored, stored_range};
use super::geometry::{Geometry, Picture, seen};
use super::sampling::Sampling;
use super::strip::Strips;
use super::taps::{MOST_TAPS, Taps};
use super::{AimError, Mapping, PlanError, RunError, scalar};
use crate::board::{Channels, Fit, InputRange, Resample, View};
use crate::frame::StreamFormat;
use crate::infer::{Half, PictureShape, TensorInfo, TensorType};

/// Longest side of an input tensor.
pub(super) const MAX_SIDE: usize = 4096;

/// Most bytes of a pixel: three float32 numbers.
pub(super) const MOST_PIXEL_BYTES: usize = 12;

/// The code that runs a plan. The fast kernels add the same whole numbers and differ from each other in the
/// last bits of the colours. All are less than a tenth of a step of 1/255 from the plain one; of `area` less than a
/// whole one, where 64 rows of one colour are made one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Plain Rust in double precision, on every machine: slow, and what the others are held against.
    Scalar,
    /// Plain Rust in whole numbers, on every machine.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// The same, straight from the frame: samples of one byte, at most two rows and two columns a pixel, in a row
    /// of at least sixteen bytes; not enlarged.
    Avx2Direct,
    /// 64-bit ARM.
    Neon,
}

impl Kernel {
    /// Every kernel, the fastest first.
    pub const ALL: [Self; 5] = [
        Self::Avx2Direct,
        Self::Avx2,
        Self::Neon,
        Self::Portable,
        Self::Scalar,
    ];

    /// Its name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx2Direct => "avx2-direct",
            Self::Neon => "neon",
        }
    }
}

/// How a picture is prepared for a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preparation {
    /// How it is made to fit the tensor.
    pub fit: Fit,
    /// How pixels between the camera's are made.
    pub resample: Resample,
    /// Order of the tensor's channels.
    pub channels: Channels,
    /// Real values of black and white, before quantisation.
    pub range: InputRange,
    /// What of the camera's picture is looked at, and which way up.
    pub view: View,
}

/// How one camera's frames become one model's input tensor.
///
/// Holding a plan proves that every offset in it lies inside a frame of [`Plan::frame_bytes`], and that
/// its picture lies inside a tensor of [`Plan::tensor_bytes`].
///
/// | tensor | shape | stored |
/// |---|---|---|
/// | f32, f16 | [1, h, w, 3] or [1, 3, h, w] red, green, blue or as the preparation says; [1, h, w, 1] or [1, 1, h, w] luma | black and white are the ends of the input range |
/// | u8, i8 | the same | `round(real / scale) + zero_point`, clamped to the type |
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Along the camera's rows, and along its columns.
    pub(super) across: Taps,
    pub(super) down: Taps,
    pub(super) conversion: Conversion,
    pub(super) picture: Picture,
    pub(super) tensor_px: [usize; 2],
    pub(super) channels: usize,
    /// As many as channels where each is a plane of its own; else 1.
    pub(super) planes: usize,
    pub(super) kind: TensorType,
    pub(super) sampling: Sampling,
    /// The camera's rows are the tensor's columns.
    sideways: bool,
    strips: Option<Strips>,
    frame_bytes: usize,
    tensor_bytes: usize,
    mapping: Mapping,
    kernel: Kernel,
    geometry: Geometry,
    /// There is room for every part of the picture.
    movable: bool,
}

impl Plan {
    /// [`Plan::prepared`], bilinear, red first, of the whole picture as it is.
    ///
    /// # Errors
    /// What does not go together, with what was found.
    pub fn new(
        format: &StreamFormat,
        tensor: &TensorInfo,
        fit: Fit,
        input_range: [f32; 2],
    ) -> Result<Self, PlanError> {
        Self::prepared(
            format,
            tensor,
            &Preparation {
                fit,
                resample: Resample::Bilinear,
                channels: Channels::Rgb,
                range: InputRange::One(input_range),
                view: View::default(),
            },
        )
    }

    /// Works out how frames of `format` become `tensor`, on the fastest kernel of this machine.
    ///
    /// # Errors
    /// What does not go together, with what was found.
    pub fn prepared(
        format: &StreamFormat,
        tensor: &TensorInfo,
        preparation: &Preparation,
    ) -> Result<Self, PlanError> {
        Self::made(format, tensor, preparation, false)
    }

    /// The same with room for every part of the picture, of which [`Plan::aim`] takes one: for pictures of
    /// what another model has found. It shows the whole picture until then.
    ///
    /// # Errors
    /// As of [`Plan::prepared`].
    pub fn movable(
        format: &StreamFormat,
        tensor: &TensorInfo,
        preparation: &Preparation,
    ) -> Result<Self, PlanError> {
        Self::made(format, tensor, preparation, true)
    }

    /// From now on the tensor shows this part of the picture alone: left edge, upper edge, width and height in
    /// the camera's own pixels, cut to what the camera's view shows. As [`Plan::prepared`] with that part
    /// for its region, on the fastest kernel that serves. Allocates nothing.
    ///
    /// # Errors
    /// Nothing of that part is looked at, or the plan was not made to be moved; it is then as it was.
    pub fn aim(&mut self, part_px: [u32; 4]) -> Result<(), AimError> {
        let refused = AimError { part_px };
        if !self.movable {
            return Err(refused);
        }
        let seen = self.geometry.grid_of(part_px).ok_or(refused)?;
        let layout = self.geometry.lay(seen);
        let resample = self.geometry.resample;
        let [across, down] = &layout.extents;
        // There is room for every part.
        self.across.aim(across, resample).ok_or(refused)?;
        self.down.aim(down, resample).ok_or(refused)?;
        self.picture = layout.picture;
        self.mapping = layout.mapping;
        let taps = [&self.across, &self.down];
        if let Some(strips) = &mut self.strips {
            // Where they cannot be, the plain kernel serves.
            let _ = strips.aim(&self.sampling, taps);
        }
        self.kernel = fastest(self.strips.as_ref());
        Ok(())
    }

    fn made(
        format: &StreamFormat,
        tensor: &TensorInfo,
        preparation: &Preparation,
        movable: bool,
    ) -> Result<Self, PlanError> {
        let (tensor_px, channels, planes) = match tensor.picture() {
            Some(PictureShape {
                height_px: height @ 1..=MAX_SIDE,
                width_px: width @ 1..=MAX_SIDE,
                channels: channels @ (1 | 3),
                is_planar,
            }) => (
                [width, height],
                channels,
                if is_planar { channels } else { 1 },
            ),
            _ => {
                return Err(PlanError::Shape {
                    found: tensor.shape.clone(),
                });
            }
        };
        let &Preparation {
            fit,
            resample,
            channels: order,
            range,
            view,
        } = preparation;
        let grey = channels == 1 || order == Channels::Grey;
        let sampling = Sampling::new(format, grey)?;
        let frame_bytes = sampling.frame_bytes(format);
        if frame_bytes > format.size_bytes as usize {
            return Err(PlanError::Buffer {
                found_bytes: format.size_bytes,
                needed_bytes: frame_bytes as u64,
            });
        }
        if let (InputRange::Each(found), 1) = (range, channels) {
            return Err(PlanError::Ranges { found });
        }
        for index in 0..channels {
            check_range(tensor, range.of(index))?;
        }

        let geometry = Geometry {
            fit,
            resample,
            tensor_px,
            camera_px: [format.width_px, format.height_px],
            seen: seen(format, &sampling, &view)?,
            block_px: sampling.block_px(),
            sideways: view.rotate.is_sideways(),
            flipped: view.flipped(),
        };
        let layout = geometry.lay(geometry.seen);
        let conversion = Conversion::new(&sampling, format.colour, tensor, range, order);
        let (across, down, strips) = if movable {
            let [mut across, mut down] = geometry.room();
            let mut strips = Strips::with_room(&sampling, [&across, &down], MOST_TAPS, &conversion);
            let [columns, lines] = &layout.extents;
            // There is room for every part.
            let _ = across.aim(columns, resample).and(down.aim(lines, resample));
            if let Some(strips) = &mut strips {
                let _ = strips.aim(&sampling, [&across, &down]);
            }
            (across, down, strips)
        } else {
            let [across, down] = layout.extents.map(|extent| Taps::new(&extent, resample));
            let strips = Strips::new(&sampling, [&across, &down], &conversion);
            (across, down, strips)
        };
        Ok(Self {
            kernel: fastest(strips.as_ref()),
            strips,
            across,
            down,
            conversion,
            picture: layout.picture,
            tensor_px,
            channels,
            planes,
            kind: tensor.kind,
            sampling,
            sideways: geometry.sideways,
            frame_bytes,
            tensor_bytes: tensor.bytes(),
            mapping: layout.mapping,
            geometry,
            movable,
        })
    }

    /// The same plan on another kernel; `None` where this machine or this plan cannot have it.
    #[must_use]
    pub fn with_kernel(self, kernel: Kernel) -> Option<Self> {
        let serves = |strips: &Strips| strips.serves(kernel);
        let available = kernel == Kernel::Scalar || self.strips.as_ref().is_some_and(serves);
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
    /// closer together than cache lines. 0 where no fast kernel serves.
    #[must_use]
    pub fn read_bytes(&self) -> usize {
        let rows = self
            .strips
            .as_ref()
            .filter(|strips| strips.serves(Kernel::Portable))
            .map(|strips| strips.rows_read(&self.sampling));
        rows.unwrap_or_default().iter().map(|row| row.1).sum()
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
        let pixel = self.pixel_bytes();
        let row = self.tensor_px[0] * pixel;
        let Picture {
            x,
            y,
            width,
            height,
        } = self.picture;
        let mut black = [0; MOST_PIXEL_BYTES];
        self.write_pixel(self.conversion.channels.map(|of| of.black), &mut black);
        let planes = tensor.chunks_exact_mut(self.plane_bytes());
        for (plane, black) in planes.zip(black.chunks_exact(pixel)) {
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
        Ok(())
    }

    /// Stores values, each where the one before ends, as far as there is room.
    pub(super) fn write_pixel(&self, values: [f32; 3], out: &mut [u8]) {
        for (out, value) in out.chunks_exact_mut(self.kind.bytes()).zip(values) {
            self.write_element(value, out);
        }
    }

    /// Stores a value in exactly its bytes.
    pub(super) fn write_element(&self, value: f32, out: &mut [u8]) {
        match self.kind {
            TensorType::F32 => out.copy_from_slice(&value.to_ne_bytes()),
            TensorType::F16 => out.copy_from_slice(&Half::nearest(value).to_ne_bytes()),
            TensorType::U8 | TensorType::I8 => out.fill(scalar::quantise(value)),
        }
    }

    /// Bytes of a pixel in a plane.
    pub(super) const fn pixel_bytes(&self) -> usize {
        self.channels / self.planes * self.kind.bytes()
    }

    /// The camera's rows are the tensor's columns.
    pub(super) const fn is_sideways(&self) -> bool {
        self.sideways
    }

    /// Bytes of a plane: the whole tensor where there is one.
    pub(super) const fn plane_bytes(&self) -> usize {
        self.tensor_bytes / self.planes
    }

    /// Byte of a plane at which a pixel of the picture starts: of position `across` along the camera's
    /// rows and `down` along its columns.
    pub(super) const fn pixel_at(&self, across: usize, down: usize) -> usize {
        let (x, y) = if self.sideways {
            (down, across)
        } else {
            (across, down)
        };
        let pixel = (self.picture.y + y) * self.tensor_px[0] + self.picture.x + x;
        pixel * self.pixel_bytes()
    }

    fn write_picture(&self, frame: &[u8], tensor: &mut [u8]) {
        match (&self.strips, self.kernel) {
            (None, _) | (_, Kernel::Scalar) => scalar::write_picture(self, frame, tensor),
            (Some(strips), kernel) => strips.write_picture(self, kernel, frame, tensor),
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

/// The fastest kernel of this machine that these tables serve.
fn fastest(strips: Option<&Strips>) -> Kernel {
    let serves = |kernel: &Kernel| strips.is_some_and(|strips| strips.serves(*kernel));
    let found = Kernel::ALL.into_iter().find(serves);
    found.unwrap_or(Kernel::Scalar)
}

/// The range has two different ends, and the tensor can store it; a quantised one but for a twentieth of it:
/// calibrated ranges stop a little short of the nominal one.
fn check_range(tensor: &TensorInfo, range: [f32; 2]) -> Result<(), PlanError> {
    let [black, white] = range.map(f64::from);
    if !black.is_finite() || !white.is_finite() || range[0] == range[1] {
        return Err(PlanError::Range { found: range });
    }
    let quantised = tensor.kind.is_quantised();
    if quantised && !(tensor.scale.is_finite() && tensor.scale > 0.0) {
        return Err(PlanError::Scale {
            found: tensor.scale,
        });
    }
    let (least, greatest) = stored_range(tensor.kind);
    let slack = if quantised {
        0.05 * (stored(tensor, white) - stored(tensor, black)).abs()
    } else {
        0.0
    };
    let fits = |real| (least - slack..=greatest + slack).contains(&stored(tensor, real));
    if fits(black) && fits(white) {
        return Ok(());
    }
    let real = |value: f64| {
        if quantised {
            (value - f64::from(tensor.zero_point)) * f64::from(tensor.scale)
        } else {
            value
        }
    };
    Err(PlanError::Unstorable {
        found: range,
        storable: [real(least), real(greatest)],
    })
}
