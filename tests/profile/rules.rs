//! Rules that can never be right are refused when they are read.

use crate::{SMALL, assert_messages, messages};

const PRESENCE: &str = "[[rule]]\nname = \"r\"\nkind = \"presence\"\n";

fn sound(text: &str) {
    assert_eq!(messages("b.toml", text), [""; 0], "{text}");
}

/// The small profile, whose model has another decoder, with more tables.
fn with_decoder(decoder: &str, more: &str) -> String {
    let labels = "labels = [\"face\"]\n";
    let small = SMALL.replacen("blazeface-short", decoder, 1);
    let small = if decoder == "raw" {
        small.replacen(labels, "", 1)
    } else {
        small
    };
    format!("{small}{more}")
}

#[test]
fn a_rule_is_not_for_a_model_that_finds_nothing() {
    assert_messages(
        "b.toml",
        &with_decoder("raw", PRESENCE),
        "b.toml:19: rule.model: found \"face\", whose decoder \"raw\" finds nothing that could be followed, expected a \
         model whose decoder finds boxes or classes",
    );
    sound(&with_decoder("raw", ""));
    for decoder in ["ssd", "yolo", "classify"] {
        sound(&with_decoder(decoder, PRESENCE));
    }
}

#[test]
fn the_class_of_the_whole_picture_crosses_no_line_and_is_no_more_than_are_told() {
    let line = "[[line]]\nname = \"l\"\nfrom-px = [0, 0]\nto-px = [500, 400]\n";
    let cross = format!("{line}[[rule]]\nname = \"x\"\nkind = \"cross\"\nline = \"l\"\n");
    assert_messages(
        "b.toml",
        &with_decoder("classify", &cross),
        "b.toml:24: rule.model: found \"face\", whose decoder \"classify\" tells the class of the whole picture, which \
         crosses no line, expected a model whose decoder finds boxes; `kind = \"presence\"` tells when a class is there",
    );
    let count = |most: usize| {
        format!("[[rule]]\nname = \"c\"\nkind = \"count\"\nat-least = {most}\nmodel = \"face\"\n")
    };
    assert_messages(
        "b.toml",
        &with_decoder("classify", &count(2)),
        "b.toml:23: rule.at-least: found 2, expected at most 1, which is what model \"face\" finds in one frame; raise \
         the model's `top-k`",
    );
    sound(&with_decoder("classify", &count(1)));
    let several = with_decoder("classify", &count(2));
    sound(&several.replacen("labels = ", "top-k = 2\nlabels = ", 1));
    sound(&with_decoder("ssd", &cross));
    // Behind another model it tells the class of each box.
    let behind = format!(
        "{SMALL}then = [\"mood\"]\n[[model]]\nname = \"mood\"\npath = \"m\"\nsha256 = \"{:064}\"\ndecoder = \
         \"classify\"\nlabels = [\"glad\"]\nwithin = \"face\"\n",
        0
    );
    let (cross, count) = (
        cross.replace("line = \"l\"", "line = \"l\"\nmodel = \"mood\""),
        |most| count(most).replace("\"face\"", "\"mood\""),
    );
    sound(&format!("{behind}{cross}"));
    sound(&format!("{behind}{}", count(4)));
    let found = messages("b.toml", &format!("{behind}{}", count(5)));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].ends_with(
            "rule.at-least: found 5, expected at most 4, which is what model \"mood\" finds in one frame; raise the \
             model's `within-boxes`"
        ),
        "{found:?}"
    );
}

#[test]
fn no_more_are_counted_than_are_found_and_followed() {
    let count = |most: usize, more: &str| {
        format!("{more}[[rule]]\nname = \"c\"\nkind = \"count\"\nat-least = {most}\n")
    };
    let few = SMALL.replacen("labels = ", "max-detections = 2\nlabels = ", 1);
    sound(&format!("{few}{}", count(2, "")));
    assert_messages(
        "b.toml",
        &format!("{few}{}", count(3, "")),
        "b.toml:24: rule.at-least: found 3, expected at most 2, which is what model \"face\" finds in one frame; raise \
         the model's `max-detections`",
    );
    let tracker = "[tracker]\nmax-tracks = 4\n";
    sound(&format!("{SMALL}{}", count(4, tracker)));
    assert_messages(
        "b.toml",
        &format!("{SMALL}{}", count(5, tracker)),
        "b.toml:25: rule.at-least: found 5, expected at most 4, the `max-tracks` of [tracker]; raise one, or lower the \
         other",
    );
}

#[test]
fn zones_and_lines_share_a_point_with_what_models_see() {
    let region = "rate-hz = 30\nregion = [0, 0, 320, 240]\nrotate = 90";
    let small = SMALL.replacen("rate-hz = 30", region, 1);
    let zone = |corners: &str| format!("[[zone]]\nname = \"z\"\ncorners-px = {corners}\n");
    let line = |to: &str| format!("[[line]]\nname = \"l\"\nfrom-px = [400, 300]\nto-px = {to}\n");
    let expected = |line: usize, key: &str| {
        format!(
            "b.toml:{line}: {key}: found what lies outside the `region` [0, 0, 320, 240] of camera \"front\", expected \
             some of it in that region, as models see nothing else; both are in pixels of the whole picture: move it, \
             or make the region larger"
        )
    };
    let beside = zone("[[330, 0], [640, 0], [640, 480]]");
    assert_messages(
        "b.toml",
        &format!("{small}{beside}"),
        &expected(24, "zone.corners-px"),
    );
    assert_messages(
        "b.toml",
        &format!("{small}{}", line("[400, 0]")),
        &expected(24, "line.from-px"),
    );
    sound(&format!(
        "{small}{}",
        zone("[[300, 0], [640, 0], [640, 480]]")
    ));
    sound(&format!(
        "{small}{}",
        zone("[[0, 0], [640, 0], [640, 480], [0, 480]]")
    ));
    sound(&format!("{small}{}", line("[10, 10]")));
    sound(&format!("{SMALL}{beside}{}", line("[400, 0]")));
}

#[test]
fn what_is_followed_is_seen_again_before_it_is_lost() {
    let at = |rates: &str, more: &str| {
        let small = SMALL.replacen("rate-hz = 30", rates, 1);
        format!("{small}{more}")
    };
    let lost = |ms: usize| format!("[tracker]\nlost-after-ms = {ms}\n{PRESENCE}");
    let expected = |line: usize, key: &str, rate: &str, between: usize, lost: usize| {
        format!(
            "b.toml:{line}: camera.{key}: found {rate}, which leaves {between} ms between frames, expected less than \
             the {lost} ms of `lost-after-ms` of [tracker]: what rule \"r\" follows would be another thing in every \
             frame; raise `lost-after-ms`, to some three times what lies between frames"
        )
    };
    let rare = "rate-hz = 30\nmax-rate-hz = 1";
    assert_messages(
        "b.toml",
        &at(rare, &lost(500)),
        &expected(10, "max-rate-hz", "1", 1000, 500),
    );
    assert_messages(
        "b.toml",
        &at(rare, PRESENCE),
        &expected(10, "max-rate-hz", "1", 1000, 1000),
    );
    let slow = "rate-hz = 0.5\nmax-rate-hz = 1\ntime-out-ms = 9000";
    assert_messages(
        "b.toml",
        &at(slow, &lost(2000)),
        &expected(9, "rate-hz", "0.5", 2000, 2000),
    );
    sound(&at(rare, &lost(3000)));
    sound(&at(slow, &lost(6000)));
    // Without a rule nothing is followed.
    sound(&at(rare, ""));
}
