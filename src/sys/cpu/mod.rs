//! The processor: what it is called, its cores as sets, and the machine's topology.

pub mod core_set;
pub mod model_name;
pub mod topology;
