//! A folder of pictures, shown one after the other as an MJPEG camera would send them.
//!
//! JPEG files are frames as they are, damaged ones included; PNG files are compressed when the folder is
//! read. All of them are held in memory.

use super::frame_clock::{Paint, UnarmedPainted};
use crate::capture::stream::jpeg_frames::jpeg_format;
use crate::capture::stream::mjpeg::size_px;
use crate::frame::StreamFormat;
use crate::units::MIB;
use ::image::ImageDecoder as _;
use ::image::codecs::jpeg::JpegEncoder;
use ::image::codecs::png::PngDecoder;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Most bytes of a folder's pictures: what is held in memory is locked there.
const MOST_BYTES: u64 = 256 * MIB;
/// Quality of PNG files that are compressed, 1 to 100: what cameras have as a rule is less.
const QUALITY: u8 = 92;

/// What is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFolderConfig {
    /// The folder. Its `.jpg`, `.jpeg` and `.png` files are shown in the order of their names.
    pub folder: PathBuf,
    /// Begin again after the last one.
    pub repeat: bool,
    /// Size of every picture, 16 to 8192 each way.
    pub size_px: (u32, u32),
    /// Time between frames, at least 1 ns.
    pub interval_ns: u64,
}

/// Why a folder cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ImageFolderError {
    /// The folder or a file cannot be read.
    #[error("{}: {error}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A PNG file is none, or cannot be compressed.
    #[error("{}: expected a PNG picture: {error}", path.display())]
    Png {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: ::image::ImageError,
    },
    /// A picture has another size than the profile says, or none can be shown at that size.
    #[error(
        "{}: found a picture of {}x{}, expected {}x{}: change `width-px` and `height-px`, or scale the pictures",
        path.display(), found.0, found.1, expected.0, expected.1
    )]
    Size {
        /// The file, or the folder.
        path: PathBuf,
        /// Its width and height.
        found: (u32, u32),
        /// The profile's.
        expected: (u32, u32),
    },
    /// A picture is no regular file.
    #[error("{}: found no regular file, expected a JPEG or PNG picture", path.display())]
    NoFile {
        /// What has its name.
        path: PathBuf,
    },
    /// There is no picture in the folder.
    #[error("{}: found no picture, expected files named *.jpg, *.jpeg or *.png", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The pictures together are too large.
    #[error(
        "{}: found more than {} MiB of pictures, which would all be held in memory; put them into one file, which is \
         read as it is shown: `cat *.jpg > clip.mjpeg`",
        path.display(), MOST_BYTES / MIB
    )]
    Large {
        /// The folder.
        path: PathBuf,
    },
}

/// The pictures before they have slots.
pub type UnarmedImageFolder = UnarmedPainted<ImageFolder>;

impl UnarmedPainted<ImageFolder> {
    /// Reads the folder.
    ///
    /// # Errors
    /// What cannot be read or has another size, and which file it is.
    pub fn open(config: &ImageFolderConfig) -> Result<Self, ImageFolderError> {
        let folder = || config.folder.clone();
        let expected = config.size_px;
        let format = jpeg_format(expected, config.interval_ns.max(1)).ok_or_else(|| {
            ImageFolderError::Size {
                path: folder(),
                found: expected,
                expected,
            }
        })?;
        let mut pictures = Vec::new();
        let mut bytes = 0;
        for path in names(&config.folder)? {
            let metadata = std::fs::metadata(&path).map_err(|error| ImageFolderError::Open {
                path: path.clone(),
                error,
            })?;
            // A FIFO may never open, a device may never end.
            if !metadata.is_file() {
                return Err(ImageFolderError::NoFile { path });
            }
            if bytes + metadata.len() > MOST_BYTES {
                return Err(ImageFolderError::Large { path: folder() });
            }
            let (jpeg, found) = read(&path, expected)?;
            // Without a readable header it is a damaged frame, and shown as such.
            if let Some(found) = found
                && found != expected
            {
                return Err(ImageFolderError::Size {
                    path,
                    found,
                    expected,
                });
            }
            bytes += jpeg.len() as u64;
            if bytes > MOST_BYTES {
                return Err(ImageFolderError::Large { path: folder() });
            }
            pictures.push(jpeg.into_boxed_slice());
        }
        if pictures.is_empty() {
            return Err(ImageFolderError::Empty { path: folder() });
        }
        Ok(Self {
            format,
            painter: ImageFolder {
                pictures,
                repeat: config.repeat,
            },
            phase_ns: None,
        })
    }
}

