//! A worker made on the thread that will run it: models loaded, plans drawn, everything warm.

use super::cascade::{Boxes, CascadeAccount, CascadeStep};
use super::description::Description;
use super::inputs::{Camera, Inputs};
use super::measured::Measured;
use super::model::Model;
use super::observer::Observer;
use super::progress::Progress;
use super::worker::Worker;
use crate::appliance::exit::{Exit, Failure};
use crate::appliance::prepare::jpeg::rehearse;
use crate::appliance::prepare::model::{LoadedModel, plan_of, refused, samples};
use crate::infer::{Engine, Scheduler, Share, outputs_of};
use crate::jpeg::Jpeg;
use crate::latency::Baseline;
use crate::postprocess::Detections;
use crate::preprocess::Plan;
use crate::profile;
use crate::record::FrameResult;
use crate::ring::Waiting;
use crate::sys::clock::now_ns;
use crate::sys::malloc_guard::HotThread;
use crate::sys::tflite::TfliteEngine;
use crate::units::NS_PER_US;
use std::sync::mpsc::Sender;

/// Whole passes before ready: the first ones fill caches, allocate in the library and fault pages in.
const WARM_UP_PASSES: usize = 8;

/// Makes the worker, warm, and learns how long one frame takes it.
pub(crate) fn build(
    description: Description,
    hot: &HotThread,
    progress: &Sender<Progress>,
) -> Result<Worker<TfliteEngine>, Failure> {
    let Description {
        index,
        worker,
        models: profiles,
        cameras,
        bell,
        arena: _,
        mut buffers,
        outbox,
        common,
    } = description;
    let mut loaded = Vec::new();
    for (_, model) in &profiles {
        loaded.push(load(model, progress)?);
    }
    // Of a compressed picture colours are decoded if any model sees them.
    let samples = samples(loaded.iter().map(|model| model.engine.input()));
    let mut made = Vec::new();
    for camera in cameras {
        let Some(camera) = camera else {
            made.push(None);
            continue;
        };
        let jpeg = Jpeg::new(&camera.format, samples);
        let format = jpeg.map_or(camera.format, |jpeg| jpeg.decoded());
        let of = (camera.name.as_str(), camera.view);
        let plan = |((_, model), loaded): (&(u16, profile::Model), &LoadedModel)| {
            plan_of(loaded.engine.input(), model, of, &format)
        };
        let plans: Vec<Plan> = profiles
            .iter()
            .zip(&loaded)
            .map(plan)
            .collect::<Result<_, _>>()?;
        if let Some(jpeg) = &jpeg {
            rehearse(jpeg, &jpeg.trials(), &mut buffers, hot)?;
        }
        for ((loaded, plan), (_, model)) in loaded.iter_mut().zip(&plans).zip(&profiles) {
            warm_up(loaded, plan).map_err(|error| {
                refused(model, &format_args!("camera {}: {error}", camera.name))
            })?;
            let _ = progress.send(Progress::Step);
        }
        made.push(Some(Camera {
            input: camera.input,
            plans,
            jpeg,
            measured: Measured::default(),
            baseline: Baseline::new(),
        }));
    }
    let mut service_ns = 0;
    for (loaded, (_, model)) in loaded.iter_mut().zip(&profiles) {
        // Of the boxes of a cascade one is taken for granted; how many there are will be learned.
        service_ns += time_of_one(&mut loaded.engine).map_err(|error| refused(model, &error))?;
    }
    common.workers[usize::from(index)].set_service(service_ns);
    // A worker of other cameras may infer some of these as well: what it gives comes on top.
    let shares: Vec<Option<Share>> = made.iter().map(|made| made.as_ref().map(share)).collect();
    let scheduler = Scheduler::new(&shares, service_ns, bell.workers)
        .ok_or_else(|| Failure::new(Exit::Internal, "more cameras than a scheduler takes"))?;
    let mut models = loaded
        .into_iter()
        .zip(&profiles)
        .map(|(loaded, (place, _))| Model {
            place: *place,
            engine: loaded.engine,
            decoder: loaded.decoder,
            values_refused: 0,
        });
    let own = models.next();
    let steps = models.enumerate();
    let cascade = steps.map(|(index, model)| cascade_step(model, &profiles, index + 1));
    Ok(Worker {
        index,
        inputs: Inputs {
            cameras: made,
            scheduler,
            bell,
            waiting: match worker.wait {
                profile::Wait::Park => Waiting::Park,
                profile::Wait::SpinThenPark => Waiting::SpinThenPark {
                    spin_ns: worker.spin_us * NS_PER_US,
                },
                profile::Wait::Spin => Waiting::Spin,
            },
            pending: 0,
            began_ns: 0,
            ended_ns: 0,
        },
        own: own.ok_or_else(|| Failure::new(Exit::Internal, "a worker without a model"))?,
        cascade: cascade.collect::<Result<_, _>>()?,
        buffers,
        observer: Observer::new(),
        outbox,
        common,
        result: FrameResult::default(),
    })
}

/// Makes a model on this thread. What it got less than was asked for is kept for the proof.
fn load(model: &profile::Model, progress: &Sender<Progress>) -> Result<LoadedModel, Failure> {
    let mut loaded = LoadedModel::new(model)?;
    if let Some(warning) = loaded.less.take() {
        let _ = progress.send(Progress::Less(warning));
    }
    let _ = progress.send(Progress::Step);
    Ok(loaded)
}

/// A model of the cascade, the worker's `step`-th, with where it looks.
fn cascade_step(
    model: Model<TfliteEngine>,
    profiles: &[(u16, profile::Model)],
    step: usize,
) -> Result<CascadeStep<TfliteEngine>, Failure> {
    let of = &profiles[step].1;
    let before: Vec<_> = profiles.iter().take(step).map(|(_, model)| model).collect();
    let boxes = of.within.as_ref().map(|within| {
        let fault = "a model that looks into boxes of one that does not come before it";
        Boxes::new(within, &before).ok_or_else(|| Failure::new(Exit::Internal, fault))
    });
    Ok(CascadeStep {
        model,
        boxes: boxes.transpose()?,
        has_places: of.decoder.has_boxes(),
        iou_threshold: of.iou_threshold,
        account: CascadeAccount::default(),
        found: Detections::new(),
        result: FrameResult::default(),
    })
}

const fn share(camera: &Camera) -> Share {
    let input = &camera.input;
    Share {
        priority: input.priority,
        interval_ns: input.interval_ns,
        least_gap_ns: input.allowance.gap_ns,
    }
}

/// Whole passes over a black frame of one camera.
fn warm_up(model: &mut LoadedModel, plan: &Plan) -> Result<(), String> {
    let (engine, decoder) = (&mut model.engine, &mut model.decoder);
    let (frame, mut found) = (vec![0; plan.frame_bytes()], Detections::new());
    for _ in 0..WARM_UP_PASSES {
        plan.run(&frame, engine.input_bytes())
            .map_err(|error| error.to_string())?;
        engine.invoke().map_err(|error| error.to_string())?;
        decoder
            .decode(&outputs_of(engine), plan.mapping(), &mut found)
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn time_of_one(engine: &mut TfliteEngine) -> Result<u64, String> {
    let before = now_ns();
    engine.invoke().map_err(|error| error.to_string())?;
    Ok((now_ns() - before).max(NS_PER_US))
}
