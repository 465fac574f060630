//! One line of a GPIO chip, through its character device (gpiocdev, uAPI v2: Linux 5.10 or newer).

use crate::event::output::Switch;
use gpiocdev::line::Value;
use gpiocdev::request::Request;
use nix::errno::Errno;
use std::path::{Path, PathBuf};

/// A line that this process holds. It is off while nothing else is said, and is let go when dropped.
#[derive(Debug)]
pub struct GpioLine {
    request: Request,
}

/// A line cannot be had.
#[derive(Debug)]
pub struct GpioError {
    /// The chip.
    pub device: PathBuf,
    /// Number of the line on it.
    pub line: u32,
    /// Why, in words.
    pub reason: String,
}

impl std::fmt::Display for GpioError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            device,
            line,
            reason,
        } = self;
        write!(
            f,
            "line {line} of {} cannot be had: {reason}; expected a GPIO character device whose line nobody \
             else holds, and the right to open it (`gpioinfo` lists both)",
            device.display()
        )
    }
}

impl std::error::Error for GpioError {}

impl GpioLine {
    /// Takes the line as an output, and switches it off.
    ///
    /// # Errors
    /// The chip or the line cannot be had.
    pub fn open(device: &Path, line: u32, active_low: bool) -> Result<Self, GpioError> {
        let failed = |reason: String| GpioError {
            device: device.to_owned(),
            line,
            reason,
        };
        let mut builder = Request::builder();
        builder
            .on_chip(device)
            .with_consumer("pinsight")
            .with_line(line)
            .as_output(Value::Inactive);
        if active_low {
            builder.as_active_low();
        }
        let request = builder.request().map_err(|error| failed(words(&error)))?;
        Ok(Self { request })
    }
}

/// What went wrong, as a part of a sentence.
fn words(error: &gpiocdev::Error) -> String {
    match error {
        gpiocdev::Error::Os(errno) => Errno::from_raw(errno.0).to_string(),
        other => other.to_string().trim_end_matches('.').to_owned(),
    }
}

impl Switch for GpioLine {
    fn set(&mut self, on: bool) -> Result<(), Errno> {
        let value = if on { Value::Active } else { Value::Inactive };
        // The ioctl is the last call of it; its error keeps the errno to itself.
        self.request
            .set_lone_value(value)
            .map_err(|_| Errno::last())
    }
}

#[cfg(test)]
mod tests {
    use super::GpioLine;
    use std::path::Path;

    #[test]
    fn what_is_no_gpio_chip_is_refused_with_the_reason() {
        for (device, reason) in [("/dev/gpiochip-none", "ENOENT"), ("/dev/null", "not a")] {
            let error = GpioLine::open(Path::new(device), 17, false).unwrap_err();
            let message = error.to_string();
            assert!(
                message.starts_with(&format!("line 17 of {device} cannot be had: ")),
                "{message}"
            );
            assert!(message.contains(reason), "{message}");
        }
    }
}
