//! Our design: a lane of preallocated slots for each camera, one doorbell, and a scheduler.

use super::ends::{Captured, Sink, Source, expose};
use crate::error::BenchError;
use crate::harness::memory::{NEWEST, describe, lane_of, slots_of, tables};
use pinsight::frame::FrameMeta;
use pinsight::infer::{Choice, Forecast, Scheduler, Seen, Share};
use pinsight::ring::{Doorbell, LaneProducer, LaneTap, Waiting, Woken};
use pinsight::sync::Padded;
use pinsight::sys::clock::now_ns;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// The product's scheduler.
    Scheduler,
    /// The next camera with a frame, whatever its age.
    RoundRobin,
}

/// What the cameras' threads and the consumer share beside the lanes.
#[derive(Debug)]
struct Board {
    bell: Doorbell,
    /// When each camera's newest frame came. A hint for the scheduler: the lane decides what is claimed.
    arrived_ns: Vec<Padded<AtomicU64>>,
    /// When its next one should come.
    expected_ns: Vec<Padded<AtomicU64>>,
}

/// The cameras' ends, the consumer's, and what the slots are made of.
type Ends = (Vec<LaneSource>, Lanes, String);

/// # Errors
/// The slots' memory cannot be had.
pub(crate) fn lanes(
    cameras: usize,
    frame_bytes: usize,
    interval_ns: u64,
) -> Result<Ends, BenchError> {
    let bytes = u32::try_from(frame_bytes).map_err(|_| {
        BenchError::Setting(format!(
            "frames of {frame_bytes} bytes, expected below 4 GiB"
        ))
    })?;
    let (arena, tables) = tables(cameras, slots_of(NEWEST), bytes.into(), None)?;
    let board = Arc::new(Board {
        bell: Doorbell::new(),
        arrived_ns: stamps(cameras),
        expected_ns: stamps(cameras),
    });
    let mut sources = Vec::with_capacity(cameras);
    let mut taps = Vec::with_capacity(cameras);
    for (camera, table) in tables.into_iter().enumerate() {
        let (producer, tap) = lane_of(camera, table, NEWEST)?;
        taps.push(tap);
        sources.push(LaneSource {
            camera,
            bytes,
            producer,
            forecast: Forecast::new(interval_ns),
            board: Arc::clone(&board),
        });
    }
    Ok((sources, Lanes { taps, board }, describe(&arena)))
}

fn stamps(cameras: usize) -> Vec<Padded<AtomicU64>> {
    (0..cameras).map(|_| Padded(AtomicU64::new(0))).collect()
}

pub(crate) struct LaneSource {
    camera: usize,
    bytes: u32,
    producer: LaneProducer,
    forecast: Forecast,
    board: Arc<Board>,
}

impl Source for LaneSource {
    fn capture(&mut self, due_ns: u64) -> Captured {
        let Some(mut slot) = self.producer.take_free() else {
            return Captured::Evicted;
        };
        expose(self.producer.payload_mut(&mut slot), due_ns);
        let arrived_ns = now_ns();
        let meta = FrameMeta {
            capture_ns: due_ns,
            dequeue_ns: arrived_ns,
            bytes_used: self.bytes,
            ..FrameMeta::default()
        };
        let mut captured = Captured::Sent;
        if let Ok(filled) = self.producer.fill(slot, &meta) {
            let expected_ns = self.forecast.arrived(due_ns, arrived_ns);
            self.board.arrived_ns[self.camera].store(arrived_ns, Ordering::Relaxed);
            self.board.expected_ns[self.camera].store(expected_ns, Ordering::Relaxed);
            if self.producer.publish(filled).evicted(0) {
                captured = Captured::Evicted;
            }
            self.board.bell.ring(1 << self.camera);
        }
        captured
    }
}

/// The readers' ends, on their way to the consumer's thread.
pub(crate) struct Lanes {
    taps: Vec<LaneTap>,
    board: Arc<Board>,
}

impl Lanes {
    /// # Errors
    /// More cameras than a scheduler serves.
    pub(crate) fn consumer(
        self,
        interval_ns: u64,
        service_ns: u64,
        turn: Turn,
    ) -> Result<LaneSink, BenchError> {
        let cameras = self.taps.len();
        let share = Share {
            interval_ns,
            ..Share::default()
        };
        let scheduler = Scheduler::new(&vec![Some(share); cameras], service_ns, 1)
            .ok_or_else(|| BenchError::Setting(format!("{cameras} cameras, expected 1 to 64")))?;
        Ok(LaneSink {
            lanes: self,
            ready: 0,
            scheduler,
            turn,
            known_ns: vec![now_ns(); cameras],
            served_ns: vec![now_ns(); cameras],
        })
    }
}

pub(crate) struct LaneSink {
    lanes: Lanes,
    ready: u64,
    scheduler: Scheduler,
    turn: Turn,
    known_ns: Vec<u64>,
    served_ns: Vec<u64>,
}

impl LaneSink {
    fn choose(&self, now_ns: u64) -> Option<Choice> {
        let Board {
            arrived_ns,
            expected_ns,
            ..
        } = &*self.lanes.board;
        let seen = |camera: usize| match self.turn {
            Turn::Scheduler => Seen {
                arrived_ns: arrived_ns[camera].load(Ordering::Relaxed),
                expected_ns: expected_ns[camera].load(Ordering::Relaxed),
                known_ns: self.known_ns[camera],
                served_ns: self.served_ns[camera],
            },
            // Where no stamps are known, the scheduler takes the cameras in turn.
            Turn::RoundRobin => Seen {
                served_ns: self.served_ns[camera],
                ..Seen::default()
            },
        };
        self.scheduler.next(self.ready, now_ns, seen)
    }
}

impl Sink for LaneSink {
    fn next(&mut self, until_ns: u64, process: &mut dyn FnMut(usize, u64, &[u8])) -> bool {
        loop {
            self.ready |= self.lanes.board.bell.take();
            let begun_ns = now_ns();
            let wait_ns = match self.choose(begun_ns) {
                Some(Choice::Take(camera)) => Ok(camera),
                Some(Choice::WaitUntil(wait_ns)) => Err(wait_ns.min(until_ns)),
                None => Err(until_ns),
            };
            let camera = match wait_ns {
                Ok(camera) => camera,
                Err(wait_ns) => match self.lanes.board.bell.wait(Waiting::Park, wait_ns, now_ns) {
                    Woken::TimedOut if wait_ns == until_ns => return false,
                    Woken::Ready | Woken::TimedOut => continue,
                    Woken::Closed => return false,
                },
            };
            self.ready &= !(1 << camera);
            // A camera that published again after its bit was taken has its newest frame claimed here,
            // and its next bit finds none.
            if let Ok(Some(lease)) = self.lanes.taps[camera].claim_newest(|_| ()) {
                // A torn header shows as a damaged frame.
                let payload = lease.verify().map_or(&[][..], |()| lease.payload());
                self.served_ns[camera] = begun_ns;
                self.known_ns[camera] = lease.header().dequeue_ns;
                process(camera, lease.header().capture_ns, payload);
                // As a worker does.
                self.scheduler.learn(camera, now_ns() - begun_ns);
                return true;
            }
        }
    }
}
