//! The page of the audit trail says what its lines say, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;
use toolgate_gateway::audit::digest::DigestKey;
use toolgate_gateway::audit::line::{
    Asked, Entry, Event, KEY_CHARACTERS_MAX, KEYS_MAX, NAME_CHARACTERS_MAX, Place, VERSION, Who,
};
use toolgate_gateway::audit::{FLUSH_DEADLINE, QUEUE_MAX, REJECTIONS_PER_SECOND_MAX, sink};
use toolgate_gateway::correlation::{Correlation, Ids};
use toolgate_gateway::metrics::Rejected;
use toolgate_policy::{Audited, Outcome, Refusal, Rule, Target, Unauthenticated, json};

const PAGE: &str = include_str!("../AUDIT.md");
const EVENTS: [&str; 4] = ["decision", "watched", "rejected", "omitted"];

/// What a row of the page says of a member.
#[derive(Debug, PartialEq)]
struct Row {
    kind: String,
    optional: bool,
    events: BTreeSet<String>,
}

fn page() -> BTreeMap<String, Row> {
    let (_, table) = PAGE.split_once("| Member |").expect("the table is there");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, events, meaning] = cells.try_into().expect("four cells");
        assert!(meaning.ends_with('.'), "{name}");
        let events = match events {
            "all" => EVENTS.map(str::to_owned).into(),
            some => some.split(", ").map(str::to_owned).collect(),
        };
        let kind_and_more = kind.split_once(", ").unwrap_or((kind, ""));
        let row = Row { kind: kind_and_more.0.to_owned(), optional: kind_and_more.1 == "optional", events };
        (name.trim_matches('`').to_owned(), row)
    })
    .collect()
}

fn correlation(traced: bool) -> Correlation {
    let mut headers = HeaderMap::new();
    if traced {
        let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.append("traceparent", context.parse().expect("a value"));
    }
    Ids::default().next(&headers)
}

fn refusal() -> Refusal {
    let rule = Rule { policy: "kommo-sales".to_owned(), pointer: "tools/move_lead/action".to_owned() };
    Refusal { outcome: Outcome::Denied, rule, reason: "no".to_owned(), exhausted: None, retry_after: None }
}

fn asked(name: &str, keys: usize, key: &DigestKey) -> Asked {
    let members: Vec<String> = (0..keys).map(|index| format!("\"k{index:03}\":\"canary\"")).collect();
    let text = format!("{{{}}}", members.join(","));
    let arguments = json::parse(text.as_bytes()).expect("JSON");
    Asked::new("tools/call", Target::Tool, name, arguments.as_object(), key)
}

