//! The threads of a run, started one by one, each on its cores.

use crate::appliance::exit::{Exit, Failure};
use crate::appliance::prepare::files::Files;
use crate::appliance::prepare::fit::STACK_BYTES;
use crate::appliance::prepare::late_camera::{Wanted, look_for};
use crate::appliance::prepare::memory::Lane;
use crate::appliance::run::running::{CaptureThread, DiskAccount, OutputAccount, Running};
use crate::appliance::shared::invoke_deadline::Watchdog;
use crate::appliance::shared::messages::{NoteReceiver, ResultReceiver, Said};
use crate::appliance::shared::names::Names;
use crate::appliance::start::arm::Shared;
use crate::appliance::start::wiring::Wiring;
use crate::appliance::threads::bodies::{Armed, WorkerSeed, capture_thread, worker_thread};
use crate::appliance::threads::capture::capture_loop::Station;
use crate::appliance::threads::disk::disk::{Feeder, Shelf, disk};
use crate::appliance::threads::housekeeping::housekeeping::{Housekeeping, LiveLine};
use crate::appliance::threads::housekeeping::rules::Alerts;
use crate::appliance::threads::output::output::{self, Roster, Teller};
use crate::capture::FrameSource as _;
use crate::profile::Board;
use crate::resources::budget::{DISK, LOOKER};
use crate::sync::Arc;
use crate::sys::clock::{now_ns, realtime_ns};
use crate::sys::cpu::core_set::CoreSet;
use crate::sys::thread::{Children, Policy, Spawned, ThreadError, ThreadSpec, spawn};
use crate::units::NS_PER_S;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Outputs, disk, housekeeping, workers, capture: in this order, so that whoever is told something exists.
pub(crate) fn start_threads(
    run: &mut Running,
    shared: &Shared,
    files: Files,
    lanes: Vec<Lane>,
) -> Result<(), Failure> {
    let board = run.fitted.board.clone();
    let sizes_px: Vec<_> = lanes
        .iter()
        .map(|lane| lane.source.format())
        .map(|format| (format.width_px, format.height_px))
        .collect();
    let outputs = start_outputs(run, &board)?;
    let alerts = Alerts::new(&board, &sizes_px, outputs).map_err(|rule| {
        let fault = format!("rule {rule} refers to what the board does not have");
        Failure::new(Exit::Internal, fault)
    })?;
    let names = Names::of(&board);
    let shelf = Shelf::new(files, names.clone(), alerts.rules());
    let disk = start_disk(run, &board, shelf)?;
    let Wiring {
        seeds,
        stations,
        results,
        notes,
        watchdog,
    } = Wiring::lay(&run.fitted, &mut run.cameras, shared, lanes)?;
    let reports = Reports {
        names,
        results,
        notes,
        alerts,
        disk,
        watchdog,
    };
    start_housekeeping(run, shared, reports)?;
    for seed in seeds {
        start_worker(run, shared, seed)?;
    }
    for (core, station) in stations {
        start_capture(run, shared, core, station)?;
    }
    Ok(())
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

/// The thread that looks for the cameras that are not there, where there are such.
pub(crate) fn start_looking(
    run: &mut Running,
    shared: &Shared,
    wanted: Vec<Wanted>,
) -> Result<(), Failure> {
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

/// One capture thread. Its streams start when the gate says so.
fn start_capture(
    run: &mut Running,
    shared: &Shared,
    core: usize,
    station: Station,
) -> Result<(), Failure> {
    let board = &run.fitted.board;
    let (ready, told) = mpsc::sync_channel(1);
    let gate = Arc::clone(&shared.gate);
    let cameras = u32::try_from(station.posts.len()).unwrap_or(u32::MAX);
    let name = format!("capture{core}");
    let spec = spec(
        board,
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
    Ok(())
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
            Ok(Armed::Step) => {}
            Ok(Armed::Less(warning)) => run.warnings.push(warning),
            Ok(Armed::Ready(outcome)) => return outcome,
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
        let made = output::make(output, &roster)?;
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

/// The thread that writes files, where there are such. Gives housekeeping's end of it.
fn start_disk(run: &mut Running, board: &Board, shelf: Shelf) -> Result<Feeder, Failure> {
    let open = shelf.open();
    if open == [false; 3] {
        return Ok(Feeder::none());
    }
    let (feeder, writer) = disk(board, open, shelf);
    let cores = [board.housekeeping.core];
    let spec = spec(board, DISK, &cores, 0, Children::Reset);
    run.disk = Some(DiskAccount {
        ledge: feeder.ledge(),
        thread: Some(placed(spawn(spec, move |_| writer.run(now_ns)))?),
    });
    Ok(feeder)
}

/// What housekeeping is told, and what it tells.
struct Reports {
    names: Names,
    results: Vec<ResultReceiver>,
    notes: Vec<NoteReceiver>,
    alerts: Alerts,
    disk: Feeder,
    watchdog: Watchdog,
}

fn start_housekeeping(run: &mut Running, shared: &Shared, reports: Reports) -> Result<(), Failure> {
    let Reports {
        names,
        results,
        notes,
        alerts,
        disk,
        watchdog,
    } = reports;
    let board = &run.fitted.board;
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
        alerts,
        disk,
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
