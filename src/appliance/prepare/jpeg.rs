//! Cameras that send compressed frames: the memory in which a worker decodes them, and the malloc arena that
//! the decoder needs.

use super::fit::Fitted;
use crate::appliance::exit::{Exit, Failure};
use crate::frame::{Colour, Decoding, StreamFormat};
use crate::jpeg::{Damage, Jpeg, Samples};
use crate::profile::{Board, Camera};
use crate::sys::malloc_guard::{self, HotThread};
use crate::sys::memory::{Pages, Region, RegionRequest};
use crate::units::KIB;

/// Steps in which a `malloc-arena-kib` is proposed.
const STEP_KIB: u64 = 64;

/// Plain memory on the node of a worker's first core.
pub(crate) fn beside_worker(
    fitted: &Fitted,
    cores: &[usize],
    bytes: u64,
) -> Result<Region, Failure> {
    let machine = &fitted.topology.machine;
    let node = machine.node_of_core(cores.first().copied().unwrap_or_default());
    Region::map(&RegionRequest {
        bytes,
        pages: Pages::Plain,
        node: (machine.nodes.len() > 1).then_some(node),
        on_shortage: fitted.board.memory.on_shortage,
    })
    .map_err(|error| Failure::new(Exit::Machine, error))
}

/// Where one worker decodes. Empty for a board whose cameras send raw samples.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    copy: &'static mut [u8],
    picture: &'static mut [u8],
}

impl Buffers {
    /// Buffers of these sizes, mapped to the end of the process.
    pub(crate) fn map(
        fitted: &Fitted,
        cores: &[usize],
        decoding: Decoding,
    ) -> Result<Self, Failure> {
        let bytes = decoding.copy_bytes + decoding.picture_bytes;
        if bytes == 0 {
            return Ok(Self::default());
        }
        let whole = beside_worker(fitted, cores, bytes)?.leak();
        let copy_bytes = usize::try_from(decoding.copy_bytes).unwrap_or(usize::MAX);
        let (copy, picture) = whole
            .split_at_mut_checked(copy_bytes)
            .ok_or_else(|| Failure::new(Exit::Internal, "a region shorter than asked for"))?;
        Ok(Self { copy, picture })
    }

    /// Buffers of the heap, for what is done once.
    pub(crate) fn once(decoding: Decoding) -> (Vec<u8>, Vec<u8>) {
        let buffer = |bytes| vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        (buffer(decoding.copy_bytes), buffer(decoding.picture_bytes))
    }

    /// Checks and copies a frame; gives the copy's length. The frame is not needed any more.
    pub(crate) fn take(&mut self, jpeg: &Jpeg, frame: &[u8]) -> Result<usize, Damage> {
        jpeg.take(frame, self.copy)
    }

    /// Decodes the copy.
    pub(crate) fn decode(&mut self, jpeg: &Jpeg, taken: usize) -> Result<&[u8], Damage> {
        let copy = self.copy.get(..taken).unwrap_or_default();
        jpeg.decode(copy, self.picture)
    }
}

/// What decoding one frame asks of the heap, at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct HeapNeed {
    calls: u64,
    bytes: u64,
}

impl HeapNeed {
    /// Measures it on the calling thread, which has no arena. Allocates.
    fn measure(format: &StreamFormat, hot: &HotThread) -> Self {
        let Some(jpeg) = Jpeg::new(format, Samples::Rgb) else {
            return Self::default();
        };
        let trials = jpeg.trials();
        let longest = trials.iter().map(Vec::len).max().unwrap_or(0);
        let longest = u32::try_from(longest).unwrap_or(u32::MAX);
        let decoding = format
            .pixel
            .decoding(longest, format.width_px, format.height_px);
        let (mut copy, mut picture) = Buffers::once(decoding);
        let mut most = Self::default();
        for trial in &trials {
            let Ok(taken) = jpeg.take(trial, &mut copy) else {
                continue;
            };
            let guard = malloc_guard::guard_on();
            let before = hot.counts();
            // The last trial is a corrupt picture: it is what it takes until then that counts.
            let _ = jpeg.decode(&copy[..taken], &mut picture);
            let counts = hot.counts().since(&before);
            drop(guard);
            most.calls = most.calls.max(counts.calls);
            most.bytes = most.bytes.max(counts.allocated_bytes);
        }
        most
    }

