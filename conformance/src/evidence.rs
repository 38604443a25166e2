//! What a package's run checked, as a file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::{Direction, Lists};

const HEADING: &str = "statement\tdirection\ttests\treason";

/// Which statements were checked in which direction by which tests of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The package whose tests ran.
    pub package: String,
    /// By place in the lists and direction, the names of the tests.
    pub checked: BTreeMap<(usize, Direction), BTreeSet<String>>,
    /// For statements of layers that are not this package's: why it checks them.
    pub borrowed: BTreeMap<usize, String>,
}

impl Evidence {
    /// Nothing yet.
    #[must_use]
    pub fn new(package: &str) -> Self {
        Self { package: package.into(), checked: BTreeMap::new(), borrowed: BTreeMap::new() }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// A row that is not one, or that names a statement which the lists do not have.
    pub fn parse(package: &str, text: &str, lists: &Lists) -> Result<Self, String> {
        let mut evidence = Self::new(package);
        for line in text.lines().skip(1) {
            let cells: Vec<_> = line.split('\t').collect();
            let [name, direction, tests, reason] = cells[..] else {
                return Err(format!("4 cells wanted: {line:?}"));
            };
            let at = lists.find(name).ok_or_else(|| format!("there is no statement {name:?}"))?;
            let tests = tests.split(' ').map(str::to_owned).collect();
            evidence.checked.insert((at, Direction::parse(direction)?), tests);
            if reason != "-" {
                evidence.borrowed.insert(at, reason.into());
            }
        }
        Ok(evidence)
    }

    /// The text of its file.
    #[must_use]
    pub fn text(&self, lists: &Lists) -> String {
        let mut text = format!("{HEADING}\n");
        for ((at, direction), tests) in &self.checked {
            let tests: Vec<_> = tests.iter().map(String::as_str).collect();
            let reason = self.borrowed.get(at).map_or("-", String::as_str);
            let name = &lists.statements()[*at].name;
            text.push_str(&format!("{name}\t{direction}\t{}\t{reason}\n", tests.join(" ")));
        }
        text
    }

    /// That of all packages, from a folder with a file for each.
    ///
    /// # Errors
    /// What [`parse`](Self::parse) finds, or what reading the folder does.
    pub fn of_all(folder: &Path, lists: &Lists) -> Result<Vec<Self>, String> {
        let failed = |path: &Path, error: &dyn ToString| {
            format!("{}: {}", path.display(), error.to_string())
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
            let path = entry.map_err(|error| failed(folder, &error))?.path();
            if path.extension().is_some_and(|extension| extension == "tsv") {
                paths.push(path);
            }
        }
        paths.sort();
        let read = |path: PathBuf| {
            let package = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
            Self::parse(&package, &text, lists).map_err(|error| failed(&path, &error))
        };
        paths.into_iter().map(read).collect()
    }
}

/// The folder with the evidence of all packages.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join("evidence")
}

/// Whether generated files are written, not compared.
pub(crate) fn is_writing() -> bool {
    std::env::var("CONFORMANCE").is_ok_and(|value| value == "write")
}

/// Compares a generated file with what it should hold, or writes it.
pub(crate) fn check_file(
    path: &Path,
    text: &str,
    is_writing: bool,
    command: &str,
) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|found| found.replace("\r\n", "\n") == text) {
        return Ok(());
    }
    if is_writing {
        return fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Err(format!("{name} is stale; this brings it up to date: CONFORMANCE=write {command}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_fails_and_says_what_writes_it() {
        let path = std::env::temp_dir().join(format!("conformance-{}.tsv", std::process::id()));
        let check = |text, is_writing| check_file(&path, text, is_writing, "cargo test");
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let stale =
            format!("{name} is stale; this brings it up to date: CONFORMANCE=write cargo test");
        assert_eq!(check("one", false), Err(stale.clone()), "there is no file");
        assert_eq!(check("one", true), Ok(()));
        assert_eq!(check("one", false), Ok(()));
        assert_eq!(check("two", false), Err(stale));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one", "comparing wrote");
        fs::remove_file(&path).unwrap();
    }
}
