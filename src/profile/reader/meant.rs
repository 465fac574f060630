//! What a word most likely means that is none of those that there are.

use super::text::{MAX_MEANT_BYTES, similar};

/// What other programs of this field call a thing, and what it is called here: the first of these words that is one of
/// those that there are.
///
/// # Source
/// Key and option names of V4L2's `v4l2-ctl`, ffmpeg, GStreamer, OpenCV and of TensorFlow Lite's examples; pixel formats
/// as ffmpeg, GStreamer and the kernel's macros name them.
const OTHER_NAMES: &[(&str, &[&str])] = &[
    ("fps", &["rate-hz"]),
    ("hz", &["rate-hz"]),
    ("framerate", &["rate-hz"]),
    ("frame-rate", &["rate-hz"]),
    ("max-fps", &["max-rate-hz"]),
    ("confidence", &["score-threshold", "min-score"]),
    ("min-confidence", &["score-threshold", "min-score"]),
    ("confidence-threshold", &["score-threshold", "min-score"]),
    ("conf", &["score-threshold", "min-score"]),
    ("threshold", &["score-threshold", "min-score"]),
    ("score", &["score-threshold", "min-score"]),
    ("nms", &["iou-threshold"]),
    ("iou", &["iou-threshold", "min-overlap"]),
    ("nms-threshold", &["iou-threshold"]),
    ("max-det", &["max-detections"]),
    ("max-results", &["max-detections", "top-k"]),
    ("resolution", &["width-px"]),
    ("size", &["width-px"]),
    ("w", &["width-px"]),
    ("h", &["height-px"]),
    ("fourcc", &["format"]),
    ("pixelformat", &["format"]),
    ("pixel-format", &["format"]),
    ("pix-fmt", &["format"]),
    ("dev", &["device"]),
    ("file", &["path"]),
    ("filename", &["path"]),
    ("location", &["path"]),
    ("model-path", &["path"]),
    ("url", &["path", "device"]),
    ("uri", &["path", "device"]),
    ("checksum", &["sha256"]),
    ("hash", &["sha256"]),
    ("sha", &["sha256"]),
    ("names", &["labels"]),
    ("classes", &["labels"]),
    ("num-threads", &["threads"]),
    ("accelerator", &["delegate"]),
    ("mean", &["input-range"]),
    ("std", &["input-range"]),
    ("normalization", &["input-range"]),
    ("resize", &["fit"]),
    ("interpolation", &["resample"]),
    ("roi", &["region"]),
    ("flip", &["mirror"]),
    ("hflip", &["mirror"]),
    ("vflip", &["rotate"]),
    ("orientation", &["rotate"]),
    ("buffers", &["driver-slots"]),
    ("num-buffers", &["driver-slots"]),
    (
        "queue-size",
        &["ring-slots", "queue-results", "queue-events"],
    ),
    ("cpu", &["capture-core", "cores", "core"]),
    ("core", &["capture-core", "cores"]),
    ("affinity", &["capture-core", "cores", "core"]),
    ("rt-priority", &["fifo-priority"]),
    ("priority", &["fifo-priority"]),
    ("polygon", &["corners-px"]),
    ("points", &["corners-px"]),
    ("baud", &["rate-baud"]),
    ("speed", &["rate-baud"]),
    ("pin", &["gpio-line"]),
    ("offset", &["gpio-line"]),
    ("type", &["kind", "decoder", "source"]),
    ("camera", &["v4l2"]),
    ("usb", &["v4l2"]),
    ("webcam", &["v4l2"]),
    ("video", &["v4l2"]),
    ("photo", &["image"]),
    ("mobilenet", &["ssd"]),
    ("yolov5", &["yolo"]),
    ("yolov8", &["yolo"]),
    ("cpu-only", &["none"]),
    ("yuy2", &["YUYV"]),
    ("yuyv422", &["YUYV"]),
    ("uyvy422", &["UYVY"]),
    ("i420", &["YU12"]),
    ("yuv420", &["YU12"]),
    ("yuv420p", &["YU12"]),
    ("gray", &["GREY", "grey"]),
    ("gray8", &["GREY"]),
    ("y8", &["GREY"]),
    ("y800", &["GREY"]),
    ("gray16", &["Y16"]),
    ("rgb", &["RGB3"]),
    ("rgb24", &["RGB3"]),
    ("bgr", &["BGR3"]),
    ("bgr24", &["BGR3"]),
    ("bgrx", &["XR24"]),
    ("bgra", &["AR24"]),
    ("rgb565", &["RGBP"]),
    ("jpeg", &["MJPG"]),
    ("mjpeg", &["MJPG"]),
    ("sbggr8", &["BA81"]),
    ("sgbrg8", &["GBRG"]),
    ("sgrbg8", &["GRBG"]),
    ("srggb8", &["RGGB"]),
    ("sbggr10", &["BG10"]),
    ("srggb10", &["RG10"]),
    ("srggb10p", &["pRAA"]),
    ("srggb12", &["RG12"]),
];

/// The candidate that `word` most likely means: by another name for it, or because it is written nearly so.
pub fn meant<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    if word.len() > MAX_MEANT_BYTES {
        return None;
    }
    let plain = word.to_lowercase().replace(['_', ' '], "-");
    let other = OTHER_NAMES.iter().find(|(name, _)| *name == plain);
    let here = other.into_iter().flat_map(|(_, here)| here.iter());
    let known = |name: &&str| candidates.iter().copied().find(|each| each == name);
    // Only the case differs: no other is nearer.
    let same = candidates
        .iter()
        .copied()
        .find(|each| each.to_lowercase() == plain);
    same.or_else(|| here.into_iter().find_map(known))
        .or_else(|| similar(word, candidates.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::{OTHER_NAMES, meant};
    use crate::profile::key_list;
    use std::collections::BTreeSet;

    #[test]
    fn every_other_name_leads_to_a_key_or_a_value_and_is_none_itself() {
        let keys = key_list();
        let names: BTreeSet<&str> = keys.iter().map(|key| key.name).collect();
        let quoted = |word: &str| format!("\"{word}\"");
        let mut before = BTreeSet::new();
        for (name, here) in OTHER_NAMES {
            assert!(before.insert(name), "{name} stands there twice");
            for word in *here {
                let value = keys.iter().any(|key| key.expected.contains(&quoted(word)));
                assert!(names.contains(word) || value, "{name}: there is no {word}");
            }
        }
        assert!(OTHER_NAMES.len() > 80);
    }

    #[test]
    fn another_name_is_for_what_the_table_has() {
        assert_eq!(
            meant("Confidence", &["name", "score-threshold"]),
            Some("score-threshold")
        );
        assert_eq!(
            meant("confidence", &["name", "min-score"]),
            Some("min-score")
        );
        assert_eq!(meant("confidence", &["name"]), None);
        assert_eq!(meant("nv12", &["NV21", "NV12"]), Some("NV12"));
        assert_eq!(meant("NV-12", &["YUYV", "NV12"]), Some("NV12"));
    }
}
