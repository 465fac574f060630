//! MJPEG: files, pipes and folders of JPEG pictures as cameras, and the whole way from a JPEG picture to a face.

#[path = "capture/contract.rs"]
mod contract;
#[path = "capture/feed.rs"]
mod feed;
mod running;
#[path = "capture/stage.rs"]
mod stage;

use contract::SLOTS;
use feed::{INTERVAL, SIZE, enters_no_heap, simulated, staged, written};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use pinsight::capture::Dequeue;
use pinsight::capture::synthetic::image_folder::{ImageFolderConfig, UnarmedImageFolder};
use pinsight::frame::PixelFormat;
use pinsight::profile::{Container, Feed};
use pinsight::sys::io::stream::{StreamConfig, UnarmedStream};
use running::{Running, recorded};
use serde_json::Value;
use stage::{Clock, Stage, arm};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn encoded(rgb: &[u8], width: u32, height: u32, quality: u8) -> Vec<u8> {
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, quality);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_2);
    let side = |px: u32| u16::try_from(px).unwrap();
    encoder
        .encode(rgb, side(width), side(height), ColorType::Rgb)
        .unwrap();
    jpeg
}

/// A picture of one colour that tells its number.
fn numbered(number: u8) -> Vec<u8> {
    let rgb = [number, 255 - number, 77].repeat((SIZE.0 * SIZE.1) as usize);
    encoded(&rgb, SIZE.0, SIZE.1, 90)
}

fn clip(frames: u8) -> Vec<u8> {
    (0..frames).flat_map(numbered).collect()
}

fn config(path: &Path, repeat: bool) -> StreamConfig {
    StreamConfig {
        feed: Feed::File(path.to_owned()),
        container: Container::Mjpeg,
        repeat,
        pixel: PixelFormat::Mjpg,
        size_px: Some(SIZE),
        interval_ns: Some(INTERVAL),
        wait_ns: None,
    }
}

fn folder_of(path: &Path, repeat: bool) -> ImageFolderConfig {
    ImageFolderConfig {
        folder: path.to_owned(),
        repeat,
        size_px: SIZE,
        interval_ns: INTERVAL,
    }
}

fn shown(path: &Path, repeat: bool) -> Stage {
    let unarmed = UnarmedImageFolder::open(&folder_of(path, repeat));
    let unarmed = unarmed.unwrap_or_else(|error| panic!("{error}"));
    arm(Box::new(unarmed), SLOTS, simulated())
}

/// A FIFO into which somebody writes a multipart stream without end, as fast as it is taken.
fn endless_pipe(folder: &Path, name: &str) -> PathBuf {
    let mut numbers = (0..=u8::MAX).cycle();
    feed::endless_pipe(folder, name, move |pipe| {
        let picture = numbered(numbers.next().expect("one after the other without end"));
        let (one, other) = picture.split_at(picture.len() / 3);
        let part = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n";
        [&part[..], one, other]
            .iter()
            .all(|bytes| pipe.write_all(bytes).is_ok())
    })
}

#[test]
fn a_file_of_jpeg_pictures_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "clip.mjpeg", &clip(7));
    contract::check("mjpeg file", || staged(&config(&path, true), simulated()));
}

#[test]
fn a_pipe_of_jpeg_pictures_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    contract::check("mjpeg pipe", || {
        count += 1;
        let path = endless_pipe(folder.path(), &format!("pipe{count}"));
        staged(&config(&path, false), Clock::Real)
    });
}

#[test]
fn a_folder_of_pictures_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..5 {
        written(folder.path(), &format!("{number}.jpg"), &numbered(number));
    }
    contract::check("folder", || shown(folder.path(), true));
}

#[test]
fn a_file_gives_each_picture_as_it_is_when_it_is_due_and_then_says_that_it_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "clip.mjpeg", &clip(9));
    let mut stage = staged(&config(&path, false), simulated());
    let origin = stage.now();
    stage.queue_all();
    stage.start().unwrap();
    for number in 0..9_u8 {
        let frame = stage.next_frame();
        assert_eq!(frame.sequence, u32::from(number));
        assert_eq!(
            frame.capture_ns,
            origin + INTERVAL * (u64::from(number) + 1)
        );
        assert_eq!(stage.picture(&frame), numbered(number));
        stage.queue(frame.slot).unwrap();
    }
    stage.pass(INTERVAL);
    let now = stage.now();
    assert_eq!(stage.source.dequeue(now), Ok(Dequeue::Ended));
}

