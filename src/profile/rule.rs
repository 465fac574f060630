//! `[[rule]]`: what is worth an event.

use super::camera::Camera;
use super::line::Tripwire;
use super::model::{Decoder, Model};
use super::reader::text::{quoted, some_quoted};
use super::reader::values::{choice, distinct, label, name, share, whole, words};
use super::reader::{Hint, Located, Place, Problem, Table, Tables};
use super::tracker::Tracker;
use super::worker::Worker;
use super::zone::Zone;
use crate::limits::MAX_TRACKS;

/// Longest time that a rule knows: ten hours.
const MAX_MS: u64 = 36_000_000;
/// Classes that one rule may name.
const MAX_CLASSES: usize = 64;

/// `[[rule]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Unique among the rules; stands in every event.
    pub name: String,
    /// What is reported.
    pub kind: RuleKind,
    /// Name of its camera: that of its zone or line.
    pub camera: String,
    /// Name of the model whose tracks it looks at.
    pub model: String,
    /// Classes that it looks at, by index into the model's labels, ascending; empty for all.
    pub classes: Vec<usize>,
    /// Which point of a box counts.
    pub anchor: Anchor,
    /// A track counts once its best score was this, 0..=1.
    pub min_score: f32,
    /// A track counts once it is so old.
    pub min_age_ms: u64,
    /// A track is on another side only after it was there for so long.
    pub debounce_ms: u64,
    /// Shortest time from one event to the next.
    pub cool_down_ms: u64,
}

/// `kind` of a rule, with the keys that it alone has. A zone by name; none is the whole picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// A track comes into the zone, or begins there.
    Enter {
        /// The zone.
        zone: Option<String>,
    },
    /// A track goes out of the zone, or is lost there.
    Leave {
        /// The zone.
        zone: Option<String>,
    },
    /// A track stays in the zone for so long; once for each stay.
    Dwell {
        /// The zone.
        zone: Option<String>,
        /// How long.
        dwell_ms: u64,
    },
    /// A track crosses the line.
    Cross {
        /// The line.
        line: String,
        /// Which way.
        direction: Direction,
    },
    /// At least so many tracks are in the zone: reported when that begins and ends.
    Count {
        /// The zone.
        zone: Option<String>,
        /// How many.
        at_least: u16,
    },
    /// A track is in the zone: reported when that begins and ends.
    Presence {
        /// The zone.
        zone: Option<String>,
    },
    /// No track was in the zone for so long: reported when that begins and ends.
    Absence {
        /// The zone.
        zone: Option<String>,
        /// How long.
        absent_ms: u64,
    },
}

impl RuleKind {
    /// Its word in profiles and events.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Enter { .. } => "enter",
            Self::Leave { .. } => "leave",
            Self::Dwell { .. } => "dwell",
            Self::Cross { .. } => "cross",
            Self::Count { .. } => "count",
            Self::Presence { .. } => "presence",
            Self::Absence { .. } => "absence",
        }
    }

    /// Its zone, where it has one.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        match self {
            Self::Enter { zone }
            | Self::Leave { zone }
            | Self::Dwell { zone, .. }
            | Self::Count { zone, .. }
            | Self::Presence { zone }
            | Self::Absence { zone, .. } => zone.as_deref(),
            Self::Cross { .. } => None,
        }
    }

    /// Whether what it reports has a beginning and an end, and may be shown as a level.
    #[must_use]
    pub const fn span(&self) -> Span {
        match self {
            Self::Count { .. } | Self::Presence { .. } | Self::Absence { .. } => Span::State,
            _ => Span::Moment,
        }
    }
}

/// Whether a rule reports moments or states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// One event.
    Moment,
    /// An event at the beginning, and one at the end.
    State,
}

words! {
    /// `direction` of a rule: as one looks along the line, from its first point to its second.
    pub enum Direction {
        /// Either way.
        Both = "both",
        /// From the right to the left.
        ToLeft = "to-left",
        /// From the left to the right.
        ToRight = "to-right",
    }
}

