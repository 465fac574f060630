use super::tracker::{Settings, Tracker};
use crate::postprocess::Detection;
use crate::units::NS_PER_MS;
use proptest::prelude::*;

const SETTINGS: Settings = Settings {
    max_tracks: 8,
    lost_after_ns: 500 * NS_PER_MS,
    min_overlap: 0.2,
    high_score: 0.5,
};

fn seen(x: f32, y: f32, score: f32) -> Detection {
    Detection {
        score,
        x_px: x,
        y_px: y,
        width_px: 40.0,
        height_px: 100.0,
        ..Detection::default()
    }
}

/// Number and left edge of each track that was seen in the last update, by number.
fn in_view(tracker: &Tracker) -> Vec<(u64, f32)> {
    let now_ns = tracker.now_ns();
    let mut found: Vec<_> = tracker
        .tracks()
        .filter(|(_, track)| track.seen_ns == now_ns)
        .map(|(_, track)| (track.id, track.bounds.left_px))
        .collect();
    found.sort_by_key(|(id, _)| *id);
    found
}

#[test]
fn a_number_stays_through_a_miss_and_not_through_a_loss() {
    let mut tracker = Tracker::new(SETTINGS);
    let mut last_id = 0;
    for step in 0..10_u8 {
        tracker.update(
            u64::from(step) * 33 * NS_PER_MS,
            &[seen(10.0 * f32::from(step), 0.0, 0.9)],
            &mut last_id,
        );
    }
    assert_eq!(in_view(&tracker), [(1, 90.0)]);
    // Hidden for 10 frames, in which it goes on: 100 pixels are more than its own width.
    for step in 10..20 {
        tracker.update(step * 33 * NS_PER_MS, &[], &mut last_id);
    }
    assert_eq!(in_view(&tracker), []);
    tracker.update(20 * 33 * NS_PER_MS, &[seen(200.0, 0.0, 0.9)], &mut last_id);
    assert_eq!(in_view(&tracker), [(1, 200.0)]);
    // Longer than lost-after-ms.
    let later_ns = (20 * 33 + 501) * NS_PER_MS;
    tracker.update(later_ns, &[seen(350.0, 0.0, 0.9)], &mut last_id);
    assert_eq!(in_view(&tracker), [(2, 350.0)]);
    assert_eq!(
        tracker
            .gone()
            .iter()
            .map(|gone| gone.id)
            .collect::<Vec<_>>(),
        [1]
    );
}

#[test]
fn a_weak_detection_keeps_a_track_and_begins_none() {
    let mut tracker = Tracker::new(SETTINGS);
    let mut last_id = 0;
    tracker.update(0, &[seen(0.0, 0.0, 0.4)], &mut last_id);
    assert_eq!(in_view(&tracker), []);
    tracker.update(NS_PER_MS, &[seen(0.0, 0.0, 0.6)], &mut last_id);
    tracker.update(2 * NS_PER_MS, &[seen(1.0, 0.0, 0.2)], &mut last_id);
    assert_eq!(in_view(&tracker), [(1, 1.0)]);
    // Not in view a moment ago: a weak detection says too little.
    tracker.update(3 * NS_PER_MS, &[], &mut last_id);
    tracker.update(4 * NS_PER_MS, &[seen(1.0, 0.0, 0.2)], &mut last_id);
    assert_eq!(in_view(&tracker), []);
    tracker.update(5 * NS_PER_MS, &[seen(1.0, 0.0, 0.9)], &mut last_id);
    assert_eq!(in_view(&tracker), [(1, 1.0)]);
}

#[test]
fn another_class_at_the_same_place_is_another_track() {
    let mut tracker = Tracker::new(SETTINGS);
    let mut last_id = 0;
    let dog = Detection {
        class: 1,
        ..seen(0.0, 0.0, 0.9)
    };
    tracker.update(0, &[seen(0.0, 0.0, 0.9)], &mut last_id);
    tracker.update(NS_PER_MS, &[dog], &mut last_id);
    assert_eq!(in_view(&tracker), [(2, 0.0)]);
}

#[test]
fn a_full_tracker_refuses_and_counts_and_what_is_no_box_is_counted() {
    let mut tracker = Tracker::new(Settings {
        max_tracks: 2,
        ..SETTINGS
    });
    let mut last_id = 0;
    let three = [0.0, 100.0, 200.0].map(|x| seen(x, 0.0, 0.9));
    tracker.update(0, &three, &mut last_id);
    assert_eq!(in_view(&tracker).len(), 2);
    let broken = [
        seen(f32::NAN, 0.0, 0.9),
        seen(300.0, 0.0, f32::NAN),
        Detection {
            width_px: 0.0,
            ..seen(0.0, 0.0, 0.9)
        },
    ];
    tracker.update(NS_PER_MS, &broken, &mut last_id);
    let counts = tracker.counts();
    assert_eq!((counts.tracks, counts.refused, counts.unsound), (2, 1, 3));
}

