//! A camera's format in words and in bytes.

use crate::frame::StreamFormat;

/// Bytes of a whole picture: a buffer with fewer is a corrupt frame. Of a compressed one that is not known
/// before it is looked into, but a buffer with nothing is none.
pub(crate) fn image_bytes(format: &StreamFormat) -> u32 {
    let bytes = format
        .pixel
        .image_bytes(format.stride_bytes, format.height_px);
    u32::try_from(bytes).unwrap_or(u32::MAX).max(1)
}

/// The way of exchanging buffers alone, without the reason for it.
pub(crate) fn word(io: &str) -> String {
    let end = io.find([' ', ',']).unwrap_or(io.len());
    io[..end].to_owned()
}

/// A negotiated format in words.
pub(crate) fn describe(format: &StreamFormat) -> String {
    #[allow(clippy::cast_precision_loss)] // for reading
    let rate = match format.interval_ns {
        0 => String::new(),
        interval => format!(" at {:.4} Hz", 1e9 / interval as f64)
            .replace(".0000", "")
            .trim_end_matches('0')
            .to_owned(),
    };
    format!(
        "{} {}x{}{rate}",
        format.pixel.name(),
        format.width_px,
        format.height_px
    )
}
