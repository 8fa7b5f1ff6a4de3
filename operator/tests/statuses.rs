//! The statuses of policies and grants, put together from all servers that they concern.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[path = "support/world.rs"]
mod world;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use toolgate_crds::FieldError;
use toolgate_operator::status::{Target, grant, policy};
use toolgate_operator::view::{Member, Programmed, View};
use toolgate_policy::{Candidate, InForce};

const NOW: i64 = 1_700_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn target(server: &str, view: Option<View>) -> Target {
    Target { server: server.to_owned(), named: true, exists: true, view }
}

fn member(generation: i64, programmed: Programmed) -> Member {
    Member {
        uid: "uid-of-it".to_owned(),
        generation,
        in_force: InForce::This,
        errors: Vec::new(),
        programmed,
    }
}

fn seen(server: &str, generation: i64, programmed: Programmed) -> Target {
    target(server, Some(View::Member(member(generation, programmed))))
}

fn leaving(server: &str) -> Target {
    let view = View::Leaving { uid: "uid-of-it".to_owned(), message: "1 of 2 know".to_owned() };
    Target { named: false, ..target(server, Some(view)) }
}

fn missing(server: &str) -> Target {
    Target { exists: false, ..target(server, None) }
}

fn yes(server: &str) -> Target {
    seen(server, 2, Programmed::Yes)
}

fn told(conditions: &[Condition]) -> Vec<String> {
    let line = |condition: &Condition| {
        format!("{}={}/{}: {}", condition.type_, condition.status, condition.reason, condition.message)
    };
    conditions.iter().map(line).collect()
}

fn of_policy(spec: &str, targets: &[Target]) -> Option<Vec<String>> {
    let object = world::policy("it", 2, spec);
    let status = policy::status(&object, &Candidate::policy(&object.whole()), targets, now())?;
    assert_eq!(status.observed_generation, Some(2));
    Some(told(&status.conditions))
}

fn of_grant(spec: &str, targets: &[Target]) -> (Vec<String>, Vec<String>) {
    let object = world::grant("it", 2, spec);
    let status = grant::status(&object, &Candidate::grant(&object.whole()), targets, now()).unwrap();
    (told(&status.conditions), status.servers)
}

#[test]
fn a_policy_is_programmed_when_every_target_says_so() {
    let conditions = of_policy("", &[yes("crm"), yes("desk")]).unwrap();
    assert_eq!(
        conditions,
        [
            "Accepted=True/Accepted: it is valid",
            "Programmed=True/Programmed: every gateway pod enforces this generation",
            "Ready=True/Ready: every gateway pod enforces this generation",
        ]
    );
}

#[test]
fn one_target_that_lags_makes_it_pending_and_pending_goes_before_no_gateways() {
    let none = || seen("desk", 2, Programmed::NoGateways("no gateway pod of desk is ready".to_owned()));
    let pending = || seen("mail", 2, Programmed::Pending("0 of 1 know".to_owned()));
    let cases = [
        (vec![yes("crm"), none()], "NoGateways: no gateway pod of desk is ready"),
        (vec![yes("crm"), none(), pending()], "Pending: 0 of 1 know"),
        (vec![yes("crm"), leaving("mail")], "Pending: it is not for mail any more, but 1 of 2 know"),
    ];
    for (targets, expected) in cases {
        let conditions = of_policy("", &targets).unwrap();
        assert_eq!(conditions[0], "Accepted=True/Accepted: it is valid");
        assert_eq!(conditions[1], format!("Programmed=False/{expected}"));
        assert_eq!(conditions[2], format!("Ready=False/{expected}"));
    }
}

#[test]
fn nothing_is_said_before_every_target_has_looked_at_this_generation() {
    assert_eq!(of_policy("", &[yes("crm"), target("desk", None)]), None);
    assert_eq!(of_policy("", &[yes("crm"), seen("desk", 1, Programmed::Yes)]), None);
    let named_again = Target { named: true, ..leaving("desk") };
    assert_eq!(of_policy("", &[yes("crm"), named_again]), None);
    let no_longer_named = Target { named: false, ..seen("desk", 1, Programmed::Yes) };
    assert_eq!(of_policy("", &[yes("crm"), no_longer_named]), None);
}

#[test]
fn a_missing_target_is_named() {
    let conditions = of_policy("", &[yes("crm"), missing("desk"), missing("mail")]).unwrap();
    let expected = "False/TargetNotFound: no McpServer of this namespace is named desk, mail";
    assert_eq!(conditions, ["Accepted", "Programmed", "Ready"].map(|type_| format!("{type_}={expected}")));
}

