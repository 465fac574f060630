//! What one worker is made of. Drawn up before its thread exists; the thread makes the worker of it.

use crate::appliance::prepare::jpeg::Buffers;
use crate::appliance::shared::common::Common;
use crate::appliance::shared::messages::queue_of;
use crate::appliance::shared::messages::{
    Note, NoteLog, NoteReceiver, ResultReceiver, ResultSender,
};
use crate::frame::StreamFormat;
use crate::infer::Allowance;
use crate::ledger::{Outcome, WorkerLedger};
use crate::profile;
use crate::record::FrameResult;
use crate::ring::{Doorbell, LaneTap, Lease};
use crate::sync::Arc;
use crate::sys::malloc_guard;

/// A worker that is to be made on its own thread.
pub(crate) struct Description {
    /// Its place in the profile.
    pub(crate) index: u16,
    pub(crate) worker: profile::Worker,
    /// Its models with their places in the profile: its own, then those of its cascade.
    pub(crate) models: Vec<(u16, profile::Model)>,
    /// By camera; none for one whose frames it does not infer.
    pub(crate) cameras: Vec<Option<CameraDescription>>,
    pub(crate) bell: Bell,
    /// Serves the library's calls to malloc after ready, where the profile asks for it.
    pub(crate) arena: Option<&'static malloc_guard::Arena>,
    /// Where it decodes compressed frames.
    pub(crate) buffers: Buffers,
    pub(crate) outbox: ResultOutbox,
    pub(crate) common: Common,
}

/// Where workers of the same cameras wait.
pub(crate) struct Bell {
    pub(crate) bell: Arc<Doorbell>,
    /// How many workers wait at it.
    pub(crate) workers: usize,
}

/// One camera for a worker that is to be made.
pub(crate) struct CameraDescription {
    pub(crate) name: String,
    pub(crate) view: profile::View,
    pub(crate) format: StreamFormat,
    pub(crate) input: CameraInput,
}

/// A camera's frames, and which of them are inferred.
pub(crate) struct CameraInput {
    pub(crate) tap: LaneTap,
    pub(crate) ledger: WorkerLedger,
    pub(crate) max_age_ns: u64,
    pub(crate) interval_ns: u64,
    pub(crate) priority: u8,
    pub(crate) allowance: Allowance,
}

impl CameraInput {
    /// Leases the newest frame. Those that it passes over are stale.
    pub(crate) fn claim(&self) -> Option<Lease<'_>> {
        let claimed = self
            .tap
            .claim_newest(|_| self.ledger.count(Outcome::Stale, 1));
        // This reader never keeps a lease across calls, so the lease it may have is free.
        claimed.ok().flatten()
    }

    /// Refuses the frames that wait in the ring, once the workers have ended: they have nowhere to go.
    pub(crate) fn refuse_the_rest(&self) {
        while let Ok(Some(lease)) = self.tap.claim_oldest() {
            lease.discard();
            self.ledger.count(Outcome::Refused, 1);
        }
    }
}

/// A worker's way to housekeeping. What finds no room is counted.
pub(crate) struct ResultOutbox {
    results: ResultSender,
    pub(crate) results_lost: u64,
    pub(crate) notes: NoteLog,
}

impl ResultOutbox {
    /// With room for so many results, and housekeeping's ends.
    pub(crate) fn new(results: usize) -> (Self, ResultReceiver, NoteReceiver) {
        let (sender, receiver) = queue_of(results);
        let (notes, note_receiver) = NoteLog::new();
        let outbox = Self {
            results: sender,
            results_lost: 0,
            notes,
        };
        (outbox, receiver, note_receiver)
    }

    /// Sends a result. Never waits.
    pub(crate) fn send(&mut self, result: &FrameResult) {
        let sent = self.results.enqueue(result.clone());
        self.results_lost += u64::from(sent.is_err());
    }

    /// Leaves a note. Never waits.
    pub(crate) fn note(&mut self, note: Note) {
        self.notes.note(note);
    }
}
