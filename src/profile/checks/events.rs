//! What must hold between zones, lines, rules, and what they refer to. References come out
//! resolved; where one does not resolve there is a fault, and what comes out is never used.

use super::{sense, unique};
use crate::profile::ask::Places;
use crate::profile::events::{Line, Rule, RuleKind, Tracker, Zone};
use crate::profile::fault::Hint;
use crate::profile::geometry::{Point, PolygonFault, check_polygon, is_inside};
use crate::profile::keys::ReadRule;
use crate::profile::rules::{quoted, similar};
use crate::profile::sink::Sink;
use crate::profile::{Camera, Model, Worker};

/// Tables of one kind, with where their values stand.
pub(super) type Tables<'a, T> = &'a [(T, Places)];

/// A key that refers to another table by name.
pub(super) struct Reference<'a> {
    pub(super) sink: &'a Sink<'a>,
    pub(super) places: &'a Places,
    pub(super) key: &'static str,
    /// The tables as a header.
    pub(super) of: &'static str,
}

impl Reference<'_> {
    /// The place of the table that is meant: by name, or the only one where no name is given.
    pub(super) fn resolve<'n>(
        &self,
        name: &str,
        names: impl Iterator<Item = (&'n str, &'n Places)> + Clone,
    ) -> Option<usize> {
        let sound = |places: &Places| places.sound(&["name"]);
        if !self.places.sound(&[self.key]) {
            return None;
        }
        let count = names.clone().count();
        let given = self.places.given(self.key);
        if !given && count == 1 {
            return Some(0);
        }
        let found = names
            .clone()
            .position(|(other, places)| given && sound(places) && other == name);
        // With a name that is faulty, a reference that finds nothing may be right; and where there is no
        // table at all, that is said already.
        if found.is_none() && names.clone().all(|(_, places)| sound(places)) && (count > 0 || given)
        {
            let known: Vec<String> = names.clone().map(|(name, _)| quoted(name)).collect();
            let known = if known.is_empty() {
                "there is none".to_owned()
            } else {
                known.join(", ")
            };
            let hint = match similar(name, names.map(|(name, _)| name)) {
                Some(similar) if given => Hint::Similar(similar.into()),
                _ => Hint::None,
            };
            let found = if given {
                quoted(name)
            } else {
                "nothing".into()
            };
            let expected = format!("the name of a {}: {known}", self.of);
            self.places
                .fault(self.sink, self.key, found, expected, hint);
        }
        found
    }
}

fn cameras_by_name(cameras: Tables<'_, Camera>) -> impl Iterator<Item = (&str, &Places)> + Clone {
    cameras
        .iter()
        .map(|(camera, places)| (camera.name.as_str(), places))
}

/// The camera that a zone, a line or a rule is for, and its size where that is sound.
fn camera_of<'c>(
    sink: &Sink<'_>,
    places: &Places,
    name: &mut String,
    cameras: Tables<'c, Camera>,
) -> Option<&'c (Camera, Places)> {
    let reference = Reference {
        sink,
        places,
        key: "camera",
        of: "[[camera]]",
    };
    let index = reference.resolve(name, cameras_by_name(cameras))?;
    name.clone_from(&cameras[index].0.name);
    Some(&cameras[index])
}

fn size_of((camera, places): &(Camera, Places)) -> Option<(u32, u32)> {
    places
        .sound(&["width-px", "height-px"])
        .then_some((camera.width_px, camera.height_px))
}

