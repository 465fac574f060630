//! The contract of frame sources, on those that need no kernel; and the failure ladder over them.

#[path = "capture/contract.rs"]
mod contract;
#[path = "capture/stage.rs"]
mod stage;

use contract::SLOTS;
use pinsight::capture::faults::{FaultPlan, Faults, UnarmedFaults};
use pinsight::capture::health::supervisor::{Action, Event, Limits, Supervisor};
use pinsight::capture::health::timestamps::Timestamps;
use pinsight::capture::synthetic::image::{ImageConfig, UnarmedImage};
use pinsight::capture::synthetic::pattern::{Level, PatternConfig, UnarmedPattern, read_number};
use pinsight::capture::{
    ArmError, FrameSource, NotArmed, SlotHome, Slots, SourceError, UnarmedSource,
};
use pinsight::frame::PixelFormat;
use pinsight::units::{NS_PER_MS, NS_PER_S};
use stage::{Clock, Region, Stage, arm};
use std::path::Path;

const INTERVAL: u64 = 33_333_333;

fn simulated() -> Clock {
    Clock::Simulated(5 * NS_PER_S)
}

fn pattern(pixel: PixelFormat) -> Box<UnarmedPattern> {
    sized_pattern(pixel, 200, 75)
}

fn sized_pattern(pixel: PixelFormat, width_px: u32, height_px: u32) -> Box<UnarmedPattern> {
    let config = PatternConfig {
        pixel,
        width_px,
        height_px,
        interval_ns: INTERVAL,
        level: Level::Percent75,
    };
    Box::new(UnarmedPattern::new(config).unwrap())
}

fn photograph(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("photo.png");
    let colour =
        |x: u32, y: u32| image::Rgb([x, y, x ^ y].map(|value| u8::try_from(value & 255).unwrap()));
    image::RgbImage::from_fn(120, 90, colour)
        .save(&path)
        .unwrap();
    path
}

fn panned(path: &Path, pixel: PixelFormat) -> Box<UnarmedImage> {
    let config = ImageConfig {
        path: path.to_owned(),
        scale: 2,
        pan_px: 3,
        pixel,
        width_px: 161,
        height_px: 99,
        interval_ns: INTERVAL,
        phase_ns: None,
    };
    Box::new(UnarmedImage::open(&config).unwrap())
}

#[test]
fn the_pattern_keeps_the_contract() {
    for pixel in PixelFormat::RAW {
        contract::check(pixel.name(), || arm(pattern(pixel), SLOTS, simulated()));
    }
}

#[test]
fn the_photograph_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = photograph(folder.path());
    for pixel in PixelFormat::RAW {
        contract::check(pixel.name(), || {
            arm(panned(&path, pixel), SLOTS, simulated())
        });
    }
}

/// A still camera with a phase, armed at whatever time.
fn phased(path: &Path, phase_ns: Option<u64>, pan_px: u32, start_ns: u64) -> Stage {
    let config = ImageConfig {
        path: path.to_owned(),
        scale: 2,
        pan_px,
        pixel: PixelFormat::Nv12,
        width_px: 160,
        height_px: 98,
        interval_ns: INTERVAL,
        phase_ns,
    };
    let unarmed = Box::new(UnarmedImage::open(&config).unwrap());
    arm(unarmed, SLOTS, Clock::Simulated(start_ns))
}

#[test]
fn frames_of_a_camera_with_a_phase_are_due_at_that_phase_whenever_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = photograph(folder.path());
    for phase in [0, 1, INTERVAL / 3, INTERVAL - 1] {
        for start in [
            5 * NS_PER_S,
            5 * NS_PER_S + 12_345_678,
            7 * INTERVAL + phase,
        ] {
            let mut stage = phased(&path, Some(phase), 3, start);
            stage.queue_all();
            stage.start().unwrap();
            let mut last = start;
            for number in 0..20 {
                let frame = stage.next_frame();
                assert_eq!(frame.sequence, number);
                assert_eq!((frame.capture_ns - phase) % INTERVAL, 0, "{phase} {start}");
                assert!(frame.capture_ns > last && frame.capture_ns <= last + INTERVAL);
                last = frame.capture_ns;
                stage.queue(frame.slot).unwrap();
            }
        }
    }
    let start = 5 * NS_PER_S + 7;
    let mut stage = phased(&path, None, 3, start);
    stage.queue_all();
    stage.start().unwrap();
    let first = stage.next_frame();
    assert_eq!(
        first.capture_ns,
        start + INTERVAL,
        "without one it counts from the start"
    );
}

