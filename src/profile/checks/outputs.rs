//! What must hold between outputs and rules.

use super::events::{Reference, Tables};
use super::unique;
use crate::profile::ask::Places;
use crate::profile::events::{Rule, Span};
use crate::profile::fault::Hint;
use crate::profile::keys::ReadOutput;
use crate::profile::outputs::{Delivery, GpioMode, Output};
use crate::profile::sink::Sink;

pub(in crate::profile) fn outputs(
    sink: &Sink<'_>,
    read: Vec<(ReadOutput, Places)>,
    rules: Tables<'_, Rule>,
) -> Vec<Output> {
    unique(
        sink,
        read.iter()
            .map(|(read, at)| (read.output.name.as_str(), at)),
    );
    let mut outputs: Vec<Output> = Vec::new();
    for (
        ReadOutput {
            mut output,
            rules: names,
        },
        places,
    ) in read
    {
        if rules.is_empty() {
            let (found, expected) = ("an output", "at least one [[rule]] that tells it something");
            places.fault(sink, "rules", found.into(), expected.into(), Hint::None);
        }
        for name in &names {
            let reference = Reference {
                sink,
                places: &places,
                key: "rules",
                of: "[[rule]]",
            };
            let known = rules.iter().map(|(rule, at)| (rule.name.as_str(), at));
            if !rules.is_empty() && places.sound(&["rules"]) {
                output.rules.extend(reference.resolve(name, known));
            }
        }
        output.rules.sort_unstable();
        let is_state = |index: &usize| {
            let (rule, places) = &rules[*index];
            !places.sound(&["kind"]) || rule.kind.span() == Span::State
        };
        let level = matches!(
            output.delivery,
            Delivery::Gpio {
                mode: GpioMode::Level,
                ..
            }
        );
        if level
            && places.sound(&["kind", "mode", "rules"])
            && output.rules.len() == names.len()
            && !(0..rules.len())
                .filter(|rule| output.takes(*rule))
                .any(|rule| is_state(&rule))
            && !rules.is_empty()
        {
            let expected = "\"pulse\", or a rule of kind \"count\", \"presence\" or \"absence\": \
                            others have no level"
                .into();
            places.fault(sink, "mode", "\"level\"".into(), expected, Hint::None);
        }
        let sound = places.sound(&["kind", "device"]);
        if sound && let Some(other) = outputs.iter().find(|other| same_wire(other, &output)) {
            let found = format!("what output \"{}\" has as well", other.name);
            let expected = "a device, or a line of a GPIO chip, of its own".into();
            places.fault(sink, "device", found, expected, Hint::None);
        }
        outputs.push(output);
    }
    outputs
}

fn same_wire(one: &Output, other: &Output) -> bool {
    match (&one.delivery, &other.delivery) {
        (
            Delivery::Gpio {
                device, gpio_line, ..
            },
            Delivery::Gpio {
                device: theirs,
                gpio_line: line,
                ..
            },
        ) => device == theirs && gpio_line == line,
        (one, other) => one.device() == other.device(),
    }
}
