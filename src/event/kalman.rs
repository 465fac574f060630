//! The motion of one box: a Kalman filter of constant velocity for its centre, its width and its height.
//!
//! Each of the four numbers is measured alone and moves alone, so the filter of eight dimensions falls apart
//! into four of two dimensions (place and velocity), which is exact and needs no matrix library. Time is
//! continuous: to predict by `a` seconds and then by `b` is to predict by `a + b`, whatever the camera's
//! intervals.

use crate::postprocess::Detection;

/// Standard deviation of a measured edge, in box sizes.
///
/// # Source
/// ByteTrack's `_std_weight_position`, 1/20.
const MEASURED: f32 = 0.05;
/// What velocity gains in a second, as a standard deviation, in box sizes a second.
///
/// # Source
/// ByteTrack's `_std_weight_velocity` is 1/160 box a frame, at each frame; at 30 Hz that is 30/160 box a
/// second thirty times, whose squares sum to 1.05.
const RESTLESS: f32 = 1.0;
/// Standard deviation of the velocity of what was seen once, in box sizes a second. A person who walks by
/// makes one or two.
const UNKNOWN: f32 = 2.0;

/// A box by its edges, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// Left edge.
    pub left_px: f32,
    /// Upper edge.
    pub top_px: f32,
    /// Right edge.
    pub right_px: f32,
    /// Lower edge.
    pub bottom_px: f32,
}

impl From<&Detection> for Bounds {
    fn from(seen: &Detection) -> Self {
        Self {
            left_px: seen.x_px,
            top_px: seen.y_px,
            right_px: seen.x_px + seen.width_px,
            bottom_px: seen.y_px + seen.height_px,
        }
    }
}

impl Bounds {
    /// A box that can be tracked: finite, with an area, and not larger than numbers can be computed with.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        const MOST_PX: f32 = 1e6;
        let edges = [self.left_px, self.top_px, self.right_px, self.bottom_px];
        edges.iter().all(|edge| edge.abs() <= MOST_PX)
            && self.right_px > self.left_px
            && self.bottom_px > self.top_px
    }

    /// The area that two boxes share, over the area that either has: 0..=1.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> f32 {
        let shared = (self.right_px.min(other.right_px) - self.left_px.max(other.left_px)).max(0.0)
            * (self.bottom_px.min(other.bottom_px) - self.top_px.max(other.top_px)).max(0.0);
        let area = |of: &Self| (of.right_px - of.left_px) * (of.bottom_px - of.top_px);
        let either = area(self) + area(other) - shared;
        if either > 0.0 { shared / either } else { 0.0 }
    }

    /// The part of it that is on a picture of this width and height. Its right and lower edges are before the picture's,
    /// so that its points lie on the picture and not on its edge; of a box that is wholly beside it, a place at that edge.
    #[must_use]
    pub fn on_picture(&self, [width_px, height_px]: [f32; 2]) -> Self {
        let within = |edge: f32, most: f32| edge.max(0.0).min(most.next_down().max(0.0));
        Self {
            left_px: within(self.left_px, width_px),
            top_px: within(self.top_px, height_px),
            right_px: within(self.right_px, width_px),
            bottom_px: within(self.bottom_px, height_px),
        }
    }

    /// The middle of the box.
    #[must_use]
    pub fn centre(&self) -> [f32; 2] {
        [
            f32::midpoint(self.left_px, self.right_px),
            f32::midpoint(self.top_px, self.bottom_px),
        ]
    }

    /// The middle of the lower edge.
    #[must_use]
    pub fn bottom(&self) -> [f32; 2] {
        [f32::midpoint(self.left_px, self.right_px), self.bottom_px]
    }

    /// Mean of width and height: what noise is measured in.
    fn size_px(&self) -> f32 {
        f32::midpoint(self.right_px - self.left_px, self.bottom_px - self.top_px)
    }

    /// Centre, width and height.
    fn numbers(&self) -> [f32; 4] {
        let [x, y] = self.centre();
        [
            x,
            y,
            self.right_px - self.left_px,
            self.bottom_px - self.top_px,
        ]
    }
}

/// One number with its velocity, and what is not known of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Axis {
    place: f32,
    /// A second.
    velocity: f32,
    /// Variances of place and velocity, and their covariance.
    place_var: f32,
    velocity_var: f32,
    both: f32,
}

