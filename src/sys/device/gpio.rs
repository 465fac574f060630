//! Lines of GPIO chips, through their character devices (uAPI v2: Linux 5.10 or newer).

use crate::event::output::{Switch, SwitchPort};
use gpiocdev_uapi::v2::{
    Error, LineConfig, LineFlags, LineRequest, LineValues, Name, get_chip_info, get_line,
    get_line_info, set_line_values,
};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A line that can be taken as an output, time and again.
#[derive(Clone, Debug)]
pub struct GpioPort {
    device: PathBuf,
    line: u32,
    active_low: bool,
}

/// A line that this process holds. It is let go when dropped, and its level is then the driver's affair:
/// most leave it.
#[derive(Debug)]
pub struct GpioLine(File);

/// A line cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "line {line} of {} cannot be had: {reason}; expected a GPIO character device whose line nobody else holds, and the \
     right to open it (`pinsight probe` lists chips and lines)",
    device.display()
)]
pub struct GpioError {
    /// The chip.
    pub device: PathBuf,
    /// Number of the line on it.
    pub line: u32,
    /// Why, in words.
    pub reason: String,
}

/// A chip that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Its character device.
    pub node: PathBuf,
    /// What its driver calls it.
    pub label: String,
    /// Its lines, in the order of their numbers.
    pub lines: Vec<LineInfo>,
}

/// A line of a chip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineInfo {
    /// What the board calls it; may be empty.
    pub name: String,
    /// Who holds it; `None` while it is free.
    pub holder: Option<String>,
}

impl GpioPort {
    /// A line; nothing is opened yet.
    #[must_use]
    pub const fn new(device: PathBuf, line: u32, active_low: bool) -> Self {
        Self {
            device,
            line,
            active_low,
        }
    }

    /// Says what the line is, in words, without touching it.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn describe(&self) -> Result<String, GpioError> {
        let chip = Chip::open(&self.device).map_err(|errno| self.explain(errno))?;
        match chip.lines.get(self.line as usize) {
            Some(LineInfo { name, holder: None }) => {
                let name = if name.is_empty() { "no name" } else { name };
                let Self { device, line, .. } = self;
                let label = &chip.label;
                let device = device.display();
                Ok(format!("line {line} ({name}) of {device} ({label}), free"))
            }
            Some(_) => Err(self.explain(Errno::EBUSY)),
            None => Err(self.explain(Errno::EINVAL)),
        }
    }

    /// The words for a refusal of [`SwitchPort::open`]. Looks at the chip for what the number does not say.
    #[must_use]
    pub fn explain(&self, errno: Errno) -> GpioError {
        let chip = Chip::open(&self.device);
        let line = chip.as_ref().map(|chip| chip.lines.get(self.line as usize));
        let reason = match (&chip, line) {
            (Ok(chip), Ok(None)) => match chip.lines.len() {
                0 => "the chip has no lines".to_owned(),
                lines => format!(
                    "the chip has {lines} lines, 0 to {} ({})",
                    lines - 1,
                    chip.label
                ),
            },
            (
                _,
                Ok(Some(LineInfo {
                    holder: Some(holder),
                    ..
                })),
            ) => format!("{holder} holds it"),
            (Err(Errno::ENOTTY), _) => "not a GPIO chip".to_owned(),
            _ => errno.to_string(),
        };
        GpioError {
            device: self.device.clone(),
            line: self.line,
            reason,
        }
    }
}

/// Opens a chip's node. A FIFO that somebody made in its place is no chip, and is not waited for.
fn open(node: &Path) -> Result<File, Errno> {
    let opened = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(node);
    opened.map_err(|error| number(&error))
}

impl SwitchPort for GpioPort {
    type Switch = GpioLine;

    /// Takes the line as an output, and switches it off. Allocates nothing.
    fn open(&mut self) -> Result<GpioLine, Errno> {
        let chip = open(&self.device)?;
        let mut flags = LineFlags::OUTPUT;
        flags.set(LineFlags::ACTIVE_LOW, self.active_low);
        let mut request = LineRequest {
            consumer: Name::from("pinsight"),
            // Without a value of its own an output begins inactive.
            config: LineConfig {
                flags,
                ..LineConfig::default()
            },
            num_lines: 1,
            ..LineRequest::default()
        };
        request.offsets.set(0, self.line);
        get_line(&chip, request)
            .map(GpioLine)
            .map_err(|error| errno(&error))
    }
}

impl Switch for GpioLine {
    fn set(&mut self, on: bool) -> Result<(), Errno> {
        let mut values = LineValues::default();
        values.set(0, on);
        set_line_values(&self.0, &values).map_err(|error| errno(&error))
    }

    /// Asks no chip: on a slow bus that would take its time. Kernels that do not tell of a lost chip in
    /// this way tell at the next [`Switch::set`].
    fn check(&self) -> Result<(), Errno> {
        let mut entries = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        let found = poll(&mut entries, PollTimeout::ZERO);
        match entries[0].revents() {
            Some(events)
                if found.is_ok() && events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) =>
            {
                Err(Errno::ENODEV)
            }
            _ => Ok(()),
        }
    }
}

impl Chip {
    /// Asks a chip for its lines.
    ///
    /// # Errors
    /// It is not there, may not be opened, or is no GPIO chip (ENOTTY).
    pub fn open(node: &Path) -> Result<Self, Errno> {
        let file = open(node)?;
        let info = get_chip_info(&file).map_err(|error| errno(&error))?;
        let line = |offset| {
            let info = get_line_info(&file, offset).ok()?;
            let used = info.flags.contains(LineFlags::USED);
            let holder = Some(String::from(&info.consumer)).filter(|name| !name.is_empty());
            Some(LineInfo {
                name: String::from(&info.name),
                holder: used.then(|| holder.unwrap_or_else(|| "somebody".to_owned())),
            })
        };
        Ok(Self {
            node: node.to_owned(),
            label: String::from(&info.label),
            lines: (0..info.num_lines)
                .map(|offset| line(offset).unwrap_or_default())
                .collect(),
        })
    }
}

/// Every GPIO chip of the machine, or why it does not answer.
#[must_use]
pub fn chips() -> Vec<(PathBuf, Result<Chip, Errno>)> {
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let is_chip = |name: &std::ffi::OsStr| {
        let number = name.to_str().and_then(|name| name.strip_prefix("gpiochip"));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let mut nodes: Vec<PathBuf> = entries
        .filter(|entry| is_chip(&entry.file_name()))
        .map(|entry| entry.path())
        .collect();
    nodes.sort();
    nodes
        .into_iter()
        .map(|node| (node.clone(), Chip::open(&node)))
        .collect()
}

fn number(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO))
}

const fn errno(error: &Error) -> Errno {
    match error {
        Error::Os(errno) => Errno::from_raw(errno.0),
        Error::UnderRead(_) => Errno::EIO,
    }
}

#[cfg(test)]
mod tests {
    use super::GpioPort;
    use crate::event::output::SwitchPort as _;

    #[test]
    fn what_is_no_gpio_chip_is_refused_with_the_reason() {
        for (device, reason) in [("/dev/gpiochip-none", "ENOENT"), ("/dev/null", "not a")] {
            let mut port = GpioPort::new(device.into(), 17, false);
            let errno = port.open().unwrap_err();
            for error in [port.explain(errno), port.describe().unwrap_err()] {
                let message = error.to_string();
                assert!(
                    message.starts_with(&format!("line 17 of {device} cannot be had: {reason}")),
                    "{message}"
                );
            }
        }
    }
}
