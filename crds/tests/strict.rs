//! What the strict parse refuses, and that it names every fault.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

use serde_json::{Value, json};
use toolgate_crds::strict::{self, ERRORS_MAX};
use toolgate_crds::{McpServer, ToolGrant, ToolPolicy, yaml};

fn policy(spec: &Value) -> Value {
    json!({"apiVersion": "toolgate.dev/v1alpha1", "kind": "ToolPolicy", "metadata": {"name": "p"}, "spec": spec})
}

fn errors(object: &Value) -> Vec<String> {
    strict::parse::<ToolPolicy>(object).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_mistyped_key_is_refused_at_every_level() {
    let spec = json!({
        "targetRefs": [{"kind": "McpServer", "name": "kommo", "nmae": "x"}],
        "defualt": "deny",
        "hdie": ["x"],
        "tools": {"move_lead": {
            "denyif": [],
            "limit": [],
            "limits": [{"counter": "c", "window": "minute", "max": 1, "scope": "grant", "scop": "server"}],
            "require": [{"path": "args.a", "op": "eq", "valeu": 1, "conditions": [{"path": "args.b", "op": "exists", "vlaue": 1}]}],
        }},
        "allTools": {"limts": []},
    });
    let mut object = policy(&spec);
    object["hide"] = json!(["get_*"]);
    assert_eq!(
        errors(&object),
        [
            "hide: unknown field",
            "spec.allTools.limts: unknown field; did you mean limits?",
            "spec.defualt: unknown field; did you mean default?",
            "spec.hdie: unknown field; did you mean hide?",
            "spec.targetRefs[0].nmae: unknown field; did you mean name?",
            "spec.tools.move_lead.denyif: unknown field; did you mean denyIf?",
            "spec.tools.move_lead.limit: unknown field; did you mean limits?",
            "spec.tools.move_lead.limits[0].scop: unknown field; did you mean scope?",
            "spec.tools.move_lead.require[0].conditions[0].vlaue: unknown field; did you mean value?",
            "spec.tools.move_lead.require[0].valeu: unknown field; did you mean value?",
        ]
    );
}

#[test]
fn every_wrong_value_is_named() {
    let spec = json!({
        "targetRefs": [{"kind": "Gateway", "name": "Kommo"}],
        "default": "maybe",
        "tools": {
            "get_leads": null,
            "move_lead": {"limits": [{"counter": "", "window": "minutes", "max": 0}]},
            "x": {"action": "permit", "reason": 7, "denyIf": [{"path": "args.id", "op": "eq", "value": 9_007_199_254_740_992_i64}]},
        },
        "hide": "stop_*",
    });
    assert_eq!(
        errors(&policy(&spec)),
        [
            "spec.default: must be one of deny, allow, not \"maybe\"",
            "spec.hide: must be an array, not a string",
            "spec.targetRefs[0].kind: must be one of McpServer, not \"Gateway\"",
            "spec.targetRefs[0].name: \"Kommo\" must match ^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
            "spec.tools.get_leads: must not be null; leave the field out instead",
            "spec.tools.move_lead.limits[0].scope: is required",
            "spec.tools.move_lead.limits[0].counter: \"\" must match ^[A-Za-z0-9_.-]+$",
            "spec.tools.move_lead.limits[0].max: must be at least 1",
            "spec.tools.move_lead.limits[0].window: \"minutes\" must match ^(second|minute|hour|day|[1-9][0-9]{0,8}[smhd])$",
            "spec.tools.x.action: must be one of allow, deny, approve, not \"permit\"",
            "spec.tools.x.denyIf[0].value: 9007199254740992 is beyond 2^53; write it as a string",
            "spec.tools.x.reason: must be a string, not a number",
        ]
    );
}

#[test]
fn a_cost_that_is_none_is_named_by_its_path() {
    let limit = |cost: Value| {
        let limit = json!({"counter": "c", "window": "minute", "max": 9, "scope": "grant", "cost": cost});
        policy(
            &json!({"targetRefs": [{"kind": "McpServer", "name": "kommo"}], "tools": {"cost": {"limits": [limit]}}}),
        )
    };
    for cost in [json!(2), json!({"sum": "args.price"}), json!({"length": "args.ids"})] {
        assert!(strict::parse::<ToolPolicy>(&limit(cost.clone())).is_ok(), "{cost}");
    }
    let message =
        "spec.tools.cost.limits[0].cost: must be a whole number, {sum: PATH} or {length: PATH}".to_owned();
    let both = json!({"sum": "args.a", "length": "args.b"});
    for cost in
        [json!({"summ": "args.a"}), json!({}), both, json!({"sum": 1}), json!(1.5), json!("2"), json!([1])]
    {
        assert_eq!(errors(&limit(cost.clone())), std::slice::from_ref(&message), "{cost}");
    }
}

#[test]
fn as_many_errors_as_are_told_and_one_more() {
    let with = |count: usize| {
        let tools: serde_json::Map<String, Value> =
            (0..count).map(|i| (format!("t{i}"), json!({"x": 1}))).collect();
        errors(&policy(&json!({"targetRefs": [{"kind": "McpServer", "name": "k"}], "tools": tools})))
    };
    assert_eq!(with(ERRORS_MAX).len(), ERRORS_MAX);
    let past = with(ERRORS_MAX + 1);
    assert_eq!((past.len(), past.last().unwrap().as_str()), (ERRORS_MAX + 1, "spec: and 1 more errors"));
}

#[test]
fn the_wrong_kind_or_no_object_is_refused() {
    assert_eq!(errors(&json!(7))[0], "apiVersion: must be toolgate.dev/v1alpha1");
    let grant = json!({"apiVersion": "toolgate.dev/v1alpha1", "kind": "ToolGrant"});
    assert_eq!(errors(&grant), ["kind: must be ToolPolicy", "spec: is required"]);
}

#[test]
fn the_samples_are_accepted() {
    let read = |name: &str| {
        let path = format!("{}/samples/{name}", env!("CARGO_MANIFEST_DIR"));
        let mut documents = yaml::documents(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(documents.len(), 1, "{name}");
        assert!(documents[0].errors.is_empty(), "{name}: {:?}", documents[0].errors);
        documents.remove(0).value
    };
    let policy = strict::parse::<ToolPolicy>(&read("kommo-policy.yaml")).unwrap();
    assert_eq!(policy.tools["move_lead"].limits[0].max, 30);
    assert_eq!(strict::parse::<McpServer>(&read("kommo-server.yaml")).unwrap().replicas(), Some(1));
    assert!(!strict::parse::<ToolGrant>(&read("kommo-grant.yaml")).unwrap().suspended);
}

#[test]
fn a_file_shows_duplicate_keys_and_nulls_with_their_lines() {
    let text = "\
kind: ToolPolicy
spec:
  tools:
    move_lead:
      limits: [{max: 1}]
    get_leads:
    move_lead: {}
  default: deny
---
# empty
---
kind: ToolGrant
";
    let documents = yaml::documents(text).unwrap();
    assert_eq!(documents.len(), 2);
    let told: Vec<String> = documents[0].errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "spec.tools.get_leads: must not be null; leave the field out or write {}",
            "spec.tools.move_lead: duplicate key on line 7; first on line 4",
        ]
    );
    assert_eq!(documents[0].line("spec.tools.move_lead.limits[0].max"), Some(5));
    assert_eq!(documents[0].line("spec.default"), Some(8));
    assert_eq!(documents[0].line("spec.missing.entirely"), Some(2));
    assert_eq!(documents[1].line("kind"), Some(12));
}

