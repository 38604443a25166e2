//! Section 4.4, exhaustively: every scenario of a table, with its connection cut at every byte of
//! either direction, once and twice, and held against what section 4.3 promises both applications.

mod common;
#[path = "cuts/ledger.rs"]
mod ledger;
#[path = "cuts/pipe.rs"]
mod pipe;
#[path = "cuts/scenario.rs"]
mod scenario;
#[path = "cuts/table.rs"]
mod table;
#[path = "cuts/world.rs"]
mod world;

use std::{
    any::Any,
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use scenario::{Forget, Scenario};
use table::ROWS;
use world::{Cut, Report, World};

/// How many pairs of cuts of one scenario are played, about: if there are more, every n-th.
const PAIRS: usize = 60_000;

/// How many different runs there were.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    once: usize,
    twice: usize,
    /// Every so many pairs were played.
    stride: usize,
}

#[test]
fn a_connection_cut_at_any_two_bytes_costs_nothing_that_was_promised() {
    let scenarios: Vec<_> = ROWS.iter().flat_map(|row| row.scenarios()).collect();
    let (mut total, mut failed) = (0, Vec::new());
    println!("cut once  cut twice  of  scenario");
    for scenario in &scenarios {
        let name = format!("{}, {}", scenario.name, scenario.version);
        match catch_unwind(|| Sweep::new(scenario).run()) {
            Ok(Tally { once, twice, stride }) => {
                println!("{once:8} {twice:10} 1/{stride:<2} {name}");
                total += once + twice;
            }
            // What happened is printed already.
            Err(_) => failed.push(name),
        }
    }
    println!("{total} runs of {} scenarios", scenarios.len());
    assert!(failed.is_empty(), "{} scenarios failed: {failed:#?}", failed.len());
    assert!(ROWS.len() >= 20);
    assert!(total >= 1_000_000);
}

struct Sweep<'a> {
    scenario: &'a Scenario,
    /// The run without a cut.
    reference: Report,
}

impl<'a> Sweep<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let reference = play(scenario, &[], None);
        assert_eq!(reference.aliased > 0, scenario.settings.aliases > 0, "{}", scenario.name);
        Self { scenario, reference }
    }

    fn run(&self) -> Tally {
        let (once, edge) = self.cut_once();
        let (twice, stride) = self.cut_twice(edge);
        Tally { once, twice, stride }
    }

    /// Every number of bytes up with every number of bytes down that can have arrived when the
    /// connection ended. How many they are, and those of them that lie on an edge.
    fn cut_once(&self) -> (usize, BTreeSet<Cut>) {
        let (ups, downs) = lines(self.reference.arrived[0]);
        // All that can come the other way still comes.
        let ups: Vec<_> = ups.map(|cut| self.cut(&[cut]).arrived[0]).collect();
        let downs: Vec<_> = downs.map(|cut| self.cut(&[cut]).arrived[0]).collect();
        let mut count = 0;
        for full_up in &ups {
            for full_down in downs.iter().filter(|cut| cut.down < full_up.down) {
                if full_up.up < full_down.up {
                    let cut = Cut { up: full_up.up, down: full_down.down };
                    assert_eq!(self.cut(&[cut]).arrived[0], cut);
                    count += 1;
                }
            }
        }
        let mut edge: BTreeSet<_> = ups.into_iter().chain(downs).collect();
        count += edge.len();
        // And the bytes in their order, where what is under way both ways is lost.
        edge.extend(by_bytes(&self.reference.paths[0]));
        (count, edge)
    }

    /// A second cut on the connection that followed the first one: after every byte of either
    /// direction, with all that still comes the other way, and with nothing more. If that makes
    /// more than [`PAIRS`], every n-th second cut for each first one, beginning with another one
    /// each time. How many different ones were played, and n.
    fn cut_twice(&self, firsts: BTreeSet<Cut>) -> (usize, usize) {
        let pairs: Vec<_> = firsts
            .into_iter()
            .map(|first| {
                let report = self.cut(&[first]);
                let (ups, downs) = lines(report.arrived[1]);
                let seconds = ups.chain(downs).chain(by_bytes(&report.paths[1]));
                (first, seconds.collect::<Vec<_>>())
            })
            .collect();
        let all: usize = pairs.iter().map(|(_, seconds)| seconds.len()).sum();
        let stride = all.div_ceil(PAIRS);
        let mut count = 0;
        for (at, (first, seconds)) in pairs.iter().enumerate() {
            let mut seen = BTreeSet::new();
            for second in seconds.iter().skip(at % stride).step_by(stride) {
                if !seen.contains(second) {
                    count += usize::from(seen.insert(self.cut(&[*first, *second]).arrived[1]));
                }
            }
        }
        (count, stride)
    }

    fn cut(&self, cuts: &[Cut]) -> Report {
        play(self.scenario, cuts, Some(&self.reference))
    }
}

/// The cuts in one direction, each with all that can come the other way.
fn lines(total: Cut) -> (impl Iterator<Item = Cut>, impl Iterator<Item = Cut>) {
    let ups = (0..=total.up).map(|up| Cut { up, ..Cut::NONE });
    let downs = (0..=total.down).map(|down| Cut { down, ..Cut::NONE });
    (ups, downs)
}

/// Each byte of a path that goes on in one direction at a time.
fn by_bytes(path: &[Cut]) -> impl Iterator<Item = Cut> {
    path.windows(2).flat_map(|ends| {
        let (from, to) = (ends[0], ends[1]);
        (from.up..=to.up)
            .flat_map(move |up| (from.down..=to.down).map(move |down| Cut { up, down }))
    })
}

/// One run, with everything that was promised checked. A failure says which run it was and what
/// happened in it.
fn play(scenario: &Scenario, cuts: &[Cut], reference: Option<&Report>) -> Report {
    let attempt = |trace: Option<&mut Vec<String>>| {
        catch_unwind(AssertUnwindSafe(|| {
            let report = World::play(scenario, cuts, trace);
            reference.inspect(|reference| compare(scenario, reference, &report));
            report
        }))
    };
    attempt(None).unwrap_or_else(|_| {
        let mut trace = Vec::new();
        let failure = attempt(Some(&mut trace)).expect_err("a run can be repeated");
        let (name, version, trace) = (scenario.name, scenario.version, trace.join("\n"));
        panic!("{name}, {version}, {cuts:?}\n{trace}\n{}", text(&*failure));
    })
}

fn text(failure: &(dyn Any + Send)) -> &str {
    match (failure.downcast_ref::<String>(), failure.downcast_ref::<&str>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "",
    }
}

/// Where the session lasts, what was delivered in the end is what would have been without a cut.
fn compare(scenario: &Scenario, reference: &Report, report: &Report) {
    if !scenario.settings.lasts || scenario.settings.forget != Forget::Never {
        return;
    }
    for (reference, harvest) in reference.harvest.iter().zip(&report.harvest) {
        for (index, message) in scenario.messages.iter().enumerate() {
            if let (Some(expected), Some(found)) = (reference[index], harvest[index]) {
                assert_eq!(found, expected, "deliveries of '{}' at the end", message.text);
            }
        }
    }
}
