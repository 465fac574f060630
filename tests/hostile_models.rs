//! Models that end a process, hang in it, or ask for more memory than the board has: each is tried in a process of its
//! own, and the program ends with its own exit code and one message.

mod flatbuffer;
mod plugin;
#[path = "../src/sys/tflite/test_models.rs"]
#[allow(dead_code)]
mod test_models;

use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const REFUSED: i32 = 6;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A board with one camera and this model, of which only the shapes of its outputs are looked at.
fn board(folder: &Path, model: &[u8], budget_mib: u32, delegate: &str) -> PathBuf {
    let path = folder.join("changed.tflite");
    std::fs::write(&path, model).unwrap();
    let digest: String = Sha256::digest(model)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let text = format!(
        "name = \"hostile\"\nabsent-core = \"wrap\"\n[memory]\nbudget-mib = {budget_mib}\n\
         [[camera]]\nname = \"bars\"\nsource = \"pattern\"\nformat = \"NV12\"\nwidth-px = 320\nheight-px = 240\n\
         rate-hz = 30\n\
         [[model]]\nname = \"changed\"\npath = \"{}\"\nsha256 = \"{digest}\"\ndecoder = \"raw\"\n\
         delegate = {delegate}\n\
         [[worker]]\nname = \"worker\"\ncores = [1]\nmodel = \"changed\"\n",
        path.display()
    );
    let board = folder.join("board.toml");
    std::fs::write(&board, text).unwrap();
    board
}

