//! Where the samples of each pixel format lie: a row of the table says all that the program knows of it.
//!
//! # Source
//! Linux kernel documentation, "Image Formats" (YUV, RGB, luma-only and raw Bayer formats), and
//! linux/videodev2.h for the four-character codes.

/// Most samples that one pixel of the grid takes (Bayer: red, two greens, blue).
pub const MAX_SAMPLES: usize = 4;

/// What a sample measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// Luma, Y'.
    Luma,
    /// Blue difference.
    Cb,
    /// Red difference.
    Cr,
    /// Red.
    Red,
    /// Green.
    Green,
    /// Blue.
    Blue,
}

/// What kind of colours a format holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Luma and two colour differences.
    Ycbcr,
    /// Luma alone.
    Grey,
    /// Red, green and blue in each pixel.
    Rgb,
    /// One colour in each pixel, under a filter of 2 x 2: raw sensor data.
    Bayer,
    /// Whatever its decoder makes of it.
    Compressed,
}

/// How a sample is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In a byte.
    Byte,
    /// In a field of a 16-bit word, its low byte first.
    Word,
    /// Ten bits: four samples' high bytes, then a byte with their low bits, the first sample's lowest.
    Packed10,
}

impl Store {
    /// Byte, relative to the row's start, of the element `index` of a row.
    #[must_use]
    pub const fn byte(self, index: usize) -> usize {
        match self {
            Self::Byte => index,
            Self::Word => index * 2,
            Self::Packed10 => index / 4 * 5 + index % 4,
        }
    }
}

/// One plane of a picture. Planes follow each other without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Pixels of the smallest group that fills whole bytes and shares its colour.
    pub group_px: u32,
    /// Bytes of such a group.
    pub group_bytes: u32,
    /// The picture's stride is this many times the plane's.
    pub narrower: u32,
    /// Picture rows for each row of the plane.
    pub rows: u32,
}

/// Where one sample of a pixel lies.
///
/// Pixels here are those of the grid: of the picture, or for Bayer formats its squares of 2 x 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What it measures.
    pub component: Component,
    /// Its plane.
    pub plane: usize,
    /// Element of the row that is the first pixel's.
    pub first: usize,
    /// Elements from one to the next.
    pub step: usize,
    /// Pixels across that share it.
    pub px: usize,
    /// Rows of pixels that share it.
    pub rows: usize,
    /// Row inside the square (Bayer), or 0.
    pub line: usize,
    /// Bits below it in its element.
    pub shift: u32,
    /// Its bits.
    pub bits: u32,
}

const UNUSED: Sample = Sample {
    component: Component::Luma,
    plane: 0,
    first: 0,
    step: 1,
    px: 1,
    rows: 1,
    line: 0,
    shift: 0,
    bits: 8,
};

const WHOLE: Plane = Plane {
    group_px: 1,
    group_bytes: 1,
    narrower: 1,
    rows: 1,
};

/// Where the samples of a pixel format lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelLayout {
    /// Kind of colours.
    pub model: Model,
    /// How each sample is stored.
    pub store: Store,
    /// Picture pixels, each way, of a pixel of the grid.
    pub block_px: u32,
    planes: [Plane; 3],
    plane_count: usize,
    samples: [Sample; MAX_SAMPLES],
    sample_count: usize,
}

impl PixelLayout {
    /// Its planes, in memory order.
    #[must_use]
    pub const fn planes(&self) -> &[Plane] {
        self.planes.split_at(self.plane_count).0
    }

    /// The samples of a pixel, in memory order; luma before the differences.
    #[must_use]
    pub const fn samples(&self) -> &[Sample] {
        self.samples.split_at(self.sample_count).0
    }

    /// Bytes of the shortest row of `width_px` pixels in the first plane that leaves the others room.
    #[must_use]
    pub const fn row_bytes(&self, width_px: u32) -> u64 {
        let (mut bytes, mut index) = (0, 0);
        while index < self.plane_count {
            let plane = self.planes[index];
            let needed = plane.row_bytes(width_px) * plane.narrower as u64;
            if needed > bytes {
                bytes = needed;
            }
            index += 1;
        }
        bytes
    }

