//! Where Prometheus' programs are: what `make test` fetched, or what is installed.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Makes it a failure that they are not there.
const REQUIRE: &str = "TOOLGATE_REQUIRE_PROMETHEUS";
/// Where `e2e/tests/observability/fetch` puts them.
const FETCHED: &str = "../target/prometheus/usr/bin";

/// The program of a name. Where there is none, it is said loudly what was not run.
pub(crate) fn program(name: &str, needed_for: &str) -> Option<PathBuf> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join(FETCHED);
    let path = env::var_os("PATH").unwrap_or_default();
    let found = [fetched].into_iter().chain(env::split_paths(&path)).map(|folder| folder.join(name));
    let found = found.into_iter().find(|candidate| candidate.is_file());
    if found.is_none() {
        // Not by a macro: what those print is shown of failures only.
        let told = format!("\nNOT RUN: {needed_for}: no {name}; e2e/tests/observability/fetch gets it\n");
        std::io::stderr().write_all(told.as_bytes()).expect("standard error is open");
        assert!(env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{REQUIRE}=1 makes this a failure");
    }
    found
}
