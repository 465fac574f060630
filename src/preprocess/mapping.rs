//! From the tensor's coordinates back to the camera's.

/// Where the camera's picture lies in the input tensor.
///
/// | coordinates | x | y |
/// |---|---|---|
/// | tensor | 0 at its left edge, 1 at its right edge | 0 at its upper edge, 1 at its lower edge |
/// | camera | pixels, 0 at the left edge of the first column | pixels, 0 at the upper edge of the first row |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mapping {
    camera_px: [f32; 2],
    /// Camera pixels for one whole tensor, along x and y.
    span_px: [f32; 2],
    /// Camera coordinates of the tensor's corner.
    corner_px: [f32; 2],
}

impl Mapping {
    /// `camera_px` (width, height) lies in a tensor of `tensor_px`, `offset_px` tensor pixels from its
    /// corner and `picture_px` tensor pixels large.
    #[must_use]
    pub fn new(
        camera_px: [f32; 2],
        tensor_px: [f32; 2],
        offset_px: [f32; 2],
        picture_px: [f32; 2],
    ) -> Self {
        let whole = [[0.0; 2], camera_px];
        Self::of_region(camera_px, whole, tensor_px, offset_px, picture_px)
    }

    /// As [`Mapping::new`], of the part of the camera's picture that starts at `region_px[0]` and is
    /// `region_px[1]` large.
    #[must_use]
    pub fn of_region(
        camera_px: [f32; 2],
        region_px: [[f32; 2]; 2],
        tensor_px: [f32; 2],
        offset_px: [f32; 2],
        picture_px: [f32; 2],
    ) -> Self {
        let [start_px, size_px] = region_px;
        let span_px = [0, 1].map(|axis| tensor_px[axis] * size_px[axis] / picture_px[axis]);
        let corner_px =
            [0, 1].map(|axis| start_px[axis] - offset_px[axis] * size_px[axis] / picture_px[axis]);
        Self {
            camera_px,
            span_px,
            corner_px,
        }
    }

    /// Width and height of the camera's picture.
    #[must_use]
    pub const fn camera_px(&self) -> [f32; 2] {
        self.camera_px
    }

    /// A point of the tensor in camera pixels; outside the picture when it lies in a bar.
    #[must_use]
    pub fn to_camera(&self, x: f32, y: f32) -> [f32; 2] {
        [
            x * self.span_px[0] + self.corner_px[0],
            y * self.span_px[1] + self.corner_px[1],
        ]
    }

    /// A width and a height of the tensor in camera pixels.
    #[must_use]
    pub fn size_to_camera(&self, width: f32, height: f32) -> [f32; 2] {
        [width * self.span_px[0], height * self.span_px[1]]
    }
}

#[cfg(test)]
mod tests {
    use super::Mapping;

    #[test]
    fn letterbox_bars_are_undone() {
        let mapping = Mapping::new([1920.0, 1080.0], [128.0, 128.0], [0.0, 28.0], [128.0, 72.0]);
        assert_eq!(mapping.to_camera(0.0, 28.0 / 128.0), [0.0, 0.0]);
        assert_eq!(mapping.to_camera(1.0, 100.0 / 128.0), [1920.0, 1080.0]);
        assert_eq!(mapping.to_camera(0.5, 0.5), [960.0, 540.0]);
        assert_eq!(mapping.size_to_camera(0.5, 72.0 / 128.0), [960.0, 1080.0]);
    }
}
