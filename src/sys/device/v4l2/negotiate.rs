//! What is asked of a camera, and what came of it.

use super::colour::colour;
use super::crop::{apply_crop, set_crop};
use super::enumerate::{formats, rates_hz, sizes};
use super::error::{CameraErrorKind, fourcc_text};
use super::ioctl::{
    MAX_PLANES, get_format, get_parameters, set_format, set_parameters, v4l2_format,
    v4l2_streamparm, zeroed,
};
use super::node::Queue;
use super::planes::Planes;
use crate::capture::SourceError;
use crate::frame::{PixelFormat, StreamFormat};
use crate::units::NS_PER_S;
use nix::libc;
use std::os::fd::OwnedFd;
use v4l::v4l_sys;

/// What a camera is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CameraRequest {
    /// Pixel format.
    pub pixel: PixelFormat,
    /// Width, 1..=65535.
    pub width_px: u32,
    /// Height, 1..=65535.
    pub height_px: u32,
    /// Frames a second, above 0.
    pub rate_hz: f64,
    /// The part of the sensor that the picture shows: left, top, width, height in the sensor's pixels.
    /// `None` leaves it to the driver.
    pub crop: Option<[u32; 4]>,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub format: StreamFormat,
    pub planes: Planes,
}

/// What the driver made of it: as read back, not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Given {
    fourcc: [u8; 4],
    width_px: u32,
    height_px: u32,
    field: u32,
    planes: u32,
    /// Bytes from row to row, and of the whole, by memory plane.
    strides_bytes: [u32; MAX_PLANES],
    sizes_bytes: [u32; MAX_PLANES],
    /// `colorspace`, `ycbcr_enc`, `quantization`.
    colour: (u32, u32, u32),
}

/// Marks the single-planar struct's colour fields as valid.
///
/// # Source
/// linux/videodev2.h: `V4L2_PIX_FMT_PRIV_MAGIC`.
const PRIVATE_MAGIC: u32 = 0xfeed_cafe;

/// Rates that differ by less than this are the same: 29.97 Hz is not 30 Hz, but 1001/30030 is.
const RATE_TOLERANCE: f64 = 0.000_5;

/// Sets format and rate, and checks what the driver made of them. Allocates for an error only.
pub(super) fn negotiate(
    fd: &OwnedFd,
    queue: Queue,
    request: &CameraRequest,
) -> Result<Agreed, CameraErrorKind> {
    if let Some(crop) = request.crop {
        // First of all: a driver that cannot scale makes its pictures as large as this.
        set_crop(fd, crop)?;
    }
    let given = ask_format(fd, queue, request).map_err(|error| match error.errno {
        // Drivers are to adjust what they do not offer, but some refuse it.
        libc::EINVAL => CameraErrorKind::Format {
            expected: request.pixel.fourcc(),
            offered: formats(fd, queue)
                .into_iter()
                .map(|format| format.fourcc)
                .collect(),
        },
        _ => CameraErrorKind::Kernel(error),
    })?;
    let agreed = judge(&given, request, fd, queue)?;
    if let Some(crop) = request.crop {
        // And again: a driver that cannot scale makes this as large as its pictures.
        set_crop(fd, crop)?;
    }
    let interval_ns = ask_interval(fd, queue, request)?;
    Ok(Agreed {
        format: StreamFormat {
            interval_ns,
            ..agreed.format
        },
        ..agreed
    })
}

/// Sets format and rate again after a reopening: they must come out as before. Does not allocate.
pub(super) fn renegotiate(
    fd: &OwnedFd,
    queue: Queue,
    request: &CameraRequest,
    before: &Agreed,
) -> Result<(), SourceError> {
    if let Some(crop) = request.crop {
        apply_crop(fd, crop)?;
    }
    let given = ask_format(fd, queue, request)?;
    let same = layout(&given, request).is_some_and(|mut now| {
        now.format.interval_ns = before.format.interval_ns;
        now == *before
    });
    if !same {
        return Err(SourceError::new(
            "VIDIOC_S_FMT (another format than before)",
            libc::EINVAL,
        ));
    }
    if let Some(crop) = request.crop {
        apply_crop(fd, crop)?;
    }
    // A rate that differs now shows in the frames that arrive; the stream is worth having even so.
    let _ = set_interval(fd, queue, request);
    Ok(())
}

