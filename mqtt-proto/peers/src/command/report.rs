//! Writes what was measured into the tables of a document.

use std::{fs, process::Command};

use super::{Result, wall};
use crate::{
    figures::{CODECS, Figures, Measure, SESSIONS, load},
    peers::peers,
};

/// Puts each table between the two lines `<!-- table: NAME -->` and `<!-- end -->`.
pub fn run(path: &str) -> Result {
    let document = fs::read_to_string(path)?;
    let mut lines = document.lines();
    let mut out = String::new();
    while let Some(line) = lines.next() {
        out += &format!("{line}\n");
        let name = line.strip_prefix("<!-- table: ").and_then(|rest| rest.strip_suffix(" -->"));
        let Some(name) = name else { continue };
        if !lines.any(|line| line == "<!-- end -->") {
            return Err(format!("{name}: has no end").into());
        }
        let table = table(name).map_err(|error| format!("{name}: {error}"))?;
        out += &format!("\n{}\n\n<!-- end -->\n", table.trim());
    }
    Ok(fs::write(path, out)?)
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
