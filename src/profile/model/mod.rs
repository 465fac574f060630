//! `[[model]]`: what is run, how a frame is made to fit it, and how its outputs are read.

mod decoder;
mod delegate;

pub use decoder::{BoxUnit, Decoder, Scores};
pub use delegate::{Delegate, OnFailure, Plugin};

use super::reader::text::{describe, elements, quoted};
use super::reader::values::{
    Refused, ValueParser, choice, distinct, entries, float, label, list, name, path, share, single,
    whole, words,
};
use super::reader::{Hint, Located, Place, Problem, Table, Tables};
use crate::limits::{MAX_BOXES, MAX_DETECTIONS, MAX_WORKERS};
use std::path::PathBuf;
use toml::Spanned;
use toml::de::DeValue;

/// Models of one board: no more than there can be workers to run them.
pub const MAX_MODELS: usize = MAX_WORKERS;
/// The digest of an empty file stands for any other.
const EXAMPLE_SHA256: &str = "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"";
/// Greatest value of black or of white.
const MAX_END: f32 = 1024.0;
/// Class names of one model.
const MAX_LABELS: usize = 1024;

/// `[[model]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Unique name.
    pub name: String,
    /// TFLite flatbuffer.
    pub path: PathBuf,
    /// Expected SHA-256 of the file.
    pub sha256: [u8; 32],
    /// How its outputs are read.
    pub decoder: Decoder,
    /// Class names in the order of the model's classes; exactly one for `BlazefaceShort`, none for `Raw`.
    pub labels: Vec<String>,
    /// How a frame is made to fit the input tensor.
    pub fit: Fit,
    /// How pixels between the camera's are made.
    pub resample: Resample,
    /// Order of the input's channels.
    pub channels: Channels,
    /// Real values of black and of white: what a float input is given, and what a quantised input stores by
    /// its own scale and zero point.
    pub input_range: InputRange,
    /// Detections below are dropped, 0..=1; without meaning for `Raw`.
    pub score_threshold: f32,
    /// Classes with a threshold of their own.
    pub class_thresholds: Vec<ClassThreshold>,
    /// Overlap above which the weaker of two boxes of one class is suppressed, 0..=1; without meaning where
    /// there are no boxes.
    pub iou_threshold: f32,
    /// Detections kept of one frame, 1..=32: boxes, or the classes of `Classify`; 1 for `Raw`.
    pub max_detections: usize,
    /// What the class scores of `Ssd` are.
    pub scores: Scores,
    /// What the boxes of `Yolo` are measured in.
    pub box_unit: BoxUnit,
    /// Threads of the interpreter, 1..=16.
    pub threads: u32,
    /// What runs the graph.
    pub delegate: Delegate,
    /// What becomes of a delegate that fails while arming.
    pub on_failure: OnFailure,
    /// An inference that takes longer is given up, and its frame refused.
    pub invoke_deadline_ms: u64,
    /// It processes the boxes of another model; the whole picture when absent.
    pub within: Option<Within>,
}

/// `within` of a model and the keys that go with it: it processes the boxes that another model has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Within {
    /// Name of that model, which finds boxes.
    pub model: String,
    /// Labels of that model whose boxes are processed; all of them where the list is empty.
    pub classes: Vec<String>,
    /// Share of a box's sides that is added at each of them, 0..=1.
    pub margin: f32,
    /// Boxes of one frame that are processed, the strongest ones, 1..=16.
    pub boxes: usize,
}

/// One key of `class-thresholds` of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassThreshold {
    /// One of the model's labels.
    pub label: String,
    /// Detections of that class below are dropped, 0..=1.
    pub score: f32,
}

words! {
    /// `fit` of a model.
    pub enum Fit {
        /// Whole picture, proportions kept, bars filled with black.
        Letterbox = "letterbox",
        /// Whole picture, proportions lost.
        Stretch = "stretch",
        /// Proportions kept, the tensor filled: the picture's middle, without what is too wide or too high.
        Crop = "crop",
    }
}

words! {
    /// `resample` of a model.
    pub enum Resample {
        /// The four nearest pixels, mixed by distance; no prefilter.
        Bilinear = "bilinear",
        /// The nearest pixel.
        Nearest = "nearest",
        /// Every pixel, by its share of the area.
        Area = "area",
    }
}

words! {
    /// `channels` of a model.
    pub enum Channels {
        /// Red, green, blue.
        Rgb = "rgb",
        /// Blue, green, red.
        Bgr = "bgr",
        /// The luma, in every channel that there is.
        Grey = "grey",
    }
}