#[test]
fn a_folder_is_shown_in_the_order_of_its_names_and_png_files_are_compressed() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "b.JPG", &numbered(2));
    written(folder.path(), "a.jpeg", &numbered(1));
    written(folder.path(), "notes.txt", b"no picture");
    // What is no picture in spite of its name is a damaged frame, which others find.
    written(folder.path(), "d.jpg", b"no picture");
    let colour = image::Rgb([200, 40, 30]);
    image::RgbImage::from_pixel(SIZE.0, SIZE.1, colour)
        .save(folder.path().join("c.png"))
        .unwrap();
    let mut stage = shown(folder.path(), false);
    stage.queue_all();
    stage.start().unwrap();
    let frames: Vec<_> = (0..4)
        .map(|_| {
            let frame = stage.next_frame();
            stage.picture(&frame).to_vec()
        })
        .collect();
    assert_eq!(frames[0], numbered(1));
    assert_eq!(frames[1], numbered(2));
    let png = image::load_from_memory_with_format(&frames[2], image::ImageFormat::Jpeg);
    let found = png.unwrap().into_rgb8();
    assert_eq!(found.dimensions(), SIZE);
    let found = found.get_pixel(30, 20);
    let near = |(found, expected): (&u8, &u8)| found.abs_diff(*expected) <= 4;
    assert!(found.0.iter().zip(&colour.0).all(near), "{found:?}");
    assert_eq!(frames[3], b"no picture");
    stage.queue_all();
    let now = stage.now();
    assert_eq!(stage.source.dequeue(now), Ok(Dequeue::Ended));
}

#[test]
fn a_picture_that_does_not_fit_its_slot_is_damaged_and_the_next_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let noise: Vec<u8> = (0..SIZE.0 * SIZE.1 * 3)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0])
        .collect();
    let mut long = encoded(&noise, SIZE.0, SIZE.1, 100);
    let most = usize::try_from(PixelFormat::Mjpg.buffer_bytes(SIZE.0, SIZE.1)).unwrap();
    // A comment makes it longer than any camera would.
    let comment = [&[0xff, 0xfe, 0x1c, 0][..], &[b'x'; 0x1c00 - 2]].concat();
    long.splice(2..2, comment);
    assert!(long.len() > most);
    let bytes = [&long[..], &numbered(3)].concat();
    let path = written(folder.path(), "clip.mjpeg", &bytes);
    let mut stage = staged(&config(&path, false), simulated());
    stage.queue_all();
    stage.start().unwrap();
    let (first, second) = (stage.next_frame(), stage.next_frame());
    assert_eq!((first.damaged, first.bytes_used as usize), (true, most));
    assert!(!second.damaged);
    assert_eq!(stage.picture(&second), numbered(3));
}

#[test]
fn a_file_that_breaks_off_ends_with_a_damaged_frame() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = clip(2);
    bytes.truncate(bytes.len() - 40);
    let path = written(folder.path(), "cut.mjpeg", &bytes);
    let mut stage = staged(&config(&path, false), simulated());
    stage.queue_all();
    stage.start().unwrap();
    let damage = [stage.next_frame().damaged, stage.next_frame().damaged];
    assert_eq!(damage, [false, true]);
    let now = stage.now();
    assert_eq!(stage.source.dequeue(now), Ok(Dequeue::Ended));
}

#[test]
fn what_cannot_be_watched_is_refused_with_what_was_found_and_expected() {
    let folder = tempfile::tempdir().unwrap();
    let other = encoded(&[9; 32 * 32 * 3], 32, 32, 90);
    for (bytes, words) in [
        (&other[..], "found 32x32, expected 64x48: change `width-px`"),
        (b"RIFF....AVI ", "found no JPEG picture"),
        (b"", "found no JPEG picture"),
    ] {
        let path = written(folder.path(), "odd.mjpeg", bytes);
        let error = UnarmedStream::open(&config(&path, false)).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let refused = |words: &str| {
        let error = UnarmedImageFolder::open(&folder_of(&pictures, false)).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    refused("found no picture, expected files named *.jpg");
    written(&pictures, "1.jpg", &other);
    refused("1.jpg: found a picture of 32x32, expected 64x48");
    written(&pictures, "0.png", b"no png");
    refused("0.png: expected a PNG picture");
    std::fs::remove_dir_all(&pictures).unwrap();
    refused("No such file or directory");
}

#[test]
fn reading_enters_no_heap() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "clip.mjpeg", &clip(7));
    let pipe = endless_pipe(folder.path(), "pipe");
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    written(&pictures, "1.jpg", &numbered(1));
    let mut stages = [
        staged(&config(&path, true), simulated()),
        staged(&config(&pipe, false), Clock::Real),
        shown(&pictures, true),
    ];
    enters_no_heap(&mut stages);
}

/// The demo board with a camera of JPEG pictures in the place of its own.
struct Board {
    folder: tempfile::TempDir,
}

