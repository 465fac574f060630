//! From the tensor's coordinates back to the camera's.

/// Where the camera's image lies in the input tensor.
///
/// | coordinates | x | y |
/// |---|---|---|
/// | tensor | 0 at its left edge, 1 at its right edge | 0 at its upper edge, 1 at its lower edge |
/// | camera | pixels, 0 at the left edge of the first column | pixels, 0 at the upper edge of the first row |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mapping {
    camera_px: [f32; 2],
    /// Of each camera axis: the tensor's axis it runs along.
    along: [usize; 2],
    /// Camera pixels for one whole tensor, along the camera's x and y; negative where it runs against it.
    span_px: [f32; 2],
    /// Camera coordinates of the tensor's corner.
    corner_px: [f32; 2],
    /// The image in the tensor: offset and size as shares of the tensor's sides.
    image: [[f32; 2]; 2],
}

impl Mapping {
    /// `camera_px` (width, height) lies in a tensor of `tensor_px`, `offset_px` tensor pixels from its
    /// corner and `image_px` tensor pixels large.
    #[must_use]
    pub fn new(
        camera_px: [f32; 2],
        tensor_px: [f32; 2],
        offset_px: [f32; 2],
        image_px: [f32; 2],
    ) -> Self {
        let share = |px: [f32; 2]| [px[0] / tensor_px[0], px[1] / tensor_px[1]];
        let mapping = Self {
            camera_px,
            along: [0, 1],
            span_px: [0.0; 2],
            corner_px: [0.0; 2],
            image: [share(offset_px), share(image_px)],
        };
        mapping.of_view([0.0; 2], camera_px, false, [false; 2])
    }

    /// The same place in the tensor, of the part of the camera's image that starts at `start_px` and is
    /// `size_px` large; `is_transposed` when the camera's x is the tensor's y; `flipped` along each camera axis
    /// that the tensor runs against.
    #[must_use]
    pub fn of_view(
        self,
        start_px: [f32; 2],
        size_px: [f32; 2],
        is_transposed: bool,
        flipped: [bool; 2],
    ) -> Self {
        let along = if is_transposed { [1, 0] } else { [0, 1] };
        let [offset, image] = self.image;
        let whole_px = [0, 1].map(|axis| size_px[axis] / image[along[axis]]);
        let bar_px = [0, 1].map(|axis| offset[along[axis]] * whole_px[axis]);
        Self {
            along,
            span_px: [0, 1].map(|axis| {
                if flipped[axis] {
                    -whole_px[axis]
                } else {
                    whole_px[axis]
                }
            }),
            corner_px: [0, 1].map(|axis| {
                if flipped[axis] {
                    start_px[axis] + size_px[axis] + bar_px[axis]
                } else {
                    start_px[axis] - bar_px[axis]
                }
            }),
            ..self
        }
    }

    /// Width and height of the camera's image.
    #[must_use]
    pub const fn camera_px(&self) -> [f32; 2] {
        self.camera_px
    }

    /// A point of the tensor in camera pixels; outside the image when it lies in a bar.
    #[must_use]
    pub fn to_camera(&self, x: f32, y: f32) -> [f32; 2] {
        let point = [x, y];
        [0, 1].map(|axis| point[self.along[axis]] * self.span_px[axis] + self.corner_px[axis])
    }

    /// A width and a height of the tensor in camera pixels.
    #[must_use]
    pub fn size_to_camera(&self, width: f32, height: f32) -> [f32; 2] {
        let size = [width, height];
        [0, 1].map(|axis| size[self.along[axis]] * self.span_px[axis].abs())
    }

    /// A box of the tensor in camera pixels: its left and upper edge, width and height there. Which corner
    /// that is depends on how the image is turned.
    #[must_use]
    pub fn box_to_camera(&self, left: f32, top: f32, right: f32, bottom: f32) -> [f32; 4] {
        let (one, other) = (self.to_camera(left, top), self.to_camera(right, bottom));
        let [width_px, height_px] = self.size_to_camera(right - left, bottom - top);
        [
            one[0].min(other[0]),
            one[1].min(other[1]),
            width_px,
            height_px,
        ]
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

    #[test]
    fn a_turned_and_mirrored_part_is_turned_back() {
        // The right half of a image of 200 x 100, turned clockwise: its left edge is the tensor's top.
        let whole = Mapping::new([200.0, 100.0], [64.0, 64.0], [0.0; 2], [64.0; 2]);
        let turned = whole.of_view([100.0, 0.0], [100.0; 2], true, [false, true]);
        assert_eq!(turned.to_camera(0.0, 0.0), [100.0, 100.0]);
        assert_eq!(turned.to_camera(1.0, 0.0), [100.0, 0.0]);
        assert_eq!(turned.to_camera(0.0, 1.0), [200.0, 100.0]);
        assert_eq!(
            turned.box_to_camera(0.0, 0.0, 0.25, 0.5),
            [100.0, 75.0, 50.0, 25.0]
        );
        let mirrored = whole.of_view([0.0; 2], [200.0, 100.0], false, [true, false]);
        assert_eq!(
            mirrored.box_to_camera(0.0, 0.0, 0.25, 0.5),
            [150.0, 0.0, 50.0, 50.0]
        );
        assert_eq!(mirrored.camera_px(), [200.0, 100.0]);
    }
}
