//! A file that is written once and as a whole: it is there as it was, or as it is to be, whenever the power goes.
//!
//! It is written under another name beside, synced, renamed, and its directory synced. What is no regular file
//! (a FIFO, a character device) is written directly, and waited for only so long.

use super::output_file::{Kind, MODE, OpenError, Target, folder_of};
use super::poll::{PIPE_BUF, is_writable};
use nix::libc::{EACCES, EBUSY, EPERM, EROFS, O_NOFOLLOW};
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time between two looks for a reader.
const LOOK: Duration = Duration::from_millis(20);
/// Names that are tried for the file beside.
const TRIES: u32 = 100;

/// A file that will be written.
#[derive(Debug)]
pub struct WholeFile {
    target: Target,
    /// A FIFO or a device, held open: to close it would be the end for a reader that waits.
    open: Option<File>,
}

impl WholeFile {
    /// Shows that it can be written, and leaves everything as it was. A FIFO needs no reader yet.
    ///
    /// # Errors
    /// It cannot.
    pub fn open(name: &Path) -> Result<Self, OpenError> {
        let target = Target::of(name)?;
        let open = match target.kind {
            None | Some(Kind::Regular) => {
                match beside(&target.path) {
                    Ok((_, path)) => std::fs::remove_file(path)?,
                    Err(error) if target.kind.is_some() && is_about_the_directory(&error) => {
                        target.open(OpenOptions::new().append(true))?;
                    }
                    Err(error) => return Err(error.into()),
                }
                None
            }
            Some(Kind::Fifo | Kind::Device) => match target.open(OpenOptions::new().write(true)) {
                Ok((file, _)) => Some(file),
                Err(error) if is_without_a_reader(&error) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(Self { target, open })
    }

    /// Writes it. A FIFO without a reader, or whose reader takes nothing, is waited for so long.
    ///
    /// # Errors
    /// The errno of what failed; a regular file is then as it was. `TimedOut`, with what was waited for.
    pub fn write(mut self, bytes: &[u8], wait: Duration) -> Result<(), Error> {
        match self.target.kind {
            None | Some(Kind::Regular) => self.replace(bytes),
            Some(_) => {
                let file = match self.open.take() {
                    Some(file) => file,
                    None => self.wait_for_reader(wait)?,
                };
                write_slowly(&file, bytes, wait)
            }
        }
    }

    fn replace(&self, bytes: &[u8]) -> Result<(), Error> {
        let path = &self.target.path;
        let replaced = beside(path).and_then(|(mut file, new)| {
            let written = file
                .write_all(bytes)
                .and_then(|()| file.sync_all())
                .and_then(|()| std::fs::rename(&new, path));
            if written.is_err() {
                // What made it fail is reported; that this stays is not worse.
                let _ = std::fs::remove_file(&new);
            }
            written
        });
        match replaced {
            // A file that is mounted by itself, or in a directory that only others may write.
            Err(error) if self.target.kind.is_some() && is_about_the_directory(&error) => {
                log::warn!(
                    "{}: written in place, because its directory takes no other file: {error}",
                    path.display()
                );
                let mut file = OpenOptions::new()
                    .write(true)
                    .truncate(true)
                    .custom_flags(O_NOFOLLOW)
                    .open(path)?;
                file.write_all(bytes)?;
                file.sync_all()
            }
            Err(error) => Err(error),
            Ok(()) => {
                // The name as well as the file. A file system that cannot do that has done what it can.
                if let Ok(folder) = File::open(folder_of(path)) {
                    let _ = folder.sync_all();
                }
                Ok(())
            }
        }
    }

    fn wait_for_reader(&self, wait: Duration) -> Result<File, Error> {
        let begun = Instant::now();
        loop {
            match self.target.open(OpenOptions::new().write(true)) {
                Ok((file, _)) => return Ok(file),
                Err(error) if is_without_a_reader(&error) => {}
                Err(OpenError::Io(error)) => return Err(error),
                Err(other) => return Err(Error::other(other)),
            }
            if begun.elapsed() >= wait {
                let waited = format!("waited {wait:?} for a reader of this FIFO");
                return Err(Error::new(ErrorKind::TimedOut, waited));
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn is_without_a_reader(error: &OpenError) -> bool {
    matches!(error, OpenError::Io(error) if error.raw_os_error() == Some(nix::libc::ENXIO))
}

fn is_about_the_directory(error: &Error) -> bool {
    matches!(error.raw_os_error(), Some(EACCES | EPERM | EROFS | EBUSY))
}

/// A new file in the directory of `path`, under a name that nothing has.
fn beside(path: &Path) -> Result<(File, PathBuf), Error> {
    let mut last = Error::from(ErrorKind::AlreadyExists);
    for number in 0..TRIES {
        let name = format!(".pinsight-{}-{number}", std::process::id());
        let new = folder_of(path).join(name);
        let options = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(&new);
        match options {
            Ok(file) => return Ok((file, new)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Writes to what may take nothing for a while, at most `wait` at a time.
fn write_slowly(mut file: &File, bytes: &[u8], wait: Duration) -> Result<(), Error> {
    let mut rest = bytes;
    let mut taken = Instant::now();
    while !rest.is_empty() {
        if is_writable(file.as_fd()) {
            match file.write(&rest[..rest.len().min(PIPE_BUF)]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest = &rest[count..];
                    taken = Instant::now();
                    continue;
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
        if taken.elapsed() >= wait {
            let waited = format!(
                "its reader took {} of {} bytes, and nothing more for {wait:?}",
                bytes.len() - rest.len(),
                bytes.len()
            );
            return Err(Error::new(ErrorKind::TimedOut, waited));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::WholeFile;
    use std::io::{ErrorKind, Read as _};
    use std::time::Duration;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("proof");
        for text in ["first", "second"] {
            let file = WholeFile::open(&path).unwrap();
            let before = std::fs::read(&path).ok();
            assert_eq!(
                before.is_some(),
                text == "second",
                "a trial changes nothing"
            );
            file.write(text.as_bytes(), SHORT).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("proof", &link).unwrap();
        WholeFile::open(&link)
            .unwrap()
            .write(b"third", SHORT)
            .unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&path).unwrap(), b"third");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_fifo_is_waited_for_and_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let file = WholeFile::open(&path).unwrap();
        let refused = file.write(b"text", SHORT).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TimedOut);
        assert!(refused.to_string().contains("for a reader"), "{refused}");

        let mut reader = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let text = vec![b'x'; 1 << 20];
        let refused = WholeFile::open(&path).unwrap().write(&text, SHORT);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("nothing more for"), "{refused}");
        let mut taken = vec![0; 1 << 20];
        assert!(reader.read(&mut taken).unwrap() > 0);
        WholeFile::open(&path)
            .unwrap()
            .write(b"text", SHORT)
            .unwrap();
    }
}
