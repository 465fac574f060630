//! Arming: threads placed, models built, with everything they need.

use super::Options;
use super::absent::{Wanted, look_for};
use super::alerts::Alerts;
use super::bells::Bells;
use super::cameras;
use super::decoding::{self, Buffers};
use super::exit::{Exit, Failure};
use super::files::Files;
use super::fitting::{Fitted, STACK_BYTES};
use super::furnish::{Furnished, Lane, allowance, describe, furnish, image_bytes, word};
use super::gate::{Gate, Phase};
use super::housekeeping::{Housekeeping, LiveLine, Names};
use super::messages::{NoteReceiver, ResultReceiver, Said, note_queue, queue_of};
use super::outputs::{self, Roster, Teller};
use super::pulse::{Pulses, Watchdog};
use super::report::{CameraAccount, CaptureThread, OutputAccount, Running};
use super::signals::Signals;
use super::station::{Desk, Ending, Post, Station};
use super::stop::Stop;
use super::threads::{Armed as Told, ViewSeed, WorkerSeed, capture_thread, worker_thread};
use crate::board::budget::LOOKER;
use crate::board::{AbsentCamera, Board, Worker};
use crate::capture::FrameSource;
use crate::capture::continuity::Continuity;
use crate::capture::pace::Pace;
use crate::capture::repeats::Repeats;
use crate::capture::supervisor::{Limits, Supervisor};
use crate::frame::FrameMeta;
use crate::latency::{Arrivals, Waits};
use crate::ledger::ledger;
use crate::ring::Doorbell;
use crate::sync::Arc;
use crate::sys::clock::{now_ns, realtime_ns};
use crate::sys::coreset::CoreSet;
use crate::sys::heap;
use crate::sys::poll::PollSet;
use crate::sys::thread::{Children, Policy, Spawned, ThreadError, ThreadSpec, spawn};
use crate::units::{KIB, NS_PER_MS, NS_PER_S};
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Makes everything that the board needs. Threads wait at the gate when this returns.
///
/// # Errors
/// What cannot be had. Threads that were started have then ended.
pub(super) fn arm(mut fitted: Fitted, options: &Options) -> Result<Armed, Failure> {
    if let Some(feed) = &options.camera {
        cameras::replace_by_stream(&mut fitted.board, feed.clone())?;
    }
    if let Some(refusal) = fitted.refusal() {
        return Err(refusal);
    }
    // Before cameras and memory: a disk that is missing is known at once.
    let files = Files::open(&fitted.board, options)?;
    let mut furnished = furnish(fitted, options, Fitted::refusal)?;
    let board = &furnished.fitted.board;
    let formats = furnished.lanes.iter().map(|lane| lane.source.format());
    let names = board.cameras.iter().map(|camera| camera.name.as_str());
    decoding::check_arena(board, names.zip(formats))?;
    // Standard error, as the log: standard output is for the events or the proof.
    // A log that is full or closed is no reason not to watch.
    let _ = writeln!(std::io::stderr(), "{}", furnished.fitted.budget);
    if let Some(plan) = &options.faults {
        let warning = format!("faults are on, as asked for: --faults {plan}");
        furnished.warnings.push(warning);
    }
    for (lane, camera) in furnished.lanes.iter().zip(&furnished.fitted.board.cameras) {
        let format = describe(&lane.source.format());
        log::info!("camera {}: {format} by {}", camera.name, lane.io);
    }
    for warning in &furnished.warnings {
        log::warn!("{warning}");
    }
    Armed::start(furnished, files, options)
}

/// A board that is armed: threads wait at the gate.
pub(super) struct Armed {
    run: Running,
}