    /// Bytes before plane `plane` in a picture whose first plane has rows of `stride_bytes`; for one plane
    /// more than there are, the bytes of the picture.
    #[must_use]
    pub const fn plane_offset(&self, plane: usize, stride_bytes: u32, height_px: u32) -> u64 {
        let (mut bytes, mut index) = (0, 0);
        while index < plane && index < self.plane_count {
            let plane = self.planes[index];
            bytes += plane.stride(stride_bytes) * height_px.div_ceil(plane.rows) as u64;
            index += 1;
        }
        bytes
    }

    /// Bytes of a picture whose first plane has rows of `stride_bytes`.
    #[must_use]
    pub const fn image_bytes(&self, stride_bytes: u32, height_px: u32) -> u64 {
        self.plane_offset(self.plane_count, stride_bytes, height_px)
    }

    const fn one_plane(
        model: Model,
        store: Store,
        plane: Plane,
        samples: [Sample; MAX_SAMPLES],
        sample_count: usize,
    ) -> Self {
        Self {
            model,
            store,
            block_px: if matches!(model, Model::Bayer) { 2 } else { 1 },
            planes: [plane; 3],
            plane_count: 1,
            samples,
            sample_count,
        }
    }

    /// Packed 4:2:2: the bytes of the first luma, Cb and Cr of two pixels.
    pub(super) const fn pairs(luma: usize, cb: usize, cr: usize) -> Self {
        let plane = Plane {
            group_px: 2,
            group_bytes: 4,
            ..WHOLE
        };
        let y = Sample {
            first: luma,
            step: 2,
            ..UNUSED
        };
        let (one, other) = chroma(if cb < cr { cb } else { cr }, 4, cb < cr, 1);
        let other = Sample {
            first: if cb < cr { cr } else { cb },
            ..other
        };
        Self::one_plane(Model::Ycbcr, Store::Byte, plane, [y, one, other, UNUSED], 3)
    }

    /// A luma plane, then one of Cb and Cr in turn, or Cr and Cb, for each two pixels of `rows` rows.
    pub(super) const fn two_planes(rows: u32, cb_first: bool) -> Self {
        let differences = Plane {
            group_px: 2,
            group_bytes: 2,
            rows,
            ..WHOLE
        };
        let (one, other) = chroma(0, 2, cb_first, rows);
        let one = Sample { plane: 1, ..one };
        let other = Sample {
            plane: 1,
            first: 1,
            ..other
        };
        Self {
            planes: [WHOLE, differences, WHOLE],
            plane_count: 2,
            ..Self::one_plane(
                Model::Ycbcr,
                Store::Byte,
                WHOLE,
                [UNUSED, one, other, UNUSED],
                3,
            )
        }
    }

    /// A luma plane, then one of Cb and one of Cr, or the other way round, at half resolution both ways.
    pub(super) const fn three_planes(cb_first: bool) -> Self {
        let differences = Plane {
            group_px: 2,
            group_bytes: 1,
            narrower: 2,
            rows: 2,
        };
        let (one, other) = chroma(0, 1, cb_first, 2);
        let one = Sample { plane: 1, ..one };
        let other = Sample { plane: 2, ..other };
        Self {
            planes: [WHOLE, differences, differences],
            plane_count: 3,
            ..Self::one_plane(
                Model::Ycbcr,
                Store::Byte,
                WHOLE,
                [UNUSED, one, other, UNUSED],
                3,
            )
        }
    }

    /// No samples that could be read as they lie.
    pub(super) const fn compressed() -> Self {
        Self {
            plane_count: 0,
            ..Self::one_plane(
                Model::Compressed,
                Store::Byte,
                WHOLE,
                [UNUSED; MAX_SAMPLES],
                0,
            )
        }
    }

    /// Luma alone.
    pub(super) const fn grey(bits: u32) -> Self {
        let (store, plane) = unpacked(bits);
        let samples = [Sample { bits, ..UNUSED }, UNUSED, UNUSED, UNUSED];
        Self::one_plane(Model::Grey, store, plane, samples, 1)
    }

