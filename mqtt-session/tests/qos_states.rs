//! The whole of QoS 1 and 2, cell by cell, as the standard has it.
//!
//! `data/qos-states.tsv` was written from section 4.3 of the standard and the decisions on what it
//! leaves open, not from the code. It has every state with every input, the step that is to be
//! taken, and the statement that says so. `docs/QOS-STATES.md` is printed from it; with
//! `QOS_STATES=write` in the environment this test writes it.

use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf};

use mqtt_session::{
    proto::QoS,
    qos::transition::{
        AckInput, ReceiveState, SendState, Verdict, on_ack, on_publish, on_pubrel, on_verdict,
    },
};

const TABLE: &str = include_str!("data/qos-states.tsv");

/// Function, state and input of a cell.
type Cell = (&'static str, String, &'static str);

/// Every cell there is, and what the code does in it.
fn cells() -> BTreeMap<Cell, String> {
    let mut cells = BTreeMap::new();
    let name = |state: Option<&dyn core::fmt::Debug>| match state {
        None => "-".to_owned(),
        Some(state) => format!("{state:?}"),
    };
    for state in [None].into_iter().chain(SendState::ALL.map(Some)) {
        for input in AckInput::ALL {
            let word = match input {
                AckInput::PubAck => "PUBACK",
                AckInput::PubRec => "PUBREC",
                AckInput::PubRecError => "PUBREC error",
                AckInput::PubComp => "PUBCOMP",
            };
            let name = name(state.as_ref().map(|state| state as _));
            cells.insert(("on_ack", name, word), format!("{:?}", on_ack(state, input)));
        }
    }
    for state in [None].into_iter().chain(ReceiveState::ALL.map(Some)) {
        let name = || name(state.as_ref().map(|state| state as _));
        let mut cell = |function, word, step| cells.insert((function, name(), word), step);
        for (qos, word) in [
            (QoS::AtMostOnce, "PUBLISH QoS 0"),
            (QoS::AtLeastOnce, "PUBLISH QoS 1"),
            (QoS::ExactlyOnce, "PUBLISH QoS 2"),
        ] {
            cell("on_publish", word, format!("{:?}", on_publish(state, qos)));
        }
        for (verdict, word) in Verdict::ALL.into_iter().zip(["accepted", "refused"]) {
            cell("on_verdict", word, format!("{:?}", on_verdict(state, verdict)));
        }
        cell("on_pubrel", "PUBREL", format!("{:?}", on_pubrel(state)));
    }
    cells
}

struct Row {
    function: &'static str,
    state: &'static str,
    input: &'static str,
    step: &'static str,
    versions: &'static str,
    statements: &'static str,
    why: &'static str,
}

fn rows() -> Vec<Row> {
    let row = |line: &'static str| {
        let columns: Vec<_> = line.split('\t').collect();
        let [function, state, input, step, versions, statements, why] = columns[..] else {
            panic!("seven columns: {line}");
        };
        Row { function, state, input, step, versions, statements, why }
    };
    TABLE.lines().skip(1).map(row).collect()
}

#[test]
fn every_cell_is_as_the_standard_says() {
    let mut cells = cells();
    assert_eq!(cells.len(), 4 * 4 + 4 * (3 + 2 + 1));
    for Row { function, state, input, step, .. } in rows() {
        let cell = (function, state.to_owned(), input);
        let done = cells.remove(&cell);
        assert_eq!(done.as_deref(), Some(step), "{cell:?}, which the table has once");
    }
    assert!(cells.is_empty(), "not in the table: {cells:?}");
}

fn document() -> String {
    let mut text = String::from(
        "# The states of QoS 1 and 2\n\n\
         All that the two exchanges of section 4.3 can do, one row for each state and input. The code is\n\
         [`transition.rs`](../mqtt-session/src/qos/transition.rs): four functions, which know neither role nor version.\n\
         This file is printed from [a table](../mqtt-session/tests/data/qos-states.tsv) that was written from the\n\
         standard; `cargo test -p mqtt-session --test qos_states` compares the code with every row, and this file with\n\
         the table. `-` is no exchange of this identifier. `A` and a number is a row of [the decisions](DECISIONS.md).\n",
    );
    let functions = [
        ("on_ack", "The sender gets an answer"),
        ("on_publish", "The receiver gets a PUBLISH"),
        ("on_verdict", "The application accepts or refuses a message"),
        ("on_pubrel", "The receiver gets a PUBREL"),
    ];
    for (function, title) in functions {
        let head = "| state | input | step | versions | says | why |\n| --- | --- | --- | --- | --- | --- |";
        let _ = writeln!(text, "\n## {title}: `{function}`\n\n{head}");
        for row in rows().iter().filter(|row| row.function == function) {
            let Row { state, input, step, versions, statements, why, .. } = row;
            let _ = writeln!(
                text,
                "| {state} | {input} | `{step}` | {versions} | {statements} | {why} |"
            );
        }
    }
    text
}

#[test]
fn the_document_has_the_same_table() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/QOS-STATES.md");
    if std::env::var("QOS_STATES").is_ok_and(|what| what == "write") {
        fs::write(&path, document()).expect("the document can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == document(),
        "docs/QOS-STATES.md is stale: QOS_STATES=write cargo test -p mqtt-session --test qos_states"
    );
}