impl Armed {
    fn start(furnished: Furnished, files: Files, options: &Options) -> Result<Self, Failure> {
        let Furnished {
            fitted,
            lanes,
            arenas,
            warnings,
            wanted,
        } = furnished;
        let board = &fitted.board;
        let names = Names {
            cameras: board
                .cameras
                .iter()
                .map(|camera| camera.name.clone())
                .collect(),
            workers: board
                .workers
                .iter()
                .map(|worker| worker.name.clone())
                .collect(),
            models: board.models.iter().map(|m| m.name.clone()).collect(),
            labels: board.models.iter().map(|m| m.labels.clone()).collect(),
            chains: board
                .workers
                .iter()
                .map(|worker| board.models_of(worker).map(|(model, _)| model).collect())
                .collect(),
        };
        let bells = Arc::new(Bells::new(
            board.workers.iter().map(|worker| bits(board, worker)),
        ));
        let stop = Stop::new(Arc::clone(&bells), options.frames, board.cameras.len())
            .map_err(|errno| Failure::new(Exit::Machine, format!("eventfd: {errno}")))?;
        let shared = Shared {
            stop: Arc::new(stop),
            gate: Arc::new(Gate::new()),
            house: Arc::new(Doorbell::new()),
            bells,
        };
        let mut run = Running::new(fitted, arenas, warnings, &shared);
        let started = start_threads(&mut run, &shared, files, lanes, names);
        match started.and_then(|()| start_looking(&mut run, &shared, wanted)) {
            Ok(()) => Ok(Self { run }),
            Err(failure) => {
                shared.gate.advance(Phase::Abandoned);
                shared.stop.ask();
                Err(given_up(run, failure))
            }
        }
    }

    /// Locks everything, turns the heap guard on, and lets the watch begin.
    ///
    /// # Errors
    /// A stream does not start, or the profile insists on memory that cannot be locked.
    pub(super) fn go(mut self) -> Result<Running, Failure> {
        match self.run.open_gate() {
            Ok(()) => Ok(self.run),
            Err(failure) => Err(given_up(self.run, failure)),
        }
    }
}

/// Ends what was started. The failure stays the one that came first.
fn given_up(run: Running, failure: Failure) -> Failure {
    if let Some(further) = run.abandon() {
        log::error!("{}", further.message);
    }
    failure
}

/// What the threads of a run have in common.
pub(super) struct Shared {
    pub(super) stop: Arc<Stop>,
    pub(super) gate: Arc<Gate>,
    pub(super) bells: Arc<Bells>,
    pub(super) house: Arc<Doorbell>,
}

/// The cameras that a worker judges, one bit each.
fn bits(board: &Board, worker: &Worker) -> u64 {
    let cameras = board.cameras.iter().enumerate();
    cameras
        .filter(|(_, camera)| worker.judges(&camera.name))
        .fold(0, |bits, (index, _)| bits | 1 << index)
}

/// A thread of the plan, as `sys` is asked for it.
fn spec(
    board: &Board,
    name: &str,
    cores: &[usize],
    priority: u32,
    children: Children,
) -> ThreadSpec {
    ThreadSpec {
        name: name.to_owned(),
        cores: cores.iter().copied().collect::<CoreSet>(),
        policy: if priority == 0 {
            Policy::Other
        } else {
            Policy::Fifo(priority)
        },
        children,
        policy_required: board.strict,
        stack_bytes: STACK_BYTES,
    }
}

fn placed<T>(spawned: Result<Spawned<T>, ThreadError>) -> Result<Spawned<T>, Failure> {
    spawned.map_err(|error| Failure::new(Exit::Machine, error))
}

