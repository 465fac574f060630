//! The keys of a camera, and what they have to do with each other.

use crate::{SMALL, messages};
use pinsight::profile;

#[test]
fn standard_input_is_read_by_one_camera_and_does_not_begin_again() {
    let camera = |name: &str, repeat: &str| {
        format!(
            "[[camera]]\nname = \"{name}\"\nsource = \"y4m\"\npath = \"-\"\n{repeat}format = \"NV12\"\n\
             width-px = 64\nheight-px = 48\nrate-hz = 30\n"
        )
    };
    let two = camera("a", "loop = true\n") + &camera("b", "");
    let text = SMALL.replacen("[[model]]", &format!("{two}[[model]]"), 1);
    let found = messages("b.toml", &text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].ends_with("camera.loop: found true, expected false with path = \"-\": standard input cannot begin again"),
        "{}",
        found[0]
    );
    assert!(
        found[1].ends_with("camera.path: found \"-\", which camera \"a\" reads as well, expected standard input for one camera only"),
        "{}",
        found[1]
    );
}

#[test]
fn a_camera_that_is_waited_for_has_slots_of_ours() {
    let with = |io: &str| {
        let wanted = format!("device = \"/dev/video0\"\nabsent = \"wait\"\nio = \"{io}\"");
        SMALL.replacen("device = \"/dev/video0\"", &wanted, 1)
    };
    assert!(profile::read("b.toml", &with("userptr")).is_ok());
    let found = messages("b.toml", &with("mmap"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains(
            "camera.io: found \"mmap\", expected \"auto\", \"userptr\" or \"copy\", because absent = \"wait\""
        ),
        "{}",
        found[0]
    );
}

#[test]
fn controls_are_numbers_truths_or_items_and_nothing_else() {
    let with = |controls: &str| {
        SMALL.replacen(
            "device = \"/dev/video0\"",
            &format!("device = \"/dev/video0\"\ncontrols = {controls}"),
            1,
        )
    };
    let board = profile::read(
        "b.toml",
        &with("{ gain = -3, exposure-auto = true, menu = \"Auto\" }"),
    );
    let camera = &board.expect("sound").cameras[0];
    let mut found: Vec<String> = camera
        .controls
        .iter()
        .map(|control| format!("{} {}", control.name, control.value))
        .collect();
    found.sort();
    assert_eq!(found, ["exposure-auto 1", "gain -3", "menu \"Auto\""]);
    for (controls, words) in [
        (
            "{ gain = 1.5 }",
            "camera.controls: found gain = 1.5, expected a table of controls",
        ),
        ("{ gain = [1] }", "found gain = an array of 1, expected"),
        ("4", "found 4, expected a table of controls"),
    ] {
        let found = messages("b.toml", &with(controls));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(words), "{}", found[0]);
    }
}

#[test]
fn a_crop_is_four_numbers_of_which_the_sides_are_not_zero() {
    let with = |line: &str| {
        let device = "device = \"/dev/video0\"";
        SMALL.replacen(device, &format!("{device}\n{line}"), 1)
    };
    let board = profile::read("b.toml", &with("crop = [0, 8, 640, 480]")).expect("sound");
    assert_eq!(board.cameras[0].crop, Some([0, 8, 640, 480]));
    for crop in [
        "[0, 0, 640]",
        "[0, 0, 0, 480]",
        "[0, 0, 640, 0]",
        "[-1, 0, 640, 480]",
        "[0, 0, 65536, 480]",
        "[0.5, 0, 640, 480]",
        "640",
    ] {
        let found = messages("b.toml", &with(&format!("crop = {crop}")));
        assert_eq!(found.len(), 1, "{found:?}");
        let words = format!("camera.crop: found {crop}, expected left, top, width and height");
        assert!(found[0].contains(&words), "{}", found[0]);
    }
}

#[test]
fn slots_of_the_drivers_are_as_many_as_it_has_buffers_and_ours_are_not() {
    for (io, refused) in [
        ("auto", true),
        ("mmap", true),
        ("dmabuf", true),
        ("dma-heap", true),
        ("userptr", false),
        ("copy", false),
    ] {
        let device = "device = \"/dev/video0\"";
        let keys = format!("{device}\nio = \"{io}\"\nring-slots = 64");
        let text = SMALL.replacen(device, &keys, 1);
        let read = profile::read("b.toml", &text);
        assert_eq!(read.is_err(), refused, "{io}");
    }
}

#[test]
fn jpeg_pictures_come_from_cameras_and_mjpeg_streams_alone() {
    let camera = |source: &str, format: &str| {
        let path = match source {
            "pattern" => "",
            "v4l2" => "device = \"/dev/video9\"\n",
            _ => "path = \"clip\"\n",
        };
        let camera = format!(
            "[[camera]]\nname = \"jpeg\"\nsource = \"{source}\"\n{path}format = \"{format}\"\n\
             width-px = 64\nheight-px = 48\nrate-hz = 30\n"
        );
        let text = SMALL.replacen("[[model]]", &format!("{camera}[[model]]"), 1);
        messages("b.toml", &text)
    };
    for source in ["v4l2", "mjpeg"] {
        assert_eq!(camera(source, "MJPG"), [""; 0], "{source}");
    }
    for source in ["pattern", "image", "y4m", "raw"] {
        let found = camera(source, "MJPG");
        let words = "camera.format: found \"MJPG\", expected a format whose samples lie open";
        assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
    }
    let found = camera("mjpeg", "NV12");
    let words = "camera.format: found \"NV12\", expected \"MJPG\" with source = \"mjpeg\"";
    assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
}

#[test]
fn a_camera_may_be_judged_more_rarely_and_in_parts_of_the_time_only() {
    let with = |lines: &str| SMALL.replacen("rate-hz = 30", &format!("rate-hz = 30\n{lines}"), 1);
    let lines = "priority = 3\nmax-rate-hz = 0.5\nduty-cycle-ms = [2000, 10000]";
    let board = profile::read("b.toml", &with(lines)).expect("sound");
    let camera = &board.cameras[0];
    assert_eq!((camera.priority, camera.max_rate_hz), (3, Some(0.5)));
    assert_eq!(camera.duty_cycle_ms, Some([2000, 10_000]));
    for (line, words) in [
        (
            "duty-cycle-ms = [3, 2]",
            "camera.duty-cycle-ms: found [3, 2], expected two whole numbers",
        ),
        (
            "duty-cycle-ms = [0, 2]",
            "found [0, 2], expected two whole numbers",
        ),
        ("duty-cycle-ms = 5", "found 5, expected two whole numbers"),
        (
            "max-rate-hz = 0",
            "found 0, expected a number (Hz), 0.01 to 1000",
        ),
        (
            "priority = 10",
            "found 10, expected a whole number (greater goes first), 0 to 9",
        ),
    ] {
        let found = messages("b.toml", &with(line));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(words), "{}", found[0]);
    }
}
