use super::*;
use crate::units::{NS_PER_MS, NS_PER_US};
use proptest::prelude::*;

/// A frame without trouble: dequeued after 50 us, claimed 30 us later, inferred in 3 ms.
const USUAL: [u64; PARTS] = [
    50 * NS_PER_US,
    30 * NS_PER_US,
    NS_PER_MS,
    2 * NS_PER_MS,
    40 * NS_PER_US,
];

/// The way of a frame captured at one second, with these times by stage.
fn way(parts: [u64; PARTS]) -> Stamps {
    let mut now_ns = 1_000 * NS_PER_MS;
    let mut after = |ns| {
        now_ns += ns;
        now_ns
    };
    Stamps {
        capture_ns: after(0),
        dequeue_ns: after(parts[0]),
        lease_ns: after(parts[1]),
        preprocessed_ns: after(parts[2]),
        invoked_ns: after(parts[3]),
        result_ns: after(parts[4]),
    }
}

fn baseline() -> Baseline {
    let mut baseline = Baseline::new();
    for _ in 0..200 {
        baseline.record(&way(USUAL));
    }
    baseline
}

/// A frame with `extra_ns` more in one stage. The worker stood at the bell, which rang at once.
fn slow_in(stage: Stage, extra_ns: u64) -> Observed {
    let mut parts = USUAL;
    parts[stage as usize] += extra_ns;
    let stamps = way(parts);
    Observed {
        stamps,
        wakeup: Wakeup {
            free_ns: stamps.capture_ns - NS_PER_MS,
            awake_ns: Some(stamps.dequeue_ns + 25 * NS_PER_US),
            rung_ns: stamps.dequeue_ns + 5 * NS_PER_US,
        },
        ..Observed::default()
    }
}

fn set<const N: usize>(causes: [Cause; N]) -> Causes {
    causes.into_iter().collect()
}

#[track_caller]
fn assert_blamed<const N: usize>(seen: &Observed, stage: Stage, causes: [Cause; N]) -> Verdict {
    let verdict = baseline().explain(seen);
    assert_eq!((verdict.stage, verdict.causes), (stage, set(causes)));
    verdict
}

/// Counters of a worker that lost its core once in `stage`, and then waited in the run queue for so long.
fn pushed_off(stage: Stage, queued_ns: u64) -> StageCounters {
    let leased = ThreadCounters {
        queued_ns: Some(70),
        ..ThreadCounters::default()
    };
    let mut counters = StageCounters::leased(leased);
    let after = ThreadCounters {
        queued_ns: Some(70 + queued_ns),
        involuntary_switches: 1,
        ..leased
    };
    counters.slow(stage, after);
    counters.done(after);
    counters
}

#[test]
fn a_page_fault_in_the_slow_stage_is_blamed() {
    for stage in WORK {
        let mut seen = slow_in(stage, 5 * NS_PER_MS);
        seen.working.slow(
            stage,
            ThreadCounters {
                page_faults: 1,
                ..ThreadCounters::default()
            },
        );
        assert_blamed(&seen, stage, [Cause::PageFault]);
    }
}

#[test]
fn a_migration_in_the_slow_stage_is_blamed() {
    let mut seen = slow_in(Stage::Invoke, 5 * NS_PER_MS);
    seen.working.slow(
        Stage::Invoke,
        ThreadCounters {
            core: 3,
            ..ThreadCounters::default()
        },
    );
    assert_blamed(&seen, Stage::Invoke, [Cause::Migration]);
}

#[test]
fn an_involuntary_switch_is_blamed_with_the_time_it_took() {
    for stage in WORK {
        let mut seen = slow_in(stage, 5 * NS_PER_MS);
        seen.working = pushed_off(stage, 4_800 * NS_PER_US);
        let verdict = assert_blamed(&seen, stage, [Cause::InvoluntarySwitch]);
        assert_eq!(verdict.queued_ns, Some(4_800 * NS_PER_US));
        assert!(verdict.also.is_empty());
    }
}

