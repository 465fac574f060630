//! Bytes of what the threads of a board make for themselves, for its budget.

use super::disk::disk;
use super::housekeeping::rules::Rules;
use super::inference::cascade::CascadeAccount;
use super::inference::measured::Measured;
use crate::appliance::prepare::fit::STACK_BYTES;
use crate::appliance::shared::messages::RESULT_BYTES;
use crate::latency::Arrivals;
use crate::profile::{self, Board};
use crate::resources::budget::{Fixed, ModelNeed, ModelPart};
use crate::sys::tflite::ModelMemory;

/// Sizes that the profile's arithmetic takes from the modules that own them.
pub(crate) fn fixed(board: &Board, tried: &[Option<ModelMemory>]) -> Fixed {
    let views = board.cameras.iter().map(|camera| board.workers_of(camera));
    let views = views.sum::<usize>() as u64;
    let cascades = board.workers.iter().map(|worker| worker.cascade.len());
    let cascades = cascades.sum::<usize>() as u64;
    let cameras = board.cameras.len() as u64;
    Fixed {
        result_bytes: RESULT_BYTES,
        // Each worker measures each of its cameras and each model of its cascade; each camera has its arrivals.
        histogram_bytes: views * Measured::bytes()
            + cascades * CascadeAccount::bytes()
            + cameras * Arrivals::bytes(),
        stack_bytes: STACK_BYTES as u64,
        event_bytes: Rules::bytes(board),
        file_bytes: disk::bytes(board),
        models: board
            .workers
            .iter()
            .map(|worker| {
                let models = board.models_of(worker);
                models
                    .map(|(place, model)| need(model, tried.get(place).copied().flatten()))
                    .collect()
            })
            .collect(),
    }
}

/// What a model takes, where it has been tried; its file, where it has not.
fn need(model: &profile::Model, tried: Option<ModelMemory>) -> ModelNeed {
    let parts = match tried {
        Some(memory) => vec![
            (ModelPart::File, memory.file_bytes),
            (ModelPart::Weights, memory.weight_bytes),
            (ModelPart::Tensors, memory.tensor_bytes),
            (ModelPart::Scratch, memory.scratch_bytes),
        ],
        None => {
            // A file that is not there is refused when it is read, with its name.
            let file = std::fs::metadata(&model.path);
            vec![(ModelPart::File, file.map_or(0, |file| file.len()))]
        }
    };
    let model = model.name.clone();
    ModelNeed { model, parts }
}