fn pinsight(command: &str, board: &Path) -> Output {
    let mut pinsight = Command::new(env!("CARGO_BIN_EXE_pinsight"));
    pinsight.args([command, "--board"]).arg(board);
    if command == "run" {
        pinsight.args(["--frames", "1"]);
    }
    pinsight.output().expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `check` and `run` end with this code, and one message with these words.
#[track_caller]
fn refused(board: &Path, code: i32, words: &[&str]) {
    for command in ["check", "run"] {
        let output = pinsight(command, board);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{command}: {said}");
        for word in words {
            assert!(said.contains(word), "{command}: {word:?} in {said}");
        }
        let messages = said.lines().filter(|line| line.contains("pinsight: "));
        assert_eq!(messages.count(), 1, "{command}: {said}");
    }
}

#[track_caller]
fn small_model() -> Vec<u8> {
    let path = root().join(".cache/models/image_classification_int8.tflite");
    std::fs::read(path).expect("make setup fetches it")
}

/// Seeded numbers (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

/// A sound model with some of its numbers changed. Weights are left alone: they are no structure.
fn changed(model: &[u8], seed: u64) -> Vec<u8> {
    const ODD: [i32; 8] = [0, 1, 7, 255, -1, i32::MAX, i32::MIN, 1 << 16];
    let word = |at: usize| i32::from_le_bytes(*model[at..].first_chunk().unwrap());
    let structure: Vec<usize> = (0..model.len() - 4)
        .step_by(4)
        .filter(|at| word(*at).unsigned_abs() < 200_000)
        .collect();
    let mut numbers = Numbers(seed);
    let mut changed = model.to_vec();
    for _ in 0..=numbers.below(3) {
        let at = structure[numbers.below(structure.len())];
        let value = match numbers.below(3) {
            0 => ODD[numbers.below(ODD.len())],
            1 => word(at) ^ (1 << numbers.below(32)),
            _ => word(at).wrapping_add([-4, -1, 1, 4][numbers.below(4)]),
        };
        changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    changed
}

#[test]
fn no_changed_model_ends_the_program_and_those_that_would_are_named() {
    // Seeds of which some change the model so that the library ends a process over it.
    const SEEDS: std::ops::Range<u64> = 0..200;
    let folder = tempfile::tempdir().unwrap();
    let sound = small_model();
    let (mut ended, mut refused, mut sane) = (0, 0, 0);
    for seed in SEEDS {
        let model = changed(&sound, seed);
        let board = board(folder.path(), &model, 128, "\"xnnpack\"");
        let output = pinsight("check", &board);
        let said = stderr(&output);
        match output.status.code() {
            Some(0) => sane += 1,
            Some(REFUSED) => {
                assert!(said.contains("changed.tflite: "), "{seed}: {said}");
                refused += 1;
                if said.contains("the process that tried it") {
                    assert!(said.contains("was ended by SIG"), "{seed}: {said}");
                    ended += 1;
                    println!("ended by seed {seed}");
                }
            }
            // More memory than the board has.
            Some(4) => assert!(said.contains("memory.budget-mib"), "{seed}: {said}"),
            other => panic!("{seed}: {other:?}: {said}"),
        }
    }
    println!("{ended} of {refused} refused, {sane} as good as before");
    assert!(ended > 0 && refused > ended && sane > 0);
}

#[test]
fn a_model_that_ends_the_process_that_tries_it_is_named_with_the_signal() {
    let plugin = plugin::compile();
    let folder = tempfile::tempdir().unwrap();
    let delegate = plugin.delegate("mode = \"die\"");
    let dies = board(folder.path(), &small_model(), 128, &delegate);
    let words = [
        "model changed: ",
        "changed.tflite: the process that tried it",
        "was ended by SIGSEGV (access to memory that is not there)",
    ];
    refused(&dies, REFUSED, &words);
    let delegate = plugin.delegate("mode = \"leave\"");
    let leaves = board(folder.path(), &small_model(), 128, &delegate);
    refused(&leaves, REFUSED, &["ended with exit code 0 and no answer"]);
}

#[test]
fn a_model_that_hangs_in_the_process_that_tries_it_is_given_up_and_named() {
    let plugin = plugin::compile();
    let folder = tempfile::tempdir().unwrap();
    let begin = folder.path().join("begin");
    std::fs::write(&begin, "").unwrap();
    let delegate = plugin.delegate(&format!("mode = \"hang\", begin = \"{}\"", begin.display()));
    let board = board(folder.path(), &small_model(), 128, &delegate);
    let output = pinsight("check", &board);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(REFUSED), "{said}");
    assert!(said.contains("was not done after 60 s"), "{said}");
}

#[test]
fn a_model_whose_dimensions_ask_for_more_than_the_budget_is_refused_with_the_figures() {
    use test_models::{ADD, FLOAT32, Tensor};
    let folder = tempfile::tempdir().unwrap();
    let tensor = |name| Tensor {
        name,
        shape: &[1, 16_384, 21_846, 3],
        kind: FLOAT32,
    };
    let (input, output) = (tensor("in"), tensor("out"));
    let bytes = 16_384_u64 * 21_846 * 3 * 4;
    assert!(bytes > 1 << 32);
    let second = Tensor {
        name: "in",
        ..input
    };
    let model = test_models::model(ADD, &[input, second], &[output]);
    for delegate in ["\"none\"", "\"xnnpack\""] {
        let board = board(folder.path(), &model, 128, delegate);
        refused(
            &board,
            4,
            &[
                "model changed: ",
                "bytes at once",
                "memory.budget-mib = 128",
            ],
        );
    }
}

#[test]
fn wild_offsets_are_refused_before_an_interpreter_is_made() {
    use test_models::{ADD, FLOAT32, Tensor};
    let folder = tempfile::tempdir().unwrap();
    let tensor = |name| Tensor {
        name,
        shape: &[1, 4, 4, 3],
        kind: FLOAT32,
    };
    let (inputs, outputs) = ([tensor("a"), tensor("b")], [tensor("c")]);
    // The end wraps, and lies in the file.
    let wild = Some((u64::MAX - 7, 64));
    let beside = test_models::model_beside(ADD, &inputs, &outputs, wild);
    let mut root = test_models::model(ADD, &inputs, &outputs);
    root[..4].copy_from_slice(&i32::MAX.to_le_bytes());
    for (model, words) in [
        (
            &beside,
            "found data of 64 bytes at byte 18446744073709551608",
        ),
        (&root, "refuses the file: it is damaged"),
    ] {
        let board = board(folder.path(), model, 128, "\"none\"");
        refused(&board, REFUSED, &["changed.tflite: ", words]);
    }
}

#[test]
fn what_a_model_takes_is_in_the_budget_by_name_and_held_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = std::fs::read(root().join(".cache/models/face_detection_short_range.tflite"))
        .expect("make setup fetches it");
    let fits = board(folder.path(), &model, 64, "\"xnnpack\"");
    let output = pinsight("check", &fits);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    let bytes = |part: &str| -> u64 {
        let name = format!("model changed of worker: {part} ");
        let row = table.lines().find_map(|line| line.strip_prefix(&name));
        let row = row.unwrap_or_else(|| panic!("{part} in {table}"));
        row.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    assert!(bytes("file") >= model.len() as u64, "{table}");
    // Weights of half precision in the file are packed as numbers of 32 bits.
    assert!(bytes("packed weights") > model.len() as u64, "{table}");
    assert!(bytes("tensors") > 128 * 128 * 3 * 4, "{table}");
    let total: u64 = table
        .lines()
        .find_map(|line| line.strip_prefix("total "))
        .and_then(|row| row.split_whitespace().next()?.parse().ok())
        .unwrap();
    // One MiB too little: it holds all but the model's last.
    let least = u32::try_from(total.div_ceil(1 << 20)).unwrap();
    let tight = board(folder.path(), &model, least - 1, "\"xnnpack\"");
    let words = format!(
        "memory.budget-mib: found {}, expected at least {least}",
        least - 1
    );
    refused(&tight, 4, &[&words]);
}