#[test]
fn a_picture_that_does_not_move_is_painted_once_into_each_slot() {
    let folder = tempfile::tempdir().unwrap();
    let path = photograph(folder.path());
    for (pan_px, painted_again) in [(0, false), (4, true)] {
        let mut stage = phased(&path, None, pan_px, 5 * NS_PER_S);
        stage.queue_all();
        stage.start().unwrap();
        let first = stage.next_frame();
        let before = stage.picture(&first).to_vec();
        stage.mark(first.slot);
        stage.queue(first.slot).unwrap();
        let again = std::iter::repeat_with(|| stage.next_frame())
            .take(SLOTS)
            .last()
            .unwrap();
        assert_eq!(again.slot, first.slot);
        let after = stage.picture(&again);
        assert_eq!(after[0] == !before[0], !painted_again, "pan-px = {pan_px}");
    }
}

#[test]
fn a_fault_source_without_faults_keeps_the_contract() {
    contract::check("faults", || {
        let unarmed = UnarmedFaults::new(pattern(PixelFormat::Nv12), FaultPlan::default());
        arm(Box::new(unarmed), SLOTS, simulated())
    });
}

#[test]
fn every_frame_of_the_pattern_carries_its_sequence_number() {
    let mut stage = arm(pattern(PixelFormat::Nv12), SLOTS, simulated());
    let format = stage.source.format();
    stage.queue_all();
    stage.start().unwrap();
    for round in 0..200 {
        let frame = stage.next_frame();
        assert_eq!(
            read_number(&format, stage.picture(&frame)),
            Some(frame.sequence)
        );
        assert!(frame.capture_ns <= stage.now());
        if round % 50 == 49 {
            stage.pass(700 * NS_PER_MS);
        }
        stage.queue(frame.slot).unwrap();
    }
}

#[test]
fn slots_that_do_not_suit_are_refused_with_the_reason() {
    let unarmed = pattern(PixelFormat::Nv12);
    let expected_bytes = unarmed.format().size_bytes as usize;
    let region = Region::new(1 << 21);
    let refuse = |slots: Slots<'_>| {
        let Err(NotArmed { source, error }) = pattern(PixelFormat::Nv12).arm(slots) else {
            panic!("it was armed");
        };
        assert_eq!(
            source.slot_home(),
            SlotHome::Caller,
            "the source comes back"
        );
        error
    };
    assert_eq!(
        refuse(Slots::Source(4)),
        ArmError::Home {
            expected: SlotHome::Caller
        }
    );
    assert_eq!(
        refuse(Slots::Caller(&[])),
        ArmError::Count {
            found: 0,
            most: 512
        }
    );
    let short = region.slots(3, expected_bytes - 1);
    let error = refuse(Slots::Caller(&short));
    assert_eq!(
        error,
        ArmError::Short {
            slot: 0,
            found_bytes: expected_bytes - 1,
            expected_bytes
        }
    );
    let many = vec![region.slots(1, expected_bytes)[0]; 513];
    assert_eq!(
        refuse(Slots::Caller(&many)),
        ArmError::Count {
            found: 513,
            most: 512
        }
    );
}

/// What a capture thread does for one camera, with nobody behind it: every frame's slot is free at once.
struct Watch<S> {
    stage: Stage<S>,
    supervisor: Supervisor,
    continuity: Timestamps,
    frames: u64,
    damaged: u64,
    /// Longest time from one good frame to the next.
    longest_gap_ns: u64,
    last_frame_ns: u64,
}

