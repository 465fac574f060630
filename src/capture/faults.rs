//! Faults on demand: wraps any source, and makes it drop, delay, damage, stall, vanish and lie, as often
//! as asked, the same way for the same seed.

use super::{
    Dequeue, Dequeued, FrameSource, MemoryKeeper, NotArmed, Readiness, SlotHome, SlotMemory, Slots,
    SourceError, Traits, UnarmedSource,
};
use crate::frame::StreamFormat;
use crate::limits::MAX_SLOTS;
use crate::units::NS_PER_MS;
use nix::libc;
use std::time::Duration;

/// How often each fault happens, and how long it lasts. Chances are per frame, 0..=1, except `error`.
///
/// As text: `seed=7,drop=0.01,damage=0.01`; a key that is not named is 0, times have the defaults below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultPlan {
    /// `seed`: start of the pseudo-random sequence.
    pub seed: u64,
    /// `drop`: the frame is lost, its sequence number is missing.
    pub drop: f64,
    /// `damage`: the frame is marked as damaged.
    pub damage: f64,
    /// `short`: half of the frame is missing.
    pub short: f64,
    /// `delay`: the frame comes `delay-ms` later (default 50).
    pub delay: f64,
    /// `delay-ms`
    pub delay_ms: u64,
    /// `stall`: from this frame on nothing comes for `stall-ms` (default 500).
    pub stall: f64,
    /// `stall-ms`
    pub stall_ms: u64,
    /// `loss`: the device is gone, and cannot be reopened for `loss-ms` (default 500).
    pub loss: f64,
    /// `loss-ms`
    pub loss_ms: u64,
    /// `jump`: the source's clock jumps `jump-ms` (default 1000) ahead or back, and stays there.
    pub jump: f64,
    /// `jump-ms`
    pub jump_ms: u64,
    /// `hang`: the call that takes the frame does not come back for `hang-ms` (default 3600000).
    pub hang: f64,
    /// `hang-ms`
    pub hang_ms: u64,
    /// `die`: the thread that takes the frame panics.
    pub die: f64,
    /// `error`: a call of `start`, `queue`, `dequeue`, `stop` or `reopen` fails with EIO.
    pub error: f64,
}

impl Default for FaultPlan {
    fn default() -> Self {
        Self {
            seed: 1,
            drop: 0.0,
            damage: 0.0,
            short: 0.0,
            delay: 0.0,
            delay_ms: 50,
            stall: 0.0,
            stall_ms: 500,
            loss: 0.0,
            loss_ms: 500,
            jump: 0.0,
            jump_ms: 1000,
            hang: 0.0,
            hang_ms: 3_600_000,
            die: 0.0,
            error: 0.0,
        }
    }
}

impl FaultPlan {
    /// The plan for the camera `index` of several: the same faults, each camera at its own times.
    #[must_use]
    pub fn of_camera(self, index: usize) -> Self {
        Self {
            seed: self.seed.wrapping_add(index as u64),
            ..self
        }
    }
}

impl FaultPlan {
    /// Every chance, by its key.
    fn chances(&mut self) -> [(&'static str, &mut f64); 10] {
        [
            ("drop", &mut self.drop),
            ("damage", &mut self.damage),
            ("short", &mut self.short),
            ("delay", &mut self.delay),
            ("stall", &mut self.stall),
            ("loss", &mut self.loss),
            ("jump", &mut self.jump),
            ("hang", &mut self.hang),
            ("die", &mut self.die),
            ("error", &mut self.error),
        ]
    }

    /// Every time, by its key.
    fn times_ms(&mut self) -> [(&'static str, &mut u64); 5] {
        [
            ("delay-ms", &mut self.delay_ms),
            ("stall-ms", &mut self.stall_ms),
            ("loss-ms", &mut self.loss_ms),
            ("jump-ms", &mut self.jump_ms),
            ("hang-ms", &mut self.hang_ms),
        ]
    }
}

/// As it is read: the seed, and what is not the default.
impl std::fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (mut own, mut default) = (*self, Self::default());
        write!(f, "seed={}", self.seed)?;
        for (key, chance) in own.chances() {
            if *chance > 0.0 {
                write!(f, ",{key}={chance}")?;
            }
        }
        for ((key, ms), (_, default_ms)) in own.times_ms().into_iter().zip(default.times_ms()) {
            if ms != default_ms {
                write!(f, ",{key}={ms}")?;
            }
        }
        Ok(())
    }
}

