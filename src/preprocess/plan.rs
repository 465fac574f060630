//! The plan of one camera for one tensor.

use super::colour::{Conversion, stored, stored_range};
use super::fault::{PlanError, RegionError, RunError};
use super::filter_weights::{FilterWeights, MAX_WEIGHTS};
use super::geometry::{Geometry, shown};
use super::kernels::{Kernel, Kernels};
use super::layout::{MAX_SIDE, TensorLayout};
use super::mapping::Mapping;
use super::sampling::Sampling;
use super::scalar::Reference;
use crate::frame::StreamFormat;
use crate::infer::{PictureShape, TensorInfo};
use crate::profile::{Channels, Fit, InputRange, Resample, View};

/// How an image is prepared for a model.
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
    /// What of the camera's image is shown, and which way up.
    pub view: View,
}

/// How one camera's frames become one model's input tensor.
///
/// Holding a plan proves that every offset in it lies inside a frame of [`Plan::frame_bytes`], and that
/// its image lies inside a tensor of [`Plan::tensor_bytes`].
///
/// | tensor | shape | stored |
/// |---|---|---|
/// | f32, f16 | [1, h, w, 3] or [1, 3, h, w] red, green, blue or as the preparation says; [1, h, w, 1] or [1, 1, h, w] luma | black and white are the ends of the input range |
/// | u8, i8 | the same | `round(real / scale) + zero_point`, clamped to the type |
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Along the camera's rows, and along its columns.
    weights: [FilterWeights; 2],
    conversion: Conversion,
    layout: TensorLayout,
    sampling: Sampling,
    kernels: Option<Kernels>,
    frame_bytes: usize,
    mapping: Mapping,
    kernel: Kernel,
    geometry: Geometry,
    /// It has the memory for every region of the image.
    is_movable: bool,
}

impl Plan {
    /// [`Plan::prepared`], bilinear, red first, of the whole image as it is.
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

    /// The same with the memory for every region of the image, of which [`Plan::set_region`] takes one: for images
    /// of what another model has found. It shows the whole image until then.
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

    /// Has the tensor show this region of the image alone: left edge, upper edge, width and height in the camera's
    /// own pixels, cut to what the camera's view shows. As [`Plan::prepared`] with that region, on the fastest kernel
    /// that serves. Allocates nothing.
    ///
    /// # Errors
    /// Nothing of that region is shown, or the plan was not made to be moved; it is then as it was.
    pub fn set_region(&mut self, region_px: [u32; 4]) -> Result<(), RegionError> {
        let refused = RegionError { region_px };
        if !self.is_movable {
            return Err(refused);
        }
        let shown = self.geometry.grid_of(region_px).ok_or(refused)?;
        let placement = self.geometry.place(shown);
        let resample = self.geometry.resample;
        // There is memory for every region.
        for (weights, extent) in self.weights.iter_mut().zip(&placement.extents) {
            weights.update(extent, resample).ok_or(refused)?;
        }
        self.layout.image = placement.image;
        self.mapping = placement.mapping;
        if let Some(kernels) = &mut self.kernels {
            // Where they cannot be, the scalar kernel serves.
            let _ = kernels.update(&self.sampling, self.weights.each_ref());
        }
        self.kernel = fastest(self.kernels.as_ref());
        Ok(())
    }