fn lines(event: Event, traced: bool) -> Vec<Value> {
    let entry = Entry {
        time: Timestamp::UNIX_EPOCH,
        correlation: (!matches!(event, Event::Omitted { .. })).then(|| correlation(traced)),
        place: (!matches!(event, Event::Omitted { .. })).then(|| {
            let (namespace, server) = ("sales".to_owned(), "kommo".to_owned());
            Arc::new(Place { namespace, server, revision: 7 })
        }),
        who: (!matches!(event, Event::Omitted { .. }))
            .then(|| Who { grant: "sales-agent".into(), subject: "token" }),
        event,
    };
    let mut out = Vec::new();
    entry.write(&mut out);
    let text = String::from_utf8(out).expect("ASCII");
    assert_eq!(text.lines().count() as u64, entry.lines());
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Every kind of line, with everything that may be in it.
fn full() -> Vec<Value> {
    let key = DigestKey::random().expect("randomness");
    let watched = vec![Audited { policy: "trial".to_owned(), refusal: Some(refusal()) }];
    let refused = Some((Outcome::Denied, refusal().rule));
    let asked = asked("move_lead", KEYS_MAX + 1, &key);
    let decision = Event::Decision { asked, era: "2026-07-28", refused, watched };
    let rejected = Event::Rejected { reason: Rejected::Unauthenticated, detail: Some("expired") };
    [
        lines(decision, true),
        lines(rejected, false),
        lines(Event::Omitted { lines: 3, because: "rate" }, false),
    ]
    .concat()
}

#[test]
fn the_page_says_what_lines_say_and_nothing_else() {
    let mut written: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let page = page();
    for line in full() {
        let event = line["event"].as_str().expect("an event").to_owned();
        for (name, value) in line.as_object().expect("an object") {
            written.entry(name.clone()).or_default().insert(event.clone());
            let kind = match value {
                Value::String(_) => "text",
                Value::Number(_) => "number",
                _ => "list of texts",
            };
            assert_eq!(page.get(name).map(|row| row.kind.as_str()), Some(kind), "{name}");
        }
    }
    let said: BTreeMap<String, BTreeSet<String>> =
        page.into_iter().map(|(name, row)| (name, row.events)).collect();
    assert_eq!(said, written);
    for event in EVENTS {
        assert!(PAGE.contains(&format!("| `{event}` |")), "{event}");
    }
}

#[test]
fn only_what_the_page_calls_optional_may_be_missing() {
    let key = DigestKey::random().expect("randomness");
    let bare = Asked::new("tools/call", Target::Tool, "move_lead", None, &key);
    let watched = vec![Audited { policy: "trial".to_owned(), refusal: None }];
    let decision = Event::Decision { asked: bare, era: "2026-07-28", refused: None, watched };
    let rejected = Event::Rejected { reason: Rejected::Body, detail: None };
    for line in [lines(decision, false), lines(rejected, false)].concat() {
        let event = line["event"].as_str().expect("an event");
        for (name, row) in page() {
            let wanted = row.events.contains(event) && !row.optional;
            let there = line.get(&name).is_some();
            let always_told = name == "policy" && event == "watched";
            assert_eq!(there, wanted || always_told, "{event}: {name}");
        }
    }
}

#[test]
fn the_example_is_a_line() {
    let example = PAGE.split("```json\n").nth(1).and_then(|rest| rest.lines().next()).expect("an example");
    let example: Value = serde_json::from_str(example).expect("JSON");
    let page = page();
    assert!(example.as_object().expect("an object").keys().all(|name| page.contains_key(name)));
    assert_eq!(example["audit"], VERSION);
}

#[test]
fn the_page_tells_every_bound_and_word() {
    for (bound, words) in [
        (NAME_CHARACTERS_MAX, "at most {} characters"),
        (KEYS_MAX, "at most {}, of"),
        (KEY_CHARACTERS_MAX, "of {} characters each"),
        (QUEUE_MAX, "a queue of {} entries"),
        (REJECTIONS_PER_SECOND_MAX as usize, "beyond {} a second"),
    ] {
        let words = words.replace("{}", &bound.to_string());
        assert!(PAGE.contains(&words), "{words}");
    }
    assert_eq!((sink::FULL_FILES_MAX, FLUSH_DEADLINE), (5, Duration::from_secs(2)));
    let words = Outcome::ALL.iter().map(|outcome| outcome.as_str());
    let details = Unauthenticated::ALL.iter().map(|reason| reason.as_str());
    let targets = [Target::Tool, Target::Resource, Target::Prompt].map(Target::as_str);
    for word in words.chain(details).chain(targets) {
        assert!(PAGE.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn names_and_keys_have_a_longest_length_and_values_are_nowhere() {
    let key = DigestKey::random().expect("randomness");
    for (length, end) in [(NAME_CHARACTERS_MAX, "é"), (NAME_CHARACTERS_MAX + 1, "\u{2026}")] {
        let asked = asked(&"é".repeat(length), KEYS_MAX, &key);
        let event = Event::Decision { asked, era: "2026-07-28", refused: None, watched: Vec::new() };
        let line = lines(event, false).remove(0);
        let name = line["name"].as_str().expect("a name");
        assert!(name.ends_with(end) && name.chars().count() <= NAME_CHARACTERS_MAX + 1, "{name}");
        assert_eq!(line["argumentKeys"].as_array().map(Vec::len), Some(KEYS_MAX));
        assert!(line.get("argumentKeysOmitted").is_none() && !line.to_string().contains("canary"));
    }
    let more = Event::Decision {
        asked: asked("t", KEYS_MAX + 1, &key),
        era: "2026-07-28",
        refused: None,
        watched: Vec::new(),
    };
    assert_eq!(lines(more, false)[0]["argumentKeysOmitted"], 1);
}
