//! How fast the processor reads a driver's buffer, beside ordinary memory: that shows uncached memory.

use crate::sys::clock::now_ns;
use std::fmt;
use std::hint::black_box;

/// A buffer that is read so many times slower than ordinary memory is not cached. Cached memory of whatever
/// kind is within a factor of two; uncached memory is ten to a hundred times slower.
const UNCACHED_TIMES: u64 = 4;
/// Readings, of which the fastest counts: a reading that another thread disturbed says nothing.
const READINGS: usize = 4;
/// Bytes read at most: more would say no more, and uncached memory takes its time.
const MOST_BYTES: usize = 4 << 20;

/// Two rates of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSpeed {
    /// The buffer's, in millions of bytes a second.
    pub buffer_mb_s: u64,
    /// That of ordinary memory of the same size, next to it in time.
    pub ordinary_mb_s: u64,
}

impl ReadSpeed {
    /// Reads `buffer` and as much ordinary memory. Allocates, and takes up to a tenth of a second.
    pub(super) fn of(buffer: &[u8]) -> Self {
        let buffer = &buffer[..buffer.len().min(MOST_BYTES)];
        // Written once, so that each page of it is there.
        let ordinary = vec![1_u8; buffer.len()];
        let (mut buffer_ns, mut ordinary_ns) = (u64::MAX, u64::MAX);
        for _ in 0..READINGS {
            buffer_ns = buffer_ns.min(reading_ns(buffer));
            ordinary_ns = ordinary_ns.min(reading_ns(&ordinary));
        }
        Self {
            buffer_mb_s: mb_s(buffer.len(), buffer_ns),
            ordinary_mb_s: mb_s(buffer.len(), ordinary_ns),
        }
    }

    /// The buffer is read far slower than ordinary memory.
    #[must_use]
    pub const fn is_uncached(self) -> bool {
        self.buffer_mb_s.saturating_mul(UNCACHED_TIMES) < self.ordinary_mb_s
    }
}

impl fmt::Display for ReadSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_uncached() {
            "uncached"
        } else {
            "cached"
        };
        write!(
            f,
            "{kind}, read at {} MB/s, ordinary memory at {}",
            self.buffer_mb_s, self.ordinary_mb_s
        )
    }
}

fn mb_s(bytes: usize, ns: u64) -> u64 {
    (bytes as u64).saturating_mul(1000) / ns.max(1)
}

/// Reads every word once, as wide as the compiler can.
fn reading_ns(bytes: &[u8]) -> u64 {
    let begin = now_ns();
    let (words, _) = black_box(bytes).as_chunks::<8>();
    let sum = words.iter().fold(0_u64, |sum, word| {
        sum.wrapping_add(u64::from_ne_bytes(*word))
    });
    black_box(sum);
    now_ns().saturating_sub(begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_times_slower_is_uncached() {
        let speed = |buffer_mb_s| ReadSpeed {
            buffer_mb_s,
            ordinary_mb_s: 4000,
        };
        assert!(speed(0).is_uncached());
        assert!(speed(80).is_uncached());
        assert!(speed(999).is_uncached());
        assert!(!speed(1000).is_uncached());
        assert!(!speed(9000).is_uncached());
        assert!(!speed(u64::MAX).is_uncached());
        let words = "uncached, read at 80 MB/s, ordinary memory at 4000";
        assert_eq!(speed(80).to_string(), words);
    }

    #[test]
    fn both_are_read_and_an_empty_buffer_is_no_fault() {
        let speed = ReadSpeed::of(&vec![7; 1 << 20]);
        assert!(speed.buffer_mb_s > 0 && speed.ordinary_mb_s > 0, "{speed}");
        assert_eq!(ReadSpeed::of(&[]).buffer_mb_s, 0);
    }
}
