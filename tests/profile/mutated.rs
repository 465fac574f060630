//! Any text at all: a sound board, or faults with a place.

use crate::SMALL;
use crate::faults::{BROKEN, FAULTY};
use pinsight::profile;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// Texts that are nearly profiles: a shipped one with some places overwritten.
fn mutated() -> impl Strategy<Value = String> {
    let boards = [
        include_str!("../../boards/demo.toml"),
        include_str!("../../boards/vivid.toml"),
        SMALL,
        FAULTY,
        BROKEN,
    ];
    let scraps = prop::sample::select(vec![
        "",
        "\"",
        "'''",
        "[",
        "]",
        "[[",
        "]]",
        "=",
        "\n",
        "{",
        "}",
        ",",
        ".",
        "#",
        "\\u0000",
        "\u{fffd}",
        "é",
        "-1",
        "1e400",
        "nan",
        "0x",
        "99999999999999999999",
        "true",
        "1979-05-27",
        "[[camera]]\n",
        "[memory]\n",
        "[camera]\n",
        "camera = 3\n",
        "name = \"x\"\n",
        "[[model.a]]\n",
        "a.b.c = 1\n",
        "memory.x = 1\n",
        "[worker.0]\n",
    ]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, scraps), 1..6);
    (prop::sample::select(boards.to_vec()), edits).prop_map(|(text, edits)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, length, scrap) in edits {
            let at = at.index(chars.len() + 1);
            let end = (at + length).min(chars.len());
            chars.splice(at..end, scrap.chars());
        }
        chars.into_iter().collect()
    })
}

/// Whatever the text: a sound board, or faults that have a place in it.
fn assert_reads(text: &str) {
    match profile::read("p.toml", text) {
        Ok(board) => {
            assert!((1..=64).contains(&board.cameras.len()));
            for worker in &board.workers {
                let model = board.models.iter().find(|model| model.name == worker.model);
                assert_eq!(
                    model.expect("a reference that resolves").threads as usize,
                    worker.cores.len()
                );
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            let lines = text.split('\n').count();
            assert!(
                faults
                    .iter()
                    .all(|fault| (1..=lines).contains(&fault.line) && fault.column >= 1)
            );
            assert!(faults.is_sorted_by_key(|fault| fault.line));
            assert!(faults.iter().all(|fault| !fault.to_string().contains('\n')));
        }
    }
}

#[test]
fn the_mutations_give_boards_and_faults() {
    let mut runner = TestRunner::deterministic();
    let (mut sound, mut faulty) = (0, 0);
    for _ in 0..200 {
        let text = mutated().new_tree(&mut runner).expect("a text").current();
        match profile::read("p.toml", &text) {
            Ok(_) => sound += 1,
            Err(_) => faulty += 1,
        }
    }
    assert!(sound > 5 && faulty > 50, "{sound} sound, {faulty} faulty");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nearly_a_profile_is_read_or_refused(text in mutated()) {
        assert_reads(&text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        assert_reads(&text);
    }

    #[test]
    fn any_text_of_tomls_own_characters_is_read_or_refused(text in "[a-z\\[\\]{}=.,\"'#\n 0-9_-]{0,200}") {
        assert_reads(&text);
    }
}
