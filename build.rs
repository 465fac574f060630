//! What `pinsight --version` says of the build, and where a built program finds its library.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    describe_build();
    link_library();
}

/// Commit, target and features, as variables of the compiler. The commit is `PINSIGHT_COMMIT` where that is set, as in
/// a build from an archive, else what git says. A development build does not look: it would be made anew with each
/// commit.
fn describe_build() {
    println!("cargo::rerun-if-env-changed=PINSIGHT_COMMIT");
    let given = env::var("PINSIGHT_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty());
    let profile = env::var("PROFILE").unwrap_or_default();
    let is_development = given.is_none() && profile != "release";
    let commit = match given {
        Some(commit) => commit,
        None if is_development => "not looked at, a development build".to_owned(),
        None => commit_by_git().unwrap_or_else(|| "unknown".to_owned()),
    };
    let enabled = env::vars_os().filter_map(|(name, _)| {
        let feature = name
            .to_str()?
            .strip_prefix("CARGO_FEATURE_")?
            .to_lowercase();
        (feature != "default").then(|| feature.replace('_', "-"))
    });
    let mut features: Vec<String> = enabled.collect();
    features.sort();
    let features = if features.is_empty() {
        "none".to_owned()
    } else {
        features.join(", ")
    };
    let target = env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=PINSIGHT_COMMIT={commit}");
    println!("cargo::rustc-env=PINSIGHT_TARGET={target}, {profile}");
    println!("cargo::rustc-env=PINSIGHT_FEATURES={features}");
}

/// `None` where this folder is no repository of its own.
fn commit_by_git() -> Option<String> {
    let root = env::var("CARGO_MANIFEST_DIR").ok()?;
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&root)
            .output();
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    let same = |one: &str, other: &str| {
        Some(Path::new(one).canonicalize().ok()? == Path::new(other).canonicalize().ok()?)
    };
    if !same(&git(&["rev-parse", "--show-toplevel"])?, &root)? {
        return None;
    }
    // Written with each commit and each checkout. A path that is not there would have this run each time.
    for of_git in ["logs/HEAD", "HEAD"] {
        let path = git(&["rev-parse", "--git-path", of_git])?;
        if Path::new(&root).join(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    // What makes the tree differ from the commit.
    for path in ["src", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    git(&["describe", "--always", "--dirty"])
}

/// Links the TensorFlow Lite library to where the program looks for it: `../lib`, seen from its own folder. So what was
/// built runs from its build folder as it does once installed, and no build has a run path of its own, which an installed
/// program would follow to whatever lies there.
fn link_library() {
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
