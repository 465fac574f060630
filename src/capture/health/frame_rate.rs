//! Whether a camera keeps the frame rate that it agreed to, and if not, why: reported once. Pure.
//!
//! A camera that is silent is the [`supervisor`](super::supervisor)'s; this is about one that delivers, and
//! too seldom.

use crate::capture::Traits;
use crate::units::NS_PER_S;
use std::fmt;

/// Length of one look: long enough that a late frame or two do not count.
const LOOK_NS: u64 = 4 * NS_PER_S;
/// At slow rates, a look of so many intervals.
const LOOK_INTERVALS: u64 = 40;
/// Fewer than so many tenths of the frames agreed on are too few. A camera's clock is off by less than a
/// hundredth of that.
const ENOUGH_TENTHS: u64 = 9;
/// Looks in a row that find too few: a slow moment, as of a camera that adapts itself to the light, lies in
/// two of them at most.
const LOOKS: u32 = 3;

/// Why a camera is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowCause {
    /// It exposes longer than a frame's time, and makes fewer frames.
    DimLight,
    /// It makes them, and the USB bus does not carry them.
    Bandwidth,
    /// It makes them, and they are lost on the way to memory.
    Lost,
    /// It makes fewer, for no reason that is known here.
    Slow,
}

/// A camera that delivers fewer frames than agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// Frames a second that arrived, in thousandths.
    pub found_mhz: u64,
    /// Frames a second that were agreed on, in thousandths.
    pub agreed_mhz: u64,
    /// Why.
    pub cause: SlowCause,
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = |mhz: u64| (mhz / 1000, mhz % 1000 / 100);
        let ((found, found_tenths), (agreed, agreed_tenths)) =
            (tenths(self.found_mhz), tenths(self.agreed_mhz));
        write!(
            f,
            "it delivers {found}.{found_tenths} frames a second instead of {agreed}.{agreed_tenths}; "
        )?;
        f.write_str(match self.cause {
            SlowCause::DimLight => {
                "it loses none, but exposes longer where the light is dim: more light, or switch its automatic \
                 off (controls = { exposure-dynamic-framerate = false }, or exposure by hand)"
            }
            SlowCause::Bandwidth => {
                "the others are lost between camera and memory: the USB bus may be full (a smaller size, a lower \
                 rate, another bus or a shorter cable)"
            }
            SlowCause::Lost => {
                "the others are lost between camera and memory: the driver had no buffer in time (raise \
                 driver-slots), or its bus is full"
            }
            SlowCause::Slow => "it loses none: camera or driver make fewer than they agreed to",
        })
    }
}

/// One stream's watch.
#[derive(Clone, Debug)]
pub struct FrameRateWatch {
    interval_ns: u64,
    traits: Traits,
    began_ns: Option<u64>,
    frames: u64,
    lost: u64,
    slow_looks: u32,
    /// Frames, lost ones and time of the slow looks in a row.
    slow: [u64; 3],
    found: Option<Slow>,
}

impl FrameRateWatch {
    /// A watch over streams with one frame each `interval_ns` (0: unknown, and never too slow).
    #[must_use]
    pub const fn new(interval_ns: u64, traits: Traits) -> Self {
        Self {
            interval_ns,
            traits,
            began_ns: None,
            frames: 0,
            lost: 0,
            slow_looks: 0,
            slow: [0; 3],
            found: None,
        }
    }

    /// The camera is another one, or set otherwise.
    pub const fn learn(&mut self, traits: Traits) {
        self.traits = traits;
    }

    /// What was found, if anything was.
    #[must_use]
    pub const fn found(&self) -> Option<Slow> {
        self.found
    }

    /// The stream was stopped or started: the time between does not count.
    pub const fn restarted(&mut self) {
        self.began_ns = None;
        self.slow_looks = 0;
        self.slow = [0; 3];
    }

    /// A frame arrived at `now_ns`, and `missing` numbers before it never did. Says once what is wrong.
    pub fn frame(&mut self, now_ns: u64, missing: u32) -> Option<Slow> {
        if self.interval_ns == 0 || self.found.is_some() {
            return None;
        }
        let Some(began_ns) = self.began_ns else {
            self.begin(now_ns);
            return None;
        };
        self.frames += 1;
        self.lost += u64::from(missing);
        let elapsed_ns = now_ns.saturating_sub(began_ns);
        if elapsed_ns < LOOK_NS.max(self.interval_ns.saturating_mul(LOOK_INTERVALS)) {
            return None;
        }
        let (frames, lost) = (self.frames, self.lost);
        self.begin(now_ns);
        let agreed = elapsed_ns / self.interval_ns;
        if frames * 10 >= agreed * ENOUGH_TENTHS {
            self.slow_looks = 0;
            self.slow = [0; 3];
            return None;
        }
        self.slow_looks += 1;
        for (sum, add) in self.slow.iter_mut().zip([frames, lost, elapsed_ns]) {
            *sum += add;
        }
        if self.slow_looks >= LOOKS {
            self.found = Some(self.diagnose());
        }
        self.found
    }

    const fn begin(&mut self, now_ns: u64) {
        self.began_ns = Some(now_ns);
        self.frames = 0;
        self.lost = 0;
    }