#[test]
fn a_time_before_the_last_one_counts_as_the_moment_after_it_and_keeps_the_tracks() {
    let mut tracker = Tracker::new(SETTINGS);
    let mut last_id = 0;
    tracker.update(1000 * NS_PER_MS, &[seen(0.0, 0.0, 0.9)], &mut last_id);
    tracker.update(10 * NS_PER_MS, &[seen(2.0, 0.0, 0.9)], &mut last_id);
    assert_eq!(tracker.now_ns(), 1000 * NS_PER_MS + 1);
    assert_eq!(last_id, 1, "it is the same one");
}

proptest! {

    #![proptest_config(crate::proptest_cases::cases(256))]
    #[test]
    fn two_who_cross_keep_their_numbers(
        // Pixels a second, towards each other; people of 40 pixels in width.
        left_speed in 20.0_f32..240.0, right_speed in 20.0_f32..240.0,
        // One walks some way behind the other: boxes overlap by at least a half while they pass.
        behind in 5.0_f32..40.0,
        intervals_ms in prop::collection::vec(10_u16..70, 140),
        noise in prop::collection::vec(-1.5_f32..1.5, 140 * 4),
        order in prop::collection::vec(any::<bool>(), 140),
        hidden in prop::collection::vec(0_u8..8, 140),
    ) {
        let mut tracker = Tracker::new(SETTINGS);
        let mut last_id = 0;
        let mut now_ms = 0_u16;
        let mut last = [0.0_f32; 2];
        let mut met = false;
        for frame in 0..140 {
            let seconds = f32::from(now_ms) / 1000.0;
            let jitter = &noise[frame * 4..][..4];
            let one = seen(left_speed * seconds + jitter[0], jitter[1], 0.9);
            let two = seen(600.0 - right_speed * seconds + jitter[2], behind + jitter[3], 0.9);
            last = [one.x_px, two.x_px];
            met |= (one.x_px - two.x_px).abs() < 20.0;
            let both = if order[frame] { [one, two] } else { [two, one] };
            // Now and then one of them is not found; never at first.
            let shown = if frame > 2 && hidden[frame] == 0 { &both[..1] } else { &both[..] };
            tracker.update(u64::from(now_ms) * NS_PER_MS, shown, &mut last_id);
            now_ms += intervals_ms[frame];
        }
        prop_assert_eq!(last_id, 2, "nobody was lost and found as another");
        let first_was_left = order[0];
        for (_, track) in tracker.tracks() {
            let is_one = (track.id == 1) == first_was_left;
            let expected = last[usize::from(!is_one)];
            prop_assert!((track.bounds.left_px - expected).abs() < 60.0,
                "track {} is at {}, expected near {}; met: {}", track.id, track.bounds.left_px, expected, met);
        }
    }

    #[test]
    fn whatever_is_seen_places_are_bounded_and_numbers_are_never_given_twice(
        frames in prop::collection::vec(
            (0_u16..900, prop::collection::vec((0_u8..12, 0_u8..3, 0_u8..10), 0..32)), 1..60),
    ) {
        let mut tracker = Tracker::new(SETTINGS);
        let mut last_id = 0;
        let mut now_ns = 0;
        let mut known: Vec<u64> = Vec::new();
        let mut gone: Vec<u64> = Vec::new();
        for (wait_ms, detections) in frames {
            now_ns += u64::from(wait_ms) * NS_PER_MS;
            let detections: Vec<_> = detections.iter().map(|(x, class, score)| Detection {
                class: u16::from(*class),
                ..seen(f32::from(*x) * 25.0, 0.0, f32::from(*score) / 10.0)
            }).collect();
            tracker.update(now_ns, &detections, &mut last_id);
            gone.extend(tracker.gone().iter().map(|gone| gone.id));
            let mut alive: Vec<u64> = tracker.tracks().map(|(_, track)| track.id).collect();
            prop_assert!(alive.len() <= SETTINGS.max_tracks);
            for id in &alive {
                prop_assert!(!gone.contains(id), "{} came back from the lost", id);
                if !known.contains(id) {
                    prop_assert!(known.iter().all(|other| other < id), "{} is not new", id);
                }
            }
            let shown = detections.len();
            let seen_now = tracker.tracks().filter(|(_, track)| track.seen_ns == now_ns).count();
            prop_assert!(wait_ms == 0 || seen_now <= shown);
            alive.retain(|id| !known.contains(id));
            alive.sort_unstable();
            known.extend(alive);
            // Every number is alive or was reported gone.
            let counted = tracker.tracks().count() + gone.len();
            prop_assert_eq!(u64::try_from(counted).unwrap(), tracker.counts().tracks);
        }
    }
}
