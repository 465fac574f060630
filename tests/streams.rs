//! Files and pipes as cameras: the contract of frame sources, pace, end, damage; and the program fed by
//! another one.

#[path = "capture/contract.rs"]
mod contract;
#[path = "capture/feed.rs"]
mod feed;
mod running;
#[path = "capture/stage.rs"]
mod stage;

use feed::{INTERVAL, SIZE, enters_no_heap, simulated, staged, written};
use pinsight::capture::Dequeue;
use pinsight::frame::PixelFormat;
use pinsight::profile::{Container, Feed};
use pinsight::sys::io::stream::{StreamConfig, UnarmedStream};
use pinsight::units::NS_PER_MS;
use running::{Running, recorded};
use serde_json::Value;
use stage::Clock;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const HEADER: &str = "YUV4MPEG2 W64 H48 F30:1 Ip A1:1 C420jpeg XYSCSS=420JPEG\n";
/// Bytes of one frame of that size.
const FRAME: usize = 64 * 48 * 3 / 2;

/// Frame `number` in the order of Y4M: every luma sample is its number plus one, Cb 20, Cr 40.
fn picture(number: u8) -> Vec<u8> {
    let luma = FRAME * 2 / 3;
    let mut samples = vec![number.wrapping_add(1); luma];
    samples.resize(luma + luma / 4, 20);
    samples.resize(FRAME, 40);
    samples
}

fn y4m(frames: u8) -> Vec<u8> {
    let mut stream = HEADER.as_bytes().to_vec();
    for number in 0..frames {
        stream.extend_from_slice(b"FRAME\n");
        stream.extend(picture(number));
    }
    stream
}

fn config(path: &Path, container: Container, repeat: bool) -> StreamConfig {
    StreamConfig {
        feed: Feed::File(path.to_owned()),
        container,
        repeat,
        pixel: PixelFormat::Nv12,
        size_px: Some(SIZE),
        interval_ns: Some(INTERVAL),
        wait_ns: None,
    }
}

/// A FIFO into which somebody writes frames without end, as fast as they are taken.
fn endless_pipe(folder: &Path, name: &str) -> PathBuf {
    let mut begun = false;
    let mut numbers = (0..=u8::MAX).cycle();
    feed::endless_pipe(folder, name, move |pipe| {
        let header = if begun { "" } else { HEADER };
        begun = true;
        let frame = picture(numbers.next().expect("one after the other without end"));
        // In two pieces that are no frame: the reader has to keep the first one.
        [
            header.as_bytes(),
            b"FRAME\n",
            &frame[..1000],
            &frame[1000..],
        ]
        .iter()
        .all(|bytes| pipe.write_all(bytes).is_ok())
    })
}

#[test]
fn a_y4m_file_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "clip.y4m", &y4m(7));
    let config = config(&path, Container::Y4m, true);
    contract::check("y4m file", || staged(&config, simulated()));
}

#[test]
fn a_raw_file_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let frames: Vec<u8> = (0..5).flat_map(picture).collect();
    let path = written(folder.path(), "clip.nv12", &frames);
    let config = config(&path, Container::Raw, true);
    contract::check("raw file", || staged(&config, simulated()));
}

#[test]
fn a_pipe_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    contract::check("pipe", || {
        count += 1;
        let path = endless_pipe(folder.path(), &format!("pipe{count}"));
        staged(&config(&path, Container::Y4m, false), Clock::Real)
    });
}

#[test]
fn a_file_gives_each_frame_when_it_is_due_in_nv12_and_then_says_that_it_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "clip.y4m", &y4m(9));
    let mut stage = staged(&config(&path, Container::Y4m, false), simulated());
    let origin = stage.now();
    stage.queue_all();
    stage.start().unwrap();
    for number in 0..9_u8 {
        let frame = stage.next_frame();
        assert_eq!(frame.sequence, u32::from(number));
        let due_ns = origin + INTERVAL * (u64::from(number) + 1);
        assert_eq!(frame.capture_ns, due_ns);
        let samples = stage.picture(&frame);
        let (luma, chroma) = samples.split_at(FRAME * 2 / 3);
        assert!(luma.iter().all(|&y| y == number + 1), "frame {number}");
        assert!(
            chroma.chunks(2).all(|pair| pair == [20, 40]),
            "frame {number}"
        );
        stage.queue(frame.slot).unwrap();
    }
    stage.pass(INTERVAL);
    let now = stage.now();
    assert_eq!(stage.source.dequeue(now), Ok(Dequeue::Ended));
    assert_eq!(stage.source.dequeue(now), Ok(Dequeue::Ended), "for good");
    stage.reopen().unwrap();
    stage.queue_all();
    stage.start().unwrap();
    assert_eq!(
        stage.next_frame().sequence,
        0,
        "opened again it begins again"
    );
}

