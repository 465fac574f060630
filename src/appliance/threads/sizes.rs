//! Bytes of what the threads of a board make for themselves, for its budget.

use super::disk::disk;
use super::housekeeping::rules::Rules;
use super::inference::cascade::CascadeAccount;
use super::inference::measured::Measured;
use crate::appliance::prepare::fit::STACK_BYTES;
use crate::appliance::shared::messages::RESULT_BYTES;
use crate::latency::Arrivals;
use crate::profile::Board;
use crate::resources::budget::Fixed;

/// Sizes that the profile's arithmetic takes from the modules that own them.
pub(crate) fn fixed(board: &Board) -> Fixed {
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
        model_bytes: board
            .workers
            .iter()
            .map(|worker| {
                // A file that is not there is refused when it is read, with its name.
                let files = board
                    .models_of(worker)
                    .filter_map(|(_, model)| std::fs::metadata(&model.path).ok());
                files.map(|file| file.len()).sum()
            })
            .collect(),
    }
}
