//! The names in a folder, read without the heap, so that a thread may look into /proc after ready.
#![allow(unsafe_code)]

use nix::libc;
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsRawFd as _;

/// Bytes of names that one call brings.
const BUFFER_BYTES: usize = 4096;
/// Bytes of an entry before its name: inode, offset, length, type.
const NAME_AT: usize = 19;

/// Calls `each` with every name in an open folder. What cannot be read ends it.
///
/// # Source
/// getdents(2): `struct linux_dirent64`.
pub fn each_name(folder: &File, mut each: impl FnMut(&str)) {
    let mut buffer = [0_u8; BUFFER_BYTES];
    loop {
        // SAFETY: the buffer is live, writable and as long as is said.
        let filled = unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                folder.as_raw_fd(),
                buffer.as_mut_ptr(),
                buffer.len(),
            )
        };
        let Ok(filled @ 1..) = usize::try_from(filled) else {
            return;
        };
        let mut rest = &buffer[..filled];
        while let Some((length, name)) = entry(rest) {
            if let Some(name) = name {
                each(name);
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

/// Length and name of the entry at the start of `bytes`; no name where it is no text.
fn entry(bytes: &[u8]) -> Option<(usize, Option<&str>)> {
    let length = u16::from_ne_bytes([*bytes.get(16)?, *bytes.get(17)?]);
    let length = usize::from(length);
    let name = CStr::from_bytes_until_nul(bytes.get(NAME_AT..length)?).ok()?;
    Some((length, name.to_str().ok()))
}

#[cfg(test)]
mod tests {
    use super::each_name;
    use std::collections::BTreeSet;
    use std::fs::File;

    #[test]
    fn every_name_of_a_folder_comes_however_many_there_are() {
        let dir = tempfile::tempdir().unwrap();
        let mut expected: BTreeSet<String> = [".".into(), "..".into()].into();
        for number in 0..500 {
            let name = format!("a-name-of-some-length-{number}");
            File::create(dir.path().join(&name)).unwrap();
            expected.insert(name);
        }
        let mut found = BTreeSet::new();
        each_name(&File::open(dir.path()).unwrap(), |name| {
            assert!(found.insert(name.to_owned()));
        });
        assert_eq!(found, expected);
    }
}