#[test]
fn a_file_that_is_watched_late_shows_the_frame_of_the_hour() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "clip.y4m", &y4m(40));
    let mut stage = staged(&config(&path, Container::Y4m, false), simulated());
    stage.start().unwrap();
    stage.pass(20 * INTERVAL + INTERVAL / 2);
    stage.queue_all();
    let frame = stage.next_frame();
    assert_eq!(frame.sequence, 20);
    assert_eq!(stage.picture(&frame)[0], 21);
}

#[test]
fn a_stream_that_breaks_off_ends_with_a_damaged_frame() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = y4m(3);
    bytes.truncate(bytes.len() - 100);
    let path = written(folder.path(), "cut.y4m", &bytes);
    let mut stage = staged(&config(&path, Container::Y4m, false), simulated());
    stage.queue_all();
    stage.start().unwrap();
    let damage: Vec<(bool, u32)> = (0..3)
        .map(|_| stage.next_frame())
        .map(|frame| (frame.damaged, frame.bytes_used))
        .collect();
    let whole = u32::try_from(FRAME).unwrap();
    assert_eq!(
        damage,
        [(false, whole), (false, whole), (true, whole - 100)]
    );
    let now = stage.now();
    assert_eq!(stage.source.dequeue(now), Ok(Dequeue::Ended));
}

#[test]
fn a_stream_that_goes_wrong_says_so_once_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = y4m(2);
    bytes.extend(b"FRUMP\n");
    bytes.extend(picture(1));
    let path = written(folder.path(), "wrong.y4m", &bytes);
    let mut stage = staged(&config(&path, Container::Y4m, false), simulated());
    stage.queue_all();
    stage.start().unwrap();
    stage.next_frame();
    stage.next_frame();
    let now = stage.now();
    let error = stage.source.dequeue(now).unwrap_err();
    assert_eq!(error.errno, nix::libc::EBADMSG);
    stage.stop().unwrap();
    stage.start().unwrap();
    assert_eq!(stage.source.dequeue(now), Ok(Dequeue::Ended));
}

#[test]
fn what_cannot_be_watched_is_refused_with_what_was_found_and_expected() {
    let folder = tempfile::tempdir().unwrap();
    let cut = &y4m(1)[..500];
    let wide = y4m(1);
    let wide = [&b"YUV4MPEG2 W66 H48 F30:1\n"[..], &wide[HEADER.len()..]].concat();
    for (bytes, words) in [
        (
            &b"GIF89a"[..],
            "at byte 0: found `GIF89a`, expected a Y4M stream",
        ),
        (
            b"YUV4MPEG2 W64 H48 C420p10\n",
            "at byte 18: found `C420p10`, expected 8-bit",
        ),
        (cut, "found the end of the file at byte 500"),
        (&wide, "found 66x48, expected 64x48: change `width-px`"),
        (
            b"YUV4MPEG2 W64 H48 C444\n",
            "found C444, expected C420 for format = \"NV12\" or \"YU12\"",
        ),
    ] {
        let path = written(folder.path(), "odd.y4m", bytes);
        let error = UnarmedStream::open(&config(&path, Container::Y4m, false)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
        assert!(text.starts_with(path.to_str().unwrap()), "{text}");
    }
    for path in [folder.path(), Path::new("/nowhere/clip.y4m")] {
        let error = UnarmedStream::open(&config(path, Container::Y4m, false)).unwrap_err();
        assert!(error.to_string().contains("directory"), "{error}");
    }
}

#[test]
fn reading_enters_no_heap() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "clip.y4m", &y4m(7));
    let pipe = endless_pipe(folder.path(), "pipe");
    let mut stages = [
        staged(&config(&path, Container::Y4m, true), simulated()),
        staged(&config(&pipe, Container::Y4m, false), Clock::Real),
    ];
    enters_no_heap(&mut stages);
}

#[test]
fn a_pipe_that_is_silent_does_not_hold_its_reader_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let to = path.clone();
    let writer = std::thread::spawn(move || {
        let mut pipe = std::fs::File::create(to).unwrap();
        pipe.write_all(HEADER.as_bytes()).unwrap();
        pipe.write_all(b"FRAME\nhalf").unwrap();
        pipe
    });
    let mut stage = staged(&config(&path, Container::Y4m, false), Clock::Real);
    let mut pipe = writer.join().unwrap();
    stage.queue_all();
    stage.start().unwrap();
    for _ in 0..20 {
        assert_eq!(stage.dequeue(), Ok(None));
        stage.pass(NS_PER_MS);
    }
    pipe.write_all(&picture(1)[4..]).unwrap();
    assert_eq!(stage.next_frame().sequence, 0, "what had come was kept");
    drop(pipe);
    let now = stage.now();
    assert_eq!(stage.source.dequeue(now), Ok(Dequeue::Ended));
}

