//! Which statement of the MQTT standards is checked by which test: lists, and a checker that looks at what ran.
//!
//! For the tests of this workspace only, always a dev-dependency. The lists are in `data/`: every numbered statement
//! of MQTT 5.0 and 3.1.1 and the rules of 5.0 without a number, in words of our own, with the layer whose tests
//! answer for it. Two of their columns are ours:
//!
//! * `checks`: for which directions it needs an assertion: `decode`, `encode` or both for the codec, `act` for the
//!   layers above it; `none` if no code of ours could break it; `-` while its layer is open.
//! * `reason`: why nothing, or one direction only.
//!
//! `layers.tsv` says which layers are finished: every statement of those must be checked.
//!
//! # A run
//!
//! A crate has one test target called `conformance` with one test function. That makes a [`Run`] for its layers,
//! calls its tests through [`Run::test`], and every assertion in them through the run, with the statements it checks
//! as arguments. An id always comes with its version, `v5 MQTT-1.5.4-2`, since the two versions number differently.
//!
//! ```
//! # let lists = conformance::Lists::parse(
//! #     &[("v5", "id\tsection\trole\tlayer\tchecks\treason\tsummary\ttest_hint\n\
//! #        MQTT-2.2.1-3\t2.2.1\tclient\tcodec\tdecode\tone way\tNo zero.\t-")],
//! #     "layer\tstatus\ncodec\tfinished",
//! # ).unwrap();
//! use conformance::{Layer, Run};
//!
//! fn packet_identifiers(run: &mut Run) {
//!     let identifier = std::num::NonZeroU16::new(0);
//!     run.decoding(&["v5 MQTT-2.2.1-3"]).equal(identifier, None, "identifier 0");
//! }
//!
//! // In earnest `Run::new("my-crate", &[Layer::Codec])`, and at the end `run.finish()`.
//! let mut run = Run::over(lists, "my-crate", &[Layer::Codec]);
//! run.test(packet_identifiers);
//! assert!(run.verdict(&[]).is_empty());
//! ```
//!
//! [`Run::finish`] panics with all that is wrong: assertions that do not hold, ids that do not exist, statements of
//! other layers, statements that were not checked, or in one direction where two apply, and what was checked although
//! its row says that there is nothing to check. A search for ids in the sources would see none of this.
//!
//! # The files that are generated
//!
//! Each run leaves `data/evidence/<package>.tsv`: which of its tests checked what. Each package has a file of its own,
//! so that test binaries that run at once never write the same one, and a layer may be shared by several packages:
//! what one did not check, another's evidence may have. A run only compares its file with what ran, and fails if it is
//! stale; `docs/CONFORMANCE.md`, which joins the evidence of all packages, is compared by this crate's own tests.
//! With `CONFORMANCE=write` in the environment they write instead: a run its evidence and then the document, so one
//! command brings both up to date. Writing replaces whole files; two runs that write at once can at worst leave the
//! document without the newest evidence of one, and the next check says so.

mod document;
mod evidence;
mod run;
mod statement;

pub use document::{check_document, document};
pub use evidence::Evidence;
pub use run::{Assertion, Run};
pub use statement::{Direction, Layer, Lists, Statement};
