//! The operator's benchmark still runs, and the operator comes to rest in it. Its figures are not looked at here.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

use std::process::Command;

use serde_json::Value;

#[test]
fn the_operator_comes_to_rest_before_an_api_server_in_memory() {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench-operator"));
    let ran = bench.args(["--policies", "100", "--starts", "1", "--rest", "1"]).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{told}");
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    // A child of each kind that every server has, and a status of everything.
    let (servers, policies, grants) = (50, 100, 150);
    assert!(report["first"]["writes"].as_u64().unwrap() >= 7 * servers + policies + grants, "{report}");
    assert_eq!(report["rest"]["writes"], 0);
}
