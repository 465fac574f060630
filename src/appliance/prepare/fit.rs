//! A profile held against this machine: what `check` shows, and what `run` starts from.

use super::trial::try_models;
use crate::appliance::exit::{Exit, Failure};
use crate::capture::synthetic::image::bytes_in_memory;
use crate::frame::Decoding;
use crate::profile::{self, Board, Camera, LoadError, Source};
use crate::resources;
use crate::resources::budget::{self, Budget, Fixed, FrameNeed};
use crate::resources::{Finding, Moved, Severity};
use crate::sys::cpu::topology::{self, Topology};
use crate::sys::tflite::ModelMemory;
use std::path::Path;

/// Bytes of a hot thread's stack, all of it locked. The deepest use seen is less than a third of it, by images that are turned.
pub(crate) const STACK_BYTES: usize = 512 * 1024;

/// A board on a machine.
#[derive(Debug)]
pub struct Fitted {
    /// The profile, with its threads placed on cores that there are.
    pub board: Board,
    /// What this machine is.
    pub topology: Topology,
    /// Every byte and every thread.
    pub budget: Budget,
    /// What each worker has for decoding, in order.
    pub(crate) decoding: Vec<Decoding>,
    /// What does not fit; refusals first.
    pub findings: Vec<Finding>,
    /// Threads that were given another core.
    pub moved: Vec<Moved>,
    /// What memory was granted less than asked for, though nothing was found to be missing before.
    pub(crate) granted_less: Vec<String>,
    /// By model: what it took when it was tried.
    tried: Vec<Option<ModelMemory>>,
    fixed: Sizes,
}

/// Sizes of what threads make for themselves, and of models, with what each of them took where it was tried.
type Sizes = fn(&Board, &[Option<ModelMemory>]) -> Fixed;

/// Reads the profile and holds it against this machine. Starts nothing, opens no camera.
/// `fixed` gives the sizes of what threads make for themselves.
///
/// # Errors
/// The profile's faults, all of them, or what the machine does not tell.
pub(crate) fn fit(path: &Path, fixed: Sizes) -> Result<Fitted, Failure> {
    let board =
        profile::load(path).map_err(|error: LoadError| Failure::new(Exit::Profile, error))?;
    let topology =
        topology::read(Path::new("/")).map_err(|error| Failure::new(Exit::Machine, error))?;
    let (board, moved) = resources::place(board, &topology.machine);
    let needs = frame_needs(&board);
    let mut fitted = Fitted {
        budget: resources::plan(&board, &topology.machine, &needs, &fixed(&board, &[])),
        decoding: budget::decoding(&board, &needs),
        board,
        topology,
        findings: Vec::new(),
        moved,
        granted_less: Vec::new(),
        tried: Vec::new(),
        fixed,
    };
    fitted.findings =
        resources::shortfalls(&fitted.board, &fitted.topology.machine, &fitted.budget);
    Ok(fitted)
}

/// What the profile says of each camera's frames, and the headers of the images that cameras show. An image that cannot
/// be shown counts as nothing: it refuses the board when cameras are opened.
fn frame_needs(board: &Board) -> Vec<FrameNeed> {
    let mut shown = Vec::new();
    let need = |camera: &Camera| {
        let mut need = FrameNeed::from_profile(camera);
        if let Source::Image { path, scale, .. } = &camera.source {
            let image = (path.clone(), *scale, camera.format);
            if !shown.contains(&image) {
                need.own_bytes = bytes_in_memory(path, *scale, camera.format).unwrap_or(0);
                shown.push(image);
            }
        }
        need
    };
    board.cameras.iter().map(need).collect()
}

impl Fitted {
    /// The same with what each model takes, found by making it once in a process of its own. A board that is refused
    /// as it is stays as it is.
    ///
    /// # Errors
    /// A model ends that process, takes too long, or asks for more than the budget leaves it.
    pub(crate) fn with_models(mut self) -> Result<Self, Failure> {
        if self.refusal().is_some() {
            return Ok(self);
        }
        self.tried = try_models(&self.board, self.budget.left_for_models())?;
        let needs = frame_needs(&self.board);
        Ok(self.with_needs(&needs))
    }

    /// The same with what the cameras agreed to.
    pub(crate) fn with_needs(mut self, needs: &[FrameNeed]) -> Self {
        self.budget = resources::plan(
            &self.board,
            &self.topology.machine,
            needs,
            &(self.fixed)(&self.board, &self.tried),
        );
        self.decoding = budget::decoding(&self.board, needs);
        self.findings = resources::shortfalls(&self.board, &self.topology.machine, &self.budget);
        self
    }

    /// What forbids a start, all of it, a line each; `None` when nothing does.
    #[must_use]
    pub fn refusal(&self) -> Option<Failure> {
        let refusals = self
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Refusal)
            .map(ToString::to_string);
        let over = self.over_budget().map(|failure| failure.message);
        let all: Vec<String> = over.into_iter().chain(refusals).collect();
        (!all.is_empty()).then(|| Failure::new(Exit::Machine, all.join("\n")))
    }

    /// The budget's refusal, where the board needs more memory than the profile allows.
    pub(crate) fn over_budget(&self) -> Option<Failure> {
        let error = self.budget.within_limit().err()?;
        let place = self.board.places.of("memory", "", "budget-mib");
        // The message begins with the key.
        let message = format!("{}:{}: {error}", place.file, place.line);
        Some(Failure::new(Exit::Machine, message))
    }

    /// A finding says why frames do not lie where the profile wants them.
    pub(crate) fn lacks_memory(&self) -> bool {
        use crate::resources::Shortfall::{HugepageSize, Hugepages, Memlock, NodeAbsent};
        let mut findings = self.findings.iter().map(|finding| &finding.shortfall);
        findings.any(|shortfall| {
            matches!(
                shortfall,
                NodeAbsent { .. } | HugepageSize { .. } | Hugepages { .. } | Memlock { .. }
            )
        })
    }

    /// What is less than asked for and does not forbid a start, in words.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let moved = self.moved.iter().map(ToString::to_string);
        let warned = self
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Warning)
            .map(ToString::to_string);
        let granted_less = self.granted_less.iter().cloned();
        moved.chain(warned).chain(granted_less).collect()
    }
}