#[test]
fn an_invalid_policy_says_every_fault_and_what_follows() {
    let refused = |in_force| {
        let errors = vec![FieldError::new("spec.tools", "is wrong"), FieldError::new("spec.hide", "is too")];
        View::Member(Member { in_force, errors, ..member(2, Programmed::Yes) })
    };
    let cases = [
        (InForce::LastGood(1), "generation 1 stays in force"),
        (InForce::Nothing, "every call that it would bind is refused"),
    ];
    for (in_force, consequence) in cases {
        let conditions = of_policy("", &[target("crm", Some(refused(in_force)))]).unwrap();
        let message = format!("Invalid: {consequence}; spec.tools: is wrong; spec.hide: is too");
        let expected = [
            format!("Accepted=False/{message}"),
            format!("Programmed=False/{message}"),
            format!("Ready=False/{message}"),
            format!("Stalled=True/{message}"),
        ];
        assert_eq!(conditions, expected);
    }
    let nowhere = of_policy("tols: {}", &[]).unwrap();
    assert_eq!(
        nowhere[3],
        "Stalled=True/Invalid: every call that it would bind is refused; \
         spec.tols: unknown field; did you mean tools?"
    );
}

#[test]
fn a_status_that_says_the_same_is_not_written_again() {
    let object = (*world::policy("it", 2, "")).clone();
    let candidate = Candidate::policy(&object.whole());
    let status = policy::status(&object, &candidate, &[yes("crm")], now()).unwrap();
    assert!(policy::differs(&object, &status));
    let mut stored = serde_json::json!(status);
    let foreign = serde_json::json!({
        "type": "SomebodyElses", "status": "True", "reason": "Other", "message": "",
        "lastTransitionTime": "2020-01-01T00:00:00Z",
    });
    stored["conditions"].as_array_mut().unwrap().push(foreign);
    let object = object.with_status(stored);
    let later = Timestamp::from_second(NOW + 60).unwrap();
    let again = policy::status(&object, &candidate, &[yes("crm")], later).unwrap();
    assert!(!policy::differs(&object, &again));
}

#[test]
fn a_grant_says_which_servers_it_opens() {
    let pending = seen("desk", 2, Programmed::Pending("0 of 1 know".to_owned()));
    let (conditions, servers) = of_grant("", &[yes("crm"), pending]);
    assert_eq!(conditions[1], "Programmed=False/Pending: 0 of 1 know");
    assert_eq!(servers, ["crm"]);
    let (conditions, servers) = of_grant("", &[yes("crm"), yes("desk")]);
    assert_eq!(conditions[2], "Ready=True/Ready: every gateway pod knows this generation");
    assert_eq!(servers, ["crm", "desk"]);
}

#[test]
fn a_suspended_or_expired_grant_is_ready_and_opens_nothing() {
    let instant = |second: i64| Timestamp::from_second(second).unwrap().to_string();
    let cases = [
        ("suspended: true".to_owned(), Some("Suspended: it is suspended and opens nothing")),
        (format!("expiresAt: '{}'", instant(NOW)), Some("Expired: it has expired and opens nothing")),
        (format!("expiresAt: '{}'", instant(NOW + 1)), None),
    ];
    for (spec, closed) in cases {
        let (conditions, servers) = of_grant(&spec, &[yes("crm")]);
        assert_eq!(conditions[1], "Programmed=True/Programmed: every gateway pod knows this generation");
        match closed {
            Some(closed) => {
                assert_eq!(conditions[2], format!("Ready=True/{closed}"));
                assert!(servers.is_empty());
            }
            None => assert_eq!(servers, ["crm"], "{spec}"),
        }
    }
}

#[test]
fn an_invalid_grant_opens_nothing() {
    let errors = vec![FieldError::new("spec.subject", "is wrong")];
    let refused = Member { in_force: InForce::Nothing, errors, ..member(2, Programmed::Yes) };
    let (conditions, servers) = of_grant("", &[target("crm", Some(View::Member(refused)))]);
    assert_eq!(conditions[0], "Accepted=False/Invalid: it opens nothing; spec.subject: is wrong");
    assert!(servers.is_empty());
}

#[test]
fn a_grant_that_selects_no_server_waits_for_one() {
    let (conditions, servers) = of_grant("", &[]);
    let expected = "False/NoServers: no McpServer of this namespace has the labels that it selects";
    assert_eq!(conditions[0], "Accepted=True/Accepted: it is valid");
    assert_eq!(conditions[1..], ["Programmed", "Ready"].map(|type_| format!("{type_}={expected}")));
    assert!(servers.is_empty());
}
