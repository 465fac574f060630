//! Ends that were not planned: a panic becomes one log line, and a process whose threads do not end can
//! still be left.
#![allow(unsafe_code)]

use nix::libc;
use std::any::Any;
use std::io::Write as _;
use std::panic::PanicHookInfo;

/// From now on a panic is one line of the log: thread, place and words. The standard library's own hook
/// writes several lines, without journald's priority.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|info| log::error!("{}", line(info))));
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    let words = panic_message(info.payload());
    match info.location() {
        Some(place) => format!("thread {name} died at {place}: {words}; please report it"),
        None => format!("thread {name} died: {words}; please report it"),
    }
}

/// What a panic said.
#[must_use]
pub fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}

/// Ends the process with this exit code, and runs nothing more of it: no destructors of libraries beside a
/// thread that is still inside them. What was printed is written out first.
pub fn exit_now(code: u8) -> ! {
    // Whoever read it may be gone.
    let _ = std::io::stdout().flush();
    // SAFETY: no requirement; the call does not come back.
    unsafe { libc::_exit(code.into()) }
}

#[cfg(test)]
mod tests {
    use super::panic_message;

    #[test]
    fn a_panic_s_words_are_found_whether_they_were_formatted_or_not() {
        let number = 7;
        let caught = |act: fn(u32)| std::panic::catch_unwind(move || act(number)).unwrap_err();
        assert_eq!(panic_message(&*caught(|_| panic!("plain"))), "plain");
        assert_eq!(
            panic_message(&*caught(|number| panic!("of {number}"))),
            "of 7"
        );
        let other = caught(|number| std::panic::panic_any(number));
        assert_eq!(panic_message(&*other), "without words");
    }
}