impl Board {
    /// `source` is what follows the camera's name, up to `rate-hz`.
    fn new(source: &str, arena_kib: u32) -> Self {
        let board = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let demo = std::fs::read_to_string(root.join("boards/demo.toml")).unwrap();
        let (before, rest) = demo.split_once("source = \"image\"").unwrap();
        let (_, after) = rest.split_once("rate-hz = 30\n").unwrap();
        // Its line is one of its own picture.
        let (after, _) = after.split_once("[[line]]").unwrap();
        let cache = root.join(".cache");
        let text = format!("{before}{source}\nrate-hz = 30\n{after}")
            .replace("../.cache", cache.to_str().unwrap())
            .replace(
                "malloc-arena-kib = 0",
                &format!("malloc-arena-kib = {arena_kib}"),
            )
            // A machine that is held up judges them later, and its capture thread finds no silence.
            .replace("max-age-ms = 100", "max-age-ms = 60000")
            .replace("time-out-ms = 1000", "time-out-ms = 60000");
        written(board.folder.path(), "board.toml", text.as_bytes());
        board
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinsight"));
        command
            .args(&arguments[..1])
            .args(["--board", &self.path("board.toml")])
            .args(&arguments[1..])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const MJPEG: &str = "source = \"mjpeg\"\npath = \"clip.mjpeg\"\nloop = true\nformat = \"MJPG\"\n\
                     width-px = 512\nheight-px = 512";

fn photo() -> (Vec<u8>, image::RgbImage) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/photos/astronaut.png");
    let photo = image::open(path).unwrap().into_rgb8();
    let jpeg = encoded(photo.as_raw(), photo.width(), photo.height(), 85);
    (jpeg, photo)
}

/// The picture without its Huffman tables, as many cameras send it.
fn bare(jpeg: &[u8]) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    let mut at = 2;
    while jpeg[at + 1] != 0xda {
        let length = usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]])) + 2;
        if jpeg[at + 1] != 0xc4 {
            out.extend(&jpeg[at..at + length]);
        }
        at += length;
    }
    out.extend(&jpeg[at..]);
    out
}

/// The whole way: real pictures, the real detector, and nothing from the heap after ready.
#[test]
fn the_face_is_found_in_jpeg_pictures_and_broken_ones_are_damaged_frames() {
    let board = Board::new(MJPEG, 512);
    let (jpeg, _) = photo();
    let mut wrong = jpeg.clone();
    let half = wrong.len() / 2;
    wrong[half..half + 200].fill(0x55);
    let clip = [&jpeg[..], &bare(&jpeg), &jpeg[..half], &wrong].concat();
    written(board.folder.path(), "clip.mjpeg", &clip);
    let (proof, recording) = (board.path("proof.json"), board.path("record"));
    let arguments = ["run", "--proof", &proof, "--record", &recording];
    let mut run = Running::start(&mut board.command(&arguments));
    run.until("a corrupt frame, and 40 results", |log| {
        log.contains("camera photo: a corrupt frame: ") && recorded(recording.as_ref()).len() >= 40
    });
    let output = run.stop();
    let log = said(&output);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(log.contains("MJPG 512x512 at 30 Hz by mjpeg from"), "{log}");
    let check = board.run(&["check"]);
    let budget = String::from_utf8_lossy(&check.stdout);
    assert!(budget.contains("decoding by worker detector"), "{budget}");
    assert!(log.contains("camera photo: a corrupt frame: "), "{log}");
    let proof: Value = serde_json::from_slice(&std::fs::read(proof).unwrap()).unwrap();
    let camera = &proof["cameras"][0];
    assert_eq!(camera["identity_holds"], true, "{camera}");
    let inferred = camera["inferred"].as_u64().unwrap();
    assert!(inferred >= 40, "{camera}");
    assert!(
        camera["dropped"]["damaged"].as_u64().unwrap() > 0,
        "{camera}"
    );
    assert_eq!(camera["dropped"]["failed"], 0, "{camera}");
    let after = &proof["after_ready"];
    assert_eq!(after["heap_calls"], 0, "{after}");
    assert!(
        after["arena_served"].as_u64().unwrap() > inferred,
        "{after}"
    );
    assert_eq!(after["arena_exhausted"], 0, "{after}");
    assert_eq!(
        proof["detections"].as_u64(),
        Some(inferred),
        "a face in each"
    );
}

