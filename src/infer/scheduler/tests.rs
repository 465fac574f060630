//! Single decisions; what becomes of cameras under them is simulated in `tests/scheduling.rs`.

use super::*;

const UNBOUNDED: Share = Share {
    priority: 0,
    least_gap_ns: u64::MAX,
};
const EAGER: Pace = Pace {
    service_ns: 1,
    window_ns: 0,
    cameras: 0,
};

/// Frames of these stamps, of cameras that were served at these times; nothing is known of the next frames.
fn captured(stamps: &[u64], served: &[u64]) -> impl Fn(usize) -> Seen {
    |camera| Seen {
        newest_ns: stamps[camera],
        expected_ns: 0,
        served_ns: served[camera],
    }
}

#[test]
fn nothing_pending_gives_nothing() {
    let scheduler = Scheduler::new(&[UNBOUNDED; 2], EAGER).unwrap();
    let unknown = |_| Seen::default();
    assert_eq!(scheduler.next(0, 5, unknown), None);
    assert_eq!(
        scheduler.next(0b1100, 5, unknown),
        None,
        "bits beyond the cameras are not cameras"
    );
}

#[test]
fn without_stamps_it_is_round_robin() {
    for share in [
        UNBOUNDED,
        Share {
            priority: 0,
            least_gap_ns: 0,
        },
    ] {
        let scheduler = Scheduler::new(&[share; 3], EAGER).unwrap();
        let mut served = [0; 3];
        let order: Vec<_> = (1..=6)
            .map(|now| {
                let choice = scheduler.next(0b111, now, captured(&[0; 3], &served));
                let Some(Choice::Take(camera)) = choice else {
                    panic!("{choice:?}");
                };
                served[camera] = now;
                camera
            })
            .collect();
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    }
}

#[test]
fn the_freshest_frame_goes_first_and_frames_in_the_window_by_their_wait() {
    let pace = Pace {
        window_ns: 5,
        ..EAGER
    };
    let scheduler = Scheduler::new(&[UNBOUNDED; 3], pace).unwrap();
    let served = [0, 50, 0];
    let next = |pending, now| scheduler.next(pending, now, captured(&[70, 90, 80], &served));
    assert_eq!(next(0b111, 100), Some(Choice::Take(1)));
    assert_eq!(next(0b101, 100), Some(Choice::Take(2)));
    assert_eq!(
        next(0b111, 84),
        Some(Choice::Take(2)),
        "the wait decides between 1 and 2"
    );
    assert_eq!(
        scheduler.next(0b11, 108, captured(&[90, 91, 0], &served)),
        Some(Choice::Take(0)),
        "and where both are as old"
    );
}

#[test]
fn a_pressing_deadline_goes_before_a_fresher_frame_and_a_greater_priority() {
    let share = |priority| Share {
        priority,
        least_gap_ns: 50,
    };
    let pace = Pace {
        service_ns: 10,
        window_ns: 0,
        cameras: 0,
    };
    let scheduler = Scheduler::new(&[share(0), share(9)], pace).unwrap();
    let next = |now| scheduler.next(0b11, now, captured(&[0, 1], &[0, 20]));
    assert_eq!(
        next(40),
        Some(Choice::Take(1)),
        "40 + 10 meets the deadline of 50"
    );
    assert_eq!(next(41), Some(Choice::Take(0)), "41 + 10 does not");
}