#[test]
fn an_involuntary_switch_that_was_over_at_once_is_seen_and_not_blamed() {
    let mut seen = slow_in(Stage::Invoke, 5 * NS_PER_MS);
    seen.working = pushed_off(Stage::Invoke, 80 * NS_PER_US);
    let verdict = assert_blamed(&seen, Stage::Invoke, [Cause::Unexplained]);
    assert_eq!(verdict.also, set([Cause::InvoluntarySwitch]));
}

#[test]
fn a_wait_inside_the_model_is_blamed_where_nothing_else_is() {
    let mut seen = slow_in(Stage::Invoke, 5 * NS_PER_MS);
    let waited = ThreadCounters {
        voluntary_switches: 1,
        ..ThreadCounters::default()
    };
    seen.working.done(waited);
    assert_blamed(&seen, Stage::Invoke, [Cause::Blocked]);
    seen.working.done(ThreadCounters {
        page_faults: 1,
        voluntary_switches: 2,
        ..waited
    });
    assert_blamed(&seen, Stage::Invoke, [Cause::PageFault]);
}

#[test]
fn a_worker_that_wakes_late_after_the_bell_is_blamed() {
    let mut seen = slow_in(Stage::DequeueToLease, 6 * NS_PER_MS);
    seen.wakeup.awake_ns = Some(seen.stamps.lease_ns - 2 * NS_PER_US);
    assert_blamed(&seen, Stage::DequeueToLease, [Cause::LateWakeUp]);
}

#[test]
fn a_spinning_worker_that_lost_its_core_is_blamed_for_both() {
    let mut seen = slow_in(Stage::DequeueToLease, 6 * NS_PER_MS);
    seen.wakeup.awake_ns = Some(seen.stamps.lease_ns - 2 * NS_PER_US);
    seen.waiting.involuntary_switches = 1;
    seen.waiting.queued_ns = Some(6 * NS_PER_MS);
    let verdict = assert_blamed(
        &seen,
        Stage::DequeueToLease,
        [Cause::InvoluntarySwitch, Cause::LateWakeUp],
    );
    assert_eq!(verdict.queued_ns, Some(6 * NS_PER_MS));
}

#[test]
fn a_bell_that_rings_late_is_blamed() {
    let mut seen = slow_in(Stage::DequeueToLease, 6 * NS_PER_MS);
    seen.wakeup.rung_ns = seen.stamps.lease_ns - 30 * NS_PER_US;
    seen.wakeup.awake_ns = Some(seen.stamps.lease_ns - 2 * NS_PER_US);
    // It lost its core before the bell: that made nothing late.
    seen.waiting.involuntary_switches = 1;
    let verdict = assert_blamed(&seen, Stage::DequeueToLease, [Cause::LateBell]);
    assert_eq!(verdict.also, set([Cause::InvoluntarySwitch]));
}

#[test]
fn a_frame_that_waited_for_another_camera_s_is_blamed_on_the_busy_worker() {
    let mut seen = slow_in(Stage::DequeueToLease, 6 * NS_PER_MS);
    seen.wakeup = Wakeup {
        free_ns: seen.stamps.lease_ns - NS_PER_US,
        awake_ns: None,
        rung_ns: seen.stamps.dequeue_ns + 5 * NS_PER_US,
    };
    assert_blamed(&seen, Stage::DequeueToLease, [Cause::WorkerBusy]);
}

#[test]
fn a_bell_that_rang_for_an_older_frame_says_nothing_about_this_one() {
    let mut seen = slow_in(Stage::DequeueToLease, 6 * NS_PER_MS);
    seen.wakeup.rung_ns = seen.stamps.dequeue_ns - 7 * NS_PER_MS;
    seen.wakeup.awake_ns = Some(seen.stamps.lease_ns);
    assert_blamed(&seen, Stage::DequeueToLease, [Cause::Unexplained]);
}

