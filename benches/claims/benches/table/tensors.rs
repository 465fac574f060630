//! The tables of `pinsight-bench preprocess` and its peers: one row for each tensor, with the ratios to reach.

use serde_json::Value;
use std::fmt::Write as _;

const OPENCV: &str = "opencv";
const YUV: &str = "yuv+fast_image_resize";

/// What ours may take of a peer's time, and of which tensors.
pub struct Target {
    pub what: &'static str,
    design: &'static str,
    resample: &'static str,
    pub reach: f64,
}

pub const TARGETS: [Target; 3] = [
    Target {
        what: "tensor, bilinear f32: P50, to OpenCV's; the worst of four",
        design: OPENCV,
        resample: "bilinear",
        reach: 0.2,
    },
    Target {
        what: "tensor, bilinear f32: P50, to yuv and fast_image_resize; the worst of four",
        design: YUV,
        resample: "bilinear",
        reach: 0.2,
    },
    Target {
        what: "tensor, area f32: P50, to OpenCV's; the worst of four",
        design: OPENCV,
        resample: "area",
        reach: 0.15,
    },
];

/// Ours and the peers' rows of one run.
pub struct Tensors {
    pub ours: Vec<Value>,
    pub peers: Vec<Value>,
}

impl Tensors {
    /// The median time of a peer for the same tensor.
    fn peer_ns(&self, design: &str, row: &Value) -> Option<f64> {
        let is_same = |peer: &&Value| {
            let keys = ["format", "side_px", "tensor", "resample"];
            peer["design"] == design && keys.iter().all(|key| peer[key] == row[key])
        };
        self.peers.iter().find(is_same)?["p50_ns"].as_f64()
    }

    /// The greatest ratio of a target's tensors, and what the limit of that tensor would be; `None` where
    /// one was not measured.
    pub fn worst(&self, target: &Target) -> Option<(f64, f64)> {
        let is_meant =
            |row: &&Value| row["resample"] == target.resample && row["tensor"] == "float32";
        let ratio = |row: &Value| {
            let peer_ns = self.peer_ns(target.design, row)?;
            Some((
                row["p50_ns"].as_f64()? / peer_ns,
                row["limit_ns"].as_f64()? / peer_ns,
            ))
        };
        let ratios: Option<Vec<_>> = self.ours.iter().filter(is_meant).map(ratio).collect();
        ratios?
            .into_iter()
            .max_by(|one, other| one.0.total_cmp(&other.0))
    }

    /// A row for each tensor; nothing where none was measured.
    pub fn write(&self, text: &mut String) {
        if self.ours.is_empty() {
            return;
        }
        text.push_str(
            "### `pinsight-bench preprocess`: from a camera's buffer to a tensor, beside the peers\n\n",
        );
        text.push_str(
            "Median times in us, and ours divided by each peer's. Limit: what reading as many bytes as are read and \
             written takes.\n\n",
        );
        text.push_str(
            "| 1080p to tensor | kernel | ours | OpenCV | ratio | yuv, fast_image_resize | ratio | MB | limit | ours / limit |\n\
             |---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        for row in &self.ours {
            let word = |key: &str| row[key].as_str().unwrap_or("?");
            let number = |value: Option<f64>, digits: usize| {
                value.map_or_else(|| "-".into(), |value| format!("{value:.digits$}"))
            };
            let us = |ns: Option<f64>| number(ns.map(|ns| ns / 1e3), 0);
            let (ours, limit) = (row["p50_ns"].as_f64(), row["limit_ns"].as_f64());
            let over = |other: Option<f64>| number(ours.zip(other).map(|(a, b)| a / b), 2);
            let [opencv, yuv] = [OPENCV, YUV].map(|design| self.peer_ns(design, row));
            let side = &row["side_px"];
            let _ = writeln!(
                text,
                "| {} to {side} x {side} {}, {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                word("format"),
                word("tensor"),
                word("resample"),
                word("kernel"),
                us(ours),
                us(opencv),
                over(opencv),
                us(yuv),
                over(yuv),
                number(row["touched_bytes"].as_f64().map(|bytes| bytes / 1e6), 2),
                us(limit),
                over(limit),
            );
        }
        text.push('\n');
    }
}
