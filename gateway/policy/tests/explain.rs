//! An explanation and the decision are one: for whatever policies and whatever call.

#[path = "support/court.rs"]
mod court;

use std::time::Duration;

use court::{Court, grant, plain_server, policy, rendered, server};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use toolgate_policy::{
    Call, Counters, Explanation, Law, Now, Said, Target, Verdict, compile, json as strict,
};

const NOW: Now = Now { monotonic: Duration::ZERO, wall: Timestamp::UNIX_EPOCH };

fn explained(law: &Law, grant: &str, target: Target, name: &str, arguments: &str) -> Explanation {
    let parsed = strict::parse(arguments.as_bytes()).expect("JSON");
    let call = Call { target, name, arguments: parsed.as_object(), definition: None };
    law.explain(grant, &call, NOW).expect("there is such a grant")
}

fn said(outcome: &'static str, rule: Option<&str>) -> (&'static str, Option<String>) {
    (outcome, rule.map(str::to_owned))
}

fn told(verdict: &Said) -> (&'static str, Option<String>) {
    (verdict.outcome, verdict.rule.clone())
}

const SALES: &str = "
default: deny
tools:
  get_leads: {}
  move_lead:
    require: [{path: args.lead_id, op: gt, value: 0}, {conditions: [{path: args.status_id, op: in, value: [1, 2]}, {path: args.note, op: exists}]}]
    denyIf: [{path: 'args.tags[*]', op: eq, value: vip}]
    limits: [{counter: rate, window: minute, max: 30, scope: grant, cost: {sum: args.weight}}, {counter: rate, window: day, max: 100, scope: grant}]
  'move_*': {limits: [{counter: rate, window: minute, max: 30, scope: grant}]}
hide: ['stop_*']
allTools: {limits: [{counter: crm_api, window: second, max: 7, scope: server}]}
";

#[test]
fn every_stage_tells_what_it_looked_at() {
    let court = Court::of(&[
        ("sales", SALES),
        ("watch", "mode: audit\ntools: {get_leads: {action: deny}}"),
        ("bobs", "grants: [bob]"),
    ]);
    let arguments = r#"{"lead_id":5,"status_id":3,"tags":["new","vip"],"weight":2.5}"#;
    let explanation = explained(&court.law, "alice", Target::Tool, "move_lead", arguments);
    assert_eq!(told(&explanation.verdict), said("denied", Some("sales/tools/move_lead/denyIf/0")));
    assert_eq!(explanation.not_bound, ["bobs"]);
    assert_eq!(explanation.charged, []);
    let [sales, watch] = explanation.policies.as_slice() else { panic!("{explanation:?}") };
    let conditions: Vec<_> =
        sales.conditions.iter().map(|item| (item.rule.as_str(), item.holds, item.admits)).collect();
    assert_eq!(
        conditions,
        [
            ("tools/move_lead/require/0", "true", true),
            ("tools/move_lead/require/1", "false", false),
            ("tools/move_lead/denyIf/0", "true", false),
        ]
    );
    let tests = &sales.conditions[1].conditions;
    let tests: Vec<_> = tests.iter().map(|test| (test.condition.as_str(), test.holds)).collect();
    assert_eq!(tests, [("args.status_id in [1,2]", "false"), ("args.note exists", "false")]);
    let limits: Vec<_> =
        sales.limits.iter().map(|limit| (limit.rule.as_str(), limit.cost.as_deref())).collect();
    assert_eq!(
        limits,
        [
            ("allTools/limits/crm_api", Some("1")),
            ("tools/move_lead/limits/rate", Some("2.5")),
            ("tools/move_lead/limits/rate", Some("1")),
            ("tools/move_*/limits/rate", Some("1")),
        ]
    );
    assert_eq!(sales.limits[1].windows.len(), 2, "all windows of the counter, whichever entry gives them");
    let entries: Vec<_> = sales.entries.iter().map(|entry| (entry.entry.as_str(), entry.lists)).collect();
    assert_eq!(entries, [("tools/move_lead", true), ("tools/move_*", false)]);
    assert_eq!(told(&watch.verdict), said("unlisted", Some("watch/default")));

    let good = r#"{"lead_id":5,"status_id":1,"note":"","tags":[],"weight":2.5}"#;
    let explanation = explained(&court.law, "alice", Target::Tool, "move_lead", good);
    assert_eq!(told(&explanation.verdict), said("allowed", None));
    let charged: Vec<_> =
        explanation.charged.iter().map(|limit| (limit.rule.as_str(), limit.cost.as_deref())).collect();
    assert_eq!(
        charged,
        [("sales/allTools/limits/crm_api", Some("1")), ("sales/tools/move_lead/limits/rate", Some("2.5"))],
        "each counter once, at its largest cost"
    );
}

