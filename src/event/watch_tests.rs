use super::{Event, Observation, Phase, Watch};
use crate::postprocess::Detection;
use crate::profile::{self, Board, Direction};
use crate::units::NS_PER_MS;
use proptest::prelude::*;

/// One camera of 640x480 and a model of two classes; a zone from 200 to 400 across, and a line down its
/// middle.
#[track_caller]
fn board_with(rules: &str) -> Board {
    let text = format!(
        "name = \"b\"\n[[camera]]\nname = \"front\"\nsource = \"pattern\"\nformat = \"NV12\"\nwidth-px = 640\n\
         height-px = 480\nrate-hz = 10\n[[model]]\nname = \"m\"\npath = \"m.tflite\"\ndecoder = \"ssd\"\n\
         labels = [\"person\", \"dog\"]\n\
         sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n\
         [[worker]]\nname = \"detector\"\nmodel = \"m\"\ncores = [1]\n\
         [[zone]]\nname = \"middle\"\ncorners-px = [[200, 0], [400, 0], [400, 480], [200, 480]]\n\
         [[line]]\nname = \"down\"\nfrom-px = [300, 0]\nto-px = [300, 240]\n{rules}"
    );
    profile::read("b.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// A rule of each kind.
const EVERY_KIND: &str = "
[[rule]]\nname = \"in\"\nkind = \"enter\"\nzone = \"middle\"
[[rule]]\nname = \"out\"\nkind = \"leave\"\nzone = \"middle\"
[[rule]]\nname = \"stay\"\nkind = \"dwell\"\nzone = \"middle\"\ndwell-ms = 500
[[rule]]\nname = \"over\"\nkind = \"cross\"\nline = \"down\"
[[rule]]\nname = \"two\"\nkind = \"count\"\nzone = \"middle\"\nat-least = 2
[[rule]]\nname = \"any\"\nkind = \"presence\"\nzone = \"middle\"
[[rule]]\nname = \"none\"\nkind = \"absence\"\nzone = \"middle\"\nabsent-ms = 1000
";

/// A box of 40x100 whose bottom centre is here.
fn at(x: f32, y: f32) -> Detection {
    Detection {
        score: 0.9,
        x_px: x - 20.0,
        y_px: y - 100.0,
        width_px: 40.0,
        height_px: 100.0,
        ..Detection::default()
    }
}

/// A watch that is shown a frame every 100 ms.
struct Scene {
    watch: Watch,
    board: Board,
    frame: u64,
    time_ms: u64,
    told: Vec<Event>,
}

impl Scene {
    #[track_caller]
    fn new(rules: &str) -> Self {
        let board = board_with(rules);
        Self {
            watch: Watch::new(&board, &[(640, 480)]).unwrap(),
            board,
            frame: 0,
            time_ms: 0,
            told: Vec::new(),
        }
    }

    fn show(&mut self, detections: &[Detection]) {
        let judged = Observation {
            camera: 0,
            model: 0,
            sequence: self.frame,
            capture_ns: self.time_ms * NS_PER_MS,
            detections,
        };
        let told = &mut self.told;
        let now_ns = (self.time_ms + 7) * NS_PER_MS;
        self.watch.take(&judged, now_ns, |event| told.push(*event));
        self.frame += 1;
        self.time_ms += 100;
    }

    /// Shows one box that moves along these places.
    fn walk(&mut self, places: impl IntoIterator<Item = (f32, f32)>) {
        for (x, y) in places {
            self.show(&[at(x, y)]);
        }
    }

    fn wait(&mut self, frames: usize) {
        for _ in 0..frames {
            self.show(&[]);
        }
    }

    /// Everything told, as "frame rule phase track".
    fn list(&self) -> Vec<String> {
        self.told
            .iter()
            .map(|event| {
                let rule = &self.board.rules[usize::from(event.rule)].name;
                format!(
                    "{} {rule} {} {}",
                    event.sequence,
                    event.phase.name(),
                    event.track
                )
            })
            .collect()
    }
}

/// Places across the picture, 10 pixels a frame.
fn across(from: f32, to: f32, y: f32) -> Vec<(f32, f32)> {
    let step = if to > from { 10.0 } else { -10.0 };
    let mut places = Vec::new();
    let mut x = from;
    while (to - x) * step > 0.0 {
        places.push((x, y));
        x += step;
    }
    places
}

#[test]
fn a_walk_through_the_zone_gives_exactly_these_events() {
    let mut scene = Scene::new(EVERY_KIND);
    // In the zone from frame 9 (x = 205) to frame 28; over the line in frame 19 (x = 305).
    scene.walk(across(115.0, 455.0, 200.0));
    let expected = [
        "9 in once 1",
        "9 any begin 0",
        "14 stay once 1",
        "19 over once 1",
        "29 out once 1",
        "29 any end 0",
    ];
    assert_eq!(scene.list(), expected);
    // Not seen any more from frame 34 on: the zone is empty since frame 29.
    scene.wait(30);
    assert_eq!(scene.list()[6..], ["39 none begin 0"]);
    let over = scene.told[3];
    assert_eq!(over.direction, Some(Direction::ToLeft));
    assert_eq!(over.at_px, Some([305.0, 200.0]));
    assert_eq!(over.capture_ns, 1900 * NS_PER_MS);
    assert_eq!(over.age_ns, 7 * NS_PER_MS);
    assert_eq!(scene.told[0].members, 1);
}

#[test]
fn two_in_the_zone_are_counted_and_whoever_vanishes_there_leaves_when_lost() {
    let mut scene = Scene::new(EVERY_KIND);
    for frame in 0..6_u8 {
        let x = f32::from(frame) * 10.0;
        scene.show(&[at(175.0 + x, 200.0), at(425.0 - x, 400.0)]);
    }
    // Hidden for less than lost-after-ms, then lost: the last sight was in frame 5.
    scene.wait(12);
    let expected = [
        "3 in once 1",
        "3 in once 2",
        "3 two begin 0",
        "3 any begin 0",
        "16 out once 1",
        "16 out once 2",
        "16 two end 0",
        "16 any end 0",
    ];
    assert_eq!(scene.list(), expected);
}

#[test]
fn to_go_around_a_line_is_not_to_cross_it() {
    let mut scene = Scene::new(EVERY_KIND);
    scene.walk(across(255.0, 345.0, 300.0));
    assert!(!scene.list().iter().any(|line| line.contains("over")));
    // Back, where the line is.
    scene.walk(across(345.0, 255.0, 239.0));
    let over: Vec<_> = scene
        .told
        .iter()
        .filter(|event| event.rule == 3)
        .map(|event| event.direction)
        .collect();
    assert_eq!(over, [Some(Direction::ToRight)]);
}

#[test]
fn a_line_tells_the_wanted_way_only_and_to_stand_on_it_is_neither_side() {
    let rule =
        "[[rule]]\nname = \"over\"\nkind = \"cross\"\nline = \"down\"\ndirection = \"to-left\"\n";
    let mut scene = Scene::new(rule);
    scene.walk(
        [
            280.0, 290.0, 300.0, 300.0, 290.0, 300.0, 310.0, 300.0, 290.0,
        ]
        .map(|x| (x, 100.0)),
    );
    assert_eq!(scene.list(), ["6 over once 1"]);
}

#[test]
fn what_trembles_at_an_edge_is_told_once_with_debounce() {
    let trembling = (0..40).map(|frame| (if frame % 2 == 0 { 198.0 } else { 202.0 }, 100.0));
    let plain = "[[rule]]\nname = \"in\"\nkind = \"enter\"\nzone = \"middle\"\n";
    let mut without = Scene::new(plain);
    without.walk(trembling.clone());
    assert_eq!(without.told.len(), 20);
    let mut with = Scene::new(&format!("{plain}debounce-ms = 300\n"));
    with.walk(trembling);
    assert!(with.told.is_empty());
    // Inside from frame 39 to 42: three tenths of a second.
    with.walk([(210.0, 100.0); 6]);
    assert_eq!(with.list(), ["42 in once 1"]);
}

#[test]
fn a_trembling_line_is_crossed_once_with_debounce() {
    let rule = "[[rule]]\nname = \"over\"\nkind = \"cross\"\nline = \"down\"\ndebounce-ms = 200\n";
    let mut scene = Scene::new(rule);
    let places = [
        290.0, 301.0, 299.0, 302.0, 303.0, 304.0, 305.0, 299.0, 306.0,
    ];
    scene.walk(places.map(|x| (x, 100.0)));
    assert_eq!(scene.list(), ["5 over once 1"]);
}

#[test]
fn during_the_cool_down_moments_are_suppressed_and_counted_and_a_state_waits_for_its_end() {
    let rules = "[[rule]]\nname = \"in\"\nkind = \"enter\"\nzone = \"middle\"\ncool-down-ms = 1000\n\
                 [[rule]]\nname = \"any\"\nkind = \"presence\"\nzone = \"middle\"\ncool-down-ms = 1000\n";
    let mut scene = Scene::new(rules);
    let (outside, inside) = ((190.0, 100.0), (210.0, 100.0));
    scene.walk([inside, outside, inside, outside, inside]);
    scene.walk([inside; 20]);
    let expected = [
        "0 in once 1",
        "0 any begin 0",
        "1 any end 0",
        "10 any begin 0",
    ];
    assert_eq!(scene.list(), expected);
    let counts: Vec<_> = scene
        .watch
        .rules()
        .map(|of| (of.fired, of.suppressed))
        .collect();
    assert_eq!(counts, [(1, 2), (3, 2)]);
}

#[test]
fn while_the_camera_gives_nothing_nobody_is_absent() {
    let mut scene = Scene::new(EVERY_KIND);
    scene.wait(5);
    // A minute without frames, then an empty picture.
    scene.time_ms += 60_000;
    scene.wait(10);
    assert_eq!(scene.list(), Vec::<String>::new());
    scene.wait(1);
    assert_eq!(scene.list(), ["15 none begin 0"]);
    scene.walk([(300.0, 300.0)]);
    assert_eq!(scene.told[1].phase, Phase::Once);
    assert!(scene.list().contains(&"16 none end 0".to_owned()));
}

#[test]
fn a_result_that_comes_after_that_of_a_later_frame_changes_nothing() {
    let mut scene = Scene::new(EVERY_KIND);
    scene.walk([(190.0, 100.0), (195.0, 100.0)]);
    let late = Observation {
        camera: 0,
        model: 0,
        sequence: 1,
        capture_ns: 100 * NS_PER_MS,
        detections: &[at(300.0, 100.0)],
    };
    let mut told = 0;
    scene.watch.take(&late, 0, |_| told += 1);
    assert_eq!(told, 0);
    assert_eq!(scene.watch.counts().late, 1);
    assert_eq!(scene.watch.counts().tracks.tracks, 1);
    // Another model's, and another camera's: no rule looks at them.
    for (camera, model) in [(1, 0), (0, 1)] {
        let other = Observation {
            camera,
            model,
            sequence: 9,
            ..late
        };
        scene.watch.take(&other, 0, |_| told += 1);
    }
    assert_eq!(told, 0);
    assert_eq!(scene.watch.counts().tracks.tracks, 1);
}

#[test]
fn a_rule_looks_at_its_classes_scores_and_ages_only() {
    let rules = "[[rule]]\nname = \"dogs\"\nkind = \"enter\"\nzone = \"middle\"\nclasses = [\"dog\"]\n\
                 [[rule]]\nname = \"sure\"\nkind = \"enter\"\nzone = \"middle\"\nmin-score = 0.8\n\
                 [[rule]]\nname = \"old\"\nkind = \"enter\"\nzone = \"middle\"\nmin-age-ms = 300\n";
    let mut scene = Scene::new(rules);
    let of = |class, score| Detection {
        class,
        score,
        ..at(300.0, 300.0)
    };
    for score in [0.6, 0.6, 0.85, 0.6, 0.6] {
        scene.show(&[of(0, score)]);
    }
    assert_eq!(scene.list(), ["2 sure once 1", "3 old once 1"]);
    scene.show(&[of(1, 0.7)]);
    assert_eq!(scene.list()[2..], ["5 dogs once 2"]);
    assert_eq!(scene.told[2].class, 1);
}

#[test]
fn the_anchor_says_which_point_of_a_box_counts() {
    let rule = |anchor: &str| {
        format!(
            "[[zone]]\nname = \"low\"\ncorners-px = [[0, 300], [640, 300], [640, 480], [0, 480]]\n\
             [[rule]]\nname = \"in\"\nkind = \"enter\"\nzone = \"low\"\nanchor = \"{anchor}\"\n"
        )
    };
    let falling = || (0..20_u8).map(|frame| (100.0, 255.0 + 5.0 * f32::from(frame)));
    for (anchor, expected) in [("bottom", "9 in once 1"), ("centre", "19 in once 1")] {
        let mut scene = Scene::new(&rule(anchor));
        scene.walk(falling());
        assert_eq!(scene.list(), [expected]);
    }
}

#[test]
fn a_rule_without_a_zone_is_for_the_whole_picture_and_beyond() {
    let mut scene = Scene::new("[[rule]]\nname = \"any\"\nkind = \"presence\"\n");
    scene.walk([(630.0, 520.0), (645.0, 530.0)]);
    scene.wait(12);
    assert_eq!(scene.list(), ["0 any begin 0", "12 any end 0"]);
}

#[test]
fn places_are_stretched_to_a_picture_of_another_size() {
    let board = board_with(EVERY_KIND);
    let mut watch = Watch::new(&board, &[(64, 48)]).unwrap();
    let small = Detection {
        score: 0.9,
        x_px: 28.0,
        y_px: 10.0,
        width_px: 4.0,
        height_px: 10.0,
        ..Detection::default()
    };
    let judged = Observation {
        camera: 0,
        model: 0,
        sequence: 0,
        capture_ns: 0,
        detections: &[small],
    };
    let mut rules = Vec::new();
    watch.take(&judged, 0, |event| rules.push(event.rule));
    assert_eq!(rules, [0, 5], "it enters the zone from 20 to 40");
}

proptest! {

    #![proptest_config(crate::proptest_cases::cases(256))]
    #[test]
    fn enter_and_leave_alternate_and_states_end_before_they_begin_again(
        walks in prop::collection::vec((
            prop::collection::vec(prop::option::weighted(0.9, (0_u16..640, 50_u16..480)), 3),
            1_u16..700,
        ), 1..80),
        debounce_ms in 0_u16..300,
    ) {
        let rules = EVERY_KIND.replace("[[rule]]\n", &format!("[[rule]]\ndebounce-ms = {debounce_ms}\n"));
        let mut scene = Scene::new(&rules);
        for (boxes, wait_ms) in walks {
            let seen: Vec<_> = boxes.iter().flatten().map(|(x, y)| at(f32::from(*x), f32::from(*y))).collect();
            scene.time_ms += u64::from(wait_ms);
            scene.show(&seen);
        }
        // Everybody goes, is forgotten, and missed.
        scene.wait(24);
        let mut inside: Vec<u64> = Vec::new();
        let mut on = [false; 7];
        for event in &scene.told {
            match (event.rule, event.phase) {
                (0, _) => {
                    prop_assert!(!inside.contains(&event.track), "{} enters twice", event.track);
                    inside.push(event.track);
                    prop_assert!(usize::from(event.members) <= 64);
                }
                (1, _) => {
                    prop_assert!(inside.contains(&event.track), "{} leaves and was not in", event.track);
                    inside.retain(|id| *id != event.track);
                }
                (2, _) => prop_assert!(inside.contains(&event.track), "{} dwells outside", event.track),
                (3, _) => prop_assert!(event.direction.is_some()),
                (rule, phase) => {
                    let was = std::mem::replace(&mut on[usize::from(rule)], phase == Phase::Begin);
                    prop_assert_eq!(was, phase == Phase::End, "rule {}", rule);
                }
            }
        }
        prop_assert!(inside.is_empty(), "{:?} never left", inside);
        prop_assert_eq!(on, [false, false, false, false, false, false, true], "only absence holds");
    }
}

#[test]
fn a_box_that_reaches_beyond_the_picture_is_in_the_zone_that_covers_it() {
    let all = "[[zone]]\nname = \"all\"\ncorners-px = [[0, 0], [640, 0], [640, 480], [0, 480]]\n";
    let rules = |anchor: &str| {
        format!(
            "{all}[[rule]]\nname = \"there\"\nkind = \"presence\"\nzone = \"all\"\nanchor = \"{anchor}\"\n"
        )
    };
    let bounds = |x_px, y_px, width_px, height_px| Detection {
        x_px,
        y_px,
        width_px,
        height_px,
        ..at(0.0, 0.0)
    };
    for anchor in ["bottom", "centre"] {
        for seen in [
            bounds(-1.0, -15.0, 643.0, 511.0),
            bounds(-300.0, 10.0, 320.0, 600.0),
            bounds(600.0, 400.0, 100.0, 200.0),
            bounds(0.0, 0.0, 640.0, 480.0),
        ] {
            let mut scene = Scene::new(&rules(anchor));
            scene.show(&[seen]);
            assert_eq!(scene.list(), ["0 there begin 0"], "{anchor}: {seen:?}");
        }
    }
}

/// What is said of each rule after a scene.
fn reasons(scene: &Scene) -> Vec<String> {
    let labels = scene.board.models[0].labels.clone();
    let counts = scene.watch.rules().zip(&scene.board.rules);
    let why = counts.map(|(counts, rule)| super::why_none(rule, &counts, &labels));
    why.map(Option::unwrap_or_default).collect()
}

#[test]
fn a_rule_that_reports_nothing_says_how_far_its_tracks_came() {
    let rule = |more: &str| format!("[[rule]]\nname = \"r\"\n{more}\n");
    let reason = |more: &str, play: fn(&mut Scene)| {
        let mut scene = Scene::new(&rule(more));
        play(&mut scene);
        assert_eq!(scene.list(), [""; 0], "{more}");
        reasons(&scene).remove(0)
    };
    let zone = "kind = \"enter\"\nzone = \"middle\"";
    let line = "kind = \"cross\"\nline = \"down\"";
    let inside = |scene: &mut Scene| scene.walk(vec![(300.0, 300.0); 4]);
    let over = |scene: &mut Scene| scene.walk(across(265.0, 345.0, 200.0));
    for (more, play, expected) in [
        (
            zone,
            (|_| {}) as fn(&mut Scene),
            "no result of camera front by model m came",
        ),
        (zone, |scene| scene.wait(3), "no track was seen"),
        (
            "kind = \"enter\"\nzone = \"middle\"\nclasses = [\"dog\"]",
            inside,
            "no dog was seen",
        ),
        (
            "kind = \"presence\"\nclasses = [\"dog\", \"person\"]",
            |scene| scene.wait(1),
            "no person or dog was seen",
        ),
        (
            zone,
            |scene| scene.show(&[at(100.0, 200.0), at(500.0, 200.0)]),
            "2 tracks, none in zone middle",
        ),
        (
            "kind = \"enter\"\nzone = \"middle\"\nmin-score = 0.95",
            inside,
            "1 there, none with min-score 0.95 (the best 0.90)",
        ),
        (
            "kind = \"enter\"\nzone = \"middle\"\nmin-age-ms = 500",
            inside,
            "1 there, none older than min-age-ms 500",
        ),
        (
            "kind = \"enter\"\nzone = \"middle\"\ndebounce-ms = 500",
            inside,
            "1 there, none for debounce-ms 500",
        ),
        (
            "kind = \"dwell\"\nzone = \"middle\"\ndwell-ms = 5000",
            inside,
            "the longest stay was 300 ms of dwell-ms 5000",
        ),
        (
            "kind = \"leave\"\nzone = \"middle\"",
            inside,
            "1 there, none has left",
        ),
        (
            "kind = \"count\"\nzone = \"middle\"\nat-least = 2",
            inside,
            "at most 1 at once, at-least 2",
        ),
        (
            "kind = \"absence\"\nzone = \"middle\"\nabsent-ms = 1000",
            |scene| scene.wait(5),
            "the longest absence was 400 ms of absent-ms 1000",
        ),
        (
            line,
            |scene| scene.walk(across(105.0, 205.0, 200.0)),
            "1 track, none crossed line down",
        ),
        (
            "kind = \"cross\"\nline = \"down\"\ndirection = \"to-right\"",
            over,
            "1 crossed, none to-right",
        ),
        (
            "kind = \"cross\"\nline = \"down\"\ndebounce-ms = 900",
            over,
            "1 there, none for debounce-ms 900",
        ),
        (
            "kind = \"cross\"\nline = \"down\"\nmin-score = 0.95",
            over,
            "1 there, none with min-score 0.95 (the best 0.90)",
        ),
    ] {
        assert_eq!(reason(more, play), expected, "{more}");
    }
    // Who reported something has no reason to give.
    let mut scene = Scene::new(EVERY_KIND);
    scene.walk(across(115.0, 455.0, 200.0));
    let counts: Vec<_> = scene.watch.rules().collect();
    assert!(
        counts
            .iter()
            .all(|counts| counts.tracks == 1 && counts.in_place == 1)
    );
    let open = reasons(&scene);
    let silent: Vec<&String> = open.iter().filter(|reason| !reason.is_empty()).collect();
    assert_eq!(silent.len(), 2, "{open:?}");
}
