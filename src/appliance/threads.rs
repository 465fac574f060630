//! The bodies of the hot threads: prepare, wait at the gate, watch, and leave a report.

use super::decoding::{self, Buffers};
use super::exit::{Exit, Failure};
use super::further::{Account, Boxes, Further};
use super::gate::{Gate, Phase};
use super::messages::{NoteSender, ResultSender};
use super::pulse::Pulses;
use super::signals::Signals;
use super::station::Station;
use super::stop::Stop;
use super::worker::{Tally, View, Work, Worker};
use crate::board;
use crate::capture::SourceError;
use crate::decode::{Jpeg, Samples};
use crate::frame::StreamFormat;
use crate::infer::{Allowance, Engine, Pace, Scheduler, Share, TensorInfo, outputs_of};
use crate::latency::{AgeOfKnowledge, Histogram, StageHistograms, Usual};
use crate::ledger::WorkerLedger;
use crate::postprocess::{Decoder, Detections};
use crate::preprocess::{Plan, Preparation};
use crate::record::FrameResult;
use crate::ring::{Doorbell, LaneTap, Waiting};
use crate::sync::Arc;
use crate::sys::clock::now_ns;
use crate::sys::heap::{self, HeapCounts, HotThread};
use crate::sys::tflite::{Settings, TfliteEngine};
use crate::sys::thread::{RunQueue, ThreadUsage, UsageProbe};
use crate::units::NS_PER_US;
use std::sync::mpsc::{Sender, SyncSender};

/// Whole passes before ready: the first ones fill caches, allocate in the library and fault pages in.
const WARM_UP_PASSES: usize = 8;

/// What one hot thread did between ready and the end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quiet {
    pub(super) usage: ThreadUsage,
    pub(super) heap: HeapCounts,
}

/// Runs `watch` between two readings of this thread's usage.
fn measured(
    probe: &mut UsageProbe,
    hot: &HotThread,
    watch: impl FnOnce(&mut UsageProbe, &HotThread),
) -> Quiet {
    let usage = probe.read();
    let heap = hot.counts();
    watch(probe, hot);
    Quiet {
        usage: probe.read().since(&usage),
        heap: hot.counts().since(&heap),
    }
}

fn hot() -> Result<HotThread, Failure> {
    heap::register_hot().map_err(|error| Failure::new(Exit::Internal, error))
}

/// One camera for a worker that is to be made.
pub(super) struct ViewSeed {
    pub(super) name: String,
    pub(super) tap: LaneTap,
    pub(super) format: StreamFormat,
    pub(super) view: board::View,
    pub(super) ledger: WorkerLedger,
    pub(super) max_age_ns: u64,
    pub(super) priority: u8,
    pub(super) allowance: Allowance,
    pub(super) interval_ns: u64,
    /// Other workers judge its frames as well.
    pub(super) shared: bool,
}

/// A worker that is to be made on its own thread.
pub(super) struct WorkerSeed {
    pub(super) index: u16,
    pub(super) worker: board::Worker,
    /// Its models with their places in the profile: its own, then the further ones.
    pub(super) models: Vec<(u16, board::Model)>,
    /// Workers that judge the same cameras, this one among them: they wait at one bell.
    pub(super) alike: usize,
    /// Serves the library's calls to malloc after ready, where the profile asks for it.
    pub(super) arena: Option<&'static heap::Arena>,
    /// Where it decodes compressed frames.
    pub(super) buffers: Buffers,
    /// By camera; none for one that it does not judge.
    pub(super) views: Vec<Option<ViewSeed>>,
    pub(super) signals: Signals,
    pub(super) pulses: Pulses,
    pub(super) bell: Arc<Doorbell>,
    pub(super) stop: Arc<Stop>,
    pub(super) results: ResultSender,
    pub(super) notes: NoteSender,
    pub(super) house: Arc<Doorbell>,
}

/// What a worker tells whoever arms it.
pub(super) enum Armed {
    /// One more step is done: its model is built, or it is warm for one camera.
    Step,
    /// It got less than was asked for, in words.
    Less(String),
    /// It is ready, or cannot be.
    Ready(Result<(), Failure>),
}

