//! What must hold between workers and the models and cameras that they name.

use super::events::Tables;
use super::{then, unique};
use crate::profile::ask::Places;
use crate::profile::fault::Hint;
use crate::profile::rules::{quoted, similar};
use crate::profile::sink::Sink;
use crate::profile::{Camera, Model, Worker};

pub(in crate::profile) fn workers(
    sink: &Sink<'_>,
    workers: Tables<'_, Worker>,
    models: Tables<'_, Model>,
    cameras: Tables<'_, Camera>,
) {
    unique(
        sink,
        workers
            .iter()
            .map(|(worker, places)| (worker.name.as_str(), places)),
    );
    // With a model whose name is faulty, a reference that finds nothing may be right.
    let all_named = models.iter().all(|(_, places)| places.sound(&["name"]));
    for (worker, places) in workers {
        let model = models
            .iter()
            .find(|(model, places)| places.sound(&["name"]) && model.name == worker.model);
        match model {
            _ if !places.sound(&["model"]) => {}
            None if all_named && !models.is_empty() => {
                unresolved(sink, ("model", &worker.model), places, models);
            }
            None => {}
            Some((model, theirs)) => {
                let cores = worker.cores.len();
                if places.sound(&["cores"])
                    && theirs.sound(&["threads"])
                    && cores != model.threads as usize
                {
                    let expected = format!(
                        "an array of {}: one core for each thread of model \"{}\"",
                        model.threads, model.name
                    );
                    places.fault(
                        sink,
                        "cores",
                        format!("an array of {cores}"),
                        expected,
                        Hint::None,
                    );
                }
            }
        }
    }
    for (worker, places) in workers {
        then::chain(sink, (worker, places), models);
    }
    judged(sink, workers, cameras);
}

/// Workers name cameras that there are, and no camera is left to nobody.
fn judged(sink: &Sink<'_>, workers: Tables<'_, Worker>, cameras: Tables<'_, Camera>) {
    // With a name that is faulty, a reference that finds nothing may be right.
    if !cameras.iter().all(|(_, at)| at.sound(&["name"])) || cameras.is_empty() {
        return;
    }
    let names = || cameras.iter().map(|(camera, _)| camera.name.as_str());
    let mut all_known = !workers.is_empty();
    for (worker, places) in workers {
        if !places.sound(&["cameras"]) {
            all_known = false;
            continue;
        }
        for wanted in &worker.cameras {
            if names().any(|name| name == wanted) {
                continue;
            }
            all_known = false;
            let hint =
                similar(wanted, names()).map_or(Hint::None, |name| Hint::Similar(name.into()));
            let known: Vec<String> = names().map(quoted).collect();
            let expected = format!("names of [[camera]] tables: {}", known.join(", "));
            places.fault(sink, "cameras", quoted(wanted), expected, hint);
        }
    }
    if !all_known {
        return;
    }
    for (camera, places) in cameras {
        if !workers
            .iter()
            .any(|(worker, _)| worker.judges(&camera.name))
        {
            let found = format!("{}, whose frames no worker judges", quoted(&camera.name));
            let advice = "name it in the `cameras` of a [[worker]], or leave that key out there: then it judges all";
            places.fault(
                sink,
                "name",
                found,
                "a camera that some [[worker]] judges".into(),
                Hint::Advice(advice.into()),
            );
        }
    }
}

/// A key of a worker or a model names a model that there is not.
pub(super) fn unresolved(
    sink: &Sink<'_>,
    (key, name): (&str, &str),
    places: &Places,
    models: Tables<'_, Model>,
) {
    let names = || models.iter().map(|(model, _)| model.name.as_str());
    let hint = match similar(name, names()) {
        Some(name) => Hint::Similar(name.into()),
        None => Hint::None,
    };
    let known: Vec<String> = names().map(quoted).collect();
    let expected = format!("the name of a [[model]]: {}", known.join(", "));
    places.fault(sink, key, quoted(name), expected, hint);
}
