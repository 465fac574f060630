//! Slots for the experiments: from the same arena as a board's, as hugepages where there are any.

use crate::error::BenchError;
use pinsight::frame::{ArenaLayout, CameraNeed, SlotTable};
use pinsight::profile::OnShortage;
use pinsight::ring::{LaneProducer, LaneTap, TapNeed, lane, slots_needed};
use pinsight::sys::memory::slot_arena::SlotArena;
use pinsight::sys::memory::{Pages, Region, RegionRequest};
use pinsight::units::MIB;

/// One reader of the newest frame.
pub(crate) const NEWEST: TapNeed = TapNeed {
    capacity: 1,
    readers: 1,
    leases: 1,
};

/// An arena and tables for cameras of `slots` slots of `bytes` each.
///
/// # Errors
/// The memory cannot be had.
pub(crate) fn tables(
    cameras: usize,
    slots: u16,
    bytes: u64,
    node: Option<usize>,
) -> Result<(SlotArena, Vec<SlotTable>), BenchError> {
    let needs = vec![CameraNeed { slots, bytes }; cameras];
    let layout = ArenaLayout::of(&needs).map_err(BenchError::machine)?;
    let region = Region::map(&RegionRequest {
        bytes: layout.total_bytes(),
        pages: Pages::Huge { bytes: 2 * MIB },
        node,
        on_shortage: OnShortage::Fallback,
    })
    .map_err(BenchError::machine)?;
    let mut arena = SlotArena::new(region, layout).map_err(BenchError::machine)?;
    let tables = (0..cameras)
        .map(|camera| arena.table(camera))
        .collect::<Result<_, _>>()
        .map_err(BenchError::machine)?;
    Ok((arena, tables))
}

/// A lane of one camera, and the one reader's end of it.
///
/// # Errors
/// The table has too few slots.
pub(crate) fn lane_of(
    camera: usize,
    table: SlotTable,
    tap: TapNeed,
) -> Result<(LaneProducer, LaneTap), BenchError> {
    let number = u16::try_from(camera).unwrap_or(u16::MAX);
    let (producer, mut taps) = lane(number, table, 1, &[tap]).map_err(BenchError::machine)?;
    let tap = taps.pop().expect("a tap has at least one reader");
    Ok((producer, tap))
}

/// Slots of a lane with this tap and one slot for the camera to fill.
pub(crate) fn slots_of(tap: TapNeed) -> u16 {
    u16::try_from(slots_needed(1, &[tap])).unwrap_or(u16::MAX)
}

/// What the slots are made of, for the conditions.
pub(crate) fn describe(arena: &SlotArena) -> String {
    let region = arena.region();
    format!(
        "{} MiB of {}",
        region.len_bytes() as u64 / MIB,
        region.kind()
    )
}