const TIME_OUT: u64 = 300 * NS_PER_MS;

impl<S: FrameSource> Watch<S> {
    fn new(stage: Stage<S>) -> Self {
        let now = stage.now();
        Self {
            supervisor: Supervisor::new(Limits::new(TIME_OUT), now),
            continuity: Timestamps::new(INTERVAL),
            frames: 0,
            damaged: 0,
            longest_gap_ns: 0,
            last_frame_ns: now,
            stage,
        }
    }

    fn turn(&mut self) {
        match self.supervisor.next(self.stage.now()) {
            Action::Serve { until_ns } => {
                let readiness = self.stage.source.readiness();
                self.stage.clock.wait(readiness, until_ns);
                self.serve();
            }
            Action::Restart => {
                let outcome = self.restart();
                self.report(outcome);
            }
            Action::Reopen => {
                let _ = self.stage.stop();
                let outcome = self.stage.reopen();
                self.report(outcome);
            }
            Action::ResetPort => panic!("there is no port"),
            Action::Rest { until_ns } => {
                let now = self.stage.now();
                self.stage.pass(until_ns - now);
            }
        }
    }

    fn restart(&mut self) -> Result<(), SourceError> {
        let _ = self.stage.stop();
        for slot in 0..self.stage.lent.len() {
            self.stage.queue(u16::try_from(slot).unwrap())?;
        }
        self.stage.start()?;
        self.continuity.restarted(self.stage.now());
        Ok(())
    }

    fn report(&mut self, outcome: Result<(), SourceError>) {
        let event = outcome.map_or_else(Event::NotDone, |()| Event::Done);
        self.supervisor.observe(event, self.stage.now());
    }

    fn serve(&mut self) {
        let event = match self.stage.dequeue() {
            Ok(None) => return,
            Ok(Some(frame)) => {
                let now = self.stage.now();
                let verdict = self.continuity.check(&frame, now);
                assert!(verdict.capture_ns <= now, "a frame of the future");
                let whole = frame.bytes_used >= self.stage.source.format().size_bytes;
                let lent_again = self.stage.queue(frame.slot);
                if let Err(error) = lent_again {
                    self.supervisor.observe(Event::Failed(error), now);
                }
                if frame.damaged || !whole {
                    self.damaged += 1;
                    Event::Damaged
                } else {
                    self.frames += 1;
                    self.longest_gap_ns = self.longest_gap_ns.max(now - self.last_frame_ns);
                    self.last_frame_ns = now;
                    Event::Frame
                }
            }
            Err(error) => Event::Failed(error),
        };
        self.supervisor.observe(event, self.stage.now());
    }
}

fn watched(plan: &str) -> Watch<Faults<Box<dyn FrameSource>>> {
    let stage = arm(sized_pattern(PixelFormat::Nv12, 16, 16), SLOTS, simulated());
    let plan: FaultPlan = plan.parse().unwrap();
    Watch::new(stage.map(|source| Faults::new(source, plan)))
}

#[test]
fn under_every_fault_at_once_the_stream_comes_back_and_the_sums_close() {
    for seed in 0..8 {
        let plan = format!(
            "seed={seed},drop=0.02,damage=0.02,short=0.01,delay=0.01,stall=0.002,loss=0.002,\
             jump=0.002,error=0.002"
        );
        let mut watch = watched(&plan);
        while watch.frames < 5_000 {
            watch.turn();
        }
        let counts = *watch.stage.source.counts();
        let judged = watch.continuity.counts().frames;
        assert_eq!(judged, watch.frames + watch.damaged);
        // Each frame of the wrapped source was given on, swallowed, taken along by a loss, or was still
        // on its way when the stream was stopped.
        let swallowed = counts.dropped + counts.stalls + counts.stalled + counts.losses;
        let underway = counts.frames - swallowed - judged;
        assert!(
            underway <= counts.delayed,
            "{underway} frames unaccounted for: {counts:?}"
        );
        for (fault, happened) in [
            ("drop", counts.dropped),
            ("damage", counts.damaged),
            ("short", counts.short),
            ("delay", counts.delayed),
            ("stall", counts.stalls),
            ("loss", counts.losses),
            ("jump", counts.jumps),
            ("error", counts.errors),
        ] {
            assert!(
                happened > 0,
                "the fault {fault} never happened with seed {seed}"
            );
        }
        let rests = Limits::new(TIME_OUT).longest_rest_ns;
        assert!(
            watch.longest_gap_ns < 4 * (rests + TIME_OUT),
            "{} ns",
            watch.longest_gap_ns
        );
    }
}