pub(in crate::profile) fn zones(
    sink: &Sink<'_>,
    zones: &mut [(Zone, Places)],
    cameras: Tables<'_, Camera>,
) {
    unique(
        sink,
        zones.iter().map(|(zone, at)| (zone.name.as_str(), at)),
    );
    for (zone, places) in zones {
        let Some(camera) = camera_of(sink, places, &mut zone.camera, cameras) else {
            continue;
        };
        let Some(size_px) = size_of(camera) else {
            continue;
        };
        if !places.sound(&["corners-px"]) {
            continue;
        }
        let Err(fault) = check_polygon(&zone.corners_px, size_px) else {
            sense::outside_region(sink, (places, "corners-px"), &zone.corners_px, camera);
            continue;
        };
        let (found, expected) = match fault {
            PolygonFault::Outside { corner, at } => (
                format!("corner {corner} at {}", shown(at)),
                on_the_picture(&zone.camera, size_px),
            ),
            PolygonFault::Repeated { first, second } => (
                format!("corners {first} and {second} at one place"),
                "each corner once; the last one need not repeat the first".into(),
            ),
            PolygonFault::Crossing { first, second } => (
                format!(
                    "edges {first} and {second} that touch (edge n is from corner n to the next)"
                ),
                "corners in the order in which one walks around the zone".into(),
            ),
            PolygonFault::Flat => (
                "corners on one line".into(),
                "corners around an area of at least a pixel".into(),
            ),
        };
        places.fault(sink, "corners-px", found, expected, Hint::None);
    }
}

pub(in crate::profile) fn lines(
    sink: &Sink<'_>,
    lines: &mut [(Line, Places)],
    cameras: Tables<'_, Camera>,
) {
    unique(
        sink,
        lines.iter().map(|(line, at)| (line.name.as_str(), at)),
    );
    for (line, places) in lines {
        let camera = camera_of(sink, places, &mut line.camera, cameras);
        let mut on_it = true;
        if let Some(size_px) = camera.and_then(size_of) {
            for (key, point) in [("from-px", line.from_px), ("to-px", line.to_px)] {
                if places.sound(&[key]) && !is_inside(point, size_px) {
                    on_it = false;
                    let expected = on_the_picture(&line.camera, size_px);
                    places.fault(sink, key, shown(point), expected, Hint::None);
                }
            }
        }
        if places.sound(&["from-px", "to-px"]) && line.from_px == line.to_px {
            let expected = "another point than from-px".into();
            places.fault(sink, "to-px", shown(line.to_px), expected, Hint::None);
        } else if let Some(camera) = camera
            && on_it
            && places.sound(&["from-px", "to-px"])
        {
            let points = [line.from_px, line.to_px];
            sense::outside_region(sink, (places, "from-px"), &points, camera);
        }
    }
}

fn shown([x, y]: Point) -> String {
    format!("[{x}, {y}]")
}

fn on_the_picture(camera: &str, (width_px, height_px): (u32, u32)) -> String {
    format!("a point on the picture of camera \"{camera}\", 0 to {width_px} and 0 to {height_px}")
}

/// What a rule may refer to.
pub(in crate::profile) struct Referred<'a> {
    pub(in crate::profile) cameras: Tables<'a, Camera>,
    pub(in crate::profile) models: Tables<'a, Model>,
    pub(in crate::profile) workers: Tables<'a, Worker>,
    pub(in crate::profile) zones: Tables<'a, Zone>,
    pub(in crate::profile) lines: Tables<'a, Line>,
    pub(in crate::profile) tracker: &'a (Tracker, Places),
}

pub(in crate::profile) fn rules(
    sink: &Sink<'_>,
    read: Vec<(ReadRule, Places)>,
    referred: &Referred<'_>,
) -> Vec<(Rule, Places)> {
    unique(
        sink,
        read.iter().map(|(read, at)| (read.rule.name.as_str(), at)),
    );
    read.into_iter()
        .map(|(ReadRule { mut rule, classes }, places)| {
            rule_camera(sink, &mut rule, &places, referred);
            let model = rule_model(sink, &mut rule, &places, referred);
            if let Some(model) = model {
                sense::of_model(sink, (&rule, &places), model, referred);
                if places.sound(&["classes"]) {
                    rule.classes = class_indices(sink, &classes, model, &places);
                }
            }
            (rule, places)
        })
        .collect()
}

