//! Files that a run writes to: what they may be, and how they are opened.
//!
//! A regular file, a FIFO or a character device, and never what somebody else put in its place: a link is
//! followed only out of a directory that nobody else may write.

use nix::libc::{O_NOCTTY, O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::{getegid, geteuid};
use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Permissions of a file that is made: others see nothing of what a camera saw.
pub const MODE: u32 = 0o640;
/// Links that are followed, one to the other, at most: as many as Linux follows (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// A file is not written to.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] Error),
    /// It is something else.
    #[error("found {0}, expected a regular file, a FIFO or a character device")]
    Kind(&'static str),
    /// A link to what is not there.
    #[error("found a link to {}, which is not there", .0.display())]
    Dangling(PathBuf),
    /// A link that others could have made.
    #[error("found a link in {}, where others may put one", .0.display())]
    Link(PathBuf),
}

impl OpenError {
    /// What to do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Io(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => {
                "start its reader first"
            }
            Self::Io(_) => "name a file in a directory that exists and is writable",
            Self::Kind(_) => "name another file",
            Self::Dangling(_) => "make that file, or name another one",
            Self::Link(_) => "name what it leads to",
        }
    }
}

/// What tells one file from all others: its device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64, u64);

impl Identity {
    /// Of what this was read of.
    #[must_use]
    pub fn of(found: &Metadata) -> Self {
        Self(found.dev(), found.ino())
    }
}

/// What a file that is written to may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A FIFO, or a pipe.
    Fifo,
    /// A character device.
    Device,
}

impl Kind {
    /// Of a file.
    ///
    /// # Errors
    /// It is none of them.
    pub fn of(found: FileType) -> Result<Self, OpenError> {
        match found {
            found if found.is_file() => Ok(Self::Regular),
            found if found.is_fifo() => Ok(Self::Fifo),
            found if found.is_char_device() => Ok(Self::Device),
            found if found.is_block_device() => Err(OpenError::Kind("a block device")),
            found if found.is_dir() => Err(OpenError::Kind("a directory")),
            found if found.is_socket() => Err(OpenError::Kind("a socket")),
            _ => Err(OpenError::Kind("no file")),
        }
    }
}

/// Where a name leads.
#[derive(Clone, Debug)]
pub struct Target {
    /// A name that is no link, but for an open descriptor below /proc.
    pub path: PathBuf,
    /// What is there; `None` where nothing is.
    pub kind: Option<Kind>,
    /// An open descriptor below /proc: a link to what may have no name.
    is_descriptor: bool,
}

impl Target {
    /// Follows the links that are safe to follow. Opens nothing.
    ///
    /// # Errors
    /// A link that is not, or that leads nowhere; what may not be written to; what cannot be looked at.
    pub fn of(name: &Path) -> Result<Self, OpenError> {
        let mut path = name.to_path_buf();
        for _ in 0..MAX_LINKS {
            let found = match std::fs::symlink_metadata(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    if path != name {
                        return Err(OpenError::Dangling(path));
                    }
                    return Ok(Self {
                        path,
                        kind: None,
                        is_descriptor: false,
                    });
                }
                found => found?,
            };
            if !found.is_symlink() {
                let kind = Some(Kind::of(found.file_type())?);
                return Ok(Self {
                    path,
                    kind,
                    is_descriptor: false,
                });
            }
            let folder = folder_of(&path);
            if others_may_write(&std::fs::metadata(folder)?) {
                return Err(OpenError::Link(folder.to_path_buf()));
            }
            if std::fs::canonicalize(folder)?.starts_with("/proc") {
                let kind = Some(Kind::of(std::fs::metadata(&path)?.file_type())?);
                return Ok(Self {
                    path,
                    kind,
                    is_descriptor: true,
                });
            }
            path = folder.join(std::fs::read_link(&path)?);
        }
        Err(Error::from_raw_os_error(nix::libc::ELOOP).into())
    }

    /// Opens it for writing, with these options besides; makes it where it is not there, and never waits.
    ///
    /// # Errors
    /// The errno of open(2). ENXIO: a FIFO that nobody reads. Or it has become something else since.
    pub fn open(&self, options: &mut OpenOptions) -> Result<(File, Metadata), OpenError> {
        let follow = if self.is_descriptor { 0 } else { O_NOFOLLOW };
        let file = options
            .create(self.kind.is_none())
            .mode(MODE)
            // To open a FIFO would else wait for its reader.
            .custom_flags(O_NONBLOCK | O_NOCTTY | follow)
            .open(&self.path)?;
        let found = file.metadata()?;
        Kind::of(found.file_type())?;
        Ok((file, found))
    }
}

/// The directory that a name stands in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Whether somebody who is neither root nor this user may put files there.
fn others_may_write(folder: &Metadata) -> bool {
    let trusted_group = [0, getegid().as_raw()].contains(&folder.gid());
    ![0, geteuid().as_raw()].contains(&folder.uid())
        || folder.mode() & 0o002 != 0
        || folder.mode() & 0o020 != 0 && !trusted_group
}

#[cfg(test)]
mod tests {
    use super::{Kind, OpenError, Target};
    use std::fs::{OpenOptions, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::Path;

    #[test]
    fn a_link_is_followed_out_of_a_directory_of_ours_and_out_of_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "").unwrap();
        symlink("file", &link).unwrap();
        let second = dir.path().join("second");
        symlink(&link, &second).unwrap();
        for name in [&file, &link, &second] {
            let found = Target::of(name).unwrap();
            assert_eq!(
                (found.path, found.kind),
                (file.clone(), Some(Kind::Regular))
            );
        }
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
        assert!(matches!(Target::of(&link), Err(OpenError::Link(_))));
        assert_eq!(Target::of(&file).unwrap().kind, Some(Kind::Regular));
    }

    #[test]
    fn a_link_that_leads_nowhere_stays_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink("nothing", &link).unwrap();
        let refused = Target::of(&link).unwrap_err();
        assert!(matches!(&refused, OpenError::Dangling(to) if to.ends_with("nothing")));
        symlink("round", dir.path().join("round")).unwrap();
        assert!(Target::of(&dir.path().join("round")).is_err());
    }

    #[test]
    fn an_open_descriptor_is_a_name_and_what_is_made_is_nobody_else_s() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        let target = Target::of(&path).unwrap();
        assert_eq!(target.kind, None);
        let (file, found) = target.open(OpenOptions::new().append(true)).unwrap();
        assert_eq!(found.mode() & 0o137, 0);
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file);
        let name = format!("/dev/fd/{descriptor}");
        let again = Target::of(Path::new(&name)).unwrap();
        assert_eq!(again.kind, Some(Kind::Regular));
        let (_, same) = again.open(OpenOptions::new().append(true)).unwrap();
        assert_eq!(same.ino(), found.ino());
    }

    #[test]
    fn what_is_no_file_fifo_or_character_device_is_refused_before_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for odd in [dir.path(), &socket] {
            assert!(matches!(Target::of(odd), Err(OpenError::Kind(_))));
        }
        assert_eq!(
            Target::of(Path::new("/dev/null")).unwrap().kind,
            Some(Kind::Device)
        );
        let block = dir.path().join("block");
        let (kind, mode) = (
            nix::sys::stat::SFlag::S_IFBLK,
            nix::sys::stat::Mode::S_IRWXU,
        );
        // Only root may make one.
        if nix::sys::stat::mknod(&block, kind, mode, nix::sys::stat::makedev(7, 250)).is_ok() {
            let refused = Target::of(&block).unwrap_err().to_string();
            assert!(refused.contains("a block device"), "{refused}");
        }
    }
}
