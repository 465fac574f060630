//! Cameras that need not be there when a run starts (`absent = "wait"`): their slots and their place in the
//! ring are made by the profile's format, and a thread of its own looks for them. One that appears is opened
//! and armed there, with everything that this allocates, and handed to its capture thread.
//!
//! ```text
//! thread `absent`:  look ──► open, agree, arm ──► hand over ──┐   (a bounded channel of one)
//! capture thread:   reopen, as the ladder asks for it ◄───────┘
//! ```

use super::v4l2_camera::{interval_ns, open_v4l2};
use crate::appliance::shared::stop::Stop;
use crate::capture::{
    Dequeue, FrameSource, MemoryKeeper, NotArmed, Readiness, SlotHome, SlotMemory, Slots,
    SourceError, Traits, UnarmedSource, check_caller_slots,
};
use crate::frame::{Colour, Encoding, Quantization, StreamFormat};
use crate::limits::MAX_SLOTS;
use crate::profile::{Camera, Io, Source};
use crate::sync::Arc;
use crate::sys::io::poll::PollSet;
use crate::units::{NS_PER_MS, NS_PER_S};
use nix::libc;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::time::SystemTime;

/// Time between two looks.
const LOOK_NS: u64 = 500 * NS_PER_MS;
/// Time after which a camera that was refused is tried again, though nothing in /dev has changed.
const AGAIN_NS: u64 = 5 * NS_PER_S;
/// Drivers ask for whole pages, and some for more: a slot is at least so many bytes of this.
const SLOT_UNIT_BYTES: u64 = 64 << 10;

/// A camera that is looked for.
pub(crate) struct Wanted {
    camera: Camera,
    format: StreamFormat,
    slots: Box<[SlotMemory]>,
    hand_over: SyncSender<Box<dyn FrameSource>>,
    /// Why it was refused the last time, which is logged once.
    last_refusal: Option<String>,
}

/// What the profile's format needs when nobody can be asked.
fn expected(camera: &Camera) -> StreamFormat {
    let pixel = camera.format;
    let stride_bytes = u32::try_from(pixel.row_bytes(camera.width_px)).unwrap_or(u32::MAX);
    let bytes = pixel.buffer_bytes(camera.width_px, camera.height_px);
    let quantization = if pixel.is_full_range_by_default() {
        Quantization::Full
    } else {
        Quantization::Limited
    };
    StreamFormat {
        pixel,
        width_px: camera.width_px,
        height_px: camera.height_px,
        stride_bytes,
        size_bytes: u32::try_from(bytes.next_multiple_of(SLOT_UNIT_BYTES)).unwrap_or(u32::MAX),
        colour: Colour {
            encoding: Encoding::Bt601,
            quantization,
        },
        interval_ns: interval_ns(camera.rate_hz),
    }
}

/// A camera that is not there, before it has its slots.
pub(crate) struct UnarmedLate {
    camera: Camera,
    format: StreamFormat,
    wanted: Sender<Wanted>,
}

impl UnarmedLate {
    /// Once it is armed, it is sent to `wanted`.
    pub(crate) fn new(camera: &Camera, wanted: Sender<Wanted>) -> Self {
        Self {
            camera: camera.clone(),
            format: expected(camera),
            wanted,
        }
    }
}

impl UnarmedSource for UnarmedLate {
    fn format(&self) -> StreamFormat {
        self.format
    }
    fn slot_home(&self) -> SlotHome {
        SlotHome::Caller
    }
    fn own_bytes(&self) -> u64 {
        0
    }
    fn io(&self) -> String {
        "late, because it is not there: the slots are the profile's".to_owned()
    }
    fn arm(self: Box<Self>, slots: Slots<'_>) -> Result<Box<dyn FrameSource>, NotArmed> {
        let slots = match check_caller_slots(&self.format, slots, MAX_SLOTS) {
            Ok(slots) => slots,
            Err(error) => {
                return Err(NotArmed {
                    source: self,
                    error,
                });
            }
        };
        let (hand_over, arrival) = sync_channel(1);
        // Nobody looks for it where this run has nobody to look (`pinsight snapshot`).
        let _ = self.wanted.send(Wanted {
            camera: self.camera,
            format: self.format,
            slots: slots.clone(),
            hand_over,
            last_refusal: None,
        });
        Ok(Box::new(Late {
            format: self.format,
            slots,
            arrival,
            arrived: None,
        }))
    }
}

/// A camera that is not there yet. Without a device until [`FrameSource::reopen`] finds it handed over.
struct Late {
    format: StreamFormat,
    slots: Box<[SlotMemory]>,
    arrival: Receiver<Box<dyn FrameSource>>,
    arrived: Option<Box<dyn FrameSource>>,
}

