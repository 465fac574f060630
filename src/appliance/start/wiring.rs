//! What every thread of a run is given: the two ends of each queue, each camera's lane, ledger and bell, each
//! worker's share of them.
//!
//! Answers for: who holds which end. Does not answer for: the threads themselves (`start`).

use crate::appliance::exit::{Exit, Failure};
use crate::appliance::prepare::fit::Fitted;
use crate::appliance::prepare::jpeg::{self, Buffers};
use crate::appliance::prepare::memory::{Lane, allowance, describe, image_bytes, word};
use crate::appliance::run::running::CameraAccount;
use crate::appliance::shared::camera_state::Signals;
use crate::appliance::shared::invoke_deadline::{Pulses, Watchdog};
use crate::appliance::shared::messages::{NoteReceiver, ResultReceiver, note_queue, queue_of};
use crate::appliance::start::arm::Shared;
use crate::appliance::threads::bodies::{ViewSeed, WorkerSeed};
use crate::appliance::threads::capture::capture_loop::{Desk, Ending, Post, Station};
use crate::capture::FrameSource;
use crate::capture::health::duplicates::Repeats;
use crate::capture::health::frame_rate::Pace;
use crate::capture::health::supervisor::{Limits, Supervisor};
use crate::capture::health::timestamps::Continuity;
use crate::frame::FrameMeta;
use crate::latency::{Arrivals, Waits};
use crate::ledger::ledger;
use crate::profile::{AbsentCamera, Board, Camera, Worker};
use crate::sync::Arc;
use crate::sys::clock::now_ns;
use crate::sys::io::poll::PollSet;
use crate::sys::malloc_guard;
use crate::units::{KIB, NS_PER_MS};
use std::collections::BTreeMap;

/// What the threads of a board are given.
pub(crate) struct Wiring {
    /// What each worker is made of.
    pub(crate) seeds: Vec<WorkerSeed>,
    /// The capture threads by their core.
    pub(crate) stations: Vec<(usize, Station)>,
    /// Housekeeping's ends.
    pub(crate) results: Vec<ResultReceiver>,
    pub(crate) notes: Vec<NoteReceiver>,
    pub(crate) watchdog: Watchdog,
}

impl Wiring {
    /// Draws the wires: opens each camera's books in `accounts`, and leaves every thread's share ready to be taken.
    ///
    /// # Errors
    /// A worker's memory cannot be had, or a picture is too large.
    pub(crate) fn lay(
        fitted: &Fitted,
        accounts: &mut Vec<CameraAccount>,
        shared: &Shared,
        lanes: Vec<Lane>,
    ) -> Result<Self, Failure> {
        let board = &fitted.board;
        let signals: Signals = board.cameras.iter().map(|_| Default::default()).collect();
        let pulses: Pulses = board.workers.iter().map(|_| Default::default()).collect();
        let mut wiring = Self {
            seeds: Vec::new(),
            stations: Vec::new(),
            results: Vec::new(),
            notes: Vec::new(),
            watchdog: Watchdog {
                pulses,
                deadlines_ns: Vec::new(),
                ledgers: Vec::new(),
                signals,
            },
        };
        let mut views: Vec<Vec<_>> = board.workers.iter().map(|_| Vec::new()).collect();
        let mut stations: BTreeMap<usize, Vec<Post>> = BTreeMap::new();
        for (lane, camera) in lanes.into_iter().zip(&board.cameras) {
            let post = wiring.camera(accounts, board, camera, lane, &mut views)?;
            stations.entry(camera.capture_core).or_default().push(post);
        }
        for (index, views) in views.into_iter().enumerate() {
            wiring.worker(fitted, shared, index, views)?;
        }
        for (core, posts) in stations {
            wiring.station(shared, core, posts);
        }
        Ok(wiring)
    }

