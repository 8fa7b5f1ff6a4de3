//! A real Prometheus scrapes a real gateway under load: every panel has data, and means what its title says.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use toolgate_e2e::kommo::{Answers, seeded};
use toolgate_e2e::process::{ALICE, Answer, BOB, Gateway, ProcessError, Request, World};

use crate::dashboards::{Asked, queries};
use crate::files;
use crate::programs::program;
use crate::scraper::{Sample, Scraper};

const RULES: &str = "\
default: deny
tools:
  get_leads: {}
  get_lead: {}
  move_lead:
    limits: [{counter: move_lead_rate, window: hour, max: 4, scope: grant}]
  update_lead: {action: deny, reason: change leads by move_lead}
  run_salesbot: {action: approve}
hide: [\"stop_*\"]
allTools:
  limits: [{counter: kommo_api, window: day, max: 1000, scope: server}]";
const WATCHER: &str = "mode: audit\ndefault: deny\ntools:\n  get_leads: {action: deny, reason: too many}";

/// A token of the form that issuers sign, and signed by none.
const UNSIGNED: &str = "eyJhbGciOiJub25lIn0.e30.c2ln";

/// A caller who is refused all at once.
const MALLORY: &str = "mallory-token";
/// How often.
const BURST: usize = 40;

/// How many calls are let through to a server that is gone, each time.
const OUTAGE: u8 = 3;

/// How many rounds there are.
const ROUNDS: u8 = 2;

/// How often each grant had which verdict on which tool, as the caller heard it.
type Heard = BTreeMap<[String; 3], f64>;

/// The calls of a round: token, grant, tool, its label, how often, and the verdict where the answer does not tell it.
const ROUND: [(&str, &str, &str, &str, usize, &str); 7] = [
    (ALICE, "alice", "get_leads", "get_leads", 6, "allowed"),
    (ALICE, "alice", "move_lead", "move_lead", 6, "allowed"),
    (ALICE, "alice", "update_lead", "update_lead", 3, ""),
    (ALICE, "alice", "run_salesbot", "run_salesbot", 2, ""),
    (BOB, "bob", "get_lead", "get_lead", 4, "allowed"),
    (BOB, "bob", "stop_salesbot", "_other", 2, "hidden"),
    (BOB, "bob", "no_such_tool", "_other", 5, "unlisted"),
];

fn arguments(tool: &str) -> Value {
    match tool {
        "move_lead" => json!({"lead_id": seeded::FIRST_LEAD, "status_id": seeded::NEGOTIATION}),
        "get_lead" => json!({"id": seeded::FIRST_LEAD}),
        _ => json!({}),
    }
}

async fn ask(gateway: &Gateway, request: &Request) -> Answer {
    gateway.ask(request).await.expect("an answer")
}

async fn round(gateway: &Gateway, heard: &mut Heard) {
    for (token, grant, tool, label, times, silent) in ROUND {
        for _ in 0..times {
            let answer = ask(gateway, &Request::modern_call(token, tool, &arguments(tool))).await;
            let verdict = answer.verdict().unwrap_or_else(|| silent.to_owned());
            *heard.entry([grant.to_owned(), label.to_owned(), verdict]).or_default() += 1.0;
        }
    }
    ask(gateway, &Request::modern(ALICE, "resources/read", json!({"uri": "kommo://nothing"}))).await;
    for stranger in ["nobody", UNSIGNED] {
        assert_eq!(ask(gateway, &Request::modern(stranger, "tools/list", json!({}))).await.status, 401);
    }
}

async fn burst(gateway: &Gateway, heard: &mut Heard) {
    for _ in 0..BURST {
        let answer = ask(gateway, &Request::modern_call(MALLORY, "no_such_tool", &json!({}))).await;
        assert_eq!(answer.error_code(), Some(-32602), "{}", answer.text());
        *heard.entry(["mallory", "_other", "unlisted"].map(str::to_owned)).or_default() += 1.0;
    }
}

/// Calls that policy lets through to a server that is gone.
async fn outage(gateway: &Gateway, heard: &mut Heard) {
    for _ in 0..OUTAGE {
        let answer = ask(gateway, &Request::modern_call(BOB, "get_lead", &arguments("get_lead"))).await;
        assert_eq!(answer.verdict(), None, "{}", answer.text());
        *heard.entry(["bob", "get_lead", "allowed"].map(str::to_owned)).or_default() += 1.0;
    }
}

async fn scraped(scraper: &Scraper, heard: &Heard) {
    let total: f64 = heard.values().sum();
    let has_all = async |scraper: &Scraper| {
        let found = scraper.query("sum(toolgate_tool_calls_total)").await;
        found.first().is_some_and(|sample| near(sample.value, total))
    };
    scraper.until("the scrape of all calls", has_all).await;
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-9
}

async fn until_enforced(gateway: &Gateway, edit: impl FnOnce() -> Result<(), ProcessError>) {
    let before = gateway.admin().revision().await.expect("a revision").as_i64();
    edit().expect("is written");
    let is_newer = |answer: &Answer| answer.json()["revision"].as_i64() > before;
    gateway.admin().until("/revision", "a newer revision", is_newer).await.expect("is enforced");
}

/// The load: a burst, two rounds and two outages, each scraped before the next, so that counters are seen to grow.
async fn load(program: &std::path::Path) -> (Scraper, Gateway, Heard) {
    let world = World::start(Answers::Json, RULES).await.expect("a world");
    until_enforced(&world.gateway, || world.configuration.policy("watcher", WATCHER)).await;
    until_enforced(&world.gateway, || world.configuration.grant("mallory", MALLORY, "")).await;
    let mut heard = Heard::new();
    burst(&world.gateway, &mut heard).await;
    let scraper = Scraper::start(program, world.gateway.admin()).await;
    for _ in 0..ROUNDS {
        round(&world.gateway, &mut heard).await;
        scraped(&scraper, &heard).await;
    }
    let World { stand_in, configuration: _configuration, gateway } = world;
    drop(stand_in);
    for _ in 0..2 {
        outage(&gateway, &mut heard).await;
        scraped(&scraper, &heard).await;
    }
    (scraper, gateway, heard)
}

/// A panel's query as Grafana would send it for all namespaces, servers, tools and grants.
fn filled(text: &str) -> String {
    let variables = ["$namespace", "$server", "$tool", "$grant"];
    let text = variables.iter().fold(text.to_owned(), |text, variable| text.replace(variable, ".*"));
    text.replace("$__rate_interval", "5m").replace("$__range", "5m")
}

/// The legend of a series.
fn legend(asked: &Asked, sample: &Sample) -> String {
    let mut parts = asked.legend.split("{{");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |legend, part| {
        let (label, rest) = part.split_once("}}").expect("legends are well formed");
        // A limit of a whole server is of no agent.
        let may_be_empty = label == "grant" && asked.text.contains("toolgate_limit_");
        assert!(may_be_empty || !sample.label(label).is_empty(), "{}: no {label}", asked.panel);
        legend + sample.label(label) + rest
    })
}

