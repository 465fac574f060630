//! A model file, checked before TensorFlow Lite sees it.

use super::checksum::Hex;
use super::plugin::PluginFault;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Largest model that is read, in bytes.
const MAX_MODEL_BYTES: u64 = 1 << 30;

/// Alignment of the file's first byte in memory: constant tensors are aligned to 16 within the file, and
/// kernels read them in place.
const ALIGNMENT: usize = 64;

/// Where a FlatBuffer carries its identifier, and the identifier of TensorFlow Lite's schema.
///
/// # Source
/// FlatBuffers' internals ("File identification"); `file_identifier` of `tensorflow/lite/schema.fbs`.
const IDENTIFIER_AT: usize = 4;
const IDENTIFIER: &[u8; 4] = b"TFL3";

/// A model that cannot be used. Found while arming: it names the file, what was found, what was
/// expected, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct ModelError {
    /// The model's file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: ModelFault,
}

/// What is wrong with a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFault {
    /// The file cannot be read.
    #[error("cannot be read ({0}): check the model's `path`, or fetch the file")]
    Read(#[source] io::Error),
    /// It is no regular file.
    #[error("found no regular file, expected a TensorFlow Lite model")]
    NoFile,
    /// The file is larger than 1 GiB.
    #[error(
        "found {found_bytes} bytes, expected at most {MAX_MODEL_BYTES}: this is hardly a model for a board"
    )]
    TooLarge {
        /// Its size.
        found_bytes: u64,
    },
    /// The file is not the one that the profile names.
    #[error(
        "found sha256 {}, expected {}: fetch the file again, or set the model's `sha256` to what was found if this is \
         the file you mean",
        Hex(.found), Hex(.expected)
    )]
    Checksum {
        /// SHA-256 of the file.
        found: [u8; 32],
        /// SHA-256 in the profile.
        expected: [u8; 32],
    },
    /// The file is of another kind.
    #[error(
        "found \"{}\" at byte {IDENTIFIER_AT}, expected \"{}\": this is not a TensorFlow Lite model; convert it, or \
         name another file",
        found.escape_ascii(), IDENTIFIER.escape_ascii()
    )]
    Identifier {
        /// The four bytes where the identifier should be; fewer in a shorter file.
        found: Vec<u8>,
    },
    /// TensorFlow Lite's verifier refused the file.
    #[error(
        "TensorFlow Lite {library} refuses the file: it is damaged, or of a newer schema; export it again"
    )]
    Refused {
        /// Version of the library.
        library: &'static str,
    },
    /// The file names data that is not in it.
    #[error(
        "found data of {size} bytes at byte {offset}, expected all of it within the file's {file_bytes} bytes: the file is \
         cut or damaged; fetch it again, or export it again"
    )]
    Outside {
        /// Where the data is said to begin.
        offset: u64,
        /// How long it is said to be.
        size: u64,
        /// Bytes of the file.
        file_bytes: usize,
    },
    /// No interpreter could be made.
    #[error(
        "TensorFlow Lite {library} makes no interpreter with delegate \"{delegate}\": an operator is unknown to it, or \
         the delegate fails; its reason stands on standard error"
    )]
    Interpreter {
        /// Version of the library.
        library: &'static str,
        /// The delegate asked for.
        delegate: String,
    },
    /// The delegate was asked for, and runs no part of the graph.
    #[error(
        "delegate \"{delegate}\" takes none of the graph's {steps} steps: set `delegate = \"none\"`, or export the model \
         with operators that it knows"
    )]
    DelegateUnused {
        /// The delegate.
        delegate: String,
        /// Steps of the graph.
        steps: usize,
    },
    /// The delegate's library gives none.
    #[error("delegate {} {fault}", path.display())]
    Plugin {
        /// The library's file.
        path: PathBuf,
        /// What is wrong with it.
        fault: PluginFault,
    },
    /// The tensors could not be planned and allocated.
    #[error(
        "tensors cannot be allocated with delegate \"{delegate}\": an operator does not accept its inputs, or memory is \
         short; TensorFlow Lite's reason stands on standard error"
    )]
    Allocate {
        /// The delegate asked for.
        delegate: String,
    },
    /// The model has not exactly one input.
    #[error("found {found} input tensors, expected 1")]
    Inputs {
        /// Inputs found.
        found: usize,
    },
    /// The model has no output, or too many.
    #[error("found {found} output tensors, expected 1..={most}")]
    Outputs {
        /// Outputs found.
        found: usize,
        /// Most outputs that are read.
        most: usize,
    },
    /// The input is neither [1, height, width, channels] nor [1, channels, height, width].
    #[error(
        "found input tensor {found}, expected shape [1, height, width, channels] or [1, channels, height, width]"
    )]
    InputShape {
        /// The tensor, its type and its shape.
        found: String,
    },
    /// A tensor's elements are of a type that is not read.
    #[error("found tensor {found}, expected float32, float16, uint8 or int8 elements")]
    TensorType {
        /// The tensor and its type.
        found: String,
    },
    /// A tensor's name is not UTF-8.
    #[error("found tensor name \"{found}\", expected UTF-8: export the model again")]
    Name {
        /// The name, with what cannot be read replaced.
        found: String,
    },
    /// A tensor's size changes from one inference to the next.
    #[error(
        "the size of tensor \"{tensor}\" changes while the model runs, which allocates in each inference: export the \
         model with fixed shapes"
    )]
    Dynamic {
        /// The tensor.
        tensor: String,
    },
    /// The first inferences failed.
    #[error(
        "the first inference fails with delegate \"{delegate}\"; TensorFlow Lite's reason stands on standard error"
    )]
    Invoke {
        /// The delegate asked for.
        delegate: String,
    },
}

