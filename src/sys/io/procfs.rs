//! Small text files of /proc and /sys, read into a buffer of the caller's: nothing is allocated, so
//! that hot threads may use it after ready.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The start of `file`, as much as fits into `buffer`. The kernel writes such a file anew for each
/// read at offset 0, so an open descriptor may be read again and again.
///
/// # Errors
/// What pread(2) said.
pub fn reread<'b>(file: &File, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&buffer[..filled])
}

/// The start of the file at `path` (below 384 bytes, so that std needs no heap for it).
///
/// # Errors
/// What open(2) or pread(2) said.
pub fn read<'b>(path: &Path, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    reread(&File::open(path)?, buffer)
}

/// The number that follows `key` and blanks, tabs or a colon at the start of a line, e.g. `VmLck` in
/// /proc/self/status or `se.nr_migrations` in /proc/self/sched.
#[must_use]
pub fn field(text: &[u8], key: &str) -> Option<u64> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let rest = line.strip_prefix(key.as_bytes())?;
        let after = rest.trim_ascii_start();
        if after.len() == rest.len() && !rest.starts_with(b":") {
            return None;
        }
        number(after.strip_prefix(b":").unwrap_or(after).trim_ascii_start())
    })
}

/// The decimal number that `text` starts with.
#[must_use]
pub fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_number_after_the_whole_key() {
        let text = b"VmLckX:  9 kB\nVmLck:\t     12 kB\nse.nr_migrations      :    7\n";
        assert_eq!(field(text, "VmLck"), Some(12));
        assert_eq!(field(text, "se.nr_migrations"), Some(7));
        assert_eq!(field(text, "VmPin"), None);
    }

    #[test]
    fn an_open_file_of_proc_can_be_read_again() {
        let file = File::open("/proc/self/status").unwrap();
        let mut buffer = [0; 4096];
        for _ in 0..2 {
            let text = reread(&file, &mut buffer).unwrap();
            assert_eq!(field(text, "Pid"), Some(u64::from(std::process::id())));
        }
    }
}
