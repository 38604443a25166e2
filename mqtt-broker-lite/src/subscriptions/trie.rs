//! The filters that one look-up cannot find: those with wildcards and those behind a share name,
//! one node per level.
//!
//! All nodes are in one slab and all literal edges in one table, so nothing here recurses, walking
//! and dropping included, and a node with a million children is as fast as one with two. A walk
//! looks at each node at most once, and only at nodes whose path matches the beginning of the name;
//! its stack is no deeper than the name.

use alloc::{boxed::Box, vec::Vec};

use super::{
    Group,
    hash::{Seed, edge},
    slab::{Id, Slab},
    table::Table,
};

#[derive(Debug)]
pub(super) struct Trie {
    nodes: Slab<Node>,
    /// Nodes by parent and level, without those for `+`.
    edges: Table<Node>,
    root: Option<Id<Node>>,
}

/// A level of one or more filters, below the levels before it.
#[derive(Debug)]
pub(super) struct Node {
    /// Empty for the root, and never looked at for a `+`.
    level: Level,
    /// `None` for the root.
    parent: Option<Id<Self>>,
    /// The way on for filters with a `+` behind this level, and more behind that.
    plus: Option<Id<Self>>,
    /// The first of the groups whose filter ends here.
    end: Option<Id<Group>>,
    /// The first of the groups whose filter has a last `+` behind this level.
    one: Option<Id<Group>>,
    /// The first of the groups whose filter has `#` behind this level.
    rest: Option<Id<Group>>,
    /// How many edges lead on, without `+`.
    literals: u32,
}

/// What a walk needs to remember; kept by the caller so that it is allocated once.
#[derive(Debug, Default)]
pub(super) struct Walk {
    stack: Vec<Step>,
    levels: Vec<NameLevel>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    node: Id<Node>,
    /// How many levels of the name lead here.
    depth: usize,
}

#[derive(Clone, Copy, Debug)]
struct NameLevel {
    start: usize,
    end: usize,
    hash: u64,
}

/// The text of a level: almost always short, and then without an allocation.
#[derive(Debug)]
enum Level {
    Short { len: u8, bytes: [u8; Self::SHORT] },
    Long(Box<[u8]>),
}

impl Trie {
    pub(super) fn new() -> Self {
        Self { nodes: Slab::new(), edges: Table::new(), root: None }
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.nodes.len()
    }

    #[cfg(test)]
    pub(super) fn capacities(&self) -> [usize; 2] {
        [self.nodes.capacity(), self.edges.capacity()]
    }

    /// Makes the path of a filter, without a wildcard at its end, and tells where it leads.
    pub(super) fn insert(&mut self, filter: &[u8], seed: &Seed) -> Id<Node> {
        let mut node = match self.root {
            Some(root) => root,
            None => *self.root.insert(self.nodes.insert(Node::new(b"", None))),
        };
        let mut levels = filter.split(|&byte| byte == b'/').peekable();
        while let Some(level) = levels.next() {
            if levels.peek().is_none() && matches!(level, b"+" | b"#") {
                break;
            }
            node = self.descend(node, level, seed);
        }
        node
    }

    /// The first of the groups with this filter, whose path leads to `node`.
    pub(super) fn groups_mut(&mut self, node: Id<Node>, filter: &[u8]) -> &mut Option<Id<Group>> {
        let node = &mut self.nodes[node];
        // A wildcard is always a level of its own [MQTT-4.7.1-1] [MQTT-4.7.1-2].
        match filter.last() {
            Some(b'#') => &mut node.rest,
            Some(b'+') => &mut node.one,
            _ => &mut node.end,
        }
    }

    /// Removes a node without groups and edges, and every node that has none then.
    pub(super) fn prune(&mut self, mut id: Id<Node>, seed: &Seed) {
        while self.nodes[id].is_empty() {
            let Some(parent) = self.nodes[id].parent else {
                self.nodes.remove(id);
                self.root = None;
                return;
            };
            if self.nodes[parent].plus == Some(id) {
                self.nodes[parent].plus = None;
            } else {
                self.edges.remove(self.nodes[id].hash(seed), id);
                self.nodes[parent].literals -= 1;
            }
            self.nodes.remove(id);
            id = parent;
        }
    }