/// Why the streams of a capture thread did not start.
pub(super) enum NotStarted {
    /// The thread could not prepare itself.
    Thread(Failure),
    /// This camera's stream does not start.
    Camera(u16, SourceError),
}

/// What a worker's thread leaves behind.
pub(super) struct WorkerEnd {
    /// Its place in the profile.
    pub(super) index: u16,
    pub(super) quiet: Quiet,
    pub(super) tally: Tally,
    /// What its further models did, with their places in the profile.
    pub(super) further: Vec<(u16, Account)>,
    /// By camera; none for one that it did not judge.
    pub(super) views: Vec<Option<View>>,
    pub(super) signals: Signals,
}

/// The inference thread. Builds its interpreter here, so that the library's own threads inherit its
/// cores.
pub(super) fn worker_thread(
    seed: WorkerSeed,
    ready: &Sender<Armed>,
    gate: &Gate,
) -> Option<WorkerEnd> {
    let arena = seed.arena;
    let made = hot().and_then(|mut hot| {
        if let Some(arena) = arena {
            hot.attach(arena)
                .map_err(|error| Failure::new(Exit::Internal, error))?;
        }
        Ok((build(seed, &hot, ready)?, hot))
    });
    // Whoever arms waits for this.
    let (mut worker, hot) = match made {
        Ok(made) => made,
        Err(failure) => {
            let _ = ready.send(Armed::Ready(Err(failure)));
            return None;
        }
    };
    let mut probe = UsageProbe::open();
    let queue = RunQueue::open();
    let _ = ready.send(Armed::Ready(Ok(())));
    if !gate.wait_for(Phase::Watch) {
        return None;
    }
    let quiet = measured(&mut probe, &hot, |probe, hot| {
        worker.run(probe, &queue, hot);
    });
    gate.wait_for(Phase::Over);
    Some(WorkerEnd {
        index: worker.index,
        quiet,
        tally: worker.tally,
        further: worker
            .further
            .into_iter()
            .map(|model| (model.model, model.account))
            .collect(),
        views: worker.views,
        signals: worker.signals,
    })
}

/// A model ready to run, on the thread that will run it.
struct Built {
    engine: TfliteEngine,
    decoder: Decoder,
}

fn refused(model: &board::Model, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Model, format!("model {}: {error}", model.name))
}

impl Built {
    fn new(model: &board::Model, told: &Sender<Armed>) -> Result<Self, Failure> {
        let refuse = |error: &dyn std::fmt::Display| refused(model, error);
        let (engine, replaced) = TfliteEngine::build_or_replace(
            &model.path,
            &model.sha256,
            Settings::from(model),
            model.on_failure,
        )
        .map_err(|error| refuse(&error))?;
        if let Some(error) = replaced {
            let warning = format!(
                "model {}: {error}; the library's own kernels run it, as on-failure = \"builtin\" allows",
                model.name
            );
            log::warn!("{warning}");
            // Whoever arms keeps it for the proof.
            let _ = told.send(Armed::Less(warning));
        }
        log::info!("model {}: input {}", model.name, engine.input());
        for output in engine.outputs() {
            log::info!("model {}: output {output}", model.name);
        }
        log::info!("model {}: {}", model.name, engine.graph());
        let _ = told.send(Armed::Step);
        let decoder = Decoder::new(&model.into(), engine.input(), engine.outputs())
            .map_err(|error| refuse(&error))?;
        log::info!("model {}: {}", model.name, decoder.layout());
        Ok(Self { engine, decoder })
    }
}

/// How pictures of a camera become a model's tensor: whole ones, or parts of them.
fn plan_of(
    input: &TensorInfo,
    model: &board::Model,
    view: &ViewSeed,
    format: &StreamFormat,
) -> Result<Plan, Failure> {
    let preparation = Preparation {
        fit: model.fit,
        resample: model.resample,
        channels: model.channels,
        range: model.input_range,
        view: view.view,
    };
    let plan = if model.within.is_some() {
        Plan::movable(format, input, &preparation)
    } else {
        Plan::prepared(format, input, &preparation)
    };
    plan.map_err(|error| {
        let (camera, model) = (&view.name, &model.name);
        Failure::new(
            Exit::Model,
            format!("camera {camera} for model {model}: {error}"),
        )
    })
}

