//! Single decisions; what becomes of cameras under them is simulated in `tests/scheduling.rs`.

use super::*;

const MS: u64 = 1_000_000;
/// The time at which the tests ask.
const NOW: u64 = 1_000 * MS;

/// Cameras of 30 frames a second of these priorities, before a worker that takes 20 ms for a frame: from two of them on more
/// than it can infer.
fn scheduler(priorities: &[u8]) -> Scheduler {
    let share = |&priority: &u8| {
        Some(Share {
            priority,
            interval_ns: 33 * MS,
            least_gap_ns: 0,
        })
    };
    let shares: Vec<_> = priorities.iter().map(share).collect();
    Scheduler::new(&shares, 20 * MS, 1).unwrap()
}

/// A camera whose newest frame is `age_ms` old, and whose last one was taken `since_ms` ago when it was fresh.
fn camera(age_ms: u64, since_ms: u64) -> Seen {
    Seen {
        arrived_ns: NOW - age_ms * MS,
        expected_ns: 0,
        known_ns: NOW - since_ms * MS,
        served_ns: NOW - since_ms * MS,
    }
}

/// The same, and its next frame should be there in `wait_us`.
fn awaited(age_ms: u64, since_ms: u64, wait_us: u64) -> Seen {
    Seen {
        expected_ns: NOW + wait_us * 1_000,
        ..camera(age_ms, since_ms)
    }
}

fn choice(scheduler: &Scheduler, pending: u64, seen: &[Seen]) -> Option<Choice> {
    scheduler.next(pending, NOW, |index| seen[index])
}

#[test]
fn nothing_pending_gives_nothing() {
    let scheduler = scheduler(&[0, 0]);
    let seen = [awaited(1, 30, 100), camera(1, 30), camera(1, 30)];
    assert_eq!(choice(&scheduler, 0, &seen), None);
    assert_eq!(
        choice(&scheduler, 0b1100, &seen),
        None,
        "bits beyond the cameras are not cameras"
    );
    let others = [None, Some(Share::default())];
    let scheduler = Scheduler::new(&others, 20 * MS, 1).unwrap();
    assert_eq!(
        choice(&scheduler, 0b01, &seen),
        None,
        "nor is one that another worker serves"
    );
}