#[test]
fn a_camera_that_sends_only_broken_pictures_is_started_again() {
    let board = Board::new(MJPEG, 512);
    let (jpeg, _) = photo();
    let half = jpeg.len() / 2;
    written(board.folder.path(), "clip.mjpeg", &jpeg[..half].repeat(5));
    let proof = board.path("proof.json");
    let mut run = Running::start(&mut board.command(&["run", "--proof", &proof]));
    let words = "camera photo: it delivers only corrupt frames";
    run.until_logged(words);
    // Said each time that there are twice as many: of them, only some were on their way, and the others come
    // when it has been started again.
    let damaged = |log: &str| log.matches("camera photo: a corrupt frame: ").count();
    let before = damaged(&run.log());
    run.until("corrupt frames again", |log| damaged(log) >= before + 2);
    let output = run.stop();
    let log = said(&output);
    // Nothing of it was inferred: not as the profile demands.
    assert_eq!(output.status.code(), Some(8), "{log}");
    // Said once when it begins; that it lasts is said ever more rarely.
    let begins = format!("{words}; trying until it is back");
    assert_eq!(log.matches(&begins).count(), 1, "{log}");
    let proof: Value = serde_json::from_slice(&std::fs::read(proof).unwrap()).unwrap();
    let camera = &proof["cameras"][0];
    assert!(camera["restarts"].as_u64().unwrap() > 0, "{camera}");
    assert_eq!(camera["identity_holds"], true, "{camera}");
}

#[test]
fn a_worker_whose_malloc_arena_is_too_small_is_refused_with_the_size_that_is_needed() {
    let board = Board::new(MJPEG, 64);
    written(board.folder.path(), "clip.mjpeg", &photo().0);
    for command in ["check", "run"] {
        let output = board.run(&[command]);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        let words = "memory.malloc-arena-kib: found 64, expected at least ";
        assert!(said(&output).contains(words), "{}", said(&output));
        assert!(said(&output).contains("camera photo"), "{}", said(&output));
    }
}

#[test]
fn a_snapshot_of_an_mjpeg_camera_has_its_colours() {
    let board = Board::new(MJPEG, 512);
    let (jpeg, photo) = photo();
    written(board.folder.path(), "clip.mjpeg", &bare(&jpeg));
    let out = board.path("out.png");
    let output = board.run(&["snapshot", "--camera", "photo", "--frames", "2", &out]);
    assert!(output.status.success(), "{}", said(&output));
    let found = image::open(&out).unwrap().into_rgb8();
    assert_eq!(found.dimensions(), photo.dimensions());
    let far = found
        .iter()
        .zip(photo.iter())
        .map(|(found, expected)| u64::from(found.abs_diff(*expected)))
        .sum::<u64>();
    let mean = far / (512 * 512 * 3);
    assert!(mean <= 4, "{mean} off on average");
}

#[test]
fn a_clip_of_an_mjpeg_camera_holds_its_pictures_as_they_came() {
    let board = Board::new(MJPEG, 512);
    let (jpeg, _) = photo();
    written(board.folder.path(), "clip.mjpeg", &jpeg);
    let out = board.path("out.mjpeg");
    let output = board.run(&["snapshot", "--camera", "photo", "--frames", "3", &out]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(std::fs::read(&out).unwrap() == jpeg.repeat(3));
}

#[test]
fn another_program_feeds_jpeg_pictures_through_standard_input() {
    let board = Board::new(MJPEG, 512);
    let (jpeg, _) = photo();
    written(board.folder.path(), "clip.mjpeg", &jpeg);
    let (proof, recording) = (board.path("proof.json"), board.path("record"));
    let arguments = [
        "run", "--camera", "-", "--proof", &proof, "--record", &recording,
    ];
    let mut run = Running::start(board.command(&arguments).stdin(Stdio::piped()));
    let mut pipe = run.stdin();
    let mut written = 0;
    run.until("a result", |_| {
        pipe.write_all(&jpeg).unwrap();
        written += 1;
        written >= 12 && !recorded(recording.as_ref()).is_empty()
    });
    drop(pipe);
    let output = run.end();
    let log = said(&output);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(log.contains("by mjpeg from standard input"), "{log}");
    let proof: Value = serde_json::from_slice(&std::fs::read(proof).unwrap()).unwrap();
    let camera = &proof["cameras"][0];
    assert_eq!(camera["identity_holds"], true, "{camera}");
    assert!(camera["inferred"].as_u64().unwrap() > 0, "{camera}");
}

#[test]
fn a_folder_with_the_photograph_shows_the_face() {
    let source = MJPEG.replace("clip.mjpeg", "pictures");
    let board = Board::new(&source, 512);
    let pictures = board.folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    photo().1.save(pictures.join("astronaut.png")).unwrap();
    let proof = board.path("proof.json");
    let output = board.run(&["run", "--frames", "5", "--proof", &proof]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let proof: Value = serde_json::from_slice(&std::fs::read(proof).unwrap()).unwrap();
    assert_eq!(proof["detections"].as_u64(), Some(5));
}