/// `input-range` of a model: real values of black and of white, finite and different.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InputRange {
    /// Of every channel.
    One([f32; 2]),
    /// Of each of the input's three channels, in its order.
    Each([[f32; 2]; 3]),
}

impl InputRange {
    /// Of channel `index`, 0..=2.
    ///
    /// # Panics
    /// Where `index` is above 2.
    #[must_use]
    pub const fn of(self, index: usize) -> [f32; 2] {
        match self {
            Self::One(range) => range,
            Self::Each(ranges) => ranges[index],
        }
    }
}

pub fn read(t: &mut Table<'_>) -> Model {
    let name = t.name("\"face\"");
    let path = t.required("path", path(), "\"model.tflite\"");
    let sha256 = t.required("sha256", sha256(), EXAMPLE_SHA256);
    let decoder = t.required("decoder", choice(Decoder::ALL), "\"classify\"");
    let (classes, boxes) = (decoder.has_classes(), decoder.has_boxes());
    let with_classes = Decoder::names(Decoder::has_classes);
    let mut of = t.only("decoder", &with_classes, classes);
    let labels = of.required("labels", list(label(), 1..=MAX_LABELS), "[\"face\"]");
    let score_threshold = of.or("score-threshold", share("score"), "0.5");
    let class_thresholds = of.optional("class-thresholds", class_thresholds(), "none");
    let mut of = t.only("decoder", &Decoder::names(Decoder::has_boxes), boxes);
    let iou_threshold = of.or("iou-threshold", share("overlap"), "0.3");
    let most = whole(1..=MAX_DETECTIONS, "detections");
    let max_detections = of.or("max-detections", most, "8");
    let mut of = t.only("decoder", &["classify"], decoder == Decoder::Classify);
    let top_k = of.or("top-k", whole(1..=MAX_DETECTIONS, "classes"), "1");
    let mut of = t.only("decoder", &["ssd"], decoder == Decoder::Ssd);
    let scores = of.or("scores", choice(Scores::ALL), "\"logits\"");
    let mut of = t.only("decoder", &["yolo"], decoder == Decoder::Yolo);
    let box_unit = of.or("box-unit", choice(BoxUnit::ALL), "\"input\"");
    let within = within(t, &with_classes, classes);
    let model = Model {
        name,
        path: t.join(&path),
        sha256,
        decoder,
        labels: if classes { labels } else { Vec::new() },
        fit: t.or("fit", choice(Fit::ALL), "\"letterbox\""),
        resample: t.or("resample", choice(Resample::ALL), "\"bilinear\""),
        channels: t.or("channels", choice(Channels::ALL), "\"rgb\""),
        input_range: t.or("input-range", input_range(), "[-1.0, 1.0]"),
        score_threshold,
        class_thresholds: class_thresholds.unwrap_or_default(),
        iou_threshold: if boxes { iou_threshold } else { 1.0 },
        max_detections: if boxes { max_detections } else { top_k },
        scores,
        box_unit,
        threads: t.or("threads", whole(1..=16, "threads"), "1"),
        delegate: Delegate::read(t),
        on_failure: t.or("on-failure", choice(OnFailure::ALL), "\"refuse\""),
        invoke_deadline_ms: t.or("invoke-deadline-ms", whole(10..=600_000, "ms"), "5000"),
        within,
    };
    check(t, &model);
    model
}

fn within(t: &mut Table<'_>, with_classes: &[&str], has_classes: bool) -> Option<Within> {
    let mut of = t.only("decoder", with_classes, has_classes);
    let model = of.optional("within", name(), "the whole picture");
    let mut of = t.only("within", &["…"], model.is_some());
    let classes = of.optional(
        "within-classes",
        distinct(label(), 1..=MAX_LABELS),
        "all of them",
    );
    let margin = share("share of the box's sides, at each of them");
    let margin = of.or("within-margin", margin, "0.2");
    let boxes = whole(1..=MAX_BOXES, "boxes of a frame");
    let boxes = of.or("within-boxes", boxes, "4");
    let classes = classes.unwrap_or_default();
    model.map(|model| Within {
        model,
        classes,
        margin,
        boxes,
    })
}

