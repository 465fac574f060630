//! What a boot of the guest leaves behind, read for assertions: of each scenario the exit code, the
//! words, the proof, and what the kernel said of the running program.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub const HUGEPAGE_BYTES: u64 = 2 * 1024 * 1024;

/// What one boot left behind.
pub struct Boot {
    pub share: PathBuf,
    /// Why the boot did not go to its end; scenarios before that point are still there.
    pub trouble: Option<String>,
}

impl Boot {
    /// Boots the guest and runs a script of `tests/vm/checks` in it.
    pub fn run(check: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let share = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("guest")
            .join(check);
        let trouble = Self::carry_out(root, check, &share).err();
        Self { share, trouble }
    }

    fn carry_out(root: &Path, check: &str, share: &Path) -> Result<(), String> {
        // What an earlier boot left must not be taken for this one's.
        if share.exists() {
            fs::remove_dir_all(share).map_err(|e| format!("{}: {e}", share.display()))?;
        }
        let made = Command::new(root.join("tests/vm/setup"))
            .current_dir(root)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("tests/vm/setup: {e}"))?;
        if !made.status.success() {
            return Err(format!(
                "the guest cannot be had:\n{}",
                String::from_utf8_lossy(&made.stderr)
            ));
        }
        let libraries = root.join(".cache/tflite/x86_64");
        let ran = Command::new(root.join("tests/vm/run"))
            .current_dir(root)
            .args(["--time", "--timeout", "7200", "--share"])
            .arg(share)
            .args([
                "--env",
                concat!("PINSIGHT=", env!("CARGO_BIN_EXE_pinsight")),
            ])
            .args(["--env", &format!("LD_LIBRARY_PATH={}", libraries.display())])
            .arg("-f")
            .arg(root.join(format!("tests/vm/checks/{check}.sh")))
            .stdin(Stdio::null())
            .status()
            .map_err(|e| format!("tests/vm/run: {e}"))?;
        match ran.code() {
            Some(0) => Ok(()),
            Some(124) => Err("the guest was ended after its time-out".into()),
            Some(125) => Err("the guest died; its console is above".into()),
            code => Err(format!(
                "tests/vm/checks/{check}.sh did not go to its end ({code:?})"
            )),
        }
    }

    #[track_caller]
    pub fn scenario(&self, name: &'static str) -> Scenario {
        let folder = self.share.join(name);
        if !folder.join("exit").exists() {
            let why = self
                .trouble
                .as_deref()
                .unwrap_or("the script does not know it");
            panic!("no results of scenario {name}: {why}");
        }
        Scenario { name, folder }
    }
}

pub struct Scenario {
    name: &'static str,
    pub folder: PathBuf,
}

impl Scenario {
    #[track_caller]
    pub fn text(&self, file: &str) -> String {
        fs::read(self.folder.join(file))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_else(|e| panic!("{}/{file}: {e}\n{}", self.name, self.said()))
    }

    /// The program's own words, for a failed assertion.
    pub fn said(&self) -> String {
        let read = |file| fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        format!(
            "--- {} on stderr:\n{}--- on stdout:\n{}",
            self.name,
            read("stderr"),
            read("stdout")
        )
    }

    #[track_caller]
    pub fn ended_with(&self, code: i32) -> &Self {
        assert_eq!(
            self.text("exit").trim(),
            code.to_string(),
            "exit code\n{}",
            self.said()
        );
        self
    }

    #[track_caller]
    pub fn stderr_names(&self, words: &[&str]) {
        let stderr = self.text("stderr");
        for word in words {
            assert!(
                stderr.to_lowercase().contains(&word.to_lowercase()),
                "stderr should name {word:?}\n{}",
                self.said()
            );
        }
    }

    /// A whole number that the script left.
    #[track_caller]
    pub fn number(&self, file: &str) -> u64 {
        let text = self.text(file);
        text.trim()
            .parse()
            .unwrap_or_else(|e| panic!("{}/{file}: {e}: {text:?}", self.name))
    }

