//! The whole program on a clip with known motion: the events of its rules are exactly those of the motion.

mod running;

use running::{Running, recorded};
use serde_json::Value;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

const WIDTH: usize = 640;
const HEIGHT: usize = 480;
const RATE: f64 = 15.0;
/// Side of the square around the face that is cut out of the photograph, twice enlarged.
const PATCH: usize = 320;

/// Rules over the clip, and what of it they are to tell. Its frames are far enough apart for a busy machine,
/// which may be late, and not so late that a face that is there counts as gone.
const RULES: &str = r#"
[tracker]
lost-after-ms = 3000

[[zone]]
name = "right"
corners-px = [[400, 0], [640, 0], [640, 480], [400, 480]]

[[line]]
name = "middle"
from-px = [320, 0]
to-px = [320, 480]

[[rule]]
name = "seen"
kind = "presence"

[[rule]]
name = "there"
kind = "cross"
line = "middle"
direction = "to-left"
anchor = "centre"

[[rule]]
name = "back"
kind = "cross"
line = "middle"
direction = "to-right"
anchor = "centre"

[[rule]]
name = "enters"
kind = "enter"
zone = "right"
anchor = "centre"

[[rule]]
name = "leaves"
kind = "leave"
zone = "right"
anchor = "centre"

[[rule]]
name = "stays"
kind = "dwell"
zone = "right"
anchor = "centre"
dwell-ms = 2000

[[rule]]
name = "two"
kind = "count"
at-least = 2

[[rule]]
name = "gone"
kind = "absence"
absent-ms = 2000
"#;

/// Where the face's centre is in this frame, from the left; `None` while there is none.
///
/// It comes in frame 15, goes right by 6 pixels a frame, waits from frame 65 to 95, goes back, and is gone
/// from frame 145 on.
fn centre(frame: usize) -> Option<usize> {
    match frame {
        15..65 => Some(170 + 6 * (frame - 15)),
        65..95 => Some(470),
        95..145 => Some(470 - 6 * (frame - 95)),
        _ => None,
    }
}

/// Rule, phase and frame of each event: zone and line lie where the centre passes in these frames.
const EXPECTED: [(&str, &str, u64); 8] = [
    ("seen", "begin", 15),
    ("there", "once", 40),
    ("enters", "once", 54),
    ("stays", "once", 84),
    ("leaves", "once", 107),
    ("back", "once", 120),
    // Lost three seconds after it was seen last, in frame 144; and two seconds more of nothing.
    ("seen", "end", 190),
    ("gone", "begin", 220),
];

/// The clip: the photograph's face on grey.
fn clip() -> Vec<u8> {
    let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/photos/astronaut.png");
    let photo = image::open(photo)
        .expect("make setup fetches it")
        .into_rgb8();
    // The face is about 100 pixels wide, around (225, 127).
    let pixel = |x: usize, y: usize| {
        let at = |value: usize, from: u32| from + u32::try_from(value / 2).unwrap();
        photo.get_pixel(at(x, 145), at(y, 47)).0.map(f64::from)
    };
    let mut clip = b"YUV4MPEG2 W640 H480 F15:1 C420\n".to_vec();
    for frame in 0..250 {
        let mut luma = vec![128_u8; WIDTH * HEIGHT];
        if let Some(centre) = centre(frame) {
            for y in 0..PATCH {
                for x in 0..PATCH {
                    let [r, g, b] = pixel(x, y);
                    let value = 16.0 + (0.299 * r + 0.587 * g + 0.114 * b) * 219.0 / 255.0;
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                    let value = value as u8;
                    luma[(y + 80) * WIDTH + centre - PATCH / 2 + x] = value;
                }
            }
        }
        clip.extend_from_slice(b"FRAME\n");
        clip.extend_from_slice(&luma);
        clip.resize(clip.len() + WIDTH * HEIGHT / 2, 128);
    }
    clip
}

