//! The ladder, climbed by hand: nothing here waits for time.

use super::*;
use proptest::prelude::*;

const TIME_OUT: u64 = 1_000 * NS_PER_MS;
const EIO: SourceError = SourceError::new("VIDIOC_DQBUF", libc::EIO);
const ENODEV: SourceError = SourceError::new("VIDIOC_DQBUF", libc::ENODEV);

fn limits() -> Limits {
    Limits {
        reopens: 3,
        ..Limits::new(TIME_OUT)
    }
}

/// A supervisor that serves since `now`.
fn serving(now: u64) -> Supervisor {
    let mut supervisor = Supervisor::new(limits(), now);
    supervisor.set_in_port(true);
    assert_eq!(supervisor.next(now), Action::Restart);
    supervisor.observe(Event::Done, now);
    supervisor.observe(Event::Frame, now);
    supervisor
}

#[test]
fn it_serves_while_frames_come() {
    let mut supervisor = serving(0);
    for step in 1..1000 {
        let now = step * TIME_OUT / 2;
        supervisor.observe(Event::Frame, now);
        assert_eq!(
            supervisor.next(now),
            Action::Serve {
                until_ns: now + TIME_OUT
            }
        );
    }
    assert_eq!(supervisor.counts().time_outs, 0);
}

#[test]
fn silence_restarts_the_stream_at_the_time_out_and_not_before() {
    let mut supervisor = serving(0);
    assert_eq!(
        supervisor.next(TIME_OUT - 1),
        Action::Serve { until_ns: TIME_OUT }
    );
    assert_eq!(supervisor.next(TIME_OUT), Action::Restart);
    assert_eq!(
        supervisor.next(TIME_OUT + 5),
        Action::Restart,
        "until it is done"
    );
    assert_eq!(supervisor.trouble(), Some(Trouble::Silent));
    supervisor.observe(Event::Done, TIME_OUT + 9);
    assert_eq!(
        supervisor.next(TIME_OUT + 9),
        Action::Serve {
            until_ns: 2 * TIME_OUT + 9
        }
    );
    supervisor.observe(Event::Frame, TIME_OUT + 10);
    assert_eq!(supervisor.trouble(), None);
    let counts = supervisor.counts();
    assert_eq!((counts.time_outs, counts.restarts), (1, 2));
}

#[test]
fn an_error_restarts_and_a_device_that_is_gone_is_reopened() {
    let mut supervisor = serving(0);
    supervisor.observe(Event::Failed(EIO), 5);
    assert_eq!(supervisor.next(5), Action::Restart);
    assert_eq!(supervisor.trouble(), Some(Trouble::Failed(EIO)));

    for errno in [
        libc::ENODEV,
        libc::ENXIO,
        libc::ENOENT,
        libc::EBADF,
        libc::ESHUTDOWN,
    ] {
        let mut supervisor = serving(0);
        supervisor.observe(Event::Failed(SourceError::new("poll", errno)), 5);
        assert_eq!(supervisor.next(5), Action::Reopen);
        assert_eq!(supervisor.trouble(), Some(Trouble::Gone));
        supervisor.observe(Event::Done, 6);
        assert_eq!(
            supervisor.next(6),
            Action::Restart,
            "a reopened device is started"
        );
        supervisor.observe(Event::Done, 7);
        assert!(supervisor.serving());
    }
}

#[test]
fn damage_in_a_row_restarts_and_single_damage_does_not() {
    let mut supervisor = serving(0);
    for now in 1..1000 {
        let event = if now % 30 == 0 {
            Event::Frame
        } else {
            Event::Damaged
        };
        supervisor.observe(event, now);
        assert!(supervisor.serving(), "at {now}");
    }
    supervisor.observe(Event::Frame, 1000);
    for now in 1001..1030 {
        supervisor.observe(Event::Damaged, now);
        assert!(supervisor.serving());
    }
    supervisor.observe(Event::Damaged, 1030);
    assert_eq!(supervisor.next(1030), Action::Restart);
    assert_eq!(supervisor.trouble(), Some(Trouble::Damaged));
}

