//! The lists of statements.

use std::{collections::BTreeMap, fmt};

/// Where a test of a statement belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Bytes in, value or error out; topic names and filters.
    Codec,
    /// The state machine of either side.
    Session,
    /// What a client does with limits, options and calls.
    Client,
    /// Routing, subscriptions, retained messages, wills, policy.
    Broker,
    /// Closing and framing of streams.
    Transport,
}

/// What an assertion looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// What a decoder accepts and refuses, and what it makes of it.
    Decode,
    /// What an encoder, or the constructor of a value, writes and refuses.
    Encode,
    /// What the layers above the codec do.
    Act,
}

impl Layer {
    /// All of them, from the bytes upwards.
    pub const ALL: [Self; 5] =
        [Self::Codec, Self::Session, Self::Client, Self::Broker, Self::Transport];

    /// The word in the lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Codec => "codec",
            Self::Session => "session",
            Self::Client => "client",
            Self::Broker => "broker",
            Self::Transport => "transport",
        }
    }

    fn parse(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|layer| layer.name() == word)
            .ok_or_else(|| format!("there is no layer {word:?}"))
    }
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Decode, Self::Encode, Self::Act];

    /// The word in the lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Encode => "encode",
            Self::Act => "act",
        }
    }

    pub(crate) fn parse(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|direction| direction.name() == word)
            .ok_or_else(|| format!("there is no direction {word:?}"))
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One row of a list.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The id with its version, `v5 MQTT-1.5.4-2`.
    pub name: String,
    /// The section of the standard.
    pub section: String,
    /// Whose tests answer for it.
    pub layer: Layer,
    /// What must hold.
    pub summary: String,
    /// The directions that need an assertion. `None` as long as nobody decided; empty if no code of ours could break
    /// it, and then `reason` says why.
    pub directions: Option<Vec<Direction>>,
    /// Why there is nothing to check, or one direction only.
    pub reason: Option<String>,
}

/// All statements, by name, in the order of the lists.
#[derive(Clone, Debug)]
pub struct Lists {
    statements: Vec<Statement>,
    by_name: BTreeMap<String, usize>,
    finished: Vec<Layer>,
}

const V5: &str = include_str!("../data/mqtt-5.0.tsv");
const V311: &str = include_str!("../data/mqtt-3.1.1.tsv");
const UNNUMBERED: &str = include_str!("../data/mqtt-5.0-unnumbered.tsv");
const LAYERS: &str = include_str!("../data/layers.tsv");

impl Lists {
    /// Those of the project.
    ///
    /// # Panics
    /// If they break a rule of [`parse`](Self::parse).
    #[must_use]
    pub fn project() -> Self {
        Self::parse(&[("v5", V5), ("v3.1.1", V311), ("v5", UNNUMBERED)], LAYERS)
            .unwrap_or_else(|error| panic!("conformance/data: {error}"))
    }

    /// Reads lists, each with the version that goes before its ids, and the table of layers.
    ///
    /// # Errors
    /// What is wrong with them: an id twice, a word that stands for nothing, a direction that its layer does not have
    /// or has not decided though it is finished, a missing reason.
    pub fn parse(lists: &[(&str, &str)], layers: &str) -> Result<Self, String> {
        let mut parsed =
            Self { statements: Vec::new(), by_name: BTreeMap::new(), finished: Vec::new() };
        for line in layers.lines().skip(1) {
            match line.split_once('\t') {
                Some((layer, "finished")) => parsed.finished.push(Layer::parse(layer)?),
                Some((layer, "open")) => _ = Layer::parse(layer)?,
                _ => return Err(format!("neither finished nor open: {line:?}")),
            }
        }
        for (version, list) in lists {
            for line in list.lines().skip(1) {
                let statement = parsed
                    .statement(version, line)
                    .map_err(|error| format!("{version} {line:?}: {error}"))?;
                let at = parsed.statements.len();
                if parsed.by_name.insert(statement.name.clone(), at).is_some() {
                    return Err(format!("{} is in the lists twice", statement.name));
                }
                parsed.statements.push(statement);
            }
        }
        Ok(parsed)
    }

    fn statement(&self, version: &str, line: &str) -> Result<Statement, String> {
        let cells: Vec<_> = line.split('\t').collect();
        let [id, section, _, layer, checks, reason, summary, _] = cells[..] else {
            return Err("8 cells wanted".into());
        };
        let layer = Layer::parse(layer)?;
        let directions = match checks {
            "-" if self.is_finished(layer) => {
                return Err("its layer is finished, so what is checked must be decided".into());
            }
            "-" => None,
            "none" => Some(Vec::new()),
            some => Some(some.split(',').map(Direction::parse).collect::<Result<Vec<_>, _>>()?),
        };
        let reason = (reason != "-").then(|| reason.to_owned());
        if let Some(directions) = &directions {
            if directions.iter().any(|&one| (one == Direction::Act) == (layer == Layer::Codec)) {
                return Err(format!("{checks} is not for the layer {layer}"));
            }
            let all = if layer == Layer::Codec { 2 } else { 1 };
            if directions.len() != all && reason.is_none() {
                return Err("a reason is missing".into());
            }
        }
        Ok(Statement {
            name: format!("{version} {id}"),
            section: section.into(),
            layer,
            summary: summary.into(),
            directions,
            reason,
        })
    }

    /// All statements, in the order of the lists.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The place of a statement among all.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Whether every statement of this layer must be checked.
    #[must_use]
    pub fn is_finished(&self, layer: Layer) -> bool {
        self.finished.contains(&layer)
    }
}