/// The counts of everything that was heard and passes, by some of grant, tool and verdict.
fn sums(heard: &Heard, passes: impl Fn(&[String; 3]) -> bool, by: &[usize]) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for (key, count) in heard.iter().filter(|(key, _)| passes(key)) {
        let name: Vec<&str> = by.iter().map(|part| key[*part].as_str()).collect();
        *sums.entry(name.join(" ")).or_default() += count;
    }
    sums
}

/// The share of refused calls, by one part of grant and tool, of those that were refused any.
fn shares(heard: &Heard, by: usize) -> BTreeMap<String, f64> {
    let all = sums(heard, |_| true, &[by]);
    let refused = sums(heard, |key| key[2] != "allowed", &[by]);
    let share = |(name, refused): (String, f64)| {
        let share = refused / all[&name];
        (name, share)
    };
    refused.into_iter().map(share).collect()
}

/// What each rule refused.
fn rules(heard: &Heard) -> BTreeMap<String, f64> {
    let rules = [
        ("tools/move_lead/limits/move_lead_rate", "limited", 0),
        ("tools/update_lead/action", "denied", 0),
        ("tools/run_salesbot/action", "held", 0),
        ("hide/stop_*", "hidden", 0),
        // A resource is read in each round, too.
        ("default", "unlisted", ROUNDS),
    ];
    let rule = |(rule, verdict, others): (&str, &str, u8)| {
        let calls: f64 = sums(heard, |key| key[2] == verdict, &[]).values().sum();
        (format!("{rule} {verdict}"), calls + f64::from(others))
    };
    rules.into_iter().map(rule).collect()
}

fn expected(heard: &Heard) -> BTreeMap<&'static str, BTreeMap<String, f64>> {
    let refused = |key: &[String; 3]| key[2] != "allowed";
    let total: f64 = heard.values().sum();
    let share = sums(heard, refused, &[]).into_iter().map(|(key, count)| (key, count / total)).collect();
    let one = |value: f64| BTreeMap::from([(String::new(), value)]);
    let charged = |key: &[String; 3]| key[2] == "allowed";
    // Of what was never written to the server nothing is charged.
    let all: f64 = sums(heard, charged, &[]).values().sum::<f64>() - 2.0 * f64::from(OUTAGE);
    let moved = heard[&["alice", "move_lead", "allowed"].map(str::to_owned)];
    let edge = BTreeMap::from([(String::new(), all / 1000.0), ("alice".to_owned(), moved / 4.0)]);
    BTreeMap::from([
        ("Limits close to their edge", edge),
        ("Fullest limit", one(1.0)),
        ("Allowed", sums(heard, charged, &[])),
        ("Refused", sums(heard, refused, &[])),
        ("Limited", sums(heard, |key| key[2] == "limited", &[])),
        ("Tools and verdicts", sums(heard, |_| true, &[0, 1, 2])),
        ("Calls", one(total)),
        ("Refused share", share),
        ("Limited calls", sums(heard, |key| key[2] == "limited", &[])),
        ("Calls for unknown tools", sums(heard, |key| key[1] == "_other", &[])),
        ("Top refused tools", sums(heard, refused, &[1])),
        ("Who is refused what", sums(heard, refused, &[0, 1, 2])),
        ("Top refusing rules", rules(heard)),
        ("Calls by verdict", sums(heard, |_| true, &[2])),
        ("Calls by tool", sums(heard, |_| true, &[1])),
        ("Calls by agent", sums(heard, |_| true, &[0])),
        ("Refused share by agent", shares(heard, 0)),
        ("Limited calls by agent", sums(heard, |key| key[2] == "limited", &[0, 1])),
        ("Calls for unknown tools by agent", sums(heard, |key| key[1] == "_other", &[0])),
        ("Verdicts", sums(heard, |_| true, &[2])),
        ("Tools", sums(heard, |_| true, &[1])),
        ("Refused share of each tool", shares(heard, 1)),
        (
            "Rejected before a decision",
            BTreeMap::from([("unauthenticated".to_owned(), 2.0 * f64::from(ROUNDS))]),
        ),
        ("Failures by kind", BTreeMap::from([("unreachable".to_owned(), 2.0 * f64::from(OUTAGE))])),
        ("Gateways", one(1.0)),
        ("Gateways that refuse what came last", one(0.0)),
        ("Servers with differing gateways", one(0.0)),
    ])
}

