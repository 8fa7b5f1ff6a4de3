//! The contract, case by case: entries, stages, limits, callers.

#[path = "support/court.rs"]
mod court;

use std::time::Duration;

use court::{Court, grant, plain_server, policy, rendered, server};
use jiff::Timestamp;
use toolgate_policy::{Credential, Law, Outcome, Passage, Target, Unauthenticated, Verdict, compile};

const SALES: &str = "
default: deny
tools:
  get_leads: {}
  move_lead: {limits: [{counter: move_lead_rate, window: minute, max: 30, scope: grant}]}
  update_lead: {action: deny, reason: change leads by move_lead}
  run_salesbot: {action: approve}
hide: ['stop_*']
allTools: {limits: [{counter: crm_api, window: second, max: 7, scope: server}]}
";

#[test]
fn the_seed_policy_says_what_its_page_promises() {
    let mut court = Court::of(&[("sales", SALES)]);
    assert_eq!(court.call(1, "get_leads"), "allowed");
    assert_eq!(court.call(1, "update_lead"), "denied sales/tools/update_lead/action");
    assert_eq!(court.refusal("update_lead").reason, "change leads by move_lead");
    assert_eq!(court.call(1, "run_salesbot"), "held sales/tools/run_salesbot/action");
    assert_eq!(court.call(1, "stop_salesbot"), "hidden sales/hide/stop_*");
    assert_eq!(court.call(1, "delete_everything"), "unlisted sales/default");
    for call in 0..30 {
        court.now += Duration::from_millis(200);
        assert_eq!(court.call(1, "move_lead"), "allowed", "call {call}");
    }
    court.now += Duration::from_millis(200);
    assert_eq!(court.call(1, "move_lead"), "limited sales/tools/move_lead/limits/move_lead_rate");
    let refusal = court.refusal("move_lead");
    let exhausted = refusal.exhausted.unwrap();
    assert_eq!(
        (exhausted.counter.as_str(), exhausted.window.as_str(), exhausted.max),
        ("move_lead_rate", "minute", 30)
    );
    assert_eq!((exhausted.remaining, refusal.retry_after), (0, Some(Duration::from_secs(54))));
    assert_eq!(court.call(2, "move_lead"), "allowed", "another grant counts for itself");
}

#[test]
fn an_eighth_call_in_a_second_is_limited_for_everybody() {
    let mut court = Court::of(&[("sales", SALES)]);
    for call in 0_u8..7 {
        assert_eq!(court.call(1 + call % 2, "get_leads"), "allowed");
    }
    assert_eq!(court.call(2, "get_leads"), "limited sales/allTools/limits/crm_api");
    court.now += Duration::from_secs(1);
    assert_eq!(court.call(2, "get_leads"), "allowed");
}

#[test]
fn a_glob_lists_only_with_an_explicit_action() {
    let mut court = Court::of(&[(
        "p",
        "tools: {'*': {limits: [{counter: c, window: day, max: 9, scope: grant}]}, 'get_*': {action: allow}, 'run_*': {action: deny}}",
    )]);
    assert_eq!(court.call(1, "get_leads"), "allowed");
    assert_eq!(court.call(1, "move_lead"), "unlisted p/default");
    assert_eq!(court.call(1, "run_bot"), "unlisted p/default");
}

#[test]
fn deny_beats_approve_beats_allow_however_specific_and_in_any_order() {
    let mut court = Court::of(&[(
        "p",
        "tools: {a_b_c: {action: allow}, 'a_b_*': {action: approve}, 'a_*': {action: allow}, x_y: {}, 'x_*': {action: deny}}",
    )]);
    assert_eq!(court.call(1, "a_b_c"), "held p/tools/a_b_*/action");
    assert_eq!(court.call(1, "a_z"), "allowed");
    assert_eq!(court.call(1, "x_y"), "denied p/tools/x_*/action");
}

#[test]
fn default_allow_lists_what_is_not_named() {
    let mut court = Court::of(&[("p", "default: allow\ntools: {x: {action: deny}}\nhide: [y]")]);
    assert_eq!(court.call(1, "anything"), "allowed");
    assert_eq!(court.call(1, "x"), "denied p/tools/x/action");
    assert_eq!(court.call(1, "y"), "hidden p/hide/y");
}

#[test]
fn all_tools_narrows_and_lists_none() {
    let mut court =
        Court::of(&[("p", "allTools: {limits: [{counter: c, window: day, max: 9, scope: grant}]}")]);
    assert_eq!(court.call(1, "get_leads"), "unlisted p/default");
}

