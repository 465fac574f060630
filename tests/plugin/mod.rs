//! The test's own external delegate (`plugin.c`), compiled as a maker of processors compiles his.

use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The shared library, in a folder that goes with the value.
pub struct Compiled {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
}

impl Compiled {
    /// The library's checksum.
    #[track_caller]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(std::fs::read(&self.path).unwrap()).into()
    }

    /// `delegate` of a profile with these options.
    #[allow(dead_code)] // Not every test program has a profile.
    #[track_caller]
    pub fn delegate(&self, options: &str) -> String {
        let digits: String = self
            .sha256()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let path = self.path.display();
        format!("{{ plugin = \"{path}\", sha256 = \"{digits}\", options = {{ {options} }} }}")
    }
}

/// Compiles the plugin.
#[track_caller]
pub fn compile() -> Compiled {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libplugin.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugin/plugin.c");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let run = Command::new(&compiler)
        .args([
            "-std=c11",
            "-O1",
            "-Wall",
            "-Werror",
            "-D_GNU_SOURCE",
            "-shared",
            "-fPIC",
            "-o",
        ])
        .arg(&path)
        .arg(source)
        .output()
        .unwrap_or_else(|error| panic!("{compiler}: {error}"));
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    Compiled {
        _folder: folder,
        path,
    }
}
