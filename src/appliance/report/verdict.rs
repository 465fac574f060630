//! The verdict on a run: which promises were kept, by what its proof says.

use super::gaps::CameraGaps;
use super::promises::Promise;
use super::proof::Proof;
use super::words::ms;
use crate::profile::Promises;
use crate::units::HowOften;

/// Names, shortened where there are many.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 4;
    let names: Vec<_> = names.collect();
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The verdict on a run, by what its proof says.
pub(crate) fn verdict(proof: &Proof, demanded: &Promises) -> Vec<Promise> {
    vec![
        accounted(proof, demanded.accounted),
        results(proof, demanded.results),
        gaps(proof, demanded.gaps),
        threads(proof, demanded.threads),
        streams(proof, demanded.streams),
        heap(proof, demanded.heap),
        faults(proof, demanded.faults),
        migrations(proof, demanded.migrations),
        memory(proof, demanded.memory),
        files(proof, demanded.files),
        losses(proof, demanded.losses),
    ]
}

fn accounted(proof: &Proof, demanded: bool) -> Promise {
    let broken = || proof.cameras.iter().filter(|camera| !camera.identity_holds);
    Promise::none_of(
        ("accounted", demanded),
        "every frame is accounted for",
        (broken().count() as u64, "ledgers that do not close"),
        || {
            let cameras = names(broken().map(|camera| &*camera.name));
            format!("THE LEDGER DOES NOT CLOSE: {cameras}; please report it with the proof")
        },
    )
}

/// A run that is shorter is over before a camera can be at fault.
const SHORT_MS: f64 = 500.0;

fn results(proof: &Proof, demanded: bool) -> Promise {
    let without = || {
        let cameras = proof.cameras.iter();
        cameras.filter(|camera| {
            camera.inferred == 0 && !(camera.may_be_absent && camera.driver_frames == 0)
        })
    };
    let mut promise = Promise::none_of(
        ("results", demanded),
        "results from every camera",
        (without().count() as u64, "without any"),
        || {
            let mends = without().take(3).map(|camera| {
                let (name, dropped) = (&camera.name, &camera.dropped);
                let most = dropped.stale.max(dropped.damaged).max(dropped.failed);
                match most {
                    _ if camera.driver_frames == 0 && proof.run_ms < SHORT_MS => {
                        format!("the run was over after {:.0} ms, before a frame of {name}", proof.run_ms)
                    }
                    _ if camera.driver_frames == 0 => format!(
                        "{name} gave no frame: its lines in the log say why (absent = \"wait\" where it may be missing)"
                    ),
                    0 => format!("{name} gave {} frames, and the end came first", camera.driver_frames),
                    most if most == dropped.stale => format!(
                        "{name}: {most} frames were too old: raise max-age-ms, or give its worker less to do"
                    ),
                    most if most == dropped.damaged => {
                        format!("{name}: {most} frames were damaged: look at cable, format and size")
                    }
                    most => format!("{name}: {most} frames failed in the model: see the log"),
                }
            });
            mends.collect::<Vec<_>>().join("; ")
        },
    );
    let absent = proof.cameras.iter();
    let absent = absent.filter(|camera| camera.may_be_absent && camera.driver_frames == 0);
    let absent = names(absent.map(|camera| &*camera.name));
    if promise.kept && !absent.is_empty() {
        promise.found = format!("but of {absent}, which never came");
    }
    promise
}

