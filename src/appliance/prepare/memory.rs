//! Cameras opened, memory mapped and placed, lanes made.

use super::cameras;
use super::format::word;
use crate::appliance::exit::{Exit, Failure};
use crate::appliance::prepare::fit::Fitted;
use crate::appliance::prepare::late_camera::Wanted;
use crate::appliance::shared::options::Options;
use crate::capture::{ArmError, FrameSource, NotArmed, SlotHome, SlotMemory, Slots, UnarmedSource};
use crate::frame::SlotTable;
use crate::profile::{Board, Io};
use crate::resources::budget::{FrameNeed, Home};
use crate::ring::{LaneProducer, LaneTap, lane};
use crate::sys::memory::slot_arena::{SlotArena, SlotArenaError, lane_memory};
use crate::sys::memory::{Pages, Region, RegionRequest};
use crate::units::KIB;
use std::collections::BTreeMap;
use std::sync::mpsc;

/// One camera with its memory, before its threads exist.
pub(crate) struct Lane {
    pub(crate) source: Box<dyn FrameSource>,
    pub(crate) io: String,
    pub(crate) producer: LaneProducer,
    pub(crate) taps: Vec<LaneTap>,
}

/// Cameras opened, with their memory.
pub(crate) struct Allocated {
    pub(crate) fitted: Fitted,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) arenas: Arenas,
    pub(crate) warnings: Vec<String>,
    /// Cameras that are not there.
    pub(crate) wanted: Vec<Wanted>,
}

/// Opens the cameras and gives them their memory. `refusal` holds the board against the machine once the
/// cameras have said what they need. A driver that refuses the board's memory at the last moment has its own buffers made
/// the slots, where `io` leaves the choice.
///
/// # Errors
/// What cannot be had.
pub(crate) fn allocate(
    mut fitted: Fitted,
    options: &Options,
    refusal: fn(&Fitted) -> Option<Failure>,
) -> Result<Allocated, Failure> {
    let mut fallen_back = Vec::new();
    loop {
        let (wanted_in, wanted) = mpsc::channel();
        let sources = cameras::open_all(&fitted.board, options, &wanted_in)?;
        let needs: Vec<_> = sources.iter().map(|source| frame_need(&**source)).collect();
        fitted = fitted.with_needs(&needs);
        if let Some(refusal) = refusal(&fitted) {
            return Err(refusal);
        }
        match make_lanes(&fitted, sources) {
            Ok((lanes, arenas)) => {
                // What the machine lacks is said once, and with what mends it.
                if !fitted.lacks_memory() {
                    let notes = arenas.values().flat_map(|arena| arena.region().notes());
                    fitted.granted_less = notes.cloned().collect();
                }
                let mut warnings = fitted.warnings();
                warnings.append(&mut fallen_back);
                return Ok(Allocated {
                    fitted,
                    lanes,
                    arenas,
                    warnings,
                    wanted: wanted.try_iter().collect(),
                });
            }
            Err(NoLanes::Refused(failure)) => return Err(failure),
            Err(NoLanes::OwnBuffers { camera, error, io }) => {
                let camera = &mut fitted.board.cameras[camera];
                fallen_back.push(format!(
                    "camera {}: the driver refuses userptr ({error}); it is used by {io}",
                    camera.name
                ));
                camera.io = if word(&io) == "dma-heap" {
                    Io::DmaHeap
                } else {
                    Io::Mmap
                };
            }
        }
    }
}

/// Why the lanes of a board were not made.
enum NoLanes {
    Refused(Failure),
    /// This camera's driver wants buffers that are not ours to be the slots, which makes another budget.
    OwnBuffers {
        camera: usize,
        error: ArmError,
        /// The other way, and why.
        io: String,
    },
}

/// Memory for every camera, and a lane over it.
fn make_lanes(
    fitted: &Fitted,
    sources: Vec<Box<dyn UnarmedSource>>,
) -> Result<(Vec<Lane>, Arenas), NoLanes> {
    let (mut arenas, places) = make_arenas(fitted).map_err(NoLanes::Refused)?;
    let mut lanes = Vec::new();
    for (index, source) in sources.into_iter().enumerate() {
        let found = places
            .get(&index)
            .and_then(|(node, place)| Some((arenas.get_mut(node)?, *place)));
        let Some((arena, place)) = found else {
            let fault = "a camera without a region";
            return Err(NoLanes::Refused(Failure::new(Exit::Internal, fault)));
        };
        lanes.push(make_lane(&fitted.board, index, source, arena, place)?);
    }
    Ok((lanes, arenas))
}

