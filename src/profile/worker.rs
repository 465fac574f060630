//! `[[worker]]`: an inference thread, with its models and its cameras.

use super::camera::Camera;
use super::core::{core, fifo};
use super::model::Model;
use super::reader::text::quoted;
use super::reader::values::{choice, distinct, name, whole, words};
use super::reader::{Hint, Located, Table, Tables};
use crate::limits::{MAX_CAMERAS, MAX_THEN};

/// `[[worker]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Unique name.
    pub name: String,
    /// Distinct cores it runs on: the first is the worker's own, the others its interpreter's further
    /// threads'. As many as the model has threads.
    pub cores: Vec<usize>,
    /// Name of its model.
    pub model: String,
    /// `then`: names of the models that process a frame after that one, 0..=3, in this order.
    pub cascade: Vec<String>,
    /// Names of the cameras whose frames it processes; all of them where the list is empty.
    pub cameras: Vec<String>,
    /// SCHED_FIFO priority 1..=89, or 0 for SCHED_OTHER.
    pub fifo_priority: u32,
    /// How it waits for frames.
    pub wait: Wait,
    /// Longest spin of `spin-then-park`, in microseconds; 0 for the other waits.
    pub spin_us: u64,
}

words! {
    /// `wait` of a worker.
    pub enum Wait {
        /// Sleep on the futex at once.
        Park = "park",
        /// Spin for at most `spin-us`, then sleep.
        SpinThenPark = "spin-then-park",
        /// Never sleep: for a core of its own.
        Spin = "spin",
    }
}

impl Worker {
    /// Whether it processes the frames of this camera.
    #[must_use]
    pub fn processes(&self, camera: &str) -> bool {
        self.cameras.is_empty() || self.cameras.iter().any(|name| name == camera)
    }

    /// Names of all its models: its own, then those of its cascade in their order.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let cascade = self.cascade.iter().map(String::as_str);
        std::iter::once(self.model.as_str()).chain(cascade)
    }
}

pub fn read(t: &mut Table<'_>) -> Worker {
    let mut worker = Worker {
        name: t.name("\"detector\""),
        cores: t.required("cores", distinct(core(), 1..=16), "[1]"),
        model: t.required("model", name(), "\"face\""),
        cascade: t
            .optional("then", distinct(name(), 1..=MAX_THEN), "none")
            .unwrap_or_default(),
        cameras: t
            .optional("cameras", distinct(name(), 1..=MAX_CAMERAS), "all of them")
            .unwrap_or_default(),
        fifo_priority: t.or("fifo-priority", fifo(), "0"),
        wait: t.or("wait", choice(Wait::ALL), "\"spin-then-park\""),
        spin_us: 0,
    };
    let bounded = worker.wait == Wait::SpinThenPark;
    let mut of = t.only("wait", &["spin-then-park"], bounded);
    let spin_us = of.or("spin-us", whole(1..=10_000, "µs"), "50");
    if bounded {
        worker.spin_us = spin_us;
    }
    worker
}

/// What must hold between workers and the models and cameras that they name.
pub fn check_all(
    workers: &Tables<'_, Worker>,
    models: &Tables<'_, Model>,
    cameras: &Tables<'_, Camera>,
) {
    for worker in workers.iter() {
        check_model(worker, models);
        check_cascade(worker, models);
    }
    check_cameras(workers, cameras);
}

fn check_model(worker: &Located<'_, Worker>, models: &Tables<'_, Model>) {
    let at = &worker.at;
    if models.is_empty() {
        return;
    }
    let Some(model) = models.refer(at, "model", &worker.model) else {
        return;
    };
    let (cores, threads) = (worker.cores.len(), model.threads);
    if at.sound(&["cores"]) && model.at.sound(&["threads"]) && cores != threads as usize {
        let expected = format!(
            "an array of {threads}: one core for each thread of model \"{}\"",
            model.name
        );
        at.fault("cores", format!("an array of {cores}"), expected);
    }
    if let Some(outer) = outer(models, &worker.model).map(quoted) {
        let found = format!(
            "{}, which looks into boxes of {outer}",
            quoted(&worker.model)
        );
        let expected = "a model without `within`, which sees the whole picture";
        let advice = format!("name {outer} here, and this one in `then`");
        at.fault_with("model", found, expected, Hint::Advice(advice));
    }
}

/// The model whose boxes this one processes.
fn outer<'m>(models: &'m Tables<'_, Model>, name: &str) -> Option<&'m str> {
    let model = models
        .find(name)
        .filter(|model| model.at.sound(&["within"]))?;
    model.within.as_ref().map(|within| within.model.as_str())
}

/// A worker's further models are others, each has the cores that it needs, and whoever looks into boxes comes behind
/// the model that finds them: so no model waits for itself, by whatever way round.
fn check_cascade(worker: &Located<'_, Worker>, models: &Tables<'_, Model>) {
    let at = &worker.at;
    if !at.sound(&["model", "then"]) || models.is_empty() {
        return;
    }
    for (index, name) in worker.cascade.iter().enumerate() {
        let found = quoted(name);
        if *name == worker.model {
            let expected =
                "other models than the worker's `model`, which has judged the frame by then";
            at.fault("then", found, expected);
            continue;
        }
        let Some(model) = models.refer(at, "then", name) else {
            continue;
        };
        let (cores, threads) = (worker.cores.len(), model.threads);
        if at.sound(&["cores"]) && model.at.sound(&["threads"]) && threads as usize > cores {
            let found = format!("{found}, whose `threads` are {threads}");
            let expected =
                format!("models of at most as many threads as the worker has cores, {cores}");
            at.fault("then", found, expected);
        }
        if let Some(outer) = outer(models, name)
            && !worker
                .models()
                .take(index + 1)
                .any(|before| before == outer)
        {
            let outer = quoted(outer);
            let found = format!("{found}, which looks into boxes of {outer}");
            at.fault(
                "then",
                found,
                format!("{outer} before it, as `model` or in `then`"),
            );
        }
    }
}

/// Workers name cameras that there are, and no camera is left to nobody.
fn check_cameras(workers: &Tables<'_, Worker>, cameras: &Tables<'_, Camera>) {
    // With a name that is faulty, a reference that finds nothing may be right.
    if !cameras.all_named() || cameras.is_empty() {
        return;
    }
    let mut all_known = !workers.is_empty() && workers.all_read();
    for worker in workers.iter() {
        // A faulty list is empty.
        all_known &= worker.at.sound(&["cameras"]);
        for name in worker
            .cameras
            .iter()
            .filter(|name| cameras.find(name).is_none())
        {
            all_known = false;
            cameras.unknown(
                &worker.at,
                "cameras",
                Some(name),
                "names of [[camera]] tables",
            );
        }
    }
    let idle = |camera: &&Located<'_, Camera>| {
        !workers.iter().any(|worker| worker.processes(&camera.name))
    };
    for camera in cameras.iter().filter(idle).filter(|_| all_known) {
        let found = format!("{}, whose frames no worker judges", quoted(&camera.name));
        let expected = "a camera that some [[worker]] judges";
        let advice = "name it in the `cameras` of a [[worker]], or leave that key out there: then it judges all";
        camera
            .at
            .fault_with("name", found, expected, Hint::Advice(advice.into()));
    }
}