#[test]
fn what_the_capture_thread_noticed_is_blamed_for_a_late_dequeue() {
    let cases: [(Remarks, &[Cause]); 5] = [
        (Remarks::LATE, &[Cause::LateDequeue]),
        (Remarks::DRIVER_GAP, &[Cause::DriverGap]),
        (
            Remarks::LATE | Remarks::DRIVER_GAP,
            &[Cause::DriverGap, Cause::LateDequeue],
        ),
        (Remarks::LATE | Remarks::BUSY, &[Cause::CaptureBusy]),
        (
            Remarks::LATE | Remarks::INVOLUNTARY_SWITCH | Remarks::PAGE_FAULT | Remarks::MIGRATION,
            &[
                Cause::PageFault,
                Cause::Migration,
                Cause::InvoluntarySwitch,
                Cause::LateDequeue,
            ],
        ),
    ];
    for (remarks, causes) in cases {
        let seen = Observed {
            remarks,
            ..slow_in(Stage::CaptureToDequeue, 9 * NS_PER_MS)
        };
        let verdict = baseline().explain(&seen);
        assert_eq!(verdict.stage, Stage::CaptureToDequeue);
        assert_eq!(verdict.causes, causes.iter().copied().collect());
        assert_eq!(verdict.queued_ns, None);
    }
}

#[test]
fn a_driver_gap_before_a_frame_that_the_model_made_late_is_seen_and_not_blamed() {
    let mut seen = slow_in(Stage::Invoke, 5 * NS_PER_MS);
    seen.remarks = Remarks::DRIVER_GAP;
    let verdict = assert_blamed(&seen, Stage::Invoke, [Cause::Unexplained]);
    assert_eq!(verdict.also, set([Cause::DriverGap]));
}

#[test]
fn a_little_more_than_usual_is_the_usual_spread_and_much_more_is_unexplained() {
    let little = slow_in(Stage::Invoke, 300 * NS_PER_US);
    assert_blamed(&little, Stage::Invoke, [Cause::UsualSpread]);
    let much = slow_in(Stage::Invoke, 5 * NS_PER_MS);
    let verdict = assert_blamed(&much, Stage::Invoke, [Cause::Unexplained]);
    assert_eq!(verdict.stage_ns, 7 * NS_PER_MS);
    assert!(verdict.typical_ns.abs_diff(2 * NS_PER_MS) < 2 * NS_PER_MS / 30);
}

#[test]
fn a_stage_without_a_look_is_answered_for_by_the_next_one_and_not_by_the_one_before() {
    let fault = ThreadCounters {
        page_faults: 1,
        ..ThreadCounters::default()
    };
    let mut counters = StageCounters::default();
    counters.slow(Stage::Preprocess, fault);
    counters.done(fault);
    assert_eq!(counters.of(Stage::Preprocess).page_faults, 1);
    assert_eq!(counters.of(Stage::Invoke).page_faults, 0);
    let mut counters = StageCounters::default();
    counters.slow(Stage::Invoke, fault);
    counters.done(fault);
    assert_eq!(counters.of(Stage::Preprocess).page_faults, 1);
    assert_eq!(counters.of(Stage::Postprocess).page_faults, 0);
}

#[test]
fn a_stage_is_long_when_it_exceeds_its_own_median() {
    let baseline = baseline();
    assert!(!baseline.is_long(Stage::Invoke, 2_200 * NS_PER_US));
    assert!(baseline.is_long(Stage::Invoke, 2_400 * NS_PER_US));
    assert!(!baseline.is_long(Stage::Postprocess, 60 * NS_PER_US));
    assert!(baseline.is_long(Stage::Postprocess, 70 * NS_PER_US));
}

#[test]
fn the_names_of_the_causes_are_the_proof_s() {
    let json = serde_json::to_value(set([Cause::LateWakeUp, Cause::PageFault])).unwrap();
    assert_eq!(json, serde_json::json!(["page_fault", "late_wake_up"]));
    for (place, cause) in Cause::ALL.into_iter().enumerate() {
        assert_eq!(cause as usize, place);
        assert_eq!(cause.name(), cause.words().replace([' ', '-'], "_"));
    }
}

