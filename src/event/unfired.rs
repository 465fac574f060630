//! Why a rule reported nothing: how far the tracks of its classes came on the way to an event.

use super::rule::RuleCounts;
use crate::profile::{Direction, Rule, RuleKind};
use crate::units::NS_PER_MS;

/// Why the rule reported nothing, in words; `None` where it did. `labels` are those of its model.
#[must_use]
pub fn why_none(rule: &Rule, counts: &RuleCounts, labels: &[String]) -> Option<String> {
    if counts.fired > 0 {
        return None;
    }
    let (tracks, there) = (counted(counts.tracks), counts.in_place);
    let score = || {
        let (least, best) = (rule.min_score, counts.best_score);
        format!("{there} there, none with min-score {least} (the best {best:.2})")
    };
    let age = || {
        format!(
            "{there} there, none older than min-age-ms {}",
            rule.min_age_ms
        )
    };
    let debounce = || format!("{there} there, none for debounce-ms {}", rule.debounce_ms);
    let longest_ms = counts.longest_ns / NS_PER_MS;
    if counts.frames == 0 {
        let (camera, model) = (&rule.camera, &rule.model);
        return Some(format!(
            "no result of camera {camera} by model {model} came"
        ));
    }
    if let RuleKind::Absence { absent_ms, .. } = rule.kind {
        return Some(format!(
            "the longest absence was {longest_ms} ms of absent-ms {absent_ms}"
        ));
    }
    if counts.tracks == 0 {
        return Some(format!("no {} was seen", classes(rule, labels)));
    }
    if there == 0 {
        let place = match &rule.kind {
            RuleKind::Cross { line, .. } => format!("none crossed line {line}"),
            kind => format!(
                "none in zone {}",
                kind.zone().unwrap_or("(the whole picture)")
            ),
        };
        return Some(format!("{tracks}, {place}"));
    }
    // A line is crossed for long enough before anybody asks who did; a zone holds only who counts.
    let is_line = matches!(rule.kind, RuleKind::Cross { .. });
    let steps = [
        (
            is_line && counts.settled == 0,
            &debounce as &dyn Fn() -> String,
        ),
        (counts.strong == 0, &score),
        (counts.old == 0, &age),
        (counts.settled == 0, &debounce),
    ];
    if let Some((_, words)) = steps.iter().find(|(stopped, _)| *stopped) {
        return Some(words());
    }
    Some(match rule.kind {
        RuleKind::Cross { direction, .. } => match direction {
            Direction::ToLeft => format!("{there} crossed, none to-left"),
            Direction::ToRight => format!("{there} crossed, none to-right"),
            Direction::Both => format!("{there} crossed, none that counts"),
        },
        RuleKind::Leave { .. } => format!("{there} there, none has left"),
        RuleKind::Dwell { dwell_ms, .. } => {
            format!("the longest stay was {longest_ms} ms of dwell-ms {dwell_ms}")
        }
        RuleKind::Count { at_least, .. } => {
            format!(
                "at most {} at once, at-least {at_least}",
                counts.most_members
            )
        }
        _ => format!("{there} there, held back by cool-down-ms"),
    })
}

fn counted(tracks: u64) -> String {
    match tracks {
        1 => "1 track".into(),
        _ => format!("{tracks} tracks"),
    }
}

/// What the rule looks at: the first classes by name.
fn classes(rule: &Rule, labels: &[String]) -> String {
    const NAMED: usize = 3;
    let names = rule.classes.iter().filter_map(|class| labels.get(*class));
    let names: Vec<&str> = names.map(String::as_str).collect();
    match &names[..] {
        [] => "track".into(),
        [only] => (*only).into(),
        [first @ .., last] if names.len() <= NAMED => format!("{} or {last}", first.join(", ")),
        many => format!(
            "{} or another of {} classes",
            many[..NAMED].join(", "),
            many.len()
        ),
    }
}
