//! The doorbell: which cameras have something new, and a sleep that ends when one has.
//!
//! One word of ready bits, and one futex that is only touched when somebody sleeps. Ringing while
//! bits are set wakes nobody: whoever was woken for the first bit takes the later ones along.
//!
//! A doorbell belongs to a group of workers that can each serve all of its bits. A worker that takes
//! several and serves one at once rings the others again ([`Doorbell::ring`]), which wakes the next
//! sleeper of the group.
//!
//! # Why no wake-up is lost
//! The ringer sets its bit, then looks for sleepers; the sleeper counts itself in, then looks at the
//! bits. A sequentially consistent fence stands between the two steps on each side (F1, F2), so at
//! least one of them sees the other. The sleeper reads the futex word before its look: when the ringer
//! saw it, and the sleeper did not see the bit, the word changes after that, and the sleep does not
//! begin or is ended by the wake-up.

use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Futex, Ordering, Padded, fence, hint_spin};

/// How a worker waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Sleeps at once.
    Park,
    /// Spins for at most this long, then sleeps.
    SpinThenPark {
        /// Bound of the spin, in nanoseconds.
        spin_ns: u64,
    },
    /// Never sleeps: for a core of its own.
    Spin,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Bits are set: take them.
    Ready,
    /// The time is over, and no bit is set.
    TimedOut,
    /// The bell was closed; bits may still be set.
    Closed,
}

/// Looks at the bits between two readings of the clock, which costs as much as some tens of looks.
const LOOKS_PER_CLOCK: u32 = 32;

/// Ready bits and the sleep of those who wait for them.
#[derive(Debug)]
pub struct Doorbell(Padded<Words>);

#[derive(Debug)]
struct Words {
    bits: AtomicU64,
    sleepers: AtomicU32,
    epoch: Futex,
    closed: AtomicBool,
    wakes: AtomicU64,
}

impl Doorbell {
    /// A silent bell.
    #[must_use]
    pub fn new() -> Self {
        Self(Padded(Words {
            bits: AtomicU64::new(0),
            sleepers: AtomicU32::new(0),
            epoch: Futex::new(0),
            closed: AtomicBool::new(false),
            wakes: AtomicU64::new(0),
        }))
    }

    /// Sets the bits of `mask`, and wakes one sleeper if none were set. Wait-free; no system call when
    /// nobody sleeps.
    ///
    /// D1 (release, pairs with D1 acquire in [`Doorbell::take`]): publishes that the frames behind the
    /// bits are in their rings.
    #[inline]
    pub fn ring(&self, mask: u64) {
        // D1
        let before = self.0.bits.fetch_or(mask, Ordering::Release);
        // F1, with F2 in `park`: either this thread sees the sleeper, or the sleeper sees the bits.
        fence(Ordering::SeqCst);
        if before == 0 && self.0.sleepers.load(Ordering::Relaxed) > 0 {
            self.wake(1);
        }
    }

    #[cold]
    fn wake(&self, count: u32) {
        self.0.wakes.fetch_add(1, Ordering::Relaxed);
        self.0.epoch.increment(Ordering::Relaxed);
        self.0.epoch.wake(count);
    }

    /// Takes all bits that are set; 0 when none is.
    #[inline]
    pub fn take(&self) -> u64 {
        // D1
        self.0.bits.swap(0, Ordering::Acquire)
    }

    /// Ends every wait, now and later. Bits stay, and can still be taken.
    ///
    /// D2 (release, pairs with D2 acquire in [`Doorbell::is_closed`]): publishes what was done before
    /// closing.
    pub fn close(&self) {
        // D2
        self.0.closed.store(true, Ordering::Release);
        // F3 (release, pairs with F2 in `park`): publishes the flag to whoever reads the futex word that
        // `wake` changes. Whoever reads the word before is ended by the change or by the wake-up.
        fence(Ordering::Release);
        self.wake(u32::MAX);
    }

