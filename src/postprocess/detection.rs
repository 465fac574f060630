//! What a model found in one frame.

use crate::limits::{MAX_DETECTIONS, MAX_KEYPOINTS};

/// One thing seen, in pixels of the camera's picture. May reach outside the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Detection {
    /// Class index into the model's labels.
    pub class: u16,
    /// Used key points.
    pub keypoint_count: u16,
    /// The box of another model in which it was found: its place, from 1, among that model's detections of
    /// the frame. 0 for what was found in the whole picture.
    pub within: u16,
    /// Confidence, 0..=1.
    pub score: f32,
    /// Left edge.
    pub x_px: f32,
    /// Upper edge.
    pub y_px: f32,
    /// Width.
    pub width_px: f32,
    /// Height.
    pub height_px: f32,
    /// x, y of each key point.
    pub keypoints: [[f32; 2]; MAX_KEYPOINTS],
}

/// What one frame showed, strongest first.
pub type Detections = heapless::Vec<Detection, MAX_DETECTIONS>;