    /// The number behind a name, in a file of lines with one of each.
    #[track_caller]
    pub fn count(&self, file: &str, name: &str) -> u64 {
        let text = self.text(file);
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines
            .find_map(|(key, value)| (key == name).then(|| value.parse().ok())?)
            .unwrap_or_else(|| panic!("{}/{file} has no {name}:\n{text}", self.name))
    }

    /// Each line of its results.
    #[track_caller]
    pub fn results(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {e} in {line}", self.name))
        };
        self.text("results.jsonl").lines().map(parse).collect()
    }

    /// The proof of a run that ended well.
    #[track_caller]
    pub fn proof(&self) -> Proof {
        self.ended_with(0);
        let text = self.text("proof.json");
        Proof(
            serde_json::from_str(&text)
                .unwrap_or_else(|e| panic!("{}: {e} in the proof:\n{text}", self.name)),
        )
    }

    #[track_caller]
    pub fn observed(&self, moment: &str) -> Observed {
        let folder = self.folder.join(moment);
        assert!(
            folder.join("numa_maps").exists(),
            "the program never became ready\n{}",
            self.said()
        );
        Observed::read(&folder)
    }
}

pub struct Proof(Value);

impl Proof {
    #[track_caller]
    pub fn at(&self, path: &str) -> &Value {
        self.0
            .pointer(path)
            .unwrap_or_else(|| panic!("the proof has no {path}:\n{:#}", self.0))
    }

    #[track_caller]
    pub fn number(&self, path: &str) -> u64 {
        let value = self.at(path);
        value
            .as_u64()
            .unwrap_or_else(|| panic!("{path} is no whole number: {value}"))
    }

    #[track_caller]
    pub fn word(&self, path: &str) -> &str {
        let value = self.at(path);
        value
            .as_str()
            .unwrap_or_else(|| panic!("{path} is no string: {value}"))
    }

    /// Adds the ledger of one camera up again, without taking `identity_holds` for it.
    #[track_caller]
    pub fn ledger_closes(&self, camera: usize) {
        let of = |key: &str| self.number(&format!("/cameras/{camera}/{key}"));
        let dropped: u64 = ["evicted", "stale", "damaged", "refused", "failed"]
            .iter()
            .map(|c| of(&format!("dropped/{c}")))
            .sum();
        let ends = of("inferred") + dropped + of("in_flight");
        assert_eq!(
            of("driver_frames"),
            ends,
            "each frame ends in one column:\n{:#}",
            self.at("/cameras")
        );
        assert_eq!(
            self.at(&format!("/cameras/{camera}/identity_holds")),
            &Value::Bool(true),
            "{:#}",
            self.at("/cameras")
        );
    }

    /// Holds the ledger of a camera of 30 Hz against what it did not count: the driver's numbers of the first
    /// and the last result, between which each number is a frame or a loss (a repeated one is two frames), and
    /// the numbers that there was time for.
    #[track_caller]
    pub fn numbers_add_up(&self, camera: usize, results: &[Value]) {
        let name = self.at(&format!("/cameras/{camera}/name"));
        let mut results = results.iter().filter(|result| &result["camera"] == name);
        let number = |result: Option<&Value>| {
            let result = result.expect("there are results");
            result["driver_sequence"].as_u64().expect("a number")
        };
        let (first, last) = (number(results.next()), number(results.next_back()));
        let of = |key: &str| self.number(&format!("/cameras/{camera}/{key}"));
        assert_eq!((of("restarts"), of("reopens")), (0, 0), "one stream");
        let between = last - first + 1;
        let counted = of("driver_frames") + of("lost_in_driver") - of("repeated_sequence");
        // The stream began while the program armed itself, and ended with the run.
        let ms = |path| self.at(path).as_f64().expect("a time");
        let most = (ms("/ready_ms") + ms("/run_ms")) * 30.0 / 1000.0 + 1.0;
        #[allow(clippy::cast_precision_loss)] // some hundreds
        let possible = counted >= between && counted as f64 <= most;
        assert!(
            possible,
            "{name}: {counted} numbers counted, {between} from the first result to the last, time for {most:.0}:\n{:#}",
            self.at("/cameras")
        );
    }

