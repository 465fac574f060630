//! One board: the keys at the top of the file, and every table below them.

use super::camera::{self, Camera};
use super::capture::{self, Capture};
use super::health::{self, Health};
use super::housekeeping::{self, Housekeeping};
use super::line::{self, Tripwire};
use super::memory::{self, Memory};
use super::model::{self, MAX_MODELS, Model};
use super::output::{self, Output};
use super::promises::{self, Promises};
use super::reader::values::{choice, truth, words};
use super::reader::{self, Fault, KeyDoc, LoadError, Places, Table};
use super::rule::{self, Known, Rule};
use super::tracker::{self, Tracker};
use super::worker::{self, Worker};
use super::zone::{self, Zone};
use crate::limits::{MAX_CAMERAS, MAX_EVENT_OUTPUTS, MAX_RULES, MAX_WORKERS};
use std::path::Path;

/// One board, every value checked: holding a `Board` means that each number is in its range, names are
/// unique, and every reference between tables resolves.
///
/// A relative path in a profile starts at the profile's own directory, so that a profile works from
/// wherever the program is started. Here it stands joined to that directory, ready to be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// The board's name; stands in the proof and in records.
    pub name: String,
    /// What only worsens timing (a core that is not isolated, no real-time privilege) is a refusal instead of a warning.
    pub strict: bool,
    /// What becomes of a core number that this machine does not have.
    pub absent_core: AbsentCore,
    /// Where frames live.
    pub memory: Memory,
    /// 1..=64.
    pub cameras: Vec<Camera>,
    /// The threads that serve the cameras.
    pub capture: Capture,
    /// 1..=16.
    pub models: Vec<Model>,
    /// 1..=16.
    pub workers: Vec<Worker>,
    /// The thread that is not real-time.
    pub housekeeping: Housekeeping,
    /// What becomes of a thread that stands still.
    pub health: Health,
    /// Which promises a run is held to.
    pub promises: Promises,
    /// How detections become tracks.
    pub tracker: Tracker,
    /// Parts of pictures, 0..=64.
    pub zones: Vec<Zone>,
    /// Lines on pictures, 0..=64.
    pub lines: Vec<Tripwire>,
    /// What is worth an event, 0..=64.
    pub rules: Vec<Rule>,
    /// What gets the events, 0..=8.
    pub outputs: Vec<Output>,
    /// Where all of it stands in its file, for what a machine lacks.
    pub places: Places,
}

words! {
    /// `absent-core`
    pub enum AbsentCore {
        /// Do not start; report which cores there are.
        Refuse = "refuse",
        /// Core n is the (n mod count)-th core that the program may use; reported.
        Wrap = "wrap",
    }
}

impl Board {
    /// How many workers process the frames of this camera.
    #[must_use]
    pub fn workers_of(&self, camera: &Camera) -> usize {
        let workers = self.workers.iter();
        workers
            .filter(|worker| worker.processes(&camera.name))
            .count()
    }

    /// The models of a worker with their places in the profile: its own, then those of its cascade in their order.
    pub fn models_of(&self, worker: &Worker) -> impl Iterator<Item = (usize, &Model)> {
        worker.models().filter_map(|name| {
            let mut models = self.models.iter().enumerate();
            models.find(|(_, model)| model.name == name)
        })
    }
}

/// Reads a profile from a file.
///
/// # Errors
/// The file cannot be read, is not text, or has faults: then all of them.
pub fn load(path: &Path) -> Result<Board, LoadError> {
    let text = reader::load(path)?;
    read(&path.to_string_lossy(), &text).map_err(LoadError::Faults)
}

/// Reads a profile from text. `file` names it in messages; its directory is where relative paths start.
///
/// # Errors
/// Every fault of the text, by line; never empty. Where the text is not TOML, the faults of the parts
/// that could be read for certain are among them.
pub fn read(file: &str, text: &str) -> Result<Board, Vec<Fault>> {
    reader::read(file, text, board)
}

/// Every key that a profile may have.
#[must_use]
pub fn key_list() -> Vec<KeyDoc> {
    reader::keys(board)
}

fn board(t: &mut Table<'_>) -> Board {
    let name = t.name("\"front-door\"");
    let strict = t.or("strict", truth(), "false");
    let absent_core = t.or("absent-core", choice(AbsentCore::ALL), "\"refuse\"");
    let memory = t.table("[memory]", memory::read);
    let cameras = t.tables("[[camera]]", 1..=MAX_CAMERAS, camera::read);
    let capture = t.table("[capture]", capture::read);
    let models = t.tables("[[model]]", 1..=MAX_MODELS, model::read);
    let workers = t.tables("[[worker]]", 1..=MAX_WORKERS, worker::read);
    let housekeeping = t.table("[housekeeping]", housekeeping::read);
    let health = t.table("[health]", health::read);
    let promises = t.table("[promises]", promises::read);
    let tracker = t.table("[tracker]", tracker::read);
    let zones = t.tables("[[zone]]", 0..=MAX_RULES, |t| zone::read(t, &cameras));
    let lines = t.tables("[[line]]", 0..=MAX_RULES, |t| line::read(t, &cameras));
    let known = Known {
        cameras: &cameras,
        models: &models,
        workers: &workers,
        zones: &zones,
        lines: &lines,
        tracker: &tracker,
    };
    let rules = t.tables("[[rule]]", 0..=MAX_RULES, |t| rule::read(t, &known));
    let outputs = t.tables("[[output]]", 0..=MAX_EVENT_OUTPUTS, |t| {
        output::read(t, &rules)
    });

    if t.sound(&["strict", "absent-core"]) && strict && absent_core == AbsentCore::Wrap {
        let expected = "\"refuse\", because strict = true lets nothing be replaced";
        t.fault("absent-core", "\"wrap\"", expected);
    }
    camera::check_all(&cameras, |camera| {
        workers
            .iter()
            .filter(|worker| worker.processes(camera))
            .count()
    });
    model::check_all(&models);
    worker::check_all(&workers, &models, &cameras);
    rule::check_rates(&rules, &cameras, &tracker);
    output::check_all(&outputs);
    let mut places = Places::of_file(t.file());
    [&memory.at, &capture.at, &housekeeping.at, &tracker.at]
        .into_iter()
        .chain(cameras.iter().map(|camera| &camera.at))
        .chain(workers.iter().map(|worker| &worker.at))
        .for_each(|at| places.add(at));
    Board {
        name,
        strict,
        absent_core,
        memory: memory.value,
        cameras: cameras.into_values(),
        capture: capture.value,
        models: models.into_values(),
        workers: workers.into_values(),
        housekeeping: housekeeping.value,
        health: health.value,
        promises: promises.value,
        tracker: tracker.value,
        zones: zones.into_values(),
        lines: lines.into_values(),
        rules: rules.into_values(),
        outputs: outputs.into_values(),
        places,
    }
}