/// The SHA-256 of a file.
fn sha256() -> ValueParser<[u8; 32]> {
    const EXPECTED: &str = "64 hexadecimal digits, as `sha256sum` prints them";
    ValueParser::new(EXPECTED, |value| {
        let text = value.as_str().ok_or_else(Refused::default)?;
        if text.len() != 64 {
            let count = text.chars().count();
            return Err(Refused::found(format!("text of {count} characters")));
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = pair.iter().map(|digit| char::from(*digit).to_digit(16));
            let number = digits.reduce(|high, low| Some(high? << 4 | low?)).flatten();
            let number = number.and_then(|number| u8::try_from(number).ok());
            *byte = number.ok_or_else(Refused::default)?;
        }
        Ok(digest)
    })
}

/// The model's value of black and of white.
fn input_range() -> ValueParser<InputRange> {
    let expected = format!(
        "two different numbers (of black, of white), each -{MAX_END} to {MAX_END}, or such a pair for each of three channels"
    );
    let pair = |element: &Spanned<DeValue<'_>>| {
        let value = element.get_ref();
        let found = || match value {
            DeValue::Array(array) => elements(array),
            other => describe(other),
        };
        ends(value).ok_or_else(|| Refused::at(element, found()))
    };
    ValueParser::new(expected, move |value| {
        let array = value.as_array().ok_or_else(Refused::default)?;
        if let [one, two, three] = &array[..] {
            return Ok(InputRange::Each([pair(one)?, pair(two)?, pair(three)?]));
        }
        ends(value)
            .map(InputRange::One)
            .ok_or_else(|| Refused::found(elements(array)))
    })
}

/// Black and white.
fn ends(value: &DeValue<'_>) -> Option<[f32; 2]> {
    let end = |value: &Spanned<DeValue<'_>>| {
        float(value.get_ref())
            .map(single)
            .filter(|end| end.abs() <= MAX_END)
    };
    let [black, white] = &value.as_array()?[..] else {
        return None;
    };
    let ends = [end(black)?, end(white)?];
    (ends[0] != ends[1]).then_some(ends)
}

/// Scores by label.
fn class_thresholds() -> ValueParser<Vec<ClassThreshold>> {
    const EXPECTED: &str = "a table of labels, each with a number (score), 0 to 1";
    entries(EXPECTED, quoted, |label, score| {
        let score = share("score").parse(score).ok()?;
        let label = label.to_owned();
        Some(ClassThreshold { label, score })
    })
}

fn check(at: &Place<'_>, model: &Model) {
    let labels = model.labels.len();
    if at.sound(&["decoder", "labels"]) && model.decoder == Decoder::BlazefaceShort && labels != 1 {
        let expected = "one label, because decoder = \"blazeface-short\" knows one class";
        at.fault("labels", format!("{labels} labels"), expected);
    }
    if at.sound(&["labels", "class-thresholds"]) {
        let labels = model.class_thresholds.iter().map(|class| &class.label);
        let expected = "one of the model's `labels`";
        known_labels(at, "class-thresholds", labels, model, expected);
    }
}

/// A class that `model` does not have is a misspelt one.
fn known_labels<'c>(
    at: &Place<'_>,
    key: &str,
    classes: impl Iterator<Item = &'c String>,
    model: &Model,
    expected: &str,
) {
    for class in classes.filter(|class| !model.labels.contains(class)) {
        at.fault_by(key, || {
            let hint = Hint::similar(class, model.labels.iter().map(String::as_str));
            Problem::value(quoted(class), expected, hint)
        });
    }
}

/// What must hold between models: the one that `within` names is another one, and finds boxes of the classes that are
/// named.
pub fn check_all(models: &Tables<'_, Model>) {
    for model in models.iter() {
        let within = model.within.iter();
        for within in within.filter(|_| model.at.sound(&["within"])) {
            check_within(model, within, models);
        }
    }
}

fn check_within(model: &Located<'_, Model>, within: &Within, models: &Tables<'_, Model>) {
    let at = &model.at;
    let found = quoted(&within.model);
    if at.sound(&["name"]) && within.model == model.name {
        return at.fault("within", found, "another model, whose boxes it looks into");
    }
    let Some(outer) = models.refer(at, "within", &within.model) else {
        return;
    };
    if outer.at.sound(&["decoder"]) && !outer.decoder.has_boxes() {
        let decoder = outer.decoder.name();
        let found = format!("{found}, whose decoder \"{decoder}\" finds no boxes");
        return at.fault("within", found, "a model whose decoder finds boxes");
    }
    if at.sound(&["within-classes"]) && outer.at.sound(&["labels"]) {
        let expected = format!("one of the `labels` of model {}", quoted(&outer.name));
        let classes = within.classes.iter();
        known_labels(at, "within-classes", classes, outer, &expected);
    }
}
