//! Rules that could be watched for ever and never be right: what they look at is never seen, or never so many.

use super::events::{Referred, Tables};
use crate::profile::ask::Places;
use crate::profile::events::{Rule, RuleKind, Tracker};
use crate::profile::fault::Hint;
use crate::profile::geometry::{Point, meets};
use crate::profile::rules::quoted;
use crate::profile::sink::Sink;
use crate::profile::{Camera, Decoder, Model};

/// A zone, or a line of two points, that no box of what models see can reach: the picture's part that they see is
/// farther away than it is wide and high. (A box may reach past that part.)
pub(super) fn outside_region(
    sink: &Sink<'_>,
    (of, key): (&Places, &'static str),
    points: &[Point],
    (camera, places): &(Camera, Places),
) {
    let Some(region) = camera.view.region_px.filter(|_| places.sound(&["region"])) else {
        return;
    };
    let [left, top, width, height] = region;
    let from = [left.saturating_sub(width), top.saturating_sub(height)];
    let reach = [
        left.saturating_add(width.saturating_mul(2)) - from[0],
        top.saturating_add(height.saturating_mul(2)) - from[1],
    ];
    if meets(points, [from[0], from[1], reach[0], reach[1]]) {
        return;
    }
    let found =
        format!("what is farther away than its own size from the `region` {region:?} of camera");
    let expected = "some of it nearer, as models see nothing but that region";
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
    let (tracker, of_tracker) = referred.tracker;
    if of_tracker.sound(&["max-tracks"]) && most > tracker.max_tracks {
        let expected = format!(
            "at most {}, the `max-tracks` of [tracker]",
            tracker.max_tracks
        );
        fault(
            "at-least",
            most.to_string(),
            expected,
            Some("raise one, or lower the other"),
        );
    }
}

/// Whether a rule is about tracks over some time, not about what is there in one frame.
fn follows(rule: &Rule) -> bool {
    let states = matches!(
        rule.kind,
        RuleKind::Presence { .. } | RuleKind::Count { .. }
    );
    !states || rule.min_age_ms > 0 || rule.debounce_ms > 0
}

/// A camera whose frames are judged so rarely that every track is lost before the next one comes, with a rule that
/// is about tracks.
pub(in crate::profile) fn paces(
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
        let watched = |(rule, _): &&(Rule, Places)| rule.camera == camera.name && follows(rule);
        let Some((rule, _)) = rules.iter().find(watched) else {
            continue;
        };
        let (key, rate_hz) = match camera.max_rate_hz {
            Some(most) if most < camera.rate_hz => ("max-rate-hz", most),
            _ => ("rate-hz", camera.rate_hz),
        };
        let between_ms = 1000.0 / rate_hz;
        let most_ms = f64::from(u32::try_from(lost_after_ms).unwrap_or(u32::MAX));
        if !places.sound(&["name", "rate-hz", "max-rate-hz"]) || between_ms <= most_ms {
            continue;
        }
        let found = format!("{rate_hz}, which leaves {between_ms:.0} ms between frames");
        let expected = format!(
            "at most the {lost_after_ms} ms of `lost-after-ms` of [tracker]: what rule {} follows would be another \
             thing in every frame",
            quoted(&rule.name)
        );
        let advice = "raise `lost-after-ms`, to some three times what lies between frames";
        places.fault(sink, key, found, expected, Hint::Advice(advice.into()));
    }
}