words! {
    /// `anchor` of a rule.
    pub enum Anchor {
        /// The middle of the box's lower edge: where somebody stands.
        Bottom = "bottom",
        /// The middle of the box.
        Centre = "centre",
    }
}

words! {
    /// A rule's kind by itself.
    pub enum Kind {
        /// [`RuleKind::Enter`]
        Enter = "enter",
        /// [`RuleKind::Leave`]
        Leave = "leave",
        /// [`RuleKind::Dwell`]
        Dwell = "dwell",
        /// [`RuleKind::Cross`]
        Cross = "cross",
        /// [`RuleKind::Count`]
        Count = "count",
        /// [`RuleKind::Presence`]
        Presence = "presence",
        /// [`RuleKind::Absence`]
        Absence = "absence",
    }
}

/// What a rule may refer to.
pub struct Known<'k, 'a> {
    pub cameras: &'k Tables<'a, Camera>,
    pub models: &'k Tables<'a, Model>,
    pub workers: &'k Tables<'a, Worker>,
    pub zones: &'k Tables<'a, Zone>,
    pub lines: &'k Tables<'a, Tripwire>,
    pub tracker: &'k Located<'a, Tracker>,
}

pub fn read(t: &mut Table<'_>, known: &Known<'_, '_>) -> Rule {
    let rule_name = t.name("\"someone-comes\"");
    let kind = kind(t);
    let camera = t
        .optional("camera", name(), "the only camera")
        .unwrap_or_default();
    let model = t
        .optional("model", name(), "the only model")
        .unwrap_or_default();
    let classes = t
        .optional("classes", distinct(label(), 1..=MAX_CLASSES), "all of them")
        .unwrap_or_default();
    let mut rule = Rule {
        name: rule_name,
        kind,
        camera,
        model,
        classes: Vec::new(),
        anchor: t.or("anchor", choice(Anchor::ALL), "\"bottom\""),
        min_score: t.or("min-score", share("score"), "0"),
        min_age_ms: t.or("min-age-ms", whole(0..=MAX_MS, "ms"), "0"),
        debounce_ms: t.or("debounce-ms", whole(0..=MAX_MS, "ms"), "0"),
        cool_down_ms: t.or("cool-down-ms", whole(0..=MAX_MS, "ms"), "0"),
    };
    find_camera(t, &mut rule, known);
    if let Some(model) = find_model(t, &mut rule, known) {
        check_model(t, &rule, model, known.tracker);
        if t.sound(&["classes"]) {
            rule.classes = class_indices(t, &classes, model);
        }
    }
    rule
}

/// The keys that some kinds alone have.
fn kind(t: &mut Table<'_>) -> RuleKind {
    const OF_ZONES: &[&str] = &["enter", "leave", "dwell", "count", "presence", "absence"];
    let kind = t.required("kind", choice(Kind::ALL), "\"enter\"");
    let cross = kind == Kind::Cross;
    let zone = t
        .only("kind", OF_ZONES, !cross)
        .optional("zone", name(), "the whole picture");
    let mut of = t.only("kind", &[Kind::Cross.name()], cross);
    let line = of.required("line", name(), "\"threshold\"");
    let direction = of.or("direction", choice(Direction::ALL), "\"both\"");
    let mut of = t.only("kind", &[Kind::Dwell.name()], kind == Kind::Dwell);
    let dwell_ms = of.required("dwell-ms", whole(1..=MAX_MS, "ms"), "10000");
    let mut of = t.only("kind", &[Kind::Count.name()], kind == Kind::Count);
    let at_least = of.required("at-least", whole(1..=MAX_TRACKS, "tracks"), "3");
    let at_least = u16::try_from(at_least).unwrap_or(u16::MAX);
    let mut of = t.only("kind", &[Kind::Absence.name()], kind == Kind::Absence);
    let absent_ms = of.required("absent-ms", whole(1..=MAX_MS, "ms"), "60000");
    match kind {
        Kind::Enter => RuleKind::Enter { zone },
        Kind::Leave => RuleKind::Leave { zone },
        Kind::Dwell => RuleKind::Dwell { zone, dwell_ms },
        Kind::Cross => RuleKind::Cross { line, direction },
        Kind::Count => RuleKind::Count { zone, at_least },
        Kind::Presence => RuleKind::Presence { zone },
        Kind::Absence => RuleKind::Absence { zone, absent_ms },
    }
}

