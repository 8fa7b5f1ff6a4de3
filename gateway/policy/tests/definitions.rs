//! A policy that agreed to some definitions of a tool lists and admits it as long as it is defined like that.
#[path = "support/court.rs"]
mod court;

use court::Court;
use toolgate_policy::{Definition, Target, json};

const RULES: &str = "
tools:
  get_leads: {}
  move_lead:
    definitions: ['aa', 'bb']
    require: [{path: args.id, op: gt, value: 0}]
    limits: [{counter: c, window: minute, max: 2, scope: grant}]
hide: ['stop_*']
";

fn filled(rules: &str) -> String {
    rules
        .replace("'aa'", &format!("'{}'", "aa".repeat(32)))
        .replace("'bb'", &format!("'{}'", "bb".repeat(32)))
}

/// None for a text that is no digest's.
fn definition(pair: &str) -> Option<Definition> {
    Definition::parse(&pair.repeat(32))
}

#[test]
fn a_tool_is_listed_and_called_only_as_it_was_agreed_to() {
    let mut court = Court::of(&[("p", &filled(RULES))]);
    for (defined, told) in [
        (definition("aa"), "allowed"),
        (definition("bb"), "allowed"),
        (definition("ab"), "denied p/tools/move_lead/definitions"),
        (None, "denied p/tools/move_lead/definitions"),
    ] {
        court.definition = defined;
        assert_eq!(court.call_with(1, "move_lead", r#"{"id": 1}"#), told, "{defined:?}");
        let listed = court.law.lists(&court.caller(1), Target::Tool, "move_lead", defined);
        assert_eq!(listed, told == "allowed", "{defined:?}");
    }
    court.definition = None;
    assert_eq!(court.call(1, "get_leads"), "allowed", "of others nothing has to be known");
}

#[test]
fn it_is_looked_at_before_conditions_and_after_denials_and_costs_nothing() {
    let mut court =
        Court::of(&[("p", &filled(RULES)), ("q", "tools: {get_leads: {}, move_lead: {action: deny}}")]);
    court.definition = definition("cc");
    assert_eq!(court.call_with(1, "move_lead", "{}"), "denied q/tools/move_lead/action");
    court.amend(&[("p", &filled(RULES))]);
    for _ in 0..5 {
        assert_eq!(court.call_with(1, "move_lead", "{}"), "denied p/tools/move_lead/definitions");
    }
    court.definition = definition("aa");
    assert_eq!(court.call_with(1, "move_lead", "{}"), "denied p/tools/move_lead/require/0");
    for told in ["allowed", "allowed", "limited p/tools/move_lead/limits/c"] {
        assert_eq!(court.call_with(1, "move_lead", r#"{"id": 1}"#), told);
    }
}

#[test]
fn every_bound_policy_has_to_agree_and_one_that_only_watches_says_so() {
    let other = "tools: {move_lead: {definitions: ['bb']}}";
    let mut court = Court::of(&[("p", &filled(RULES)), ("q", &filled(other))]);
    for (pair, told) in [
        ("aa", "denied q/tools/move_lead/definitions"),
        ("bb", "allowed"),
        ("cc", "denied p/tools/move_lead/definitions"),
    ] {
        court.definition = definition(pair);
        assert_eq!(court.call_with(1, "move_lead", r#"{"id": 1}"#), told, "{pair}");
        assert_eq!(court.law.agrees("move_lead", definition(pair).unwrap()), pair == "bb");
    }
    court.amend(&[("p", &filled(RULES)), ("q", &format!("mode: audit\n{}", filled(other)))]);
    court.definition = definition("aa");
    let decision = court.decide_with(1, "move_lead", r#"{"id": 1}"#);
    let refusal = decision.audits[0].refusal.as_ref().unwrap();
    assert_eq!(refusal.rule.to_string(), "q/tools/move_lead/definitions");
}

#[test]
fn a_definition_is_wanted_where_the_name_alone_refuses_nothing() {
    let court = Court::of(&[("p", &filled(RULES))]);
    let wants = |court: &Court, tool: &str| court.law.wants_definition(&court.caller(1), tool);
    assert!(court.law.pins("move_lead") && !court.law.pins("get_leads"));
    assert!(wants(&court, "move_lead") && !wants(&court, "get_leads") && !wants(&court, "stop_it"));
    assert!(court.law.decides_by_definition(&court.caller(1), "move_lead"));
    let denied = Court::of(&[("p", &filled("tools: {move_lead: {action: deny, definitions: ['aa']}}"))]);
    assert!(!wants(&denied, "move_lead"));
    let watched = filled("mode: audit\ntools: {move_lead: {definitions: ['aa']}}");
    let watched = Court::of(&[("p", "tools: {move_lead: {}}"), ("q", &watched)]);
    assert!(wants(&watched, "move_lead"), "who watches wants to know, too");
    assert!(!watched.law.decides_by_definition(&watched.caller(1), "move_lead"));
}

#[test]
fn what_was_agreed_to_is_said_of_one_tool_in_digests_and_once() {
    let digest = "ab".repeat(32);
    let upper = "AB".repeat(32);
    let many = |count: usize| {
        let all: Vec<String> = (0..count).map(|index| format!("'{index:064x}'")).collect();
        format!("tools: {{t: {{definitions: [{}]}}}}", all.join(", "))
    };
    for (rules, faults) in [
        (many(8), vec![]),
        (many(9), vec!["spec.tools.t.definitions"]),
        ("tools: {t: {definitions: []}}".to_owned(), vec!["spec.tools.t.definitions"]),
        (format!("tools: {{t: {{definitions: ['{upper}']}}}}"), vec!["spec.tools.t.definitions[0]"]),
        (
            format!("tools: {{t: {{definitions: ['{digest}', '{digest}']}}}}"),
            vec!["spec.tools.t.definitions[1]"],
        ),
        (
            format!("tools: {{'t*': {{action: allow, definitions: ['{digest}']}}}}"),
            vec!["spec.tools.t*.definitions"],
        ),
        (format!("prompts: {{t: {{definitions: ['{digest}']}}}}"), vec!["spec.prompts.t.definitions"]),
        (format!("allTools: {{definitions: ['{digest}']}}"), vec!["spec.allTools.definitions"]),
        (format!("tools: {{t: {{definition: ['{digest}']}}}}"), vec!["spec.tools.t.definition"]),
    ] {
        let policy = court::policy("p", 1, &rules);
        let paths: Vec<&str> = policy.errors().iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, faults, "{rules}");
    }
}

#[test]
fn an_explanation_says_what_was_agreed_to_and_whether_it_holds() {
    let court = Court::of(&[("p", &filled(RULES))]);
    let parsed = json::parse(br#"{"id": 1}"#).unwrap();
    let now = toolgate_policy::Now { monotonic: court.now, wall: jiff::Timestamp::UNIX_EPOCH };
    for (defined, holds) in [(definition("aa"), "true"), (definition("cc"), "false"), (None, "unknown")] {
        let call = toolgate_policy::Call {
            target: Target::Tool,
            name: "move_lead",
            arguments: parsed.as_object(),
            definition: defined,
        };
        let explained = court.law.explain("alice", &call, now).unwrap();
        let looked = &explained.policies[0].conditions[0];
        assert_eq!((looked.rule.as_str(), looked.holds), ("tools/move_lead/definitions", holds));
        assert_eq!(looked.admits, holds == "true");
        assert_eq!(explained.verdict.outcome, if holds == "true" { "allowed" } else { "denied" });
    }
    let view = court.law.view("alice", jiff::Timestamp::UNIX_EPOCH).unwrap();
    let row = view.tools.iter().find(|row| row.name == "move_lead").unwrap();
    assert_eq!(row.conditions[0].rule, "p/tools/move_lead/definitions");
    assert!(row.conditions[0].condition.ends_with(&"bb".repeat(32)), "{:?}", row.conditions[0]);
}
