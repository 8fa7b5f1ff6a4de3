//! What a scrape costs of a gateway that has counted much: bytes and milliseconds, told, and bounded in bytes.

use std::io::Write;
use std::time::Instant;

use toolgate_gateway::metrics::{Metrics, SERIES_MAX};
use toolgate_policy::Outcome;

const TOOLS: usize = 100;
const GRANTS: usize = 50;
const VERDICTS: [Outcome; 4] = [Outcome::Allowed, Outcome::Denied, Outcome::Limited, Outcome::Held];
/// The most bytes that a series takes in Prometheus' text format, with names as long as these.
const BYTES_EACH_MAX: usize = 160;

#[test]
fn a_scrape_of_a_hundred_tools_and_fifty_grants_in_four_verdicts() {
    let metrics = Metrics::new("customer-relations").expect("metrics");
    for tool in 0..TOOLS {
        for grant in 0..GRANTS {
            for verdict in VERDICTS {
                metrics.decided(&format!("tool_number_{tool}"), &format!("sales-agent-{grant}"), verdict);
            }
        }
    }
    let began = Instant::now();
    let text = metrics.text(Vec::new()).expect("a text");
    let took = began.elapsed();
    let series =
        text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"toolgate_tool_calls_total{"));
    let series = series.count();
    assert_eq!(series, TOOLS * GRANTS * VERDICTS.len());
    assert!(series < SERIES_MAX);
    assert!(text.len() < series * BYTES_EACH_MAX, "{} bytes", text.len());
    // Not by a macro: what those print is shown of failures only.
    let told = format!("\n{series} series of calls: {} kB in {} ms\n", text.len() / 1000, took.as_millis());
    std::io::stderr().write_all(told.as_bytes()).expect("standard error is open");
}
