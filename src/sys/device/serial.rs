//! A serial line: raw bytes at a speed, without ever waiting for whoever reads.
#![allow(unsafe_code)]

use crate::event::output::{Port, Wire};
use crate::sys::device::holders::Holders;
use crate::units::NS_PER_MS;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::sys::termios::{
    BaudRate, ControlFlags, FlushArg, SetArg, cfmakeraw, cfsetspeed, tcflush, tcgetattr, tcsetattr,
};
use nix::unistd::write;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A serial device that can be opened, time and again.
#[derive(Clone, Debug)]
pub struct SerialPort {
    device: PathBuf,
    rate: BaudRate,
}

/// An open serial line: 8 bits, no parity, one stop bit, no flow control.
#[derive(Debug)]
pub struct SerialLine(OwnedFd);

impl SerialPort {
    /// A device at a speed; nothing is opened yet. `None` where termios(3) has no such speed.
    #[must_use]
    pub fn new(device: PathBuf, rate_baud: u32) -> Option<Self> {
        let rate = match rate_baud {
            1_200 => BaudRate::B1200,
            2_400 => BaudRate::B2400,
            4_800 => BaudRate::B4800,
            9_600 => BaudRate::B9600,
            19_200 => BaudRate::B19200,
            38_400 => BaudRate::B38400,
            57_600 => BaudRate::B57600,
            115_200 => BaudRate::B115200,
            230_400 => BaudRate::B230400,
            460_800 => BaudRate::B460800,
            921_600 => BaudRate::B921600,
            _ => return None,
        };
        Some(Self { device, rate })
    }

    /// Looks whether it is a serial line that may be used, and sets nothing. Gives who else holds it.
    ///
    /// # Errors
    /// As of [`Port::open`].
    pub fn look(&self) -> Result<Holders, Errno> {
        tcgetattr(open(&self.device, FLAGS, Mode::empty())?)?;
        Ok(Holders::of(&self.device))
    }

    /// The words for a refusal of [`Port::open`].
    #[must_use]
    pub fn explain(&self, errno: Errno) -> String {
        let device = self.device.display();
        if errno == Errno::EBUSY {
            let holders = Holders::of(&self.device);
            return format!("{device}: found that {holders}, expected it to be free");
        }
        format!(
            "{device}: {errno}; expected a serial device, and the right to open it (group dialout; `pinsight probe` \
             lists them)"
        )
    }
}

/// Not the terminal of this process, and no wait for a carrier.
const FLAGS: OFlag = OFlag::O_RDWR
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_CLOEXEC);

/// A serial device of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialDevice {
    /// Its character device.
    pub node: PathBuf,
    /// Links of `/dev/serial/by-id` and `by-path` to it: names that stay.
    pub links: Vec<PathBuf>,
    /// Its driver.
    pub driver: String,
    /// Who holds it open.
    pub holders: Holders,
}

/// Every serial device behind which there is one: a UART that the kernel found, an adapter.
#[must_use]
pub fn devices() -> Vec<SerialDevice> {
    let entries = std::fs::read_dir("/sys/class/tty")
        .into_iter()
        .flatten()
        .flatten();
    let mut devices: Vec<SerialDevice> = entries
        .filter_map(|entry| {
            let path = entry.path();
            let driver = driver(&std::fs::canonicalize(path.join("device")).ok()?)?;
            // 0: a place of the driver's at which there is no UART.
            let kind = std::fs::read_to_string(path.join("type"));
            if kind.is_ok_and(|kind| kind.trim() == "0") {
                return None;
            }
            let node = Path::new("/dev").join(entry.file_name());
            Some(SerialDevice {
                links: links(&node),
                holders: Holders::of(&node),
                node,
                driver,
            })
        })
        .collect();
    devices.sort_by(|a, b| a.node.cmp(&b.node));
    devices
}

/// The driver of a device. From Linux 6.6 on, two places of the serial core's own lie between it and its
/// `tty`.
fn driver(device: &Path) -> Option<String> {
    device.ancestors().take(3).find_map(|folder| {
        let driver = std::fs::canonicalize(folder.join("driver")).ok()?;
        let name = driver.file_name()?.to_str()?;
        (name != "port" && name != "ctrl").then(|| name.to_owned())
    })
}

fn links(node: &Path) -> Vec<PathBuf> {
    let folders = ["/dev/serial/by-id", "/dev/serial/by-path"];
    let entries = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok());
    let mut links: Vec<PathBuf> = entries
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|link| std::fs::canonicalize(link).is_ok_and(|target| target == node))
        .collect();
    links.sort();
    links
}

impl Port for SerialPort {
    type Wire = SerialLine;

    /// Opens and sets up the line. Allocates nothing. ENOTTY: the device is no serial line.
    fn open(&mut self) -> Result<SerialLine, Errno> {
        let descriptor = open(&self.device, FLAGS, Mode::empty())?;
        let mut settings = tcgetattr(&descriptor)?;
        cfmakeraw(&mut settings);
        settings.control_flags.insert(ControlFlags::CLOCAL);
        settings
            .control_flags
            .remove(ControlFlags::CSTOPB | ControlFlags::CRTSCTS);
        cfsetspeed(&mut settings, self.rate)?;
        tcsetattr(&descriptor, SetArg::TCSANOW, &settings)?;
        Ok(SerialLine(descriptor))
    }
}

