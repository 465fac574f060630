//! Photograph to detections, against an independent computation: `tests/golden/reference.py` wrote
//! `tests/golden/face_demo.json`, and its head says by which rules.
//!
//! | compared | tolerance |
//! |---|---|
//! | the camera's frame | none: the same bytes |
//! | tensor elements | 1e-4; a step of the camera's samples is 1/127.5 |
//! | detections | the same number; overlap 0.95, score 0.02, key points 2 camera pixels |

use pinsight::board::{Decoder as DecoderName, Delegate, Fit};
use pinsight::capture::image::photo_to_nv12;
use pinsight::frame::{Colour, Encoding, PixelFormat, Quantization, StreamFormat};
use pinsight::infer::{Engine, outputs_of};
use pinsight::postprocess::{Decoder, Detection, Detections, Settings};
use pinsight::preprocess::{Kernel, Plan};
use pinsight::sys::tflite::{self, ModelFile, TfliteEngine};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

#[derive(Deserialize)]
struct Golden {
    provenance: Provenance,
    score_min: f32,
    iou_max: f32,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Provenance {
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    file: String,
    sha256: String,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    photograph: String,
    repeat: u32,
    window_px: Window,
    format: String,
    encoding: String,
    frame_sha256: String,
    tensor_samples: Vec<(usize, f32)>,
    candidates_before_suppression: u32,
    detections: Vec<Found>,
}

#[derive(Deserialize)]
struct Window {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
struct Found {
    score: f32,
    #[serde(rename = "box")]
    rectangle: [f32; 4],
    keypoints: [[f32; 2]; 6],
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn cached(name: &str) -> PathBuf {
    let path = root().join(".cache").join(name);
    assert!(
        path.exists(),
        "{} is missing: `make setup` fetches it",
        path.display()
    );
    path
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> [u8; 32] {
    let digits = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(digits)
}

fn photograph(case: &Case) -> image::RgbImage {
    image::open(cached(&format!("photos/{}.png", case.photograph)))
        .unwrap()
        .into_rgb8()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped.
fn quantised(value: f64) -> u8 {
    (value + 0.5).floor().clamp(0.0, 255.0) as u8
}

/// Y', and Cb and Cr, of a colour: the reference's rules in its order of operations.
struct Encoder {
    kr: f64,
    kg: f64,
    kb: f64,
}

impl Encoder {
    fn new(encoding: &str) -> Self {
        match encoding {
            "bt601" => Self {
                kr: 0.299,
                kg: 0.587,
                kb: 0.114,
            },
            "bt709" => Self {
                kr: 0.2126,
                kg: 0.7152,
                kb: 0.0722,
            },
            other => panic!("no encoding {other}"),
        }
    }

    fn luma(&self, [r, g, b]: [f64; 3]) -> f64 {
        self.kr * r + self.kg * g + self.kb * b
    }

    fn y(&self, rgb: [f64; 3]) -> u8 {
        quantised(16.0 + self.luma(rgb) * 219.0 / 255.0)
    }

    fn cb_cr(&self, rgb: [f64; 3]) -> [u8; 2] {
        let luma = self.luma(rgb);
        let sample = |value: f64, k: f64| {
            quantised(128.0 + (224.0 / 255.0) * ((value - luma) / (2.0 * (1.0 - k))))
        };
        [sample(rgb[2], self.kb), sample(rgb[0], self.kr)]
    }
}

type Frame = (StreamFormat, Vec<u8>);

/// The golden file, and the camera's frame of each case with its format: made once for all tests.
static FRAMES: LazyLock<(Golden, Vec<Frame>)> = LazyLock::new(|| {
    let text = std::fs::read_to_string(root().join("tests/golden/face_demo.json")).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
    let frames = golden.cases.iter().map(frame).collect();
    (golden, frames)
});

fn cases() -> impl Iterator<Item = (&'static Case, &'static StreamFormat, &'static [u8])> {
    let (golden, frames) = &*FRAMES;
    golden
        .cases
        .iter()
        .zip(frames)
        .map(|(case, (format, bytes))| (case, format, &bytes[..]))
}

fn frame(case: &Case) -> (StreamFormat, Vec<u8>) {
    let photo = photograph(case);
    let Window {
        x: left,
        y: top,
        width,
        height,
    } = case.window_px;
    let encoder = Encoder::new(&case.encoding);
    let pixel = |x: u32, y: u32| {
        let source = photo.get_pixel((left + x) / case.repeat, (top + y) / case.repeat);
        source.0.map(f64::from)
    };
    let mean = |x: u32, y: u32, rows: u32| {
        let mut sum = [0.0; 3];
        for (dx, dy) in (0..rows).flat_map(|dy| [(0, dy), (1, dy)]) {
            for (sum, value) in sum.iter_mut().zip(pixel(x + dx, y + dy)) {
                *sum += value;
            }
        }
        sum.map(|sum| sum / f64::from(2 * rows))
    };
    let mut bytes = vec![];
    let layout = match case.format.as_str() {
        "NV12" => {
            for y in 0..height {
                bytes.extend((0..width).map(|x| encoder.y(pixel(x, y))));
            }
            for y in (0..height).step_by(2) {
                bytes.extend(
                    (0..width)
                        .step_by(2)
                        .flat_map(|x| encoder.cb_cr(mean(x, y, 2))),
                );
            }
            PixelFormat::Nv12
        }
        "YUYV" => {
            for (x, y) in (0..height).flat_map(|y| (0..width).step_by(2).map(move |x| (x, y))) {
                let [cb, cr] = encoder.cb_cr(mean(x, y, 1));
                bytes.extend([encoder.y(pixel(x, y)), cb, encoder.y(pixel(x + 1, y)), cr]);
            }
            PixelFormat::Yuyv
        }
        other => panic!("no format {other}"),
    };
    let encoding = if case.encoding == "bt601" {
        Encoding::Bt601
    } else {
        Encoding::Bt709
    };
    let format = StreamFormat {
        pixel: layout,
        width_px: width,
        height_px: height,
        stride_bytes: u32::try_from(layout.row_bytes(width)).unwrap(),
        size_bytes: u32::try_from(bytes.len()).unwrap(),
        colour: Colour {
            encoding,
            quantization: Quantization::Limited,
        },
        interval_ns: 0,
    };
    (format, bytes)
}

fn overlap(found: &Detection, [x, y, width, height]: [f32; 4]) -> f32 {
    let side = |a: f32, a_size: f32, b: f32, b_size: f32| {
        ((a + a_size).min(b + b_size) - a.max(b)).max(0.0)
    };
    let common =
        side(found.x_px, found.width_px, x, width) * side(found.y_px, found.height_px, y, height);
    common / (found.width_px * found.height_px + width * height - common)
}

fn engine(delegate: Delegate) -> TfliteEngine {
    let model = &FRAMES.0.provenance.model;
    let file = ModelFile::read(
        &cached(&format!("models/{}", model.file)),
        &unhex(&model.sha256),
    )
    .unwrap();
    TfliteEngine::build(
        file,
        tflite::Settings {
            threads: 1,
            delegate,
        },
    )
    .unwrap()
}

fn plans(format: &StreamFormat, engine: &TfliteEngine) -> Vec<Plan> {
    let plan = Plan::new(format, engine.input(), Fit::Letterbox, [-1.0, 1.0]).unwrap();
    [Kernel::Scalar, Kernel::Avx2]
        .into_iter()
        .filter_map(|kernel| plan.clone().with_kernel(kernel))
        .collect()
}

#[test]
fn frames_are_the_reference_byte_for_byte() {
    for (case, _, bytes) in cases() {
        assert_eq!(
            hex(&Sha256::digest(bytes)),
            case.frame_sha256,
            "{}",
            case.name
        );
    }
    assert_eq!(cases().count(), 4);
}

#[test]
fn the_image_sources_conversion_gives_the_same_frames() {
    let mut compared = 0;
    for (case, ..) in cases().filter(|(case, ..)| case.format == "NV12") {
        let photo = photograph(case);
        let canvas =
            photo_to_nv12(photo.as_raw(), photo.width(), photo.height(), case.repeat).unwrap();
        let stride = canvas.stride_bytes as usize;
        let [left, top, width, height] = [
            case.window_px.x,
            case.window_px.y,
            case.window_px.width,
            case.window_px.height,
        ]
        .map(|px| px as usize);
        let (luma, chroma) = canvas.bytes.split_at(stride * canvas.height_px as usize);
        let window = |plane: &[u8], first: usize, rows: usize| -> Vec<u8> {
            (first..first + rows)
                .flat_map(|y| plane[y * stride + left..][..width].to_vec())
                .collect()
        };
        let cut = [
            window(luma, top, height),
            window(chroma, top / 2, height / 2),
        ]
        .concat();
        assert_eq!(
            hex(&Sha256::digest(&cut)),
            case.frame_sha256,
            "{}",
            case.name
        );
        compared += 1;
    }
    assert_eq!(compared, 3);
}

#[test]
fn tensors_are_the_references() {
    let mut engine = engine(Delegate::Xnnpack);
    let mut compared = 0;
    for (case, format, bytes) in cases() {
        for plan in plans(format, &engine) {
            plan.run(bytes, engine.input_bytes()).unwrap();
            let (elements, _) = engine.input_bytes().as_chunks();
            for &(index, expected) in &case.tensor_samples {
                let found = f32::from_ne_bytes(elements[index]);
                let off = (found - expected).abs();
                let kernel = plan.kernel().name();
                assert!(
                    off <= 1e-4,
                    "{}, {kernel}: element {index} is {found}, expected {expected}",
                    case.name
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 4 * 200, "{compared}");
}

#[test]
fn detections_are_the_references() {
    for delegate in [Delegate::Xnnpack, Delegate::None] {
        let mut engine = engine(delegate);
        let settings = Settings {
            decoder: DecoderName::BlazefaceShort,
            labels: 1,
            score_threshold: FRAMES.0.score_min,
            iou_threshold: FRAMES.0.iou_max,
            max_detections: 8,
        };
        let mut decoder = Decoder::new(&settings, engine.input(), engine.outputs()).unwrap();
        let mut detections = Detections::new();
        let mut faces = 0;
        for (case, format, bytes) in cases() {
            for plan in plans(format, &engine) {
                plan.run(bytes, engine.input_bytes()).unwrap();
                engine.invoke().unwrap();
                let stats = decoder
                    .decode(&outputs_of(&engine), plan.mapping(), &mut detections)
                    .unwrap();
                let name = &case.name;
                assert_eq!(
                    stats.candidates, case.candidates_before_suppression,
                    "{name}"
                );
                assert_eq!(stats.refused, 0, "{name}");
                assert_eq!(
                    detections.len(),
                    case.detections.len(),
                    "{name}: {detections:?}"
                );
                for (found, expected) in detections.iter().zip(&case.detections) {
                    let iou = overlap(found, expected.rectangle);
                    assert!(iou >= 0.95, "{name}: overlap {iou}: {found:?}");
                    assert!(
                        (found.score - expected.score).abs() <= 0.02,
                        "{name}: {found:?}"
                    );
                    assert_eq!(found.keypoint_count, 6);
                    for (point, expected) in found.keypoints.iter().zip(&expected.keypoints) {
                        let off = (point[0] - expected[0]).hypot(point[1] - expected[1]);
                        assert!(off <= 2.0, "{name}: {point:?}, expected {expected:?}");
                    }
                    faces += 1;
                }
            }
        }
        assert!(faces >= 3, "{faces}");
    }
}
