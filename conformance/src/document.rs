//! `docs/CONFORMANCE.md`: every statement, and what checks it.

use std::path::Path;

use crate::{
    Direction, Evidence, Layer, Lists, Statement,
    evidence::{check_file, folder, is_writing},
    run::gaps,
};

const HEADING: &str = "\
# Conformance

Every statement of MQTT 5.0 and 3.1.1, and the test that checks it. The words are ours; the standards' own text is
to be read beside them. Generated from the lists in `conformance/data` and from what the tests did when they last
ran, not from their sources; a test fails when this file is stale, and says the command that writes it anew.

`decode` and `encode` name the tests that look at what the decoder accepts and refuses, and at what the encoder and
the constructors of values write and refuse; `act` those of the layers above. `package: module::function` is a
function in the test target `conformance` of that package. *Not applicable* is what no code of ours could break.
*Open* is a statement of a layer whose tests do not carry their statements yet: that says nothing about whether it
holds. How a check is added is in [CONTRIBUTING.md](../CONTRIBUTING.md).
";

const PARTS: [(&str, &str, &str); 3] = [
    ("MQTT 5.0, numbered statements", "v5", "MQTT-"),
    ("MQTT 5.0, rules without a number", "v5", "U5-"),
    ("MQTT 3.1.1, numbered statements", "v3.1.1", "MQTT-"),
];

/// The text of the document.
#[must_use]
pub fn document(lists: &Lists, evidence: &[Evidence]) -> String {
    let mut text = format!("{HEADING}\n{}", counts(lists));
    for (title, version, prefix) in PARTS {
        text.push_str(&format!("\n## {title}\n\n"));
        text.push_str("| statement | section | layer | what | checked |\n");
        text.push_str("| --- | --- | --- | --- | --- |\n");
        let name_starts = format!("{version} {prefix}");
        for (at, statement) in lists.statements().iter().enumerate() {
            if statement.name.starts_with(&name_starts) {
                text.push_str(&row(lists, at, statement, evidence));
            }
        }
    }
    text
}

fn row(lists: &Lists, at: usize, statement: &Statement, evidence: &[Evidence]) -> String {
    let Statement { name, section, layer, summary, directions, reason } = statement;
    let mut cells = Vec::new();
    if directions.as_ref().is_some_and(Vec::is_empty) {
        cells.push(format!("*not applicable*: {}", escape(reason.as_deref().unwrap_or_default())));
    } else {
        if !lists.is_finished(*layer) {
            cells.push("*open*".into());
        }
        cells.extend(checks(at, evidence));
        if let Some(reason) = reason {
            cells.push(format!("({})", escape(reason)));
        }
    }
    let (summary, cells) = (escape(summary), cells.join("; "));
    format!("| {name} | {section} | {layer} | {summary} | {cells} |\n")
}

/// The tests of each direction; directions with the same tests are one.
fn checks(at: usize, evidence: &[Evidence]) -> Vec<String> {
    let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
    for direction in Direction::ALL {
        let mut tests = Vec::new();
        for Evidence { package, checked, borrowed } in evidence {
            let names = checked.get(&(at, direction)).into_iter().flatten();
            tests.extend(names.map(|test| format!("`{package}: {test}`")));
            if let Some(reason) = borrowed.get(&at) {
                tests.push(format!("({})", escape(reason)));
            }
        }
        let tests = tests.join(", ");
        match groups.iter_mut().find(|(_, same)| *same == tests) {
            _ if !tests.contains('`') => {}
            Some((directions, _)) => directions.push(direction.name()),
            None => groups.push((vec![direction.name()], tests)),
        }
    }
    groups.into_iter().map(|(of, tests)| format!("{}: {tests}", of.join(" and "))).collect()
}

fn counts(lists: &Lists) -> String {
    let mut text = String::from(
        "| layer | status | statements | to decode | to encode | to act | not applicable |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for layer in Layer::ALL {
        let of = || lists.statements().iter().filter(move |one| one.layer == layer);
        let wants = |direction| {
            of().filter(|one| one.directions.iter().flatten().any(|&one| one == direction)).count()
        };
        let nothing = of().filter(|one| one.directions.as_ref().is_some_and(Vec::is_empty)).count();
        let status = if lists.is_finished(layer) { "finished" } else { "open" };
        let [decode, encode, act] = Direction::ALL.map(wants);
        let all = of().count();
        text.push_str(&format!(
            "| {layer} | {status} | {all} | {decode} | {encode} | {act} | {nothing} |\n"
        ));
    }
    text
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '|' | '*' | '<' | '`' | '_' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// Joins the evidence of all packages: that nothing of a finished layer is missing, and that the document is not
/// stale. With `CONFORMANCE=write` in the environment it is written.
///
/// # Errors
/// All that is wrong, a line for each.
pub fn check_document() -> Result<(), String> {
    let lists = Lists::project();
    let evidence = Evidence::of_all(&folder(), &lists)?;
    let members = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for Evidence { package, .. } in &evidence {
        let tests = members.join(package).join("tests");
        if !tests.join("conformance.rs").exists() && !tests.join("conformance").exists() {
            return Err(format!("there is evidence of {package}, which has no test of that kind"));
        }
    }
    let mut wrong = gaps(&lists, &Layer::ALL, &evidence.iter().collect::<Vec<_>>());
    let path = members.join("docs").join("CONFORMANCE.md");
    let text = document(&lists, &evidence);
    let command = "cargo test -p conformance --test document";
    wrong.extend(check_file(&path, &text, is_writing(), command).err());
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}