#[allow(clippy::cast_precision_loss)] // for reading
fn gaps(proof: &Proof, demanded: bool) -> Promise {
    let watched = || {
        let cameras = proof.cameras.iter();
        cameras.filter(|camera| !(camera.may_be_absent && camera.driver_frames == 0))
    };
    // The one that is nearest to its bound, or farthest above.
    let worst = watched().max_by(|one, other| {
        let share = |gaps: &CameraGaps| gaps.longest_ns as f64 / gaps.bound_ns.max(1) as f64;
        share(&one.gaps).total_cmp(&share(&other.gaps))
    });
    let gaps = worst.map(|camera| camera.gaps.clone()).unwrap_or_default();
    let above: u64 = watched().map(|camera| camera.gaps.count).sum();
    let name = worst.map_or("", |camera| &camera.name);
    let longest = format!(
        "at most {:.0} of {:.0} ms ({name})",
        ms(gaps.longest_ns),
        ms(gaps.bound_ns)
    );
    Promise {
        name: "gaps",
        kept: above == 0,
        demanded,
        promise: "results keep coming",
        measured: ms(gaps.longest_ns),
        bound: ms(gaps.bound_ns),
        unit: "ms",
        found: match above {
            0 => longest,
            above => format!(
                "{} without for longer than allowed; {name}: {:.0} ms, allowed {:.0}",
                HowOften(u32::try_from(above).unwrap_or(u32::MAX)),
                ms(gaps.longest_ns),
                ms(gaps.bound_ns)
            ),
        },
        mend: (above > 0)
            .then(|| mend_of_a_gap(gaps.longest_cause.unwrap_or("unknown")).to_owned()),
    }
}

/// What mends the cause of a gap.
fn mend_of_a_gap(cause: &str) -> &'static str {
    match cause {
        "camera_silent" => {
            "the camera delivered no sound frames: look at cable, power, bus and format"
        }
        "suspended" => "the whole program did not run: it was stopped, or the machine was",
        "stream_ended" => "its stream had ended before the others",
        "allowance" => "max-rate-hz or duty-cycle-ms let no frame through: raise max-gap-ms",
        "model" => "the model took so long: a smaller one, more threads, or raise max-gap-ms",
        "capture_stuck" => "its capture thread stood still: its lines in the log say in what",
        "capture_starved" => {
            "its capture thread did not get its core: isolate it (isolcpus=), or raise fifo-priority"
        }
        "starved" => {
            "the worker did not get its core: isolate it (isolcpus=), or raise fifo-priority"
        }
        "stuck" => "the worker stood still: its lines in the log say in what",
        "other_cameras" => {
            "the worker had other cameras to infer: more workers, max-rate-hz, or priority"
        }
        "frames_lost" => "its frames were corrupt, stale, or had no slot: see the ledger",
        _ => "raise max-gap-ms if that is as it should be",
    }
}

fn threads(proof: &Proof, demanded: bool) -> Promise {
    let times = proof.standstills.iter().map(|thread| thread.times);
    Promise::none_of(
        ("threads", demanded),
        "no thread stood still",
        (times.sum(), "standstills"),
        || {
            let threads = names(proof.standstills.iter().map(|thread| &*thread.thread));
            format!(
                "{threads}: the log says in what; a driver, a disk or a model does not come back"
            )
        },
    )
}

fn streams(proof: &Proof, demanded: bool) -> Promise {
    let broken = || {
        proof
            .cameras
            .iter()
            .filter(|camera| camera.stream_broke_off)
    };
    Promise::none_of(
        ("streams", demanded),
        "streams ended whole",
        (broken().count() as u64, "broke off"),
        || {
            let cameras = names(broken().map(|camera| &*camera.name));
            format!(
                "{cameras}: the last frame was cut, or what came is no frame; look at the writer"
            )
        },
    )
}

fn heap(proof: &Proof, demanded: bool) -> Promise {
    let quiet = &proof.after_ready;
    let calls = quiet.heap_calls.saturating_sub(quiet.arena_served) + quiet.arena_exhausted;
    Promise::none_of(
        ("heap", demanded),
        "no allocation after ready",
        (calls, "heap calls of capture and workers"),
        || {
            match quiet.arena_exhausted {
            0 => "a library calls malloc: set malloc-arena-kib = 256 in [memory], and see the proof's \
                  arena_high_water_bytes"
                .to_owned(),
            _ => format!(
                "the arena was too small: raise malloc-arena-kib in [memory] above {}",
                quiet.arena_high_water_bytes.div_ceil(1024)
            ),
        }
        },
    )
}