#[test]
fn what_is_no_yaml_is_refused_with_its_place() {
    let error = yaml::documents("a: [1, 2\nb: 3\n").unwrap_err().to_string();
    assert!(error.starts_with("invalid YAML: ") && error.contains("line"), "{error}");
    assert!(yaml::documents(&" ".repeat(yaml::FILE_BYTES_MAX)).is_ok());
    assert!(yaml::documents(&" ".repeat(yaml::FILE_BYTES_MAX + 1)).is_err());
}

#[test]
fn a_pasted_policy_json_means_what_it_says() {
    let seed: Value = serde_json::from_str(
        r#"{"version":"1","default":"deny","hide":["delete_account"],
            "all_tools":{"limits":[]},
            "tools":{"create_charge":{"require":[],
                "deny_if":[{"conditions":[{"path":"args.amount","op":"not_in","value":[100]}],"on_deny":"text"}],
                "limits":[{"counter":"x_rate","window":"minute","max":30,"scope":"grant"}],
                "rate_limit":{"max":10,"window":60}}}}"#,
    )
    .unwrap();
    let mut spec = seed;
    spec["targetRefs"] = json!([{"kind": "McpServer", "name": "k"}]);
    let parsed = strict::parse::<ToolPolicy>(&policy(&spec)).unwrap();
    let entry = &parsed.tools["create_charge"];
    let rule =
        json!({"conditions": [{"path": "args.amount", "op": "notIn", "value": [100]}], "reason": "text"});
    assert_eq!(json!(entry.deny_if), json!([rule]));
    let short = json!({"counter": "rate_limit.create_charge", "window": "60s", "max": 10, "scope": "grant"});
    assert_eq!(json!(entry.limits[1]), short);
    assert!(parsed.all_tools.is_some());
}

