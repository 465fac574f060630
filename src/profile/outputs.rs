//! What a profile says about who is told of events.

use std::path::{Path, PathBuf};

/// `[[output]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Unique among the outputs.
    pub name: String,
    /// What it is.
    pub delivery: Delivery,
    /// The rules whose events it gets, by index, ascending; empty for all.
    pub rules: Vec<usize>,
    /// Events that may wait for it, 1..=1024; more are lost and counted.
    pub queue_events: usize,
}

impl Output {
    /// It gets the events of this rule.
    #[must_use]
    pub fn takes(&self, rule: usize) -> bool {
        self.rules.is_empty() || self.rules.contains(&rule)
    }
}

/// `kind` of an output, with the keys that it alone has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A line of a GPIO chip.
    Gpio {
        /// Character device of the chip.
        device: PathBuf,
        /// Number of the line on its chip, 0..=1023.
        gpio_line: u32,
        /// On is the low level.
        active_low: bool,
        /// When it is on.
        mode: GpioMode,
    },
    /// A line of text for each event, over a serial line.
    Serial {
        /// Character device.
        device: PathBuf,
        /// Bits a second.
        rate_baud: u32,
    },
}

impl Delivery {
    /// Its word in profiles and in the proof.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Gpio { .. } => "gpio",
            Self::Serial { .. } => "serial",
        }
    }

    /// Its device.
    #[must_use]
    pub fn device(&self) -> &Path {
        match self {
            Self::Gpio { device, .. } | Self::Serial { device, .. } => device,
        }
    }
}

/// `mode` of a GPIO output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpioMode {
    /// On for so long after each event.
    Pulse {
        /// How long.
        pulse_ms: u64,
    },
    /// On while one of its rules' states holds.
    Level,
}
