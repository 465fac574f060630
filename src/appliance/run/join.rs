//! The end of the threads: each is waited for, none for ever, and one that died or does not end costs
//! nobody else's account.

use crate::appliance::exit::{Exit, Failure};
use crate::sys::clock::now_ns;
use crate::sys::service::termination::panic_message;
use crate::sys::thread::{Spawned, ThreadPlaced};
use crate::units::NS_PER_S;

/// Who has ended, and who has not.
pub(crate) struct Join {
    /// A thread that leaves no account has died.
    expects_accounts: bool,
    deadline_ns: u64,
    allowed_ns: u64,
    /// Every thread that was waited for.
    joined: Vec<ThreadPlaced>,
    /// Threads that died, with their last words.
    died: Vec<String>,
    /// Threads that did not end.
    stuck: Vec<String>,
}

impl Join {
    /// Nobody was waited for.
    pub(crate) const fn new(expects_accounts: bool) -> Self {
        Self {
            expects_accounts,
            deadline_ns: 0,
            allowed_ns: 0,
            joined: Vec::new(),
            died: Vec::new(),
            stuck: Vec::new(),
        }
    }

    /// The threads that come next together get so much time from `now_ns` on.
    pub(crate) const fn allow(&mut self, now_ns: u64, allowed_ns: u64) {
        self.deadline_ns = now_ns.saturating_add(allowed_ns);
        self.allowed_ns = allowed_ns;
    }

    /// Waits for a thread's end and gives its account; `None` when it died, or does not end.
    pub(crate) fn account_of<T>(&mut self, thread: Spawned<Option<T>>) -> Option<T> {
        let name = thread.placed.name.clone();
        let account = self.end_of(thread)?;
        if account.is_none() && self.expects_accounts {
            self.died.push(name);
        }
        account
    }

    /// The same for a thread that gives no account, or one in any case.
    pub(crate) fn end_of<T>(&mut self, thread: Spawned<T>) -> Option<T> {
        let name = thread.placed.name.clone();
        self.joined.push(thread.placed.clone());
        if !thread.ends_within(self.deadline_ns.saturating_sub(now_ns())) {
            self.stuck.push(name);
            return None;
        }
        match thread.join() {
            Ok(end) => Some(end),
            Err(panic) => {
                self.died
                    .push(format!("{name} ({})", panic_message(&*panic)));
                None
            }
        }
    }

    /// Every thread that was waited for, whether it has ended or not.
    pub(crate) fn joined(&self) -> &[ThreadPlaced] {
        &self.joined
    }

    /// Some thread still runs: what it may touch has to stay.
    pub(crate) fn is_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }

    /// What went wrong; `None` when every thread ended well.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let mut faults = Vec::new();
        if !self.died.is_empty() {
            faults.push(format!(
                "thread {} died; please report it",
                self.died.join(", ")
            ));
        }
        if self.is_stuck() {
            faults.push(format!(
                "thread {} did not end within {} s of the stop: a driver, a model or a disk holds it up",
                self.stuck.join(", "),
                self.allowed_ns / NS_PER_S
            ));
        }
        (!faults.is_empty()).then(|| Failure::new(Exit::Internal, faults.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::Join;
    use crate::appliance::Exit;
    use crate::sys::clock::now_ns;
    use crate::sys::cpu::core_set::CoreSet;
    use crate::sys::thread::{Children, Policy, Spawned, ThreadSpec, current_cores, spawn};
    use std::sync::mpsc;

    const NS: u64 = crate::units::NS_PER_S;

    fn thread(
        name: &str,
        body: impl FnOnce() -> Option<u8> + Send + 'static,
    ) -> Spawned<Option<u8>> {
        let spec = ThreadSpec {
            name: name.into(),
            cores: CoreSet::single(current_cores().unwrap().first().unwrap()),
            policy: Policy::Other,
            children: Children::Reset,
            policy_required: false,
            stack_bytes: 256 << 10,
        };
        spawn(spec, move |_| body()).unwrap()
    }

    #[test]
    fn one_that_dies_or_hangs_costs_nobody_else_s_account() {
        let (_never, hangs) = mpsc::channel::<()>();
        let stuck = thread("stuck", move || hangs.recv().ok().map(|()| 0));
        let dies = thread("dies", || panic!("of its own"));
        let late = thread("late", || Some(7));
        // The deadline has passed already: whoever has ended has, and the others are not waited for.
        let mut join = Join::new(true);
        join.allow(now_ns().saturating_sub(NS), NS);
        while !dies.is_finished() || !late.is_finished() {
            std::thread::yield_now();
        }
        assert_eq!(join.account_of(stuck), None);
        assert_eq!(join.account_of(dies), None);
        assert_eq!(join.account_of(late), Some(7));
        assert!(join.is_stuck());
        let failure = join.failure().unwrap();
        assert_eq!(failure.exit, Exit::Internal);
        let message = failure.message;
        assert!(
            message.contains("thread dies (of its own) died"),
            "{message}"
        );
        assert!(message.contains("thread stuck did not end"), "{message}");
    }

    #[test]
    fn threads_that_end_well_are_no_failure() {
        let mut join = Join::new(true);
        join.allow(now_ns(), 60 * NS);
        assert_eq!(join.account_of(thread("well", || Some(1))), Some(1));
        assert!(join.failure().is_none() && !join.is_stuck());
    }
}
