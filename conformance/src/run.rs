//! A run of a package's tests, and the assertions it is made of.

use std::{
    collections::BTreeSet,
    fmt::{self, Debug, Display},
    panic::{AssertUnwindSafe, Location, catch_unwind},
};

use crate::{Direction, Evidence, Layer, Lists, Statement, document, evidence};

/// Takes note of every assertion that one package makes about statements. See the crate's documentation.
#[must_use = "a run ends with `finish`"]
pub struct Run {
    lists: Lists,
    layers: Vec<Layer>,
    evidence: Evidence,
    /// The test that runs now.
    test: &'static str,
    tests: BTreeSet<&'static str>,
    assertions: usize,
    broken: Vec<Broken>,
    /// What is wrong with the citations.
    faults: BTreeSet<String>,
    finished: bool,
}

/// Assertions about the same statements in the same direction that did not hold in one test.
struct Broken {
    what: String,
    first: String,
    more: usize,
}

/// An assertion about these statements in this direction, which counts once its condition was looked at.
#[must_use = "an assertion without a condition checks nothing"]
#[derive(Debug)]
pub struct Assertion<'r> {
    run: &'r mut Run,
    direction: Direction,
    statements: Vec<usize>,
}

impl Run {
    /// A run over the project's lists, of this package (its `CARGO_PKG_NAME`) for these layers.
    pub fn new(package: &str, layers: &[Layer]) -> Self {
        Self::over(Lists::project(), package, layers)
    }

    /// A run over any lists.
    pub fn over(lists: Lists, package: &str, layers: &[Layer]) -> Self {
        Self {
            lists,
            layers: layers.into(),
            evidence: Evidence::new(package),
            test: "",
            tests: BTreeSet::new(),
            assertions: 0,
            broken: Vec::new(),
            faults: BTreeSet::new(),
            finished: false,
        }
    }

    /// Allows to cite a statement of a layer that is not this run's, for a reason.
    pub fn borrow(&mut self, statement: &str, reason: &str) {
        match self.lists.find(statement) {
            Some(at) if !self.layers.contains(&self.lists.statements()[at].layer) => {
                self.evidence.borrowed.insert(at, reason.into());
            }
            Some(_) => _ = self.faults.insert(format!("{statement} is borrowed, but it is ours")),
            None => self.unknown(statement),
        }
    }

    /// Calls a test, a function with a name; the evidence names it by its path. A panic in it is a broken assertion.
    pub fn test<F: FnOnce(&mut Self)>(&mut self, test: F) {
        let path = std::any::type_name::<F>();
        let name = path.split_once("::").map_or(path, |(_, name)| name);
        assert!(!name.contains(['{', ' ']), "{name} is no function with a name");
        assert!(self.tests.insert(name), "{name} ran already");
        self.test = name;
        let before = self.assertions;
        let result = catch_unwind(AssertUnwindSafe(|| test(self)));
        if result.is_err() {
            self.break_off(format!("{name} panicked"), "see above".into());
        } else if self.assertions == before {
            self.faults.insert(format!("{name} asserts nothing"));
        }
        self.test = "";
    }

