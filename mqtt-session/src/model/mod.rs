//! An exhaustive search through everything that a client and a server of this crate can do to each
//! other, with promises that are looked at in every state.
//!
//! What moves from state to state is the code that ships: a [`Client`](crate::Client), one or two
//! [`Server`](crate::Server)s and a [`Session`](crate::Session), joined by two channels of bytes
//! that lose what is in them when a connection is cut, and nothing else; each side writes its
//! journal to a disk. In this order:
//!
//! * `setup` says what is searched: the configuration, the bounds, and what can happen.
//! * `world` has a state and lets things happen to it; `adapter` is what both sides do after every
//!   call, and where a process may end while it does. The broker and the applications are a few
//!   lines in both: a CONNECT is accepted, a message is answered at some time.
//! * `ledger` has the promises about messages: what was published, what was seen of it, what may
//!   follow. `world` looks at quota, journals and rest.
//! * `fingerprint` says when two states are the same; each type says beside itself what of it
//!   matters.
//! * `check` goes through all states, nearest first, so that what it finds it finds on the shortest
//!   way.
//! * `cells` stands between the sessions and the tables of QoS 1 and 2: it notes what they are
//!   asked, and can give a wrong answer, to see it found.
//! * `tests` has the configurations, and the tests.
//!
//! A search is complete for its bounds, and not cut anywhere else: time is not counted but only what
//! is left of it until the deadlines, and channels are as long as they get. That everything comes to
//! an end is checked as well: where nothing happens by itself any more all must be done, and what
//! happens by itself must not go round.
//!
//! # What it does not see
//!
//! * A packet arrives whole. One that arrives in part before a cut is one that does not arrive, since
//!   what is read of it dies with the connection; cuts within packets have a test of their own.
//! * A transmit buffer is written at once; that a peer does not read is for the tests of limits.
//! * Connections are accepted in the order they are opened, see `World::connect`.
//! * Once a server has lost its session the client hears of it before the next cut: MQTT has no word
//!   for it later, see the decisions.
//! * No message expires, there are no subscriptions and no QoS 0: none of these has an exchange that
//!   a cut could break.

mod adapter;
pub(crate) mod cells;
mod check;
mod fingerprint;
mod ledger;
mod setup;
mod tests;
mod world;

pub(crate) use fingerprint::{Fingerprint, Print};
