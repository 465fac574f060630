//! `pinsight-pages FOLDER`: man pages into FOLDER/man, shell completions into FOLDER/completions.

use clap_complete::{Shell, generate_to};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

fn main() -> Result<(), Error> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let usage = || Error::new(ErrorKind::InvalidInput, "usage: pinsight-pages FOLDER");
    write(&folder.ok_or_else(usage)?)
}

fn write(folder: &Path) -> Result<(), Error> {
    let man = folder.join("man");
    std::fs::create_dir_all(&man)?;
    clap_mangen::generate_to(pinsight::cli::command(), &man)?;
    let completions = folder.join("completions");
    std::fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(
            shell,
            &mut pinsight::cli::command(),
            "pinsight",
            &completions,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_command_has_its_man_page_and_is_completed_by_every_shell() {
        let folder = tempfile::tempdir().unwrap();
        super::write(folder.path()).unwrap();
        let read = |name: String| {
            let path = folder.path().join(name);
            std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let completions = ["pinsight.bash", "_pinsight", "pinsight.fish"];
        let completions = completions.map(|name| read(format!("completions/{name}")));
        let program = pinsight::cli::command();
        let main = read("man/pinsight.1".to_owned());
        assert!(
            main.contains("Exit codes") && main.contains("NAME"),
            "{main}"
        );
        let mut commands = 0;
        let shown = program.get_subcommands();
        for command in shown.filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            let page = read(format!("man/pinsight-{name}.1"));
            for option in command.get_arguments().filter_map(|of| of.get_long()) {
                // roff writes a hyphen as \-.
                let option = format!("\\-\\-{}", option.replace('-', "\\-"));
                assert!(page.contains(&option), "{name} {option}: {page}");
            }
            for completion in &completions {
                assert!(completion.contains(name), "{name}: {completion}");
            }
            commands += 1;
        }
        assert!(commands >= 7, "{commands} commands were looked at");
    }
}