fn faults(proof: &Proof, demanded: bool) -> Promise {
    let quiet = &proof.after_ready;
    Promise::none_of(
        ("faults", demanded),
        "no page fault after ready",
        (
            quiet.minor_faults + quiet.major_faults,
            "page faults of capture and workers",
        ),
        || {
            "memory was not locked, or a library mapped more: LimitMEMLOCK=infinity, and on-shortage = \"refuse\"".to_owned()
        },
    )
}

fn migrations(proof: &Proof, demanded: bool) -> Promise {
    let misplaced = proof.threads.iter().filter(|thread| !thread.mask_verified);
    Promise::none_of(
        ("migrations", demanded),
        "threads stayed on their cores",
        (
            proof.after_ready.migrations + misplaced.count() as u64,
            "moves from one core to another",
        ),
        || "give each thread a core of its own: `cores` of [[worker]], `capture-core`".to_owned(),
    )
}

fn memory(proof: &Proof, demanded: bool) -> Promise {
    let memory = &proof.memory;
    let small = memory.slot_bytes.saturating_sub(memory.hugepage_bytes);
    let away = memory.misplaced_bytes.max(small);
    Promise::none_of(
        ("memory", demanded),
        "frames lie in hugepages on their node",
        (away, "bytes do not"),
        || match memory.misplaced_bytes {
            0 => "raise vm.nr_hugepages: `pinsight check` says by how many".to_owned(),
            _ => "raise nr_hugepages of that node: `pinsight check` says by how many".to_owned(),
        },
    )
}

fn files(proof: &Proof, demanded: bool) -> Promise {
    let empty = || {
        let files = proof.files.iter();
        files.filter(|file| file.is_astray || file.written == 0 && file.lost + file.failed > 0)
    };
    Promise::none_of(
        ("files", demanded),
        "every file took what it was given",
        (empty().count() as u64, "lost everything"),
        || {
            let files = names(empty().map(|file| file.argument));
            format!(
                "{files}: is the disk full, read-only or gone, or another file in its place? the log has the error"
            )
        },
    )
}