/// The format that a camera has, whatever it is: for who wants to know its buffers and nothing else.
pub(super) fn as_it_is(fd: &OwnedFd, queue: Queue) -> Result<Agreed, SourceError> {
    let mut raw: v4l2_format = zeroed();
    raw.type_ = queue.kind();
    get_format(fd, &mut raw)?;
    let given = given(&raw, queue);
    let [size_bytes, ..] = given.sizes_bytes;
    let pixel = PixelFormat::from_fourcc(given.fourcc).unwrap_or(PixelFormat::Grey);
    let planes = if given.planes == 1 {
        Some(Planes::one(size_bytes))
    } else {
        let known = (&given.strides_bytes, &given.sizes_bytes);
        Planes::several(pixel, known, given.height_px)
    };
    let unknown = SourceError::new("VIDIOC_G_FMT (planes of an unknown kind)", libc::EINVAL);
    Ok(Agreed {
        format: StreamFormat {
            pixel,
            width_px: given.width_px,
            height_px: given.height_px,
            stride_bytes: given.strides_bytes[0],
            size_bytes,
            colour: Default::default(),
            interval_ns: 0,
        },
        planes: planes.ok_or(unknown)?,
    })
}

fn ask_format(fd: &OwnedFd, queue: Queue, request: &CameraRequest) -> Result<Given, SourceError> {
    let pixelformat = u32::from_le_bytes(request.pixel.fourcc());
    let field = v4l_sys::v4l2_field_V4L2_FIELD_NONE;
    let (width, height) = (request.width_px, request.height_px);
    let mut raw: v4l2_format = zeroed();
    raw.type_ = queue.kind();
    match queue {
        Queue::Single => {
            let mut pix = read_single(&raw);
            (pix.width, pix.height, pix.pixelformat, pix.field) =
                (width, height, pixelformat, field);
            pix.priv_ = PRIVATE_MAGIC;
            raw.fmt.pix = pix;
        }
        Queue::Multi => {
            let mut pix = read_multi(&raw);
            (pix.width, pix.height, pix.pixelformat, pix.field) =
                (width, height, pixelformat, field);
            // At most MAX_PLANES.
            #[allow(clippy::cast_possible_truncation)]
            {
                pix.num_planes = request.pixel.memory_planes() as u8;
            }
            raw.fmt.pix_mp = pix;
        }
    }
    set_format(fd, &mut raw)?;
    Ok(given(&raw, queue))
}

/// What a format says that the driver has filled in.
fn given(raw: &v4l2_format, queue: Queue) -> Given {
    match queue {
        Queue::Single => {
            let pix = read_single(raw);
            let extended = pix.priv_ == PRIVATE_MAGIC;
            let (encoding, quantization) = if extended {
                (single_encoding(&pix), pix.quantization)
            } else {
                (0, 0)
            };
            Given {
                fourcc: pix.pixelformat.to_le_bytes(),
                width_px: pix.width,
                height_px: pix.height,
                field: pix.field,
                planes: 1,
                strides_bytes: [pix.bytesperline, 0, 0],
                sizes_bytes: [pix.sizeimage, 0, 0],
                colour: (pix.colorspace, encoding, quantization),
            }
        }
        Queue::Multi => {
            let pix = read_multi(raw);
            // The struct is packed: its fields are copied, never borrowed.
            let of = pix.plane_fmt;
            Given {
                fourcc: { pix.pixelformat }.to_le_bytes(),
                width_px: pix.width,
                height_px: pix.height,
                field: pix.field,
                planes: u32::from(pix.num_planes),
                strides_bytes: [0, 1, 2].map(|plane: usize| of[plane].bytesperline),
                sizes_bytes: [0, 1, 2].map(|plane: usize| of[plane].sizeimage),
                colour: (
                    pix.colorspace,
                    u32::from(multi_encoding(&pix)),
                    u32::from(pix.quantization),
                ),
            }
        }
    }
}

#[allow(unsafe_code)]
fn read_single(raw: &v4l2_format) -> v4l_sys::v4l2_pix_format {
    // SAFETY: the union holds integers only, and all of its bytes were initialised by `zeroed` or by the
    // kernel: any view of it is a value.
    unsafe { raw.fmt.pix }
}