/// The worker's further models, with where each of them looks.
fn further(
    models: &[(u16, board::Model)],
    told: &Sender<Armed>,
) -> Result<Vec<Further<TfliteEngine>>, Failure> {
    let mut all = Vec::new();
    for (step, (index, model)) in models.iter().enumerate().skip(1) {
        let Built { engine, decoder } = Built::new(model, told)?;
        let before: Vec<_> = models.iter().take(step).map(|(_, model)| model).collect();
        let boxes = model.within.as_ref().map(|within| {
            let fault = "a model that looks into boxes of one that does not come before it";
            Boxes::new(within, &before).ok_or_else(|| Failure::new(Exit::Internal, fault))
        });
        all.push(Further {
            model: *index,
            engine,
            decoder,
            boxes: boxes.transpose()?,
            has_places: model.decoder.has_boxes(),
            iou_threshold: model.iou_threshold,
            account: Account::default(),
            found: Detections::new(),
            result: FrameResult::default(),
        });
    }
    Ok(all)
}

fn build(
    mut seed: WorkerSeed,
    hot: &HotThread,
    told: &Sender<Armed>,
) -> Result<Worker<TfliteEngine>, Failure> {
    let Some((index, model)) = seed.models.first() else {
        return Err(Failure::new(Exit::Internal, "a worker without a model"));
    };
    let refuse = |error: &dyn std::fmt::Display| refused(model, error);
    let mut own = Built::new(model, told)?;
    let mut further = further(&seed.models, told)?;
    // Of a compressed picture colours are decoded if any model sees them.
    let inputs =
        std::iter::once(own.engine.input()).chain(further.iter().map(|f| f.engine.input()));
    let samples = samples(inputs);
    let mut views = Vec::new();
    for view in seed.views {
        let Some(view) = view else {
            views.push(None);
            continue;
        };
        let jpeg = Jpeg::new(&view.format, samples);
        let format = jpeg.map_or(view.format, |jpeg| jpeg.decoded());
        let plan = plan_of(own.engine.input(), model, &view, &format)?;
        let mut plans = Vec::new();
        for (of, (_, model)) in further.iter().zip(seed.models.iter().skip(1)) {
            plans.push(plan_of(of.engine.input(), model, &view, &format)?);
        }
        views.push(Some((view, (plan, plans), jpeg)));
    }
    let judged = || views.iter().flatten();
    for jpeg in judged().filter_map(|(.., jpeg)| jpeg.as_ref()) {
        decoding::rehearse(jpeg, &jpeg.trials(), &mut seed.buffers, hot)?;
    }
    let mut result = FrameResult::default();
    for (view, (plan, plans), _) in judged() {
        let fault = |error| format!("camera {}: {error}", view.name);
        let Built { engine, decoder } = &mut own;
        warm_up(engine, decoder, plan, &mut result.detections)
            .map_err(|error| refuse(&fault(error)))?;
        let _ = told.send(Armed::Step);
        for ((of, plan), (_, model)) in further
            .iter_mut()
            .zip(plans)
            .zip(seed.models.iter().skip(1))
        {
            warm_up(
                &mut of.engine,
                &mut of.decoder,
                plan,
                &mut result.detections,
            )
            .map_err(|error| refused(model, &fault(error)))?;
            let _ = told.send(Armed::Step);
        }
    }
    let mut service_ns = time_of_one(&mut own.engine).map_err(|error| refuse(&error))?;
    for (of, (_, model)) in further.iter_mut().zip(seed.models.iter().skip(1)) {
        let one_ns = time_of_one(&mut of.engine).map_err(|error| refused(model, &error))?;
        // How many boxes there are to look into will be learned.
        service_ns += one_ns;
    }
    // A worker of other cameras may judge some of these as well: what it gives comes on top.
    let pace = Pace::new(
        judged().map(|(view, ..)| view.interval_ns),
        service_ns / seed.alike.max(1) as u64,
    );
    let share = |view: &Option<(ViewSeed, Plans, Option<Jpeg>)>| match view {
        Some((view, ..)) => Share {
            priority: view.priority,
            // A camera of few frames a second misses no deadline between them.
            least_gap_ns: view.interval_ns.max(2 * view.allowance.gap_ns),
        },
        // Its bit never comes.
        None => Share {
            priority: 0,
            least_gap_ns: u64::MAX,
        },
    };
    let shares: Vec<Share> = views.iter().map(share).collect();
    let scheduler = Scheduler::new(&shares, pace)
        .ok_or_else(|| Failure::new(Exit::Internal, "more cameras than a scheduler takes"))?;
    Ok(Worker {
        index: seed.index,
        engine: own.engine,
        decoder: own.decoder,
        model: *index,
        further,
        views: views
            .into_iter()
            .map(|view| {
                let (view, (plan, plans), jpeg) = view?;
                Some(View {
                    tap: view.tap,
                    plan,
                    plans,
                    jpeg,
                    ledger: view.ledger,
                    max_age_ns: view.max_age_ns,
                    interval_ns: view.interval_ns,
                    shared: view.shared,
                    allowance: view.allowance,
                    stages: StageHistograms::new(),
                    age: AgeOfKnowledge::new(),
                    inter_result: Histogram::new(),
                    usual: Usual::new(),
                })
            })
            .collect(),
        buffers: seed.buffers,
        scheduler,
        alike: seed.alike.max(1) as u64,
        signals: seed.signals,
        pulses: seed.pulses,
        bell: seed.bell,
        shared_bell: seed.alike > 1,
        waiting: match seed.worker.wait {
            board::Wait::Park => Waiting::Park,
            board::Wait::SpinThenPark => Waiting::SpinThenPark {
                spin_ns: seed.worker.spin_us * NS_PER_US,
            },
            board::Wait::Spin => Waiting::Spin,
        },
        stop: seed.stop,
        results: seed.results,
        notes: seed.notes,
        house: seed.house,
        tally: Tally::default(),
        work: Work::default(),
        result,
    })
}