#[test]
fn every_bound_policy_must_admit_the_call() {
    let mut court = Court::of(&[
        ("a", "tools: {x: {}, y: {}}"),
        ("b", "tools: {x: {}, z: {}}"),
        ("c", "grants: [bob]\ntools: {z: {}}"),
    ]);
    assert_eq!(court.call(1, "x"), "allowed");
    assert_eq!(court.call(1, "y"), "unlisted b/default");
    assert_eq!(court.call(1, "z"), "unlisted a/default");
    assert_eq!(court.call(2, "x"), "unlisted c/default");
}

#[test]
fn a_stage_is_asked_of_all_policies_before_the_next() {
    let mut court = Court::of(&[
        ("a", "default: allow\ntools: {x: {action: deny}, z: {action: approve}}"),
        (
            "b",
            "default: allow\nhide: [x]\ntools: {z: {limits: [{counter: c, window: day, max: 1, scope: grant, cost: 0}]}}",
        ),
    ]);
    assert_eq!(court.call(1, "x"), "hidden b/hide/x");
    let limit = "default: allow\ntools: {z: {limits: [{counter: c, window: day, max: 1, scope: grant}]}}";
    court.amend(&[("a", limit), ("b", "default: allow\ntools: {z: {action: approve}}")]);
    assert_eq!(court.call(1, "z"), "held b/tools/z/action");
    assert_eq!(court.call(1, "z"), "held b/tools/z/action", "a held call has taken nothing");
    court.amend(&[("a", limit)]);
    assert_eq!(court.call(1, "z"), "allowed");
    court.amend(&[("a", limit), ("b", "default: allow\ntools: {z: {action: approve}}")]);
    assert_eq!(
        court.call(1, "z"),
        "limited a/tools/z/limits/c",
        "a limit is told before an approval is asked for"
    );
}

#[test]
fn of_two_refusals_in_a_stage_the_policys_name_then_the_pointer_decides() {
    let mut court = Court::of(&[
        ("b", "default: allow\ntools: {x: {action: deny}}"),
        ("a", "default: allow\ntools: {x: {action: deny}, '*': {action: deny}}"),
    ]);
    assert_eq!(court.call(1, "x"), "denied a/tools/*/action");
}

#[test]
fn a_refused_call_takes_nothing_of_any_limit() {
    let mut court = Court::of(&[(
        "p",
        "tools:
           x: {limits: [{counter: wide, window: minute, max: 3, scope: grant}, {counter: narrow, window: second, max: 1, scope: grant}]}
           y: {limits: [{counter: wide, window: minute, max: 3, scope: grant}]}",
    )]);
    assert_eq!(court.call(1, "x"), "allowed");
    for _ in 0..5 {
        assert_eq!(court.call(1, "x"), "limited p/tools/x/limits/narrow");
    }
    assert_eq!(court.call(1, "y"), "allowed");
    assert_eq!(court.call(1, "y"), "allowed");
    assert_eq!(court.call(1, "y"), "limited p/tools/y/limits/wide");
}

#[test]
fn of_several_full_limits_the_longest_wait_is_told() {
    let mut court = Court::of(&[(
        "p",
        "tools: {x: {limits: [{counter: a, window: second, max: 1, scope: grant}, {counter: b, window: hour, max: 1, scope: grant}]}}",
    )]);
    assert_eq!(court.call(1, "x"), "allowed");
    assert_eq!(court.call(1, "x"), "limited p/tools/x/limits/b");
}

#[test]
fn entries_that_name_a_counter_share_it_and_all_its_windows() {
    let mut court = Court::of(&[(
        "p",
        "tools:
           x: {limits: [{counter: c, window: minute, max: 5, scope: grant}]}
           y: {limits: [{counter: c, window: hour, max: 2, scope: grant}]}",
    )]);
    assert_eq!(court.call(1, "x"), "allowed");
    assert_eq!(court.call(1, "y"), "allowed");
    assert_eq!(court.call(1, "x"), "limited p/tools/x/limits/c");
    assert_eq!(court.refusal("x").exhausted.unwrap().window, "hour");
}

#[test]
fn a_call_charges_a_counter_once_at_its_largest_cost() {
    let mut court = Court::of(&[(
        "p",
        "tools:
           x: {limits: [{counter: c, window: minute, max: 5, scope: grant}]}
           'x*': {limits: [{counter: c, window: minute, max: 5, scope: grant, cost: 3}]}
           y: {limits: [{counter: c, window: minute, max: 5, scope: grant}]}",
    )]);
    assert_eq!(court.call(1, "x"), "allowed");
    assert_eq!(court.call(1, "x"), "limited p/tools/x/limits/c");
    assert_eq!(court.call(1, "y"), "allowed");
    assert_eq!(court.call(1, "y"), "allowed");
    assert_eq!(court.call(1, "y"), "limited p/tools/y/limits/c");
}