#[allow(unsafe_code)]
fn read_multi(raw: &v4l2_format) -> v4l_sys::v4l2_pix_format_mplane {
    // SAFETY: as in `read_single`.
    unsafe { raw.fmt.pix_mp }
}

#[allow(unsafe_code)]
fn single_encoding(pix: &v4l_sys::v4l2_pix_format) -> u32 {
    // SAFETY: both members of the union are a u32.
    unsafe { pix.__bindgen_anon_1.ycbcr_enc }
}

#[allow(unsafe_code)]
fn multi_encoding(pix: &v4l_sys::v4l2_pix_format_mplane) -> u8 {
    // SAFETY: both members of the union are a u8.
    unsafe { pix.__bindgen_anon_1.ycbcr_enc }
}

/// The format, if it is the one that was asked for and its numbers hold an image.
fn layout(given: &Given, request: &CameraRequest) -> Option<Agreed> {
    let pixel = request.pixel;
    let same = given.fourcc == pixel.fourcc()
        && (given.width_px, given.height_px) == (request.width_px, request.height_px);
    let whole = given.field == v4l_sys::v4l2_field_V4L2_FIELD_NONE
        || given.field == v4l_sys::v4l2_field_V4L2_FIELD_ANY;
    let [stride_bytes, ..] = given.strides_bytes;
    let row_bytes = pixel.row_bytes(given.width_px.next_multiple_of(2));
    let image_bytes = pixel.image_bytes(stride_bytes, given.height_px);
    let count = pixel.memory_planes();
    if !same || !whole || given.planes as usize != count || u64::from(stride_bytes) < row_bytes {
        return None;
    }
    let (planes, size_bytes) = if count == 1 {
        let [size_bytes, ..] = given.sizes_bytes;
        // Of compressed frames rows have no length, and the driver says how long a frame may be.
        let holds = u64::from(size_bytes) >= image_bytes.max(1);
        (holds.then_some(Planes::one(size_bytes))?, size_bytes)
    } else {
        let planes = Planes::several(
            pixel,
            (&given.strides_bytes, &given.sizes_bytes),
            given.height_px,
        )?;
        // In a slot they follow each other.
        (planes, u32::try_from(image_bytes).ok()?)
    };
    let (colorspace, ycbcr_enc, quantization) = given.colour;
    Some(Agreed {
        format: StreamFormat {
            pixel,
            width_px: given.width_px,
            height_px: given.height_px,
            stride_bytes,
            size_bytes,
            colour: colour(pixel, colorspace, ycbcr_enc, quantization),
            interval_ns: 0,
        },
        planes,
    })
}

/// The format, or what is wrong with it.
fn judge(
    given: &Given,
    request: &CameraRequest,
    fd: &OwnedFd,
    queue: Queue,
) -> Result<Agreed, CameraErrorKind> {
    if let Some(agreed) = layout(given, request) {
        return Ok(agreed);
    }
    let expected = request.pixel.fourcc();
    if given.fourcc != expected {
        let offered = formats(fd, queue)
            .into_iter()
            .map(|format| format.fourcc)
            .collect();
        return Err(CameraErrorKind::Format { expected, offered });
    }
    let expected_px = (request.width_px, request.height_px);
    let found_px = (given.width_px, given.height_px);
    if found_px != expected_px {
        let offered = sizes(fd, u32::from_le_bytes(expected));
        let offered = offered.iter().map(ToString::to_string).collect();
        return Err(CameraErrorKind::Size {
            expected_px,
            found_px,
            offered,
        });
    }
    let field = given.field;
    if field != v4l_sys::v4l2_field_V4L2_FIELD_NONE && field != v4l_sys::v4l2_field_V4L2_FIELD_ANY {
        return Err(CameraErrorKind::Interlaced { field });
    }
    log::debug!("{}: layout {given:?}", fourcc_text(expected));
    Err(CameraErrorKind::Layout {
        stride_bytes: given.strides_bytes[0],
        size_bytes: given.sizes_bytes.iter().sum(),
        planes: given.planes,
    })
}