/// A fault plan that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found `{found}`, expected {expected}")]
pub struct FaultPlanError {
    /// The part between commas.
    pub found: String,
    /// What was expected there.
    pub expected: &'static str,
}

const KEYS: &str = "KEY=VALUE with a key of seed, drop, damage, short, delay, delay-ms, stall, stall-ms, \
                    loss, loss-ms, jump, jump-ms, hang, hang-ms, die, error";

impl std::str::FromStr for FaultPlan {
    type Err = FaultPlanError;

    fn from_str(text: &str) -> Result<Self, FaultPlanError> {
        let mut plan = Self::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let error = |expected| FaultPlanError {
                found: part.to_owned(),
                expected,
            };
            let (key, value) = part.split_once('=').ok_or_else(|| error(KEYS))?;
            if key == "seed" {
                plan.seed = value.parse().map_err(|_| error("a whole number"))?;
            } else if let Some((_, chance)) =
                plan.chances().into_iter().find(|(name, _)| *name == key)
            {
                let found = value
                    .parse()
                    .ok()
                    .filter(|found| (0.0..=1.0).contains(found));
                *chance = found.ok_or_else(|| error("a chance of 0 to 1"))?;
            } else if let Some((_, ms)) = plan.times_ms().into_iter().find(|(name, _)| *name == key)
            {
                let found = value.parse().map_err(|_| error("a whole number"))?;
                if !(1..=3_600_000).contains(&found) {
                    return Err(error("1 to 3600000 milliseconds"));
                }
                *ms = found;
            } else {
                return Err(error(KEYS));
            }
        }
        Ok(plan)
    }
}

/// How often each fault has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FaultCounts {
    /// Frames taken from the wrapped source.
    pub frames: u64,
    /// Frames dropped.
    pub dropped: u64,
    /// Frames marked as damaged.
    pub damaged: u64,
    /// Frames cut short.
    pub short: u64,
    /// Frames delayed.
    pub delayed: u64,
    /// Stalls.
    pub stalls: u64,
    /// Frames swallowed by a stall.
    pub stalled: u64,
    /// Losses of the device.
    pub losses: u64,
    /// Jumps of the clock.
    pub jumps: u64,
    /// Calls refused.
    pub errors: u64,
}

/// Pseudo-random numbers.
///
/// # Source
/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Clone, Copy, Debug)]
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// True with probability `chance`. Draws a number in any case, so that one fault's chance does not
    /// change when another one happens.
    fn happens(&mut self, chance: f64) -> bool {
        // 53 bits fit an f64 exactly.
        #[allow(clippy::cast_precision_loss)]
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        uniform < chance
    }
}

/// A source that fails as planned.
#[derive(Debug)]
pub struct Faults<S> {
    inner: S,
    plan: FaultPlan,
    random: SplitMix,
    /// A delayed frame, and when it comes.
    held: Option<(Dequeued, u64)>,
    stalled_until_ns: u64,
    /// The device is gone, and can be reopened from then on.
    gone_until_ns: Option<u64>,
    clock_offset_ms: i64,
    counts: FaultCounts,
}

/// What becomes of one frame.
enum Fate {
    Given(Dequeued),
    /// Lost; its slot is to be queued again.
    Swallowed,
    Delayed,
    Gone,
}

impl<S: FrameSource> Faults<S> {
    /// Wraps `inner`.
    pub fn new(inner: S, plan: FaultPlan) -> Self {
        Self {
            inner,
            plan,
            random: SplitMix(plan.seed),
            held: None,
            stalled_until_ns: 0,
            gone_until_ns: None,
            clock_offset_ms: 0,
            counts: FaultCounts::default(),
        }
    }

    /// What has happened so far.
    pub const fn counts(&self) -> &FaultCounts {
        &self.counts
    }

    /// The call's own chance to fail.
    fn refuse(&mut self, operation: &'static str) -> Result<(), SourceError> {
        if self.gone_until_ns.is_some() {
            return Err(SourceError::new(operation, libc::ENODEV));
        }
        if self.random.happens(self.plan.error) {
            self.counts.errors += 1;
            return Err(SourceError::new(operation, libc::EIO));
        }
        Ok(())
    }

