//! Profiles as text: what is accepted, and every message for what is not.

#[path = "profile/cameras.rs"]
mod cameras;
#[path = "profile/faults.rs"]
mod faults;
#[path = "profile/large.rs"]
mod large;
#[path = "profile/models.rs"]
mod models;
#[path = "profile/mutated.rs"]
mod mutated;
#[path = "profile/ranges.rs"]
mod ranges;
#[path = "profile/rules.rs"]
mod rules;
#[path = "profile/shipped.rs"]
mod shipped;
#[path = "profile/values.rs"]
mod values;

use pinsight::profile::{self, Board, Fault};

/// The least that a board needs.
const SMALL: &str = r#"name = "small"
[[camera]]
name = "front"
source = "v4l2"
device = "/dev/video0"
format = "NV12"
width-px = 640
height-px = 480
rate-hz = 30
[[model]]
name = "face"
path = "face.tflite"
sha256 = "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633"
decoder = "blazeface-short"
labels = ["face"]
[[worker]]
name = "detector"
cores = [1]
model = "face"
"#;

fn messages(file: &str, text: &str) -> Vec<String> {
    match profile::read(file, text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(Fault::to_string).collect(),
    }
}

#[track_caller]
fn assert_messages(file: &str, text: &str, expected: &str) {
    let found = messages(file, text);
    let expected: Vec<&str> = expected.lines().collect();
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found, expected, "message {}", index + 1);
    }
    assert_eq!(
        found.len(),
        expected.len(),
        "all messages:\n{}",
        found.join("\n")
    );
}

/// `SMALL` with one line replaced has exactly this one fault.
#[track_caller]
fn assert_one_fault(old: &str, new: &str, expected: &str) {
    assert!(SMALL.contains(old), "{old} is not in the small profile");
    assert_messages("b.toml", &SMALL.replacen(old, new, 1), expected);
}

fn small() -> Board {
    profile::read("boards/small.toml", SMALL).expect("the small profile is sound")
}