const DEMO: &str = "boards/demo.toml";

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinsight"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The demo board, whose frames may wait for a machine that is busy.
fn patient(folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = std::fs::read_to_string(root.join(DEMO)).unwrap();
    let board = demo
        .replace("../.cache", root.join(".cache").to_str().unwrap())
        .replace("max-age-ms = 100", "max-age-ms = 60000");
    assert!(board.contains("max-age-ms = 60000"));
    written(folder, "patient.toml", board.as_bytes())
}

/// The whole way with another program in the camera's place, which paces itself and then ends.
#[test]
fn standard_input_takes_the_cameras_place_and_its_end_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let (proof, recording) = (
        folder.path().join("proof.json"),
        folder.path().join("record"),
    );
    let board = patient(folder.path());
    let arguments = [
        "run",
        "--board",
        board.to_str().unwrap(),
        "--camera",
        "-",
        "--proof",
        proof.to_str().unwrap(),
        "--record",
        recording.to_str().unwrap(),
    ];
    let mut run = Running::start(program(&arguments).stdin(Stdio::piped()));
    let mut pipe = run.stdin();
    pipe.write_all(HEADER.as_bytes()).unwrap();
    let mut written = 0_u64;
    // Twenty frames, and a result of some frame: it goes at its own pace.
    run.until("a result", |_| {
        pipe.write_all(b"FRAME\n").unwrap();
        pipe.write_all(&picture(u8::try_from(written % 100).unwrap()))
            .unwrap();
        written += 1;
        written >= 20 && !recorded(&recording).is_empty()
    });
    drop(pipe);
    let output = run.end();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(
        log.contains("NV12 64x48 at 30 Hz by y4m from standard input"),
        "{log}"
    );
    assert!(log.contains("camera photo: its stream has ended"), "{log}");
    let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    let camera = &proof["cameras"][0];
    assert_eq!(camera["identity_holds"], true, "{camera}");
    let span =
        camera["driver_frames"].as_u64().unwrap() + camera["lost_in_driver"].as_u64().unwrap();
    assert_eq!(span, written, "{camera}");
    assert!(camera["inferred"].as_u64().unwrap() > 0, "{camera}");
    assert_eq!(camera["dropped"]["damaged"], 0, "{camera}");
    assert_eq!(proof["after_ready"]["heap_calls"], 0);
}

#[test]
fn what_comes_through_standard_input_and_is_no_stream_is_a_camera_error() {
    let mut child = program(&["run", "--board", DEMO, "--camera", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"P6 64 48 255\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{log}");
    let words = "camera photo: standard input: at byte 0: found `P6 64 48 255\\n`, expected a Y4M";
    assert!(log.contains(words), "{log}");
}

/// A profile whose camera is a file: it is played to its end.
#[test]
fn a_board_may_watch_a_file() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "clip.y4m", &y4m(12));
    let demo = std::fs::read_to_string(patient(folder.path())).unwrap();
    let camera = "source = \"y4m\"\npath = \"clip.y4m\"\nformat = \"NV12\"\nwidth-px = 64\n\
                  height-px = 48\nrate-hz = 30\n";
    let (before, rest) = demo.split_once("source = \"image\"").unwrap();
    let (_, after) = rest.split_once("rate-hz = 30\n").unwrap();
    // Its line is one of its own picture.
    let (after, _) = after.split_once("[[line]]").unwrap();
    let board = format!("{before}{camera}{after}")
        .replace("[0, 370]", "[0, 18]")
        .replace("[1920, 370]", "[64, 18]");
    let path = written(folder.path(), "board.toml", board.as_bytes());
    let output = program(&["check", "--board", path.to_str().unwrap()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("camera photo: NV12 64x48 at 30 Hz by y4m from"),
        "{text}"
    );
    let proof = folder.path().join("proof.json");
    // A machine that is held up for as long as the clip lasts sees none of it: it then has some attempts.
    let seen = (0..20).any(|_| {
        let output = program(&[
            "run",
            "--board",
            path.to_str().unwrap(),
            "--proof",
            proof.to_str().unwrap(),
        ])
        .output()
        .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{log}");
        let proof: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
        let camera = &proof["cameras"][0];
        assert_eq!(camera["identity_holds"], true, "{camera}");
        camera["inferred"].as_u64().unwrap() > 0
    });
    assert!(seen, "frames of the clip are judged");
}

#[test]
fn a_board_with_several_cameras_does_not_say_which_one_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = std::fs::read_to_string(root.join(DEMO)).unwrap();
    let second = "[[camera]]\nname = \"second\"\nsource = \"pattern\"\nformat = \"NV12\"\n\
                  width-px = 64\nheight-px = 48\nrate-hz = 30\n\n[capture]";
    let cache = root.join(".cache");
    let board = demo
        .replace("[capture]", second)
        .replace("../.cache", cache.to_str().unwrap());
    let path = written(folder.path(), "board.toml", board.as_bytes());
    let output = program(&["run", "--board", path.to_str().unwrap(), "--camera", "-"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{log}");
    assert!(
        log.contains("found a board with 2 cameras, expected one with one"),
        "{log}"
    );
}