/// Housekeeping, workers, capture: in this order, so that whoever is told something exists.
fn start_threads(
    run: &mut Running,
    shared: &Shared,
    mut files: Files,
    lanes: Vec<Lane>,
    names: Names,
) -> Result<(), Failure> {
    let board = run.fitted.board.clone();
    let signals: Signals = board.cameras.iter().map(|_| Default::default()).collect();
    let pulses: Pulses = board.workers.iter().map(|_| Default::default()).collect();
    let mut watchdog = Watchdog {
        pulses: Arc::clone(&pulses),
        deadlines_ns: Vec::new(),
        ledgers: Vec::new(),
        signals: Arc::clone(&signals),
    };
    let mut results = Vec::new();
    let mut notes = Vec::new();
    let mut views: Vec<Vec<Option<ViewSeed>>> = board.workers.iter().map(|_| Vec::new()).collect();
    let mut stations: BTreeMap<usize, Vec<Post>> = BTreeMap::new();
    let sizes_px: Vec<_> = lanes
        .iter()
        .map(|lane| lane.source.format())
        .map(|format| (format.width_px, format.height_px))
        .collect();
    let outputs = start_outputs(run, &board)?;
    let alerts = Alerts::new(&board, &sizes_px, files.alerts.take(), outputs).map_err(|rule| {
        let fault = format!("rule {rule} refers to what the board does not have");
        Failure::new(Exit::Internal, fault)
    })?;
    for (index, lane) in lanes.into_iter().enumerate() {
        let camera = &board.cameras[index];
        let format = lane.source.format();
        let (capture_ledger, worker_ledger, ledger_view) = ledger();
        run.cameras.push(CameraAccount {
            name: camera.name.clone(),
            io: word(&lane.io),
            format: describe(&lane.source.format()),
            ledger: ledger_view,
            lane: lane.producer.view(),
            signals: Arc::clone(&signals),
        });
        watchdog.ledgers.push(worker_ledger.clone());
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
        stations.entry(camera.capture_core).or_default().push(Post {
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
            signals: Arc::clone(&signals),
            arrivals: Arrivals::new(format.interval_ns),
            spoilt: 0,
            troubled: false,
            poll_failed: false,
            ending: Ending::Lasts,
            may_be_absent: camera.absent == AbsentCamera::Wait,
        });
    }

    let mut seeds = Vec::new();
    for (index, worker) in board.workers.iter().enumerate() {
        let models: Vec<_> = board.models_of(worker).collect();
        if models.len() != worker.models().count() {
            return Err(Failure::new(Exit::Internal, "a worker without its model"));
        }
        let (bell, alike) = shared
            .bells
            .of(bits(&board, worker))
            .ok_or_else(|| Failure::new(Exit::Internal, "a worker without a bell"))?;
        let decoding = run.fitted.decoding.get(index).copied().unwrap_or_default();
        let (results_in, results_out) = queue_of(board.housekeeping.queue_results);
        let (notes_in, notes_out) = note_queue();
        watchdog.deadlines_ns.push(
            models
                .iter()
                .map(|(_, model)| model.invoke_deadline_ms * NS_PER_MS)
                .collect(),
        );
        results.push(results_out);
        notes.push(notes_out);
        seeds.push(WorkerSeed {
            index: u16::try_from(index).unwrap_or(u16::MAX),
            worker: worker.clone(),
            models: models
                .into_iter()
                .map(|(index, model)| (u16::try_from(index).unwrap_or(u16::MAX), model.clone()))
                .collect(),
            alike,
            arena: malloc_arena(&board, &worker.cores, &run.fitted)?,
            buffers: Buffers::map(&board, &worker.cores, &run.fitted, decoding)?,
            views: std::mem::take(&mut views[index]),
            signals: Arc::clone(&signals),
            pulses: Arc::clone(&pulses),
            bell,
            stop: Arc::clone(&shared.stop),
            results: results_in,
            notes: notes_in,
            house: Arc::clone(&shared.house),
        });
    }
    let mut capture = Vec::new();
    for (core, posts) in stations {
        let (notes_in, notes_out) = note_queue();
        notes.push(notes_out);
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
        capture.push((core, station));
    }

    let reports = Reports {
        names,
        results,
        notes,
        alerts,
        watchdog,
    };
    start_housekeeping(run, shared, files, reports)?;
    for seed in seeds {
        start_worker(run, shared, seed)?;
    }
    for (core, station) in capture {
        let (ready, told) = mpsc::sync_channel(1);
        let gate = Arc::clone(&shared.gate);
        let cameras = u32::try_from(station.posts.len()).unwrap_or(u32::MAX);
        let name = format!("capture{core}");
        let spec = spec(
            &board,
            &name,
            &[core],
            board.capture.fifo_priority,
            Children::Reset,
        );
        let thread = placed(spawn(spec, move |_| capture_thread(station, &ready, &gate)))?;
        run.capture.push(CaptureThread {
            thread,
            started: told,
            cameras,
        });
    }
    Ok(())
}

/// The thread that looks for the cameras that are not there, where there are such.
fn start_looking(run: &mut Running, shared: &Shared, wanted: Vec<Wanted>) -> Result<(), Failure> {
    if wanted.is_empty() {
        return Ok(());
    }
    let board = &run.fitted.board;
    let cores = [board.housekeeping.core];
    let spec = spec(board, LOOKER, &cores, 0, Children::Reset);
    let stop = Arc::clone(&shared.stop);
    run.looking = Some(placed(spawn(spec, move |_| {
        look_for(wanted, &stop, now_ns);
    }))?);
    Ok(())
}

