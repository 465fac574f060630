//! The program as it is installed: what it takes from the file system before it has read a profile.

use std::path::Path;
use std::process::Command;

/// Tags of entries, and of the dynamic section.
///
/// # Source
/// elf(5); the generic ABI, "Dynamic Section".
const SHT_DYNAMIC: u32 = 6;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

/// The texts of the entries of an ELF file's dynamic section that have some, with their tags. 64-bit, little-endian.
fn dynamic(file: &[u8]) -> Vec<(u64, String)> {
    let long = |at: usize| u64::from_le_bytes(*file[at..].first_chunk().unwrap());
    let place = |at: usize| usize::try_from(long(at)).unwrap();
    let word = |at: usize| u32::from_le_bytes(*file[at..].first_chunk().unwrap());
    let short = |at: usize| usize::from(u16::from_le_bytes([file[at], file[at + 1]]));
    assert_eq!(file[..6], *b"\x7fELF\x02\x01");
    let (sections, bytes, count) = (place(0x28), short(0x3a), short(0x3c));
    let mut headers = (0..count).map(|index| sections + index * bytes);
    let header = headers.find(|at| word(at + 4) == SHT_DYNAMIC).unwrap();
    let strings = sections + usize::try_from(word(header + 0x28)).unwrap() * bytes;
    let strings = &file[place(strings + 0x18)..][..place(strings + 0x20)];
    let text = |from: usize| {
        let text = strings[from..].split(|byte| *byte == 0).next();
        String::from_utf8(text.unwrap().to_vec()).unwrap()
    };
    let first = place(header + 0x18);
    (first..first + place(header + 0x20))
        .step_by(16)
        .map(|at| (long(at), at + 8))
        .take_while(|(tag, _)| *tag != DT_NULL)
        .filter(|(tag, _)| [DT_NEEDED, DT_RPATH, DT_RUNPATH].contains(tag))
        .map(|(tag, at)| (tag, text(place(at))))
        .collect()
}

#[test]
fn the_program_finds_its_library_beside_itself_and_nowhere_else() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_pinsight")).unwrap();
    let found = dynamic(&program);
    let library = (DT_NEEDED, "libtensorflowlite_c.so".to_owned());
    assert!(found.contains(&library), "{found:?}");
    let paths: Vec<_> = found.iter().filter(|(tag, _)| *tag != DT_NEEDED).collect();
    assert_eq!(paths, [&(DT_RUNPATH, "$ORIGIN/../lib".to_owned())]);
}

#[test]
fn what_was_built_runs_from_its_folder_as_an_installed_program_does() {
    let program = Path::new(env!("CARGO_BIN_EXE_pinsight"));
    let version = Command::new(program)
        .arg("--version")
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .unwrap();
    assert!(version.status.success(), "{version:?}");
}

#[test]
fn an_allocator_that_is_preloaded_is_named_before_a_library_uses_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libother.so");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let compiled = Command::new(compiler)
        .args([
            "-std=c11", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o",
        ])
        .arg(&library)
        .arg(root.join("tests/preload.c"))
        .status()
        .unwrap();
    assert!(compiled.success());
    for command in [
        &["check", "--board", "boards/demo.toml"][..],
        &["run", "--board", "boards/demo.toml", "--frames", "1"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .current_dir(root)
            .args(command)
            .env("LD_PRELOAD", &library)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{command:?}: {said}");
        let file = library.to_str().unwrap();
        for words in [file, "answers for `_Znwm`", "LD_PRELOAD"] {
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