/// A rule's camera is that of its zone or line; a rule for the whole picture names it, or there is one.
fn find_camera(at: &Place<'_>, rule: &mut Rule, known: &Known<'_, '_>) {
    if !at.sound(&["kind"]) {
        return;
    }
    let (key, camera) = if let RuleKind::Cross { line, .. } = &rule.kind {
        let line = known.lines.refer(at, "line", line);
        ("line", line.map(|line| &line.camera))
    } else if let Some(zone) = rule.kind.zone() {
        let zone = known.zones.refer(at, "zone", zone);
        ("zone", zone.map(|zone| &zone.camera))
    } else {
        if at.sound(&["zone"])
            && let Some(camera) = known.cameras.refer(at, "camera", &rule.camera)
        {
            rule.camera.clone_from(&camera.name);
        }
        return;
    };
    let Some(camera) = camera else {
        return;
    };
    if at.given("camera") && at.sound(&["camera"]) && *camera != rule.camera {
        let expected = format!("\"{camera}\", the camera of its {key}, or no such key");
        at.fault("camera", quoted(&rule.camera), expected);
    }
    rule.camera.clone_from(camera);
}

/// A rule looks at what some worker makes of its camera's frames with its model.
fn find_model<'k, 'a>(
    at: &Place<'_>,
    rule: &mut Rule,
    known: &Known<'k, 'a>,
) -> Option<&'k Located<'a, Model>> {
    let model = known.models.refer(at, "model", &rule.model)?;
    rule.model.clone_from(&model.name);
    let mut workers = known.workers.iter();
    if !known.workers.all_read() || !workers.all(|worker| worker.at.sound(&["model", "then"])) {
        return Some(model);
    }
    let runs = |worker: &Worker| worker.models().any(|model| model == rule.model);
    if model.at.sound(&["name"]) && !known.workers.iter().any(|worker| runs(worker)) {
        let expected = "a model that a [[worker]] runs";
        at.fault("model", quoted(&rule.model), expected);
        return Some(model);
    }
    let all_known = |worker: &Located<'_, Worker>| {
        let named = |name: &String| known.cameras.iter().any(|camera| camera.name == *name);
        worker.at.sound(&["cameras"]) && worker.cameras.iter().all(named)
    };
    let sees = |worker: &Worker| worker.processes(&rule.camera) && runs(worker);
    if at.sound(&["camera"])
        && known.cameras.find(&rule.camera).is_some()
        && known.workers.iter().all(all_known)
        && !known.workers.iter().any(|worker| sees(worker))
    {
        let (model, camera) = (quoted(&rule.model), quoted(&rule.camera));
        let expected = "a model that a [[worker]] with that camera among its `cameras` runs";
        let found = format!("{model}, which judges no frame of camera {camera}");
        at.fault("model", found, expected);
    }
    Some(model)
}

