//! Greedy suppression: of boxes that overlap, the strongest stays.

use super::detection::{Detection, Detections};
use super::output_reader::DecodeStats;
use crate::limits::MAX_DETECTIONS;
use crate::preprocess::Mapping;

/// Longest side of a box, as a share of the tensor's: what is larger than the picture may reach past it, and
/// no model learns of more than that.
const LONGEST: f32 = 2.0;

/// A box that may become a detection, in any one coordinate system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub score: f32,
    pub class: u16,
    /// Where the decoder found it: the rest is decoded from there once it is kept.
    pub index: u32,
    /// Left, upper, right and lower edge.
    pub edges: [f32; 4],
}

impl Candidate {
    /// Whether it can be something seen, its edges being 0..=1 along each side of the tensor: they are numbers,
    /// enclose something of what the model was shown, and no side is more than [`LONGEST`].
    pub(super) fn can_be(&self) -> bool {
        let [left, upper, right, lower] = self.edges;
        let shown = |low: f32, high: f32| low < 1.0 && high > 0.0 && high - low <= LONGEST;
        // Of what is no number each of these is false.
        left < right && upper < lower && shown(left, right) && shown(upper, lower)
    }

    /// The detection of a candidate whose edges are 0..=1 along each side of the tensor.
    pub(super) fn detection(&self, mapping: &Mapping) -> Detection {
        let [left, upper, right, lower] = self.edges;
        let [x_px, y_px, width_px, height_px] = mapping.box_to_camera(left, upper, right, lower);
        Detection {
            class: self.class,
            score: self.score,
            x_px,
            y_px,
            width_px,
            height_px,
            ..Detection::default()
        }
    }
}

/// Candidates of one frame. Its capacity is fixed when it is made.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    list: Vec<Candidate>,
    capacity: usize,
    iou_threshold: f32,
    limit: usize,
}

pub(super) type Kept = heapless::Vec<Candidate, MAX_DETECTIONS>;

impl Candidates {
    pub(super) fn new(capacity: usize, iou_threshold: f32, limit: usize) -> Self {
        Self {
            list: Vec::with_capacity(capacity),
            capacity,
            iou_threshold,
            limit: limit.min(MAX_DETECTIONS),
        }
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
    }

    /// Adds a candidate. A decoder never has more than it made room for; one more would be dropped.
    pub(super) fn push(&mut self, candidate: Candidate) {
        if self.list.len() < self.capacity {
            self.list.push(candidate);
        }
    }

    /// The candidates to keep, strongest first; of equal ones the one found first.
    pub(super) fn suppress(&mut self, stats: &mut DecodeStats) -> Kept {
        self.list
            .sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
        let mut kept = Kept::new();
        for candidate in &self.list {
            stats.candidates += 1;
            let overlaps = |other: &Candidate| {
                other.class == candidate.class
                    && iou(&other.edges, &candidate.edges) > self.iou_threshold
            };
            if kept.iter().any(overlaps) {
                stats.suppressed += 1;
            } else if kept.len() >= self.limit || kept.push(*candidate).is_err() {
                stats.over_limit += 1;
            }
        }
        kept
    }

    /// The candidates to keep, as detections. Their edges are 0..=1 along each side of the tensor.
    pub(super) fn detect(
        &mut self,
        stats: &mut DecodeStats,
        mapping: &Mapping,
        detections: &mut Detections,
    ) {
        for kept in &self.suppress(stats) {
            // `Kept` holds no more than `Detections` does.
            let _ = detections.push(kept.detection(mapping));
        }
    }
}

/// Adds what another part of the same picture showed to `into`, strongest first: of two of one class that overlap
/// by more than `iou_threshold` the stronger stays, and where there is no room the weakest goes.
pub fn merge(into: &mut Detections, found: &[Detection], iou_threshold: f32) {
    let edges = |of: &Detection| {
        let (right, lower) = (of.x_px + of.width_px, of.y_px + of.height_px);
        [of.x_px, of.y_px, right, lower]
    };
    for new in found {
        let same = |old: &Detection| {
            old.class == new.class && iou(&edges(old), &edges(new)) > iou_threshold
        };
        if into.iter().any(|old| old.score >= new.score && same(old)) {
            continue;
        }
        into.retain(|old| !same(old));
        let place = into.iter().take_while(|old| old.score >= new.score).count();
        if into.is_full() && place < into.len() {
            into.pop();
        }
        // Where it is full, the new one is the weakest.
        let _ = into.insert(place, *new);
    }
}

