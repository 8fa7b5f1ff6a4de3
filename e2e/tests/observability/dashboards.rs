//! The dashboards keep the rules of Grafana's own linter, and ask for what there is.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::contract::Contract;
use crate::files::{self, items, word};
use crate::query::{self, Selector};

/// Units that panels may have: of calls, of work, of time, of memory, of shares and of plain numbers.
const UNITS: [&str; 7] = ["reqps", "ops", "s", "bytes", "percentunit", "short", "none"];
/// The names that links lead to.
const UIDS: [&str; 3] = ["toolgate-drill-down", "toolgate-fleet", "toolgate-tool-calls"];
/// The width of a dashboard, in columns.
const COLUMNS: u64 = 24;

/// One query of a panel.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The panel's title.
    pub(crate) panel: String,
    /// The query as it is in the file.
    pub(crate) text: String,
    /// How its series are called.
    pub(crate) legend: String,
    /// Whether it is asked for one instant and not over time.
    pub(crate) is_instant: bool,
}

/// All queries of a dashboard.
pub(crate) fn queries(dashboard: &Value) -> Vec<Asked> {
    let of_panel = |panel: &Value| {
        let title = word(&panel["title"]).to_owned();
        let asked = move |target: &Value| Asked {
            panel: title.clone(),
            text: word(&target["expr"]).to_owned(),
            legend: word(&target["legendFormat"]).to_owned(),
            is_instant: target["instant"] == true,
        };
        items(&panel["targets"]).iter().map(asked).collect::<Vec<_>>()
    };
    items(&dashboard["panels"]).iter().flat_map(of_panel).collect()
}

/// A query with Grafana's own variables filled in; those in matchers are sound as they are.
pub(crate) fn whole(text: &str) -> String {
    text.replace("$__rate_interval", "5m").replace("$__range", "1h")
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    items(&dashboard["panels"]).iter().filter(|panel| panel["type"] != "row").collect()
}

/// The labels that a legend speaks of.
fn labels_of(legend: &str) -> BTreeSet<String> {
    let parts = legend.split("{{").skip(1);
    parts.filter_map(|part| Some(part.split_once("}}")?.0.to_owned())).collect()
}

/// What keeps a selector from following the variables.
fn narrowed(selector: &Selector, has_tool: bool, contract: &Contract) -> Result<(), String> {
    // The operator looks after all servers, and what a process uses is picked by the gateway's own metric beside it.
    if ["toolgate_operator_", "process_"].iter().any(|start| selector.metric.starts_with(start)) {
        return Ok(());
    }
    let has = |label: &str| {
        let wanted = (label.to_owned(), "=~", format!("${label}"));
        selector.matchers.contains(&wanted)
    };
    // What picks by one tool follows no variable, and limits of a whole server are shown whoever was chosen.
    let picks = |label: &str| {
        selector
            .matchers
            .iter()
            .any(|(name, operator, value)| name == label && (*operator == "=" || value == "$grant|"))
    };
    let has_label =
        |label: &str| contract.find(&selector.metric).is_some_and(|(_, labels)| labels.contains(label));
    let mut wanted = vec!["namespace", "server"];
    wanted
        .extend(["grant", "tool"].into_iter().filter(|label| has_tool && has_label(label) && !picks(label)));
    match wanted.iter().find(|label| !has(label)) {
        Some(label) => Err(format!("{} does not follow ${label}", selector.metric)),
        None => Ok(()),
    }
}

fn is_sound(asked: &Asked, has_tool: bool, contract: &Contract) -> Result<(), String> {
    let (wanted, other) = if asked.is_instant {
        ("[$__range]", "$__rate_interval")
    } else {
        ("[$__rate_interval]", "$__range")
    };
    if asked.text.contains(other) || asked.text.matches('[').count() != asked.text.matches(wanted).count() {
        return Err(format!("its ranges are not all {wanted}"));
    }
    let query = query::read(&whole(&asked.text), contract)?;
    let missing: Vec<_> = labels_of(&asked.legend).difference(&query.labels).cloned().collect();
    if !missing.is_empty() {
        return Err(format!("its legend speaks of {missing:?}"));
    }
    query.selectors.iter().try_for_each(|selector| narrowed(selector, has_tool, contract))
}

#[test]
fn every_query_asks_for_what_there_is_and_follows_the_variables() {
    let contract = Contract::of_the_page();
    for (file, dashboard) in files::dashboards() {
        let has_tool = items(&dashboard["templating"]["list"]).iter().any(|one| one["name"] == "tool");
        let asked = queries(&dashboard);
        assert!(asked.len() > 10, "{file} asks for next to nothing");
        for asked in asked {
            is_sound(&asked, has_tool, &contract)
                .unwrap_or_else(|fault| panic!("{file}, {}: {fault}\n{}", asked.panel, asked.text));
        }
    }
}

#[test]
fn everything_that_is_counted_is_shown() {
    let shown: Vec<String> =
        files::dashboards().iter().flat_map(|(_, one)| queries(one)).map(|asked| asked.text).collect();
    let contract = Contract::of_the_page();
    let families: BTreeSet<&str> = contract.families().filter(|name| name.starts_with("toolgate_")).collect();
    assert!(families.len() > 10, "{families:?}");
    for family in families {
        assert!(shown.iter().any(|text| text.contains(family)), "no panel shows {family}");
    }
}

