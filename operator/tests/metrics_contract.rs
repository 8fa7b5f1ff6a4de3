//! The page of metrics says what the operator's registry says, and nothing else.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use toolgate_operator::labels::{COMPONENT, MANAGED_BY, MANAGER};
use toolgate_operator::metrics::standing::{NAMESPACES_MAX, Standing, Standings};
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

/// An operator that has counted everything once.
fn counted() -> Metrics {
    let metrics = Metrics::new();
    for outcome in [Outcome::Ok, Outcome::Error] {
        metrics.reconciled("McpServer", outcome, 0.1);
    }
    metrics.written("ConfigMap");
    metrics.watch_failed("McpServer");
    metrics.set_ready();
    metrics.leads(true);
    let standing = Standing {
        namespace: "crm".to_owned(),
        kind: "ToolPolicy".to_owned(),
        condition: "Programmed".to_owned(),
        status: "True".to_owned(),
    };
    metrics.count_by(move || Standings::from([(standing.clone(), 2)]));
    metrics
}

#[test]
fn the_page_says_what_the_operator_counts_and_nothing_else() {
    let metrics = counted();
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
fn the_page_names_both_outcomes_and_how_many_namespaces_are_told_apart() {
    assert!(PAGE.contains("- `outcome`: `ok` or `error`."));
    assert!(PAGE.contains(&format!("the first {NAMESPACES_MAX} by name")));
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

#[test]
fn names_are_as_prometheus_wants_them() {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/prometheus/usr/bin/promtool");
    let promtool = if fetched.is_file() { fetched } else { "promtool".into() };
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        // Not by a macro: what those print is shown of failures only.
        let told = b"\nNOT RUN: promtool's judgement of the operator's metrics: no promtool\n";
        return std::io::stderr().write_all(told).expect("standard error is open");
    };
    child.stdin.take().expect("is piped").write_all(&counted().text()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
