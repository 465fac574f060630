//! Who holds a device open.

use std::fmt;
use std::fs::{self, DirEntry, Metadata};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Who holds a device open beside this process, as far as this user may see: "the kernel's console",
/// "v4l2-ctl (process 4711)". Shown, it is a sentence without its full stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders(Vec<String>);

impl Holders {
    /// Looks through the kernel's consoles, and the open files of all processes.
    #[must_use]
    pub fn of(device: &Path) -> Self {
        let Ok(device) = device.canonicalize() else {
            return Self::default();
        };
        let Ok(wanted) = device.metadata() else {
            return Self::default();
        };
        let mut found = Vec::new();
        if is_console(&device) {
            found.push("the kernel's console".to_owned());
        }
        // A file elsewhere is none of this device, and may lie on a disk that does not answer.
        let folder: PathBuf = device.components().take(2).collect();
        let is_it = |file: DirEntry| {
            fs::read_link(file.path()).is_ok_and(|target| target.starts_with(&folder))
                && fs::metadata(file.path()).is_ok_and(|held| identity(&held) == identity(&wanted))
        };
        let own = std::process::id();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let id = process.file_name();
            let Some(id) = id.to_str().and_then(|id| id.parse::<u32>().ok()) else {
                continue;
            };
            let files = fs::read_dir(process.path().join("fd"));
            if id != own && files.into_iter().flatten().flatten().any(is_it) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                found.push(format!("{} (process {id})", name.trim_end()));
            }
        }
        Self(found)
    }

    /// Nobody is seen.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<S: Into<String>> FromIterator<S> for Holders {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str(
                "another process, not visible to this user (try `fuser` as root), holds it",
            ),
            [one] => write!(f, "{one} holds it"),
            several => write!(f, "{} hold it", several.join(", ")),
        }
    }
}

/// Whether the kernel writes its own messages to this device.
fn is_console(device: &Path) -> bool {
    let consoles = fs::read_to_string("/proc/consoles").unwrap_or_default();
    let mut consoles = consoles
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    consoles.any(|console| Path::new("/dev").join(console) == device)
}

/// What two names of one thing share: the device behind a node, or the place of a file.
fn identity(data: &Metadata) -> (bool, u64, u64) {
    let kind = data.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        (kind.is_block_device(), data.rdev(), u64::MAX)
    } else {
        (false, data.dev(), data.ino())
    }
}

#[cfg(test)]
mod tests {
    use super::Holders;
    use std::fs::File;
    use std::path::Path;
    use std::process::{Command, Stdio};

    /// Waits until a device's holders are these. A process that another test of this one starts has this one's
    /// files until it runs its own program.
    #[track_caller]
    fn held_by(device: &Path, expected: &[String]) {
        let mut found = Vec::new();
        for _ in 0..10_000 {
            found = Holders::of(device).iter().map(str::to_owned).collect();
            if found == expected {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!(
            "{}: found {found:?}, expected {expected:?}",
            device.display()
        );
    }

    #[test]
    fn whoever_holds_a_file_open_is_named_by_any_of_its_names_and_this_process_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device");
        let own = File::create(&path).unwrap();
        let link = folder.path().join("by-id");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        // Only this process has it.
        held_by(&path, &[]);
        // It ends when its input does.
        let mut other = Command::new("cat")
            .stdin(Stdio::piped())
            .stderr(own.try_clone().unwrap())
            .spawn()
            .unwrap();
        let expected = format!("cat (process {})", other.id());
        for name in [&path, &link] {
            held_by(name, std::slice::from_ref(&expected));
        }
        drop(other.stdin.take());
        other.wait().unwrap();
        // Nobody has it any more.
        held_by(&path, &[]);
        assert!(Holders::of(&folder.path().join("none")).is_empty());
    }

    #[test]
    fn a_device_is_told_from_others_of_its_folder() {
        let mut other = Command::new("cat")
            .stdin(Stdio::piped())
            .stderr(File::options().write(true).open("/dev/zero").unwrap())
            .spawn()
            .unwrap();
        let expected = format!("cat (process {})", other.id());
        let holds = |device: &str| {
            let holders = Holders::of(device.as_ref());
            holders.iter().any(|holder| holder == expected)
        };
        assert!(holds("/dev/zero") && !holds("/dev/full"));
        drop(other.stdin.take());
        other.wait().unwrap();
    }

    #[test]
    fn they_make_a_sentence() {
        let said = |names: &[&str]| names.iter().copied().collect::<Holders>().to_string();
        assert_eq!(
            said(&["v4l2-ctl (process 4711)"]),
            "v4l2-ctl (process 4711) holds it"
        );
        assert_eq!(said(&["a", "b"]), "a, b hold it");
        assert!(said(&[]).contains("fuser"));
    }
}