#[test]
fn neither_an_edit_nor_a_new_creation_hands_out_quota() {
    let limit = |window: &str, max: i64| {
        format!("tools: {{x: {{limits: [{{counter: c, window: {window}, max: {max}, scope: grant}}]}}}}")
    };
    let mut court = Court::of(&[("p", &limit("minute", 2))]);
    assert_eq!(court.call(1, "x"), "allowed");
    assert_eq!(court.call(1, "x"), "allowed");
    court.amend(&[]);
    court.amend(&[("p", &limit("minute", 2))]);
    assert_eq!(court.call(1, "x"), "limited p/tools/x/limits/c");
    court.amend(&[("p", &limit("minute", 3))]);
    assert_eq!(court.call(1, "x"), "allowed");
    assert_eq!(court.call(1, "x"), "limited p/tools/x/limits/c");
}

#[test]
fn what_never_reached_the_server_is_given_back_and_nothing_else() {
    let mut court =
        Court::of(&[("p", "tools: {x: {limits: [{counter: c, window: minute, max: 1, scope: grant}]}}")]);
    let Verdict::Allowed(permit) = court.decide(1, "x") else { panic!("refused") };
    assert!(court.call(1, "x").starts_with("limited"));
    court.counters.give_back(permit.give_up());
    assert_eq!(court.call(1, "x"), "allowed");
}

#[test]
fn a_name_that_only_looks_like_a_tool_is_no_tool() {
    let mut court = Court::of(&[("p", "default: allow")]);
    for name in ["move\u{200b}_lead", "mоve_lead", "move_lead ", "", "MOVE LEAD"] {
        assert_eq!(court.call(1, name), "unlisted (not a tool name)", "{name:?}");
    }
}

#[test]
fn a_list_shows_what_a_call_would_not_be_told_is_unknown() {
    let mut court = Court::of(&[("sales", SALES)]);
    let caller = court.caller(1);
    for tool in
        ["get_leads", "move_lead", "update_lead", "run_salesbot", "stop_salesbot", "delete_lead", "ge t"]
    {
        let unknown = matches!(court.refusal_outcome(tool), Some(Outcome::Hidden | Outcome::Unlisted));
        assert_eq!(court.law.lists(&caller, Target::Tool, tool, None), !unknown, "{tool}");
    }
}

impl Court {
    fn refusal_outcome(&mut self, tool: &str) -> Option<Outcome> {
        match self.decide(1, tool) {
            Verdict::Allowed(_) => None,
            Verdict::Refused(refusal) => Some(refusal.outcome),
        }
    }
}

#[test]
fn a_caller_whom_no_policy_binds_is_refused_everything() {
    let mut court = Court::of(&[("p", "grants: [bob]\ndefault: allow")]);
    assert_eq!(court.call(1, "x"), "denied (no policy)");
    assert!(!court.law.lists(&court.caller(1), Target::Tool, "x", None));
    assert_eq!(court.call(2, "x"), "allowed");
}

#[test]
fn a_required_policy_binds_every_caller_and_its_want_refuses_all() {
    let strict = server("{upstream: {url: 'http://crm/mcp'}, requiredPolicies: [floor]}");
    let mut court = Court::at(&strict, &[("open", "default: allow")]);
    assert_eq!(court.call(1, "x"), "denied floor/required");
    assert!(court.law.refuses_everything());
    let mut court = Court::at(
        &strict,
        &[("open", "default: allow"), ("floor", "grants: [bob]\ndefault: allow\nhide: [x]")],
    );
    assert_eq!(court.call(1, "x"), "hidden floor/hide/x", "the names of its grants do not spare anybody");
}

#[test]
fn a_policy_that_never_was_good_refuses_every_call() {
    let policies = [policy("good", 1, "default: allow"), policy("bad", 1, "defualt: allow")];
    let grants = [grant("alice", 1, "")];
    let law = compile(&rendered(&plain_server(), &policies, &grants, None).bundle.unwrap()).unwrap();
    let mut court = Court { law, ..Court::of(&[]) };
    assert_eq!(court.call(1, "x"), "denied bad/(not valid)");
}

#[expect(clippy::unwrap_used, reason = "a helper of tests only")]
fn law_of(grants: &[toolgate_policy::Candidate<toolgate_crds::ToolGrantSpec>], spec: &str) -> Law {
    compile(&rendered(&server(spec), &[], grants, None).bundle.unwrap()).unwrap()
}