fn disturbance() -> impl Strategy<Value = Disturbance> {
    (
        0..3_u64,
        any::<bool>(),
        0..3_u64,
        0..3_u64,
        proptest::option::of(0..20_000_000_u64),
    )
        .prop_map(
            |(page_faults, migrated, voluntary_switches, involuntary_switches, queued_ns)| {
                Disturbance {
                    page_faults,
                    migrated,
                    voluntary_switches,
                    involuntary_switches,
                    queued_ns,
                }
            },
        )
}

prop_compose! {
    fn observed()(
        parts in proptest::array::uniform5(0..20_000_000_u64),
        remarks in 0..64_u32,
        times in proptest::array::uniform3(900_000_000..1_100_000_000_u64),
        awake: bool,
        waiting in disturbance(),
        stages in proptest::array::uniform3(proptest::option::of(disturbance())),
        rest in disturbance(),
    ) -> Observed {
        Observed {
            camera: 0,
            sequence: 1,
            stamps: way(parts),
            remarks: Remarks::of(remarks << 8),
            wakeup: Wakeup { free_ns: times[0], awake_ns: awake.then_some(times[1]), rung_ns: times[2] },
            waiting,
            working: StageCounters { last: ThreadCounters::default(), stages, rest },
        }
    }
}

proptest! {

    #![proptest_config(crate::proptest_cases::cases(256))]
    #[test]
    fn the_stage_named_is_the_one_that_exceeds_its_median_most(seen in observed()) {
        let baseline = baseline();
        let verdict = baseline.explain(&seen);
        let excess = |stage: Stage| stage.of(&seen.stamps).saturating_sub(baseline.typical_ns(stage));
        let most = Stage::ALL[..PARTS].iter().map(|stage| excess(*stage)).max();
        prop_assert_eq!(Some(excess(verdict.stage)), most);
        prop_assert_eq!(verdict.typical_ns, baseline.typical_ns(verdict.stage));
        prop_assert_eq!(verdict.stage_ns, verdict.stage.of(&seen.stamps));
    }

    #[test]
    fn nothing_is_blamed_that_was_not_seen(seen in observed()) {
        let verdict = baseline().explain(&seen);
        let (causes, also) = (verdict.causes, verdict.also);
        prop_assert!(!causes.is_empty());
        prop_assert!(also.without(causes) == also, "blamed or seen besides, not both");
        let named = causes.with(also);
        let worked: Vec<_> = seen.working.all().chain([&seen.waiting]).collect();
        let remarked = |remark| seen.remarks.has(remark);
        for (cause, seen) in [
            (Cause::PageFault, remarked(Remarks::PAGE_FAULT) || worked.iter().any(|d| d.page_faults > 0)),
            (Cause::Migration, remarked(Remarks::MIGRATION) || worked.iter().any(|d| d.migrated)),
            (
                Cause::InvoluntarySwitch,
                remarked(Remarks::INVOLUNTARY_SWITCH) || worked.iter().any(|d| d.involuntary_switches > 0),
            ),
            (Cause::Blocked, worked.iter().any(|d| d.voluntary_switches > 0)),
            (Cause::LateWakeUp, seen.wakeup.awake_ns.is_some()),
            (Cause::WorkerBusy, seen.wakeup.free_ns > seen.stamps.dequeue_ns),
            (Cause::DriverGap, remarked(Remarks::DRIVER_GAP)),
            (Cause::LateDequeue, remarked(Remarks::LATE) && !remarked(Remarks::BUSY)),
            (Cause::CaptureBusy, remarked(Remarks::BUSY)),
        ] {
            prop_assert!(seen || !named.has(cause), "{cause:?} in {named:?}");
        }
        for alone in [Cause::Unexplained, Cause::UsualSpread] {
            prop_assert!(!also.has(alone));
            prop_assert!(!causes.has(alone) || causes == set([alone]));
        }
        if verdict.stage == Stage::CaptureToDequeue {
            prop_assert!(!causes.has(Cause::LateWakeUp) && !causes.has(Cause::Blocked));
        }
        if WORK.contains(&verdict.stage) {
            prop_assert!(!causes.has(Cause::LateDequeue) && !causes.has(Cause::WorkerBusy));
        }
    }
}