fn ends_with(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|found| {
        endings
            .iter()
            .any(|ending| found.eq_ignore_ascii_case(ending))
    })
}

/// Whether a file of a folder is one of its pictures, by its name.
#[must_use]
pub fn is_image(path: &Path) -> bool {
    ends_with(path, &["jpg", "jpeg", "png"])
}

/// The pictures of a folder, in the order of their names.
fn names(folder: &Path) -> Result<Vec<PathBuf>, ImageFolderError> {
    let wrong = |error| ImageFolderError::Open {
        path: folder.to_owned(),
        error,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if is_image(&path) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// A picture's bytes, and its size.
type Read = (Vec<u8>, Option<(u32, u32)>);

/// A picture as a camera would send it, and its size where that can be read. Of a PNG file of another size than `expected`
/// the header is enough.
fn read(path: &Path, expected: (u32, u32)) -> Result<Read, ImageFolderError> {
    let bytes = std::fs::read(path).map_err(|error| ImageFolderError::Open {
        path: path.to_owned(),
        error,
    })?;
    if !ends_with(path, &["png"]) {
        let size = size_px(&bytes);
        return Ok((bytes, size));
    }
    let wrong = |error| ImageFolderError::Png {
        path: path.to_owned(),
        error,
    };
    let decoder = PngDecoder::new(Cursor::new(&bytes)).map_err(wrong)?;
    let size = decoder.dimensions();
    if size != expected {
        return Ok((Vec::new(), Some(size)));
    }
    let picture = ::image::DynamicImage::from_decoder(decoder)
        .map_err(wrong)?
        .into_rgb8();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode_image(&picture)
        .map_err(wrong)?;
    Ok((jpeg, Some(picture.dimensions())))
}

/// The pictures, and whether they begin anew behind the last.
#[derive(Debug)]
pub struct ImageFolder {
    pictures: Vec<Box<[u8]>>,
    repeat: bool,
}

impl ImageFolder {
    /// The picture that frame `number` shows.
    fn shown(&self, number: u64) -> Option<&[u8]> {
        let count = self.pictures.len() as u64;
        let number = if self.repeat { number % count } else { number };
        let index = usize::try_from(number).ok()?;
        self.pictures.get(index).map(|picture| &**picture)
    }
}

impl Paint for ImageFolder {
    fn own_bytes(&self) -> u64 {
        self.pictures
            .iter()
            .map(|picture| picture.len() as u64)
            .sum()
    }
    fn io(&self) -> String {
        format!("a folder of {} pictures", self.pictures.len())
    }
    fn paint(&self, _: &StreamFormat, number: u64, bytes: &mut [u8]) {
        if let Some(picture) = self.shown(number) {
            let fits = picture.len().min(bytes.len());
            bytes[..fits].copy_from_slice(&picture[..fits]);
        }
    }
    fn bytes(&self, _: &StreamFormat, number: u64) -> Option<u32> {
        let length = self.shown(number)?.len();
        Some(u32::try_from(length).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::synthetic::forged::{forged_jpeg, forged_png};

    #[test]
    fn a_picture_of_extreme_size_is_refused_by_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let config = ImageFolderConfig {
            folder: folder.path().into(),
            repeat: false,
            size_px: (64, 64),
            interval_ns: 1,
        };
        for (name, bytes) in [
            ("a.png", forged_png(65_535, 65_535)),
            ("a.jpg", forged_jpeg(65_535, 65_535)),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = UnarmedImageFolder::open(&config).unwrap_err();
            let words = "found a picture of 65535x65535, expected 64x64";
            assert!(error.to_string().contains(words), "{error}");
            std::fs::remove_file(path).unwrap();
        }
        let long = std::fs::File::create(folder.path().join("a.jpg")).unwrap();
        long.set_len(MOST_BYTES + 1).unwrap();
        let error = UnarmedImageFolder::open(&config).unwrap_err();
        assert!(matches!(error, ImageFolderError::Large { .. }), "{error}");
    }
}
