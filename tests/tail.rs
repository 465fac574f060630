//! Slow results are told with their reason: a whole run whose core is taken away again and again.

mod running;

use running::{Running, recorded};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Threads that want one core all of the time.
struct Hogs {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Hogs {
    fn on(core: core_affinity::CoreId, count: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let hog = || {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                assert!(core_affinity::set_for_current(core));
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..count).map(|_| hog()).collect();
        Self { over, threads }
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The demo for some hundred results, without real-time priorities and with a fast camera.
fn run(dir: &Path) -> Value {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(repository.join("boards/demo.toml")).unwrap();
    let text = text
        .replace("../.cache", &repository.join(".cache").to_string_lossy())
        .replace("fifo-priority = 60", "fifo-priority = 0")
        .replace("fifo-priority = 50", "fifo-priority = 0")
        .replace("rate-hz = 30", "rate-hz = 120")
        .replace("max-age-ms = 100", "max-age-ms = 60000");
    let (board, proof) = (dir.join("board.toml"), dir.join("proof.json"));
    std::fs::write(&board, text).unwrap();
    let recording = dir.join("record");
    // An earlier attempt's would be continued.
    let _ = std::fs::remove_file(&recording);
    let mut run = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--board"])
            .args([board.as_os_str(), "--proof".as_ref(), proof.as_os_str()])
            .args(["--record".as_ref(), recording.as_os_str()]),
    );
    // The first ones show what is usual.
    run.until("200 results", |_| recorded(&recording).len() >= 200);
    let output = run.stop();
    assert!(output.status.success(), "{output:?}");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&std::fs::read(proof).unwrap()).unwrap()
}

/// The slowest results whose slow stage the worker spent in line for its core, for the most part. Where the kernel
/// does not say, each may be one.
fn stood_in_line(proof: &Value) -> Vec<&Value> {
    let of_worker = |slow: &&Value| slow["stage"] != "capture_to_dequeue";
    let in_line = |slow: &&Value| {
        let in_line_ns = slow["queued_ns"].as_u64().unwrap_or(u64::MAX / 2);
        2 * in_line_ns > slow["stage_ns"].as_u64().unwrap()
    };
    let tail = proof["tail"].as_array().unwrap().iter();
    tail.filter(of_worker).filter(in_line).collect()
}

fn count(causes: &Value, cause: &str) -> u64 {
    causes[cause]
        .as_u64()
        .unwrap_or_else(|| panic!("{cause}: {causes}"))
}

#[test]
fn a_core_that_is_taken_away_is_what_slow_results_are_blamed_on() {
    // Where the demo's worker runs, on a machine with one core as well.
    let cores = core_affinity::get_core_ids().expect("this machine tells its cores");
    let core = *cores.get(1).unwrap_or(&cores[0]);
    let dir = tempfile::tempdir().unwrap();
    let hogs = Hogs::on(core, 2);
    // On a machine that is busy elsewhere too, the capture thread has its troubles, and the slowest results may all be
    // slow by these: it then has further attempts.
    let proof = (0..10)
        .map(|_| run(dir.path()))
        .find(|proof| stood_in_line(proof).len() >= 3)
        .expect("results that were slow because the worker stood in line for its core");
    drop(hogs);

    let tail = proof["tail"].as_array().unwrap();
    assert!(!tail.is_empty() && tail.len() <= 16);
    let mut last_ns = u64::MAX;
    for slow in tail {
        let total_ns = slow["total_ns"].as_u64().unwrap();
        assert!(total_ns <= last_ns, "the slowest comes first");
        last_ns = total_ns;
        assert!(!slow["causes"].as_array().unwrap().is_empty(), "{slow}");
        assert!(slow["stage_ns"].as_u64().unwrap() <= total_ns, "{slow}");
    }

    // The worker had no core, as the kernel says.
    let in_line = stood_in_line(&proof);
    let named =
        |slow: &Value, cause: &str| slow["causes"].as_array().unwrap().contains(&cause.into());
    let no_core = |slow: &&&Value| named(slow, "involuntary_switch") || named(slow, "late_wake_up");
    assert!(
        2 * in_line.iter().filter(no_core).count() > in_line.len(),
        "{tail:#?}"
    );
    let pushed_off = in_line
        .iter()
        .find(|slow| named(slow, "involuntary_switch"));
    assert!(pushed_off.is_some(), "{tail:#?}");

    let causes = &proof["tail_causes"];
    let slow = count(causes, "slow");
    assert!(slow <= count(causes, "results"));
    let by_cause = causes.as_object().unwrap().iter();
    let blamed = by_cause.filter(|(key, _)| !["results", "slow"].contains(&key.as_str()));
    assert!(
        blamed
            .map(|(_, count)| count.as_u64().unwrap())
            .sum::<u64>()
            >= slow
    );
    assert_eq!(
        count(causes, "results"),
        proof["latency_ns"]["capture_to_result"]["count"]
            .as_u64()
            .unwrap()
    );

    // What is known ages while the worker stands in line, frames that were never judged included.
    let camera = &proof["cameras"][0];
    let age = &camera["age_of_knowledge_ns"];
    assert!(age["max"].as_u64() >= camera["capture_to_result_ns"]["max"].as_u64());
    assert_eq!(
        age["count"].as_u64().unwrap(),
        count(causes, "results") + 1,
        "one rise for each result, and the last one to the end"
    );
}
