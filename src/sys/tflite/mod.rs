//! TensorFlow Lite behind [`Engine`](crate::infer::Engine): through tflitec, with XNNPACK, a delegate that is
//! loaded from a file, or the library's own kernels.
//!
//! Answers for: that the model is the one the profile names, that its tensors are what the rest of the
//! program can serve, that the delegate asked for really runs the graph, and that nothing here allocates
//! once it is built. Does not answer for: allocations of the library's own kernels (they are counted
//! elsewhere; [`Graph::is_wholly_delegated`] says whether any are left), or pinning (`sys::thread`): the
//! engine is built and run by one thread, which has its place before it builds, because threads that
//! XNNPACK starts inherit the mask of the one that builds it.

mod checksum;
mod engine;
mod ffi;
#[cfg(test)]
#[path = "../../../tests/flatbuffer/mod.rs"]
mod flatbuffer;
mod graph;
mod interpreter;
mod model;
mod operators;
mod outside;
mod owned;
mod plugin;
#[cfg(test)]
mod test_models;
#[cfg(test)]
mod tests;
mod trial;

pub use engine::{Settings, TfliteEngine, library_version};
pub use graph::{Graph, Step};
pub use model::{ModelError, ModelFault, ModelFile};
pub use plugin::PluginFault;
pub use trial::ModelMemory;