    /// The arena with room for it.
    ///
    /// Everything that is asked for is taken to be held at once. To each block comes what the arena keeps
    /// beside it and what rounding up to a class of sizes costs; a quarter of an arena is its reserve.
    const fn arena_kib(self) -> u64 {
        let blocks = self.bytes + self.bytes / 16 + self.calls * 64 + 4 * KIB;
        (blocks * 4 / 3).div_ceil(STEP_KIB * KIB) * STEP_KIB
    }
}

/// The format that the profile asks a camera for, as one without padding sends it.
pub(crate) fn asked_for(camera: &Camera) -> StreamFormat {
    let Camera {
        format: pixel,
        width_px,
        height_px,
        ..
    } = *camera;
    let whole = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
    StreamFormat {
        pixel,
        width_px,
        height_px,
        stride_bytes: whole(pixel.row_bytes(width_px)),
        size_bytes: whole(pixel.buffer_bytes(width_px, height_px)),
        colour: Colour::default(),
        interval_ns: 0,
    }
}

/// Whether the board's malloc arenas have room for decoding frames of the sizes that the profile asks for.
///
/// # Errors
/// The size that is needed.
pub fn check_decoding(board: &Board) -> Result<(), Failure> {
    let cameras = board.cameras.iter();
    check_arena(
        board,
        cameras.map(|camera| (&*camera.name, asked_for(camera))),
    )
}

/// Whether the board's malloc arenas have room for decoding what its cameras send. Measured by decoding, on
/// the calling thread.
///
/// # Errors
/// The size that is needed, for the camera that needs most.
pub(crate) fn check_arena<'a>(
    board: &Board,
    cameras: impl IntoIterator<Item = (&'a str, StreamFormat)>,
) -> Result<(), Failure> {
    let mut compressed = cameras
        .into_iter()
        .filter(|(_, format)| format.pixel.is_compressed())
        .peekable();
    if compressed.peek().is_none() {
        return Ok(());
    }
    let hot = malloc_guard::register_hot().map_err(|error| Failure::new(Exit::Internal, error))?;
    let needs = compressed.map(|(name, format)| (HeapNeed::measure(&format, &hot), name, format));
    let Some((need, name, format)) = needs.max_by_key(|(need, ..)| need.arena_kib()) else {
        return Ok(());
    };
    let found = board.memory.malloc_arena_kib;
    if found >= need.arena_kib() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Profile,
        format!(
            "memory.malloc-arena-kib: found {found}, expected at least {} for camera {name}: decoding a \
             frame of {} {}x{} takes {} calls of malloc for {} KiB together",
            need.arena_kib(),
            format.pixel.name(),
            format.width_px,
            format.height_px,
            need.calls,
            need.bytes.div_ceil(KIB)
        ),
    ))
}

