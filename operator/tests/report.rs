//! What is said of a server and its policies while its gateways follow.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[path = "support/story.rs"]
mod story;
#[path = "support/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use story::{Says, Story, message, told};
use toolgate_crds::status::McpServerStatus;
use toolgate_operator::child::ChildKind;
use toolgate_operator::reconcile::apply::{Cause, Failure};
use toolgate_operator::reconcile::report::{POLLS_TOLERATED, Reported};
use toolgate_operator::view::{Programmed, View};
use toolgate_policy::Bundle;
use world::{UPSTREAM, policy, raw, server};

fn listed(status: &McpServerStatus) -> Vec<String> {
    let objects = status.policies.iter().chain(&status.grants);
    objects.map(|object| format!("{}:{}@{}", object.name, object.generation, object.revision)).collect()
}

/// `yes`, `pending`, `no gateways` or `leaving`, by the object's name.
fn programmed(reported: &Reported) -> BTreeMap<&str, &str> {
    let word = |view: &View| match view {
        View::Leaving { .. } => "leaving",
        View::Member(member) => match member.programmed {
            Programmed::Yes => "yes",
            Programmed::Pending(_) => "pending",
            Programmed::NoGateways(_) => "no gateways",
        },
    };
    let views = reported.views.policies.iter().chain(&reported.views.grants);
    views.map(|(name, view)| (name.as_str(), word(view))).collect()
}

#[test]
fn without_gateways_nothing_is_enforced() {
    let mut story = Story::new();
    let reported = story.next(&[]);
    assert_eq!(told(&reported.status), ["Accepted=True/Accepted", "Ready=False/NoGateways"]);
    assert_eq!(message(&reported.status, "Ready"), "no gateway pod of crm is ready");
    let none = BTreeMap::from([("narrow", "no gateways"), ("robot", "no gateways"), ("wide", "no gateways")]);
    assert_eq!(programmed(&reported), none);
    assert!(!reported.ask_again, "a pod's event will say");
}

#[test]
fn the_status_of_a_settled_server_is_whole() {
    let mut story = Story::new();
    let reported = story.next(&[Says::Current, Says::Current]);
    let applied = reported.memory.applied.clone().unwrap();
    let condition = |type_: &str, reason: &str, message: &str| {
        json!({
            "type": type_,
            "status": "True",
            "reason": reason,
            "message": message,
            "observedGeneration": 1,
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        })
    };
    let enforced =
        |name: &str| json!({"name": name, "uid": format!("uid-of-{name}"), "generation": 1, "revision": 1});
    assert_eq!(
        json!(reported.status),
        json!({
            "observedGeneration": 1,
            "conditions": [
                condition("Accepted", "Accepted", "the server is valid"),
                condition("Ready", "Ready", "every gateway pod enforces this server"),
                condition("Reachable", "Reachable", "every gateway pod reaches the server"),
            ],
            "url": "http://crm-toolgate.shop.svc/mcp",
            "revision": 1,
            "hash": applied.hash,
            "replicas": 2,
            "readyReplicas": 2,
            "policyCount": 2,
            "grantCount": 1,
            "policies": [enforced("narrow"), enforced("wide")],
            "grants": [enforced("robot")],
        })
    );
    assert!(!reported.ask_again);
}

#[test]
fn an_edit_is_pending_until_every_gateway_enforces_it_and_disturbs_nothing_else() {
    let mut story = Story::settled();
    story.set_policies(vec![policy("narrow", 2, "tools: {}"), policy("wide", 1, "default: allow")]);
    for says in [[Says::Previous, Says::Previous], [Says::Current, Says::Previous]] {
        let reported = story.next(&says);
        let expected = BTreeMap::from([("narrow", "pending"), ("robot", "yes"), ("wide", "yes")]);
        assert_eq!(programmed(&reported), expected);
        assert_eq!(told(&reported.status), ["Accepted=True/Accepted", "Ready=True/Ready"]);
        assert_eq!(listed(&reported.status), ["narrow:1@1", "wide:1@1", "robot:1@1"]);
        assert!(reported.ask_again);
        // `Previous` is what the settled gateways said.
        story.observed.previous = Some(settled_bundle());
    }
    let reported = story.next(&[Says::Current, Says::Current]);
    assert_eq!(programmed(&reported)["narrow"], "yes");
    assert_eq!(listed(&reported.status), ["narrow:2@2", "wide:1@1", "robot:1@1"]);
}

