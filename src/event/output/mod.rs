//! What an output does with events, without the operating system: when a switch is on, which bytes a line
//! gets, when a lost device is tried again.
//!
//! Each output belongs to a thread of its own, so that one which hangs holds up nobody. Time is a
//! parameter; the devices are the traits [`SwitchPort`] and [`Port`], which `sys` implements.

mod drain_timeout;
mod link;
mod next;
mod reconnect;
mod sentence;
mod switch;
mod unsent_lines;

pub use drain_timeout::DrainTimeout;
pub use link::{Link, LinkCounts, Port, Wire};
pub use next::{Next, may_come};
pub use sentence::{Sentence, Words, sentence};
pub use switch::{GpioCounts, GpioDriver, Switch, SwitchPort};
pub use unsent_lines::UnsentLines;
