//! Rust files read as far as it takes to know which file names an item of which: their `use` lines and paths.
//!
//! An item's home is the file that defines it, whoever hands it on by `pub use`. `mod x;` names nothing, and a
//! `pub use` names something only where the file uses the name itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The names of a module or an item, from the crate's root on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub Vec<String>);

impl Name {
    fn of(parts: &[&str]) -> Self {
        Self(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    /// What comes below `folder`.
    pub fn below(&self, folder: &[&str]) -> Option<&[String]> {
        let is_below =
            self.0.len() > folder.len() && self.0.iter().zip(folder).all(|(a, b)| a == b);
        is_below.then(|| &self.0[folder.len()..])
    }
}

/// One name that a `use` line brings into a file.
#[derive(Debug)]
struct Import {
    path: Vec<String>,
    alias: String,
    is_public: bool,
}

/// One file.
#[derive(Debug)]
pub struct Source {
    pub module: Name,
    /// Without comments, strings and test code.
    code: Vec<String>,
    /// Of the module of tests at its end.
    test_code: Vec<String>,
    imports: Vec<Import>,
    /// Places of imports by the names that they get.
    aliases: BTreeMap<String, usize>,
}

impl Source {
    pub fn new(module: &[&str], text: &str) -> Self {
        let (text, tests) = match text.split_once("\nmod tests {") {
            Some((text, tests)) => (text, tests),
            None => (text, ""),
        };
        let (imports, code) = split_imports(tokens(text));
        Self {
            module: Name::of(module),
            code,
            test_code: tokens(tests),
            aliases: aliases(&imports),
            imports,
        }
    }

    fn import(&self, alias: &str) -> Option<&Import> {
        self.aliases.get(alias).map(|place| &self.imports[*place])
    }
}

fn aliases(imports: &[Import]) -> BTreeMap<String, usize> {
    let imports = imports.iter().enumerate();
    imports
        .map(|(place, import)| (import.alias.clone(), place))
        .collect()
}

/// All files of a crate by their paths.
#[derive(Debug, Default)]
pub struct Tree {
    pub files: BTreeMap<String, Source>,
    modules: BTreeMap<Name, String>,
}

impl Tree {
    /// Every file below `src`.
    pub fn read(src: &Path) -> Self {
        let mut tree = Self::default();
        tree.read_folder(src, &mut Vec::new());
        tree
    }

    fn read_folder(&mut self, folder: &Path, module: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                module.push(name);
                self.read_folder(&path, module);
                module.pop();
            } else if let Some(stem) = name.strip_suffix(".rs") {
                let mut own: Vec<&str> = module.iter().map(String::as_str).collect();
                if stem != "mod" && !(own.is_empty() && stem == "lib") {
                    own.push(stem);
                }
                let text = fs::read_to_string(&path).unwrap();
                let file = own.join("/") + if stem == "mod" { "/mod.rs" } else { ".rs" };
                self.add(&file, &own, &text);
            }
        }
    }

    pub fn add(&mut self, file: &str, module: &[&str], text: &str) {
        self.modules.insert(Name::of(module), file.to_owned());
        self.files
            .insert(file.to_owned(), Source::new(module, text));
    }

    /// A path as it is written in a module, from the root on. `None`: of another crate.
    fn absolute(&self, source: &Source, path: &[String], depth: usize) -> Option<Name> {
        let module = &source.module.0;
        let (first, rest) = path.split_first()?;
        let join = |base: &[String], rest: &[String]| Name([base, rest].concat());
        match first.as_str() {
            "crate" => Some(Name(rest.to_vec())),
            "self" => Some(join(module, rest)),
            "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                let base = module.len().checked_sub(ups)?;
                Some(join(&module[..base], &path[ups..]))
            }
            name => {
                if self.modules.contains_key(&join(module, &path[..1])) {
                    return Some(join(module, path));
                }
                let import = source.import(name)?;
                if depth == 0 || import.path.first() == path.first() {
                    return None;
                }
                let base = self.absolute(source, &import.path, depth - 1)?;
                Some(join(&base.0, rest))
            }
        }
    }

    /// The module that defines an item; `None` where the name is that of a module.
    pub fn home(&self, name: &Name, depth: usize) -> Option<Name> {
        let mut length = name.0.len();
        while !self.modules.contains_key(&Name(name.0[..length].to_vec())) {
            length = length.checked_sub(1)?;
        }
        let module = Name(name.0[..length].to_vec());
        let item = name.0.get(length)?;
        let source = &self.files[&self.modules[&module]];
        let handed_on = source.import(item);
        match handed_on.filter(|import| import.is_public && depth > 0) {
            None => Some(module),
            Some(import) => {
                let mut target = self.absolute(source, &import.path, 8)?;
                target.0.extend_from_slice(&name.0[length + 1..]);
                self.home(&target, depth - 1)
            }
        }
    }

    /// The names that a file uses, from the root on; with `tests`, those of its module of tests as well.
    pub fn names(&self, source: &Source, tests: bool) -> BTreeSet<Name> {
        let mut names = BTreeSet::new();
        let words: BTreeSet<&str> = source.code.iter().map(String::as_str).collect();
        for import in &source.imports {
            if !import.is_public || words.contains(import.alias.as_str()) {
                names.extend(self.absolute(source, &import.path, 8));
            }
        }
        for path in paths(&source.code) {
            names.extend(self.absolute(source, &path, 8));
        }
        if tests {
            let mut inner = source.module.0.clone();
            inner.push("tests".to_owned());
            let (imports, code) = split_imports(source.test_code.clone());
            let own = Source {
                module: Name(inner),
                code: Vec::new(),
                test_code: Vec::new(),
                aliases: aliases(&imports),
                imports,
            };
            let imported = own.imports.iter().map(|import| import.path.clone());
            for path in imported.chain(paths(&code)) {
                names.extend(self.absolute(&own, &path, 8));
            }
        }
        names
    }

    /// The files whose items each file names.
    pub fn arrows(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut arrows = BTreeMap::new();
        for (file, source) in &self.files {
            let homes = self.names(source, false).into_iter();
            let homes = homes.filter_map(|name| self.home(&name, 8));
            let files = homes.map(|home| self.modules[&home].as_str());
            let others: BTreeSet<&str> = files.filter(|other| other != file).collect();
            arrows.insert(file.as_str(), others);
        }
        arrows
    }

    /// Groups of files each of which leads to each other one.
    pub fn circles(&self) -> Vec<BTreeSet<&str>> {
        let arrows = self.arrows();
        let reached = |from: &str| {
            let mut found = BTreeSet::new();
            let mut open: Vec<&str> = arrows[from].iter().copied().collect();
            while let Some(file) = open.pop() {
                if found.insert(file) {
                    open.extend(&arrows[file]);
                }
            }
            found
        };
        let all: BTreeMap<&str, BTreeSet<&str>> =
            arrows.keys().map(|file| (*file, reached(file))).collect();
        let mut circles = BTreeSet::new();
        for (file, reaches) in &all {
            let group = reaches.iter().filter(|other| all[*other].contains(file));
            let group: BTreeSet<&str> = group.copied().collect();
            if !group.is_empty() {
                circles.insert(group);
            }
        }
        circles.into_iter().collect()
    }
}

