//! Which detection is which track: the assignment whose overlaps add up to the most.
//!
//! The Hungarian method by shortest augmenting paths. To take the best pair first would be shorter, and
//! would lose a track where two people stand close: the pair that it takes may leave the other two without
//! a partner.

use crate::limits::{MAX_DETECTIONS, MAX_TRACKS};

/// Each detection may also stay alone: one column of its own for each.
const COLUMNS: usize = MAX_TRACKS + MAX_DETECTIONS;

/// The track of each detection, or `None`.
pub type Pairs = heapless::Vec<Option<usize>, MAX_DETECTIONS>;

/// Pairs `detections` rows with `tracks` columns. `worth(detection, track)` is above 0 where they may be one
/// thing, and the more the likelier; pairs worth 0 or less, or NaN, are never made. The sum of the worths of
/// the pairs made is the largest that there is.
///
/// At most [`MAX_DETECTIONS`] rows and [`MAX_TRACKS`] columns: more are left out.
pub fn assign(detections: usize, tracks: usize, worth: impl Fn(usize, usize) -> f32) -> Pairs {
    let detections = detections.min(MAX_DETECTIONS);
    let tracks = tracks.min(MAX_TRACKS);
    let cost = |row: usize, column: usize| {
        if column < tracks {
            let worth = worth(row, column);
            if worth > 0.0 { -worth } else { f32::INFINITY }
        } else if column == tracks + row {
            0.0
        } else {
            f32::INFINITY
        }
    };
    let columns = tracks + detections;
    // Rows and columns count from 1 here: column 0 is where a path begins.
    let mut row_of = [0_usize; COLUMNS + 1];
    let mut row_price = [0.0_f32; MAX_DETECTIONS + 1];
    let mut column_price = [0.0_f32; COLUMNS + 1];
    for row in 1..=detections {
        row_of[0] = row;
        let mut column = 0;
        let mut least = [f32::INFINITY; COLUMNS + 1];
        let mut came_from = [0_usize; COLUMNS + 1];
        let mut used = [false; COLUMNS + 1];
        // A row always reaches its own column, so that every path ends.
        while row_of[column] != 0 {
            used[column] = true;
            let from = row_of[column];
            let mut step = f32::INFINITY;
            let mut next = 0;
            for to in 1..=columns {
                if used[to] {
                    continue;
                }
                let reduced = cost(from - 1, to - 1) - row_price[from] - column_price[to];
                if reduced < least[to] {
                    least[to] = reduced;
                    came_from[to] = column;
                }
                if least[to] < step {
                    step = least[to];
                    next = to;
                }
            }
            if next == 0 {
                break;
            }
            for to in 0..=columns {
                if used[to] {
                    row_price[row_of[to]] += step;
                    column_price[to] -= step;
                } else {
                    least[to] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            let before = came_from[column];
            row_of[column] = row_of[before];
            column = before;
        }
    }
    let mut pairs = Pairs::new();
    for _ in 0..detections {
        let _ = pairs.push(None);
    }
    for track in 0..tracks {
        if let Some(pair) = row_of[track + 1]
            .checked_sub(1)
            .and_then(|row| pairs.get_mut(row))
        {
            *pair = Some(track);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::assign;
    use crate::limits::{MAX_DETECTIONS, MAX_TRACKS};
    use proptest::prelude::*;

    /// The largest sum of worths, by trying everything.
    fn best(worths: &[Vec<f32>], row: usize, taken: &mut Vec<bool>) -> f32 {
        if row == worths.len() {
            return 0.0;
        }
        let mut most = best(worths, row + 1, taken);
        for track in 0..taken.len() {
            if !taken[track] && worths[row][track] > 0.0 {
                taken[track] = true;
                most = most.max(worths[row][track] + best(worths, row + 1, taken));
                taken[track] = false;
            }
        }
        most
    }

    #[test]
    fn the_best_pair_gives_way_where_that_leaves_two() {
        let worths = [[0.8, 0.9], [0.0, 0.5]];
        let pairs = assign(2, 2, |row, column| worths[row][column]);
        assert_eq!(pairs[..], [Some(0), Some(1)]);
    }

    #[test]
    fn nothing_is_paired_with_nothing() {
        assert!(assign(0, 5, |_, _| 1.0).is_empty());
        assert_eq!(assign(2, 0, |_, _| 1.0)[..], [None, None]);
        assert_eq!(assign(2, 2, |_, _| f32::NAN)[..], [None, None]);
        assert_eq!(assign(2, 2, |_, _| -1.0)[..], [None, None]);
    }

    #[test]
    fn as_many_as_there_can_be_are_paired() {
        let pairs = assign(1000, 1000, |row, column| {
            if column == MAX_TRACKS - 1 - row {
                0.9
            } else {
                0.1
            }
        });
        assert_eq!(pairs.len(), MAX_DETECTIONS);
        for (row, pair) in pairs.iter().enumerate() {
            assert_eq!(*pair, Some(MAX_TRACKS - 1 - row));
        }
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn no_other_assignment_is_worth_more(
            rows in 0_usize..=5, columns in 0_usize..=6,
            numbers in prop::collection::vec(-0.5_f32..1.0, 30),
        ) {
            let worths: Vec<Vec<f32>> =
                (0..rows).map(|row| numbers[row * 6..row * 6 + columns].to_vec()).collect();
            let pairs = assign(rows, columns, |row, column| worths[row][column]);
            let mut taken = vec![false; columns];
            let mut sum = 0.0;
            for (row, pair) in pairs.iter().enumerate() {
                if let Some(track) = *pair {
                    prop_assert!(!taken[track], "track {} twice", track);
                    taken[track] = true;
                    prop_assert!(worths[row][track] > 0.0);
                    sum += worths[row][track];
                }
            }
            let most = best(&worths, 0, &mut vec![false; columns]);
            prop_assert!((sum - most).abs() < 1e-4, "{} of {}", sum, most);
        }
    }
}