#[test]
fn both_spellings_in_one_object_are_refused() {
    let rule = json!({"path": "args.a", "op": "exists", "reason": "a", "on_deny": "b"});
    let spec = json!({
        "targetRefs": [{"kind": "McpServer", "name": "k"}],
        "allTools": {}, "all_tools": {},
        "tools": {"a": {"denyIf": [rule], "deny_if": []}},
    });
    assert_eq!(
        errors(&policy(&spec)),
        [
            "spec.all_tools: means the same as allTools, which is there too",
            "spec.tools.a.deny_if: means the same as denyIf, which is there too",
            "spec.tools.a.denyIf[0].on_deny: means the same as reason, which is there too",
        ]
    );
}

#[test]
fn a_typo_beside_the_seeds_words_is_refused_too() {
    let spec = json!({
        "version": "2",
        "targetRefs": [{"kind": "McpServer", "name": "k"}],
        "all_tools": {"limts": []},
        "tools": {"a": {"deny_if": [{"pth": "args.a"}], "rate_limit": {"max": 0, "windw": 60}}},
    });
    assert_eq!(
        errors(&policy(&spec)),
        [
            "spec.all_tools.limts: unknown field; did you mean limits?",
            "spec.tools.a.deny_if[0].pth: unknown field; did you mean path?",
            "spec.tools.a.rate_limit.window: is required",
            "spec.tools.a.rate_limit.max: must be at least 1",
            "spec.tools.a.rate_limit.windw: unknown field; did you mean window?",
            "spec.version: must be one of 1, not \"2\"",
        ]
    );
}

#[test]
fn a_window_is_of_a_second_to_31_days_and_what_is_not_is_told_once_with_its_field() {
    let limited = |window: &str, max: u64| {
        let limit = json!({"counter": "c", "window": window, "max": max, "scope": "grant"});
        policy(
            &json!({"targetRefs": [{"kind": "McpServer", "name": "kommo"}], "tools": {"a": {"limits": [limit]}}}),
        )
    };
    let told = |window: &str, max: u64| errors(&limited(window, max));
    for good in ["second", "1s", "31d", "744h", "2678400s"] {
        assert!(strict::parse::<ToolPolicy>(&limited(good, 1)).is_ok(), "{good}");
    }
    for bad in ["0s", "0", "32d", "365d", "8760h", "2678401s", "a year"] {
        let told = told(bad, 1);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("spec.tools.a.limits[0].window: "), "{told:?}");
    }
    assert_eq!(told("minute", 0), ["spec.tools.a.limits[0].max: must be at least 1"]);
}

#[test]
fn a_malformed_digest_is_told_once_with_its_field() {
    let digest = "a".repeat(64);
    for bad in
        ["", "abc", &digest.replace('a', "A"), &digest[1..], &format!("{digest}a"), &digest.replace('a', "g")]
    {
        let spec =
            json!({"servers": [{"name": "kommo"}], "subject": {"type": "Token", "token": {"sha256": bad}}});
        let object = json!({"apiVersion": "toolgate.dev/v1alpha1", "kind": "ToolGrant", "metadata": {"name": "g"}, "spec": spec});
        let told = strict::parse::<ToolGrant>(&object).unwrap_err();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].path, "spec.subject.token.sha256");
    }
}
