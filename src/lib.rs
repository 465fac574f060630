//! Pinsight turns a board with cameras into a watch post.
//!
//! A frame meets the modules in this order:
//!
//! ```text
//!              board profile ──────────────► appliance: arm, spawn, supervise, join, report
//!                                                │
//!  camera ─► capture ─► frame ─► ring ─► infer ─┬┴► (jpeg) ─►   preprocess ─► sys::tflite ─► postprocess ─► event
//!  (V4L2)    dequeue    header   newest  which  │   MJPEG       one pass      the model      boxes, NMS     │
//!                       + slot   wins    camera │               to tensor                                   ▼
//!              ▲                   │            └── ledger, latency: every frame ends                    record,
//!              └── free slots ◄────┘                in exactly one column                                 outputs
//! ```
//!
//! Dependencies point left, and a test holds them there:
//! `units limits columns shown <- sync <- frame ring ledger latency profile <- resources capture jpeg preprocess infer postprocess
//! event record <- sys <- appliance <- cli <- main`. Stages do not import each other, except for the
//! type that is handed over. `unsafe` stands in `sys`, in the frame core and the sources' slot memory, and in
//! the SIMD kernels; each block says why it holds.
//!
//! Under `cfg(loom)` only the frame core exists, so that its models build quickly.
#![warn(missing_docs)]

pub mod columns;
pub mod limits;
#[cfg(test)]
mod proptest_cases;
#[cfg(not(loom))]
pub mod shown;
pub mod sync;
pub mod units;

pub mod frame;
pub mod ring;

#[cfg(not(loom))]
pub mod latency;
#[cfg(not(loom))]
pub mod ledger;

#[cfg(not(loom))]
pub mod profile;
#[cfg(not(loom))]
pub mod resources;

#[cfg(not(loom))]
pub mod capture;

#[cfg(not(loom))]
pub mod health;

#[cfg(not(loom))]
pub mod infer;

#[cfg(not(loom))]
pub mod jpeg;

#[cfg(not(loom))]
pub mod preprocess;

#[cfg(not(loom))]
pub mod postprocess;

#[cfg(not(loom))]
pub mod event;

#[cfg(not(loom))]
pub mod record;

#[cfg(not(loom))]
pub mod sys;

#[cfg(not(loom))]
pub mod appliance;

#[cfg(not(loom))]
pub mod cli;
