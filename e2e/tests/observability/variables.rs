//! The variables of the dashboards: each is sound, and each is used.

use serde_json::Value;

use crate::contract::Contract;
use crate::dashboards::{queries, whole};
use crate::files::{self, items, word};
use crate::query;

/// Metric and label of `label_values(metric, label)`.
fn label_values(query: &str) -> Option<(&str, &str)> {
    query.strip_prefix("label_values(")?.strip_suffix(')')?.rsplit_once(", ")
}

fn is_sound(variable: &Value, contract: &Contract) -> Result<(), String> {
    let (name, text) = (word(&variable["name"]), word(&variable["query"]["query"]));
    let expected = [
        (&variable["type"], Value::from("query")),
        (&variable["datasource"]["uid"], Value::from("${datasource}")),
        (&variable["refresh"], Value::from(2)),
        (&variable["multi"], Value::from(true)),
        (&variable["includeAll"], Value::from(true)),
        // Not `.+`: without a label `namespace`, as in file mode, everything is still found.
        (&variable["allValue"], Value::from(".*")),
        (&variable["definition"], Value::from(text)),
    ];
    if let Some((found, wanted)) = expected.iter().find(|(found, wanted)| *found != wanted) {
        return Err(format!("{name}: {found} instead of {wanted}"));
    }
    let (selector, label) = label_values(text).ok_or_else(|| format!("{name}: no label_values: {text}"))?;
    let metric = selector.split('{').next().unwrap_or_default();
    let (_, labels) = contract.find(metric).ok_or_else(|| format!("{name}: there is no metric {metric}"))?;
    if label != name || !labels.contains(label) {
        return Err(format!("{name} has the values of {label} of {metric}"));
    }
    // As an expression of its own, whatever its type, to judge the matchers.
    let counted = format!("sum(increase({}[1h]))", whole(selector));
    match query::read(&counted, contract).or_else(|_| query::read(&whole(selector), contract)) {
        Ok(_) => Ok(()),
        Err(fault) => Err(format!("{name}: {fault}")),
    }
}

#[test]
fn every_variable_is_sound_and_used() {
    let contract = Contract::of_the_page();
    for (file, dashboard) in files::dashboards() {
        let (first, others) = items(&dashboard["templating"]["list"]).split_first().expect("variables");
        assert_eq!((word(&first["type"]), word(&first["name"])), ("datasource", "datasource"), "{file}");
        assert_eq!(first["query"], "prometheus", "{file}");
        let names: Vec<&str> = others.iter().map(|variable| word(&variable["name"])).collect();
        let asked: Vec<String> = queries(&dashboard).into_iter().map(|query| query.text).collect();
        for (index, variable) in others.iter().enumerate() {
            is_sound(variable, &contract).unwrap_or_else(|fault| panic!("{file}: {fault}"));
            // A variable may rest on those before it.
            let text = word(&variable["query"]["query"]);
            for later in &names[index..] {
                assert!(!text.contains(&format!("${later}")), "{file}: {} rests on {later}", names[index]);
            }
            let used = format!("=~\"${}\"", names[index]);
            assert!(asked.iter().any(|query| query.contains(&used)), "{file}: {} is not used", names[index]);
        }
    }
}

#[test]
fn a_variable_of_another_label_is_found_out() {
    let contract = Contract::of_the_page();
    let (_, dashboard) = files::dashboards().remove(0);
    let sound = items(&dashboard["templating"]["list"])[1].clone();
    assert_eq!(is_sound(&sound, &contract), Ok(()));
    for text in
        ["label_values(toolgate_config_refused, tool)", "label_values(toolgate_nothing, namespace)", "up"]
    {
        let mut other = sound.clone();
        other["query"]["query"] = Value::from(text);
        other["definition"] = Value::from(text);
        is_sound(&other, &contract).expect_err(text);
    }
}