    /// Whether the bell was closed.
    #[inline]
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // D2
        self.0.closed.load(Ordering::Acquire)
    }

    /// System calls made to wake somebody.
    #[must_use]
    pub fn wake_calls(&self) -> u64 {
        self.0.wakes.load(Ordering::Relaxed)
    }

    /// What a waiter finds without waiting.
    #[inline]
    fn look(&self) -> Option<Woken> {
        if self.is_closed() {
            return Some(Woken::Closed);
        }
        // The bits themselves are acquired by `take`.
        (self.0.bits.load(Ordering::Relaxed) != 0).then_some(Woken::Ready)
    }

    /// Waits until a bit is set, the bell is closed, or `now_ns()` has reached `deadline_ns`.
    ///
    /// `now_ns` is read once at the start of a spin and then every 32 looks, and around each sleep.
    /// A sleep may end a little after the deadline, as the kernel's timers do.
    pub fn wait(&self, how: Waiting, deadline_ns: u64, mut now_ns: impl FnMut() -> u64) -> Woken {
        if let Some(woken) = self.look() {
            return woken;
        }
        let mut now = now_ns();
        let spin_until = match how {
            Waiting::Park => now,
            Waiting::SpinThenPark { spin_ns } => now.saturating_add(spin_ns).min(deadline_ns),
            Waiting::Spin => deadline_ns,
        };
        while now < spin_until {
            for _ in 0..LOOKS_PER_CLOCK {
                if let Some(woken) = self.look() {
                    return woken;
                }
                hint_spin();
            }
            now = now_ns();
        }
        while now < deadline_ns {
            if let Some(woken) = self.park(deadline_ns - now) {
                return woken;
            }
            now = now_ns();
        }
        self.look().unwrap_or(Woken::TimedOut)
    }

    /// Sleeps once, unless there is something to find.
    fn park(&self, timeout_ns: u64) -> Option<Woken> {
        self.0.sleepers.fetch_add(1, Ordering::Relaxed);
        let epoch = self.0.epoch.load(Ordering::Relaxed);
        // F2, with F1 in `ring`; and, as an acquire, with F3 in `close`.
        fence(Ordering::SeqCst);
        let mut found = self.look();
        if found.is_none() {
            self.0.epoch.wait(epoch, Some(timeout_ns));
            found = self.look();
        }
        self.0.sleepers.fetch_sub(1, Ordering::Relaxed);
        found
    }
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::Arc;
    use std::time::Instant;

    const FOREVER: u64 = u64::MAX;

    fn clock() -> impl FnMut() -> u64 {
        let start = Instant::now();
        move || u64::try_from(start.elapsed().as_nanos()).unwrap()
    }

    #[test]
    fn bits_gather_until_they_are_taken() {
        let bell = Doorbell::new();
        assert_eq!(bell.take(), 0);
        bell.ring(1 << 3);
        bell.ring(1 << 63);
        assert_eq!(bell.wait(Waiting::Park, FOREVER, || 0), Woken::Ready);
        assert_eq!(bell.take(), 1 << 3 | 1 << 63);
        assert_eq!(bell.take(), 0);
    }

    #[test]
    fn no_system_call_is_made_when_nobody_sleeps() {
        let bell = Doorbell::new();
        for camera in 0..64 {
            bell.ring(1 << camera);
            if camera % 3 == 0 {
                bell.take();
            }
        }
        assert_eq!(bell.wake_calls(), 0);
    }

    #[test]
    fn at_most_one_wake_up_is_pending() {
        let bell = Doorbell::new();
        // A sleeper that is slow to wake.
        bell.0.sleepers.store(1, Ordering::Relaxed);
        bell.ring(1);
        bell.ring(2);
        bell.ring(4);
        assert_eq!(bell.wake_calls(), 1);
        bell.take();
        bell.ring(1);
        assert_eq!(bell.wake_calls(), 2);
    }

    #[test]
    fn a_wait_that_finds_a_bit_does_not_read_the_clock() {
        let bell = Doorbell::new();
        bell.ring(1);
        let woken = bell.wait(Waiting::Spin, 0, || unreachable!());
        assert_eq!(woken, Woken::Ready);
    }

    #[test]
    fn every_kind_of_wait_ends_at_its_deadline() {
        let bell = Doorbell::new();
        for how in [
            Waiting::Park,
            Waiting::SpinThenPark { spin_ns: 100 },
            Waiting::Spin,
        ] {
            let now = Cell::new(0);
            let woken = bell.wait(how, 1_000, || {
                now.set(now.get() + 90);
                now.get()
            });
            assert_eq!(woken, Woken::TimedOut, "{how:?}");
            assert!(now.get() >= 1_000);
        }
    }

    #[test]
    fn the_spin_of_spin_then_park_is_bounded() {
        const MS: u64 = crate::units::NS_PER_MS;
        let bell = Doorbell::new();
        let mut clock = clock();
        let late = Cell::new(0);
        let woken = bell.wait(Waiting::SpinThenPark { spin_ns: MS }, 30 * MS, || {
            let now = clock();
            late.set(late.get() + u32::from(now > 15 * MS));
            now
        });
        // A spin reads the clock more than once in a microsecond, a sleep twice.
        assert_eq!(woken, Woken::TimedOut);
        assert!(late.get() < 100, "{} readings", late.get());
    }

    #[test]
    fn a_sleeper_that_left_is_not_woken_any_more() {
        let bell = Doorbell::new();
        let mut now = 0;
        bell.wait(Waiting::Park, 2, || {
            now += 1;
            now
        });
        bell.ring(1);
        assert_eq!(bell.wake_calls(), 0);
    }

    #[test]
    fn a_sleeper_is_woken_by_a_bit_and_by_closing() {
        for how in [
            Waiting::Park,
            Waiting::SpinThenPark { spin_ns: 10_000 },
            Waiting::Spin,
        ] {
            let bell = Arc::new(Doorbell::new());
            let worker = std::thread::spawn({
                let bell = Arc::clone(&bell);
                move || {
                    let mut taken = Vec::new();
                    loop {
                        match bell.wait(how, FOREVER, clock()) {
                            Woken::Ready => taken.push(bell.take()),
                            Woken::Closed => return taken,
                            Woken::TimedOut => unreachable!("the deadline is never"),
                        }
                    }
                }
            });
            for camera in 0..3 {
                bell.ring(1 << camera);
                while bell.0.bits.load(Ordering::Relaxed) != 0 {
                    std::thread::yield_now();
                }
            }
            bell.close();
            assert_eq!(worker.join().unwrap(), [1, 2, 4], "{how:?}");
        }
    }

    #[test]
    fn closing_is_for_good_and_keeps_the_bits() {
        let bell = Doorbell::new();
        bell.ring(8);
        bell.close();
        assert_eq!(bell.wait(Waiting::Park, FOREVER, || 0), Woken::Closed);
        assert_eq!(bell.take(), 8);
        assert_eq!(bell.wait(Waiting::Park, FOREVER, || 0), Woken::Closed);
        assert!(bell.is_closed());
    }

    #[test]
    fn the_words_of_a_bell_share_their_line_with_nothing_else() {
        assert_eq!((size_of::<Doorbell>(), align_of::<Doorbell>()), (128, 128));
    }
}