#[test]
fn a_grant_that_opens_nothing_is_nobody() {
    let policies = [policy("p", 1, "default: allow")];
    let grants = [
        grant("late", 1, "expiresAt: '1969-01-01T00:00:00Z'"),
        grant("off", 2, "suspended: true"),
        grant("one", 3, ""),
        grant("two", 3, ""),
        grant("live", 4, ""),
    ];
    let law = compile(&rendered(&plain_server(), &policies, &grants, None).bundle.expect("a bundle"))
        .expect("a law");
    for (name, why) in [("late", "expired"), ("off", "suspended"), ("one", "ambiguous"), ("two", "ambiguous")]
    {
        let verdict = explained(&law, name, Target::Tool, "t", "{}").verdict;
        assert_eq!((verdict.outcome, verdict.rule), ("unauthenticated", None), "{name}");
        assert!(verdict.reason.expect("a reason").contains(why), "{name}");
        assert_eq!(law.view(name, NOW.wall).expect("a view").lifeless, Some(why));
    }
    assert_eq!(explained(&law, "live", Target::Tool, "t", "{}").verdict.outcome, "allowed");
    assert!(
        law.explain(
            "nobody",
            &Call { target: Target::Tool, name: "t", arguments: None, definition: None },
            NOW
        )
        .is_none()
    );
    assert!(law.view("nobody", NOW.wall).is_none());
}

#[test]
fn a_view_tells_everything_that_is_in_force() {
    let court = Court::at(
        &server("upstream: {url: 'http://crm:3001/mcp'}\nrequiredPolicies: [floor]"),
        &[
            ("sales", SALES),
            (
                "floor",
                "default: allow\nhide: [get_secret]\ntools: {'run_*': {action: approve}}\nserverRequests: [roots]",
            ),
        ],
    );
    let view = court.law.view("alice", NOW.wall).expect("a view");
    let rows: Vec<_> =
        view.tools.iter().map(|row| (row.name.as_str(), row.listed, row.verdict.outcome)).collect();
    assert_eq!(
        rows,
        [("get_leads", true, "allowed"), ("get_secret", false, "hidden"), ("move_lead", true, "allowed")]
    );
    let conditions: Vec<_> = view.tools[2].conditions.iter().map(|item| item.condition.as_str()).collect();
    assert_eq!(
        conditions,
        ["args.lead_id gt 0", "args.status_id in [1,2] and args.note exists", "args.tags[*] eq \"vip\""]
    );
    assert_eq!(view.tools[2].limits[1].cost.as_deref(), Some("the sum of args.weight"));
    assert!(!view.others_listed && view.server_requests.is_empty() && view.refused.is_none());
    let floor = &view.policies[0];
    assert_eq!(
        (floor.policy.as_str(), floor.hide.as_slice()),
        ("floor", ["get_secret".to_owned()].as_slice())
    );
    assert_eq!(floor.globs[0].entry, "tools/run_*");

    let void = Court::at(
        &server("upstream: {url: 'http://crm:3001/mcp'}\nrequiredPolicies: [gone]"),
        &[("sales", SALES)],
    );
    let refused = void.law.view("alice", NOW.wall).expect("a view").refused.expect("all is refused");
    assert_eq!(refused.rule.as_deref(), Some("gone/required"));
    let verdict = explained(&void.law, "alice", Target::Tool, "get_leads", "{}").verdict;
    assert_eq!(told(&verdict), said("denied", Some("gone/required")));
}

fn names() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "a_b", "a_*", "*", "b", "b_*"])
}

fn tests() -> impl Strategy<Value = Value> {
    let path = prop::sample::select(vec!["args.x", "args.y", "args.list[*]"]);
    let test = prop::sample::select(vec![
        json!({"op": "gt", "value": 3}),
        json!({"op": "eq", "value": "s"}),
        json!({"op": "in", "value": [1, 5]}),
        json!({"op": "exists"}),
        json!({"op": "exists", "value": false}),
    ]);
    (path, test).prop_map(|(path, mut test)| {
        test["path"] = path.into();
        test
    })
}

fn entries() -> impl Strategy<Value = Value> {
    let action = prop::option::of(prop::sample::select(vec!["allow", "deny", "approve"]));
    let limit = (
        0_usize..2,
        prop::sample::select(vec![
            json!(1),
            json!(0),
            json!({"sum": "args.x"}),
            json!({"length": "args.list"}),
        ]),
    );
    let limits = prop::collection::vec(limit, 0..2);
    (action, prop::collection::vec(tests(), 0..2), prop::collection::vec(tests(), 0..2), limits).prop_map(
        |(action, require, deny_if, limits)| {
            let limits: Vec<Value> = limits
                .into_iter()
                .map(|(counter, cost)| json!({"counter": format!("c{counter}"), "window": "minute", "max": 4, "scope": "grant", "cost": cost}))
                .collect();
            let mut entry = json!({"require": require, "denyIf": deny_if, "limits": limits});
            if let Some(action) = action {
                entry["action"] = action.into();
            }
            entry
        },
    )
}

