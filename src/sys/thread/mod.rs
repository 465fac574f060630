//! Threads with a place: pinned by themselves, verified, at their priority, with their stack present.
//!
//! Answers for: that what a thread was asked to be is what the kernel says it is, or that the
//! difference is reported. Does not answer for: what the thread does.
#![allow(unsafe_code)]
// An error here ends the start of the program, and carries two sets of 1024 cores.
#![allow(clippy::result_large_err)]

mod core_use;
mod counters;
#[cfg(test)]
mod tests;
mod usage;

pub use core_use::{CoreSample, CoreUse, CoreUser};
pub use counters::{RunQueue, counters};
pub use usage::{MigrationSource, ThreadUsage, UsageProbe};

use crate::sys::cpu::core_set::CoreSet;
use crate::sys::memory;
use crate::sys::service::signal::hold_stop_signals;
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{Pid, gettid};
use std::convert::Infallible;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes of a thread's name that the kernel keeps (TASK_COMM_LEN less the end).
pub const KERNEL_NAME_BYTES: usize = 15;

/// How the kernel shares a core out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// SCHED_OTHER: time-shared.
    Other,
    /// SCHED_FIFO at this priority, 1..=99: runs until it waits.
    Fifo(u32),
}

impl Policy {
    /// The policy as POSIX names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Other => "SCHED_OTHER",
            Self::Fifo(_) => "SCHED_FIFO",
        }
    }

    /// The priority; 0 for SCHED_OTHER.
    #[must_use]
    pub const fn priority(self) -> u32 {
        match self {
            Self::Other => 0,
            Self::Fifo(priority) => priority,
        }
    }
}

/// What becomes of threads that a FIFO thread starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Children {
    /// They get its policy too: for a worker whose interpreter starts helpers that its inference waits
    /// for. Helpers at a lower policy than the thread that spins for them may never run.
    Inherit,
    /// They start as SCHED_OTHER (SCHED_RESET_ON_FORK), so that nothing real-time comes into being
    /// unplanned.
    Reset,
}

/// A thread that is to be.
#[derive(Clone, Debug)]
pub struct ThreadSpec {
    /// Its name; the kernel keeps the first 15 bytes.
    pub name: String,
    /// The cores that it may run on; not empty.
    pub cores: CoreSet,
    /// Its scheduling.
    pub policy: Policy,
    /// Threads that it starts itself.
    pub children: Children,
    /// Refuse to start where the policy is not allowed; else go on as SCHED_OTHER and say so.
    pub policy_required: bool,
    /// Bytes of its stack; all of it is made present.
    pub stack_bytes: usize,
}

/// A thread as the kernel says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadPlaced {
    /// Its name.
    pub name: String,
    /// The kernel's number of it.
    pub tid: i32,
    /// The core that it ran on when it had been placed.
    pub core: usize,
    /// Cores of the mask that was read back.
    pub cores: CoreSet,
    /// The policy that was read back.
    pub policy: Policy,
    /// The mask that was read back is the one that was asked for.
    pub mask_verified: bool,
    /// Bytes of stack that were made present.
    pub stack_present_bytes: usize,
    /// Why the policy is not the one that was asked for.
    pub policy_denied: Option<PolicyDenied>,
}

impl ThreadPlaced {
    /// The real-time priority that was read back; 0 for SCHED_OTHER.
    #[must_use]
    pub const fn priority(&self) -> u32 {
        self.policy.priority()
    }
}

/// The kernel did not allow a real-time policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyDenied {
    /// Priority that was asked for.
    pub wanted: u32,
    /// Highest priority that RLIMIT_RTPRIO allows.
    pub limit: u64,
    /// What sched_setscheduler said.
    pub errno: Errno,
}

impl std::fmt::Display for PolicyDenied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            wanted,
            limit,
            errno,
        } = self;
        write!(f, "SCHED_FIFO priority {wanted} was not given: {errno}; ")?;
        if *errno != Errno::EPERM {
            return write!(f, "priorities are 1..=99");
        }
        if *limit >= u64::from(*wanted) {
            return write!(
                f,
                "RLIMIT_RTPRIO is {limit}, so the thread's control group has no real-time share \
                 (cpu.rt_runtime_us)"
            );
        }
        write!(
            f,
            "RLIMIT_RTPRIO: found {limit}, needed {wanted}; set LimitRTPRIO={wanted} in the service, \
             `rtprio` in limits.conf, or give CAP_SYS_NICE"
        )
    }
}