fn settled_bundle() -> Arc<Bundle> {
    Story::settled().observed.previous.unwrap()
}

#[test]
fn a_deleted_policy_is_listed_until_no_gateway_knows_it() {
    let mut story = Story::settled();
    story.set_policies(vec![policy("narrow", 1, "tools: {read: {}}")]);
    let reported = story.next(&[Says::Current, Says::Previous]);
    assert_eq!(listed(&reported.status), ["narrow:1@1", "wide:1@1", "robot:1@1"]);
    assert_eq!(reported.status.policy_count, Some(1));
    let reported = story.next(&[Says::Current, Says::Current]);
    assert_eq!(listed(&reported.status), ["narrow:1@1", "robot:1@1"]);
}

#[test]
fn a_policy_that_turns_to_another_server_is_leaving_until_no_gateway_knows_it() {
    let mut story = Story::settled();
    let elsewhere = raw("wide", 2, "targetRefs: [{kind: McpServer, name: desk}]");
    story.set_policies(vec![policy("narrow", 1, "tools: {read: {}}"), elsewhere]);
    assert_eq!(programmed(&story.next(&[Says::Previous]))["wide"], "leaving");
    story.observed.previous = story.observed.memory.applied.clone().map(|applied| applied.bundle);
    // Also when nothing more has changed in between.
    assert_eq!(programmed(&story.next(&[Says::Nothing]))["wide"], "leaving");
    assert!(!programmed(&story.next(&[Says::Current])).contains_key("wide"));
}

#[test]
fn an_edit_of_the_server_is_ready_when_every_gateway_enforces_it() {
    let mut story = Story::settled();
    story.observed.server = server(2, &format!("{UPSTREAM}\ngateway: {{anonymous: true}}"));
    let reported = story.next(&[Says::Previous]);
    assert_eq!(told(&reported.status), ["Accepted=True/Accepted", "Ready=False/Pending"]);
    assert_eq!(message(&reported.status, "Ready"), "0 of 1 gateway pods of crm enforce revision 2");
    let reported = story.next(&[Says::Current]);
    assert_eq!(told(&reported.status), ["Accepted=True/Accepted", "Ready=True/Ready"]);
}

#[test]
fn a_gateway_may_be_silent_so_many_times_and_not_once_more() {
    let mut story = Story::settled();
    for poll in 0..POLLS_TOLERATED {
        let reported = story.next(&[Says::Current, Says::Nothing]);
        assert_eq!(told(&reported.status)[1], "Ready=True/Ready", "poll {poll}");
        assert_eq!(programmed(&reported)["wide"], "yes", "poll {poll}");
    }
    let reported = story.next(&[Says::Current, Says::Nothing]);
    assert_eq!(told(&reported.status)[1], "Ready=False/Pending");
    assert_eq!(programmed(&reported)["wide"], "pending");
    assert_eq!(
        message(&reported.status, "Ready"),
        "1 of 2 gateway pods of crm enforce revision 1; pod-1 cannot be reached"
    );
    let reported = story.next(&[Says::Current, Says::Current]);
    assert_eq!(told(&reported.status)[1], "Ready=True/Ready");
}

#[test]
fn a_gateway_that_enforces_something_else_is_never_believed() {
    for says in [Says::OtherHash, Says::OtherServer] {
        let mut story = Story::settled();
        let reported = story.next(&[Says::Current, says]);
        assert_eq!(told(&reported.status)[1], "Ready=False/Pending");
        assert!(programmed(&reported).values().all(|word| *word == "pending"));
        assert!(reported.ask_again);
    }
}

