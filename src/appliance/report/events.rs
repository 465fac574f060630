//! Events in the proof: what each rule reported, and who did not get it.

use super::words::write_line;
use crate::columns::{Cell, wrap};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::{self, Formatter};

/// What became of tracks and rules.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Events {
    /// Things that were followed, by the models and cameras that a rule looks at.
    pub tracks: u64,
    /// Things that were not followed, because `max-tracks` were.
    pub tracks_refused: u64,
    /// Detections that were no box: not finite, or without an area.
    pub boxes_unsound: u64,
    /// Results that came after that of a later frame of their camera, and were not looked at.
    pub results_late: u64,
    /// Each rule's account.
    pub rules: Vec<RuleAccount>,
    /// Each output's account.
    pub outputs: Vec<OutputAccount>,
}

/// What became of the events of one output.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OutputAccount {
    /// The output.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// Events handed over to the device.
    pub sent: u64,
    /// Events that the device did not take in time.
    pub lost: u64,
    /// Times that the device refused, could not be opened, or was lost.
    pub failures: u64,
    /// Times that it was opened.
    pub opened: u64,
}

/// What became of the events of one rule.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RuleAccount {
    /// The rule.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// Events reported; the end of a state is one.
    pub fired: u64,
    /// Events that `cool-down-ms` held back.
    pub suppressed: u64,
    /// Times that an event was reported and not written to the file of events, or not taken by an output.
    pub lost: u64,
    /// Tracks of its classes, by its model on its camera.
    pub tracks: u64,
    /// Of them, those whose anchor was in the zone, or went over the line.
    pub tracks_in_place: u64,
    /// Why it reported nothing, in words; nothing where it did.
    pub reason: Option<String>,
}

impl Events {
    /// The table of the proof; nothing for a board without rules.
    pub(crate) fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n  {:<22}{:<10}{:>8}{:>9}{:>7}{:>12}{:>7}",
            "events by rule", "kind", "tracks", "in place", "fired", "suppressed", "lost"
        )?;
        for rule in &self.rules {
            rule.write(f)?;
        }
        let (tracks, refused, late) = (self.tracks, self.tracks_refused, self.results_late);
        write_line(
            f,
            4,
            format_args!("{tracks} tracks, {refused} refused; {late} results late"),
        )?;
        for output in &self.outputs {
            let (name, kind, sent, lost) = (&output.name, output.kind, output.sent, output.lost);
            let (failures, opened) = (output.failures, output.opened);
            write_line(
                f,
                4,
                format_args!(
                    "output {name} ({kind}): {sent} events sent, {lost} lost, {failures} failures, opened {opened} times"
                ),
            )?;
        }
        Ok(())
    }
}

impl RuleAccount {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {}{:<10}{:>8}{:>9}{:>7}{:>12}{:>7}",
            Cell(&self.name, 22),
            self.kind,
            self.tracks,
            self.tracks_in_place,
            self.fired,
            self.suppressed,
            self.lost
        )?;
        let Some(reason) = &self.reason else {
            return Ok(());
        };
        let line = format!("    none fired: {reason}");
        wrap(f, 0, 6, &line)
    }
}

#[cfg(test)]
mod tests {
    use super::{Events, RuleAccount};
    use crate::columns::COLUMNS;
    use std::fmt;

    struct Table(Events);

    impl fmt::Display for Table {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.write(f)
        }
    }

    #[test]
    fn the_table_says_why_none_fired_within_the_terminals_width() {
        let rule = |name: &str, reason: Option<&str>| RuleAccount {
            name: name.into(),
            kind: "presence",
            fired: 99_999,
            suppressed: 99_999,
            lost: 99_999,
            tracks: 99_999,
            tracks_in_place: 99_999,
            reason: reason.map(Into::into),
        };
        let long = "n".repeat(48);
        let reason = format!("3 tracks, none in zone {long} of some length, which goes on and on");
        let events = Events {
            rules: vec![rule("short", None), rule(&long, Some(&reason))],
            ..Events::default()
        };
        let table = Table(events).to_string();
        for line in table.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
        assert!(
            table.contains("\n    none fired: 3 tracks, none in zone"),
            "{table}"
        );
        assert_eq!(table.matches("none fired").count(), 1);
    }
}