/// Refuses what could never be right: what a rule asks of its model is what that model can show.
fn check_model(
    at: &Place<'_>,
    rule: &Rule,
    model: &Located<'_, Model>,
    tracker: &Located<'_, Tracker>,
) {
    if !at.sound(&["kind"]) || !model.at.sound(&["decoder"]) {
        return;
    }
    let (name, decoder) = (quoted(&model.name), model.decoder.name());
    let is = format!("{name}, whose decoder \"{decoder}\"");
    if !model.decoder.has_classes() {
        let found = format!("{is} finds nothing that could be followed");
        let expected = "a model whose decoder finds boxes or classes";
        return at.fault("model", found, expected);
    }
    if !model.at.sound(&["within"]) {
        return;
    }
    // Behind another model, each class has the place of that one's box.
    let sees_the_whole = model.decoder == Decoder::Classify && model.within.is_none();
    match rule.kind {
        RuleKind::Cross { .. } if sees_the_whole => {
            let found = format!("{is} tells the class of the whole picture, which crosses no line");
            let advice = "`kind = \"presence\"` tells when a class is there";
            let hint = Hint::Advice(advice.into());
            at.fault_with("model", found, "a model whose decoder finds boxes", hint);
        }
        RuleKind::Count { at_least, .. }
            if at.sound(&["at-least"])
                && tracker.at.sound(&["max-tracks"])
                && usize::from(at_least) > tracker.max_tracks =>
        {
            let most = tracker.max_tracks;
            let expected = format!("at most {most}, the `max-tracks` of [tracker]");
            let hint = Hint::Advice("raise one, or lower the other".into());
            at.fault_with("at-least", at_least.to_string(), expected, hint);
        }
        _ => {}
    }
}

/// The places of the classes among the model's labels.
fn class_indices(at: &Place<'_>, classes: &[String], model: &Located<'_, Model>) -> Vec<usize> {
    let mut indices = Vec::new();
    for class in classes.iter().filter(|_| model.at.sound(&["labels"])) {
        if let Some(index) = model.labels.iter().position(|label| label == class) {
            indices.push(index);
            continue;
        }
        at.fault_by("classes", || {
            let labels = || model.labels.iter().map(String::as_str);
            let some = some_quoted(labels());
            let expected = format!("a label of model \"{}\": {some}", model.name);
            Problem::value(quoted(class), expected, Hint::similar(class, labels()))
        });
    }
    indices.sort_unstable();
    indices
}

/// Whether a rule is about tracks over some time, not about what is there in one frame.
fn follows(rule: &Rule) -> bool {
    let states = matches!(
        rule.kind,
        RuleKind::Presence { .. } | RuleKind::Count { .. }
    );
    !states || rule.min_age_ms > 0 || rule.debounce_ms > 0
}

/// Refuses a camera whose frames are processed so rarely that every track is lost before the next one comes, with a
/// rule that is about tracks.
pub fn check_rates(
    rules: &Tables<'_, Rule>,
    cameras: &Tables<'_, Camera>,
    tracker: &Located<'_, Tracker>,
) {
    let lost_after_ms = tracker.lost_after_ms;
    let most_ms = f64::from(u32::try_from(lost_after_ms).unwrap_or(u32::MAX));
    for camera in cameras
        .iter()
        .filter(|_| tracker.at.sound(&["lost-after-ms"]))
    {
        let watched = |rule: &&Located<'_, Rule>| rule.camera == camera.name && follows(rule);
        let Some(rule) = rules.iter().find(watched) else {
            continue;
        };
        let (key, rate_hz) = match camera.max_rate_hz {
            Some(most) if most < camera.rate_hz => ("max-rate-hz", most),
            _ => ("rate-hz", camera.rate_hz),
        };
        let between_ms = 1000.0 / rate_hz;
        if !camera.at.sound(&["name", "rate-hz", "max-rate-hz"]) || between_ms <= most_ms {
            continue;
        }
        let found = format!("{rate_hz}, which leaves {between_ms:.0} ms between frames");
        let expected = format!(
            "at most the {lost_after_ms} ms of `lost-after-ms` of [tracker]: what rule {} follows would be another \
             thing in every frame",
            quoted(&rule.name)
        );
        let advice = "raise `lost-after-ms`, to some three times what lies between frames";
        camera
            .at
            .fault_with(key, found, expected, Hint::Advice(advice.into()));
    }
}
