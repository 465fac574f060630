//! Frames' memory: what a camera needs, and how a node's mapping is cut.

use super::entries::{BudgetLine, Purpose};
use crate::frame::{ArenaLayout, CameraNeed, Decoding};
use crate::profile::{Board, Camera, Io, Source, Worker, camera_slots};
use crate::resources::machine::Machine;
use crate::units::KIB;
use std::collections::BTreeMap;

/// What one camera's buffers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameNeed {
    /// Bytes of one image, as the driver asks for them (V4L2 `sizeimage`).
    pub image_bytes: u32,
    /// Whose memory they live in.
    pub home: Home,
    /// What a worker needs beside them to decode one.
    pub decoding: Decoding,
    /// Bytes that the camera's source holds beside them; what several cameras share, the first one holds.
    pub own_bytes: u64,
}

/// Whose memory frames live in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// Slots of our own region.
    Region,
    /// The driver's buffers, which it maps for us, or a dma-heap's.
    Driver,
}

impl FrameNeed {
    /// What the profile alone says: rows without padding, slots of our own unless it asks for others, and a source that holds
    /// nothing.
    #[must_use]
    pub fn from_profile(camera: &Camera) -> Self {
        let home = match (&camera.source, camera.io) {
            (Source::V4l2 { .. }, Io::Mmap | Io::Dmabuf | Io::DmaHeap) => Home::Driver,
            _ => Home::Region,
        };
        let (pixel, width_px, height_px) = (camera.format, camera.width_px, camera.height_px);
        let image_bytes =
            u32::try_from(pixel.buffer_bytes(width_px, height_px)).unwrap_or(u32::MAX);
        Self {
            image_bytes,
            home,
            decoding: pixel.decoding(image_bytes, width_px, height_px),
            own_bytes: 0,
        }
    }
}

/// What each worker has for decoding, in order: as much as the largest compressed frame and the largest
/// picture of its cameras take. `needs` has one entry for each camera, in order.
#[must_use]
pub fn decoding(board: &Board, needs: &[FrameNeed]) -> Vec<Decoding> {
    let of_worker = |worker: &Worker| {
        let theirs = board.cameras.iter().zip(needs);
        let theirs = theirs.filter(|(camera, _)| worker.processes(&camera.name));
        theirs.fold(Decoding::default(), |most, (_, need)| Decoding {
            copy_bytes: most.copy_bytes.max(need.decoding.copy_bytes),
            picture_bytes: most.picture_bytes.max(need.decoding.picture_bytes),
        })
    };
    board.workers.iter().map(of_worker).collect()
}

/// One node's mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// NUMA node.
    pub node: usize,
    /// The cameras whose headers and slots are in it, by their places in the board; the layout's places
    /// are in this order.
    pub cameras: Vec<usize>,
    /// How it is cut.
    pub layout: ArenaLayout,
    /// Bytes of the whole mapping, whole hugepages.
    pub bytes: u64,
}

/// The node of a camera's slots: its own wish if this machine has that node, else its capture core's.
#[must_use]
pub fn camera_node(camera: &Camera, machine: &Machine) -> usize {
    let wished = camera.node.filter(|node| machine.node(*node).is_some());
    wished.unwrap_or_else(|| machine.node_of_core(camera.capture_core))
}

/// One camera's part in the regions.
struct Part<'b> {
    index: usize,
    name: &'b str,
    slots: u16,
    need: FrameNeed,
}

pub(super) fn frames(
    board: &Board,
    machine: &Machine,
    needs: &[FrameNeed],
) -> (Vec<BudgetLine>, Vec<Region>) {
    let mut nodes: BTreeMap<usize, Vec<Part<'_>>> = BTreeMap::new();
    for (index, (camera, need)) in board.cameras.iter().zip(needs).enumerate() {
        let (name, need) = (camera.name.as_str(), *need);
        let slots = camera_slots(camera, board.workers_of(camera));
        let parts = nodes.entry(camera_node(camera, machine)).or_default();
        parts.push(Part {
            index,
            name,
            slots,
            need,
        });
    }
    let (mut lines, mut regions) = (Vec::new(), Vec::new());
    for (node, parts) in nodes {
        let region = region(node, &parts, board.memory.hugepage_kib);
        lines.extend(region_lines(&region, &parts, board.memory.hugepage_kib));
        regions.push(region);
    }
    (lines, regions)
}

fn region(node: usize, parts: &[Part<'_>], hugepage_kib: u64) -> Region {
    let need = |part: &Part<'_>| {
        let ours = part.need.home == Home::Region;
        let bytes = if ours {
            part.need.image_bytes.into()
        } else {
            0
        };
        CameraNeed {
            slots: part.slots,
            bytes,
        }
    };
    let needs: Vec<CameraNeed> = parts.iter().map(need).collect();
    let layout = ArenaLayout::of(&needs)
        .expect("64 cameras of 512 slots of 4 GiB each fit the address space");
    Region {
        node,
        cameras: parts.iter().map(|part| part.index).collect(),
        bytes: layout.total_bytes().next_multiple_of(hugepage_kib * KIB),
        layout,
    }
}

fn region_lines(region: &Region, parts: &[Part<'_>], hugepage_kib: u64) -> Vec<BudgetLine> {
    let node = Some(region.node);
    let mut lines = Vec::new();
    for (part, place) in parts.iter().zip(region.layout.places()) {
        let (camera, slots) = (part.name.to_owned(), part.slots);
        let (slot_bytes, image_bytes) = (place.payload_stride, part.need.image_bytes);
        let (purpose, node, each) = match part.need.home {
            Home::Region => (
                Purpose::Slots {
                    camera,
                    slots,
                    slot_bytes,
                },
                node,
                slot_bytes,
            ),
            Home::Driver => (
                Purpose::DriverBuffers { camera, slots },
                None,
                image_bytes.into(),
            ),
        };
        let bytes = each * u64::from(slots);
        lines.push(BudgetLine {
            purpose,
            node,
            bytes,
        });
    }
    let slots = parts.iter().map(|part| u32::from(part.slots)).sum();
    let (purpose, bytes) = (Purpose::Headers { slots }, region.layout.header_bytes());
    lines.push(BudgetLine {
        purpose,
        node,
        bytes,
    });
    let ours = lines.iter().filter(|line| line.is_ours());
    let bytes = region.bytes - ours.map(|line| line.bytes).sum::<u64>();
    if bytes > 0 {
        let purpose = Purpose::Remainder { hugepage_kib };
        lines.push(BudgetLine {
            purpose,
            node,
            bytes,
        });
    }
    lines
}