nix::ioctl_read_bad!(
    /// tty_ioctl(2), TIOCOUTQ.
    bytes_queued,
    libc::TIOCOUTQ,
    libc::c_int
);

impl Wire for SerialLine {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        match write(&self.0, bytes) {
            Ok(0) if !bytes.is_empty() => Err(Errno::EAGAIN),
            Err(Errno::EINTR) => Ok(0),
            outcome => outcome,
        }
    }

    fn wait(&self, timeout_ns: u64) {
        let ms = i32::try_from(timeout_ns / NS_PER_MS).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX);
        // Whatever it says: the next write says it as well.
        let _ = poll(
            &mut [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)],
            timeout,
        );
    }

    /// A pseudo-terminal always says 0: what it took is with whoever reads.
    fn unsent(&self) -> usize {
        let mut bytes = 0;
        // SAFETY: TIOCOUTQ writes one int, into one that lives; the descriptor is open.
        let told = unsafe { bytes_queued(self.0.as_raw_fd(), &raw mut bytes) };
        told.ok()
            .and_then(|_| usize::try_from(bytes).ok())
            .unwrap_or(0)
    }
}

impl AsFd for SerialLine {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for SerialLine {
    fn drop(&mut self) {
        // The kernel would wait up to half a minute for a receiver that takes nothing (closing_wait). Of an
        // empty queue it waits for the UART's own bytes alone, and a flush could cost those; with a
        // pseudo-terminal it would take back what its reader has yet to read.
        if self.unsent() > 0 {
            let _ = tcflush(&self.0, FlushArg::TCOFLUSH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SerialPort;
    use crate::event::output::{Link, Next, Port as _, Sentence, Wire as _, may_come};
    use nix::errno::Errno;
    use nix::fcntl::OFlag;
    use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
    use nix::sys::termios::{BaudRate, cfgetospeed, tcgetattr};
    use nix::unistd::read;

    /// A pseudo-terminal, and the port of its other end.
    fn pair() -> (PtyMaster, SerialPort) {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NONBLOCK).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname_r(&master).unwrap();
        (master, SerialPort::new(name.into(), 9_600).unwrap())
    }

    fn received(master: &PtyMaster) -> String {
        let mut bytes = [0; 8192];
        let mut text = String::new();
        while let Ok(count @ 1..) = read(master, &mut bytes) {
            text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        text
    }

    #[test]
    fn bytes_arrive_as_they_are_at_the_speed_that_was_asked_for() {
        let (master, mut port) = pair();
        let mut line = port.open().unwrap();
        assert_eq!(line.write(b"a\r\nb\x11\x03"), Ok(6));
        assert_eq!(received(&master), "a\r\nb\x11\x03");
        assert_eq!(cfgetospeed(&tcgetattr(&line).unwrap()), BaudRate::B9600);
    }

    #[test]
    fn a_line_that_is_closed_takes_nothing_back_that_was_handed_over() {
        let (master, mut port) = pair();
        let mut line = port.open().unwrap();
        assert_eq!(line.write(b"the last\r\n"), Ok(10));
        assert_eq!(line.unsent(), 0);
        drop(line);
        assert_eq!(received(&master), "the last\r\n");
    }

    #[test]
    fn a_line_that_nobody_reads_takes_what_it_can_and_then_says_so() {
        let (_master, mut port) = pair();
        let mut line = port.open().unwrap();
        let mut taken = 0;
        let end = loop {
            match line.write(&[b'x'; 512]) {
                Ok(count) => taken += count,
                Err(errno) => break errno,
            }
        };
        assert_eq!(end, Errno::EAGAIN);
        assert!(taken > 0);
    }

    #[test]
    fn a_device_that_vanishes_is_found_again_when_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("tty");
        let (first, port) = pair();
        std::os::unix::fs::symlink(&port.device, &device).unwrap();
        let port = SerialPort {
            device: device.clone(),
            ..port
        };
        let line = |text: &str| Some(Sentence::try_from(text).unwrap());
        let mut link = Link::new(port);
        let mut queue = vec![line("one\r\n")];
        assert_eq!(link.step(0, || queue.pop().flatten()), Next::Event);
        assert_eq!(received(&first), "one\r\n");
        // Unplugged: the line hangs up, and the name is gone.
        drop(first);
        std::fs::remove_file(&device).unwrap();
        queue.push(line("two\r\n"));
        let Next::Retry { at_ns, errno } = link.step(1, || queue.pop().flatten()) else {
            panic!("it is gone");
        };
        assert!(may_come(errno), "{errno}");
        let Next::Retry { at_ns, errno } = link.step(at_ns, || None) else {
            panic!("it is still gone");
        };
        assert_eq!(errno, Errno::ENOENT);
        let (second, port) = pair();
        std::os::unix::fs::symlink(&port.device, &device).unwrap();
        assert_eq!(link.step(at_ns, || None), Next::Event);
        assert_eq!(received(&second), "two\r\n", "nothing was lost on the way");
        assert_eq!((link.counts().sent, link.counts().opened), (2, 2));
    }

    #[test]
    fn what_is_no_serial_line_says_so_and_will_never_be_one() {
        let mut port = SerialPort::new("/dev/null".into(), 9_600).unwrap();
        assert_eq!(port.open().unwrap_err(), Errno::ENOTTY);
        assert!(!may_come(Errno::ENOTTY) && !may_come(Errno::EACCES));
        assert!(SerialPort::new("/dev/null".into(), 9_601).is_none());
    }
}
