//! The keys of `[[output]]`.

use crate::limits::MAX_RULES;
use crate::profile::ask::{Places, Table};
use crate::profile::outputs::{Delivery, GpioMode, Output};
use crate::profile::rules::{Truth, choice, distinct, mapped, name, node, one_of, whole};

/// An output as it was read: its rules by name.
pub(in crate::profile) struct ReadOutput {
    /// The output, without its rules.
    pub(in crate::profile) output: Output,
    /// Names of its rules.
    pub(in crate::profile) rules: Vec<String>,
}

pub(in crate::profile) fn output(mut t: Table<'_, '_>) -> (ReadOutput, Places) {
    /// The speeds that termios(3) has names for, from the slowest that a line of text is worth.
    const RATES: &[u32] = &[
        1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600,
    ];
    const KIND: &[(&str, bool)] = &[("gpio", true), ("serial", false)];
    const MODE: &[(&str, bool)] = &[("pulse", true), ("level", false)];
    let output_name = t.key("name").required(name(), "\"buzzer\"");
    let gpio = t.key("kind").required(choice(KIND), "\"gpio\"");
    let device = t
        .key("device")
        .required(node(), "\"/dev/gpiochip0\"")
        .into();
    let gpio_line = t
        .key("gpio-line")
        .only("kind", "gpio", gpio)
        .required(whole(0..=1023, "number of the line on its chip"), "17");
    let active_low = t
        .key("active-low")
        .only("kind", "gpio", gpio)
        .or(Truth, "false");
    let pulse = t
        .key("mode")
        .only("kind", "gpio", gpio)
        .or(choice(MODE), "\"pulse\"");
    let pulse_ms = t.key("pulse-ms");
    let pulse_ms = if gpio {
        pulse_ms.only("mode", "pulse", pulse)
    } else {
        pulse_ms.only("kind", "gpio", false)
    }
    .or(whole(1..=600_000, "ms"), "500");
    let rate_baud = t
        .key("rate-baud")
        .only("kind", "serial", !gpio)
        .or(one_of(RATES, "baud"), "115200");
    let rules = t
        .key("rules")
        .optional(distinct(name(), 1..=MAX_RULES))
        .unwrap_or_default();
    let queue = mapped(whole::<u16>(1..=1024, "events"), usize::from);
    let output = Output {
        name: output_name,
        delivery: if gpio {
            Delivery::Gpio {
                device,
                gpio_line,
                active_low,
                mode: if pulse {
                    GpioMode::Pulse { pulse_ms }
                } else {
                    GpioMode::Level
                },
            }
        } else {
            Delivery::Serial {
                device,
                rate_baud: u32::try_from(rate_baud).unwrap_or(u32::MAX),
            }
        },
        rules: Vec::new(),
        queue_events: t.key("queue-events").or(queue, "64"),
    };
    (ReadOutput { output, rules }, t.finish())
}