/// Sets the rate. Gives the interval that the driver agreed to; 0 where it does not say.
fn ask_interval(
    fd: &OwnedFd,
    queue: Queue,
    request: &CameraRequest,
) -> Result<u64, CameraErrorKind> {
    let Some((numerator, denominator)) = set_interval(fd, queue, request)? else {
        return Ok(0);
    };
    let found_hz = f64::from(denominator) / f64::from(numerator);
    if (found_hz / request.rate_hz - 1.0).abs() > RATE_TOLERANCE {
        let pixel_format = u32::from_le_bytes(request.pixel.fourcc());
        let offered = rates_hz(fd, pixel_format, (request.width_px, request.height_px));
        return Err(CameraErrorKind::Rate {
            expected_mhz: millihertz(request.rate_hz),
            found_mhz: millihertz(found_hz),
            offered: offered
                .iter()
                .map(|rate| format!("{rate:.5}"))
                .map(trim_zeroes)
                .collect(),
        });
    }
    Ok(u64::from(numerator) * NS_PER_S / u64::from(denominator))
}

fn trim_zeroes(number: String) -> String {
    number
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// The interval as a fraction of a second, both parts above 0; `None` where the driver has no say in it.
fn set_interval(
    fd: &OwnedFd,
    queue: Queue,
    request: &CameraRequest,
) -> Result<Option<(u32, u32)>, CameraErrorKind> {
    let mut raw: v4l2_streamparm = zeroed();
    raw.type_ = queue.kind();
    if let Err(error) = get_parameters(fd, &mut raw) {
        return match error.errno {
            libc::ENOTTY | libc::EINVAL => Ok(None),
            _ => Err(CameraErrorKind::Kernel(error)),
        };
    }
    let mut capture = read_capture(&raw);
    if capture.capability & v4l_sys::V4L2_CAP_TIMEPERFRAME != 0 {
        let (numerator, denominator) = interval(request.rate_hz);
        capture.timeperframe = v4l_sys::v4l2_fract {
            numerator,
            denominator,
        };
        raw.parm.capture = capture;
        set_parameters(fd, &mut raw).map_err(CameraErrorKind::Kernel)?;
        capture = read_capture(&raw);
    }
    let v4l_sys::v4l2_fract {
        numerator,
        denominator,
    } = capture.timeperframe;
    Ok((numerator != 0 && denominator != 0).then_some((numerator, denominator)))
}

#[allow(unsafe_code)]
fn read_capture(raw: &v4l2_streamparm) -> v4l_sys::v4l2_captureparm {
    // SAFETY: the union holds integers only, and all of its bytes were initialised by `zeroed` or by the
    // kernel.
    unsafe { raw.parm.capture }
}

/// A rate in thousandths of a hertz.
fn millihertz(rate_hz: f64) -> u64 {
    // Saturates, and rates are far below.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    {
        (rate_hz * 1000.0).round() as u64
    }
}

/// The frame interval of a rate, as a reduced fraction of a second: n/1001 rates by their usual fraction.
fn interval(rate_hz: f64) -> (u32, u32) {
    let ntsc = rate_hz * 1.001;
    if (rate_hz - rate_hz.round()).abs() > 1e-9 && (ntsc - ntsc.round()).abs() < 0.000_5 * ntsc {
        let whole = u32::try_from(millihertz(ntsc.round())).unwrap_or(u32::MAX);
        return reduce(1001, whole);
    }
    reduce(
        1000,
        u32::try_from(millihertz(rate_hz))
            .unwrap_or(u32::MAX)
            .max(1),
    )
}