impl ModelFault {
    /// Whether the model may run all the same with the library's own kernels.
    #[must_use]
    pub const fn is_the_delegates(&self) -> bool {
        // Another file than the one that the profile names is a matter of the installation.
        if let Self::Plugin { fault, .. } = self {
            return !matches!(fault, PluginFault::Checksum { .. });
        }
        matches!(
            self,
            Self::Interpreter { .. }
                | Self::DelegateUnused { .. }
                | Self::Allocate { .. }
                | Self::Invoke { .. }
        )
    }
}

/// A model's bytes. Holding one proves that they have the expected SHA-256 and TensorFlow Lite's
/// identifier; what is loaded later is what was checked, whatever becomes of the file.
pub struct ModelFile {
    path: PathBuf,
    /// The file's bytes begin at `start`.
    memory: Vec<u8>,
    start: usize,
}

impl fmt::Debug for ModelFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelFile")
            .field("path", &self.path)
            .field("bytes", &self.bytes().len())
            .finish()
    }
}

impl ModelFile {
    /// Reads and checks a model file.
    ///
    /// # Errors
    /// The file cannot be read, or is not the expected one, or is no TensorFlow Lite model.
    pub fn read(path: &Path, sha256: &[u8; 32]) -> Result<Self, ModelError> {
        let fail = |fault| ModelError {
            path: path.to_owned(),
            fault,
        };
        let (memory, start) = read_aligned(path).map_err(fail)?;
        let file = Self {
            path: path.to_owned(),
            memory,
            start,
        };
        let found: [u8; 32] = Sha256::digest(file.bytes()).into();
        if found != *sha256 {
            return Err(fail(ModelFault::Checksum {
                found,
                expected: *sha256,
            }));
        }
        let identifier = file
            .bytes()
            .iter()
            .skip(IDENTIFIER_AT)
            .take(IDENTIFIER.len());
        let identifier: Vec<u8> = identifier.copied().collect();
        if identifier != IDENTIFIER {
            return Err(fail(ModelFault::Identifier { found: identifier }));
        }
        Ok(file)
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..]
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The file's bytes behind as many zeros as align them.
fn read_aligned(path: &Path) -> Result<(Vec<u8>, usize), ModelFault> {
    // A device or a FIFO is no model, may never end, and may never open.
    if !std::fs::metadata(path).map_err(ModelFault::Read)?.is_file() {
        return Err(ModelFault::NoFile);
    }
    let file = File::open(path).map_err(ModelFault::Read)?;
    let size = file.metadata().map_err(ModelFault::Read)?.len();
    if size > MAX_MODEL_BYTES {
        return Err(ModelFault::TooLarge { found_bytes: size });
    }
    // The reader looks for the end with a read of its own: the vector must not grow for it, and move.
    let room = usize::try_from(size)
        .unwrap_or(usize::MAX)
        .saturating_add(2 * ALIGNMENT);
    let mut memory: Vec<u8> = Vec::with_capacity(room);
    let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    memory.resize(start, 0);
    file.take(size)
        .read_to_end(&mut memory)
        .map_err(ModelFault::Read)?;
    Ok((memory, start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> (tempfile::NamedTempFile, [u8; 32]) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        (file, Sha256::digest(bytes).into())
    }

    #[test]
    fn bytes_are_read_whole_and_aligned() {
        let mut content = b"\x1c\0\0\0TFL3".to_vec();
        for length in [8, 9, 63, 64, 65, 4096, 100_000] {
            content.resize(length, 0xA5);
            let (file, sha256) = file(&content);
            let model = ModelFile::read(file.path(), &sha256).unwrap();
            assert_eq!(model.bytes(), content);
            assert_eq!(model.bytes().as_ptr().addr() % ALIGNMENT, 0);
        }
    }

    #[test]
    fn another_file_is_refused_with_both_checksums() {
        let (file, sha256) = file(b"\0\0\0\0TFL3");
        let error = ModelFile::read(file.path(), &[0xAB; 32])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&file.path().display().to_string()),
            "{error}"
        );
        assert!(
            error.contains(&format!("found sha256 {}", Hex(&sha256))),
            "{error}"
        );
        assert!(
            error.contains(&format!("expected {}", "ab".repeat(32))),
            "{error}"
        );
        assert!(error.contains("set the model's `sha256`"), "{error}");
    }

    #[test]
    fn a_file_of_another_kind_is_refused_with_what_was_found() {
        for (content, found) in [
            (&b"PK\x03\x04\x14\0\0\0"[..], r#"found "\x14\x00\x00\x00""#),
            (b"abc", "found \"\""),
        ] {
            let (file, sha256) = file(content);
            let error = ModelFile::read(file.path(), &sha256)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(found) && error.contains("expected \"TFL3\""),
                "{error}"
            );
        }
    }

    #[test]
    fn an_absent_file_is_named() {
        let error = ModelFile::read(Path::new("/nowhere/model.tflite"), &[0; 32])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("/nowhere/model.tflite: cannot be read (No such file"),
            "{error}"
        );
    }
}