    fn fate(&mut self, mut frame: Dequeued, now_ns: u64) -> Fate {
        let Self {
            plan,
            random,
            counts,
            ..
        } = self;
        counts.frames += 1;
        // No number is drawn for what the plan leaves out: other plans stay what they were.
        if plan.hang > 0.0 && random.happens(plan.hang) {
            std::thread::sleep(Duration::from_millis(plan.hang_ms));
        }
        assert!(
            plan.die == 0.0 || !random.happens(plan.die),
            "as the plan of faults asked for"
        );
        if frame.capture_ns < self.stalled_until_ns {
            counts.stalled += 1;
            return Fate::Swallowed;
        }
        if random.happens(plan.loss) {
            counts.losses += 1;
            self.gone_until_ns = Some(now_ns.saturating_add(plan.loss_ms * NS_PER_MS));
            return Fate::Gone;
        }
        if random.happens(plan.stall) {
            counts.stalls += 1;
            self.stalled_until_ns = now_ns.saturating_add(plan.stall_ms * NS_PER_MS);
            return Fate::Swallowed;
        }
        if random.happens(plan.drop) {
            counts.dropped += 1;
            return Fate::Swallowed;
        }
        if random.happens(plan.damage) {
            counts.damaged += 1;
            frame.damaged = true;
        }
        if random.happens(plan.short) {
            counts.short += 1;
            frame.bytes_used /= 2;
        }
        if random.happens(plan.jump) {
            counts.jumps += 1;
            let step = i64::try_from(plan.jump_ms).unwrap_or(i64::MAX);
            let step = if random.next() & 1 == 0 { step } else { -step };
            self.clock_offset_ms = self.clock_offset_ms.saturating_add(step);
        }
        let offset_ns = self
            .clock_offset_ms
            .unsigned_abs()
            .saturating_mul(NS_PER_MS);
        frame.capture_ns = if self.clock_offset_ms < 0 {
            frame.capture_ns.saturating_sub(offset_ns)
        } else {
            frame.capture_ns.saturating_add(offset_ns)
        };
        if random.happens(plan.delay) {
            counts.delayed += 1;
            self.held = Some((frame, now_ns.saturating_add(plan.delay_ms * NS_PER_MS)));
            return Fate::Delayed;
        }
        Fate::Given(frame)
    }
}

impl<S: FrameSource> FrameSource for Faults<S> {
    fn format(&self) -> StreamFormat {
        self.inner.format()
    }

    fn slots(&self) -> &[SlotMemory] {
        self.inner.slots()
    }

    fn keeper(&self) -> Option<MemoryKeeper> {
        self.inner.keeper()
    }

    fn start(&mut self, now_ns: u64) -> Result<(), SourceError> {
        self.refuse("start")?;
        self.inner.start(now_ns)
    }

    fn queue(&mut self, slot: u16, now_ns: u64) -> Result<(), SourceError> {
        if let Some((frame, _)) = self.held
            && frame.slot == slot
        {
            return Err(SourceError::new("queue", libc::EINVAL));
        }
        self.refuse("queue")?;
        self.inner.queue(slot, now_ns)
    }

    fn dequeue(&mut self, now_ns: u64) -> Result<Dequeue, SourceError> {
        self.refuse("dequeue")?;
        if let Some((frame, until_ns)) = self.held {
            if now_ns < until_ns {
                return Ok(Dequeue::NotReady);
            }
            self.held = None;
            return Ok(Dequeue::Frame(frame));
        }
        // Swallowed frames go back to the source, which fills each slot once more at most before it is
        // this loop's turn again.
        for _ in 0..MAX_SLOTS {
            let frame = match self.inner.dequeue(now_ns)? {
                Dequeue::Frame(frame) => frame,
                nothing @ (Dequeue::NotReady | Dequeue::Ended) => return Ok(nothing),
            };
            match self.fate(frame, now_ns) {
                Fate::Given(frame) => return Ok(Dequeue::Frame(frame)),
                Fate::Delayed => return Ok(Dequeue::NotReady),
                Fate::Gone => return Err(SourceError::new("dequeue", libc::ENODEV)),
                Fate::Swallowed => {
                    if self.inner.queue(frame.slot, now_ns).is_err() {
                        // It would be nobody's slot.
                        return Ok(Dequeue::Frame(Dequeued {
                            damaged: true,
                            ..frame
                        }));
                    }
                }
            }
        }
        Ok(Dequeue::NotReady)
    }