    /// Shares a camera's lane and ledger out: to its post, and to the workers that judge it.
    fn camera(
        &mut self,
        accounts: &mut Vec<CameraAccount>,
        board: &Board,
        camera: &Camera,
        lane: Lane,
        views: &mut [Vec<Option<ViewSeed>>],
    ) -> Result<Post, Failure> {
        let format = lane.source.format();
        let (capture_ledger, worker_ledger, ledger_view) = ledger();
        accounts.push(CameraAccount {
            name: camera.name.clone(),
            io: word(&lane.io),
            format: describe(&format),
            ledger: ledger_view,
            lane: lane.producer.view(),
            signals: Arc::clone(&self.watchdog.signals),
        });
        self.watchdog.ledgers.push(worker_ledger.clone());
        let mut taps = lane.taps.into_iter();
        for (of_worker, worker) in views.iter_mut().zip(&board.workers) {
            let tap = worker.judges(&camera.name).then(|| taps.next()).flatten();
            of_worker.push(tap.map(|tap| ViewSeed {
                name: camera.name.clone(),
                tap,
                format,
                view: camera.view,
                ledger: worker_ledger.clone(),
                max_age_ns: camera.max_age_ms * NS_PER_MS,
                priority: camera.priority,
                allowance: allowance(camera, format.interval_ns),
                interval_ns: format.interval_ns,
                shared: board.judges_of(camera) > 1,
            }));
        }
        let meta = FrameMeta::of(&format).ok_or_else(|| {
            Failure::new(
                Exit::Camera,
                format!("camera {}: a picture too large", camera.name),
            )
        })?;
        let limits = Limits::new(camera.time_out_ms * NS_PER_MS);
        let traits = lane.source.traits();
        let mut supervisor = Supervisor::new(limits, now_ns());
        supervisor.set_in_port(traits.on_usb);
        Ok(Post {
            camera: lane.producer.camera(),
            source: lane.source,
            producer: lane.producer,
            supervisor,
            pace: Pace::new(format.interval_ns, traits),
            continuity: Continuity::new(format.interval_ns),
            repeats: Repeats::new(),
            ledger: capture_ledger,
            meta,
            frame_bytes: image_bytes(&format),
            signals: Arc::clone(&self.watchdog.signals),
            arrivals: Arrivals::new(format.interval_ns),
            spoilt: 0,
            troubled: false,
            poll_failed: false,
            ending: Ending::Lasts,
            may_be_absent: camera.absent == AbsentCamera::Wait,
        })
    }

    /// A worker's memory, its queues, and its bell.
    fn worker(
        &mut self,
        fitted: &Fitted,
        shared: &Shared,
        index: usize,
        views: Vec<Option<ViewSeed>>,
    ) -> Result<(), Failure> {
        let board = &fitted.board;
        let worker = &board.workers[index];
        let models: Vec<_> = board.models_of(worker).collect();
        if models.len() != worker.models().count() {
            return Err(Failure::new(Exit::Internal, "a worker without its model"));
        }
        let (bell, alike) = shared
            .bells
            .of(bits(board, worker))
            .ok_or_else(|| Failure::new(Exit::Internal, "a worker without a bell"))?;
        let decoding = fitted.decoding.get(index).copied().unwrap_or_default();
        let (results_in, results_out) = queue_of(board.housekeeping.queue_results);
        let (notes_in, notes_out) = note_queue();
        self.watchdog.deadlines_ns.push(
            models
                .iter()
                .map(|(_, model)| model.invoke_deadline_ms * NS_PER_MS)
                .collect(),
        );
        self.results.push(results_out);
        self.notes.push(notes_out);
        self.seeds.push(WorkerSeed {
            index: u16::try_from(index).unwrap_or(u16::MAX),
            worker: worker.clone(),
            models: models
                .into_iter()
                .map(|(index, model)| (u16::try_from(index).unwrap_or(u16::MAX), model.clone()))
                .collect(),
            alike,
            arena: malloc_arena(board, &worker.cores, fitted)?,
            buffers: Buffers::map(board, &worker.cores, fitted, decoding)?,
            views,
            signals: Arc::clone(&self.watchdog.signals),
            pulses: Arc::clone(&self.watchdog.pulses),
            bell,
            stop: Arc::clone(&shared.stop),
            results: results_in,
            notes: notes_in,
            house: Arc::clone(&shared.house),
        });
        Ok(())
    }

    /// The capture thread of one core, with all cameras that name it.
    fn station(&mut self, shared: &Shared, core: usize, posts: Vec<Post>) {
        let (notes_in, notes_out) = note_queue();
        self.notes.push(notes_out);
        let station = Station {
            posts,
            bells: Arc::clone(&shared.bells),
            house: Arc::clone(&shared.house),
            stop: Arc::clone(&shared.stop),
            desk: Desk {
                notes: notes_in,
                notes_lost: 0,
            },
            polled: PollSet::new(),
            waits: Waits::default(),
        };
        self.stations.push((core, station));
    }
}

/// The cameras that a worker judges, one bit each.
pub(crate) fn bits(board: &Board, worker: &Worker) -> u64 {
    let cameras = board.cameras.iter().enumerate();
    cameras
        .filter(|(_, camera)| worker.judges(&camera.name))
        .fold(0, |bits, (index, _)| bits | 1 << index)
}

/// The fixed arena of one worker's calls to malloc, on the worker's node.
fn malloc_arena(
    board: &Board,
    cores: &[usize],
    fitted: &Fitted,
) -> Result<Option<&'static malloc_guard::Arena>, Failure> {
    if board.memory.malloc_arena_kib == 0 {
        return Ok(None);
    }
    let bytes = board.memory.malloc_arena_kib * KIB;
    let region = jpeg::beside_worker(board, cores, fitted, bytes)?;
    malloc_guard::Arena::new(region)
        .map(Some)
        .map_err(|error| Failure::new(Exit::Machine, error))
}