#[test]
fn a_server_with_a_bad_edit_stays_as_it_was_and_says_so() {
    let mut story = Story::settled();
    story.observed.server = server(2, "upstream: {}");
    let reported = story.next(&[Says::Current]);
    assert_eq!(
        told(&reported.status),
        ["Accepted=False/Invalid", "Ready=False/Invalid", "Stalled=True/Invalid"]
    );
    assert_eq!(
        message(&reported.status, "Accepted"),
        "generation 1 stays in force; spec.upstream: must have exactly one of url and service"
    );
    assert_eq!(reported.status.revision, Some(1));
    assert_eq!(listed(&reported.status), ["narrow:1@1", "wide:1@1", "robot:1@1"]);
    assert_eq!(programmed(&reported)["narrow"], "yes");
}

#[test]
fn a_server_that_never_was_good_has_nothing_in_force() {
    let mut story = Story::new();
    story.observed.server = server(1, "upstream: {}");
    let reported = story.next(&[]);
    assert_eq!(told(&reported.status)[0], "Accepted=False/Invalid");
    assert_eq!((reported.status.url.clone(), reported.status.revision), (None, None));
    assert!(programmed(&reported).values().all(|word| *word == "pending"));
}

#[test]
fn a_missing_required_policy_is_told() {
    let mut story = Story::new();
    story.observed.server = server(1, &format!("{UPSTREAM}\nrequiredPolicies: [narrow, floor]"));
    let reported = story.next(&[Says::Current]);
    assert_eq!(told(&reported.status)[1], "Ready=False/RequiredPolicyMissing");
    assert_eq!(
        message(&reported.status, "Ready"),
        "every call is refused: the required policy floor is missing or never was valid"
    );
}

#[test]
fn what_could_not_be_written_is_told_and_nothing_newer_is_claimed() {
    let causes = [
        (Cause::Foreign, "NameConflict"),
        (Cause::TooLarge, "BundleTooLarge"),
        (Cause::Refused, "ApplyFailed"),
        (Cause::Closing, "ApplyFailed"),
    ];
    for (cause, reason) in causes {
        let mut story = Story::settled();
        story.failures = vec![Failure {
            kind: ChildKind::ConfigMap,
            name: "crm-toolgate".to_owned(),
            cause,
            message: "for a reason".to_owned(),
        }];
        story.set_policies(vec![policy("narrow", 2, "tools: {}"), policy("wide", 1, "default: allow")]);
        let reported = story.next(&[Says::Current]);
        assert_eq!(told(&reported.status)[1], format!("Ready=False/{reason}"));
        assert_eq!(message(&reported.status, "Ready"), "ConfigMap/crm-toolgate: for a reason");
        assert_eq!(reported.status.revision, Some(1), "what was applied before");
        assert_eq!(programmed(&reported)["narrow"], "pending");
        assert_eq!(programmed(&reported)["wide"], "yes");
    }
}

#[test]
fn why_a_gateway_refuses_what_was_applied_is_told() {
    let mut story = Story::settled();
    story.set_policies(vec![policy("narrow", 2, "tools: {}"), policy("wide", 1, "default: allow")]);
    let reported = story.next(&[Says::Current, Says::Refuses("its format is 9")]);
    let view = format!("{:?}", reported.views.policies["narrow"]);
    let expected = "1 of 2 gateway pods of crm enforce revision 2; pod-1 refuses it: its format is 9";
    assert!(view.contains(expected), "{view}");
}

#[test]
fn after_a_restart_amid_a_change_the_lists_say_what_they_said() {
    let mut story = Story::settled();
    story.observed.memory = toolgate_operator::reconcile::memory::Memory::default();
    story.set_policies(vec![policy("narrow", 1, "tools: {read: {}}")]);
    let reported = story.next(&[Says::Previous]);
    assert_eq!(listed(&reported.status), ["narrow:1@1", "wide:1@1", "robot:1@1"]);
    assert_eq!(told(&reported.status)[1], "Ready=False/Pending");
}
