//! No file of a run is written twice, and none that is read is written: every name is held against every other one by
//! the device and inode that it leads to.

use crate::appliance::exit::{Exit, Failure};
use crate::appliance::shared::options::Options;
use crate::profile::{Board, Feed};
use crate::record;
use crate::sys::io::output_file::{Identity, Kind, folder_of};
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};

/// A name that is given to a run, and what it is for.
struct Named {
    /// The argument, or what the profile has it for.
    by: String,
    path: PathBuf,
    place: Place,
    is_written: bool,
    /// Character devices may be shared, `/dev/null` above all, but those that the profile names are its own.
    is_exclusive: bool,
}

/// Where a name leads.
#[derive(PartialEq, Eq)]
enum Place {
    File(Identity, Option<Kind>),
    /// What will be made there.
    Absent(Identity, OsString),
    Nowhere,
}

impl Place {
    fn of(path: &Path) -> Self {
        if let Ok(found) = std::fs::metadata(path) {
            return Self::found(&found);
        }
        match (std::fs::metadata(folder_of(path)), path.file_name()) {
            (Ok(folder), Some(name)) => Self::Absent(Identity::of(&folder), name.to_owned()),
            _ => Self::Nowhere,
        }
    }

    fn found(found: &Metadata) -> Self {
        Self::File(Identity::of(found), Kind::of(found.file_type()).ok())
    }

    /// Of a descriptor that was there before the program.
    fn inherited(descriptor: impl std::os::fd::AsFd) -> Self {
        let file = descriptor.as_fd().try_clone_to_owned().map(File::from);
        let found = file.and_then(|file| file.metadata());
        found.map_or(Self::Nowhere, |found| Self::found(&found))
    }
}

impl Named {
    /// Both would be one file, and one of them would be written.
    fn collides(&self, other: &Self) -> bool {
        if !self.is_written && !other.is_written {
            return false;
        }
        if self.path == other.path && self.path == Path::new("-") {
            return true;
        }
        let may_be_one = match &self.place {
            Place::Nowhere => self.path == other.path,
            Place::Absent(..) => true,
            Place::File(_, kind) => match kind {
                Some(Kind::Regular | Kind::Fifo) => true,
                _ => self.is_exclusive || other.is_exclusive,
            },
        };
        may_be_one && self.place == other.place
    }
}

/// Refuses options of which two name one file, or one a file that the profile needs. `board` is the profile, once it
/// was read. To be asked again once the files were opened: what was absent has an inode then.
///
/// # Errors
/// Both names.
pub(crate) fn each_its_own(options: &Options, board: Option<&Board>) -> Result<(), Failure> {
    let mut names = of_arguments(options);
    names.extend(board.into_iter().flat_map(of_profile));
    let clash = names.iter().enumerate().find_map(|(index, second)| {
        let first = names[..index].iter().find(|first| first.collides(second))?;
        Some((first, second))
    });
    let Some((first, second)) = clash else {
        return Ok(());
    };
    let (one, other) = (first.path.display(), second.path.display());
    let also = if first.path == second.path {
        String::new()
    } else {
        format!(" (which is {one})")
    };
    Err(Failure::new(
        Exit::Usage,
        format!(
            "{} and {} both name {other}{also}; name a file of its own for each",
            first.by, second.by
        ),
    ))
}

fn of_arguments(options: &Options) -> Vec<Named> {
    let argument = |by: &str, path: &Path, is_written| Named {
        by: by.to_owned(),
        path: path.to_path_buf(),
        place: if path == Path::new("-") {
            Place::inherited(std::io::stdout())
        } else {
            Place::of(path)
        },
        is_written,
        is_exclusive: false,
    };
    let mut names = vec![argument("--board", &options.board, false)];
    let written = [
        ("--proof", &options.proof),
        ("--results", &options.results),
        ("--events", &options.events),
        ("--record", &options.record),
    ];
    for (by, path) in written {
        names.extend(path.iter().map(|path| argument(by, path, true)));
    }
    if let Some(record) = &options.record {
        for path in record::siblings(record) {
            names.push(argument(
                "--record, for what was there before,",
                &path,
                true,
            ));
        }
    }
    match &options.camera {
        Some(Feed::File(path)) => names.push(argument("--camera", path, false)),
        Some(Feed::Stdin) => names.push(Named {
            by: "--camera".to_owned(),
            path: "standard input".into(),
            place: Place::inherited(std::io::stdin()),
            is_written: false,
            is_exclusive: false,
        }),
        None => {}
    }
    names
}

