//! Each model made once in a process of its own before it is made here: TensorFlow Lite trusts the files that it reads,
//! and a delegate may do anything. What ends that process ends no run, and what the model took there is in the budget.

use crate::appliance::exit::{Exit, Failure};
use crate::profile::{self, Board, Delegate, OnFailure, Plugin};
use crate::sys::malloc_guard::{self, REFUSED};
use crate::sys::service::child::{self, End, Ended};
use crate::sys::tflite::{ModelMemory, Settings};
use crate::units::MIB;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The argument that makes this program a trial.
const TRIAL: &str = "try-model";
/// For a model's first three inferences and all before them.
const DEADLINE: Duration = Duration::from_secs(60);
/// Address space beyond what the budget leaves: buffers of this program, the library's code for a processor, a
/// delegate's libraries.
const ALLOWANCE_BYTES: u64 = 64 * MIB;
/// Address space of each further thread's stack, as the C library reserves it, and beside it.
const THREAD_BYTES: u64 = 16 * MIB;
/// Drivers behind a delegate's library reserve addresses far beyond the memory that they use; what it takes is counted
/// and held against the budget afterwards.
const PLUGIN_BYTES: u64 = 4096 * MIB;
/// What an answer begins with when the model was made; the bytes of its parts follow.
const MADE: &str = "made ";
/// The answer of a model that is refused in words.
const REFUSED_IN_WORDS: &str = "refused";

/// What a trial is asked.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    path: PathBuf,
    sha256: [u8; 32],
    threads: u32,
    is_xnnpack: bool,
    plugin: Option<Library>,
    may_replace: bool,
    address_space_bytes: u64,
}

/// A delegate's library.
#[derive(Debug, Serialize, Deserialize)]
struct Library {
    path: PathBuf,
    sha256: [u8; 32],
    options: Vec<(String, String)>,
}

/// Tries each model that a worker runs, one after the other: an accelerator has one user at a time. Gives what each
/// takes, in the board's order; nothing where it is refused as it will be when it is armed.
///
/// # Errors
/// A model ends the process, takes too long, or asks for more than `left_bytes`.
pub(super) fn try_models(
    board: &Board,
    left_bytes: u64,
) -> Result<Vec<Option<ModelMemory>>, Failure> {
    let models = board.models.iter().map(|model| {
        let runs = |worker: &profile::Worker| worker.models().any(|name| name == model.name);
        if board.workers.iter().any(runs) {
            try_model(model, board.memory.budget_mib, left_bytes)
        } else {
            Ok(None)
        }
    });
    models.collect()
}

fn try_model(
    model: &profile::Model,
    budget_mib: u64,
    left_bytes: u64,
) -> Result<Option<ModelMemory>, Failure> {
    let request = serde_json::to_vec(&Request::new(model, left_bytes))
        .map_err(|error| Failure::new(Exit::Internal, error))?;
    let begun = Instant::now();
    let ended = match child::ask(TRIAL, &request, DEADLINE) {
        Ok(ended) => ended,
        Err(error) => {
            log::warn!(
                "model {}: not tried in a process of its own ({error}): the budget holds its file alone",
                model.name
            );
            return Ok(None);
        }
    };
    let Ended { end, answer, log } = ended;
    let refused = answer.lines().filter_map(|line| number(line, REFUSED));
    if let Some(asked_bytes) = refused.max() {
        let words = format!(
            "model {}: {}: asks for {asked_bytes} bytes at once, and memory.budget-mib = {budget_mib} leaves {left_bytes} \
             to models; use a smaller model, or raise memory.budget-mib",
            model.name,
            model.path.display()
        );
        return Err(Failure::new(Exit::Machine, words));
    }
    let fault = match end {
        End::Exited(0) if answer.lines().any(|line| line == REFUSED_IN_WORDS) => return Ok(None),
        End::Exited(code) => match made(&answer).filter(|_| code == 0) {
            Some(memory) => {
                log::info!(
                    "model {}: takes {} bytes; tried in a process of its own, in {} ms",
                    model.name,
                    memory.total_bytes(),
                    begun.elapsed().as_millis()
                );
                return Ok(Some(memory));
            }
            // A library may end a process, and say that all is well.
            None => format!("ended with exit code {code} and no answer"),
        },
        End::Killed(signal) => format!("was ended by {}", child::signal_words(signal)),
        End::Overdue => format!("was not done after {} s", DEADLINE.as_secs()),
    };
    let last = log.lines().rfind(|line| !line.trim().is_empty());
    let words = format!(
        "model {}: {}: the process that tried it with delegate \"{}\" {fault}: the file is damaged, or made for another \
         version of TensorFlow Lite, or the delegate is at fault; the last it wrote: {}",
        model.name,
        model.path.display(),
        Settings::from(model).delegate_name(),
        last.unwrap_or("nothing").escape_debug()
    );
    Err(Failure::new(Exit::Model, words))
}

