//! Writes what was measured into the tables of a document.

use std::{error::Error, fs, io, process::Command};

use super::{Result, wall};
use crate::{
    figures::{CODECS, Figures, Measure, SESSIONS, load},
    peers::peers,
};

/// Puts each table between the two lines `<!-- table: NAME -->` and `<!-- end -->`. What was not
/// measured here stays as it is.
pub fn run(path: &str) -> Result {
    let document = fs::read_to_string(path)?;
    Ok(fs::write(path, fill(&document, table)?)?)
}

fn fill(document: &str, table: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut lines = document.lines();
    let mut out = String::new();
    while let Some(line) = lines.next() {
        out += &format!("{line}\n");
        let name = line.strip_prefix("<!-- table: ").and_then(|rest| rest.strip_suffix(" -->"));
        let Some(name) = name else { continue };
        let mut old = Vec::new();
        loop {
            match lines.next() {
                Some("<!-- end -->") => break,
                Some(line) => old.push(line),
                None => return Err(format!("{name}: has no end").into()),
            }
        }
        let table = match table(name) {
            Err(error) if is_missing(&*error) => old.join("\n"),
            table => table.map_err(|error| format!("{name}: {error}"))?,
        };
        out += &format!("\n{}\n\n<!-- end -->\n", table.trim());
    }
    Ok(out)
}

fn is_missing(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn table(name: &str) -> Result<String> {
    let figures =
        |measure: &Measure| -> Result<String> { Ok(Figures::load(measure)?.to_markdown(measure)) };
    Ok(match name {
        "machine" => machine()?,
        "bars" => markdown(&load("bars")?, |_| true),
        "comparison" => wall::comparison(&Figures::load(&CODECS.wall)?),
        "wall" => figures(&CODECS.wall)?,
        "instructions" => figures(&CODECS.instructions)?,
        "allocations" => figures(&CODECS.allocations)?,
        "sessions-bars" => markdown(&load("sessions-bars")?, |_| true),
        "sessions-wall" => figures(&SESSIONS.wall)?,
        "sessions-instructions" => figures(&SESSIONS.instructions)?,
        "sessions-allocations" => figures(&SESSIONS.allocations)?,
        "sizes" => markdown(&load("sizes")?, |_| true),
        "vectors" => vectors()?,
        _ => return Err("there is no such table".into()),
    })
}

/// A tab-separated table with those of its rows.
fn markdown(tsv: &str, is_wanted: impl Fn(&str) -> bool) -> String {
    let mut lines = tsv.lines();
    let row = |line: &str| format!("| {} |\n", line.replace('\t', " | "));
    let head = lines.next().unwrap_or_default();
    let rule = format!("|{}\n", "---|".repeat(head.split('\t').count()));
    let rows = lines.filter(|line| is_wanted(line)).map(row);
    row(head) + &rule + &rows.collect::<String>()
}

/// Of ours alone: this is no place to speak of others.
fn vectors() -> Result<String> {
    let mut text =
        String::from("| packets | of | accepted | refused | other |\n|---|---|--:|--:|--:|\n");
    for name in ["malformed", "wellformed"] {
        let rows = load(name)?;
        for peer in peers().iter().filter(|peer| peer.is_ours()) {
            let rows = rows.lines().map(|line| line.split('\t').collect::<Vec<_>>());
            let outcomes: Vec<_> =
                rows.filter(|row| row[2] == peer.name).map(|row| row[3].to_owned()).collect();
            if outcomes.is_empty() {
                continue;
            }
            let count = |what| outcomes.iter().filter(|outcome| *outcome == what).count();
            let [accepted, refused] = ["accepted", "refused"].map(count);
            let other = outcomes.len() - accepted - refused;
            text += &format!("| {name} | {} | {accepted} | {refused} | {other} |\n", peer.name);
        }
    }
    Ok(text)
}

/// The processor, and the versions of what made the figures.
fn machine() -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<_> = info
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split_once(": "))
        .collect();
    let model = models.first().map_or("unknown processor", |(_, model)| model);
    let version = |program: &str| -> Result<String> {
        let output = Command::new(program).arg("--version").output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    Ok(format!(
        "{model}, {} processors; {}; {}.",
        models.len(),
        version("rustc")?,
        version("valgrind")?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_was_not_measured_stays() {
        let document = "a\n<!-- table: new -->\n\nx\n\n<!-- end -->\nb\n\
                        <!-- table: kept -->\n\ny\n\n<!-- end -->\nc\n";
        let table = |name: &str| match name {
            "new" => Ok("z".into()),
            "kept" => Err(io::Error::from(io::ErrorKind::NotFound).into()),
            name => Err(name.into()),
        };
        assert_eq!(fill(document, table).unwrap(), document.replace('x', "z"));
        assert!(fill("<!-- table: none -->\n<!-- end -->\n", table).is_err());
        assert!(fill("<!-- table: new -->\n", table).is_err());
    }
}
