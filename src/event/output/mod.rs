//! What an output does with events, without the operating system: when a switch is on, which bytes a line
//! gets, when a lost device is tried again.
//!
//! Each output belongs to a thread of its own, so that one which hangs holds up nobody. Time is a
//! parameter; the devices are the traits [`Outlet`] and [`Port`], which `sys` implements.

mod link;
mod next;
mod patience;
mod reopened;
mod sentence;
mod switch;
mod trail;

pub use link::{Link, LinkCounts, Port, Wire};
pub use next::{Next, may_come};
pub use patience::Patience;
pub use sentence::{SENTENCE_BYTES, Sentence, Words, sentence};
pub use switch::{Outlet, Relay, RelayCounts, Switch};
pub use trail::Trail;
