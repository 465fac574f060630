//! The keys of `[tracker]`, `[[zone]]`, `[[line]]` and `[[rule]]`.

use super::{last, share};
use crate::limits::MAX_TRACKS;
use crate::profile::ask::{Places, Table};
use crate::profile::events::{Anchor, Direction, Line, Rule, RuleKind, Tracker, Zone};
use crate::profile::geometry::CORNERS;
use crate::profile::rules::{choice, distinct, label, list, mapped, name, point, whole};

/// Longest time that a rule knows: ten hours.
const MAX_MS: u32 = 36_000_000;
/// Classes that one rule may name.
const MAX_CLASSES: usize = 64;

pub(in crate::profile) fn tracker(mut t: Table<'_, '_>) -> (Tracker, Places) {
    let tracks = mapped(
        whole::<u16>(1..=last(MAX_TRACKS) + 1, "tracks"),
        usize::from,
    );
    let tracker = Tracker {
        max_tracks: t.key("max-tracks").or(tracks, "32"),
        lost_after_ms: t.key("lost-after-ms").or(whole(1..=600_000, "ms"), "1000"),
        min_overlap: t.key("min-overlap").or(share("overlap"), "0.2"),
        high_score: t.key("high-score").or(share("score"), "0.5"),
    };
    (tracker, t.finish())
}

/// A zone, with the camera that it names.
pub(in crate::profile) fn zone(mut t: Table<'_, '_>) -> (Zone, Places) {
    let zone = Zone {
        name: t.key("name").required(name(), "\"doorway\""),
        camera: t.key("camera").optional(name()).unwrap_or_default(),
        corners_px: t.key("corners-px").required(
            list(point(), CORNERS),
            "[[100, 100], [500, 100], [500, 700], [100, 700]]",
        ),
    };
    (zone, t.finish())
}

/// A line, with the camera that it names.
pub(in crate::profile) fn line(mut t: Table<'_, '_>) -> (Line, Places) {
    let line = Line {
        name: t.key("name").required(name(), "\"threshold\""),
        camera: t.key("camera").optional(name()).unwrap_or_default(),
        from_px: t.key("from-px").required(point(), "[0, 540]"),
        to_px: t.key("to-px").required(point(), "[1920, 540]"),
    };
    (line, t.finish())
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Enter,
    Leave,
    Dwell,
    Cross,
    Count,
    Presence,
    Absence,
}

/// A rule as it was read: what it refers to is not looked for yet.
pub(in crate::profile) struct ReadRule {
    /// The rule, without its classes.
    pub(in crate::profile) rule: Rule,
    /// Names of the classes.
    pub(in crate::profile) classes: Vec<String>,
}

pub(in crate::profile) fn rule(mut t: Table<'_, '_>) -> (ReadRule, Places) {
    const KIND: &[(&str, Kind)] = &[
        ("enter", Kind::Enter),
        ("leave", Kind::Leave),
        ("dwell", Kind::Dwell),
        ("cross", Kind::Cross),
        ("count", Kind::Count),
        ("presence", Kind::Presence),
        ("absence", Kind::Absence),
    ];
    const OF_ZONES: &[&str] = &["enter", "leave", "dwell", "count", "presence", "absence"];
    const DIRECTION: &[(&str, Direction)] = &[
        ("both", Direction::Both),
        ("to-left", Direction::ToLeft),
        ("to-right", Direction::ToRight),
    ];
    const ANCHOR: &[(&str, Anchor)] = &[("bottom", Anchor::Bottom), ("centre", Anchor::Centre)];
    let time = || whole::<u64>(0..=MAX_MS, "ms");
    let length = || whole::<u64>(1..=MAX_MS, "ms");
    let rule_name = t.key("name").required(name(), "\"someone-comes\"");
    let kind = t.key("kind").required(choice(KIND), "\"enter\"");
    let cross = kind == Kind::Cross;
    let zone = t
        .key("zone")
        .only_any("kind", OF_ZONES, !cross)
        .optional(name());
    let line = t
        .key("line")
        .only("kind", "cross", cross)
        .required(name(), "\"threshold\"");
    let direction = t
        .key("direction")
        .only("kind", "cross", cross)
        .or(choice(DIRECTION), "\"both\"");
    let dwell_ms = t
        .key("dwell-ms")
        .only("kind", "dwell", kind == Kind::Dwell)
        .required(length(), "10000");
    let at_least = t
        .key("at-least")
        .only("kind", "count", kind == Kind::Count)
        .required(whole(1..=last(MAX_TRACKS) + 1, "tracks"), "3");
    let absent_ms = t
        .key("absent-ms")
        .only("kind", "absence", kind == Kind::Absence)
        .required(length(), "60000");
    let kind = match kind {
        Kind::Enter => RuleKind::Enter { zone },
        Kind::Leave => RuleKind::Leave { zone },
        Kind::Dwell => RuleKind::Dwell { zone, dwell_ms },
        Kind::Cross => RuleKind::Cross { line, direction },
        Kind::Count => RuleKind::Count { zone, at_least },
        Kind::Presence => RuleKind::Presence { zone },
        Kind::Absence => RuleKind::Absence { zone, absent_ms },
    };
    let camera = t.key("camera").optional(name());
    let model = t.key("model").optional(name());
    let classes = t
        .key("classes")
        .optional(distinct(label(), 1..=MAX_CLASSES))
        .unwrap_or_default();
    let rule = Rule {
        name: rule_name,
        kind,
        camera: camera.unwrap_or_default(),
        model: model.unwrap_or_default(),
        classes: Vec::new(),
        anchor: t.key("anchor").or(choice(ANCHOR), "\"bottom\""),
        min_score: t.key("min-score").or(share("score"), "0"),
        min_age_ms: t.key("min-age-ms").or(time(), "0"),
        debounce_ms: t.key("debounce-ms").or(time(), "0"),
        cool_down_ms: t.key("cool-down-ms").or(time(), "0"),
    };
    (ReadRule { rule, classes }, t.finish())
}
