//! The designs that ours is compared with.

use super::ends::{Captured, Sink, Source, expose};
use crossbeam_queue::ArrayQueue;
use pinsight::sys::clock::now_ns;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::Thread;
use std::time::Duration;

/// A frame in memory of its own.
#[derive(Debug)]
struct Frame {
    due_ns: u64,
    payload: Vec<u8>,
}

/// One bounded channel that all cameras share; capacity 0 is the rendezvous. A camera allocates each
/// frame anew, and blocks while the channel is full.
pub(crate) fn channel(
    capacity: usize,
    cameras: usize,
    frame_bytes: usize,
) -> (Vec<ChannelSource>, ChannelSink) {
    let (sender, frames) = sync_channel(capacity);
    let source = |camera| ChannelSource {
        camera,
        frame_bytes,
        sender: sender.clone(),
    };
    ((0..cameras).map(source).collect(), ChannelSink { frames })
}

pub(crate) struct ChannelSource {
    camera: usize,
    frame_bytes: usize,
    sender: SyncSender<(usize, Frame)>,
}

impl Source for ChannelSource {
    fn capture(&mut self, due_ns: u64) -> Captured {
        let mut payload = vec![0; self.frame_bytes];
        expose(&mut payload, due_ns);
        match self.sender.send((self.camera, Frame { due_ns, payload })) {
            Ok(()) => Captured::Sent,
            Err(_) => Captured::NobodyThere,
        }
    }
}

pub(crate) struct ChannelSink {
    frames: Receiver<(usize, Frame)>,
}

impl Sink for ChannelSink {
    fn next(&mut self, until_ns: u64, process: &mut dyn FnMut(usize, u64, &[u8])) -> bool {
        let time_out = Duration::from_nanos(until_ns.saturating_sub(now_ns()));
        match self.frames.recv_timeout(time_out) {
            Ok((camera, frame)) => {
                process(camera, frame.due_ns, &frame.payload);
                true
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }
}

/// What one camera shares with the consumer in the [`array_queue`] design.
#[derive(Debug)]
struct Mailbox {
    newest: ArrayQueue<Frame>,
    free: ArrayQueue<Frame>,
}

/// A drop-oldest queue of depth 1 for each camera, made of crossbeam's queues; frames are allocated once
/// and go round; the consumer serves the cameras in turn and parks when no frame is there.
pub(crate) fn array_queue(cameras: usize, frame_bytes: usize) -> (Vec<ArraySource>, ArraySink) {
    let consumer = Arc::new(std::sync::OnceLock::new());
    let mailboxes: Vec<_> = (0..cameras)
        .map(|_| {
            // One waits, one is being written, one is being processed.
            let free = ArrayQueue::new(3);
            while free
                .push(Frame {
                    due_ns: 0,
                    payload: vec![0; frame_bytes],
                })
                .is_ok()
            {}
            Arc::new(Mailbox {
                newest: ArrayQueue::new(1),
                free,
            })
        })
        .collect();
    let source = |mailbox: &Arc<Mailbox>| ArraySource {
        mailbox: Arc::clone(mailbox),
        consumer: Arc::clone(&consumer),
    };
    let sources = mailboxes.iter().map(source).collect();
    (
        sources,
        ArraySink {
            mailboxes,
            consumer,
            turn: 0,
        },
    )
}

pub(crate) struct ArraySource {
    mailbox: Arc<Mailbox>,
    consumer: Arc<std::sync::OnceLock<Thread>>,
}

impl Source for ArraySource {
    fn capture(&mut self, due_ns: u64) -> Captured {
        let Some(mut frame) = self.mailbox.free.pop() else {
            return Captured::Evicted;
        };
        frame.due_ns = due_ns;
        expose(&mut frame.payload, due_ns);
        let pushed_out = self.mailbox.newest.force_push(frame);
        let captured = match pushed_out {
            Some(older) => {
                let _ = self.mailbox.free.push(older);
                Captured::Evicted
            }
            None => Captured::Sent,
        };
        if let Some(consumer) = self.consumer.get() {
            consumer.unpark();
        }
        captured
    }
}

pub(crate) struct ArraySink {
    mailboxes: Vec<Arc<Mailbox>>,
    consumer: Arc<std::sync::OnceLock<Thread>>,
    turn: usize,
}

impl Sink for ArraySink {
    fn next(&mut self, until_ns: u64, process: &mut dyn FnMut(usize, u64, &[u8])) -> bool {
        self.consumer.get_or_init(std::thread::current);
        loop {
            for step in 0..self.mailboxes.len() {
                let camera = (self.turn + step) % self.mailboxes.len();
                if let Some(frame) = self.mailboxes[camera].newest.pop() {
                    self.turn = camera + 1;
                    process(camera, frame.due_ns, &frame.payload);
                    let _ = self.mailboxes[camera].free.push(frame);
                    return true;
                }
            }
            let now_ns = now_ns();
            if now_ns >= until_ns {
                return false;
            }
            std::thread::park_timeout(Duration::from_nanos(until_ns - now_ns));
        }
    }
}