impl Axis {
    fn new(place: f32, size: f32) -> Self {
        Self {
            place,
            velocity: 0.0,
            place_var: (MEASURED * size).powi(2),
            velocity_var: (UNKNOWN * size).powi(2),
            both: 0.0,
        }
    }

    fn predict(&mut self, seconds: f32, size: f32) {
        // White noise of acceleration, of this power a second.
        let power = (RESTLESS * size).powi(2);
        self.place += self.velocity * seconds;
        self.place_var += seconds * (2.0 * self.both + seconds * self.velocity_var)
            + power * seconds.powi(3) / 3.0;
        self.both += seconds * self.velocity_var + power * seconds.powi(2) / 2.0;
        self.velocity_var += power * seconds;
    }

    fn correct(&mut self, measured: f32, size: f32) {
        let noise = (MEASURED * size).powi(2);
        let sum = self.place_var + noise;
        let (gain, velocity_gain) = (self.place_var / sum, self.both / sum);
        let surprise = measured - self.place;
        self.place += gain * surprise;
        self.velocity += velocity_gain * surprise;
        // noise / sum is 1 - gain without the loss of digits where the gain is near 1.
        self.velocity_var -= velocity_gain * self.both;
        self.both *= noise / sum;
        self.place_var *= noise / sum;
    }
}

/// Where a box is, and where to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Motion {
    /// Centre x and y, width, height.
    axes: [Axis; 4],
    /// Of the last box that was seen.
    size: f32,
}

impl Motion {
    /// A box seen for the first time; see [`Bounds::is_sound`].
    #[must_use]
    pub fn new(seen: &Bounds) -> Self {
        let size = seen.size_px();
        Self {
            axes: seen.numbers().map(|number| Axis::new(number, size)),
            size,
        }
    }

    /// Moves on by so many seconds, 0 or more.
    pub fn predict(&mut self, seconds: f32) {
        for axis in &mut self.axes {
            axis.predict(seconds, self.size);
        }
    }

    /// Takes in where the box was seen now.
    pub fn correct(&mut self, seen: &Bounds) {
        self.size = seen.size_px();
        for (axis, number) in self.axes.iter_mut().zip(seen.numbers()) {
            axis.correct(number, self.size);
        }
    }

    /// The box was not seen: it may be hidden or leaving, and its last changes of size say nothing more.
    pub fn hold_size(&mut self) {
        self.axes[2].velocity = 0.0;
        self.axes[3].velocity = 0.0;
    }