fn policies() -> impl Strategy<Value = Vec<Value>> {
    let tools = prop::collection::btree_map(names(), entries(), 0..4);
    let hide = prop::collection::vec(names().prop_filter("only some", |name| *name != "*"), 0..2);
    let one = (
        tools,
        hide,
        any::<bool>(),
        prop::sample::select(vec!["enforce", "enforce", "audit"]),
        any::<bool>(),
    );
    let one = one.prop_map(|(tools, hide, allow, mode, bobs)| {
        let default = if allow { "allow" } else { "deny" };
        let mut policy = json!({"tools": tools, "hide": hide, "default": default, "mode": mode});
        if bobs {
            policy["grants"] = json!(["bob"]);
        }
        policy
    });
    prop::collection::vec(one, 1..4)
}

fn arguments() -> impl Strategy<Value = Value> {
    let scalar =
        prop::sample::select(vec![json!(1), json!(5), json!(-2), json!("s"), Value::Null, json!(true)]);
    let list = prop::collection::vec(scalar.clone(), 0..3);
    (prop::option::of(scalar.clone()), prop::option::of(scalar), prop::option::of(list)).prop_map(
        |(x, y, list)| {
            let members = [("x", x), ("y", y), ("list", list.map(Value::from))];
            members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn explanation_and_decision_never_disagree(
        policies in policies(),
        name in prop::sample::select(vec!["a", "a_b", "b", "b_c", "z", "not a name"]),
        arguments in arguments(),
    ) {
        let texts: Vec<(String, String)> =
            policies.iter().enumerate().map(|(index, policy)| (format!("p{index}"), policy.to_string())).collect();
        let named: Vec<_> = texts.iter().map(|(name, text)| policy(name, 1, &as_rules(text))).collect();
        prop_assume!(named.iter().all(|policy| policy.spec.is_ok()));
        let grants = [grant("alice", 1, ""), grant("bob", 2, "")];
        let law = compile(&rendered(&plain_server(), &named, &grants, None).bundle.unwrap()).unwrap();
        for (index, grant) in ["alice", "bob"].into_iter().enumerate() {
            let credential = toolgate_policy::Credential::Token([u8::try_from(index).unwrap() + 1; 32]);
            let caller = law.authenticate(&credential, NOW.wall).unwrap();
            let text = arguments.to_string();
            let parsed = strict::parse(text.as_bytes()).unwrap();
            let call = Call { target: Target::Tool, name, arguments: parsed.as_object(), definition: None };
            let mut counters = Counters::new();
            let decision = law.decide(&caller, &call, &mut counters, NOW);
            let explanation = law.explain(grant, &call, NOW).unwrap();
            let decided = match &decision.verdict {
                Verdict::Allowed(_) => ("allowed", None),
                Verdict::Refused(refusal) => (refusal.outcome.as_str(), Some(refusal.rule.to_string())),
            };
            prop_assert_eq!(told(&explanation.verdict), decided);
            evidence(&explanation)?;
            for audited in &decision.audits {
                let looked = explanation.policies.iter().find(|looked| looked.policy == audited.policy).unwrap();
                let rule = audited.refusal.as_ref().map(|refusal| refusal.rule.to_string());
                prop_assert_eq!(told(&looked.verdict), (audited.outcome().as_str(), rule));
            }
            let row = law.view(grant, NOW.wall).unwrap();
            let row = row.tools.iter().find(|row| row.name == name);
            prop_assert!(row.is_none_or(|row| row.listed == law.lists(&caller, Target::Tool, name, None) || law.standing(&caller).is_err()));
        }
    }
}

fn as_rules(policy: &str) -> String {
    let value: Value = serde_json::from_str(policy).expect("JSON");
    let members = value.as_object().expect("an object").iter();
    members.map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join("\n")
}

/// What is told of the stages leads to what is told of the verdict.
fn evidence(explanation: &Explanation) -> Result<(), TestCaseError> {
    let enforcing =
        explanation.policies.iter().filter(|looked| looked.mode == Some(toolgate_crds::Mode::Enforce));
    let enforcing: Vec<_> = enforcing.collect();
    let unmet: Vec<String> = enforcing
        .iter()
        .flat_map(|looked| looked.conditions.iter().map(move |item| (looked, item)))
        .filter(|(_, item)| !item.admits)
        .map(|(looked, item)| format!("{}/{}", looked.policy, item.rule))
        .collect();
    let (outcome, rule) = told(&explanation.verdict);
    match outcome {
        "allowed" | "held" | "limited" => {
            prop_assert!(
                unmet.is_empty()
                    && enforcing.iter().all(|looked| !looked.unlisted && looked.hidden_by.is_none())
            );
            prop_assert!(
                enforcing.iter().all(|looked| looked.limits.iter().all(|limit| limit.cost.is_some()))
            );
        }
        "hidden" => prop_assert!(enforcing.iter().any(|looked| looked.hidden_by.is_some())),
        _ => {}
    }
    if let Some(rule) = rule.filter(|rule| rule.contains("/require/") || rule.contains("/denyIf/")) {
        prop_assert!(unmet.contains(&rule));
    }
    Ok(())
}