fn reduce(numerator: u32, denominator: u32) -> (u32, u32) {
    let (mut a, mut b) = (numerator, denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (numerator / a.max(1), denominator / a.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Colour, Encoding, Quantization};

    fn request(pixel: PixelFormat) -> CameraRequest {
        CameraRequest {
            pixel,
            width_px: 1920,
            height_px: 1080,
            rate_hz: 30.0,
            crop: None,
        }
    }

    fn given(pixel: PixelFormat, stride_bytes: u32, size_bytes: u32) -> Given {
        Given {
            fourcc: pixel.fourcc(),
            width_px: 1920,
            height_px: 1080,
            field: 1,
            planes: 1,
            strides_bytes: [stride_bytes, 0, 0],
            sizes_bytes: [size_bytes, 0, 0],
            colour: (8, 0, 0),
        }
    }

    #[test]
    fn strides_and_sizes_of_the_driver_are_honoured() {
        let wide = given(PixelFormat::Nv12, 2048, 2048 * 1620 + 4096);
        let Agreed { format, planes } = layout(&wide, &request(PixelFormat::Nv12)).unwrap();
        assert_eq!(planes, Planes::one(2048 * 1620 + 4096));
        assert_eq!(
            (format.stride_bytes, format.size_bytes),
            (2048, 2048 * 1620 + 4096)
        );
        let colour = Colour {
            encoding: Encoding::Bt601,
            quantization: Quantization::Limited,
        };
        assert_eq!(format.colour, colour);
    }

    #[test]
    fn compressed_frames_are_as_long_as_the_driver_says() {
        let asked = request(PixelFormat::Mjpg);
        let agreed = layout(&given(PixelFormat::Mjpg, 0, 4_147_200), &asked).unwrap();
        let format = agreed.format;
        assert_eq!((format.stride_bytes, format.size_bytes), (0, 4_147_200));
        assert!(layout(&given(PixelFormat::Mjpg, 0, 0), &asked).is_none());
    }

    #[test]
    fn a_layout_that_does_not_hold_the_image_is_refused() {
        let asked = request(PixelFormat::Yuyv);
        let fits = given(PixelFormat::Yuyv, 3840, 3840 * 1080);
        assert!(layout(&fits, &asked).is_some());
        assert!(
            layout(
                &Given {
                    strides_bytes: [3839, 0, 0],
                    ..fits
                },
                &asked
            )
            .is_none()
        );
        assert!(
            layout(
                &Given {
                    sizes_bytes: [3840 * 1080 - 1, 0, 0],
                    ..fits
                },
                &asked
            )
            .is_none()
        );
        assert!(layout(&Given { planes: 2, ..fits }, &asked).is_none());
        assert!(layout(&Given { field: 4, ..fits }, &asked).is_none());
        assert!(
            layout(
                &Given {
                    width_px: 1918,
                    ..fits
                },
                &asked
            )
            .is_none()
        );
        assert!(
            layout(
                &Given {
                    fourcc: *b"MJPG",
                    ..fits
                },
                &asked
            )
            .is_none()
        );
    }

    #[test]
    fn planes_of_their_own_memory_make_one_picture() {
        let asked = request(PixelFormat::Nv12m);
        let two = Given {
            planes: 2,
            strides_bytes: [1920, 1920, 0],
            sizes_bytes: [1920 * 1080, 1920 * 540, 0],
            ..given(PixelFormat::Nv12m, 0, 0)
        };
        let agreed = layout(&two, &asked).unwrap();
        assert_eq!(agreed.format.size_bytes, 1920 * 1620);
        assert!(agreed.planes.fit_a_slot(&agreed.format));
        let padded = Given {
            sizes_bytes: [1920 * 1088, 1920 * 544, 0],
            ..two
        };
        let agreed = layout(&padded, &asked).unwrap();
        assert_eq!(agreed.format.size_bytes, 1920 * 1620);
        assert!(!agreed.planes.fit_a_slot(&agreed.format), "they are copied");
        let odd_stride = Given {
            strides_bytes: [1920, 2048, 0],
            sizes_bytes: [1920 * 1080, 2048 * 540, 0],
            ..two
        };
        assert!(layout(&odd_stride, &asked).is_none());
        let short = Given {
            sizes_bytes: [1920 * 1080, 1920 * 540 - 1, 0],
            ..two
        };
        assert!(layout(&short, &asked).is_none());
        assert!(layout(&Given { planes: 1, ..two }, &asked).is_none());
    }

    #[test]
    fn rates_become_the_fractions_that_drivers_know() {
        for (rate_hz, fraction) in [
            (30.0, (1, 30)),
            (29.97, (1001, 30_000)),
            (59.94, (1001, 60_000)),
            (23.976, (1001, 24_000)),
            (7.5, (2, 15)),
            (0.5, (2, 1)),
            (25.0, (1, 25)),
            (120.0, (1, 120)),
            (0.1, (10, 1)),
        ] {
            assert_eq!(interval(rate_hz), fraction, "{rate_hz} Hz");
        }
    }
}