#[test]
fn what_is_wrong_with_a_panels_query_is_found() {
    let contract = Contract::of_the_page();
    let calls = r#"toolgate_tool_calls_total{namespace=~"$namespace", server=~"$server", grant=~"$grant""#;
    for (text, legend, fault) in [
        (format!("sum(rate({calls}, tool=~\"$tool\"}}[5m]))"), "", "ranges"),
        (format!("sum(rate({calls}, tool=~\"$tool\"}}[$__range]))"), "", "ranges"),
        (format!("sum(rate({calls}}}[$__rate_interval]))"), "", "does not follow $tool"),
        ("sum(toolgate_config_refused)".to_owned(), "", "does not follow $namespace"),
        (format!("sum(rate({calls}, tool=~\"$tool\"}}[$__rate_interval]))"), "{{tool}}", "legend"),
    ] {
        let asked = Asked { panel: String::new(), text, legend: legend.to_owned(), is_instant: false };
        let found = is_sound(&asked, true, &contract).expect_err(&asked.text);
        assert!(found.contains(fault), "{}: {found}", asked.text);
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_from_the_chosen_source() {
    for (file, dashboard) in files::dashboards() {
        let mut titles = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = word(&panel["title"]);
            assert!(!title.is_empty() && titles.insert(title), "{file}: a panel is called {title:?}");
            assert!(word(&panel["description"]).ends_with('.'), "{file}, {title}: no description");
            let unit = word(&panel["fieldConfig"]["defaults"]["unit"]);
            assert!(UNITS.contains(&unit), "{file}, {title}: the unit is {unit:?}");
            let targets = items(&panel["targets"]);
            assert!(!targets.is_empty(), "{file}, {title} asks for nothing");
            let ids: BTreeSet<&str> = targets.iter().map(|target| word(&target["refId"])).collect();
            assert_eq!(ids.len(), targets.len(), "{file}, {title}: queries share an id");
            for source in targets.iter().chain([panel]).map(|part| &part["datasource"]) {
                assert_eq!(source["type"], "prometheus", "{file}, {title}");
                assert_eq!(source["uid"], "${datasource}", "{file}, {title}");
            }
        }
    }
}

#[test]
fn links_of_what_is_shown_lead_to_a_dashboard_and_to_its_variables() {
    let dashboards = files::dashboards();
    let mut links = 0;
    for (file, dashboard) in &dashboards {
        for panel in panels(dashboard) {
            for link in items(&panel["fieldConfig"]["defaults"]["links"]) {
                let (title, url) = (word(&panel["title"]), word(&link["url"]));
                let (target, parameters) =
                    url.strip_prefix("/d/").and_then(|url| url.split_once('?')).expect(url);
                let led_to = dashboards.iter().find(|(_, other)| other["uid"] == target);
                let (_, led_to) = led_to.unwrap_or_else(|| panic!("{file}, {title}: {url} leads nowhere"));
                let variables = items(&led_to["templating"]["list"]);
                for parameter in parameters.split('&').filter_map(|pair| pair.strip_prefix("var-")) {
                    let (name, value) = parameter.split_once('=').expect(parameter);
                    assert!(variables.iter().any(|one| one["name"] == name), "{file}, {title}: {name}");
                    // By a label that the series has, or by a column of the table.
                    let label =
                        value.strip_prefix("${__field.labels.").and_then(|label| label.strip_suffix('}'));
                    let column =
                        value.strip_prefix("${__data.fields.").and_then(|column| column.strip_suffix('}'));
                    let renamed = &panel["transformations"][0]["options"]["renameByName"];
                    let has = match (label, column) {
                        (Some(label), None) => {
                            label == name && word(&panel["targets"][0]["expr"]).contains(label)
                        }
                        (None, Some(column)) => word(&renamed[name]) == column,
                        _ => false,
                    };
                    assert!(has, "{file}, {title}: {value}");
                }
                links += 1;
            }
        }
    }
    assert!(links > 0, "nothing leads to the drill-down");
}

#[test]
fn panels_lie_beside_each_other_and_not_over_each_other() {
    for (file, dashboard) in files::dashboards() {
        let mut taken = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in items(&dashboard["panels"]) {
            let place = |key: &str| panel["gridPos"][key].as_u64().expect("a place");
            let (x, y, width, height) = (place("x"), place("y"), place("w"), place("h"));
            assert!(x + width <= COLUMNS, "{file}: {}", panel["title"]);
            for cell in (x..x + width).flat_map(|column| (y..y + height).map(move |row| (column, row))) {
                assert!(taken.insert(cell), "{file}: {} lies over another", panel["title"]);
            }
            assert!(ids.insert(panel["id"].as_u64()), "{file}: {} has another's id", panel["title"]);
        }
    }
}

#[test]
fn dashboards_are_named_once_and_not_edited_in_place() {
    let dashboards = files::dashboards();
    let names: BTreeSet<&str> = dashboards.iter().map(|(_, dashboard)| word(&dashboard["uid"])).collect();
    assert_eq!(names, BTreeSet::from(UIDS), "links rest on these");
    for (file, dashboard) in &dashboards {
        for (key, value) in [
            ("editable", Value::from(false)),
            ("graphTooltip", Value::from(1)),
            ("id", Value::Null),
            ("schemaVersion", Value::from(39)),
            ("timezone", Value::from("browser")),
        ] {
            assert_eq!(dashboard[key], value, "{file}: {key}");
        }
        assert!(word(&dashboard["title"]).starts_with("Toolgate / "), "{file}");
        assert!(items(&dashboard["tags"]).contains(&Value::from("toolgate")), "{file}");
    }
}
