//! A model made ready: its engine, its decoder, and how cameras' pictures become its tensor. Arming makes them
//! on the threads that run them, and `check` to see whether arming will.

use crate::appliance::exit::{Exit, Failure};
use crate::frame::StreamFormat;
use crate::infer::{Engine as _, TensorInfo};
use crate::jpeg::Samples;
use crate::postprocess::Decoder;
use crate::preprocess::{Plan, Preparation};
use crate::profile;
use crate::sys::tflite::{Settings, TfliteEngine};

/// A model with its decoder, on the thread that made them.
pub(crate) struct LoadedModel {
    pub(crate) engine: TfliteEngine,
    pub(crate) decoder: Decoder,
    /// What it got less than was asked for, in words.
    pub(crate) less: Option<String>,
}

/// A model's failure, with its name.
pub(crate) fn refused(model: &profile::Model, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Model, format!("model {}: {error}", model.name))
}

impl LoadedModel {
    /// Loads it on the calling thread. Allocates, and logs what was made.
    ///
    /// # Errors
    /// The file, its delegate or its graph is refused; or its outputs are not the decoder's.
    pub(crate) fn new(model: &profile::Model) -> Result<Self, Failure> {
        let refuse = |error: &dyn std::fmt::Display| refused(model, error);
        let (engine, replaced) = TfliteEngine::build_or_replace(
            &model.path,
            &model.sha256,
            Settings::from(model),
            model.on_failure,
        )
        .map_err(|error| refuse(&error))?;
        let less = replaced.map(|error| {
            format!(
                "model {}: {error}; the library's own kernels run it, as on-failure = \"builtin\" allows",
                model.name
            )
        });
        if let Some(warning) = &less {
            log::warn!("{warning}");
        }
        log::info!("model {}: input {}", model.name, engine.input());
        for output in engine.outputs() {
            log::info!("model {}: output {output}", model.name);
        }
        log::info!("model {}: {}", model.name, engine.graph());
        let decoder = Decoder::new(&model.into(), engine.input(), engine.outputs())
            .map_err(|error| refuse(&error))?;
        log::info!("model {}: {}", model.name, decoder.layout());
        Ok(Self {
            engine,
            decoder,
            less,
        })
    }
}

/// What models see of a compressed picture: colours, if any of them does.
pub(crate) fn samples<'a>(mut inputs: impl Iterator<Item = &'a TensorInfo>) -> Samples {
    if inputs.all(|input| input.picture().is_some_and(|shape| shape.channels == 1)) {
        Samples::Luma
    } else {
        Samples::Rgb
    }
}

/// How pictures of a camera, with its name and its view, become a model's tensor: whole ones, or parts of them.
///
/// # Errors
/// The tensor cannot be made of such pictures.
pub(crate) fn plan_of(
    input: &TensorInfo,
    model: &profile::Model,
    (camera, view): (&str, profile::View),
    format: &StreamFormat,
) -> Result<Plan, Failure> {
    let preparation = Preparation {
        fit: model.fit,
        resample: model.resample,
        channels: model.channels,
        range: model.input_range,
        view,
    };
    let plan = if model.within.is_some() {
        Plan::movable(format, input, &preparation)
    } else {
        Plan::prepared(format, input, &preparation)
    };
    plan.map_err(|error| {
        let model = &model.name;
        Failure::new(
            Exit::Model,
            format!("camera {camera} for model {model}: {error}"),
        )
    })
}
