//! Inputs from inputs: seeded changes of a corpus that keeps what led somewhere new.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Inputs of a target where nobody says for how long.
const INPUTS: u64 = 300;
/// Most inputs that are kept for changing further.
const KEPT: usize = 512;
/// Longest input: what a change adds beyond is cut.
const LONGEST_BYTES: usize = 1 << 16;

/// A generator of numbers; the same seed gives the same ones.
///
/// # Source
/// splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// Below `end`, which is above 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const EDGES: [u8; 12] = [0, 1, 2, 7, 8, 0x0a, 0x20, 0x7f, 0x80, 0xd8, 0xfe, 0xff];
        let any = self.next().to_le_bytes()[0];
        match self.below(3) {
            0 => EDGES[self.below(EDGES.len())],
            _ => any,
        }
    }
}

/// Changes `input` once; `other` is another input, `words` are what such inputs are made of.
fn change(dice: &mut Dice, input: &mut Vec<u8>, other: &[u8], words: &[&[u8]]) {
    let at = dice.below(input.len() + 1);
    let length = dice.below(input.len() - at + 1).min(1 << dice.below(12));
    match dice.below(10) {
        0 if at < input.len() => input[at] ^= 1 << dice.below(8),
        1 if at < input.len() => input[at] = dice.byte(),
        2 => input.insert(at, dice.byte()),
        3 => drop(input.drain(at..at + length)),
        4 => input.truncate(at),
        5 => {
            let copy = input[at..at + length].to_vec();
            let to = dice.below(input.len() + 1);
            input.splice(to..to, copy);
        }
        6 if !words.is_empty() => {
            let word = words[dice.below(words.len())];
            let over = if dice.below(2) == 0 { word.len() } else { 0 };
            let end = (at + over).min(input.len());
            input.splice(at..end, word.iter().copied());
        }
        7 if !other.is_empty() => {
            let from = dice.below(other.len());
            let end = (from + 1 + dice.below(256)).min(other.len());
            input.splice(at..at + length, other[from..end].iter().copied());
        }
        // A number of two bytes, such as a length.
        8 if at + 2 <= input.len() => {
            let number = u16::from_be_bytes([input[at], input[at + 1]]);
            let near = u16::try_from(dice.below(9)).unwrap();
            let number = number.wrapping_add(near).wrapping_sub(4).to_be_bytes();
            input[at..at + 2].copy_from_slice(&number);
        }
        _ => {
            let byte = dice.byte();
            input[at..at + length].fill(byte);
        }
    }
    input.truncate(LONGEST_BYTES);
}

/// Where inputs that once broke a target are kept, to be tried first for ever.
fn kept(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/kept")
        .join(target)
}

/// Runs `target` on inputs made from `seeds`: some hundreds, or for as many seconds as FUZZ_SECONDS says. It
/// gives a number for what it did: an input with a new one is changed further. One that makes it panic is
/// written to a file which the message names.
#[track_caller]
pub fn fuzz(name: &str, seeds: &[Vec<u8>], words: &[&[u8]], mut target: impl FnMut(&[u8]) -> u64) {
    let seconds = std::env::var("FUZZ_SECONDS").ok();
    let limit = seconds.map(|text| Duration::from_secs(text.parse().expect("FUZZ_SECONDS")));
    let begun = Instant::now();
    let mut dice = Dice::new(0x005e_ed0f_u64 ^ name.len() as u64);
    let mut seen = HashSet::new();
    let mut corpus: Vec<Vec<u8>> = Vec::new();
    let mut count = 0_u64;
    let mut run = |input: &[u8]| match catch_unwind(AssertUnwindSafe(|| target(input))) {
        Ok(did) => did,
        Err(_) => {
            let path = std::env::temp_dir().join(format!("pinsight-fuzz-{name}"));
            std::fs::write(&path, input).unwrap();
            panic!(
                "{name}: an input of {} bytes broke it; it is in {}; mend it, and keep the input in \
                 tests/fuzz/kept/{name}/",
                input.len(),
                path.display()
            );
        }
    };
    for file in std::fs::read_dir(kept(name)).into_iter().flatten() {
        seen.insert(run(&std::fs::read(file.unwrap().path()).unwrap()));
        count += 1;
    }
    for seed in seeds {
        seen.insert(run(seed));
        corpus.push(seed.clone());
        count += 1;
    }
    loop {
        let over = match limit {
            Some(limit) => count.is_multiple_of(16) && begun.elapsed() >= limit,
            None => count >= INPUTS,
        };
        if over {
            break;
        }
        let mut input = corpus[dice.below(corpus.len())].clone();
        let other = dice.below(corpus.len());
        for _ in 0..=dice.below(6) {
            change(&mut dice, &mut input, &corpus[other], words);
        }
        count += 1;
        if seen.insert(run(&input)) && corpus.len() < KEPT {
            corpus.push(input);
        }
    }
    println!(
        "\nfuzz {name}: {count} inputs, {} different outcomes, {:.1} s",
        seen.len(),
        begun.elapsed().as_secs_f64()
    );
    assert!(seen.len() > 1, "{name}: every input came to the same end");
}