    /// Where the box is now; at least a pixel wide and high.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let [x, y, width, height] = self.axes.map(|axis| axis.place);
        let (half_width, half_height) = (width.max(1.0) / 2.0, height.max(1.0) / 2.0);
        Bounds {
            left_px: x - half_width,
            top_px: y - half_height,
            right_px: x + half_width,
            bottom_px: y + half_height,
        }
    }

    /// Velocity of the centre, in pixels a second.
    #[must_use]
    pub const fn velocity_px_s(&self) -> [f32; 2] {
        [self.axes[0].velocity, self.axes[1].velocity]
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Motion};
    use proptest::prelude::*;

    fn square(x: f32, y: f32, size: f32) -> Bounds {
        Bounds {
            left_px: x,
            top_px: y,
            right_px: x + size,
            bottom_px: y + size,
        }
    }

    #[track_caller]
    fn assert_close(found: f32, expected: f32, tolerance: f32) {
        assert!(
            (found - expected).abs() <= tolerance,
            "found {found}, expected {expected} within {tolerance}"
        );
    }

    #[test]
    fn a_steady_velocity_is_learnt_from_irregular_intervals() {
        let mut motion = Motion::new(&square(0.0, 500.0, 100.0));
        let mut time = 0.0;
        for step in [
            0.03, 0.1, 0.01, 0.2, 0.033, 0.033, 0.07, 0.15, 0.03, 0.1, 0.2, 0.2,
        ] {
            time += step;
            motion.predict(step);
            motion.correct(&square(240.0 * time, 500.0 - 60.0 * time, 100.0));
        }
        let [x, y] = motion.velocity_px_s();
        assert_close(x, 240.0, 3.0);
        assert_close(y, -60.0, 1.0);
        motion.predict(0.5);
        assert_close(motion.bounds().left_px, 240.0 * (time + 0.5), 3.0);
        assert_close(motion.bounds().bottom_px, 600.0 - 60.0 * (time + 0.5), 3.0);
    }

    #[test]
    fn a_box_that_shrinks_out_of_sight_keeps_a_pixel() {
        let mut motion = Motion::new(&square(0.0, 0.0, 100.0));
        motion.predict(0.1);
        motion.correct(&square(0.0, 0.0, 10.0));
        motion.predict(60.0);
        assert!(motion.bounds().is_sound(), "{motion:?}");
    }

    #[test]
    fn overlap_is_that_of_the_definition() {
        let one = square(0.0, 0.0, 2.0);
        assert_close(one.overlap(&square(1.0, 0.0, 2.0)), 2.0 / 6.0, 1e-6);
        assert_close(one.overlap(&one), 1.0, 1e-6);
        assert_close(one.overlap(&square(2.0, 0.0, 2.0)), 0.0, 0.0);
    }

    #[test]
    fn what_is_no_box_is_not_sound() {
        assert!(square(-50.0, 0.0, 1.0).is_sound());
        for bad in [
            square(0.0, 0.0, 0.0),
            square(0.0, 0.0, -1.0),
            square(f32::NAN, 0.0, 1.0),
            square(0.0, f32::INFINITY, 1.0),
            square(0.0, 0.0, 1e30),
        ] {
            assert!(!bad.is_sound(), "{bad:?}");
        }
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn to_predict_in_two_steps_is_to_predict_in_one(
            seen in prop::collection::vec((0.0_f32..1000.0, 0.0_f32..1000.0, 20.0_f32..200.0), 1..6),
            first in 0.0_f32..1.0, second in 0.0_f32..1.0,
        ) {
            let mut motion = Motion::new(&square(10.0, 10.0, 50.0));
            for (x, y, size) in seen {
                motion.predict(0.1);
                motion.correct(&square(x, y, size));
            }
            let mut at_once = motion;
            at_once.predict(first + second);
            motion.predict(first);
            motion.predict(second);
            for (one, two) in at_once.axes.iter().zip(&motion.axes) {
                let pairs = [
                    (one.place, two.place),
                    (one.place_var, two.place_var),
                    (one.velocity_var, two.velocity_var),
                    (one.both, two.both),
                ];
                for (one, two) in pairs {
                    prop_assert!((one - two).abs() <= 1e-3 * (1.0 + one.abs()), "{} {}", one, two);
                }
            }
        }

        #[test]
        fn it_is_the_filter_of_eight_dimensions(
            seen in prop::collection::vec((0.01_f32..0.3, 0.0_f32..1000.0), 1..8),
        ) {
            // The textbook's matrices, for one axis: x' = F x, P' = F P F^T + Q, K = P H^T / S.
            let size = 100.0_f64;
            let mut motion = Motion::new(&square(500.0, 0.0, 100.0));
            let mut state = [550.0_f64, 0.0];
            let mut p = [[(0.05 * size).powi(2), 0.0], [0.0, (2.0 * size).powi(2)]];
            for (step, x) in seen {
                motion.predict(step);
                motion.correct(&square(x, 0.0, 100.0));
                let t = f64::from(step);
                state = [state[0] + t * state[1], state[1]];
                let fp = [[p[0][0] + t * p[1][0], p[0][1] + t * p[1][1]], p[1]];
                let q = size.powi(2);
                p = [
                    [fp[0][0] + fp[0][1] * t + q * t.powi(3) / 3.0, fp[0][1] + q * t * t / 2.0],
                    [fp[1][0] + fp[1][1] * t + q * t * t / 2.0, fp[1][1] + q * t],
                ];
                let s = p[0][0] + (0.05 * size).powi(2);
                let k = [p[0][0] / s, p[1][0] / s];
                let surprise = f64::from(x) + 50.0 - state[0];
                state = [state[0] + k[0] * surprise, state[1] + k[1] * surprise];
                p = [
                    [(1.0 - k[0]) * p[0][0], (1.0 - k[0]) * p[0][1]],
                    [p[1][0] - k[1] * p[0][0], p[1][1] - k[1] * p[0][1]],
                ];
                let found = &motion.axes[0];
                let pairs = [
                    (found.place, state[0]), (found.velocity, state[1]), (found.place_var, p[0][0]),
                    (found.velocity_var, p[1][1]), (found.both, p[0][1]),
                ];
                for (found, expected) in pairs {
                    let far = (f64::from(found) - expected).abs();
                    prop_assert!(far <= 2e-3 * (1.0 + expected.abs()), "{} {}", found, expected);
                }
            }
        }
    }
}