#[test]
fn frames_of_which_nothing_is_known_are_no_silence_and_forgive_nothing() {
    let mut supervisor = serving(0);
    let mut now = 0;
    for _ in 0..3 {
        for _ in 0..30 {
            now += TIME_OUT / 10;
            supervisor.observe(Event::Damaged, now);
            supervisor.observe(Event::Unproved, now);
        }
        assert_eq!(supervisor.trouble(), Some(Trouble::Damaged));
        if let Action::Rest { until_ns } = supervisor.next(now) {
            now = until_ns;
        }
        assert_eq!(supervisor.next(now), Action::Restart);
        supervisor.observe(Event::Done, now);
    }
    assert_eq!(supervisor.counts().time_outs, 0);
    for _ in 0..30 {
        supervisor.observe(Event::Damaged, now);
    }
    let Action::Rest { until_ns } = supervisor.next(now) else {
        panic!("four times in vain");
    };
    assert_eq!(supervisor.next(until_ns), Action::Reopen);
}

#[test]
fn a_stream_that_arming_started_is_served_and_counts_as_no_restart() {
    let mut supervisor = Supervisor::new(limits(), 0);
    supervisor.started(5);
    let until_ns = 5 + TIME_OUT;
    assert_eq!(supervisor.next(6), Action::Serve { until_ns });
    assert_eq!(supervisor.counts().restarts, 0);
    assert_eq!(supervisor.next(until_ns), Action::Restart);
}

