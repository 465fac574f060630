//! Notifications of the service manager (sd_notify(3)): ready, and stopping.
//!
//! The vocabulary and its spelling are the sd-notify crate's. Its `notify` is not used: it connects by a path, which
//! does not reach an abstract name (`@...`); it waits for a manager that does not read; and it allocates, while
//! the heap is guarded by the time the board is ready.

use crate::units::NS_PER_US;
pub use sd_notify::NotifyState;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Bytes of the longest message.
const MESSAGE_BYTES: usize = 512;

/// The way to the service manager, or to nobody when there is none.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog_ns: Option<u64>,
}

/// The service manager could not be notified.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// `NOTIFY_SOCKET` names something that cannot be connected to.
    #[error("NOTIFY_SOCKET cannot be connected to: {0}")]
    Connect(io::Error),
    /// The message was not taken.
    #[error("the service manager did not take the message: {0}")]
    Send(io::Error),
    /// The message is longer than 512 bytes.
    #[error("message to the service manager is over {MESSAGE_BYTES} bytes")]
    TooLong,
}

impl Notifier {
    /// Connects to the socket that `NOTIFY_SOCKET` names; to nobody when it is unset.
    ///
    /// # Errors
    /// The socket exists by name but cannot be connected to.
    pub fn from_environment() -> Result<Self, NotifyError> {
        let mut notifier = Self::connect(std::env::var_os("NOTIFY_SOCKET").as_deref())?;
        let variable = |name| std::env::var(name).ok();
        notifier.watchdog_ns = watchdog_ns(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
        );
        Ok(notifier)
    }

    /// `WatchdogSec`: the manager ends the program when it hears nothing for so long; `None` where it does not.
    #[must_use]
    pub const fn watchdog_ns(&self) -> Option<u64> {
        self.watchdog_ns
    }

    /// Connects to the datagram socket at `address`; a leading `@` marks an abstract name.
    ///
    /// # Errors
    /// It cannot be connected to.
    pub fn connect(address: Option<&OsStr>) -> Result<Self, NotifyError> {
        let Some(address) = address.filter(|address| !address.is_empty()) else {
            return Ok(Self {
                socket: None,
                watchdog_ns: None,
            });
        };
        let open = || {
            let address = match address.as_bytes() {
                [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
                _ => SocketAddr::from_pathname(address)?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            // A manager that does not read must not stall the thread that reports to it.
            socket.set_nonblocking(true)?;
            Ok(Self {
                socket: Some(socket),
                watchdog_ns: None,
            })
        };
        open().map_err(NotifyError::Connect)
    }

    /// Sends all of `states` in one message; nothing when nobody listens. Does not allocate.
    ///
    /// # Errors
    /// The message was not taken, or is too long.
    pub fn send(&self, states: &[NotifyState<'_>]) -> Result<(), NotifyError> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        let mut message = heapless::String::<MESSAGE_BYTES>::new();
        for state in states {
            writeln!(message, "{state}").map_err(|_| NotifyError::TooLong)?;
        }
        socket
            .send(message.as_bytes())
            .map(drop)
            .map_err(NotifyError::Send)
    }
}

/// The time of the manager's watchdog, where it is meant for this process.
///
/// # Source
/// sd_watchdog_enabled(3).
fn watchdog_ns(usec: Option<&str>, pid: Option<&str>) -> Option<u64> {
    if pid.is_some_and(|pid| pid.parse() != Ok(std::process::id())) {
        return None;
    }
    let usec: u64 = usec?.parse().ok().filter(|usec| *usec > 0)?;
    usec.checked_mul(NS_PER_US)
}

#[cfg(test)]
mod tests {
    use super::NotifyState::{Ready, Status, Stopping};
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let count = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    }

    #[test]
    fn the_manager_hears_ready_and_stopping_with_a_status() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::connect(Some(path.as_os_str())).unwrap();
        notifier.send(&[Ready, Status("2 cameras")]).unwrap();
        assert_eq!(received(&manager), "READY=1\nSTATUS=2 cameras\n");
        notifier.send(&[Stopping, Status("proof")]).unwrap();
        assert_eq!(received(&manager), "STOPPING=1\nSTATUS=proof\n");
    }

    #[test]
    fn a_watchdog_is_ours_where_it_names_this_process_or_none() {
        let me = std::process::id().to_string();
        assert_eq!(watchdog_ns(Some("3000000"), None), Some(3_000_000_000));
        assert_eq!(watchdog_ns(Some("3000000"), Some(&me)), Some(3_000_000_000));
        for (usec, pid) in [
            (Some("3000000"), Some("1")),
            (Some("0"), None),
            (Some("soon"), None),
            (None, Some(&*me)),
        ] {
            assert_eq!(watchdog_ns(usec, pid), None);
        }
    }

    #[test]
    fn an_abstract_socket_is_reached_too() {
        let name = format!("pinsight-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = Notifier::connect(Some(OsStr::new(&format!("@{name}")))).unwrap();
        notifier.send(&[Ready, Status("up")]).unwrap();
        assert_eq!(received(&manager), "READY=1\nSTATUS=up\n");
    }

    #[test]
    fn without_a_manager_nothing_is_sent_and_nothing_fails() {
        let notifier = Notifier::connect(None).unwrap();
        notifier.send(&[Ready]).unwrap();
    }

    #[test]
    fn a_manager_that_is_not_there_or_does_not_read_is_an_error_and_no_wait() {
        let missing = Notifier::connect(Some(OsStr::new("/nonexistent/notify")));
        assert!(matches!(missing, Err(NotifyError::Connect(_))));

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let _manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::connect(Some(path.as_os_str())).unwrap();
        let mut refused = false;
        for _ in 0..10_000 {
            refused |= matches!(notifier.send(&[Status("full")]), Err(NotifyError::Send(_)));
        }
        assert!(refused, "the socket's queue is bounded");
        let long = "x".repeat(MESSAGE_BYTES);
        assert!(matches!(
            notifier.send(&[Status(&long)]),
            Err(NotifyError::TooLong)
        ));
    }
}
