//! What is wrong with a compressed frame.

use std::fmt;

/// Why a frame is not a whole picture. Hot path: `Copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// It does not begin as a JPEG picture does.
    NoPicture,
    /// It ends before the picture does.
    Cut,
    /// A marker where none of its kind may stand.
    Marker {
        /// Its second byte.
        found: u8,
    },
    /// It is compressed in a way that cameras do not use: progressive, arithmetic, lossless, 12 bits.
    Kind {
        /// The frame header's marker, its second byte.
        found: u8,
    },
    /// The picture has another size than the stream.
    Size {
        /// Width and height in pixels.
        found: (u16, u16),
    },
    /// Its components are neither luma alone nor luma and two differences, sampled as usual.
    Components,
    /// It is longer than a frame can be.
    Long,
    /// Its tables make no sense.
    Tables,
    /// Its samples make no sense.
    Samples,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPicture => f.write_str("it does not begin as a JPEG picture"),
            Self::Cut => f.write_str("the JPEG picture is cut off"),
            Self::Marker { found } => write!(f, "the JPEG marker 0x{found:02X} is out of place"),
            Self::Kind { found } => write!(
                f,
                "found a JPEG picture of the kind 0x{found:02X}, expected a sequential one of 8 bits (0xC0, \
                 0xC1)"
            ),
            Self::Size { found: (w, h) } => write!(
                f,
                "found a JPEG picture of {w}x{h}, expected the size of the stream"
            ),
            Self::Components => f.write_str(
                "found other JPEG components than luma, or luma and two differences, sampled 4:4:4, 4:2:2 or \
                 4:2:0",
            ),
            Self::Long => f.write_str("the JPEG picture is longer than a frame can be"),
            Self::Tables => f.write_str("the tables of the JPEG picture make no sense"),
            Self::Samples => f.write_str("the samples of the JPEG picture make no sense"),
        }
    }
}

impl std::error::Error for Damage {}