/// Camera 0 has just been served and has a frame of `age_ns`; camera 1 was served long ago, and its next frame
/// comes in `wait_ns`. Camera 2, if pending, has to be served by then.
fn choice(age_ns: u64, wait_ns: u64, priorities: [u8; 2], pending: u64) -> Choice {
    const NOW: u64 = 1_000_000;
    let share = |priority, least_gap_ns| Share {
        priority,
        least_gap_ns,
    };
    let pace = Pace {
        service_ns: 1_000,
        window_ns: 400,
        cameras: 0,
    };
    let shares = [
        share(priorities[0], 10_000),
        share(priorities[1], 10_000),
        share(0, 2_600),
    ];
    let scheduler = Scheduler::new(&shares, pace).unwrap();
    let seen = |camera| Seen {
        newest_ns: NOW - if camera == 0 { age_ns } else { 8_000 },
        expected_ns: if camera == 1 { NOW + wait_ns } else { 0 },
        served_ns: if camera == 1 { NOW - 5_000 } else { NOW },
    };
    let choice = scheduler.next(pending, NOW, seen).unwrap();
    match choice {
        Choice::WaitUntil(until_ns) => {
            assert_eq!(until_ns, NOW + wait_ns + 50, "and an eighth of the window");
            Choice::WaitUntil(wait_ns)
        }
        take => take,
    }
}

#[test]
fn a_hungry_camera_is_waited_for_as_long_as_its_hunger_is_worth() {
    // Half a gap hungrier: three quarters of a service.
    assert_eq!(choice(0, 740, [0, 0], 0b01), Choice::WaitUntil(740));
    assert_eq!(choice(0, 760, [0, 0], 0b01), Choice::Take(0));
}

#[test]
fn a_frame_at_hand_that_is_too_old_is_worth_half_of_what_it_is_too_old_by() {
    // 400 are in the window, 300 of the other 600 are won.
    assert_eq!(choice(1_000, 990, [0, 0], 0b01), Choice::WaitUntil(990));
    assert_eq!(
        choice(10_000, 1_001, [0, 0], 0b01),
        Choice::Take(0),
        "no longer than a service"
    );
}

#[test]
fn no_camera_of_lower_priority_is_waited_for_and_no_deadline_is_missed_by_waiting() {
    assert_eq!(choice(0, 100, [1, 0], 0b01), Choice::Take(0));
    assert_eq!(choice(0, 100, [0, 1], 0b01), Choice::WaitUntil(100));
    // Camera 2 has to be taken and served within 2 600: a wait, camera 1's service and its own.
    assert_eq!(choice(0, 600, [0, 0], 0b101), Choice::WaitUntil(600));
    assert_eq!(choice(0, 601, [0, 0], 0b101), Choice::Take(0));
    assert_eq!(choice(0, 601, [0, 0], 0b001), Choice::WaitUntil(601));
}

#[test]
fn a_pace_counts_all_frames() {
    let spacing = |intervals: &[u64]| Pace::new(intervals.iter().copied(), 0).window_ns * 4 / 5;
    assert_eq!(spacing(&[40_000_000; 8]), 5_000_000);
    // 25, 25 and 1 frames a second.
    assert_eq!(
        spacing(&[40_000_000, 40_000_000, 1_000_000_000]),
        19_607_842
    );
    assert_eq!(
        spacing(&[40_000_000, 0]),
        40_000_000,
        "one that says no rate"
    );
    assert_eq!(spacing(&[]), 0);
}

#[test]
fn more_than_sixty_four_cameras_are_refused() {
    assert!(Scheduler::new(&[UNBOUNDED; 64], EAGER).is_some());
    assert!(Scheduler::new(&[UNBOUNDED; 65], EAGER).is_none());
}

#[test]
fn what_an_inference_takes_is_learned_and_the_gaps_with_it() {
    let pace = Pace::new([33; 4], 10_000);
    let mut scheduler = Scheduler::new(&[Share::default(); 4], pace).unwrap();
    // Camera 0 has the fresher frame, and camera 1 was served 2 500 ago.
    let seen = |camera| Seen {
        newest_ns: [5_000, 100, 0, 0][camera],
        expected_ns: 0,
        served_ns: [4_900, 2_500, 0, 0][camera],
    };
    let next = |scheduler: &Scheduler| scheduler.next(0b11, 5_000, seen);
    assert_eq!(next(&scheduler), Some(Choice::Take(0)), "its gap is 75 000");
    for _ in 0..100 {
        scheduler.learn(300);
    }
    assert_eq!(
        next(&scheduler),
        Some(Choice::Take(1)),
        "its gap is about 2 400"
    );
}
