//! The contract of frame sources, and the failure ladder, on real V4L2: the guest of `tests/vm`.
//!
//! `make test` runs the test at the top; it boots the guest once and runs this very executable in it,
//! with the checks of [`inside`]. By themselves those say only that they are not in the guest.
#![allow(unsafe_code)]

#[path = "capture/contract.rs"]
mod contract;
#[path = "capture_guest/inside.rs"]
mod inside;
#[path = "capture/stage.rs"]
mod stage;

use std::path::Path;
use std::process::{Command, Stdio};

#[test]
#[ignore = "boots the guest: run by `make test`"]
fn every_kind_of_v4l2_camera_keeps_the_contract_in_the_guest() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(root.join("tests/vm/setup"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let why = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "the guest cannot be had:\n{why}");
    let libraries = root.join(".cache/tflite/x86_64");
    let ran = Command::new(root.join("tests/vm/run"))
        .current_dir(root)
        .args([
            "--timeout",
            "7200",
            "--env",
            &format!("LD_LIBRARY_PATH={}", libraries.display()),
        ])
        .arg("-f")
        .arg(root.join("tests/capture/guest.sh"))
        .arg(std::env::current_exe().unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{:?}", ran.status.code());
    // Each kind of camera ran the checks it is there for.
    for (kind, checks) in [
        ("plain", 19),
        ("dma_contig", 4),
        ("multi_planar", 5),
        ("cropped", 2),
        ("not_capture", 2),
    ] {
        let passed = said
            .split(&format!("== {kind}\n"))
            .nth(1)
            .and_then(|after| after.split("== ").next());
        let expected = format!("test result: ok. {checks} passed");
        assert!(
            passed.is_some_and(|said| said.contains(&expected)),
            "{kind}: {expected}"
        );
    }
}