    #[track_caller]
    pub fn frames_were_seen(&self, at_least: u64) {
        assert!(
            self.number("/cameras/0/driver_frames") >= at_least,
            "{:#}",
            self.at("/cameras")
        );
        assert!(
            self.number("/cameras/0/inferred") > 0,
            "{:#}",
            self.at("/cameras")
        );
        self.ledger_closes(0);
    }
}

/// What the kernel said of the running program at one moment.
pub struct Observed {
    /// Bytes in 2 MiB pages, by node.
    pub huge_bytes: BTreeMap<u32, u64>,
    pub threads: BTreeMap<u64, Thread>,
    pub virtual_memory: String,
    pub open_files: usize,
}

#[derive(Debug)]
pub struct Thread {
    pub name: String,
    pub cores: String,
    /// 1 is SCHED_FIFO.
    pub policy: u64,
    pub priority: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    pub migrations: u64,
}

impl Observed {
    fn read(folder: &Path) -> Self {
        let text = |file: &str| {
            fs::read_to_string(folder.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
        };
        let files = fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("it can be listed").file_name());
        let threads = files
            .filter_map(|file| file.to_str()?.strip_suffix(".stat")?.parse().ok())
            .map(|id: u64| {
                (
                    id,
                    Thread::parse(
                        &text(&format!("{id}.status")),
                        &text(&format!("{id}.stat")),
                        &text(&format!("{id}.sched")),
                    ),
                )
            })
            .collect();
        Self {
            huge_bytes: huge_bytes(&text("numa_maps")),
            threads,
            virtual_memory: field(&text("status"), "VmSize").to_owned(),
            open_files: text("fds")
                .lines()
                .filter(|line| line.contains("->"))
                .count(),
        }
    }

    /// The threads that may run on this core and no other.
    #[track_caller]
    pub fn pinned_to(&self, core: &str) -> Vec<(u64, &Thread)> {
        let found: Vec<_> = self
            .threads
            .iter()
            .filter(|(_, t)| t.cores == core)
            .map(|(id, t)| (*id, t))
            .collect();
        assert!(
            !found.is_empty(),
            "no thread is pinned to core {core}: {:#?}",
            self.threads
        );
        found
    }
}

impl Thread {
    /// From `/proc/<pid>/task/<tid>/{status,stat,sched}`.
    ///
    /// # Source
    /// proc_pid_stat(5): `minflt` is field 10, `majflt` 12, `rt_priority` 40, `policy` 41. Counting
    /// starts behind the name, which may hold blanks: field 3 follows its bracket.
    fn parse(status: &str, stat: &str, sched: &str) -> Self {
        let behind_name = stat.rsplit(") ").next().expect("a stat line has a name");
        let fields: Vec<&str> = behind_name.split_whitespace().collect();
        let number = |field: usize| fields[field - 3].parse().expect("a stat field is a number");
        Self {
            name: field(status, "Name").to_owned(),
            cores: field(status, "Cpus_allowed_list").to_owned(),
            policy: number(41),
            priority: number(40),
            minor_faults: number(10),
            major_faults: number(12),
            migrations: field(sched, "se.nr_migrations")
                .parse()
                .expect("nr_migrations is a number"),
        }
    }
}

/// The value of a `key: value` line; blanks around the colon do not count.
#[track_caller]
fn field<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| (name.trim() == key).then(|| value.trim()))
        .unwrap_or_else(|| panic!("no {key} in:\n{text}"))
}

/// Bytes in 2 MiB pages by node, from `/proc/<pid>/numa_maps`: `N1=13` on a line of 2048 KiB pages
/// stands for 13 such pages on node 1.
fn huge_bytes(numa_maps: &str) -> BTreeMap<u32, u64> {
    let mut by_node = BTreeMap::new();
    for line in numa_maps
        .lines()
        .filter(|line| line.ends_with("kernelpagesize_kB=2048"))
    {
        for (node, pages) in line
            .split_whitespace()
            .filter_map(|word| word.strip_prefix('N')?.split_once('='))
        {
            if let (Ok(node), Ok(pages)) = (node.parse::<u32>(), pages.parse::<u64>()) {
                *by_node.entry(node).or_default() += pages * HUGEPAGE_BYTES;
            }
        }
    }
    by_node
}