impl Late {
    fn there(&mut self, operation: &'static str) -> Result<&mut Box<dyn FrameSource>, SourceError> {
        self.arrived
            .as_mut()
            .ok_or(SourceError::new(operation, libc::ENODEV))
    }
}

impl FrameSource for Late {
    fn format(&self) -> StreamFormat {
        self.format
    }
    fn slots(&self) -> &[SlotMemory] {
        &self.slots
    }
    fn keeper(&self) -> Option<MemoryKeeper> {
        None
    }
    fn start(&mut self, now_ns: u64) -> Result<(), SourceError> {
        self.there("start")?.start(now_ns)
    }
    fn queue(&mut self, slot: u16, now_ns: u64) -> Result<(), SourceError> {
        self.there("queue")?.queue(slot, now_ns)
    }
    fn dequeue(&mut self, now_ns: u64) -> Result<Dequeue, SourceError> {
        self.there("dequeue")?.dequeue(now_ns)
    }
    fn readiness(&self) -> Readiness {
        self.arrived
            .as_ref()
            .map_or(Readiness::At(u64::MAX), |source| source.readiness())
    }
    fn traits(&self) -> Traits {
        self.arrived
            .as_ref()
            .map_or(Traits::default(), |source| source.traits())
    }
    fn stop(&mut self) -> Result<(), SourceError> {
        self.arrived.as_mut().map_or(Ok(()), |source| source.stop())
    }
    fn reopen(&mut self, now_ns: u64) -> Result<(), SourceError> {
        if let Some(source) = &mut self.arrived {
            return source.reopen(now_ns);
        }
        let arrived = self.arrival.try_recv();
        self.arrived = Some(arrived.map_err(|_| SourceError::new("open", libc::ENODEV))?);
        Ok(())
    }
}

/// The thread: looks for each camera until it was handed over, or the run is over.
pub(crate) fn look_for(mut wanted: Vec<Wanted>, stop: &Arc<Stop>, now_ns: impl Fn() -> u64) {
    let mut polled = PollSet::new();
    let mut seen: Option<SystemTime> = None;
    let mut again_ns = 0;
    while !wanted.is_empty() && !stop.is_asked() {
        let now = now_ns();
        // A node that appears changes /dev: most looks cost one system call, and nothing of the heap.
        let changed = std::fs::metadata("/dev")
            .and_then(|dev| dev.modified())
            .ok();
        if changed != seen || now >= again_ns {
            seen = changed;
            again_ns = now + AGAIN_NS;
            wanted.retain_mut(|wanted| match wanted.find() {
                Ok(()) => false,
                Err(None) => true,
                Err(Some(refusal)) => {
                    if wanted.last_refusal.as_ref() != Some(&refusal) {
                        log::error!("camera {}: {refusal}; trying again", wanted.camera.name);
                        wanted.last_refusal = Some(refusal);
                    }
                    true
                }
            });
        }
        polled.clear();
        polled.watch(stop.descriptor().as_raw_fd());
        polled.wait(LOOK_NS);
    }
}

impl Wanted {
    /// Opens the camera, arms it, and hands it over. `Err(None)`: it is not there.
    fn find(&self) -> Result<(), Option<String>> {
        let Source::V4l2 { device } = &self.camera.source else {
            return Err(None);
        };
        if device.is_absolute() && !device.exists() {
            return Err(None);
        }
        // The slots are ours already: the driver writes into them, or its buffers are copied there.
        let ways: &[Io] = match self.camera.io {
            Io::Auto => &[Io::Userptr, Io::Copy],
            ref asked => std::slice::from_ref(asked),
        };
        let mut refused = None;
        for io in ways {
            match self.arm(device, *io) {
                // The last way is the one that had to hold.
                Err(Some(refusal)) => refused = Some(refusal),
                done => return done,
            }
        }
        Err(refused)
    }

