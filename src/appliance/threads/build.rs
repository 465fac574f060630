//! A worker made on the thread that will run it: models built, plans drawn, everything warm.

use super::{Armed, ViewSeed, WorkerSeed};
use crate::appliance::built::{Built, plan_of, refused, samples};
use crate::appliance::decoding;
use crate::appliance::exit::{Exit, Failure};
use crate::appliance::further::{Account, Boxes, Further};
use crate::appliance::worker::{Tally, View, Work, Worker};
use crate::board;
use crate::infer::{Engine, Pace, Scheduler, Share, outputs_of};
use crate::jpeg::Jpeg;
use crate::latency::{AgeOfKnowledge, Histogram, StageHistograms, Usual};
use crate::postprocess::{Decoder, Detections};
use crate::preprocess::Plan;
use crate::record::FrameResult;
use crate::ring::Waiting;
use crate::sys::clock::now_ns;
use crate::sys::heap::HotThread;
use crate::sys::tflite::TfliteEngine;
use crate::units::NS_PER_US;
use std::sync::mpsc::Sender;

/// Whole passes before ready: the first ones fill caches, allocate in the library and fault pages in.
const WARM_UP_PASSES: usize = 8;

/// Makes a model on this thread, and tells whoever arms how it went: what it got less is kept for the proof.
fn make(model: &board::Model, told: &Sender<Armed>) -> Result<Built, Failure> {
    let mut built = Built::new(model)?;
    if let Some(warning) = built.less.take() {
        let _ = told.send(Armed::Less(warning));
    }
    let _ = told.send(Armed::Step);
    Ok(built)
}

/// The worker's further models, with where each of them looks.
fn further(
    models: &[(u16, board::Model)],
    told: &Sender<Armed>,
) -> Result<Vec<Further<TfliteEngine>>, Failure> {
    let mut all = Vec::new();
    for (step, (index, model)) in models.iter().enumerate().skip(1) {
        let Built {
            engine, decoder, ..
        } = make(model, told)?;
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

/// Makes the worker, warm, and learns how long one frame takes it.
pub(super) fn build(
    mut seed: WorkerSeed,
    hot: &HotThread,
    told: &Sender<Armed>,
) -> Result<Worker<TfliteEngine>, Failure> {
    let Some((index, model)) = seed.models.first() else {
        return Err(Failure::new(Exit::Internal, "a worker without a model"));
    };
    let refuse = |error: &dyn std::fmt::Display| refused(model, error);
    let mut own = make(model, told)?;
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
        let plan = plan_of(own.engine.input(), model, (&view.name, view.view), &format)?;
        let mut plans = Vec::new();
        for (of, (_, model)) in further.iter().zip(seed.models.iter().skip(1)) {
            plans.push(plan_of(
                of.engine.input(),
                model,
                (&view.name, view.view),
                &format,
            )?);
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
        let Built {
            engine, decoder, ..
        } = &mut own;
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