fn number(line: &str, key: &str) -> Option<u64> {
    line.strip_prefix(key)?.parse().ok()
}

/// What an answer says; nothing where the model was refused.
fn made(answer: &str) -> Option<ModelMemory> {
    let numbers = answer.lines().find_map(|line| line.strip_prefix(MADE))?;
    let numbers: Vec<u64> = numbers
        .split(' ')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let [file_bytes, weight_bytes, tensor_bytes, scratch_bytes] = numbers[..] else {
        return None;
    };
    Some(ModelMemory {
        file_bytes,
        weight_bytes,
        tensor_bytes,
        scratch_bytes,
    })
}

/// The trial's own part: reads a request from standard input, makes the model, and answers. A model that is refused in
/// words is refused again, with them, when it is armed.
///
/// # Errors
/// There is no request, or the process cannot be limited.
pub fn try_one() -> Result<(), Failure> {
    let fail = |error: &dyn std::fmt::Display| Failure::new(Exit::Internal, error);
    let mut request = Vec::new();
    let read = std::io::stdin().read_to_end(&mut request);
    read.map_err(|error| fail(&error))?;
    let request: Request = serde_json::from_slice(&request).map_err(|error| fail(&error))?;
    let answer = child::become_child(request.address_space_bytes).map_err(|error| fail(&error))?;
    let refusals = answer.try_clone().map_err(|error| fail(&error))?;
    malloc_guard::tell_of_refusals(refusals);
    let words = match request.measure() {
        Some(ModelMemory {
            file_bytes,
            weight_bytes,
            tensor_bytes,
            scratch_bytes,
        }) => format!("{MADE}{file_bytes} {weight_bytes} {tensor_bytes} {scratch_bytes}"),
        None => REFUSED_IN_WORDS.to_owned(),
    };
    writeln!(File::from(answer), "{words}").map_err(|error| fail(&error))
}

impl Request {
    fn new(model: &profile::Model, left_bytes: u64) -> Self {
        let plugin = match &model.delegate {
            Delegate::Plugin(plugin) => Some(Library {
                path: plugin.path.clone(),
                sha256: plugin.sha256,
                options: plugin.options.clone(),
            }),
            Delegate::Xnnpack | Delegate::None => None,
        };
        let of_plugin = if plugin.is_some() { PLUGIN_BYTES } else { 0 };
        Self {
            path: model.path.clone(),
            sha256: model.sha256,
            threads: model.threads,
            is_xnnpack: model.delegate == Delegate::Xnnpack,
            plugin,
            may_replace: model.on_failure == OnFailure::Builtin,
            address_space_bytes: left_bytes
                .saturating_add(ALLOWANCE_BYTES)
                .saturating_add(of_plugin)
                .saturating_add(THREAD_BYTES * u64::from(model.threads.saturating_sub(1))),
        }
    }

    fn measure(self) -> Option<ModelMemory> {
        let delegate = match self.plugin {
            Some(Library {
                path,
                sha256,
                options,
            }) => Delegate::Plugin(Plugin {
                path,
                sha256,
                options,
            }),
            None if self.is_xnnpack => Delegate::Xnnpack,
            None => Delegate::None,
        };
        let settings = Settings {
            threads: self.threads,
            delegate,
        };
        let on_failure = if self.may_replace {
            OnFailure::Builtin
        } else {
            OnFailure::Refuse
        };
        ModelMemory::measure(&self.path, &self.sha256, settings, on_failure).ok()
    }
}
