//! From which score on a class is reported.

use super::settings::Settings;

/// One threshold for each class, fixed at arming.
#[derive(Clone, Debug)]
pub(super) struct Thresholds {
    classes: Box<[f32]>,
    lowest: f32,
}

impl Thresholds {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut classes = vec![settings.score_threshold; settings.labels].into_boxed_slice();
        for &(class, score) in &settings.class_thresholds {
            if let Some(threshold) = classes.get_mut(usize::from(class)) {
                *threshold = score;
            }
        }
        let lowest = classes.iter().copied().fold(f32::INFINITY, f32::min);
        Self { classes, lowest }
    }

    /// Whether `class` has a name, and `score` reaches its threshold. Not a number reaches none.
    #[inline]
    pub(super) fn reached(&self, class: usize, score: f32) -> bool {
        self.classes
            .get(class)
            .is_some_and(|&threshold| score >= threshold)
    }

    /// The lowest of all: what is below it is below every threshold.
    pub(super) const fn lowest(&self) -> f32 {
        self.lowest
    }

    /// Classes that have a name.
    pub(super) const fn classes(&self) -> usize {
        self.classes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Decoder;

    #[test]
    fn a_class_has_its_own_threshold_or_that_of_all() {
        let thresholds = Thresholds::new(&Settings {
            class_thresholds: vec![(1, 0.25), (9, 0.1)],
            ..Settings::new(Decoder::Ssd, 3)
        });
        let reached = |score| [0, 1, 2, 3].map(|class| thresholds.reached(class, score));
        assert_eq!(reached(0.5), [true, true, true, false]);
        assert_eq!(reached(0.4), [false, true, false, false]);
        assert_eq!(reached(f32::NAN), [false; 4]);
        assert!((thresholds.lowest() - 0.25).abs() < f32::EPSILON);
        assert_eq!(thresholds.classes(), 3);
    }
}
