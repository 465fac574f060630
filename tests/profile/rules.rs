//! Rules that can never be right are refused when they are read.

use crate::{SMALL, assert_messages, messages};

const ENTER: &str = "[[rule]]\nname = \"r\"\nkind = \"enter\"\n";
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
fn the_class_of_the_whole_picture_crosses_no_line() {
    let line = "[[line]]\nname = \"l\"\nfrom-px = [0, 0]\nto-px = [500, 400]\n";
    let cross = format!("{line}[[rule]]\nname = \"x\"\nkind = \"cross\"\nline = \"l\"\n");
    assert_messages(
        "b.toml",
        &with_decoder("classify", &cross),
        "b.toml:24: rule.model: found \"face\", whose decoder \"classify\" tells the class of the whole picture, which \
         crosses no line, expected a model whose decoder finds boxes; `kind = \"presence\"` tells when a class is there",
    );
    sound(&with_decoder("ssd", &cross));
    // Behind another model it tells the class of each box.
    let behind = format!(
        "{SMALL}then = [\"mood\"]\n[[model]]\nname = \"mood\"\npath = \"m\"\nsha256 = \"{:064}\"\ndecoder = \
         \"classify\"\nlabels = [\"glad\"]\nwithin = \"face\"\n",
        0
    );
    let cross = cross.replace("line = \"l\"", "line = \"l\"\nmodel = \"mood\"");
    sound(&format!("{behind}{cross}"));
}

#[test]
fn no_more_are_counted_than_are_followed() {
    let count = |most: usize, more: &str| {
        format!("{more}[[rule]]\nname = \"c\"\nkind = \"count\"\nat-least = {most}\n")
    };
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
fn zones_and_lines_are_not_beyond_the_reach_of_what_models_see() {
    let region = "rate-hz = 30\nregion = [0, 0, 160, 120]\nrotate = 90";
    let small = SMALL.replacen("rate-hz = 30", region, 1);
    let zone = |corners: &str| format!("[[zone]]\nname = \"z\"\ncorners-px = {corners}\n");
    let line = |to: &str| format!("[[line]]\nname = \"l\"\nfrom-px = [400, 300]\nto-px = {to}\n");
    let expected = |line: usize, key: &str| {
        format!(
            "b.toml:{line}: {key}: found what is farther away than its own size from the `region` [0, 0, 160, 120] of \
             camera \"front\", expected some of it nearer, as models see nothing but that region; both are in pixels of the whole picture: move it, \
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
    let lost = |ms: usize| format!("[tracker]\nlost-after-ms = {ms}\n{ENTER}");
    let expected = |line: usize, key: &str, rate: &str, between: usize, lost: usize| {
        format!(
            "b.toml:{line}: camera.{key}: found {rate}, which leaves {between} ms between frames, expected at most \
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
        &at(rare, &lost(999)),
        &expected(10, "max-rate-hz", "1", 1000, 999),
    );
    sound(&at(rare, ENTER));
    // What is there in one frame needs no other; what has to be there for some time does.
    let few = lost(500).replace(ENTER, PRESENCE);
    sound(&at(rare, &few));
    assert_messages(
        "b.toml",
        &at(rare, &format!("{few}debounce-ms = 100\n")),
        &expected(10, "max-rate-hz", "1", 1000, 500),
    );
    let slow = "rate-hz = 0.5\nmax-rate-hz = 1\ntime-out-ms = 9000";
    assert_messages(
        "b.toml",
        &at(slow, &lost(1500)),
        &expected(9, "rate-hz", "0.5", 2000, 1500),
    );
    sound(&at(rare, &lost(3000)));
    sound(&at(slow, &lost(6000)));
    // Without a rule nothing is followed.
    sound(&at(rare, ""));
}