/// The demo's model and worker, with the clip as the camera.
fn board(folder: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = std::fs::read_to_string(root.join("boards/demo.toml")).unwrap();
    let (before, rest) = demo.split_once("source = \"image\"").unwrap();
    let (_, rest) = rest.split_once("rate-hz = 30\n").unwrap();
    let (after, _) = rest.split_once("[[line]]").unwrap();
    let camera = "source = \"y4m\"\npath = \"clip.y4m\"\nformat = \"NV12\"\nwidth-px = 640\nheight-px = 480\n\
                  rate-hz = 15\n";
    let text = format!("{before}{camera}{after}{RULES}");
    let text = text
        .replace("../.cache", root.join(".cache").to_str().unwrap())
        .replace("max-age-ms = 100", "max-age-ms = 60000");
    let path = folder.join("board.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_clip_with_known_motion_gives_exactly_the_events_of_its_rules() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(folder.path().join("clip.y4m")).unwrap();
    file.write_all(&clip()).unwrap();
    let board = board(folder.path());
    let named = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (events, results, proof) = (named("events"), named("results"), named("proof.json"));
    let output = Command::new(env!("CARGO_BIN_EXE_pinsight"))
        .args(["run", "--board", &board, "--events", &events])
        .args(["--results", &results, "--proof", &proof])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let lines: Vec<Value> = std::fs::read_to_string(&events)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    let told: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| {
            (
                line["rule"].as_str().unwrap(),
                line["phase"].as_str().unwrap(),
            )
        })
        .collect();
    let expected: Vec<(&str, &str)> = EXPECTED.map(|(rule, phase, _)| (rule, phase)).into();
    assert_eq!(told, expected, "{log}");
    // When: by the frames' own stamps, since a busy machine may lose frames; what it lost is made up for by the
    // next one. The detector's box trembles by some pixels, which is some frames.
    let results = std::fs::read_to_string(&results).unwrap();
    let seen: Vec<u64> = results
        .lines()
        .map(|line| {
            let result: Value = serde_json::from_str(line).expect("each line is JSON");
            result["driver_sequence"].as_u64().unwrap()
        })
        .collect();
    let capture = |line: &Value| line["capture_ns"].as_f64().unwrap();
    for (line, (rule, _, frame)) in lines.iter().zip(EXPECTED) {
        #[allow(clippy::cast_precision_loss)] // some hundreds
        let [first, expected] = [seen[0] as f64, frame as f64];
        let found = first + (capture(line) - capture(&lines[0])) / 1e9 * RATE;
        // The first one at that time or behind it that shows the face; of the others there is no result.
        let due = seen.iter().find(|&&number| number >= frame);
        #[allow(clippy::cast_precision_loss)]
        let latest = due.map_or(expected + 2.0 * RATE, |&number| number as f64 + 6.0);
        assert!(
            found > expected - 6.0 && found < latest,
            "{rule}: found frame {found:.1}, expected {frame} to {latest}"
        );
    }
    for (index, direction) in [(1, "to-left"), (5, "to-right")] {
        assert_eq!(lines[index]["direction"], direction);
        assert_eq!(lines[index]["place"], "middle");
    }
    // One face, one track, whose label and place are told.
    for line in [1, 2, 3, 4, 5].map(|index| &lines[index]) {
        assert_eq!(
            (&line["track"], &line["label"]),
            (&1.into(), &"face".into())
        );
        assert!(line["at_px"][0].as_f64().unwrap() > 200.0, "{line}");
    }
    assert!(lines[0]["track"].is_null() && lines[7]["in_zone"] == 0);
    // Each event is that of a judged frame, which the result log has as well.
    let crossed = format!("\"sequence\":{},", lines[1]["sequence"]);
    assert!(results.contains(&crossed), "{crossed}");

    let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    let events = &proof["events"];
    assert_eq!(events["results_late"], 0);
    assert_eq!(events["tracks"], 1);
    let fired: Vec<_> = events["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["fired"].as_u64().unwrap())
        .collect();
    assert_eq!(fired, [2, 1, 1, 1, 1, 1, 0, 1]);
    // How far the face came with each rule, and why the one that reported nothing did not.
    let rules = events["rules"].as_array().unwrap();
    for rule in rules {
        assert_eq!(
            (&rule["tracks"], &rule["tracks_in_place"]),
            (&1.into(), &1.into()),
            "{rule}"
        );
        assert_eq!(rule["reason"].is_null(), rule["fired"] != 0, "{rule}");
    }
    assert_eq!(rules[6]["reason"], "at most 1 at once, at-least 2");
    for quiet in ["heap_calls", "heap_calls_other_threads"] {
        assert_eq!(proof["after_ready"][quiet], 0, "{quiet}");
    }
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("events by rule"), "{table}");
    let why = "    none fired: at most 1 at once, at-least 2\n";
    assert!(table.contains(why), "{table}");
    assert!(
        log.contains("event there: face 1, cross middle to-left"),
        "{log}"
    );
}