async fn has_data(scraper: &Scraper, asked: &Asked) {
    let text = filled(&asked.text);
    let samples = scraper.query(&text).await;
    assert!(!samples.is_empty(), "{} is empty: {text}", asked.panel);
    let mut legends: Vec<String> = samples.iter().map(|sample| legend(asked, sample)).collect();
    legends.sort();
    let count = legends.len();
    legends.dedup();
    assert!(legends.len() == count || asked.legend.is_empty(), "{}: {legends:?}", asked.panel);
    // A share of nothing is not a number: of a grant that has stopped to call.
    assert!(samples.iter().any(|sample| sample.value.is_finite()), "{}: {samples:?}: {text}", asked.panel);
}

/// Asks for values instead of growth or its pace: all counters began at nothing in this test, so the two are the same, and exact.
async fn means_what_it_says(scraper: &Scraper, asked: &Asked, expected: &BTreeMap<String, f64>) {
    let growth = [("increase(", "("), ("rate(", "("), ("[$__range]", ""), ("[$__rate_interval]", "")];
    let text = growth.iter().fold(asked.text.clone(), |text, (from, to)| text.replace(from, to));
    let text = filled(&text);
    let found: BTreeMap<String, f64> = scraper
        .query(&text)
        .await
        .iter()
        .map(|sample| {
            let labels =
                ["rule", "reason", "kind", "grant", "tool", "verdict"].map(|label| sample.label(label));
            let named: Vec<&str> = labels.into_iter().filter(|label| !label.is_empty()).collect();
            (named.join(" "), sample.value)
        })
        .collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{}", asked.panel);
    for (name, value) in &found {
        assert!(near(*value, expected[name]), "{} {name}: {value}, not {}", asked.panel, expected[name]);
    }
}

#[tokio::test]
async fn every_panel_has_data_and_says_what_the_callers_heard() {
    let Some(program) = program("prometheus", "the dashboards on a real Prometheus") else { return };
    let (scraper, gateway, heard) = load(&program).await;
    let mut expected = expected(&heard);
    for (_, dashboard) in files::dashboards() {
        // No operator runs here.
        let of_gateways = |asked: &Asked| !asked.text.contains("toolgate_operator_");
        for asked in queries(&dashboard).into_iter().filter(of_gateways) {
            has_data(&scraper, &asked).await;
            if let Some(expected) = expected.remove(asked.panel.as_str()) {
                means_what_it_says(&scraper, &asked, &expected).await;
            }
        }
    }
    assert!(expected.is_empty(), "no panel is called {:?}", expected.keys());
    every_rule_can_be_evaluated(&scraper).await;
    names_are_as_prometheus_wants_them(&gateway).await;
}

async fn every_rule_can_be_evaluated(scraper: &Scraper) {
    let evaluated = async |scraper: &Scraper| {
        let rules = scraper.rules().await;
        !rules.is_empty() && rules.iter().all(|(_, health, _)| health != "unknown")
    };
    scraper.until("the evaluation of all rules", evaluated).await;
    let rules = scraper.rules().await;
    assert!(rules.iter().all(|(_, health, _)| health == "ok"), "{rules:?}");
    // Everything that mallory did was over before the first scrape.
    let burst = scraper.query("ALERTS{alertname=\"ToolgateRefusalBurst\", alertstate=\"firing\"}").await;
    let grants: Vec<&str> = burst.iter().map(|sample| sample.label("grant")).collect();
    assert_eq!(grants, ["mallory"]);
}

async fn names_are_as_prometheus_wants_them(gateway: &Gateway) {
    let Some(promtool) = program("promtool", "promtool's judgement of the gateway's metrics") else { return };
    let text = gateway.admin().get("/metrics").await.expect("metrics").body;
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    child.stdin.take().expect("is piped").write_all(&text).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
