//! The contract: which metrics there are, of what type, with which labels.

use std::collections::{BTreeMap, BTreeSet};

use crate::files;

/// Labels that Prometheus, or the chart's monitors, put on whatever is scraped.
const OF_TARGETS: [&str; 5] = ["container", "instance", "job", "namespace", "pod"];

/// What a series may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only its growth says anything.
    Counter,
    /// Its value says something.
    Gauge,
}

/// Every series that can be asked for.
#[derive(Debug, Default)]
pub(crate) struct Contract {
    series: BTreeMap<String, (Kind, BTreeSet<String>)>,
}

impl Contract {
    /// The contract as the page of metrics says it.
    pub(crate) fn of_the_page() -> Self {
        let mut contract = Self::default();
        for line in files::text("gateway/METRICS.md").lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let (name, kind) = (cells[0].trim_matches('`'), cells[1]);
            let labels: BTreeSet<String> =
                cells[2].split_whitespace().map(|label| label.trim_matches('`').to_owned()).collect();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{name} is of the type {kind}");
            if kind == "histogram" {
                contract.add(&format!("{name}_sum"), Kind::Counter, labels.clone());
                contract.add(&format!("{name}_count"), Kind::Counter, labels.clone());
                let with_bound = labels.into_iter().chain(["le".to_owned()]).collect();
                contract.add(&format!("{name}_bucket"), Kind::Counter, with_bound);
            } else {
                contract.add(name, if kind == "gauge" { Kind::Gauge } else { Kind::Counter }, labels);
            }
        }
        contract
    }

    /// One more series, besides the labels of its target.
    pub(crate) fn add(&mut self, name: &str, kind: Kind, labels: BTreeSet<String>) {
        let labels = labels.into_iter().chain(OF_TARGETS.map(str::to_owned)).collect();
        assert!(self.series.insert(name.to_owned(), (kind, labels)).is_none(), "{name} is there twice");
    }

    /// One more series with exactly these labels.
    pub(crate) fn record(&mut self, name: &str, labels: BTreeSet<String>) {
        assert!(
            self.series.insert(name.to_owned(), (Kind::Gauge, labels)).is_none(),
            "{name} is there twice"
        );
    }

    /// The names on the page; a histogram has one.
    pub(crate) fn families(&self) -> impl Iterator<Item = &str> {
        let parts = ["_bucket", "_sum", "_count"];
        self.series
            .keys()
            .map(move |name| parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name))
    }

    /// Type and labels of a series.
    pub(crate) fn find(&self, name: &str) -> Option<(Kind, &BTreeSet<String>)> {
        self.series.get(name).map(|(kind, labels)| (*kind, labels))
    }
}

#[test]
fn the_page_is_read_whole() {
    let contract = Contract::of_the_page();
    let (kind, labels) = contract.find("toolgate_tool_calls_total").expect("is there");
    assert_eq!(kind, Kind::Counter);
    assert!(["server", "tool", "grant", "verdict", "namespace"].iter().all(|label| labels.contains(*label)));
    assert!(!labels.contains("le"));
    let (_, labels) = contract.find("toolgate_upstream_duration_seconds_bucket").expect("is there");
    assert!(labels.contains("le"));
    assert_eq!(contract.find("toolgate_operator_ready").map(|(kind, _)| kind), Some(Kind::Gauge));
    assert!(
        contract.find("toolgate_upstream_duration_seconds").is_none(),
        "a histogram has no series of its name"
    );
}
