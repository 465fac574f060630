//! What must hold between the models that judge one frame after each other.

use super::events::Tables;
use super::workers::unresolved;
use crate::profile::ask::Places;
use crate::profile::fault::Hint;
use crate::profile::rules::{quoted, similar};
use crate::profile::sink::Sink;
use crate::profile::{Model, Worker};

fn find<'m>(models: Tables<'m, Model>, name: &str) -> Option<&'m (Model, Places)> {
    models
        .iter()
        .find(|(model, at)| at.sound(&["name"]) && model.name == name)
}

/// With a model whose name is faulty, a reference that finds nothing may be right.
fn all_named(models: Tables<'_, Model>) -> bool {
    models.iter().all(|(_, at)| at.sound(&["name"]))
}

/// The model that `within` names is another one, and finds boxes of the classes that are named.
pub(super) fn within(
    sink: &Sink<'_>,
    (model, places): (&Model, &Places),
    models: Tables<'_, Model>,
) {
    let Some(within) = model.within.as_ref().filter(|_| places.sound(&["within"])) else {
        return;
    };
    let fault = |key, found, expected: &str| {
        places.fault(sink, key, found, expected.into(), Hint::None);
    };
    let found = quoted(&within.model);
    if places.sound(&["name"]) && within.model == model.name {
        return fault("within", found, "another model, whose boxes it looks into");
    }
    let Some((outer, theirs)) = find(models, &within.model) else {
        if all_named(models) {
            unresolved(sink, ("within", &within.model), places, models);
        }
        return;
    };
    if theirs.sound(&["decoder"]) && !outer.decoder.has_boxes() {
        let found = format!(
            "{found}, whose decoder \"{}\" finds no boxes",
            outer.decoder.name()
        );
        return fault("within", found, "a model whose decoder finds boxes");
    }
    if !places.sound(&["within-classes"]) || !theirs.sound(&["labels"]) {
        return;
    }
    for class in within
        .classes
        .iter()
        .filter(|class| !outer.labels.contains(class))
    {
        let labels = outer.labels.iter().map(String::as_str);
        let hint = similar(class, labels).map_or(Hint::None, |label| Hint::Similar(label.into()));
        let expected = format!("one of the `labels` of model {}", quoted(&outer.name));
        places.fault(sink, "within-classes", quoted(class), expected, hint);
    }
}

/// A worker's further models are others, each has the cores that it needs, and whoever looks into boxes comes
/// behind the model that finds them: so no model waits for itself, by whatever way round.
pub(super) fn chain(
    sink: &Sink<'_>,
    (worker, places): (&Worker, &Places),
    models: Tables<'_, Model>,
) {
    let fault = |key, found, expected, advice: Option<String>| {
        let hint = advice.map_or(Hint::None, Hint::Advice);
        places.fault(sink, key, found, expected, hint);
    };
    let looks_into = |name: &str| {
        let (model, theirs) = find(models, name)?;
        theirs.sound(&["within"]).then_some(model.within.as_ref())?
    };
    if !places.sound(&["model"]) {
        return;
    }
    if let Some(within) = looks_into(&worker.model) {
        fault(
            "model",
            format!(
                "{}, which looks into boxes of {}",
                quoted(&worker.model),
                quoted(&within.model)
            ),
            "a model without `within`, which sees the whole picture".into(),
            Some(format!(
                "name {} here, and this one in `then`",
                quoted(&within.model)
            )),
        );
    }
    if !places.sound(&["then"]) {
        return;
    }
    for (index, name) in worker.then.iter().enumerate() {
        if *name == worker.model {
            let expected =
                "other models than the worker's `model`, which has judged the frame by then";
            fault("then", quoted(name), expected.into(), None);
            continue;
        }
        let Some((model, theirs)) = find(models, name) else {
            if all_named(models) && !models.is_empty() {
                unresolved(sink, ("then", name), places, models);
            }
            continue;
        };
        let cores = worker.cores.len();
        if places.sound(&["cores"]) && theirs.sound(&["threads"]) && model.threads as usize > cores
        {
            let found = format!("{}, whose `threads` are {}", quoted(name), model.threads);
            let expected =
                format!("models of at most as many threads as the worker has cores, {cores}");
            fault("then", found, expected, None);
        }
        if let Some(within) = looks_into(name)
            && !worker
                .models()
                .take(index + 1)
                .any(|before| before == within.model)
        {
            let found = format!(
                "{}, which looks into boxes of {}",
                quoted(name),
                quoted(&within.model)
            );
            let expected = format!(
                "{} before it, as `model` or in `then`",
                quoted(&within.model)
            );
            fault("then", found, expected, None);
        }
    }
}
