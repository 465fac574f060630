//! Words to the service manager (sd_notify(3)): ready, stopping, status.
//!
//! The socket is opened once, at arming, and every message is put together in a fixed buffer: the
//! periodic path allocates nothing and needs no `socket` call, which a unit's system call filter may forbid. The
//! vocabulary and its spelling are those of the sd-notify crate.

use sd_notify::NotifyState;
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
}

/// The service manager could not be told.
#[derive(Debug)]
pub enum NotifyError {
    /// `NOTIFY_SOCKET` names something that cannot be connected to.
    Connect(io::Error),
    /// The message was not taken.
    Send(io::Error),
    /// The message is longer than 512 bytes.
    TooLong,
}

impl std::fmt::Display for NotifyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "NOTIFY_SOCKET cannot be connected to: {error}"),
            Self::Send(error) => write!(f, "the service manager did not take the message: {error}"),
            Self::TooLong => write!(
                f,
                "message to the service manager is over {MESSAGE_BYTES} bytes"
            ),
        }
    }
}

impl std::error::Error for NotifyError {}

impl Notifier {
    /// Connects to the socket that `NOTIFY_SOCKET` names; to nobody when it is unset.
    ///
    /// # Errors
    /// The socket exists by name but cannot be connected to.
    pub fn from_environment() -> Result<Self, NotifyError> {
        Self::connect(std::env::var_os("NOTIFY_SOCKET").as_deref())
    }

    /// Connects to the datagram socket at `address`; a leading `@` marks an abstract name.
    ///
    /// # Errors
    /// It cannot be connected to.
    pub fn connect(address: Option<&OsStr>) -> Result<Self, NotifyError> {
        let Some(address) = address.filter(|address| !address.is_empty()) else {
            return Ok(Self { socket: None });
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
            Ok(socket)
        };
        open()
            .map(|socket| Self {
                socket: Some(socket),
            })
            .map_err(NotifyError::Connect)
    }

    /// Somebody listens.
    #[must_use]
    pub fn listened(&self) -> bool {
        self.socket.is_some()
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
        match socket.send(message.as_bytes()) {
            Ok(_) => Ok(()),
            Err(error) => Err(NotifyError::Send(error)),
        }
    }

    /// `READY=1` and a status line.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn ready(&self, status: &str) -> Result<(), NotifyError> {
        self.send(&[NotifyState::Ready, NotifyState::Status(status)])
    }

    /// `STOPPING=1` and a status line.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn stopping(&self, status: &str) -> Result<(), NotifyError> {
        self.send(&[NotifyState::Stopping, NotifyState::Status(status)])
    }

    /// A status line: one line, without line breaks.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn status(&self, status: &str) -> Result<(), NotifyError> {
        self.send(&[NotifyState::Status(status)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let count = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    }

    #[test]
    fn the_manager_hears_ready_status_and_stopping() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::connect(Some(path.as_os_str())).unwrap();
        assert!(notifier.listened());
        notifier.ready("2 cameras").unwrap();
        assert_eq!(received(&manager), "READY=1\nSTATUS=2 cameras\n");
        notifier.status("30.0 results/s").unwrap();
        assert_eq!(received(&manager), "STATUS=30.0 results/s\n");
        notifier.stopping("proof").unwrap();
        assert_eq!(received(&manager), "STOPPING=1\nSTATUS=proof\n");
    }

    #[test]
    fn an_abstract_socket_is_reached_too() {
        let name = format!("pinsight-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = Notifier::connect(Some(OsStr::new(&format!("@{name}")))).unwrap();
        notifier.ready("up").unwrap();
        assert_eq!(received(&manager), "READY=1\nSTATUS=up\n");
    }

    #[test]
    fn without_a_manager_nothing_is_sent_and_nothing_fails() {
        let notifier = Notifier::connect(None).unwrap();
        assert!(!notifier.listened());
        notifier.ready("nobody hears this").unwrap();
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
            refused |= matches!(notifier.status("full"), Err(NotifyError::Send(_)));
        }
        assert!(refused, "the socket's queue is bounded");
        let long = "x".repeat(MESSAGE_BYTES);
        assert!(matches!(notifier.status(&long), Err(NotifyError::TooLong)));
    }
}