/// A thread could not be placed.
#[derive(Debug, thiserror::Error)]
pub enum ThreadError {
    /// The kernel did not start it.
    #[error("thread cannot be started: {error}{}", thread_limit(.0), error = .0)]
    Spawn(std::io::Error),
    /// It may not run on these cores: they do not exist, are offline, or belong to another cpuset.
    #[error("thread cannot run on core {cores}: {errno}; allowed cores: {allowed}")]
    Pin {
        /// Asked for.
        cores: CoreSet,
        /// Cores that this process may use.
        allowed: CoreSet,
        /// What the kernel said.
        errno: Errno,
    },
    /// It was pinned, and the kernel shows another mask.
    #[error("thread was pinned to core {wanted}, the kernel shows {found}")]
    MaskDiffers {
        /// Asked for.
        wanted: CoreSet,
        /// Read back.
        found: CoreSet,
    },
    /// Its policy is required and was not given.
    #[error("{0}")]
    Policy(PolicyDenied),
    /// A read-back failed.
    #[error("{operation} failed: {errno}")]
    ReadBack {
        /// The call.
        operation: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// The stack cannot be made present.
    #[error("stack of {bytes} bytes cannot be made present: {errno}")]
    Stack {
        /// Its size.
        bytes: usize,
        /// What the kernel said.
        errno: Errno,
    },
    /// It ended before it had been placed.
    #[error("thread ended before it had been placed")]
    Died,
}

/// What to raise where the kernel allows no thread more.
fn thread_limit(error: &std::io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => {
            "; raise TasksMax of the service (LimitNPROC, or nproc in limits.conf)"
        }
        _ => "",
    }
}

/// A running thread that has been placed.
#[derive(Debug)]
pub struct Spawned<T> {
    /// What the kernel says of it.
    pub placed: ThreadPlaced,
    handle: JoinHandle<Option<T>>,
    /// Nothing is ever sent: it closes when the thread's function has ended, by a panic too.
    ended: mpsc::Receiver<Infallible>,
}

impl<T> Spawned<T> {
    /// Waits for its end.
    ///
    /// # Errors
    /// The thread panicked; with what.
    pub fn join(self) -> std::thread::Result<T> {
        match self.handle.join()? {
            Some(value) => Ok(value),
            None => unreachable!("a thread that was placed has run its function"),
        }
    }

    /// It has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits at most `timeout_ns` for its end; false when it has not ended by then. After `true`,
    /// [`Self::join`] does not wait.
    #[must_use]
    pub fn ends_within(&self, timeout_ns: u64) -> bool {
        let waited = self.ended.recv_timeout(Duration::from_nanos(timeout_ns));
        !matches!(waited, Err(RecvTimeoutError::Timeout))
    }
}

/// Starts a thread that places itself, and waits until it has. `f` runs when the placement is as
/// `spec` says, on the thread, with what was read back.
///
/// # Errors
/// What could not be had; `f` has then not run.
pub fn spawn<T, F>(spec: ThreadSpec, f: F) -> Result<Spawned<T>, ThreadError>
where
    T: Send + 'static,
    F: FnOnce(&ThreadPlaced) -> T + Send + 'static,
{
    let (report, handshake) = mpsc::sync_channel(1);
    let (alive, ended) = mpsc::channel::<Infallible>();
    // The thread inherits the mask, and so do those that it starts: what asks the program to stop is the main thread's.
    let mask = hold_stop_signals();
    let handle = std::thread::Builder::new()
        .name(kernel_name(&spec.name).to_owned())
        .stack_size(spec.stack_bytes)
        .spawn(move || {
            let _alive = alive;
            // First of all: what follows, the stack's pages included, then happens on its cores.
            let placed = place(&spec);
            let mine = placed.as_ref().ok().cloned();
            // The spawner waits for this, so the channel is open.
            let _ = report.send(placed);
            drop(report);
            mine.map(|placed| f(&placed))
        });
    drop(mask);
    let handle = handle.map_err(ThreadError::Spawn)?;
    match handshake.recv() {
        Ok(Ok(placed)) => {
            // Until its end is dropped there: what it gives back of the handshake is nothing of `f`'s.
            let _ = handshake.recv();
            Ok(Spawned {
                placed,
                handle,
                ended,
            })
        }
        Ok(Err(error)) => {
            let _ = handle.join();
            Err(error)
        }
        Err(_) => Err(ThreadError::Died),
    }
}

/// Places the calling thread as `spec` says; its name and the size of its stack are left as they are.
///
/// # Errors
/// What could not be had.
pub fn place(spec: &ThreadSpec) -> Result<ThreadPlaced, ThreadError> {
    pin(&spec.cores)?;
    let cores = current_cores()?;
    if cores != spec.cores {
        return Err(ThreadError::MaskDiffers {
            wanted: spec.cores,
            found: cores,
        });
    }
    let policy_denied = match set_policy(spec.policy, spec.children) {
        Ok(()) => None,
        Err(denied) if spec.policy_required => return Err(ThreadError::Policy(denied)),
        Err(denied) => Some(denied),
    };
    let stack_present_bytes = make_stack_present().map_err(|errno| ThreadError::Stack {
        bytes: spec.stack_bytes,
        errno,
    })?;
    Ok(ThreadPlaced {
        name: spec.name.clone(),
        tid: gettid().as_raw(),
        core: current_core()?,
        cores,
        policy: current_policy()?,
        mask_verified: true,
        stack_present_bytes,
        policy_denied,
    })
}

/// Cores that the calling thread may run on.
///
/// # Errors
/// The kernel's refusal to tell.
pub fn current_cores() -> Result<CoreSet, ThreadError> {
    let set = sched_getaffinity(Pid::from_raw(0)).map_err(|errno| ThreadError::ReadBack {
        operation: "sched_getaffinity",
        errno,
    })?;
    Ok(CoreSet::from(&set))
}

