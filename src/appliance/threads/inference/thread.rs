//! The body of an inference thread: prepare, wait at the start gate, infer, and leave an account.

use super::build::build;
use super::cascade::CascadeAccount;
use super::description::{Description, ResultOutbox};
use super::inputs::Inputs;
use super::progress::Progress;
use crate::appliance::exit::{Exit, Failure};
use crate::appliance::shared::start_gate::Phase;
use crate::appliance::threads::hot::{HotUsage, measured, register};
use crate::latency::Tail;
use crate::sys::thread::UsageProbe;
use std::sync::mpsc::Sender;

/// What an inference thread leaves behind: parts of its worker.
pub(crate) struct InferenceLeft {
    /// Its place in the profile.
    pub(crate) index: u16,
    pub(crate) usage: HotUsage,
    pub(crate) inputs: Inputs,
    pub(crate) outbox: ResultOutbox,
    pub(crate) tail: Tail,
    /// Its own model's, then those of the cascade.
    pub(crate) models: Vec<ModelAccount>,
}

/// What one model of a worker did.
pub(crate) struct ModelAccount {
    /// Its place in the profile.
    pub(crate) place: u16,
    pub(crate) values_refused: u64,
    /// Of a model of the cascade.
    pub(crate) cascade: Option<CascadeAccount>,
}

/// Builds the interpreters here, so that the library's own threads inherit this thread's cores.
pub(crate) fn inference_thread(
    description: Description,
    progress: &Sender<Progress>,
) -> Option<InferenceLeft> {
    let arena = description.arena;
    let made = register().and_then(|mut hot| {
        if let Some(arena) = arena {
            hot.attach(arena)
                .map_err(|error| Failure::new(Exit::Internal, error))?;
        }
        Ok((build(description, &hot, progress)?, hot))
    });
    // Whoever arms waits for this.
    let (mut worker, hot) = match made {
        Ok(made) => made,
        Err(failure) => {
            let _ = progress.send(Progress::Ready(Err(failure)));
            return None;
        }
    };
    let mut probe = UsageProbe::open();
    let _ = progress.send(Progress::Ready(Ok(())));
    if !worker.common.gate.wait_for(Phase::Watch) {
        return None;
    }
    let usage = measured(&mut probe, &hot, |probe, hot| worker.run(probe, hot));
    worker.common.gate.wait_for(Phase::Over);
    let own = ModelAccount {
        place: worker.own.place,
        values_refused: worker.own.values_refused,
        cascade: None,
    };
    let cascade = worker.cascade.into_iter().map(|step| ModelAccount {
        place: step.model.place,
        values_refused: step.model.values_refused,
        cascade: Some(step.account),
    });
    Some(InferenceLeft {
        index: worker.index,
        usage,
        inputs: worker.inputs,
        outbox: worker.outbox,
        tail: worker.observer.tail,
        models: std::iter::once(own).chain(cascade).collect(),
    })
}
