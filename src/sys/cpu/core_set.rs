//! A set of cores, as the kernel writes it (`0-3,6`) and as a thread is pinned to it.

use nix::sched::CpuSet;

/// Words of the mask: 1024 cores, as in glibc's `cpu_set_t`.
const WORDS: usize = 16;

/// A set of cores 0..1024. `Copy`, no heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreSet {
    words: [u64; WORDS],
}

impl CoreSet {
    /// Cores that a set can hold: 0 up to this, exclusive.
    pub const CAPACITY: usize = WORDS * 64;

    /// The set of this one core; empty when the number is 1024 or above.
    #[must_use]
    pub fn single(core: usize) -> Self {
        [core].into_iter().collect()
    }

    /// Reads the kernel's list, e.g. `0-3,6`; an empty text is an empty set. `None` when it is no list.
    ///
    /// # Source
    /// cpuset(7), "List format".
    #[must_use]
    pub fn parse(list: &str) -> Option<Self> {
        let mut set = Self::default();
        for part in list.trim().split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            if first > last || last >= Self::CAPACITY {
                return None;
            }
            set.extend(first..=last);
        }
        Some(set)
    }

    /// Whether `core` is in the set.
    #[must_use]
    pub fn contains(&self, core: usize) -> bool {
        self.words
            .get(core / 64)
            .is_some_and(|word| word & (1 << (core % 64)) != 0)
    }

    /// Number of cores.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// No core.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words == [0; WORDS]
    }

    /// Every core of `self` is in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.words
            .iter()
            .zip(&other.words)
            .all(|(mine, theirs)| mine & !theirs == 0)
    }

    /// Cores in rising order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..Self::CAPACITY).filter(|&core| self.contains(core))
    }

    /// The lowest core.
    #[must_use]
    pub fn first(&self) -> Option<usize> {
        self.iter().next()
    }
}

impl FromIterator<usize> for CoreSet {
    fn from_iter<I: IntoIterator<Item = usize>>(cores: I) -> Self {
        let mut set = Self::default();
        set.extend(cores);
        set
    }
}

impl Extend<usize> for CoreSet {
    fn extend<I: IntoIterator<Item = usize>>(&mut self, cores: I) {
        for core in cores {
            if let Some(word) = self.words.get_mut(core / 64) {
                *word |= 1 << (core % 64);
            }
        }
    }
}

impl std::fmt::Display for CoreSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut core = 0;
        let mut separator = "";
        while core < Self::CAPACITY {
            if !self.contains(core) {
                core += 1;
                continue;
            }
            let first = core;
            while self.contains(core) {
                core += 1;
            }
            match core - first {
                1 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{}", core - 1)?,
            }
            separator = ",";
        }
        Ok(())
    }
}

impl From<&CpuSet> for CoreSet {
    fn from(set: &CpuSet) -> Self {
        (0..CpuSet::count())
            .filter(|&core| set.is_set(core) == Ok(true))
            .collect()
    }
}

impl From<&CoreSet> for CpuSet {
    fn from(set: &CoreSet) -> Self {
        let mut cpus = Self::new();
        for core in set.iter() {
            // Both hold 1024 cores, so none is out of range.
            let _ = cpus.set(core);
        }
        cpus
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_kernels_lists_are_read_and_written() {
        for list in ["", "0", "0-3", "0-3,6", "1,3,5-7,1023"] {
            assert_eq!(CoreSet::parse(list).unwrap().to_string(), list);
        }
        assert_eq!(
            CoreSet::parse(" 2-3\n").unwrap(),
            [2, 3].into_iter().collect()
        );
        for wrong in ["a", "3-1", "1024", "-1", "0-"] {
            assert_eq!(CoreSet::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_set_knows_its_members_and_its_subsets() {
        let set = CoreSet::parse("1,64-65").unwrap();
        assert_eq!((set.len(), set.first()), (3, Some(1)));
        assert!(set.contains(65) && !set.contains(66) && !set.contains(5000));
        assert!(CoreSet::single(64).is_subset(&set) && !set.is_subset(&CoreSet::single(64)));
        assert!(CoreSet::default().is_empty() && CoreSet::single(1024).is_empty());
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn text_and_mask_say_the_same(cores in proptest::collection::btree_set(0_usize..1024, 0..40)) {
            let set: CoreSet = cores.iter().copied().collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), cores.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(CoreSet::parse(&set.to_string()), Some(set));
            prop_assert_eq!(CoreSet::from(&CpuSet::from(&set)), set);
        }
    }
}