/// Words, `::` and signs, without comments, strings and characters.
fn tokens(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    let at = |index: usize| text.get(index).copied().unwrap_or(' ');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut found, mut index) = (Vec::new(), 0);
    while index < text.len() {
        let c = at(index);
        if c == '/' && at(index + 1) == '/' {
            while index < text.len() && at(index) != '\n' {
                index += 1;
            }
        } else if c == '"' {
            index += 1;
            while index < text.len() && at(index) != '"' {
                index += if at(index) == '\\' { 2 } else { 1 };
            }
            index += 1;
        } else if c == 'r' && at(index + 1) == '#' && at(index + 2) == '"' {
            index += 3;
            while index < text.len() && !(at(index) == '"' && at(index + 1) == '#') {
                index += 1;
            }
            index += 2;
        } else if c == '\'' && (at(index + 2) == '\'' || at(index + 1) == '\\') {
            index += 2;
            while index < text.len() && at(index) != '\'' {
                index += 1;
            }
            index += 1;
        } else if is_word(c) {
            let start = index;
            while is_word(at(index)) {
                index += 1;
            }
            found.push(text[start..index].iter().collect());
        } else if c == ':' && at(index + 1) == ':' {
            found.push("::".to_owned());
            index += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.to_string());
            }
            index += 1;
        }
    }
    found
}

/// The `use` lines of a file, and the rest.
fn split_imports(tokens: Vec<String>) -> (Vec<Import>, Vec<String>) {
    let (mut imports, mut code) = (Vec::new(), Vec::<String>::new());
    let mut index = 0;
    while index < tokens.len() {
        let begins = matches!(
            code.last().map(String::as_str),
            None | Some(";" | "}" | "{" | "]" | "pub" | ")")
        );
        if tokens[index] != "use" || !begins {
            code.push(tokens[index].clone());
            index += 1;
            continue;
        }
        let is_public = code.last().is_some_and(|last| last == "pub")
            || code.len() > 3 && code[code.len() - 4] == "pub" && code[code.len() - 1] == ")";
        let length = tokens[index..]
            .iter()
            .take_while(|token| *token != ";")
            .count();
        let tree = &tokens[index + 1..index + length];
        let mut found = Vec::new();
        let mut at = 0;
        use_tree(tree, &mut at, &[], &mut found);
        imports.extend(found.into_iter().map(|(path, alias)| Import {
            path,
            alias,
            is_public,
        }));
        index += length + 1;
    }
    (imports, code)
}

/// One tree of a `use` line: the paths in it with the names that they get.
fn use_tree(
    tokens: &[String],
    at: &mut usize,
    before: &[String],
    found: &mut Vec<(Vec<String>, String)>,
) {
    let mut path = before.to_vec();
    while *at < tokens.len() {
        match tokens[*at].as_str() {
            "::" => *at += 1,
            "{" => {
                *at += 1;
                while *at < tokens.len() && tokens[*at] != "}" {
                    use_tree(tokens, at, &path, found);
                    if tokens.get(*at).is_some_and(|token| token == ",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "," | "}" => break,
            "as" => {
                let alias = tokens[*at + 1].clone();
                *at += 2;
                found.push((path, alias));
                return;
            }
            "self" if !path.is_empty() => *at += 1,
            word => {
                path.push(word.to_owned());
                *at += 1;
            }
        }
    }
    if path.len() > before.len() || !before.is_empty() {
        let alias = path.last().cloned().unwrap_or_default();
        found.push((path, alias));
    }
}

/// Every `a::b::c` of some code.
fn paths(code: &[String]) -> Vec<Vec<String>> {
    let is_name = |token: &str| token.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let mut found = Vec::new();
    let mut index = 0;
    while index < code.len() {
        let mut path = Vec::new();
        while index < code.len() && is_name(&code[index]) {
            path.push(code[index].clone());
            if code.get(index + 1).is_none_or(|token| token != "::") {
                break;
            }
            index += 2;
        }
        if path.len() > 1 {
            found.push(path);
        }
        index += 1;
    }
    found
}