/// Intersection over union of two boxes; 0 where there is no area.
pub(super) fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let side = |low: usize, high: usize| (a[high].min(b[high]) - a[low].max(b[low])).max(0.0);
    let area = |edges: &[f32; 4]| (edges[2] - edges[0]) * (edges[3] - edges[1]);
    let common = side(0, 2) * side(1, 3);
    let union = area(a) + area(b) - common;
    if union > 0.0 { common / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(score: f32, class: u16, index: u32, edges: [f32; 4]) -> Candidate {
        Candidate {
            score,
            class,
            index,
            edges,
        }
    }

    fn keep(candidates: &[Candidate], iou_threshold: f32, limit: usize) -> (Vec<u32>, DecodeStats) {
        let mut list = Candidates::new(candidates.len(), iou_threshold, limit);
        candidates
            .iter()
            .for_each(|&candidate| list.push(candidate));
        let mut stats = DecodeStats::default();
        let kept = list
            .suppress(&mut stats)
            .iter()
            .map(|candidate| candidate.index)
            .collect();
        (kept, stats)
    }

    fn seen(class: u16, score: f32, x_px: f32) -> Detection {
        Detection {
            class,
            score,
            x_px,
            width_px: 10.0,
            height_px: 10.0,
            ..Detection::default()
        }
    }

    #[test]
    fn of_two_parts_that_show_one_thing_the_stronger_detection_stays() {
        let mut all = Detections::new();
        merge(&mut all, &[seen(0, 0.6, 0.0), seen(0, 0.5, 100.0)], 0.3);
        merge(
            &mut all,
            &[seen(0, 0.9, 1.0), seen(1, 0.7, 0.0), seen(0, 0.4, 101.0)],
            0.3,
        );
        let scores: Vec<f32> = all.iter().map(|seen| seen.score).collect();
        assert_eq!(scores, [0.9, 0.7, 0.5]);
    }

    #[test]
    fn where_there_is_no_room_the_weakest_goes() {
        let mut all = Detections::new();
        for (number, x_px) in (0..40_u8).map(|number| (f32::from(number), f32::from(number) * 20.0))
        {
            merge(&mut all, &[seen(0, (number + 1.0) / 100.0, x_px)], 0.3);
        }
        assert_eq!((all.len(), all[0].score), (MAX_DETECTIONS, 0.4));
        merge(&mut all, &[seen(0, 0.001, 2000.0)], 0.3);
        assert_eq!(all.last().unwrap().score, 0.09);
        assert!(all.is_sorted_by(|a, b| a.score >= b.score));
    }

    #[test]
    fn overlap_is_the_common_area_over_the_area_of_both() {
        let unit = [0.0, 0.0, 2.0, 2.0];
        assert!((iou(&unit, &unit) - 1.0).abs() < 1e-6);
        assert!((iou(&unit, &[1.0, 1.0, 3.0, 3.0]) - 1.0 / 7.0).abs() < 1e-6);
        assert!(
            iou(&unit, &[2.0, 0.0, 4.0, 2.0]).abs() < 1e-6,
            "neighbours share an edge, not an area"
        );
        assert!(iou(&[0.0; 4], &[0.0; 4]).abs() < 1e-6);
    }

    #[test]
    fn a_box_encloses_something_of_the_picture_and_has_a_bounded_size() {
        let can_be = |edges| candidate(0.9, 0, 0, edges).can_be();
        assert!(can_be([0.1, 0.2, 0.3, 0.4]));
        assert!(can_be([-0.5, -0.5, 1.5, 1.5]), "larger than the picture");
        assert!(can_be([0.9, -0.5, 1.5, 0.1]), "a corner of it is seen");
        for (edges, why) in [
            ([0.3, 0.2, 0.3, 0.4], "no width"),
            ([0.1, 0.4, 0.3, 0.2], "upside down"),
            ([0.1, -0.4, 0.3, -0.1], "above the picture"),
            ([1.0, 0.1, 1.2, 0.3], "right of the picture"),
            ([-0.6, 0.1, 1.5, 0.3], "too wide"),
            ([0.1, -5.0, 0.3, 6.0], "too high"),
            ([f32::NEG_INFINITY, 0.1, 0.5, 0.3], "infinite"),
            ([0.1, f32::NEG_INFINITY, 0.5, f32::INFINITY], "infinite"),
            ([f32::NAN, 0.1, 0.5, 0.3], "no number"),
            ([0.1, 0.1, 0.5, f32::NAN], "no number"),
        ] {
            assert!(!can_be(edges), "{edges:?}: {why}");
        }
    }

    #[test]
    fn the_strongest_of_overlapping_boxes_stays() {
        let boxes = [
            candidate(0.6, 0, 0, [0.0, 0.0, 10.0, 10.0]),
            candidate(0.9, 0, 1, [1.0, 0.0, 11.0, 10.0]),
            candidate(0.7, 0, 2, [20.0, 0.0, 30.0, 10.0]),
        ];
        let (kept, stats) = keep(&boxes, 0.3, 8);
        assert_eq!(kept, [1, 2]);
        assert_eq!(
            stats,
            DecodeStats {
                candidates: 3,
                suppressed: 1,
                over_limit: 0,
                refused: 0
            }
        );
    }

    #[test]
    fn boxes_of_different_classes_do_not_suppress_each_other() {
        let boxes = [
            candidate(0.9, 0, 0, [0.0, 0.0, 1.0, 1.0]),
            candidate(0.8, 1, 1, [0.0, 0.0, 1.0, 1.0]),
        ];
        assert_eq!(keep(&boxes, 0.3, 8).0, [0, 1]);
    }

    #[test]
    fn a_suppressed_box_suppresses_nothing() {
        // Each overlaps the next by two thirds, the first and the last by a third of a box.
        let boxes = [
            candidate(0.9, 0, 0, [0.0, 0.0, 3.0, 1.0]),
            candidate(0.8, 0, 1, [1.0, 0.0, 4.0, 1.0]),
            candidate(0.7, 0, 2, [2.0, 0.0, 5.0, 1.0]),
        ];
        assert_eq!(keep(&boxes, 0.4, 8).0, [0, 2]);
    }

    #[test]
    fn what_is_beyond_the_limit_is_counted() {
        let apart = |index: u32| {
            let x = f32::from(u16::try_from(index).unwrap()) * 2.0;
            candidate(0.5, 0, index, [x, 0.0, x + 1.0, 1.0])
        };
        let boxes: Vec<Candidate> = (0..100).map(apart).collect();
        let (kept, stats) = keep(&boxes, 0.3, 3);
        assert_eq!(kept, [0, 1, 2]);
        assert_eq!(stats.over_limit, 97);
        assert_eq!(keep(&boxes, 0.3, usize::MAX).0.len(), MAX_DETECTIONS);
    }
}