/// The plan of a worker's own model, and those of its further ones.
type Plans = (Plan, Vec<Plan>);

/// What models see of a compressed picture.
fn samples<'a>(mut inputs: impl Iterator<Item = &'a TensorInfo>) -> Samples {
    if inputs.all(|input| input.picture().is_some_and(|shape| shape.channels == 1)) {
        Samples::Luma
    } else {
        Samples::Rgb
    }
}

/// Whole passes over a black frame of one camera.
fn warm_up(
    engine: &mut TfliteEngine,
    decoder: &mut Decoder,
    plan: &Plan,
    detections: &mut Detections,
) -> Result<(), String> {
    let frame = vec![0; plan.frame_bytes()];
    for _ in 0..WARM_UP_PASSES {
        plan.run(&frame, engine.input_bytes())
            .map_err(|error| error.to_string())?;
        engine.invoke().map_err(|error| error.to_string())?;
        decoder
            .decode(&outputs_of(engine), plan.mapping(), detections)
            .map_err(|error| error.to_string())?;
    }
    detections.clear();
    Ok(())
}

fn time_of_one(engine: &mut TfliteEngine) -> Result<u64, String> {
    let before = now_ns();
    engine.invoke().map_err(|error| error.to_string())?;
    Ok((now_ns() - before).max(NS_PER_US))
}

/// What a capture thread leaves behind.
pub(super) struct CaptureEnd {
    pub(super) quiet: Quiet,
    pub(super) station: Station,
}

/// The capture thread: starts its streams when all memory is locked, and watches when all is ready.
pub(super) fn capture_thread(
    mut station: Station,
    ready: &SyncSender<Result<(), NotStarted>>,
    gate: &Gate,
) -> Option<CaptureEnd> {
    let mut probe = UsageProbe::open();
    let hot = match hot() {
        Ok(hot) => hot,
        Err(failure) => {
            let _ = ready.send(Err(NotStarted::Thread(failure)));
            return None;
        }
    };
    if !gate.wait_for(Phase::Stream) {
        return None;
    }
    let started = station.start();
    let failed = started.is_err();
    // Whoever arms waits for this.
    let _ = ready.send(started.map_err(|(camera, error)| NotStarted::Camera(camera, error)));
    if failed {
        return None;
    }
    if !gate.wait_for(Phase::Watch) {
        station.halt();
        return None;
    }
    let quiet = measured(&mut probe, &hot, |probe, _| station.run(probe));
    gate.wait_for(Phase::Over);
    Some(CaptureEnd { quiet, station })
}