/// The fixed arena of one worker's calls to malloc, on the worker's node.
fn malloc_arena(
    board: &Board,
    cores: &[usize],
    fitted: &Fitted,
) -> Result<Option<&'static heap::Arena>, Failure> {
    if board.memory.malloc_arena_kib == 0 {
        return Ok(None);
    }
    let bytes = board.memory.malloc_arena_kib * KIB;
    let region = decoding::beside_worker(board, cores, fitted, bytes)?;
    heap::Arena::new(region)
        .map(Some)
        .map_err(|error| Failure::new(Exit::Machine, error))
}

/// Time that a worker gets for each step of arming: building its model, and warming up on one camera.
const STEP_NS: u64 = 60 * NS_PER_S;

fn start_worker(run: &mut Running, shared: &Shared, seed: WorkerSeed) -> Result<(), Failure> {
    let (ready, told) = mpsc::channel();
    let name = seed.worker.name.clone();
    let gate = Arc::clone(&shared.gate);
    let spec = spec(
        &run.fitted.board,
        &seed.worker.name,
        &seed.worker.cores,
        seed.worker.fifo_priority,
        Children::Inherit,
    );
    let thread = placed(spawn(spec, move |_| worker_thread(seed, &ready, &gate)))?;
    run.workers.push(thread);
    let found = loop {
        match told.recv_timeout(Duration::from_nanos(STEP_NS)) {
            Ok(Told::Step) => {}
            Ok(Told::Less(warning)) => run.warnings.push(warning),
            Ok(Told::Ready(outcome)) => return outcome,
            Err(RecvTimeoutError::Disconnected) => break "died; please report it".to_owned(),
            Err(RecvTimeoutError::Timeout) => {
                let seconds = STEP_NS / NS_PER_S;
                break format!(
                    "has not built its model, or warmed up on one camera, within {seconds} s"
                );
            }
        }
    };
    Err(Failure::new(
        Exit::Internal,
        format!("worker {name} {found}"),
    ))
}

/// The outputs' devices tried, and their threads. Gives housekeeping's ends of them.
fn start_outputs(run: &mut Running, board: &Board) -> Result<Vec<Teller>, Failure> {
    let roster = Arc::new(Roster::new(board));
    let mut tellers = Vec::new();
    for output in &board.outputs {
        let made = outputs::make(output, &roster)?;
        let core = board.housekeeping.core;
        let spec = spec(board, &made.name, &[core], 0, Children::Reset);
        let body = made.body;
        run.outputs.push(OutputAccount {
            name: made.name,
            kind: output.delivery.name(),
            desk: made.desk,
            thread: Some(placed(spawn(spec, move |_| body()))?),
        });
        tellers.push(made.teller);
    }
    Ok(tellers)
}

/// What housekeeping is told, and what it tells.
struct Reports {
    names: Names,
    results: Vec<ResultReceiver>,
    notes: Vec<NoteReceiver>,
    alerts: Alerts,
    watchdog: Watchdog,
}

fn start_housekeeping(
    run: &mut Running,
    shared: &Shared,
    files: Files,
    reports: Reports,
) -> Result<(), Failure> {
    let Reports {
        names,
        results,
        notes,
        alerts,
        watchdog,
    } = reports;
    let board = &run.fitted.board;
    let Files {
        events, recording, ..
    } = files;
    let terminal = std::io::stderr();
    let live = if terminal.is_terminal() {
        terminal
            .as_fd()
            .try_clone_to_owned()
            .ok()
            .map(|fd| LiveLine::new(fd.into()))
    } else {
        None
    };
    let keeping = Housekeeping {
        names,
        results,
        notes,
        bell: Arc::clone(&shared.house),
        events,
        alerts,
        recording,
        live,
        finish: Arc::clone(&run.finish),
        counters: Arc::clone(&run.counters),
        said: Said::new(),
        watchdog,
    };
    let spec = spec(
        board,
        "housekeeping",
        &[board.housekeeping.core],
        0,
        Children::Reset,
    );
    run.housekeeping = Some(placed(spawn(spec, move |_| {
        keeping.run(now_ns, realtime_ns)
    }))?);
    Ok(())
}
