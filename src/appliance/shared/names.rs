//! What the board calls its parts: one table for the log, the proof, the recording, the lines of files and the outputs.

use crate::event::Event;
use crate::event::output::Words;
use crate::profile::{Board, RuleKind};

/// Names by place in the profile. What has no name is a question mark.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) cameras: Vec<String>,
    pub(crate) workers: Vec<String>,
    pub(crate) models: Vec<String>,
    /// Labels of each model.
    pub(crate) labels: Vec<Vec<String>>,
    /// Models of each worker: its own, then those of its cascade.
    pub(crate) cascades: Vec<Vec<usize>>,
    pub(crate) rules: Vec<RuleNames>,
}

/// A rule's name, and what it looks at.
#[derive(Clone, Debug)]
pub(crate) struct RuleNames {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    /// Its zone or line.
    pub(crate) place: Option<String>,
}

impl Names {
    /// Those of a board.
    pub(crate) fn of(board: &Board) -> Self {
        let models_of = |worker| board.models_of(worker).map(|(model, _)| model).collect();
        let rules = board.rules.iter().map(|rule| RuleNames {
            name: rule.name.clone(),
            kind: rule.kind.name(),
            place: match &rule.kind {
                RuleKind::Cross { line, .. } => Some(line.clone()),
                kind => kind.zone().map(str::to_owned),
            },
        });
        Self {
            cameras: board.cameras.iter().map(|c| c.name.clone()).collect(),
            workers: board.workers.iter().map(|w| w.name.clone()).collect(),
            models: board.models.iter().map(|m| m.name.clone()).collect(),
            labels: board.models.iter().map(|m| m.labels.clone()).collect(),
            cascades: board.workers.iter().map(models_of).collect(),
            rules: rules.collect(),
        }
    }

    pub(crate) fn camera(&self, index: u16) -> &str {
        named(&self.cameras, usize::from(index))
    }

    pub(crate) fn worker(&self, index: u16) -> &str {
        named(&self.workers, usize::from(index))
    }

    pub(crate) fn model(&self, index: u16) -> &str {
        named(&self.models, usize::from(index))
    }

    /// The model that is the `step`-th of a worker's.
    pub(crate) fn model_at(&self, worker: u16, step: u16) -> &str {
        let models = self.cascades.get(usize::from(worker));
        let model = models.and_then(|models| models.get(usize::from(step)));
        model.map_or("?", |model| named(&self.models, *model))
    }

    /// All labels of a model.
    pub(crate) fn labels(&self, model: u16) -> &[String] {
        let labels = self.labels.get(usize::from(model));
        labels.map_or(&[], Vec::as_slice)
    }

    /// A model's label of a class.
    pub(crate) fn label(&self, model: u16, class: u16) -> &str {
        named(self.labels(model), usize::from(class))
    }

    pub(crate) fn rule(&self, index: u16) -> Option<&RuleNames> {
        self.rules.get(usize::from(index))
    }

    /// What an event's numbers stand for.
    pub(crate) fn words(&self, event: &Event) -> Words<'_> {
        let rule = self.rule(event.rule);
        Words {
            rule: rule.map_or("?", |rule| &rule.name),
            kind: rule.map_or("?", |rule| rule.kind),
            camera: self.camera(event.camera),
            label: self.label(event.model, event.class),
        }
    }
}

fn named(names: &[String], index: usize) -> &str {
    names.get(index).map_or("?", String::as_str)
}