/// What this process holds: open files, mappings, threads, and resident KiB.
fn holdings() -> [usize; 4] {
    let count = |path: &str| std::fs::read_dir(path).unwrap().count();
    let text = |path: &str| std::fs::read_to_string(path).unwrap();
    let status = text("/proc/self/status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident_kib = resident.unwrap().trim().trim_end_matches(" kB");
    [
        count("/proc/self/fd"),
        text("/proc/self/maps").lines().count(),
        count("/proc/self/task"),
        resident_kib.parse().unwrap(),
    ]
}

#[test]
fn ten_thousand_losses_of_the_device_leave_files_slots_and_memory_as_they_were() {
    const ALONE: &str = "PINSIGHT_TEST_ALONE";
    // Other tests of this process open files and take memory of their own: this one counts in a process
    // that runs nothing else.
    if std::env::var_os(ALONE).is_none() {
        let name = "ten_thousand_losses_of_the_device_leave_files_slots_and_memory_as_they_were";
        let ran = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads", "1"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        let why = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{said}\n{why}");
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    let mut watch = watched("seed=3,loss=0.3,loss-ms=40");
    let slots = watch.stage.source.slots().to_vec();
    while watch.supervisor.counts().reopens < 100 {
        watch.turn();
    }
    let hot = pinsight::sys::malloc_guard::register_hot().unwrap();
    let before = holdings();
    let guard = pinsight::sys::malloc_guard::guard_on();
    while watch.supervisor.counts().reopens < 10_000 {
        watch.turn();
    }
    drop(guard);
    assert_eq!(hot.counts().calls, 0);
    let after = holdings();
    println!("files, mappings, threads, resident KiB: {before:?}, then {after:?}");
    assert_eq!(after[..3], before[..3]);
    assert!(after[3] < before[3] + 256, "{before:?}, then {after:?}");
    assert_eq!(watch.stage.source.slots(), slots);
    assert!(watch.frames > 10_000);
    let losses = watch.stage.source.counts().losses;
    assert!(watch.supervisor.counts().reopens.abs_diff(losses) <= 1);
}

#[test]
fn the_same_seed_fails_the_same_way() {
    let run = |seed: u64| {
        let mut watch = watched(&format!(
            "seed={seed},drop=0.1,damage=0.1,loss=0.01,stall=0.01"
        ));
        while watch.frames < 500 {
            watch.turn();
        }
        (*watch.stage.source.counts(), watch.stage.now())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn after_arming_no_call_enters_the_heap_whatever_goes_wrong() {
    let mut watch = watched(
        "drop=0.02,damage=0.02,short=0.01,delay=0.01,stall=0.005,loss=0.005,jump=0.01,error=0.005",
    );
    let folder = tempfile::tempdir().unwrap();
    let path = photograph(folder.path());
    let mut panned = Watch::new(arm(panned(&path, PixelFormat::Yuyv), SLOTS, simulated()));
    let hot = pinsight::sys::malloc_guard::register_hot().unwrap();
    let guard = pinsight::sys::malloc_guard::guard_on();
    while watch.frames < 3_000 {
        watch.turn();
    }
    while panned.frames < 300 {
        panned.turn();
    }
    drop(guard);
    assert_eq!(hot.counts().calls, 0);
    let counts = watch.supervisor.counts();
    assert!(counts.restarts > 10 && counts.reopens > 5 && counts.failed_attempts > 5);
}