fn current_core() -> Result<usize, ThreadError> {
    sched_getcpu().map_err(|errno| ThreadError::ReadBack {
        operation: "sched_getcpu",
        errno,
    })
}

fn pin(cores: &CoreSet) -> Result<(), ThreadError> {
    let result = match (cores.len(), cores.first()) {
        // The crate only says whether it worked; the call's errno is still there.
        (1, Some(id)) => match core_affinity::set_for_current(core_affinity::CoreId { id }) {
            true => Ok(()),
            false => Err(Errno::last()),
        },
        (0, _) => Err(Errno::EINVAL),
        _ => sched_setaffinity(Pid::from_raw(0), &CpuSet::from(cores)),
    };
    result.map_err(|errno| ThreadError::Pin {
        cores: *cores,
        allowed: current_cores().unwrap_or_default(),
        errno,
    })
}

fn set_policy(policy: Policy, children: Children) -> Result<(), PolicyDenied> {
    let priority = policy.priority();
    let number = match (policy, children) {
        (Policy::Other, _) => libc::SCHED_OTHER,
        (Policy::Fifo(_), Children::Inherit) => libc::SCHED_FIFO,
        (Policy::Fifo(_), Children::Reset) => libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK,
    };
    let denied = |errno| PolicyDenied {
        wanted: priority,
        limit: getrlimit(Resource::RLIMIT_RTPRIO).map_or(0, |(soft, _)| soft),
        errno,
    };
    let sched_priority = i32::try_from(priority).map_err(|_| denied(Errno::EINVAL))?;
    let param = libc::sched_param { sched_priority };
    // The system call itself: the C library's function means the process, and musl's does nothing.
    // SAFETY: 0 is the calling thread; the kernel reads one sched_param, which is live.
    let result =
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, number, &raw const param) };
    Errno::result(result).map(drop).map_err(denied)
}

fn current_policy() -> Result<Policy, ThreadError> {
    let failed = |operation| move |errno| ThreadError::ReadBack { operation, errno };
    // SAFETY: 0 is the calling thread; nothing is written.
    let number = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
    let number = Errno::result(number).map_err(failed("sched_getscheduler"))?;
    let mut param = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread; the kernel writes one sched_param, which is live.
    let result = unsafe { libc::syscall(libc::SYS_sched_getparam, 0, &raw mut param) };
    Errno::result(result).map_err(failed("sched_getparam"))?;
    if number & !libc::c_long::from(libc::SCHED_RESET_ON_FORK)
        == libc::c_long::from(libc::SCHED_FIFO)
    {
        Ok(Policy::Fifo(param.sched_priority.unsigned_abs()))
    } else {
        Ok(Policy::Other)
    }
}

/// Makes the calling thread's whole stack present, down to its guard; gives its size.
fn make_stack_present() -> Result<usize, Errno> {
    // SAFETY: all-zero bytes are a value of this plain C structure.
    let mut attributes: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
    // SAFETY: no requirement.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: the call initialises the attributes, which are live, from a thread that exists.
    let failed = unsafe { libc::pthread_getattr_np(this, &raw mut attributes) };
    if failed != 0 {
        return Err(Errno::from_raw(failed));
    }
    let (mut low, mut bytes): (*mut c_void, usize) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes were initialised above; both results are live.
    let failed =
        unsafe { libc::pthread_attr_getstack(&raw const attributes, &raw mut low, &raw mut bytes) };
    // SAFETY: initialised above, and not used afterwards.
    unsafe { libc::pthread_attr_destroy(&raw mut attributes) };
    let page = usize::try_from(memory::machine_page_bytes()).unwrap_or(4096);
    let low = NonNull::new(low)
        .filter(|_| failed == 0)
        .ok_or(Errno::EINVAL)?;
    // Whole pages only, and contents stay: populating writes to no byte.
    let start = low.map_addr(|address| {
        address.saturating_add(address.get().next_multiple_of(page) - address.get())
    });
    let len = (bytes - (start.addr().get() - low.addr().get())) / page * page;
    match memory::populate(start, len) {
        Ok(()) => Ok(len),
        // Kernels before 5.14.
        Err(Errno::EINVAL) => {
            touch_stack(start.addr().get());
            Ok(len)
        }
        Err(errno) => Err(errno),
    }
}

/// Touches the stack page by page, downwards by calling itself, to a margin above `low`.
#[inline(never)]
fn touch_stack(low: usize) {
    const STEP: usize = 2 << 10;
    const MARGIN: usize = 16 << 10;
    let mut frame = [0_u8; STEP];
    // Before and after the call, so that the frame is neither left out nor given up early.
    let here = std::hint::black_box(&mut frame).as_mut_ptr().addr();
    if here > low + MARGIN {
        touch_stack(low);
    }
    std::hint::black_box(&mut frame);
}

/// `name`, cut to what the kernel keeps, at a character's end and before any NUL.
fn kernel_name(name: &str) -> &str {
    let name = name.split('\0').next().unwrap_or_default();
    let mut end = name.len().min(KERNEL_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}
