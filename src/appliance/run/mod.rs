//! A run with its threads: its end awaited, the threads joined, what they leave behind collected.

pub(crate) mod collect;
pub(crate) mod health;
pub(crate) mod health_words;
pub(crate) mod join;
pub(crate) mod shutdown;
pub(crate) mod wait;