    /// An assertion about what is decoded.
    pub fn decoding(&mut self, statements: &[&str]) -> Assertion<'_> {
        self.assertion(Direction::Decode, statements)
    }

    /// An assertion about what is encoded, or about what a constructor of values refuses.
    pub fn encoding(&mut self, statements: &[&str]) -> Assertion<'_> {
        self.assertion(Direction::Encode, statements)
    }

    /// An assertion about what a layer above the codec does.
    pub fn acting(&mut self, statements: &[&str]) -> Assertion<'_> {
        self.assertion(Direction::Act, statements)
    }

    fn assertion(&mut self, direction: Direction, statements: &[&str]) -> Assertion<'_> {
        if statements.is_empty() {
            self.faults.insert(format!("{} has an assertion that cites nothing", self.test));
        }
        let statements = statements.iter().filter_map(|name| self.cite(name, direction)).collect();
        Assertion { run: self, direction, statements }
    }

    fn cite(&mut self, name: &str, direction: Direction) -> Option<usize> {
        let Some(at) = self.lists.find(name) else {
            self.unknown(name);
            return None;
        };
        let Statement { layer, directions, .. } = &self.lists.statements()[at];
        let fault = match directions {
            Some(directions) if directions.is_empty() => {
                format!("{name} is checked, but its row says that nothing of ours could break it")
            }
            _ if self.evidence.borrowed.contains_key(&at) => return Some(at),
            _ if !self.layers.contains(layer) => {
                format!("{name} belongs to the layer {layer}; borrow it and say why")
            }
            Some(directions) if !directions.contains(&direction) => {
                format!("{name} is checked for {direction}, which its row does not have")
            }
            _ => return Some(at),
        };
        self.faults.insert(fault);
        None
    }

    fn break_off(&mut self, what: String, first: String) {
        match self.broken.iter_mut().find(|broken| broken.what == what) {
            Some(broken) => broken.more += 1,
            None => self.broken.push(Broken { what, first, more: 0 }),
        }
    }

    fn unknown(&mut self, name: &str) {
        self.faults.insert(format!("there is no statement {name:?}"));
    }

    fn note(&mut self, statements: &[usize], direction: Direction) {
        self.assertions += 1;
        for &at in statements {
            let tests = self.evidence.checked.entry((at, direction)).or_default();
            if !tests.contains(self.test) {
                tests.insert(self.test.into());
            }
        }
    }

    /// All that is wrong, given what other packages checked; empty if nothing is.
    #[must_use]
    pub fn verdict(mut self, others: &[Evidence]) -> Vec<String> {
        self.finished = true;
        self.wrong(others)
    }

    fn wrong(&self, others: &[Evidence]) -> Vec<String> {
        let mut wrong: Vec<_> = self.broken.iter().map(Broken::to_string).collect();
        wrong.extend(self.faults.iter().cloned());
        let all: Vec<_> = others.iter().chain([&self.evidence]).collect();
        wrong.extend(gaps(&self.lists, &self.layers, &all));
        for &at in self.evidence.borrowed.keys() {
            if !self.evidence.checked.keys().any(|&(checked, _)| checked == at) {
                let name = &self.lists.statements()[at].name;
                wrong.push(format!("{name} is borrowed and not checked"));
            }
        }
        wrong
    }

    /// Prints the counts, and compares the evidence with its file or writes it.
    ///
    /// # Panics
    /// With all that is wrong.
    pub fn finish(mut self) {
        self.finished = true;
        let package = self.evidence.package.clone();
        let folder = evidence::folder();
        let mut wrong = match Evidence::of_all(&folder, &self.lists) {
            Ok(mut others) => {
                others.retain(|other| other.package != package);
                self.wrong(&others)
            }
            Err(error) => vec![error],
        };
        if wrong.is_empty() {
            let command = format!("cargo test -p {package} --test conformance");
            let path = folder.join(format!("{package}.tsv"));
            let text = self.evidence.text(&self.lists);
            wrong
                .extend(evidence::check_file(&path, &text, evidence::is_writing(), &command).err());
            if evidence::is_writing() {
                wrong.extend(document::check_document().err());
            }
        }
        println!("{}", self.counts());
        let count = wrong.len();
        assert!(wrong.is_empty(), "what is wrong ({count}):\n  {}", wrong.join("\n  "));
    }

    /// How many statements were checked in which direction, and how many are not applicable.
    fn counts(&self) -> String {
        let mut text = format!(
            "{}: {} assertions in {} tests\n",
            self.evidence.package,
            self.assertions,
            self.tests.len()
        );
        for &layer in &self.layers {
            let of = |at: usize| self.lists.statements()[at].layer == layer;
            let checked = |direction| {
                let keys = self.evidence.checked.keys();
                keys.filter(|&&(at, checked)| checked == direction && of(at)).count()
            };
            let all = || self.lists.statements().iter().filter(|one| one.layer == layer);
            let nothing = all().filter(|one| one.directions.as_ref().is_some_and(Vec::is_empty));
            text.push_str(&format!("layer {layer}: {} statements", all().count()));
            for direction in Direction::ALL {
                text.push_str(&format!(", {direction} {}", checked(direction)));
            }
            text.push_str(&format!(", not applicable {}\n", nothing.count()));
        }
        text + &format!("statements of other layers: {}", self.evidence.borrowed.len())
    }
}

impl Assertion<'_> {
    /// That the condition is true. `what` says which of many cases it is.
    #[track_caller]
    pub fn holds(self, condition: bool, what: impl Display) {
        self.check(condition, format_args!("{what}"));
    }

    /// That the two are equal.
    #[track_caller]
    pub fn equal<T: PartialEq<U> + Debug, U: Debug>(
        self,
        found: T,
        expected: U,
        what: impl Display,
    ) {
        let equal = found == expected;
        self.check(equal, format_args!("{what}: {found:?} where {expected:?} is expected"));
    }

    #[track_caller]
    fn check(self, condition: bool, what: fmt::Arguments<'_>) {
        self.run.note(&self.statements, self.direction);
        if !condition {
            let names = |&at: &usize| self.run.lists.statements()[at].name.as_str();
            let names: Vec<_> = self.statements.iter().map(names).collect();
            let broken = format!("{} ({}) in {}", names.join(", "), self.direction, self.run.test);
            let what = shorten(format!("{}: {what}", Location::caller()));
            self.run.break_off(broken, what);
        }
    }
}

/// A packet may be long.
fn shorten(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(600) {
        text.truncate(at);
        text.push('…');
    }
    text
}

impl Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, first, more } = self;
        write!(f, "{what}: {first}")?;
        if *more > 0 { write!(f, "; and {more} more like it") } else { Ok(()) }
    }
}

/// What the finished ones of these layers still need.
pub(crate) fn gaps(lists: &Lists, layers: &[Layer], evidence: &[&Evidence]) -> Vec<String> {
    let mut gaps = Vec::new();
    for (at, statement) in lists.statements().iter().enumerate() {
        if !layers.contains(&statement.layer) || !lists.is_finished(statement.layer) {
            continue;
        }
        let wanted = statement.directions.as_deref().unwrap_or_default();
        let is_checked = |direction: &Direction| {
            evidence.iter().any(|one| one.checked.contains_key(&(at, *direction)))
        };
        let (done, missing): (Vec<_>, Vec<_>) = wanted.iter().copied().partition(is_checked);
        let name = &statement.name;
        match (&done[..], &missing[..]) {
            (_, []) => {}
            ([], _) => gaps.push(format!("{name} was not checked")),
            ([done, ..], [missing, ..]) => {
                gaps.push(format!("{name} was checked for {done}, but not for {missing}"));
            }
        }
    }
    gaps
}

impl Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("package", &self.evidence.package)
            .field("layers", &self.layers)
            .field("assertions", &self.assertions)
            .finish_non_exhaustive()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.finished && !std::thread::panicking() {
            panic!("the run of {} was not finished", self.evidence.package);
        }
    }
}