/// Decodes pictures like those that a camera sends, in the calling thread's arena, as after ready.
///
/// # Errors
/// The arena had no room; or the decoder does not read what cameras send.
pub(crate) fn rehearse(
    jpeg: &Jpeg,
    trials: &[Vec<u8>],
    buffers: &mut Buffers,
    hot: &HotThread,
) -> Result<(), Failure> {
    let last = trials.len().saturating_sub(1);
    for (index, trial) in trials.iter().enumerate() {
        // A camera's buffers may be shorter than a trial: it does not send such pictures then.
        let Ok(taken) = buffers.take(jpeg, trial) else {
            continue;
        };
        let guard = malloc_guard::guard_on();
        let before = hot.counts();
        let decoded = buffers.decode(jpeg, taken).map(drop);
        let counts = hot.counts().since(&before);
        drop(guard);
        if counts.arena_overdrawn + counts.arena_refused > 0 {
            let message = "memory.malloc-arena-kib: decoding found no room in the arena; raise it";
            return Err(Failure::new(Exit::Profile, message));
        }
        // The last trial is a corrupt picture.
        if let Err(damage) = decoded
            && index != last
        {
            let message = format!("a picture made for trial was not decoded: {damage}");
            return Err(Failure::new(Exit::Internal, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;

    fn stream(width_px: u32, height_px: u32) -> StreamFormat {
        let bytes = PixelFormat::Mjpg.buffer_bytes(width_px, height_px);
        StreamFormat {
            pixel: PixelFormat::Mjpg,
            width_px,
            height_px,
            stride_bytes: 0,
            size_bytes: u32::try_from(bytes).unwrap(),
            colour: Colour::default(),
            interval_ns: 0,
        }
    }

    #[test]
    fn an_arena_of_the_size_that_is_asked_for_is_enough() {
        for (width_px, height_px) in [
            (64, 48),
            (640, 480),
            (1280, 720),
            (1920, 1080),
            (3840, 2160),
        ] {
            let format = stream(width_px, height_px);
            let mut hot = malloc_guard::register_hot().unwrap();
            let need = HeapNeed::measure(&format, &hot);
            assert!(need.calls > 0 && need.bytes > 0, "{need:?}");
            // Other tests may have the guard on at any time: whatever is allocated once this thread has its
            // arena lies there.
            let jpegs =
                [Samples::Rgb, Samples::Luma].map(|samples| Jpeg::new(&format, samples).unwrap());
            let trials = jpegs.map(|jpeg| jpeg.trials());
            let region = Region::map(&RegionRequest {
                bytes: need.arena_kib() * KIB,
                pages: Pages::Plain,
                node: None,
                on_shortage: crate::profile::OnShortage::Fallback,
            });
            let decoding = format
                .pixel
                .decoding(format.size_bytes, width_px, height_px);
            let (copy, picture) = Buffers::once(decoding);
            let mut buffers = Buffers {
                copy: copy.leak(),
                picture: picture.leak(),
            };
            let arena = malloc_guard::Arena::new(region.unwrap()).unwrap();
            hot.attach(arena).unwrap();
            let before = hot.counts();
            for (jpeg, trials) in jpegs.iter().zip(&trials) {
                rehearse(jpeg, trials, &mut buffers, &hot).unwrap();
            }
            let counts = hot.counts().since(&before);
            assert!(counts.arena_served > 0);
            assert_eq!(counts.heap_calls(), 0, "{width_px}x{height_px}: {counts:?}");
        }
    }

    #[test]
    fn an_arena_that_is_too_small_is_refused_with_the_size_that_is_needed() {
        let text = include_str!("../../../boards/demo.toml");
        let mut board = crate::profile::read("demo.toml", text).unwrap();
        let cameras = [("door", stream(640, 480)), ("yard", stream(1920, 1080))];
        let refused = check_arena(&board, cameras).unwrap_err();
        assert_eq!(refused.exit, Exit::Profile);
        assert!(
            refused
                .message
                .starts_with("memory.malloc-arena-kib: found 0, expected at least ")
                && refused.message.contains("camera yard")
                && refused.message.contains("MJPG 1920x1080"),
            "{}",
            refused.message
        );
        board.memory.malloc_arena_kib = 1024;
        check_arena(&board, cameras).unwrap();
        board.memory.malloc_arena_kib = 0;
        let open = StreamFormat {
            pixel: PixelFormat::Nv12,
            ..stream(1920, 1080)
        };
        check_arena(&board, [("door", open)]).unwrap();
    }
}
