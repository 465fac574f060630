//! Rules that could be watched for ever and never be right: what they look at is never seen, or never so many.

use super::events::{Referred, Tables};
use crate::board::ask::Places;
use crate::board::events::{Rule, RuleKind, Tracker};
use crate::board::fault::Hint;
use crate::board::geometry::{Point, meets};
use crate::board::rules::quoted;
use crate::board::sink::Sink;
use crate::board::{Camera, Decoder, Model};
use crate::limits::MAX_DETECTIONS;

/// A zone, or a line of two points, that shares no point with the part of the picture that models see.
pub(super) fn outside_region(
    sink: &Sink<'_>,
    (of, key): (&Places, &'static str),
    points: &[Point],
    (camera, places): &(Camera, Places),
) {
    let Some(region) = camera.view.region_px.filter(|_| places.sound(&["region"])) else {
        return;
    };
    if meets(points, region) {
        return;
    }
    let found = format!("what lies outside the `region` {region:?} of camera");
    let expected = "some of it in that region, as models see nothing else";
    let advice = "both are in pixels of the whole picture: move it, or make the region larger";
    of.fault(
        sink,
        key,
        format!("{found} {}", quoted(&camera.name)),
        expected.into(),
        Hint::Advice(advice.into()),
    );
}

/// What a rule asks of its model is what that model can show.
pub(super) fn of_model(
    sink: &Sink<'_>,
    (rule, places): (&Rule, &Places),
    (model, of_model): &(Model, Places),
    referred: &Referred<'_>,
) {
    if !places.sound(&["kind"]) || !of_model.sound(&["decoder"]) {
        return;
    }
    let fault = |key, found, expected: String, advice: Option<&str>| {
        let hint = advice.map_or(Hint::None, |advice| Hint::Advice(advice.into()));
        places.fault(sink, key, found, expected, hint);
    };
    let decoder = model.decoder.name();
    let is = format!("{}, whose decoder \"{decoder}\"", quoted(&model.name));
    if !model.decoder.has_classes() {
        return fault(
            "model",
            format!("{is} finds nothing that could be followed"),
            "a model whose decoder finds boxes or classes".into(),
            None,
        );
    }
    if !of_model.sound(&["within"]) {
        return;
    }
    // Behind another model, each class has the place of that one's box.
    let sees_the_whole = model.decoder == Decoder::Classify && model.within.is_none();
    let most = match rule.kind {
        RuleKind::Cross { .. } if sees_the_whole => {
            return fault(
                "model",
                format!("{is} tells the class of the whole picture, which crosses no line"),
                "a model whose decoder finds boxes".into(),
                Some("`kind = \"presence\"` tells when a class is there"),
            );
        }
        RuleKind::Count { at_least, .. } if places.sound(&["at-least"]) => usize::from(at_least),
        _ => return,
    };
    let too_many = |expected: String, advice| fault("at-least", most.to_string(), expected, advice);
    let found = model
        .within
        .as_ref()
        .map_or(model.max_detections, |within| {
            (model.max_detections * within.boxes).min(MAX_DETECTIONS)
        });
    let boxes_sound = model.within.is_none() || of_model.sound(&["within-boxes"]);
    let each = if model.decoder.has_boxes() {
        "max-detections"
    } else {
        "top-k"
    };
    let each_sound = of_model.sound(&[each]);
    if boxes_sound && each_sound && most > found {
        let expected = format!(
            "at most {found}, which is what model {} finds in one frame",
            quoted(&model.name)
        );
        let advice = match (&model.within, model.decoder) {
            (Some(_), _) => "raise the model's `within-boxes`",
            (None, Decoder::Classify) => "raise the model's `top-k`",
            (None, _) => "raise the model's `max-detections`",
        };
        return too_many(expected, Some(advice));
    }
    let (tracker, of_tracker) = referred.tracker;
    if of_tracker.sound(&["max-tracks"]) && most > tracker.max_tracks {
        let expected = format!(
            "at most {}, the `max-tracks` of [tracker]",
            tracker.max_tracks
        );
        too_many(expected, Some("raise one, or lower the other"));
    }
}

/// A camera whose frames are judged so rarely that every track is lost before the next one comes.
pub(in crate::board) fn paces(
    sink: &Sink<'_>,
    cameras: Tables<'_, Camera>,
    (tracker, of_tracker): &(Tracker, Places),
    rules: Tables<'_, Rule>,
) {
    if !of_tracker.sound(&["lost-after-ms"]) {
        return;
    }
    let lost_after_ms = tracker.lost_after_ms;
    for (camera, places) in cameras {
        let watched = |(rule, _): &&(Rule, Places)| rule.camera == camera.name;
        let Some((rule, _)) = rules.iter().find(watched) else {
            continue;
        };
        let (key, rate_hz) = match camera.max_rate_hz {
            Some(most) if most < camera.rate_hz => ("max-rate-hz", most),
            _ => ("rate-hz", camera.rate_hz),
        };
        let between_ms = 1000.0 / rate_hz;
        let most_ms = f64::from(u32::try_from(lost_after_ms).unwrap_or(u32::MAX));
        if !places.sound(&["name", "rate-hz", "max-rate-hz"]) || between_ms < most_ms {
            continue;
        }
        let found = format!("{rate_hz}, which leaves {between_ms:.0} ms between frames");
        let expected = format!(
            "less than the {lost_after_ms} ms of `lost-after-ms` of [tracker]: what rule {} follows would be another \
             thing in every frame",
            quoted(&rule.name)
        );
        let advice = "raise `lost-after-ms`, to some three times what lies between frames";
        places.fault(sink, key, found, expected, Hint::Advice(advice.into()));
    }
}
