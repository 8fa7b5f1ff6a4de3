//! What the operator costs: its own process before an API server in memory, over real HTTP.
//!
//! The API server here lists in pages, watches, and takes server-side apply, as far as the operator asks for it. It has no
//! admission, no controllers and no pods, so what is measured is the operator and nothing else. Figures are read by people;
//! only that it still runs is tested.

mod api;
mod measure;
mod objects;
mod program;
mod store;

pub use measure::{Plan, run};
