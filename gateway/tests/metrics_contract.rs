//! The page of metrics says what the gateway's registry says, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use toolgate_gateway::counting::{COUNTERS_ASKED_MAX, LimitUsage};
use toolgate_gateway::identity::InvalidToken;
use toolgate_gateway::metrics::{FAREWELLS, LIMITS_TOLD_MAX, Metrics, Rejected, SERIES_MAX, StoreAsked};
use toolgate_gateway::slots::Kind;
use toolgate_policy::{CounterKey, Outcome, Refusal, Rule};

const PAGE: &str = include_str!("../METRICS.md");

/// What a row of the page says of a metric.
#[derive(Debug, PartialEq)]
struct Row {
    kind: String,
    labels: Vec<String>,
    help: String,
}

const OUTCOMES: [Outcome; 7] = Outcome::ALL;
const REASONS: [Rejected; 11] = [
    Rejected::Handshake,
    Rejected::Unauthenticated,
    Rejected::Origin,
    Rejected::Endpoint,
    Rejected::Body,
    Rejected::Malformed,
    Rejected::Method,
    Rejected::Session,
    Rejected::GrantBusy,
    Rejected::ServerBusy,
    Rejected::Unavailable,
];

/// The rows of a section of the page, by the metrics' names.
fn page(heading: &str) -> BTreeMap<String, Row> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let rows = section.lines().filter(|line| line.starts_with("| `")).map(cells);
    rows.map(|cells| {
        let [name, kind, labels, help, bound] = cells.try_into().expect("five cells");
        assert!(!bound.is_empty(), "{name} has no bound");
        let mut labels: Vec<String> =
            labels.split_whitespace().map(|label| label.trim_matches('`').to_owned()).collect();
        labels.sort();
        (name.trim_matches('`').to_owned(), Row { kind, labels, help })
    })
    .collect()
}

/// A gateway that has counted everything once.
fn counted() -> Metrics {
    let metrics = Metrics::new("crm").expect("metrics");
    for outcome in OUTCOMES {
        metrics.decided("get_leads", "alice", outcome);
        metrics.asked("resources/read", "alice", outcome);
        let rule = Rule { policy: "floor".to_owned(), pointer: "default".to_owned() };
        let reason = "no".to_owned();
        metrics.refused(&Refusal { outcome, rule, reason, exhausted: None, retry_after: None });
        metrics.audited("floor", "get_leads", "alice", outcome);
        metrics.answered(outcome, Duration::from_millis(2));
    }
    metrics.upstream_answered(Duration::from_millis(1));
    metrics.in_flight(Kind::Stream, 1);
    for reason in REASONS {
        metrics.rejected(reason);
    }
    metrics.token_refused(InvalidToken::NoKeys);
    metrics.audit_dropped(1);
    metrics.log_dropped(1);
    metrics.spans_dropped(1);
    metrics.upstream_failed("timeout");
    metrics.store_asked(StoreAsked::Answered);
    metrics.store_is(Some(true));
    metrics.configured(Some(7), false);
    metrics.disputed(1);
    metrics
}

/// What is known of a limit.
fn limit() -> LimitUsage {
    let key = CounterKey { policy: "floor".into(), counter: "calls".into(), grant: Some("alice".into()) };
    LimitUsage { key, window: "minute".to_owned(), ratio: 0.5, wait: Duration::ZERO }
}

/// What the text of all metrics declares, by name: type and help.
fn declared(text: &str) -> BTreeMap<String, (String, String)> {
    let after = |keyword: &str| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(keyword)?.split_once(' '));
        lines.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
    };
    let helps = after("# HELP ");
    after("# TYPE ").into_iter().map(|(name, kind)| (name.clone(), (kind, helps[&name].clone()))).collect()
}

#[test]
fn the_page_says_what_the_gateway_counts_and_nothing_else() {
    let metrics = counted();
    let text = String::from_utf8(metrics.text(vec![limit()]).expect("a text")).expect("UTF-8");
    let mut declared = declared(&text);
    let mut registered = BTreeMap::new();
    for description in metrics.described() {
        let (kind, help) = declared.remove(&description.fq_name).expect("everything was counted once");
        assert_eq!(help, description.help);
        let mut labels = description.variable_labels.clone();
        labels.sort();
        registered.insert(description.fq_name.clone(), Row { kind, labels, help });
    }
    assert_eq!(page("Gateway"), registered);

    // What is left is of the process.
    let of_both = page("Of both").into_iter().map(|(name, Row { kind, labels, help })| {
        assert!(labels.is_empty(), "{name}");
        (name, (kind, help))
    });
    assert_eq!(of_both.collect::<BTreeMap<_, _>>(), declared);
}

#[test]
fn the_page_names_every_verdict_and_reason() {
    for outcome in OUTCOMES {
        assert!(PAGE.contains(&format!("`{}`", outcome.as_str())), "{outcome:?}");
    }
    for reason in REASONS {
        assert!(PAGE.contains(&format!("`{}`", reason.as_str())), "{reason:?}");
    }
    for result in StoreAsked::ALL {
        assert!(PAGE.contains(&format!("`{}`", result.as_str())), "{result:?}");
    }
    for reason in InvalidToken::ALL {
        assert!(PAGE.contains(&format!("`{}`", reason.as_str())), "{reason:?}");
    }
}

#[test]
fn the_page_says_how_many_series_there_may_be() {
    let digits: String = PAGE.chars().filter(|c| *c != ',').collect();
    assert!(digits.contains(&format!("at most {SERIES_MAX} series together")));
    assert!(digits.contains(&format!("at most {LIMITS_TOLD_MAX} windows, the fullest").replace(',', "")));
    assert!(digits.contains(&format!("of a store at most {COUNTERS_ASKED_MAX} counters")));
    assert_eq!(FAREWELLS + 1, 5, "told in five more scrapes");
}

#[test]
fn names_and_helps_follow_the_conventions() {
    for (name, row) in page("Gateway") {
        assert!(name.starts_with("toolgate_"), "{name}");
        assert_eq!(row.kind == "counter", name.ends_with("_total"), "{name}");
        assert!(row.kind != "histogram" || name.ends_with("_seconds"), "{name}");
        assert!(row.help.ends_with('.'), "{name}");
        assert!(row.labels.contains(&"server".to_owned()), "{name}");
    }
}