fn losses(proof: &Proof, demanded: bool) -> Promise {
    let files = proof.files.iter().map(|file| file.lost + file.failed);
    let outputs = proof.events.outputs.iter().map(|output| output.lost);
    let queued = proof.results_lost + proof.notes_lost;
    let (on_disk, sent) = (files.sum::<u64>(), outputs.sum::<u64>());
    Promise::none_of(
        ("losses", demanded),
        "no result, event, record or line was lost",
        (queued + on_disk + sent, "lost"),
        || {
            let mends = [
                (
                    queued,
                    "housekeeping came too late: raise queue-results, or give it a core",
                ),
                (on_disk, "a disk was full or too slow: see the notes below"),
                (
                    sent,
                    "an output's device did not take its events: raise queue-events",
                ),
            ];
            let mends = mends.iter().filter(|(count, _)| *count > 0);
            mends.map(|(_, mend)| *mend).collect::<Vec<_>>().join("; ")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::report::gaps::Standstills;
    use crate::appliance::report::losses::File;
    use crate::appliance::report::proof::{AfterReady, Camera, Memory, Thread};
    use crate::columns::COLUMNS;

    fn sound() -> Proof {
        let camera = Camera {
            name: "front".into(),
            driver_frames: 300,
            inferred: 290,
            identity_holds: true,
            gaps: CameraGaps {
                bound_ns: 500_000_000,
                longest_ns: 66_000_000,
                ..CameraGaps::default()
            },
            ..Camera::default()
        };
        Proof {
            cameras: vec![camera],
            memory: Memory {
                slot_bytes: 1 << 21,
                hugepage_bytes: 1 << 21,
                ..Memory::default()
            },
            ..Proof::default()
        }
    }

    fn kept(proof: &Proof) -> Vec<&'static str> {
        let promises = verdict(proof, &Promises::default());
        let kept = promises.iter().filter(|promise| promise.kept);
        kept.map(|promise| promise.name).collect()
    }

    /// Every way to break a promise breaks that one and no other.
    #[test]
    fn each_promise_is_broken_by_what_it_is_about() {
        let all = kept(&sound());
        assert_eq!(all.len(), 11);
        let lost = File {
            argument: "--record",
            lost: 3,
            written: 1,
            ..File::default()
        };
        type Break = fn(&mut Proof);
        let breaks: [(&str, Break); 12] = [
            ("accounted", |proof| proof.cameras[0].identity_holds = false),
            ("results", |proof| proof.cameras[0].inferred = 0),
            ("gaps", |proof| proof.cameras[0].gaps.count = 1),
            ("threads", |proof| {
                proof.standstills = vec![Standstills {
                    times: 1,
                    ..Standstills::default()
                }];
            }),
            ("streams", |proof| proof.cameras[0].stream_broke_off = true),
            ("heap", |proof| {
                proof.after_ready = AfterReady {
                    heap_calls: 1884,
                    ..AfterReady::default()
                };
            }),
            ("faults", |proof| proof.after_ready.major_faults = 1),
            ("migrations", |proof| proof.after_ready.migrations = 1),
            ("migrations", |proof| {
                proof.threads = vec![Thread::default()]
            }),
            ("memory", |proof| proof.memory.hugepage_bytes = 0),
            ("memory", |proof| proof.memory.misplaced_bytes = 4096),
            ("losses", |proof| proof.results_lost = 1),
        ];
        for (name, breaks) in breaks {
            let mut proof = sound();
            breaks(&mut proof);
            let expected: Vec<_> = all.iter().filter(|kept| **kept != name).collect();
            assert_eq!(kept(&proof).iter().collect::<Vec<_>>(), expected, "{name}");
            let broken = verdict(&proof, &Promises::default());
            let broken = broken.into_iter().find(|promise| !promise.kept).unwrap();
            assert!(broken.mend.is_some_and(|mend| mend.len() > 10), "{name}");
        }
        let mut proof = sound();
        proof.files = vec![lost.clone()];
        assert!(kept(&proof).contains(&"files") && !kept(&proof).contains(&"losses"));
        proof.files = vec![File {
            written: 0,
            ..lost.clone()
        }];
        assert!(!kept(&proof).contains(&"files"));
        proof.files = vec![File {
            is_astray: true,
            lost: 0,
            ..lost
        }];
        assert!(!kept(&proof).contains(&"files"));
    }

    #[test]
    fn a_camera_that_need_not_be_there_and_never_was_breaks_nothing() {
        let mut proof = sound();
        let absent = Camera {
            name: "back".into(),
            identity_holds: true,
            may_be_absent: true,
            gaps: CameraGaps {
                count: 1,
                ..CameraGaps::default()
            },
            ..Camera::default()
        };
        proof.cameras.push(absent);
        assert_eq!(kept(&proof).len(), 11);
        let found = &verdict(&proof, &Promises::default())[1].found;
        assert_eq!(found, "but of back, which never came");
        proof.cameras[1].may_be_absent = false;
        assert!(!kept(&proof).contains(&"results"));
    }

    #[test]
    fn what_is_served_by_an_arena_is_no_heap_call() {
        let mut proof = sound();
        proof.after_ready.heap_calls = 20;
        proof.after_ready.arena_served = 20;
        assert!(kept(&proof).contains(&"heap"));
        proof.after_ready.arena_exhausted = 1;
        assert!(!kept(&proof).contains(&"heap"));
    }

    #[test]
    fn every_line_is_at_most_80_columns_wide() {
        let mut proof = Proof::default();
        for index in 0..9 {
            proof.cameras.push(Camera {
                name: format!("a-camera-with-a-long-name-{index}"),
                ..Camera::default()
            });
        }
        proof.after_ready.heap_calls = 1884;
        proof.results_lost = u64::MAX / 4;
        proof.promises = verdict(&proof, &Promises::default());
        let text = proof.to_string();
        let lines = text.lines().take_while(|line| !line.is_empty()).skip(3);
        for line in lines {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
        assert!(
            text.contains("FAIL  no allocation after ready: 1884 heap calls"),
            "{text}"
        );
    }
}
