//! `[[output]]`: what gets the events beside the log.

use super::reader::values::{choice, device_node, distinct, name, one_of, truth, whole};
use super::reader::{Located, Place, Table, Tables};
use super::rule::{Rule, Span};
use crate::limits::{MAX_QUEUED, MAX_RULES};
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

    /// The device, and the line of a GPIO chip: what no two outputs share.
    fn wire(&self) -> (&Path, Option<u32>) {
        match self {
            Self::Gpio {
                device, gpio_line, ..
            } => (device, Some(*gpio_line)),
            Self::Serial { device, .. } => (device, None),
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

pub fn read(t: &mut Table<'_>, rules: &Tables<'_, Rule>) -> Output {
    let output_name = t.name("\"buzzer\"");
    let delivery = delivery(t);
    let names = t
        .optional("rules", distinct(name(), 1..=MAX_RULES), "all of them")
        .unwrap_or_default();
    let queue_events = t.or("queue-events", whole(1..=MAX_QUEUED, "events"), "64");
    let mut of_rules: Vec<usize> = Vec::new();
    if rules.is_empty() {
        t.fault(
            "rules",
            "an output",
            "at least one [[rule]] that tells it something",
        );
    } else {
        let known = names
            .iter()
            .filter_map(|name| rules.refer(t, "rules", name));
        of_rules.extend(known.map(|rule| rule.at.index));
        of_rules.sort_unstable();
    }
    let all_known = of_rules.len() == names.len();
    let output = Output {
        name: output_name,
        delivery,
        rules: of_rules,
        queue_events,
    };
    if all_known && !rules.is_empty() {
        check_level(t, &output, rules);
    }
    output
}

fn delivery(t: &mut Table<'_>) -> Delivery {
    /// The speeds that termios(3) has names for, from the slowest that a line of text is worth.
    const RATES: &[u32] = &[
        1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600,
    ];
    const KIND: &[(&str, bool)] = &[("gpio", true), ("serial", false)];
    const MODE: &[(&str, bool)] = &[("pulse", true), ("level", false)];
    let gpio = t.required("kind", choice(KIND), "\"gpio\"");
    let device = t
        .required("device", device_node(), "\"/dev/gpiochip0\"")
        .into();
    let mut of = t.only("kind", &["gpio"], gpio);
    let gpio_line = whole(0..=1023, "number of the line on its chip");
    let gpio_line = of.required("gpio-line", gpio_line, "17");
    let active_low = of.or("active-low", truth(), "false");
    let pulse = of.or("mode", choice(MODE), "\"pulse\"");
    let mut of = match gpio {
        true => t.only("mode", &["pulse"], pulse),
        false => t.only("kind", &["gpio"], false),
    };
    let pulse_ms = of.or("pulse-ms", whole(1..=600_000, "ms"), "500");
    let mut of = t.only("kind", &["serial"], !gpio);
    let rate_baud = of.or("rate-baud", one_of(RATES, "baud"), "115200");
    let mode = if pulse {
        GpioMode::Pulse { pulse_ms }
    } else {
        GpioMode::Level
    };
    match gpio {
        true => Delivery::Gpio {
            device,
            gpio_line,
            active_low,
            mode,
        },
        false => Delivery::Serial { device, rate_baud },
    }
}

/// A level shows a state, which only some rules have.
fn check_level(at: &Place<'_>, output: &Output, rules: &Tables<'_, Rule>) {
    let is_state = |index: usize| {
        let rule = &rules[index];
        !rule.at.sound(&["kind"]) || rule.kind.span() == Span::State
    };
    let states = (0..rules.len()).any(|index| output.takes(index) && is_state(index));
    let level = matches!(
        output.delivery,
        Delivery::Gpio {
            mode: GpioMode::Level,
            ..
        }
    );
    if level && !states && rules.all_read() && at.sound(&["kind", "mode", "rules"]) {
        let expected = "\"pulse\", or a rule of kind \"count\", \"presence\" or \"absence\": others have no level";
        at.fault("mode", "\"level\"", expected);
    }
}

/// What must hold between outputs.
pub fn check_all(outputs: &Tables<'_, Output>) {
    for (index, output) in outputs.iter().enumerate() {
        let same = |other: &&Located<'_, Output>| same_wire(other, output);
        if output.at.sound(&["kind", "device"])
            && let Some(other) = outputs[..index].iter().find(same)
        {
            let found = format!("what output \"{}\" has as well", other.name);
            output.at.fault(
                "device",
                found,
                "a device, or a line of a GPIO chip, of its own",
            );
        }
    }
}

fn same_wire(one: &Output, other: &Output) -> bool {
    let ((device, line), (same, other)) = (one.delivery.wire(), other.delivery.wire());
    device == same && (line == other || line.is_none() || other.is_none())
}
