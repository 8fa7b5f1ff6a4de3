//! The benchmark still runs, and every answer that it measures is right. Its figures are not looked at here.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

use std::process::Command;

use serde_json::Value;
use toolgate_e2e::process::Folder;

#[test]
fn the_benchmark_runs_and_every_answer_is_right() {
    let folder = Folder::new().unwrap();
    let output = folder.path().join("report.json");
    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
    let ran = bench.arg("--quick").arg("--output").arg(&output).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{told}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&output).unwrap()).unwrap();
    assert_eq!(report["errors"], 0);
    let cells = report["cells"].as_array().unwrap();
    for asked in
        ["tools/call", "tools/call of 2026-07-28", "denied call", "limited call", "tools/list, 23 tools"]
    {
        let cell = cells.iter().find(|cell| cell["asked"] == asked && cell["of"] == "toolgate").unwrap();
        assert!(cell["callsPerSecond"]["median"].as_f64().unwrap() > 0.0, "{cell}");
    }
    assert_eq!(report["edits"]["failed"], 0);
    assert_eq!(report["scrapes"]["series"], 3 * 2 * 3 + 1);
    // Where there is a store to count in.
    for cost in report["shared"].as_array().into_iter().flatten() {
        assert!(cost["cpuMicrosecondsInRedis"]["median"].as_f64().unwrap() > 0.0, "{cost}");
        assert!(cost["redisCommands"]["median"].as_f64().is_some(), "{cost}");
    }
}