/// What the frames of an opened camera need.
fn frame_need(source: &dyn UnarmedSource) -> FrameNeed {
    let format = source.format();
    FrameNeed {
        image_bytes: format.size_bytes,
        decoding: format
            .pixel
            .decoding(format.size_bytes, format.width_px, format.height_px),
        home: match source.slot_home() {
            SlotHome::Caller => Home::Region,
            SlotHome::Source => Home::Driver,
        },
        own_bytes: source.own_bytes(),
    }
}

/// Arenas by node.
pub(crate) type Arenas = BTreeMap<usize, SlotArena>;
/// A camera's node, and its place in the arena there.
type Places = BTreeMap<usize, (usize, usize)>;

/// The region of each node of the budget, mapped, present and divided as the budget says; and for each
/// camera its node and its place there.
fn make_arenas(fitted: &Fitted) -> Result<(Arenas, Places), Failure> {
    let board = &fitted.board;
    let several_nodes = fitted.topology.machine.nodes.len() > 1;
    let mut arenas = BTreeMap::new();
    let mut places = BTreeMap::new();
    for planned in &fitted.budget.regions {
        let request = RegionRequest {
            bytes: planned.bytes,
            pages: Pages::Huge {
                bytes: board.memory.hugepage_kib * KIB,
            },
            node: several_nodes.then_some(planned.node),
            on_shortage: board.memory.on_shortage,
        };
        let region = Region::map(&request).map_err(|error| Failure::new(Exit::Machine, error))?;
        let arena = SlotArena::new(region, planned.layout.clone())
            .map_err(|error| Failure::new(Exit::Machine, error))?;
        arenas.insert(planned.node, arena);
        for (place, camera) in planned.cameras.iter().enumerate() {
            places.insert(*camera, (planned.node, place));
        }
    }
    Ok((arenas, places))
}

/// Gives a camera its headers and slots, and arms its source with them.
fn make_lane(
    board: &Board,
    index: usize,
    source: Box<dyn UnarmedSource>,
    arena: &mut SlotArena,
    place: usize,
) -> Result<Lane, NoLanes> {
    let camera = &board.cameras[index];
    let name = &camera.name;
    let refuse = |exit: Exit, error: &dyn std::fmt::Display| {
        NoLanes::Refused(Failure::new(exit, format!("camera {name}: {error}")))
    };
    let slots = arena.slots(place);
    let driver_slots = u16::try_from(camera.driver_slots).unwrap_or(u16::MAX);
    let taps = [crate::profile::tap(camera, board.workers_of(camera))];
    let number = u16::try_from(index).unwrap_or(u16::MAX);
    let make = |table: SlotTable| {
        lane(number, table, driver_slots, &taps).map_err(|error| refuse(Exit::Profile, &error))
    };
    let memory_error = |error: SlotArenaError| refuse(Exit::Machine, &error);
    if source.slot_home() == SlotHome::Caller {
        let (mut producer, taps) = make(arena.table(place).map_err(memory_error)?)?;
        let memory = lane_memory(&mut producer);
        let (source, io) = arm_over(source, &memory).map_err(
            |NotArmed {
                 source: back,
                 error,
             }| {
                if back.slot_home() == SlotHome::Source {
                    NoLanes::OwnBuffers {
                        camera: index,
                        error,
                        io: back.io(),
                    }
                } else {
                    refuse(Exit::Camera, &error)
                }
            },
        )?;
        return Ok(Lane {
            source,
            io,
            producer,
            taps,
        });
    }
    let io = source.io();
    let armed = source
        .arm(Slots::Source(usize::from(slots)))
        .map_err(|NotArmed { error, .. }| refuse(Exit::Camera, &error))?;
    let keeper = armed
        .keeper()
        .ok_or_else(|| refuse(Exit::Internal, &"its driver's buffers have no keeper"))?;
    let table = arena
        .table_over(place, &*armed, keeper)
        .map_err(memory_error)?;
    let (producer, taps) = make(table)?;
    Ok(Lane {
        source: armed,
        io,
        producer,
        taps,
    })
}

/// Arms a source with slots of ours. One that was free to choose may take them another way when it is asked
/// again. Gives it with its way, or back with why not.
fn arm_over(
    mut source: Box<dyn UnarmedSource>,
    memory: &[SlotMemory],
) -> Result<(Box<dyn FrameSource>, String), NotArmed> {
    loop {
        let io = source.io();
        match source.arm(Slots::Caller(memory)) {
            Ok(armed) => return Ok((armed, io)),
            Err(refused) if refused.source.slot_home() == SlotHome::Source => return Err(refused),
            Err(refused) if refused.source.io() == io => return Err(refused),
            Err(NotArmed {
                source: back,
                error,
            }) => {
                log::warn!(
                    "the driver refuses userptr ({error}); it is used by {}",
                    back.io()
                );
                source = back;
            }
        }
    }
}