#[test]
fn events_of_a_board_without_rules_are_warned_of_and_two_logs_in_one_file_refused() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    let events = events.to_str().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .current_dir(root)
            .args(["run", "--board"])
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    };
    let mut clip = b"YUV4MPEG2 W64 H48 F30:1 C420\nFRAME\n".to_vec();
    clip.resize(clip.len() + 64 * 48 * 3 / 2, 128);
    let stream = folder.path().join("stream.y4m");
    std::fs::write(&stream, clip).unwrap();
    let stream = stream.to_str().unwrap();
    let output = run(&["boards/stream.toml", "--camera", stream, "--events", events]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("the board has no [[rule]]"), "{log}");
    let output = run(&["boards/demo.toml", "--events", events, "--results", events]);
    assert_eq!(output.status.code(), Some(2));
    let output = run(&["boards/demo.toml", "--events", "-", "--results", "-"]);
    assert_eq!(output.status.code(), Some(2));
    let output = run(&["boards/demo.toml", "--events", "/nowhere/events"]);
    assert_eq!(output.status.code(), Some(7));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("events /nowhere/events: "), "{log}");
}

/// A pseudo-terminal: its master, its slave and the slave's name.
fn terminal() -> (OwnedFd, OwnedFd, String) {
    let pair = nix::pty::openpty(None, None).unwrap();
    let name = nix::unistd::ttyname(&pair.slave).unwrap();
    nix::fcntl::fcntl(
        &pair.master,
        nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK),
    )
    .unwrap();
    nix::fcntl::fcntl(
        &pair.slave,
        nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK),
    )
    .unwrap();
    (pair.master, pair.slave, name.to_str().unwrap().to_owned())
}

