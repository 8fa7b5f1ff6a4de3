//! The policy language over arguments: conditions, costs, audit.

#[path = "support/court.rs"]
mod court;

use court::{Court, server};
use toolgate_policy::{Target, Verdict};

const MOVES: &str = "
tools:
  move_lead:
    require:
      - {path: args.lead_id, op: gt, value: 0}
      - {path: args.status_id, op: notIn, value: [142, 143], reason: closing a lead is for people}
    denyIf:
      - conditions:
          - {path: args.pipeline_id, op: exists}
          - {path: args.pipeline_id, op: neq, value: 7}
        reason: only the main pipeline
allTools: {denyIf: [{path: args.confirm, op: exists}]}
";

#[test]
fn conditions_refuse_what_they_say_and_what_they_cannot_tell() {
    let mut court = Court::of(&[("p", MOVES)]);
    for (arguments, said) in [
        (r#"{"lead_id":1,"status_id":5}"#, "allowed"),
        (r#"{"lead_id":1,"status_id":5,"pipeline_id":7.0}"#, "allowed"),
        (r#"{"lead_id":1,"status_id":143}"#, "denied p/tools/move_lead/require/1"),
        (r#"{"lead_id":1,"status_id":1.43e2}"#, "denied p/tools/move_lead/require/1"),
        (r#"{"lead_id":1,"status_id":"143"}"#, "denied p/tools/move_lead/require/1"),
        (r#"{"lead_id":1}"#, "denied p/tools/move_lead/require/1"),
        (r#"{"lead_id":1,"status_id":null}"#, "denied p/tools/move_lead/require/1"),
        (r#"{"lead_id":0,"status_id":5}"#, "denied p/tools/move_lead/require/0"),
        (r#"{"lead_id":1,"status_id":5,"pipeline_id":8}"#, "denied p/tools/move_lead/denyIf/0"),
        (r#"{"lead_id":1,"status_id":5,"pipeline_id":"7"}"#, "denied p/tools/move_lead/denyIf/0"),
        (r#"{"lead_id":1,"status_id":5,"pipeline_id":null}"#, "allowed"),
        (r#"{"lead_id":1,"status_id":5,"confirm":true}"#, "denied p/allTools/denyIf/0"),
        ("{}", "denied p/tools/move_lead/require/0"),
    ] {
        assert_eq!(court.call_with(1, "move_lead", arguments), said, "{arguments}");
    }
}

#[test]
fn a_caller_hears_why_and_whether_it_could_be_told_at_all() {
    let mut court = Court::of(&[("p", MOVES)]);
    let mut reason = |arguments: &str| match court.decide_with(1, "move_lead", arguments).verdict {
        Verdict::Refused(refusal) => refusal.reason,
        Verdict::Allowed(_) => panic!("allowed"),
    };
    assert_eq!(reason(r#"{"lead_id":1,"status_id":143}"#), "closing a lead is for people");
    assert_eq!(
        reason(r#"{"lead_id":1,"status_id":"143"}"#),
        "closing a lead is for people (an argument is missing or of another type)"
    );
    assert_eq!(reason(r#"{"lead_id":0,"status_id":1}"#), "needs args.lead_id gt 0");
    assert_eq!(reason(r#"{"lead_id":1,"status_id":1,"confirm":false}"#), "refused if args.confirm exists");
}

#[test]
fn conditions_are_asked_before_limits_and_take_nothing() {
    let rules = "tools: {x: {require: [{path: args.ok, op: eq, value: true}], limits: [{counter: c, window: day, max: 1, scope: grant}]}}";
    let mut court = Court::of(&[("p", rules)]);
    assert_eq!(court.call_with(1, "x", "{}"), "denied p/tools/x/require/0");
    assert_eq!(court.call_with(1, "x", r#"{"ok":true}"#), "allowed");
    assert_eq!(court.call_with(1, "x", "{}"), "denied p/tools/x/require/0");
    assert_eq!(court.call_with(1, "x", r#"{"ok":true}"#), "limited p/tools/x/limits/c");
}

#[test]
fn a_sum_of_money_counts_exactly() {
    let rules = "tools: {pay: {limits: [{counter: money, window: day, max: 1, scope: grant, cost: {sum: args.amount}}]}}";
    let mut court = Court::of(&[("p", rules)]);
    for _ in 0..10 {
        assert_eq!(court.call_with(1, "pay", r#"{"amount":0.1}"#), "allowed");
    }
    assert_eq!(court.call_with(1, "pay", r#"{"amount":0.000001}"#), "limited p/tools/pay/limits/money");
    assert_eq!(court.call_with(1, "pay", r#"{"amount":0}"#), "allowed", "a cost of zero charges nothing");
    assert_eq!(court.call_with(2, "pay", r#"{"amount":1}"#), "allowed");
}

#[test]
fn a_cost_that_cannot_be_told_is_refused() {
    let rules = "tools: {pay: {limits: [{counter: money, window: day, max: 100, scope: grant, cost: {sum: 'args.items[*].price'}}]}}";
    let mut court = Court::of(&[("p", rules)]);
    for arguments in [
        "{}",
        r#"{"items":null}"#,
        r#"{"items":7}"#,
        r#"{"items":[{}]}"#,
        r#"{"items":[{"price":1},{"price":-1}]}"#,
        r#"{"items":[{"price":"1"}]}"#,
        r#"{"items":[{"price":0.0000001}]}"#,
        r#"{"items":[{"price":1e300}]}"#,
    ] {
        assert_eq!(court.call_with(1, "pay", arguments), "denied p/tools/pay/limits/money", "{arguments}");
    }
    assert_eq!(court.call_with(1, "pay", r#"{"items":[]}"#), "allowed");
    assert_eq!(court.call_with(1, "pay", r#"{"items":[{"price":99.5},{"price":0.5}]}"#), "allowed");
    assert!(court.call_with(1, "pay", r#"{"items":[{"price":0.5}]}"#).starts_with("limited"));
}

#[test]
fn a_call_that_costs_more_than_there_ever_is_is_denied_without_a_wait() {
    let rules = "tools: {load: {limits: [{counter: rows, window: day, max: 3, scope: grant, cost: {length: args.ids}}]}}";
    let mut court = Court::of(&[("p", rules)]);
    assert_eq!(court.call_with(1, "load", r#"{"ids":[1,2,3,4]}"#), "denied p/tools/load/limits/rows");
    assert_eq!(court.call_with(1, "load", r#"{"ids":[1,2,3]}"#), "allowed");
    assert_eq!(court.call_with(1, "load", r#"{"ids":[1]}"#), "limited p/tools/load/limits/rows");
}

const WATCHING: &str =
    "mode: audit\ntools: {x: {limits: [{counter: c, window: day, max: 1, scope: grant}]}}\nhide: [y]";

#[test]
fn a_policy_in_audit_mode_only_watches() {
    let mut court = Court::of(&[("enforce", "default: allow"), ("watch", WATCHING)]);
    let mut would = |tool: &str| {
        let decision = court.decide_with(1, tool, "{}");
        (decision.verdict.outcome().as_str(), decision.audits[0].outcome().as_str())
    };
    assert_eq!(would("x"), ("allowed", "allowed"));
    assert_eq!(would("x"), ("allowed", "limited"));
    assert_eq!(would("y"), ("allowed", "hidden"));
    assert_eq!(would("z"), ("allowed", "unlisted"));
    let caller = court.caller(1);
    assert!(court.law.lists(&caller, Target::Tool, "y", None), "nothing is hidden from a list either");
}

#[test]
fn a_policy_in_audit_mode_admits_nobody_and_charges_only_what_is_forwarded() {
    let mut court = Court::of(&[("watch", WATCHING)]);
    assert_eq!(court.call(1, "x"), "denied (no policy)");
    assert!(court.law.refuses_everything());
    court.amend(&[("enforce", "default: allow\ntools: {x: {action: deny}}"), ("watch", WATCHING)]);
    assert_eq!(court.decide_with(1, "x", "{}").audits[0].outcome().as_str(), "allowed");
    court.amend(&[("enforce", "default: allow"), ("watch", WATCHING)]);
    assert_eq!(
        court.decide_with(1, "x", "{}").audits[0].outcome().as_str(),
        "allowed",
        "the refused calls cost nothing"
    );
}

#[test]
fn what_is_given_back_is_given_back_to_audit_counters_too() {
    let mut court = Court::of(&[("enforce", "default: allow"), ("watch", WATCHING)]);
    let Verdict::Allowed(permit) = court.decide_with(1, "x", "{}").verdict else { panic!("refused") };
    court.counters.give_back(permit.give_up());
    assert_eq!(court.decide_with(1, "x", "{}").audits[0].outcome().as_str(), "allowed");
}

#[test]
fn a_required_policy_that_only_watches_is_as_good_as_missing() {
    let strict = server("{upstream: {url: 'http://crm/mcp'}, requiredPolicies: [watch]}");
    let mut court = Court::at(&strict, &[("enforce", "default: allow"), ("watch", WATCHING)]);
    assert_eq!(court.call(1, "x"), "denied watch/required");
}

const MORE: &str = "
resources:
  'kommo://account': {}
  'kommo://reports/*': {action: allow, limits: [{counter: reports, window: minute, max: 1, scope: grant}]}
  'kommo://reports/secret': {action: deny, reason: not for agents}
  'kommo://leads/{id}': {}
prompts:
  resumo: {denyIf: [{path: args.all, op: eq, value: 'yes'}]}
";

#[test]
fn resources_and_prompts_are_decided_like_tools() {
    let mut court = Court::of(&[("p", MORE)]);
    let mut said = |target, name: &str, arguments: &str| court.ask(1, target, name, arguments);
    assert_eq!(said(Target::Resource, "kommo://account", "{}"), "allowed");
    assert_eq!(said(Target::Resource, "kommo://reports/sales", "{}"), "allowed");
    assert_eq!(
        said(Target::Resource, "kommo://reports/sales", "{}"),
        "limited p/resources/kommo://reports/*/limits/reports"
    );
    assert_eq!(
        said(Target::Resource, "kommo://reports/secret", "{}"),
        "denied p/resources/kommo://reports/secret/action"
    );
    assert_eq!(said(Target::Resource, "kommo://reports/../account", "{}"), "unlisted (not a plain URI)");
    assert_eq!(said(Target::Resource, "kommo://leads/7", "{}"), "unlisted p/default");
    assert_eq!(said(Target::Prompt, "resumo", r#"{"all":"no"}"#), "allowed");
    assert_eq!(said(Target::Prompt, "resumo", r#"{"all":"yes"}"#), "denied p/prompts/resumo/denyIf/0");
    assert_eq!(said(Target::Prompt, "other", "{}"), "unlisted p/default");
    assert_eq!(said(Target::Tool, "resumo", "{}"), "unlisted p/default", "a prompt's entry lists no tool");
}

#[test]
fn a_template_is_listed_where_it_is_written_literally() {
    let court = Court::of(&[("p", MORE)]);
    let caller = court.caller(1);
    assert!(court.law.lists_template(&caller, "kommo://leads/{id}"));
    assert!(!court.law.lists_template(&caller, "kommo://reports/{id}"));
    assert!(Court::of(&[("p", "default: allow")]).law.lists_template(&caller, "kommo://reports/{id}"));
}

#[test]
fn a_server_may_ask_only_what_every_bound_policy_names() {
    use toolgate_crds::ServerRequest::{Elicitation, Roots, Sampling};
    let court = Court::of(&[
        ("a", "default: allow\nserverRequests: [elicitation, roots]"),
        ("b", "default: allow\nserverRequests: [elicitation]"),
        ("c", "default: allow\ngrants: [bob]"),
        ("watch", "mode: audit"),
    ]);
    let opened =
        |digit: u8| [Sampling, Elicitation, Roots].map(|kind| court.law.opens(&court.caller(digit), kind));
    assert_eq!(opened(1), [false, true, false]);
    assert_eq!(opened(2), [false, false, false]);
}