/// A rule's camera is that of its zone or line; a rule for the whole picture names it, or there is one.
fn rule_camera(sink: &Sink<'_>, rule: &mut Rule, places: &Places, referred: &Referred<'_>) {
    let reference = |key, of| Reference {
        sink,
        places,
        key,
        of,
    };
    if !places.sound(&["kind"]) {
        return;
    }
    let (key, of_place) = if let RuleKind::Cross { line, .. } = &rule.kind {
        let lines = referred.lines.iter();
        let names = lines.map(|(line, at)| (line.name.as_str(), at));
        let index = reference("line", "[[line]]").resolve(line, names);
        ("line", index.map(|index| &referred.lines[index].0.camera))
    } else if let Some(zone) = rule.kind.zone() {
        let zones = referred.zones.iter();
        let names = zones.map(|(zone, at)| (zone.name.as_str(), at));
        let index = reference("zone", "[[zone]]").resolve(zone, names);
        ("zone", index.map(|index| &referred.zones[index].0.camera))
    } else {
        if places.sound(&["zone"]) {
            camera_of(sink, places, &mut rule.camera, referred.cameras);
        }
        return;
    };
    let Some(camera) = of_place else {
        return;
    };
    if places.given("camera") && places.sound(&["camera"]) && *camera != rule.camera {
        let expected = format!("\"{camera}\", the camera of its {key}, or no such key");
        let found = quoted(&rule.camera);
        places.fault(sink, "camera", found, expected, Hint::None);
    }
    rule.camera.clone_from(camera);
}

fn rule_model<'m>(
    sink: &Sink<'_>,
    rule: &mut Rule,
    places: &Places,
    referred: &Referred<'m>,
) -> Option<&'m (Model, Places)> {
    let reference = Reference {
        sink,
        places,
        key: "model",
        of: "[[model]]",
    };
    let models = referred.models.iter();
    let names = models.map(|(model, at)| (model.name.as_str(), at));
    let model = &referred.models[reference.resolve(&rule.model, names)?];
    rule.model.clone_from(&model.0.name);
    let sound = |(_, at): &(Worker, Places)| at.sound(&["model", "then"]);
    let all_sound = referred.workers.iter().all(sound);
    let runs = |(worker, _): &(Worker, Places)| worker.models().any(|model| model == rule.model);
    if all_sound && model.1.sound(&["name"]) && !referred.workers.iter().any(runs) {
        let expected = "a model that a [[worker]] runs".into();
        places.fault(sink, "model", quoted(&rule.model), expected, Hint::None);
    } else if all_sound && places.sound(&["camera"]) {
        seen(sink, rule, places, referred);
    }
    Some(model)
}

/// A rule looks at what some worker makes of its camera's frames with its model.
fn seen(sink: &Sink<'_>, rule: &Rule, places: &Places, referred: &Referred<'_>) {
    let known = |(camera, at): &(Camera, Places)| at.sound(&["name"]) && camera.name == rule.camera;
    let known_to = |(worker, at): &(Worker, Places)| {
        at.sound(&["cameras"])
            && worker.cameras.iter().all(|name| {
                referred
                    .cameras
                    .iter()
                    .any(|(camera, _)| camera.name == *name)
            })
    };
    let sees = |(worker, _): &(Worker, Places)| {
        worker.judges(&rule.camera) && worker.models().any(|model| model == rule.model)
    };
    if referred.cameras.iter().any(known)
        && referred.workers.iter().all(known_to)
        && !referred.workers.iter().any(sees)
    {
        let found = format!(
            "{}, which judges no frame of camera {}",
            quoted(&rule.model),
            quoted(&rule.camera)
        );
        let expected = "a model that a [[worker]] with that camera among its `cameras` runs";
        places.fault(sink, "model", found, expected.into(), Hint::None);
    }
}

fn class_indices(
    sink: &Sink<'_>,
    classes: &[String],
    (model, of_model): &(Model, Places),
    places: &Places,
) -> Vec<usize> {
    let mut indices = Vec::new();
    if !of_model.sound(&["labels"]) {
        return indices;
    }
    for class in classes {
        if let Some(index) = model.labels.iter().position(|label| label == class) {
            indices.push(index);
            continue;
        }
        let labels = || model.labels.iter().map(String::as_str);
        let hint = match similar(class, labels()) {
            Some(label) => Hint::Similar(label.into()),
            None => Hint::None,
        };
        let some: Vec<String> = labels().take(8).map(quoted).collect();
        let more = if model.labels.len() > some.len() {
            ", …"
        } else {
            ""
        };
        let labels = some.join(", ");
        let expected = format!("a label of model \"{}\": {labels}{more}", model.name);
        places.fault(sink, "classes", quoted(class), expected, hint);
    }
    indices.sort_unstable();
    indices
}
