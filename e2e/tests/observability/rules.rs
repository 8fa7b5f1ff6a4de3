//! The alerts: what they ask for, what they say, and that somebody knows what to do.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::contract::Contract;
use crate::files::{self, items, word};
use crate::query;

/// What alerts may be.
const SEVERITIES: [&str; 2] = ["warning", "critical"];
/// Where the runbooks are.
const RUNBOOKS: &str = "https://github.com/toolgate/toolgate/blob/main/charts/toolgate/RUNBOOKS.md";

fn all() -> Vec<Value> {
    let rules = files::rules();
    items(&rules["groups"]).iter().flat_map(|group| items(&group["rules"]).to_vec()).collect()
}

fn alerts() -> Vec<Value> {
    all().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

/// The contract, and what the rules record.
fn contract() -> Contract {
    let mut contract = Contract::of_the_page();
    for rule in all() {
        if let Some(name) = rule["record"].as_str() {
            let query = query::read(word(&rule["expr"]), &contract).expect(name);
            contract.record(name, query.labels);
        }
    }
    contract
}

/// The labels that a template speaks of.
fn labels_of(template: &str) -> BTreeSet<String> {
    let after = template.split("$labels.").skip(1);
    after.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()).collect()
}

#[test]
fn every_alert_asks_for_what_there_is_and_speaks_of_labels_that_it_has() {
    let contract = contract();
    for rule in alerts() {
        let name = word(&rule["alert"]);
        let query =
            query::read(word(&rule["expr"]), &contract).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        for annotation in ["summary", "description"] {
            let text = word(&rule["annotations"][annotation]);
            assert!(text.ends_with('.'), "{name} has no {annotation}");
            let missing: Vec<_> = labels_of(text).difference(&query.labels).cloned().collect();
            assert!(missing.is_empty(), "{name}: the {annotation} speaks of {missing:?}");
        }
        assert!(SEVERITIES.contains(&word(&rule["labels"]["severity"])), "{name}");
    }
}

#[test]
fn every_recorded_name_says_its_level_metric_and_operation() {
    for rule in all().iter().filter(|rule| rule["record"].is_string()) {
        let name = word(&rule["record"]);
        let parts: Vec<&str> = name.split(':').collect();
        let [level, _, _] = parts.as_slice() else { panic!("{name} has not three parts") };
        let query = query::read(word(&rule["expr"]), &Contract::of_the_page()).expect("is sound");
        let labels: Vec<String> = query.labels.into_iter().collect();
        assert_eq!(*level, labels.join("_"), "{name}");
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let page = files::text("charts/toolgate/RUNBOOKS.md");
    let sections: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|rule| word(&rule["alert"])).collect();
    assert_eq!(sections, names);
    for rule in &alerts {
        let name = word(&rule["alert"]);
        let url = word(&rule["annotations"]["runbook_url"]);
        assert_eq!(url, format!("{RUNBOOKS}#{}", name.to_lowercase()));
    }
    for section in page.split("\n## ").skip(1) {
        for part in ["**What it means.**", "**Look.**", "**Do.**"] {
            assert!(section.contains(part), "{part} is missing: {section}");
        }
    }
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let cases: Value =
        serde_yaml::from_str(&files::text("charts/toolgate/files/rules.test.yaml")).expect("YAML");
    let mut seen = BTreeSet::new();
    for case in items(&cases["tests"]) {
        for check in items(&case["alert_rule_test"]) {
            seen.insert((word(&check["alertname"]).to_owned(), items(&check["exp_alerts"]).is_empty()));
        }
    }
    let both = |rule: &Value| [true, false].map(|quiet| (word(&rule["alert"]).to_owned(), quiet));
    assert_eq!(seen, alerts().iter().flat_map(both).collect());
}
