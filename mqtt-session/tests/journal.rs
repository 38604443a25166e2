//! What a session says of itself, what is restored from it, and what a crash costs.

mod common;
#[path = "journal/crash.rs"]
mod crash;
#[path = "journal/law.rs"]
mod law;
#[path = "journal/world.rs"]
mod world;