    /// Bytes of red, green and blue in a pixel of `bytes` bytes.
    pub(super) const fn rgb(bytes: u32, red: usize, green: usize, blue: usize) -> Self {
        let plane = Plane {
            group_bytes: bytes,
            ..WHOLE
        };
        let mut samples = [
            rgb_sample(Component::Red, red, bytes),
            rgb_sample(Component::Green, green, bytes),
            rgb_sample(Component::Blue, blue, bytes),
            UNUSED,
        ];
        if blue < red {
            samples.swap(0, 2);
        }
        Self::one_plane(Model::Rgb, Store::Byte, plane, samples, 3)
    }

    /// Five bits of blue, six of green, five of red, from the lowest up.
    pub(super) const fn rgb565() -> Self {
        let plane = Plane {
            group_bytes: 2,
            ..WHOLE
        };
        let samples = [
            Sample {
                component: Component::Blue,
                bits: 5,
                ..UNUSED
            },
            Sample {
                component: Component::Green,
                shift: 5,
                bits: 6,
                ..UNUSED
            },
            Sample {
                component: Component::Red,
                shift: 11,
                bits: 5,
                ..UNUSED
            },
            UNUSED,
        ];
        Self::one_plane(Model::Rgb, Store::Word, plane, samples, 3)
    }

    /// Raw sensor data: the colours of the square's two rows, as in `b"RGGB"`.
    pub(super) const fn bayer(bits: u32, order: &[u8; 4]) -> Self {
        let (store, plane) = unpacked(bits);
        Self::one_plane(Model::Bayer, store, plane, square(bits, order), 4)
    }

    /// Raw sensor data of ten bits, four samples in five bytes.
    pub(super) const fn bayer10p(order: &[u8; 4]) -> Self {
        let plane = Plane {
            group_px: 4,
            group_bytes: 5,
            ..WHOLE
        };
        let samples = square(10, order);
        Self::one_plane(Model::Bayer, Store::Packed10, plane, samples, 4)
    }
}

impl Plane {
    /// Bytes of its row that hold `width_px` picture pixels.
    #[must_use]
    pub const fn row_bytes(&self, width_px: u32) -> u64 {
        width_px.div_ceil(self.group_px) as u64 * self.group_bytes as u64
    }

    /// Bytes from one of its rows to the next, in a picture whose first plane has `stride_bytes`.
    #[must_use]
    pub const fn stride(&self, stride_bytes: u32) -> u64 {
        (stride_bytes / self.narrower) as u64
    }
}

/// The two differences in memory order, shared by two pixels across.
const fn chroma(first: usize, step: usize, cb_first: bool, rows: u32) -> (Sample, Sample) {
    let sample = Sample {
        first,
        step,
        px: 2,
        rows: rows as usize,
        ..UNUSED
    };
    let cb = Sample {
        component: Component::Cb,
        ..sample
    };
    let cr = Sample {
        component: Component::Cr,
        ..sample
    };
    if cb_first { (cb, cr) } else { (cr, cb) }
}

const fn rgb_sample(component: Component, first: usize, bytes: u32) -> Sample {
    Sample {
        component,
        first,
        step: bytes as usize,
        ..UNUSED
    }
}

/// A byte for up to 8 bits, a word for more.
const fn unpacked(bits: u32) -> (Store, Plane) {
    let (store, group_bytes) = if bits <= 8 {
        (Store::Byte, 1)
    } else {
        (Store::Word, 2)
    };
    let plane = Plane {
        group_bytes,
        ..WHOLE
    };
    (store, plane)
}

const fn square(bits: u32, order: &[u8; 4]) -> [Sample; MAX_SAMPLES] {
    let mut samples = [UNUSED; MAX_SAMPLES];
    let mut index = 0;
    while index < MAX_SAMPLES {
        samples[index] = Sample {
            component: match order[index] {
                b'R' => Component::Red,
                b'G' => Component::Green,
                _ => Component::Blue,
            },
            first: index % 2,
            step: 2,
            line: index / 2,
            bits,
            ..UNUSED
        };
        index += 1;
    }
    samples
}
