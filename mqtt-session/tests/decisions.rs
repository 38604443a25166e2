//! `docs/DECISIONS.md` answers every question of the list it names, and each answer has the test that
//! it says it has.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// How many questions the list has: A01 to A55.
const QUESTIONS: usize = 55;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A row of the table of a section: its cells.
fn rows(document: &str) -> Vec<(&str, Vec<&str>)> {
    let mut section = "";
    let mut rows = Vec::new();
    for line in document.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        } else if let Some(row) = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            if !cells[0].starts_with("id") && !cells[0].starts_with("---") {
                rows.push((section, cells));
            }
        }
    }
    rows
}

/// All that the tests of a crate in the file or folder of this name say.
fn source(crate_name: &str, label: &str) -> String {
    let root = root().join(crate_name);
    let place = match label.strip_suffix(" (unit tests)") {
        Some(module) => root.join("src").join(module),
        None => root.join("tests").join(label),
    };
    let mut text = fs::read_to_string(place.with_extension("rs")).unwrap_or_default();
    let Ok(files) = fs::read_dir(&place) else { return text };
    for file in files {
        let path = file.expect("a file of the folder").path();
        text += &fs::read_to_string(path).unwrap_or_default();
    }
    text
}

#[test]
fn every_question_has_an_answer() {
    let document = fs::read_to_string(root().join("docs/DECISIONS.md")).expect("it is there");
    let rows = rows(&document);
    let asked = (1..=QUESTIONS).map(|number| format!("A{number:02}"));
    let answered =
        |id: &String| rows.iter().any(|(_, cells)| cells[0].split(", ").any(|cell| cell == id));
    let open: Vec<_> = asked.filter(|id| !answered(id)).collect();
    assert!(open.is_empty(), "without an answer: {open:?}");
}

#[test]
fn every_test_that_is_named_exists() {
    let document = fs::read_to_string(root().join("docs/DECISIONS.md")).expect("it is there");
    let mut count = 0;
    for (section, cells) in rows(&document) {
        let crate_name = match section {
            "Session" => "mqtt-session",
            "Broker" => "mqtt-broker-lite",
            // Its tests are packets in tables, which are compared with the vectors.
            _ => continue,
        };
        assert_eq!(cells.len(), 4, "{cells:?}");
        let mut label = "";
        for (at, part) in cells[3].split('`').enumerate() {
            if at % 2 == 0 {
                // What stands before a name and a colon is its file; without it the last one holds.
                if let Some((before, _)) = part.rsplit_once(':') {
                    label = before.trim_start_matches([',', ';', ' ']);
                }
            } else if !part.contains(' ') {
                let test = format!("fn {part}(");
                assert!(source(crate_name, label).contains(&test), "{label}: {part}: {cells:?}");
                count += 1;
            }
        }
    }
    assert!(count > 70, "only {count} tests were found in the document");
}