#[test]
fn a_serial_line_that_nobody_reads_costs_its_own_events_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, _kept, heard) = terminal();
    let (_deaf, halted, stuck) = terminal();
    // As by a receiver that asked to wait, and never went on.
    nix::sys::termios::tcflow(&halted, nix::sys::termios::FlowArg::TCOOFF).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = std::fs::read_to_string(root.join("boards/demo.toml")).unwrap();
    let demo = demo.replace("../.cache", root.join(".cache").to_str().unwrap());
    let output = |name: &str, device: &str| {
        format!("\n[[output]]\nname = \"{name}\"\nkind = \"serial\"\ndevice = \"{device}\"\n")
    };
    let outputs = [
        output("heard", &heard),
        output("stuck", &stuck),
        output("absent", "/dev/tty-that-is-not-there"),
        "\n[[output]]\nname = \"lamp\"\nkind = \"gpio\"\ndevice = \"/dev/gpiochip-none\"\ngpio-line = 3\n"
            .to_owned(),
    ];
    let board = folder.path().join("board.toml");
    std::fs::write(&board, format!("{demo}{}", outputs.concat())).unwrap();
    let proof = folder.path().join("proof.json");
    let recording = folder.path().join("record");
    let mut run = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--board", board.to_str().unwrap()])
            .args(["--proof", proof.to_str().unwrap()])
            .args(["--record", recording.to_str().unwrap()]),
    );
    run.until("an event, and 75 results", |log| {
        log.contains("event face-passes: ") && recorded(&recording).len() >= 75
    });
    let done = run.stop();
    let log = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{log}");
    let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    assert!(proof["cameras"][0]["inferred"].as_u64().unwrap() >= 75);
    assert_eq!(
        (&proof["results_lost"], &proof["writes_failed"]),
        (&0.into(), &0.into())
    );
    assert_eq!(proof["after_ready"]["heap_calls_other_threads"], 0);
    let fired = proof["events"]["rules"][0]["fired"].as_u64().unwrap();
    assert!(fired >= 1, "{}", proof["events"]);
    let accounts = &proof["events"]["outputs"];
    for (index, sent, lost) in [(0, fired, 0), (1, 0, fired), (2, 0, fired), (3, 0, fired)] {
        let account = &accounts[index];
        assert_eq!(
            (&account["sent"], &account["lost"]),
            (&sent.into(), &lost.into()),
            "{accounts}"
        );
    }
    assert_eq!(proof["events"]["rules"][0]["lost"], 3 * fired);
    assert_eq!(
        (&accounts[1]["opened"], &accounts[2]["opened"]),
        (&1.into(), &0.into())
    );
    for place in [
        "absent: /dev/tty-that-is-not-there",
        "lamp: line 3 of /dev/gpiochip-none",
    ] {
        assert!(log.contains(&format!("output {place}: ENOENT: ")), "{log}");
    }

    let text = String::from_utf8(come(&listener)).unwrap();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len() as u64, fired, "{text}");
    for line in lines {
        let (body, sum) = line.strip_prefix('$').unwrap().split_once('*').unwrap();
        let found = body.bytes().fold(0, |sum, byte| sum ^ byte);
        assert_eq!(u8::from_str_radix(sum, 16).unwrap(), found, "{line}");
        let fields: Vec<&str> = body.split(',').collect();
        let expected = [
            "PINEV",
            "face-passes",
            "cross",
            "once",
            "photo",
            "1",
            "face",
        ];
        assert_eq!(fields[..7], expected);
        assert_eq!(fields.len(), 10);
    }
}

/// What came to a terminal's master by now. What has been written arrives in pieces.
fn come(master: &OwnedFd) -> Vec<u8> {
    let mut all = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = nix::unistd::read(master, &mut bytes) {
        all.extend(&bytes[..count]);
    }
    all
}

