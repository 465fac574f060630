//! Links the TensorFlow Lite library to where the program looks for it: `../lib`, seen from its own folder. So what
//! was built runs from its build folder as it does once installed, and no build has a run path of its own, which an
//! installed program would follow to whatever lies there.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    let target = target.to_uppercase().replace('-', "_");
    let names = [
        format!("TFLITEC_PREBUILT_PATH_{target}"),
        "TFLITEC_PREBUILT_PATH".to_owned(),
    ];
    for name in &names {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let library = names.iter().find_map(env::var_os).map(PathBuf::from);
    let out = env::var_os("OUT_DIR").map(PathBuf::from);
    // <folder>/<profile>/build/<package>/out
    let profile = out.as_deref().and_then(|out| out.ancestors().nth(3));
    let (Some(library), Some(profile)) = (library, profile) else {
        return;
    };
    // Programs lie in <folder>/<profile>, tests and examples in folders of it.
    for beside in profile.parent().into_iter().chain([profile]) {
        let folder = beside.join("lib");
        if let Err(error) = link(&library, &folder) {
            println!(
                "cargo::warning={}: {error}; a program started by hand wants LD_LIBRARY_PATH",
                folder.display()
            );
        }
    }
}

fn link(library: &Path, folder: &Path) -> io::Result<()> {
    let name = library
        .file_name()
        .ok_or_else(|| io::Error::other("the library has no name"))?;
    let place = folder.join(name);
    println!("cargo::rerun-if-changed={}", place.display());
    if std::fs::read_link(&place).is_ok_and(|to| to == library) {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    match std::fs::remove_file(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => std::os::unix::fs::symlink(library, &place),
    }
}
