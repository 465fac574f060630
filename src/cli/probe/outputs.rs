//! What can be told of events: GPIO chips with their lines, serial devices.

use crate::sys::device::gpio::{Chip, LineInfo};
use crate::sys::device::serial::SerialDevice;
use nix::errno::Errno;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Chips, with the lines that have a name or are held; the others are free.
pub(super) fn show_chips(text: &mut String, chips: &[(PathBuf, Result<Chip, Errno>)]) {
    if chips.is_empty() {
        let _ = writeln!(text, "gpio       none (no /dev/gpiochip*)");
    }
    for (node, answer) in chips {
        let _ = writeln!(text, "gpio       {}", node.display());
        let chip = match answer {
            Ok(chip) => chip,
            Err(errno) => {
                let _ = writeln!(text, "           does not answer: {errno}");
                continue;
            }
        };
        let _ = match chip.lines.len() {
            0 => writeln!(text, "           {}, no lines", chip.label),
            lines => writeln!(text, "           {}, lines 0 to {}", chip.label, lines - 1),
        };
        for (number, LineInfo { name, holder }) in chip.lines.iter().enumerate() {
            let holder = holder.as_ref().map(|holder| format!("{holder} holds it"));
            let words = [Some(name.as_str()), holder.as_deref()];
            let words: Vec<&str> = words
                .into_iter()
                .flatten()
                .filter(|word| !word.is_empty())
                .collect();
            if !words.is_empty() {
                let _ = writeln!(text, "           line {number}: {}", words.join(", "));
            }
        }
    }
}

/// Serial devices.
pub(super) fn show_serial(text: &mut String, devices: &[SerialDevice]) {
    if devices.is_empty() {
        let _ = writeln!(text, "serial     none");
    }
    for device in devices {
        let _ = writeln!(
            text,
            "serial     {} ({})",
            device.node.display(),
            device.driver
        );
        for link in &device.links {
            let _ = writeln!(text, "           {}", link.display());
        }
        for holder in device.holders.iter() {
            let _ = writeln!(text, "           {holder} holds it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{show_chips, show_serial};
    use crate::sys::device::gpio::{Chip, LineInfo};
    use crate::sys::device::holders::Holders;
    use crate::sys::device::serial::SerialDevice;
    use nix::errno::Errno;

    #[test]
    fn chips_are_shown_with_the_lines_that_have_a_name_or_a_holder() {
        let line = |name: &str, holder: Option<&str>| LineInfo {
            name: name.into(),
            holder: holder.map(str::to_owned),
        };
        let chip = Chip {
            node: "/dev/gpiochip0".into(),
            label: "pinctrl-bcm2711".into(),
            lines: vec![
                line("ID_SDA", None),
                line("", None),
                line("GPIO17", Some("pinsight")),
                line("", Some("sysfs")),
            ],
        };
        let mut text = String::new();
        show_chips(&mut text, &[]);
        show_chips(
            &mut text,
            &[
                (chip.node.clone(), Ok(chip)),
                ("/dev/gpiochip1".into(), Err(Errno::EACCES)),
            ],
        );
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..6],
            [
                "gpio       none (no /dev/gpiochip*)",
                "gpio       /dev/gpiochip0",
                "           pinctrl-bcm2711, lines 0 to 3",
                "           line 0: ID_SDA",
                "           line 2: GPIO17, pinsight holds it",
                "           line 3: sysfs holds it",
            ]
        );
        assert!(lines[7].contains("does not answer: EACCES"), "{text}");
    }

    #[test]
    fn serial_devices_are_shown_with_the_names_that_stay_and_who_holds_them() {
        let mut text = String::new();
        show_serial(&mut text, &[]);
        show_serial(
            &mut text,
            &[SerialDevice {
                node: "/dev/ttyUSB0".into(),
                links: vec!["/dev/serial/by-id/usb-FTDI".into()],
                driver: "ftdi_sio".into(),
                holders: Holders::from_iter(["ModemManager (process 7)"]),
            }],
        );
        assert_eq!(
            text,
            "serial     none\nserial     /dev/ttyUSB0 (ftdi_sio)\n           /dev/serial/by-id/usb-FTDI\n           \
             ModemManager (process 7) holds it\n"
        );
    }
}