#[test]
fn a_file_that_stands_still_costs_its_own_lines_and_outputs_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, _kept, heard) = terminal();
    // A terminal whose line is full holds its writer up as a disk that stands still does.
    let still = nix::pty::openpty(None, None).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = std::fs::read_to_string(root.join("boards/demo.toml")).unwrap();
    let demo = demo.replace("../.cache", root.join(".cache").to_str().unwrap());
    // The face crosses the line more often.
    let demo = demo.replace("pan-px = 8", "pan-px = 48");
    // The queue is full after some seconds; until then housekeeping may be late by as many.
    let demo = demo.replace("queue-results = 64", "queue-results = 128");
    let output =
        format!("\n[[output]]\nname = \"heard\"\nkind = \"serial\"\ndevice = \"{heard}\"\n");
    let board = folder.path().join("board.toml");
    std::fs::write(&board, format!("{demo}{output}")).unwrap();
    let proof = folder.path().join("proof.json");
    let mut run = Running::start_with(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--results", "-"])
            .args(["--board", board.to_str().unwrap()])
            .args(["--proof", proof.to_str().unwrap()])
            .stdout(still.slave),
    );
    // However many have been lost before anybody looks.
    run.until_logged("--results: the disk stands still, or is too slow for what came at once; lines lost so far: ");
    // What is told from here on is told beside a file that takes nothing.
    come(&listener);
    let mut told = 0;
    run.until("three events while the file stands still", |_| {
        told += come(&listener).iter().filter(|byte| **byte == b'$').count();
        told >= 3
    });
    run.ask_to_stop();
    // Its reader goes on: what was queued is written.
    let mut lines = Vec::new();
    let mut master = std::fs::File::from(still.master);
    // EIO: nobody holds the other end any more.
    let _ = std::io::Read::read_to_end(&mut master, &mut lines);
    let done = run.end();
    let log = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{log}");

    let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    let files = &proof["files"];
    assert_eq!(files[0]["argument"], "--results");
    assert_eq!(files[0]["failed"], 0, "{files}");
    let lost = files[0]["lost"].as_u64().unwrap();
    assert!(lost >= 1, "{files}");
    assert_eq!(proof["results_lost"], 0);
    assert_eq!(proof["events"]["rules"][0]["lost"], 0);
    assert_eq!(proof["after_ready"]["heap_calls_other_threads"], 0);
    let threads = proof["threads"].as_array().unwrap();
    assert!(threads.iter().any(|thread| thread["name"] == "disk"));
    // Each line is whole, in its order, and those that are missing are those that were counted.
    let text = String::from_utf8(lines).unwrap();
    let results = text.lines().filter(|line| line.starts_with("{\"utc_ms\""));
    let sequences: Vec<u64> = results
        .map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"))
        .map(|line| line["sequence"].as_u64().unwrap())
        .collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
    let detections = proof["detections"].as_u64().unwrap();
    assert_eq!(
        sequences.len() as u64 + lost,
        detections,
        "one in each frame"
    );
}

#[test]
fn an_output_is_tried_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, kept, device) = terminal();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = std::fs::read_to_string(root.join("boards/demo.toml")).unwrap();
    let board = folder.path().join("board.toml");
    let output =
        format!("[[output]]\nname = \"radio\"\nkind = \"serial\"\ndevice = \"{device}\"\n");
    std::fs::write(&board, format!("{demo}\n{output}")).unwrap();
    let try_output = |name: &str| {
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["output", name, "--board", board.to_str().unwrap()])
            .output()
            .unwrap()
    };
    let done = try_output("radio");
    let said = String::from_utf8_lossy(&done.stdout);
    let errors = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{errors}");
    let line = String::from_utf8(come(&listener)).unwrap();
    assert!(line.starts_with("$PINEV,test,test,once,,,,0,"), "{line:?}");
    let line = line.strip_suffix("\r\n").unwrap();
    assert!(said.contains(line), "{said}");

    let done = try_output("siren");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{errors}");
    let words = "board demo has no output \"siren\": it has radio";
    assert!(errors.contains(words), "{errors}");

    drop((listener, kept));
    let done = try_output("radio");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(4), "{errors}");
    assert!(
        errors.contains(&format!("output radio: {device}: ")),
        "{errors}"
    );
}

#[test]
fn an_output_whose_device_is_another_thing_is_refused_before_anything_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = std::fs::read_to_string(root.join("boards/demo.toml")).unwrap();
    let demo = demo.replace("../.cache", root.join(".cache").to_str().unwrap());
    for (output, words) in [
        (
            "kind = \"gpio\"\ndevice = \"/dev/null\"\ngpio-line = 3\n",
            "output out: line 3 of /dev/null cannot be had: not a GPIO chip",
        ),
        (
            "kind = \"serial\"\ndevice = \"/dev/null\"\n",
            "output out: /dev/null: ENOTTY",
        ),
    ] {
        let board = folder.path().join("board.toml");
        std::fs::write(
            &board,
            format!("{demo}\n[[output]]\nname = \"out\"\n{output}"),
        )
        .unwrap();
        let done = Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--frames", "5", "--board", board.to_str().unwrap()])
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(4), "{log}");
        assert!(log.contains(words), "{log}");
        assert!(!log.contains("ready after"), "{log}");
    }
}
