//! A breadth-first search through every state.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    format,
    rc::Rc,
    string::String,
    vec,
    vec::Vec,
};
use core::{cell::RefCell, fmt};
use std::panic::{AssertUnwindSafe, catch_unwind};

use mqtt_proto::Role;

use super::{
    ledger::{Broken, broken},
    setup::{Action, Step},
    world::World,
};

/// What was found.
pub(super) struct Report {
    pub(super) states: usize,
    pub(super) steps: usize,
    /// The length of the longest shortest way to a state.
    pub(super) depth: usize,
}

/// The shortest way to a state that should not be.
pub(super) struct Counterexample {
    broken: Broken,
    story: Vec<String>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.story.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        write!(f, "broken: {}: {}", self.broken.rule, self.broken.how)
    }
}

struct Search {
    first: World,
    /// How each state was reached first.
    reached: Vec<(u32, Option<Step>)>,
    numbers: BTreeMap<u128, u32>,
    /// From state to state by what happens by itself.
    progress: Vec<(u32, u32)>,
}

/// Explores everything that can come of this state: at most so many states, beyond which there is no
/// end in sight.
pub(super) fn explore(first: World, most: usize) -> Result<Report, Box<Counterexample>> {
    let mut search = Search {
        numbers: BTreeMap::from([(first.fingerprint(), 0)]),
        reached: vec![(0, None)],
        progress: Vec::new(),
        first: first.clone(),
    };
    let (mut steps, mut depth) = (0, 0);
    let mut queue = VecDeque::from([(0, 0, Box::new(first))]);
    while let Some((number, far, world)) = queue.pop_front() {
        let mut rests = true;
        depth = far;
        for (step, next) in successors(&world) {
            let (next, fingerprint) = match next {
                Ok(next) => next,
                Err(broken) => return Err(search.tell(number, Some(step), broken)),
            };
            steps += 1;
            let known = search.reached.len() as u32;
            let at = *search.numbers.entry(fingerprint).or_insert(known);
            if at == known {
                search.reached.push((number, Some(step)));
                queue.push_back((known, far + 1, next));
            }
            if step.crash.is_none() && step.action.is_progress() {
                rests = false;
                search.progress.push((number, at));
            }
        }
        if rests && let Err(broken) = world.check_rest() {
            return Err(search.tell(number, None, broken));
        }
        if search.reached.len() > most {
            let how = format!("{most} states, and no end in sight");
            return Err(search.tell(number, None, broken("bounds", how)));
        }
    }
    if let Some(at) = search.round() {
        return Err(search.tell(at, None, broken("progress", "from here it goes round for ever")));
    }
    Ok(Report { states: search.reached.len(), steps, depth })
}

/// What comes of a step and its fingerprint, or what is wrong with it.
type Next = Result<(Box<World>, u128), Broken>;

/// Everything that can happen next. A crash is possible after each commit of an action; before the
/// first it is as good as one before the action.
fn successors(world: &World) -> Vec<(Step, Next)> {
    let mut found = Vec::new();
    for action in Action::all() {
        let step = Step { action, crash: None };
        let Some(next) = attempt(world, step) else { continue };
        let commits = next.as_ref().map_or([0; 2], |(next, _)| next.commits);
        found.push((step, next));
        for (whose, commits) in [Role::Client, Role::Server].into_iter().zip(commits) {
            let crashes = (1..=commits).map(|commits| Some((whose, commits)));
            let steps = crashes.map(|crash| Step { action, crash });
            found.extend(steps.filter_map(|step| Some((step, attempt(world, step)?))));
        }
    }
    found
}

/// A panic of the code is a broken promise too.
fn attempt(world: &World, step: Step) -> Option<Next> {
    let next = || {
        let next = world.after(step)?;
        Some(next.map(|next| (next.fingerprint(), next)).map(|(print, next)| (next, print)))
    };
    catch_unwind(AssertUnwindSafe(next)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|&text| String::from(text)));
        Some(Err(broken("no panic", said.unwrap_or_default())))
    })
}

impl Search {
    /// Goes to the state once more and writes down what happens on the way.
    fn tell(&self, to: u32, last: Option<Step>, broken: Broken) -> Box<Counterexample> {
        let mut steps = Vec::from_iter(last);
        let mut at = to;
        while let (before, Some(step)) = self.reached[at as usize] {
            steps.push(step);
            at = before;
        }
        let lines = Rc::new(RefCell::new(Vec::new()));
        let mut world = Box::new(self.first.clone());
        world.story = Some(Rc::clone(&lines));
        let mut story = Vec::new();
        for (number, step) in steps.into_iter().rev().enumerate() {
            let Step { action, crash } = step;
            let ends = |(whose, commits)| format!(", {whose:?} ends after commit {commits}");
            let ends = crash.map(ends).unwrap_or_default();
            story.push(format!("{:>3} {action:?}{ends}", number + 1));
            if let Some(Ok((next, _))) = attempt(&world, step) {
                world = next;
            }
            story.extend(lines.take().into_iter().map(|line| format!("      {line}")));
        }
        Box::new(Counterexample { broken, story })
    }

    /// A state on a way that leads back to itself, by what happens by itself alone. States from
    /// which no way leads are taken away until none is left, or every one left leads to another.
    fn round(&mut self) -> Option<u32> {
        let mut leaving = vec![0u32; self.reached.len()];
        self.progress.iter().for_each(|&(from, _)| leaving[from as usize] += 1);
        self.progress.sort_unstable_by_key(|&(_, to)| to);
        let ends = (0..leaving.len() as u32).filter(|&at| leaving[at as usize] == 0);
        let mut ends = Vec::from_iter(ends);
        while let Some(end) = ends.pop() {
            let start = self.progress.partition_point(|&(_, to)| to < end);
            for &(from, _) in self.progress[start..].iter().take_while(|&&(_, to)| to == end) {
                leaving[from as usize] -= 1;
                if leaving[from as usize] == 0 {
                    ends.push(from);
                }
            }
        }
        (0..leaving.len() as u32).find(|&at| leaving[at as usize] > 0)
    }
}