/// What the profile names, and what is in the folders that it names.
fn of_profile(board: &Board) -> Vec<Named> {
    let named = |by: &str, path: PathBuf| Named {
        by: by.to_owned(),
        place: Place::of(&path),
        path,
        is_written: false,
        is_exclusive: true,
    };
    let mut names = Vec::new();
    for (by, path) in board.files() {
        names.push(named(&by, path.to_path_buf()));
        if path.is_dir()
            && let Ok(entries) = std::fs::read_dir(path)
        {
            names.extend(entries.flatten().map(|entry| named(&by, entry.path())));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::each_its_own;
    use crate::appliance::shared::options::Options;
    use crate::profile::{self, Feed};
    use std::path::{Path, PathBuf};

    #[track_caller]
    fn refused(options: &Options, words: &str) {
        let message = each_its_own(options, None).unwrap_err().message;
        assert!(message.contains(words), "{message}");
    }

    fn there(dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, "").unwrap();
        path
    }

    #[test]
    fn two_arguments_for_one_file_are_refused_and_devices_may_be_shared() {
        let dir = tempfile::tempdir().unwrap();
        let board = there(dir.path(), "board.toml");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&board, &link).unwrap();
        let hard = dir.path().join("hard");
        std::fs::hard_link(&board, &hard).unwrap();
        let absent = dir.path().join("absent");
        let of = |proof: Option<&Path>, results: Option<&Path>, record: Option<&Path>| Options {
            board: board.clone(),
            proof: proof.map(Path::to_path_buf),
            results: results.map(Path::to_path_buf),
            record: record.map(Path::to_path_buf),
            ..Options::default()
        };
        refused(&of(None, None, Some(&link)), "--board and --record");
        refused(&of(None, Some(&hard), None), "--board and --results");
        refused(
            &of(Some(&absent), Some(&absent), None),
            "--proof and --results",
        );
        // The same one in other words.
        let otherwise = dir.path().join(".").join("absent");
        refused(
            &of(Some(&absent), Some(&otherwise), None),
            "--proof and --results",
        );
        let null = Path::new("/dev/null");
        assert!(each_its_own(&of(None, None, Some(&absent)), None).is_ok());
        assert!(each_its_own(&of(Some(null), Some(null), None), None).is_ok());
        for end in [".old", ".new"] {
            let beside = dir.path().join(format!("absent{end}"));
            refused(
                &of(None, Some(&beside), Some(&absent)),
                "--results and --record",
            );
        }
        let fed = Options {
            camera: Some(Feed::File(hard)),
            ..of(None, Some(&there(dir.path(), "lines")), None)
        };
        assert!(each_its_own(&fed, None).is_ok());
        let fed = Options {
            camera: Some(Feed::File(dir.path().join("lines"))),
            ..fed
        };
        refused(&fed, "--results and --camera");
    }

    #[test]
    fn what_the_profile_names_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let board = there(dir.path(), "board.toml");
        let text = include_str!("../../../boards/demo.toml").replace("../.cache/", "");
        let profile = profile::read(&board.to_string_lossy(), &text).unwrap();
        let files = profile.files();
        assert!(files.len() >= 2, "a picture and a model: {files:?}");
        for (by, path) in files {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
            let hard = dir.path().join("hard");
            std::fs::hard_link(path, &hard).unwrap();
            let options = Options {
                board: board.clone(),
                proof: Some(hard.clone()),
                ..Options::default()
            };
            let message = each_its_own(&options, Some(&profile)).unwrap_err().message;
            assert!(message.contains(&format!("--proof and {by}")), "{message}");
            std::fs::remove_file(hard).unwrap();
        }
    }
}