#[test]
fn without_stamps_it_serves_in_turn() {
    let scheduler = scheduler(&[0; 3]);
    let mut served = [0; 3];
    let order: Vec<_> = (1..=6)
        .map(|turn| {
            let seen = |index: usize| Seen {
                served_ns: served[index],
                ..Seen::default()
            };
            let choice = scheduler.next(0b111, NOW + turn * 20 * MS, seen);
            let Some(Choice::Take(camera)) = choice else {
                panic!("{choice:?}");
            };
            served[camera] = NOW + turn * 20 * MS;
            camera
        })
        .collect();
    assert_eq!(order, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn an_old_frame_costs_twice_what_a_long_wait_gains() {
    let scheduler = scheduler(&[0; 3]);
    let two = |one, other| choice(&scheduler, 0b11, &[one, other, camera(0, 0)]);
    assert_eq!(two(camera(10, 60), camera(0, 41)), Some(Choice::Take(1)));
    assert_eq!(two(camera(10, 60), camera(0, 39)), Some(Choice::Take(0)));
}

#[test]
fn where_all_frames_can_be_inferred_the_oldest_known_goes_first_and_none_is_waited_for() {
    let mut scheduler = scheduler(&[0; 2]);
    let seen = [awaited(10, 30, 100), camera(0, 25)];
    assert_eq!(
        choice(&scheduler, 0b10, &seen),
        Some(Choice::WaitUntil(NOW + 100_000))
    );
    for camera in [0, 1] {
        for _ in 0..100 {
            scheduler.learn(camera, 5 * MS);
        }
    }
    assert_eq!(choice(&scheduler, 0b11, &seen), Some(Choice::Take(0)));
    assert_eq!(choice(&scheduler, 0b10, &seen), Some(Choice::Take(1)));
}

/// Camera 0 has a frame of `age_ms`; that of camera 1 comes in `wait_us`. Both were served at the same time.
fn wait(age_ms: u64, wait_us: u64) -> bool {
    let seen = [camera(age_ms, 40), awaited(40, 40, wait_us)];
    match choice(&scheduler(&[0, 0]), 0b01, &seen) {
        Some(Choice::Take(0)) => false,
        Some(Choice::WaitUntil(until_ns)) => {
            assert_eq!(until_ns, NOW + wait_us * 1_000);
            true
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_frame_that_is_about_to_come_is_waited_for_as_long_as_the_one_at_hand_is_too_old() {
    // Two cameras: a wait costs five times half its length, less the half that it adds to the gain; 2 ms are won.
    assert!(wait(2, 900));
    assert!(!wait(2, 1_100));
    assert!(wait(30, 6_900));
    assert!(
        !wait(30, 7_100),
        "no longer than about a third of a service"
    );
}

#[test]
fn no_deadline_is_missed_by_a_wait_or_by_serving_another_first() {
    // A turn of 40 ms and most of an interval: 68.9 ms from one frame taken to the next.
    let scheduler = scheduler(&[0, 0]);
    let fresh = awaited(0, 40, 500);
    let next = |since_ms| choice(&scheduler, 0b11, &[fresh, camera(32, since_ms)]);
    assert_eq!(next(48), Some(Choice::Take(0)));
    assert_eq!(
        next(49),
        Some(Choice::Take(1)),
        "20 ms later it would be too late"
    );
    // Its own deadline bounds a camera's wait, too.
    let next = |since_ms| {
        choice(
            &scheduler,
            0b01,
            &[awaited(32, since_ms, 900), camera(0, 10)],
        )
    };
    assert_eq!(next(67), Some(Choice::WaitUntil(NOW + 900_000)));
    assert_eq!(next(68), Some(Choice::Take(0)));
}

#[test]
fn where_no_choice_keeps_all_deadlines_the_earliest_goes_first() {
    let scheduler = scheduler(&[0, 0, 0]);
    let seen = [camera(0, 300), camera(30, 400), camera(0, 350)];
    assert_eq!(choice(&scheduler, 0b111, &seen), Some(Choice::Take(1)));
    assert_eq!(choice(&scheduler, 0b101, &seen), Some(Choice::Take(2)));
}

#[test]
fn a_camera_that_has_nothing_and_expects_nothing_holds_nobody_up() {
    let scheduler = scheduler(&[0, 0]);
    let gone = Seen {
        arrived_ns: NOW - 900 * MS,
        expected_ns: NOW - 867 * MS,
        known_ns: NOW - 900 * MS,
        served_ns: NOW - 890 * MS,
    };
    let next = |gone| choice(&scheduler, 0b01, &[awaited(10, 40, 1_000), gone]);
    assert_eq!(next(gone), Some(Choice::WaitUntil(NOW + MS)));
}

#[test]
fn a_greater_priority_counts_as_so_many_cameras() {
    let seen = [camera(0, 30), camera(0, 20)];
    assert_eq!(
        choice(&scheduler(&[0, 0]), 0b11, &seen),
        Some(Choice::Take(0))
    );
    assert_eq!(
        choice(&scheduler(&[0, 1]), 0b11, &seen),
        Some(Choice::Take(1))
    );
}

#[test]
fn gaps_are_fair_turns_and_nearly_an_interval() {
    let share = |priority, interval_ms, least_gap_ms| {
        Some(Share {
            priority,
            interval_ns: interval_ms * MS,
            least_gap_ns: least_gap_ms * MS,
        })
    };
    let gaps = |shares: &[Option<Share>]| -> Vec<u64> {
        let scheduler = Scheduler::new(shares, 10 * MS, 1).unwrap();
        let cameras = scheduler.cameras.iter();
        cameras
            .map(|camera| camera.max_gap_ns.div_ceil(MS))
            .collect()
    };
    assert_eq!(gaps(&[share(0, 40, 0); 8]), [115; 8]);
    // All frames of two can be inferred.
    assert_eq!(gaps(&[share(0, 40, 0); 2]), [75; 2]);
    // A greater priority takes two parts of ten.
    let mut shares = vec![share(0, 40, 0); 9];
    shares[4] = share(1, 40, 0);
    assert_eq!(gaps(&shares)[3..5], [135, 85]);
    // Cameras of one frame, and one that is wanted, in a second leave all but 2 % to the six others: 60 / 0.98.
    let mut shares = vec![share(0, 40, 0); 6];
    shares.extend([share(0, 1_000, 0), share(0, 40, 1_000)]);
    assert_eq!(gaps(&shares)[5..], [97, 1_875, 1_035]);
    // Without a rate.
    assert_eq!(gaps(&[share(0, 0, 0); 2]), [20; 2]);
}

#[test]
fn more_than_sixty_four_cameras_are_refused() {
    assert!(Scheduler::new(&[Some(Share::default()); 64], MS, 1).is_some());
    assert!(Scheduler::new(&[Some(Share::default()); 65], MS, 1).is_none());
}

#[test]
fn what_an_inference_takes_is_learned_by_camera_and_the_gaps_with_it() {
    let mut scheduler = scheduler(&[0; 2]);
    for _ in 0..200 {
        scheduler.learn(1, 60 * MS);
        scheduler.learn(7, 900 * MS);
    }
    let services: Vec<_> = scheduler
        .cameras
        .iter()
        .map(|camera| camera.service_ns / MS)
        .collect();
    assert_eq!(services, [20, 59]);
    let gap_ms = scheduler.cameras[0].max_gap_ns / MS;
    assert!((107..=109).contains(&gap_ms), "{gap_ms}: 80 and 28.9");
}