    /// Tells the first group of every filter that matches the name, and returns how many nodes were
    /// looked at.
    pub(super) fn walk(
        &self,
        name: &[u8],
        seed: &Seed,
        walk: &mut Walk,
        mut found: impl FnMut(Id<Group>),
    ) -> usize {
        let Some(root) = self.root else { return 0 };
        let mut visited = 0;
        walk.levels.clear();
        walk.stack.clear();
        walk.stack.push(Step { node: root, depth: 0 });
        while let Some(Step { node: id, depth }) = walk.stack.pop() {
            visited += 1;
            let node = &self.nodes[id];
            // No wildcard stands for a first level that begins with `$` [MQTT-4.7.2-1].
            let wildcards = depth > 0 || name.first() != Some(&b'$');
            if let Some(group) = node.rest.filter(|_| wildcards) {
                found(group);
            }
            let Some(level) = walk.level(name, seed, depth) else {
                if let Some(group) = node.end {
                    found(group);
                }
                continue;
            };
            if let Some(group) = node.one.filter(|_| wildcards && level.end == name.len()) {
                found(group);
            }
            let literal = self.literal(id, &name[level.start..level.end], level.hash);
            for next in [literal, node.plus.filter(|_| wildcards)].into_iter().flatten() {
                walk.stack.push(Step { node: next, depth: depth + 1 });
            }
        }
        visited
    }

    fn descend(&mut self, parent: Id<Node>, level: &[u8], seed: &Seed) -> Id<Node> {
        if level == b"+" {
            if let Some(plus) = self.nodes[parent].plus {
                return plus;
            }
            let plus = self.nodes.insert(Node::new(b"", Some(parent)));
            self.nodes[parent].plus = Some(plus);
            return plus;
        }
        let hash = seed.text(level);
        if let Some(node) = self.literal(parent, level, hash) {
            return node;
        }
        let id = self.nodes.insert(Node::new(level, Some(parent)));
        let nodes = &self.nodes;
        self.edges.insert(edge(hash, parent.get()), id, |id| nodes[id].hash(seed));
        self.nodes[parent].literals += 1;
        id
    }

    fn literal(&self, parent: Id<Node>, level: &[u8], hash: u64) -> Option<Id<Node>> {
        let found = |id| {
            let node: &Node = &self.nodes[id];
            node.parent == Some(parent) && node.level.as_bytes() == level
        };
        self.edges.find(edge(hash, parent.get()), found)
    }
}

impl Node {
    fn new(level: &[u8], parent: Option<Id<Self>>) -> Self {
        Self {
            level: Level::new(level),
            parent,
            plus: None,
            end: None,
            one: None,
            rest: None,
            literals: 0,
        }
    }

    fn is_empty(&self) -> bool {
        let groups = self.end.or(self.one).or(self.rest);
        groups.is_none() && self.plus.is_none() && self.literals == 0
    }

    /// Of the edge that leads here.
    fn hash(&self, seed: &Seed) -> u64 {
        edge(seed.text(self.level.as_bytes()), self.parent.map_or(0, Id::get))
    }
}

impl Walk {
    #[cfg(test)]
    pub(super) const fn capacity(&self) -> usize {
        self.stack.capacity() + self.levels.capacity()
    }

    /// The level of the name at this depth, `None` at its end; found and hashed when first asked
    /// for.
    fn level(&mut self, name: &[u8], seed: &Seed, depth: usize) -> Option<NameLevel> {
        if depth == self.levels.len() {
            let start = self.levels.last().map_or(0, |level| level.end + 1);
            let rest = name.get(start..)?;
            let len = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
            let hash = seed.text(&rest[..len]);
            self.levels.push(NameLevel { start, end: start + len, hash });
        }
        self.levels.get(depth).copied()
    }
}

impl Level {
    /// As long as can be without making a node larger.
    const SHORT: usize = 22;

    fn new(level: &[u8]) -> Self {
        let mut bytes = [0; Self::SHORT];
        match bytes.get_mut(..level.len()) {
            Some(short) => {
                short.copy_from_slice(level);
                Self::Short { len: level.len() as u8, bytes }
            }
            None => Self::Long(level.into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}