    fn made(
        format: &StreamFormat,
        tensor: &TensorInfo,
        preparation: &Preparation,
        is_movable: bool,
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
            shown: shown(format, &sampling, &view)?,
            block_px: sampling.block_px(),
            is_transposed: view.rotate.is_sideways(),
            flipped: view.flipped(),
        };
        let placement = geometry.place(geometry.shown);
        let conversion = Conversion::new(&sampling, format.colour, tensor, range, order);
        let (weights, kernels) = if is_movable {
            let mut weights = geometry.weights_with_capacity();
            let mut kernels =
                Kernels::with_capacity(&sampling, weights.each_ref(), MAX_WEIGHTS, &conversion);
            for (weights, extent) in weights.iter_mut().zip(&placement.extents) {
                // There is memory for every region.
                let _ = weights.update(extent, resample);
            }
            if let Some(kernels) = &mut kernels {
                let _ = kernels.update(&sampling, weights.each_ref());
            }
            (weights, kernels)
        } else {
            let weights = placement
                .extents
                .map(|extent| FilterWeights::new(&extent, resample));
            let kernels = Kernels::new(&sampling, weights.each_ref(), &conversion);
            (weights, kernels)
        };
        Ok(Self {
            kernel: fastest(kernels.as_ref()),
            kernels,
            weights,
            conversion,
            layout: TensorLayout {
                kind: tensor.kind,
                tensor_px,
                channels,
                planes,
                image: placement.image,
                is_transposed: geometry.is_transposed,
                bytes: tensor.bytes(),
            },
            sampling,
            frame_bytes,
            mapping: placement.mapping,
            geometry,
            is_movable,
        })
    }

    /// The same plan on another kernel; `None` where this machine or this plan cannot have it.
    #[must_use]
    pub fn with_kernel(self, kernel: Kernel) -> Option<Self> {
        let serves = |kernels: &Kernels| kernels.serves(kernel);
        let available = kernel == Kernel::Scalar || self.kernels.as_ref().is_some_and(serves);
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
            .kernels
            .as_ref()
            .filter(|kernels| kernels.serves(Kernel::Portable))
            .map(|kernels| kernels.rows_read(&self.sampling));
        rows.unwrap_or_default().iter().map(|row| row.1).sum()
    }

    /// Bytes of the tensor.
    #[must_use]
    pub const fn tensor_bytes(&self) -> usize {
        self.layout.bytes
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

    /// Writes the whole tensor from one frame: image and bars.
    ///
    /// # Errors
    /// The frame or the tensor is not what the plan was made for; the tensor is then unchanged.
    pub fn run(&self, frame: &[u8], tensor: &mut [u8]) -> Result<(), RunError> {
        self.check(frame, tensor)?;
        self.fill_bars(tensor)?;
        self.write_image(frame, tensor);
        Ok(())
    }

    /// Writes the image and leaves the bars: for a tensor that [`Plan::fill_bars`] has prepared and
    /// that keeps what was written to it.
    ///
    /// # Errors
    /// The frame or the tensor is not what the plan was made for; the tensor is then unchanged.
    pub fn run_picture(&self, frame: &[u8], tensor: &mut [u8]) -> Result<(), RunError> {
        self.check(frame, tensor)?;
        self.write_image(frame, tensor);
        Ok(())
    }

    /// Writes black where the tensor has no image.
    ///
    /// # Errors
    /// The tensor is not the one that the plan was made for; it is then unchanged.
    pub fn fill_bars(&self, tensor: &mut [u8]) -> Result<(), RunError> {
        self.check_tensor(tensor)?;
        let black = self.conversion.channels.map(|channel| channel.black);
        self.layout.fill_bars(black, tensor);
        Ok(())
    }

    fn write_image(&self, frame: &[u8], tensor: &mut [u8]) {
        match (&self.kernels, self.kernel) {
            (None, _) | (_, Kernel::Scalar) => {
                let reference = Reference {
                    weights: self.weights.each_ref(),
                    sampling: &self.sampling,
                    conversion: &self.conversion,
                };
                reference.write_image(&self.layout, frame, tensor);
            }
            (Some(kernels), kernel) => kernels.write_image(&self.layout, kernel, frame, tensor),
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
        if tensor.len() == self.layout.bytes {
            Ok(())
        } else {
            Err(RunError::TensorSize {
                found_bytes: tensor.len(),
                needed_bytes: self.layout.bytes,
            })
        }
    }
}

/// The fastest kernel that serves.
fn fastest(kernels: Option<&Kernels>) -> Kernel {
    let serves = |kernel: &Kernel| kernels.is_some_and(|kernels| kernels.serves(*kernel));
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