#[test]
fn only_exactly_one_live_grant_lets_a_caller_in() {
    let grants = [
        grant("alice", 1, ""),
        grant("twin-a", 2, ""),
        grant("twin-b", 2, ""),
        grant("heir-a", 3, "suspended: true"),
        grant("heir-b", 3, ""),
        grant("suspended", 4, "suspended: true"),
        grant("expired", 5, "expiresAt: '2026-01-01T00:00:00Z'"),
    ];
    let law = law_of(&grants, "upstream: {url: 'http://crm/mcp'}");
    let wall: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let who = |credential| law.authenticate(&credential, wall).map(|caller| caller.grant().to_owned());
    let token = |digit| Credential::Token([digit; 32]);
    assert_eq!(who(token(1)), Ok("alice".to_owned()));
    assert_eq!(who(token(2)), Err(Unauthenticated::Ambiguous));
    assert_eq!(who(token(3)), Ok("heir-b".to_owned()));
    assert_eq!(who(token(4)), Err(Unauthenticated::Suspended));
    assert_eq!(who(token(5)), Err(Unauthenticated::Expired));
    assert_eq!(who(token(9)), Err(Unauthenticated::Unknown));
    assert_eq!(who(Credential::None), Err(Unauthenticated::Missing));
    let before: Timestamp = "2025-12-31T23:59:59Z".parse().unwrap();
    assert!(law.authenticate(&token(5), before).is_ok());
}

#[test]
fn anonymous_is_a_grant_of_its_own_and_a_bad_credential_stays_bad() {
    let law =
        law_of(&[grant("alice", 1, "")], "{upstream: {url: 'http://crm/mcp'}, gateway: {anonymous: true}}");
    let caller = law.authenticate(&Credential::None, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(caller.grant(), "anonymous");
    let _permit = law.pass(&caller, Passage::List);
    let bad = law.authenticate(&Credential::Token([9; 32]), Timestamp::UNIX_EPOCH);
    assert_eq!(bad.unwrap_err(), Unauthenticated::Unknown);
}

#[test]
fn every_rule_that_refuses_is_a_rule_of_the_law_and_no_other_is() {
    let rules = "
default: deny
tools:
  'a*': {action: allow, require: [{path: args.x, op: exists}]}
  ab: {action: deny}
  ac: {limits: [{counter: c, window: day, max: 1, scope: grant}]}
resources: {'crm://a/b': {action: deny}, 'crm://a/*': {action: allow}}
hide: ['stop_*']
allTools: {denyIf: [{path: args.y, op: exists}]}
";
    let mut court = Court::of(&[("p", rules)]);
    let mut refused = Vec::new();
    for (target, name, arguments) in [
        (Target::Tool, "aa", "{}"),
        (Target::Tool, "aa", r#"{"x": 1, "y": 1}"#),
        (Target::Tool, "ab", "{}"),
        (Target::Tool, "ac", r#"{"x": 1}"#),
        (Target::Tool, "ac", r#"{"x": 1}"#),
        (Target::Tool, "b", "{}"),
        (Target::Tool, "stop_it", "{}"),
        (Target::Tool, "not a name", "{}"),
        (Target::Resource, "crm://a/b", "{}"),
        (Target::Resource, "crm://b", "{}"),
    ] {
        let told = court.ask(1, target, name, arguments);
        refused.extend(told.split_once(' ').map(|(_, rule)| rule.to_owned()));
    }
    for rule in &refused {
        let (policy, pointer) = rule.strip_prefix("p/").map_or(("", rule.as_str()), |pointer| ("p", pointer));
        assert!(court.law.has_rule(policy, pointer), "{rule}");
    }
    assert_eq!(refused.len(), 9, "{refused:?}");
    for gone in [
        "tools/ab/require/0",
        "tools/a*/require/1",
        "tools/ac/limits/d",
        "hide/stop_it",
        "tools/b/action",
        "x",
    ] {
        assert!(!court.law.has_rule("p", gone), "{gone}");
    }
    assert!(!court.law.has_rule("q", "default"));
    court.amend(&[("p", &rules.replace("ab: {action: deny}", "ab: {}"))]);
    assert!(!court.law.has_rule("p", "tools/ab/action"), "it denies nothing any more");
    let server = server("upstream: {url: 'http://crm:3001/mcp'}\nrequiredPolicies: [p]");
    let void = Court::at(&server, &[("p", &format!("mode: audit\n{rules}"))]);
    assert!(void.law.has_rule("p", "required"), "one that only watches is as good as missing");
}
