//! What the golden tests share: the cached photographs, and a camera's frame made of one by the rules of
//! `reference.py`.
#![allow(dead_code)] // Each test program uses its part.

#[path = "../flatbuffer/mod.rs"]
mod flatbuffer;
pub mod half;
pub mod planes;

use pinsight::frame::{Colour, Encoding, PixelFormat, Quantization, StreamFormat};
use pinsight::postprocess::Detection;
use pinsight::preprocess::{Kernel, Plan};
use pinsight::profile::Delegate;
use pinsight::sys::tflite::{self, ModelFile, TfliteEngine};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The model that the reference ran.
#[derive(Deserialize)]
pub struct Model {
    pub file: String,
    pub sha256: String,
}

/// What the camera saw.
#[derive(Deserialize)]
pub struct Scene {
    pub name: String,
    pub photograph: String,
    pub repeat: u32,
    pub window_px: Window,
    pub format: String,
    pub encoding: String,
    pub frame_sha256: String,
}

#[derive(Deserialize)]
pub struct Window {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
pub fn cached(name: &str) -> PathBuf {
    let path = root().join(".cache").join(name);
    assert!(
        path.exists(),
        "{} is missing: `make setup` fetches it",
        path.display()
    );
    path
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> [u8; 32] {
    let digits = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(digits)
}

pub fn photograph(scene: &Scene) -> image::RgbImage {
    image::open(cached(&format!("photos/{}.png", scene.photograph)))
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

/// The scene as the camera delivers it.
pub fn frame(scene: &Scene) -> (StreamFormat, Vec<u8>) {
    let photo = photograph(scene);
    let Window {
        x: left,
        y: top,
        width,
        height,
    } = scene.window_px;
    let encoder = Encoder::new(&scene.encoding);
    let pixel = |x: u32, y: u32| {
        let source = photo.get_pixel((left + x) / scene.repeat, (top + y) / scene.repeat);
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
    let layout = match scene.format.as_str() {
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
    let encoding = if scene.encoding == "bt601" {
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

/// Intersection over union.
pub fn overlap(found: &Detection, [x, y, width, height]: [f32; 4]) -> f32 {
    let side = |a: f32, a_size: f32, b: f32, b_size: f32| {
        ((a + a_size).min(b + b_size) - a.max(b)).max(0.0)
    };
    let common =
        side(found.x_px, found.width_px, x, width) * side(found.y_px, found.height_px, y, height);
    common / (found.width_px * found.height_px + width * height - common)
}

/// The model on one thread, as the program builds it.
pub fn engine(model: &Model, delegate: Delegate) -> TfliteEngine {
    let path = cached(&format!("models/{}", model.file));
    let file = ModelFile::read(&path, &unhex(&model.sha256)).unwrap();
    let settings = tflite::Settings {
        threads: 1,
        delegate,
    };
    TfliteEngine::build(file, settings).unwrap()
}

/// `plan` with each kernel of this machine.
pub fn kernels(plan: &Plan) -> Vec<Plan> {
    Kernel::ALL
        .into_iter()
        .filter_map(|kernel| plan.clone().with_kernel(kernel))
        .collect()
}

/// How far an element may be off: of the fast kernels a twentieth of a step of 1/127.5.
pub fn element_tolerance(plan: &Plan) -> f32 {
    match plan.kernel() {
        Kernel::Scalar => 1e-4,
        _ => 4e-4,
    }
}

/// The bytes of a published model.
fn published(model: &Model) -> Vec<u8> {
    let whole = std::fs::read(cached(&format!("models/{}", model.file))).unwrap();
    let found: [u8; 32] = Sha256::digest(&whole).into();
    assert_eq!(found, unhex(&model.sha256));
    whole
}

/// A model's bytes, ready to run on one thread.
fn engine_of(bytes: &[u8], delegate: Delegate) -> TfliteEngine {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let file = ModelFile::read(file.path(), &Sha256::digest(bytes).into()).unwrap();
    let settings = tflite::Settings {
        threads: 1,
        delegate,
    };
    TfliteEngine::build(file, settings).unwrap()
}
