//! The files that a profile names.

use super::board::Board;
use super::camera::{Feed, Source};
use super::model::Delegate;
use super::output::Delivery;
use std::path::Path;

impl Board {
    /// Every file, folder and device that the profile names, with what names it, in words.
    #[must_use]
    pub fn files(&self) -> Vec<(String, &Path)> {
        let cameras = self.cameras.iter().filter_map(|camera| {
            let path = match &camera.source {
                Source::V4l2 { device: path }
                | Source::Image { path, .. }
                | Source::Stream {
                    feed: Feed::File(path),
                    ..
                } => path,
                Source::Pattern
                | Source::Stream {
                    feed: Feed::Stdin, ..
                } => return None,
            };
            Some((format!("camera {}", camera.name), path.as_path()))
        });
        let models = self
            .models
            .iter()
            .map(|model| (format!("model {}", model.name), model.path.as_path()));
        let plugins = self
            .models
            .iter()
            .filter_map(|model| match &model.delegate {
                Delegate::Plugin(plugin) => Some((
                    format!("the plugin of model {}", model.name),
                    plugin.path.as_path(),
                )),
                Delegate::Xnnpack | Delegate::None => None,
            });
        let outputs = self.outputs.iter().map(|output| {
            let (Delivery::Gpio { device, .. } | Delivery::Serial { device, .. }) =
                &output.delivery;
            (format!("output {}", output.name), device.as_path())
        });
        cameras
            .chain(models)
            .chain(plugins)
            .chain(outputs)
            .collect()
    }
}