    fn diagnose(&self) -> Slow {
        let [frames, lost, elapsed_ns] = self.slow;
        let too_few = (elapsed_ns / self.interval_ns).saturating_sub(frames);
        let numbers_explain_it = lost * 2 >= too_few;
        let mhz = |frames: u64, ns: u64| {
            let mhz = u128::from(frames) * 1000 * u128::from(NS_PER_S) / u128::from(ns.max(1));
            u64::try_from(mhz).unwrap_or(u64::MAX)
        };
        Slow {
            found_mhz: mhz(frames, elapsed_ns),
            agreed_mhz: mhz(1, self.interval_ns),
            cause: match (numbers_explain_it, self.traits) {
                (true, Traits { on_usb: true, .. }) => SlowCause::Bandwidth,
                (true, _) => SlowCause::Lost,
                (
                    false,
                    Traits {
                        slows_in_dim_light: true,
                        ..
                    },
                ) => SlowCause::DimLight,
                (false, _) => SlowCause::Slow,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INTERVAL: u64 = NS_PER_S / 30;
    const PLAIN: Traits = Traits {
        on_usb: false,
        slows_in_dim_light: false,
    };
    const WEBCAM: Traits = Traits {
        on_usb: true,
        slows_in_dim_light: true,
    };

    /// Frames for `seconds`, each `spacing_ns` after the one before and with `missing` numbers between.
    fn watch(pace: &mut FrameRateWatch, seconds: u64, spacing_ns: u64, missing: u32) -> Vec<Slow> {
        (0..seconds * NS_PER_S / spacing_ns)
            .filter_map(|frame| pace.frame(frame * spacing_ns, missing))
            .collect()
    }

    #[test]
    fn a_camera_that_keeps_its_pace_is_not_spoken_of() {
        let mut pace = FrameRateWatch::new(INTERVAL, WEBCAM);
        assert_eq!(watch(&mut pace, 60, INTERVAL, 0), []);
        // One frame in twelve lost is within the tenth.
        let mut pace = FrameRateWatch::new(INTERVAL, WEBCAM);
        assert_eq!(watch(&mut pace, 60, INTERVAL * 12 / 11, 0), []);
    }

    #[test]
    fn half_the_frames_without_a_gap_in_the_dark_are_long_exposures_and_it_is_said_once() {
        let mut pace = FrameRateWatch::new(INTERVAL, WEBCAM);
        let said = watch(&mut pace, 60, 2 * INTERVAL, 0);
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].cause, SlowCause::DimLight);
        assert_eq!(pace.found(), Some(said[0]));
        let text = said[0].to_string();
        assert!(
            text.starts_with("it delivers 15.0 frames a second instead of 30.0; it loses none"),
            "{text}"
        );
        assert!(
            text.contains("exposure-dynamic-framerate = false"),
            "{text}"
        );
    }

    #[test]
    fn the_cause_follows_from_the_numbers_and_from_what_the_camera_is() {
        let cause = |traits, missing| {
            let mut pace = FrameRateWatch::new(INTERVAL, traits);
            watch(&mut pace, 20, 2 * INTERVAL, missing)[0].cause
        };
        let dark_board = Traits {
            on_usb: false,
            ..WEBCAM
        };
        assert_eq!(cause(WEBCAM, 1), SlowCause::Bandwidth);
        assert_eq!(cause(WEBCAM, 0), SlowCause::DimLight);
        assert_eq!(cause(dark_board, 1), SlowCause::Lost);
        assert_eq!(cause(dark_board, 0), SlowCause::DimLight);
        assert_eq!(cause(PLAIN, 1), SlowCause::Lost);
        assert_eq!(cause(PLAIN, 0), SlowCause::Slow);
    }

    #[test]
    fn a_slow_moment_and_a_restart_are_forgiven() {
        let mut pace = FrameRateWatch::new(INTERVAL, WEBCAM);
        let mut now = 0;
        for _ in 0..20 {
            // Three seconds too slow, then ten as agreed.
            for (seconds, spacing) in [(3, 2 * INTERVAL), (10, INTERVAL)] {
                for _ in 0..seconds * NS_PER_S / spacing {
                    now += spacing;
                    assert_eq!(pace.frame(now, 0), None);
                }
            }
        }
        for _ in 0..20 {
            pace.restarted();
            now += 3600 * NS_PER_S;
            for _ in 0..11 * NS_PER_S / (2 * INTERVAL) {
                now += 2 * INTERVAL;
                assert_eq!(pace.frame(now, 0), None);
            }
        }
    }

    #[test]
    fn without_a_pace_agreed_on_none_is_missed() {
        assert_eq!(
            watch(&mut FrameRateWatch::new(0, WEBCAM), 60, NS_PER_S, 9),
            []
        );
    }

    #[test]
    fn a_frame_every_ten_seconds_is_watched_by_the_interval() {
        let interval_ns = 10 * NS_PER_S;
        let mut pace = FrameRateWatch::new(interval_ns, PLAIN);
        assert_eq!(watch(&mut pace, 100_000, interval_ns, 0), []);
        let mut pace = FrameRateWatch::new(interval_ns, PLAIN);
        assert_eq!(watch(&mut pace, 100_000, 2 * interval_ns, 0).len(), 1);
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn whatever_arrives_it_is_said_at_most_once_and_never_of_a_camera_that_is_fast_enough(
            spacings in proptest::collection::vec((1..200_u64, 0..3_u32), 1..2000),
        ) {
            let mut pace = FrameRateWatch::new(INTERVAL, WEBCAM);
            let (mut now, mut said) = (0_u64, 0);
            for (ms, missing) in &spacings {
                now += ms * 1_000_000;
                said += u32::from(pace.frame(now, *missing).is_some());
            }
            prop_assert!(said <= 1);
            if let Some(slow) = pace.found() {
                prop_assert!(slow.found_mhz * 10 < slow.agreed_mhz * 9 + 1_000);
            }
        }
    }
}
