//! Of webcams as most are.

#[path = "plain/failing.rs"]
mod failing;
#[path = "plain/frames.rs"]
mod frames;
#[path = "plain/naming.rs"]
mod naming;
