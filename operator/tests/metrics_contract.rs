//! The page of metrics says what the operator's registry says, and nothing else.

use std::collections::BTreeMap;

use toolgate_operator::labels::{COMPONENT, MANAGED_BY, MANAGER};
use toolgate_operator::metrics::{Metrics, Outcome};
use toolgate_operator::reconcile::build::ADMIN_PORT_NAME;

const PAGE: &str = include_str!("../../gateway/METRICS.md");

/// Type, labels and help of a metric.
type Row = (String, Vec<String>, String);

/// The rows of a section of the page, by the metrics' names.
fn page(heading: &str) -> BTreeMap<String, Row> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `")).map(|line| {
        let cells: Vec<String> =
            line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let [name, kind, labels, help, bound] = cells.try_into().expect("five cells");
        assert!(!bound.is_empty(), "{name} has no bound");
        let mut labels: Vec<String> =
            labels.split_whitespace().map(|label| label.trim_matches('`').to_owned()).collect();
        labels.sort();
        (name.trim_matches('`').to_owned(), (kind, labels, help))
    });
    rows.collect()
}

#[test]
fn the_page_says_what_the_operator_counts_and_nothing_else() {
    let metrics = Metrics::new();
    for outcome in [Outcome::Ok, Outcome::Error] {
        metrics.reconciled("McpServer", outcome, 0.1);
    }
    metrics.written("ConfigMap");
    metrics.watch_failed("McpServer");
    metrics.set_ready();
    let text = String::from_utf8(metrics.text()).expect("UTF-8");
    let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut kinds: BTreeMap<&str, &str> = lines.collect();

    let registered = metrics.described().into_iter().map(|description| {
        let kind = kinds.remove(description.fq_name.as_str()).expect("everything was counted once");
        let mut labels = description.variable_labels.clone();
        labels.sort();
        (description.fq_name.clone(), (kind.to_owned(), labels, description.help.clone()))
    });
    let registered: BTreeMap<String, Row> = registered.collect();
    assert_eq!(page("Operator"), registered);

    // What is left is of the process.
    let of_both = page("Of both");
    let of_both: BTreeMap<&str, &str> =
        of_both.iter().map(|(name, (kind, _, _))| (name.as_str(), kind.as_str())).collect();
    assert_eq!(of_both, kinds);
}

#[test]
fn the_page_names_both_outcomes() {
    assert!(PAGE.contains("- `outcome`: `ok` or `error`."));
}

#[test]
fn the_charts_monitor_finds_the_pods_that_the_operator_makes() {
    let monitor = include_str!("../../charts/toolgate/templates/podmonitor.yaml");
    for line in [
        format!("      {MANAGED_BY}: {MANAGER}\n"),
        format!("      {COMPONENT}: gateway\n"),
        format!("    - port: {ADMIN_PORT_NAME}\n"),
    ] {
        assert!(monitor.contains(&line), "{line}");
    }
}