    fn readiness(&self) -> Readiness {
        if self.gone_until_ns.is_some() {
            // As poll(2) does with a device that is gone: there is something to learn at once.
            return Readiness::At(0);
        }
        match (self.held, self.inner.readiness()) {
            (Some((_, until_ns)), _) => Readiness::At(until_ns),
            (None, Readiness::At(due_ns)) => Readiness::At(due_ns),
            (None, fd @ Readiness::Fd(_)) => fd,
        }
    }

    fn traits(&self) -> Traits {
        self.inner.traits()
    }

    fn broke_off(&self) -> bool {
        self.inner.broke_off()
    }

    fn stop(&mut self) -> Result<(), SourceError> {
        self.held = None;
        self.stalled_until_ns = 0;
        let stopped = self.inner.stop();
        self.refuse("stop")?;
        stopped
    }

    fn reopen(&mut self, now_ns: u64) -> Result<(), SourceError> {
        self.held = None;
        self.stalled_until_ns = 0;
        if let Some(until_ns) = self.gone_until_ns {
            if now_ns < until_ns {
                // Its slots are the caller's again; with the device gone there is nothing else to stop.
                let _ = self.inner.stop();
                return Err(SourceError::new("open", libc::ENOENT));
            }
            self.gone_until_ns = None;
        }
        self.clock_offset_ms = 0;
        self.inner.reopen(now_ns)?;
        // A reopening that failed leaves no device behind.
        self.refuse("reopen")
            .inspect_err(|_| self.gone_until_ns = Some(now_ns))
    }

    fn reset_port(&mut self) -> Result<(), SourceError> {
        self.held = None;
        self.inner.reset_port()
    }
}

/// [`Faults`] over a source that has no slots yet.
pub struct UnarmedFaults {
    inner: Box<dyn UnarmedSource>,
    plan: FaultPlan,
}

impl std::fmt::Debug for UnarmedFaults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnarmedFaults")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl UnarmedFaults {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Box<dyn UnarmedSource>, plan: FaultPlan) -> Self {
        Self { inner, plan }
    }
}

impl UnarmedSource for UnarmedFaults {
    fn format(&self) -> StreamFormat {
        self.inner.format()
    }
    fn slot_home(&self) -> SlotHome {
        self.inner.slot_home()
    }
    fn own_bytes(&self) -> u64 {
        self.inner.own_bytes()
    }
    fn io(&self) -> String {
        format!("{} with faults", self.inner.io())
    }
    fn arm(self: Box<Self>, slots: Slots<'_>) -> Result<Box<dyn FrameSource>, NotArmed> {
        let plan = self.plan;
        match self.inner.arm(slots) {
            Ok(source) => Ok(Box::new(Faults::new(source, plan))),
            Err(NotArmed { source, error }) => Err(NotArmed {
                source: Box::new(Self {
                    inner: source,
                    plan,
                }),
                error,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_from_text_and_names_what_it_does_not_understand() {
        let plan: FaultPlan = "seed=7, drop=0.25,stall-ms=20".parse().unwrap();
        let expected = FaultPlan {
            seed: 7,
            drop: 0.25,
            stall_ms: 20,
            ..FaultPlan::default()
        };
        assert_eq!(plan, expected);
        assert_eq!("".parse(), Ok(FaultPlan::default()));
        for (text, found) in [
            ("drop=2", "drop=2"),
            ("drop=nan", "drop=nan"),
            ("seed=7,drip=0.1", "drip=0.1"),
            ("loss", "loss"),
            ("delay-ms=0", "delay-ms=0"),
            ("seed=-1", "seed=-1"),
        ] {
            let error = text.parse::<FaultPlan>().unwrap_err();
            assert_eq!(error.found, found);
            assert!(error.to_string().contains(found));
        }
    }

    #[test]
    fn a_plan_is_shown_as_it_is_read() {
        for text in [
            "seed=1",
            "seed=7,drop=0.01,damage=0.5",
            "seed=18446744073709551615,stall=1,loss=0.001,error=0.25,stall-ms=20,jump-ms=7",
        ] {
            let plan: FaultPlan = text.parse().unwrap();
            assert_eq!(plan.to_string(), text);
        }
    }

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        // First outputs for seed 1234567, from the reference implementation.
        let mut random = SplitMix(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn chances_come_out_about_right() {
        let mut random = SplitMix(3);
        let hits = (0..100_000).filter(|_| random.happens(0.1)).count();
        assert!((9_500..10_500).contains(&hits), "{hits} of 100000 at 0.1");
        assert!((0..1000).all(|_| random.happens(1.0)));
        assert!(!(0..1000).any(|_| random.happens(0.0)));
    }
}