    fn arm(&self, device: &Path, io: Io) -> Result<(), Option<String>> {
        let camera = Camera {
            io,
            ..self.camera.clone()
        };
        let mut source = open_v4l2(device, &camera).map_err(|error| match error.is_absent() {
            true => None,
            false => Some(error.to_string()),
        })?;
        source.set_rows(self.format.stride_bytes);
        let found = source.format();
        let rows = found.stride_bytes == self.format.stride_bytes;
        if !rows && !found.pixel.is_compressed() {
            return Err(Some(format!(
                "found rows of {} bytes, expected {} as for a camera that was not there at the start: io = \
                 \"copy\" or \"auto\" copies them, or start again while it is there",
                found.stride_bytes, self.format.stride_bytes
            )));
        }
        if found.colour != self.format.colour {
            log::warn!(
                "camera {}: its colours are {:?}, and were taken for {:?} while it was not there; start again \
                 for the right ones",
                camera.name,
                found.colour,
                self.format.colour
            );
        }
        let armed = source
            .arm(Slots::Caller(&self.slots))
            .map_err(|NotArmed { error, .. }| Some(error.to_string()))?;
        log::info!("camera {}: it is there", camera.name);
        // Room for one, and one is sent. A run that is over needs none.
        let _ = self.hand_over.try_send(armed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::faults::{FaultPlan, Faults};
    use crate::profile;
    use std::sync::mpsc::channel;

    fn camera() -> Camera {
        let text = std::fs::read_to_string("boards/vivid.toml").unwrap();
        let text = text
            .replace("/dev/video0", "/dev/video-that-is-not-there")
            .replace("absent = \"refuse\"", "absent = \"wait\"");
        let board = profile::read("boards/vivid.toml", &text).expect("a board");
        let camera = board.cameras.into_iter().next().unwrap();
        assert_eq!(camera.absent, profile::AbsentCamera::Wait);
        camera
    }

    #[test]
    fn a_camera_that_is_not_there_is_looked_for_and_is_taken_once_it_is_handed_over() {
        let camera = camera();
        let (wanted_in, wanted) = channel();
        let late: Box<dyn UnarmedSource> = Box::new(UnarmedLate::new(&camera, wanted_in));
        let format = late.format();
        assert_eq!(u64::from(format.size_bytes) % SLOT_UNIT_BYTES, 0);
        let mut memory = vec![0_u8; format.size_bytes as usize];
        let start = std::ptr::NonNull::new(memory.as_mut_ptr()).unwrap();
        #[allow(unsafe_code)]
        // SAFETY: the memory outlives the sources of this test, which nobody else knows.
        let slot = unsafe { SlotMemory::new(start, memory.len()) };
        let mut source = late.arm(Slots::Caller(&[slot])).unwrap();
        let gone = |outcome: Result<(), SourceError>| outcome.unwrap_err().errno == libc::ENODEV;
        assert!(gone(source.start(0)) && gone(source.queue(0, 0)) && gone(source.reopen(0)));
        assert_eq!(
            (source.stop(), source.readiness()),
            (Ok(()), Readiness::At(u64::MAX))
        );
        let wanted = wanted.try_recv().expect("it is looked for");
        assert_eq!(wanted.find(), Err(None));

        // What stands in for it when it comes.
        let config = crate::capture::synthetic::pattern::PatternConfig {
            pixel: format.pixel,
            width_px: format.width_px,
            height_px: format.height_px,
            interval_ns: 1,
            level: crate::capture::synthetic::pattern::Level::Percent75,
        };
        let other = crate::capture::synthetic::pattern::UnarmedPattern::new(config).unwrap();
        let other = Box::new(other).arm(Slots::Caller(&wanted.slots)).unwrap();
        assert!(wanted.hand_over.try_send(other).is_ok());
        assert_eq!(source.reopen(0), Ok(()));
        assert_eq!(source.queue(0, 0), Ok(()));
        assert_eq!(source.start(1), Ok(()));
        assert!(matches!(source.dequeue(1 << 40), Ok(Dequeue::Frame(_))));
        source.stop().unwrap();
    }

    /// Behind USB, and slow where light is dim.
    const WEBCAM: Traits = Traits {
        on_usb: true,
        slows_in_dim_light: true,
    };

    /// A camera of which nothing counts but what is known of it.
    struct Webcam(StreamFormat);

    impl FrameSource for Webcam {
        fn format(&self) -> StreamFormat {
            self.0
        }
        fn slots(&self) -> &[SlotMemory] {
            &[]
        }
        fn keeper(&self) -> Option<MemoryKeeper> {
            None
        }
        fn start(&mut self, _: u64) -> Result<(), SourceError> {
            Ok(())
        }
        fn queue(&mut self, _: u16, _: u64) -> Result<(), SourceError> {
            Ok(())
        }
        fn dequeue(&mut self, _: u64) -> Result<Dequeue, SourceError> {
            Ok(Dequeue::NotReady)
        }
        fn readiness(&self) -> Readiness {
            Readiness::At(u64::MAX)
        }
        fn traits(&self) -> Traits {
            WEBCAM
        }
        fn stop(&mut self) -> Result<(), SourceError> {
            Ok(())
        }
        fn reopen(&mut self, _: u64) -> Result<(), SourceError> {
            Ok(())
        }
    }

    #[test]
    fn what_is_known_of_a_camera_is_known_once_it_is_there_through_planned_faults_too() {
        let format = expected(&camera());
        let (hand_over, arrival) = sync_channel(1);
        let late = Late {
            format,
            slots: Box::new([]),
            arrival,
            arrived: None,
        };
        let mut source = Faults::new(Box::new(late), FaultPlan::default());
        assert_eq!(source.traits(), Traits::default());
        hand_over.try_send(Box::new(Webcam(format))).unwrap();
        source.reopen(0).unwrap();
        assert_eq!(source.traits(), WEBCAM);
    }
}