#[test]
fn the_rest_doubles_from_the_second_attempt_to_its_bound() {
    let mut supervisor = serving(0);
    let mut now = 0;
    supervisor.observe(Event::Failed(ENODEV), now);
    let mut rests = Vec::new();
    for _ in 0..10 {
        let action = supervisor.next(now);
        if let Action::Rest { until_ns } = action {
            rests.push((until_ns - now) / NS_PER_MS);
            now = until_ns;
        } else {
            rests.push(0);
        }
        assert!(matches!(
            supervisor.next(now),
            Action::Reopen | Action::ResetPort
        ));
        supervisor.observe(Event::NotDone(ENODEV), now);
    }
    assert_eq!(rests, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
}

#[test]
fn restarts_in_vain_lead_to_reopening_and_that_to_a_reset_of_the_port() {
    let mut supervisor = serving(0);
    let mut now = 0;
    let mut asked = Vec::new();
    for _ in 0..12 {
        loop {
            match supervisor.next(now) {
                Action::Serve { until_ns } | Action::Rest { until_ns } => now = until_ns,
                action => {
                    asked.push(action);
                    supervisor.observe(Event::Done, now);
                    break;
                }
            }
        }
    }
    use Action::{Reopen, ResetPort, Restart};
    let expected = [
        Restart, Restart, Restart, Reopen, Restart, Reopen, Restart, Reopen, Restart, ResetPort,
        Reopen, Restart,
    ];
    assert_eq!(asked, expected);
}

#[test]
fn without_a_port_to_reset_none_is_asked_for() {
    let mut supervisor = Supervisor::new(Limits::new(TIME_OUT), 0);
    let mut now = 0;
    for _ in 0..1000 {
        match supervisor.next(now) {
            Action::Serve { until_ns } | Action::Rest { until_ns } => now = until_ns,
            Action::ResetPort => panic!("there is no port"),
            Action::Restart | Action::Reopen => {
                supervisor.observe(Event::NotDone(ENODEV), now);
            }
        }
    }
}

#[test]
fn one_frame_does_not_forgive_but_a_time_out_of_service_does() {
    let mut supervisor = serving(0);
    let mut now = 0;
    // It fails right after its first frame, again and again: it must not spin.
    for _ in 0..10 {
        supervisor.observe(Event::Failed(EIO), now);
        loop {
            match supervisor.next(now) {
                Action::Serve { .. } => break,
                Action::Rest { until_ns } => now = until_ns,
                _ => supervisor.observe(Event::Done, now),
            }
        }
        supervisor.observe(Event::Frame, now);
    }
    assert!(now >= 10_000 * NS_PER_MS, "ten failures in {now} ns");
    for _ in 0..4 {
        now += TIME_OUT / 2;
        supervisor.observe(Event::Frame, now);
    }
    supervisor.observe(Event::Failed(EIO), now);
    assert_eq!(
        supervisor.next(now),
        Action::Restart,
        "at once, as if for the first time"
    );
}

#[test]
fn a_refused_start_keeps_trying_and_says_why_in_plain_words() {
    let cases = [
        (libc::ENOSPC, Trouble::NoBandwidth, "bandwidth"),
        (libc::EBUSY, Trouble::Busy, "another process"),
        (libc::EACCES, Trouble::Denied, "permission"),
    ];
    for (errno, trouble, words) in cases {
        let mut supervisor = Supervisor::new(limits(), 0);
        supervisor.observe(
            Event::NotDone(SourceError::new("VIDIOC_STREAMON", errno)),
            0,
        );
        assert_eq!(supervisor.trouble(), Some(trouble));
        assert!(trouble.to_string().contains(words), "{trouble}");
        assert_eq!(supervisor.next(0), Action::Restart);
    }
}

fn events() -> impl Strategy<Value = Event> {
    let errno = prop_oneof![
        Just(libc::EIO),
        Just(libc::ENODEV),
        Just(libc::EBUSY),
        Just(libc::ENOSPC),
        Just(libc::EACCES),
        Just(libc::EINVAL),
        0..200_i32,
    ];
    let error = errno.prop_map(|errno| SourceError::new("any", errno));
    prop_oneof![
        Just(Event::Frame),
        Just(Event::Damaged),
        Just(Event::Repeated),
        Just(Event::Unproved),
        Just(Event::Done),
        error.clone().prop_map(Event::Failed),
        error.prop_map(Event::NotDone),
    ]
}

proptest! {

    #![proptest_config(crate::proptest_cases::cases(256))]
    #[test]
    fn whatever_happened_it_rests_within_bounds_and_comes_back_when_things_turn_good(
        history in proptest::collection::vec((events(), 0..3_000_u64, any::<bool>()), 0..300),
        reopens in 1..4_u32,
        in_port: bool,
    ) {
        let limits = Limits { reopens, ..Limits::new(TIME_OUT) };
        let mut supervisor = Supervisor::new(limits, 0);
        supervisor.set_in_port(in_port);
        let mut now = 0;
        for (event, wait_ms, ask) in history {
            now += wait_ms * NS_PER_MS;
            if ask {
                let action = supervisor.next(now);
                prop_assert_eq!(action, supervisor.next(now), "asking changes nothing");
                if let Action::Rest { until_ns } = action {
                    prop_assert!(until_ns > now && until_ns - now <= limits.longest_rest_ns);
                }
            }
            supervisor.observe(event, now);
        }
        // From here on every action succeeds and frames come: at most reset, reopen, restart.
        let mut actions = 0;
        loop {
            match supervisor.next(now) {
                Action::Serve { .. } => break,
                Action::Rest { until_ns } => {
                    prop_assert!(until_ns - now <= limits.longest_rest_ns);
                    now = until_ns;
                }
                _ => {
                    actions += 1;
                    supervisor.observe(Event::Done, now);
                }
            }
            prop_assert!(actions <= 3);
        }
        for _ in 0..100 {
            now += 33 * NS_PER_MS;
            supervisor.observe(Event::Frame, now);
            prop_assert!(supervisor.serving());
            prop_assert_eq!(supervisor.trouble(), None);
        }
        // And it is as new.
        supervisor.observe(Event::Failed(EIO), now);
        prop_assert_eq!(supervisor.next(now), Action::Restart);
    }
}
