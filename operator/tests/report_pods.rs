//! What is said of a server's gateway pods beyond what they enforce.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[path = "support/story.rs"]
mod story;
#[path = "support/world.rs"]
mod world;

use serde_json::json;
use story::{Says, Story, message, told};
use toolgate_operator::child::ChildKind;
use toolgate_operator::reconcile::RESYNC;
use toolgate_operator::reconcile::report::{LOOK, LOOK_SOON, POLLS_TOLERATED};
use world::{UPSTREAM, server};

const WITH_STORE: &str = "counters: {redis: {url: 'redis://store:6379'}}";
const UP: Says = Says::Counts(Some(true));
const DOWN: Says = Says::Counts(Some(false));
const CONNECTING: Says = Says::Counts(None);

#[test]
fn why_there_are_no_pods_is_told() {
    let mut story = Story::new();
    let condition = json!({"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"});
    story.observed.children.insert(ChildKind::Deployment, json!({"status": {"conditions": [condition]}}));
    let reported = story.next(&[]);
    assert_eq!(message(&reported.status, "Ready"), "no gateway pod of crm is ready: exceeded quota");
}

#[test]
fn a_trouble_of_pods_is_told_and_turns_nothing_while_others_serve() {
    let mut story = Story::new();
    story.observed.waiting.needs = Some("pod p is being created".to_owned());
    let reported = story.next(&[]);
    assert_eq!(message(&reported.status, "Ready"), "no gateway pod of crm is ready: pod p is being created");
    let view = format!("{:?}", reported.views.grants["robot"]);
    assert!(view.contains("no gateway pod of crm is ready\""), "no write for each stage of a start: {view}");
    story.observed.waiting.troubles = vec!["pod q is not scheduled".to_owned()];
    let reported = story.next(&[]);
    assert_eq!(message(&reported.status, "Ready"), "no gateway pod of crm is ready: pod q is not scheduled");
    let view = format!("{:?}", reported.views.grants["robot"]);
    assert!(view.contains("is ready: pod q is not scheduled\""), "{view}");
    let reported = story.next(&[Says::Current]);
    assert_eq!(told(&reported.status)[1], "Ready=True/Ready");
    let expected = "every gateway pod that is ready enforces this server; pod q is not scheduled";
    assert_eq!(message(&reported.status, "Ready"), expected);
}

#[test]
fn a_pod_that_is_created_for_too_long_is_told_and_no_other() {
    let mut story = Story::new();
    story.observed.waiting.needs = Some("pod p is being created".to_owned());
    let reported = story.next(&[Says::Current]);
    assert_eq!(message(&reported.status, "Ready"), "every gateway pod enforces this server");
    let condition = json!({"type": "Progressing", "status": "False", "message": "exceeded its deadline"});
    story.observed.children.insert(ChildKind::Deployment, json!({"status": {"conditions": [condition]}}));
    let reported = story.next(&[Says::Current]);
    let expected = "every gateway pod that is ready enforces this server; pod p is being created";
    assert_eq!(
        (message(&reported.status, "Ready").as_str(), told(&reported.status)[1].as_str()),
        (expected, "Ready=True/Ready")
    );
}

fn with_store() -> Story {
    let mut story = Story::new();
    story.observed.server = server(1, &format!("{UPSTREAM}\n{WITH_STORE}"));
    story
}

#[test]
fn the_store_is_available_only_where_every_gateway_says_so() {
    let cases: [(&[Says], &str, &str); 7] = [
        (&[UP, UP], "True/Available", "every gateway pod counts in the shared store"),
        (&[UP, DOWN], "False/StoreAway", "gateway pod pod-1: the store is Some(false)"),
        (&[CONNECTING, DOWN], "False/StoreAway", "gateway pod pod-1: the store is Some(false)"),
        (&[UP, CONNECTING], "Unknown/Pending", "1 of 2 gateway pods say that they count in the shared store"),
        (
            &[UP, Says::Current],
            "Unknown/Pending",
            "1 of 2 gateway pods say that they count in the shared store",
        ),
        (
            &[UP, Says::Nothing],
            "Unknown/Pending",
            "1 of 2 gateway pods say that they count in the shared store",
        ),
        (&[], "Unknown/Pending", "0 of 0 gateway pods say that they count in the shared store"),
    ];
    for (says, expected, detail) in cases {
        let reported = with_store().next(says);
        assert_eq!(told(&reported.status)[2], format!("CountersAvailable={expected}"), "{detail}");
        assert_eq!(message(&reported.status, "CountersAvailable"), detail);
    }
}

#[test]
fn nothing_is_said_of_a_store_that_the_server_does_not_have() {
    let reported = Story::new().next(&[UP]);
    assert_eq!(told(&reported.status), ["Accepted=True/Accepted", "Ready=True/Ready"]);
}

#[test]
fn a_store_that_is_away_turns_nothing_else_and_comes_back() {
    let mut story = with_store();
    for (says, expected) in [(UP, "True/Available"), (DOWN, "False/StoreAway"), (UP, "True/Available")] {
        let reported = story.next(&[says]);
        assert_eq!(told(&reported.status)[1], "Ready=True/Ready");
        assert_eq!(told(&reported.status)[2], format!("CountersAvailable={expected}"));
        assert!(!reported.ask_again);
        assert_eq!(reported.rest, LOOK, "no event says that it is away or back");
        assert_eq!(story.next(&[says]).status, reported.status, "nothing to write");
    }
    assert_eq!(story.next(&[CONNECTING]).rest, LOOK_SOON);
    assert_eq!(story.next(&[]).rest, RESYNC, "a pod's event will say");
}

#[test]
fn a_gateway_that_is_silent_for_a_moment_turns_no_condition_and_one_that_stays_so_does() {
    let mut story = with_store();
    story.next(&[UP, UP]);
    for poll in 0..POLLS_TOLERATED {
        let reported = story.next(&[UP, Says::Nothing]);
        assert_eq!(told(&reported.status)[2], "CountersAvailable=True/Available", "poll {poll}");
    }
    assert_eq!(told(&story.next(&[UP, Says::Nothing]).status)[2], "CountersAvailable=Unknown/Pending");
}

#[test]
fn a_server_with_a_bad_edit_still_says_how_its_store_is() {
    let mut story = with_store();
    story.next(&[UP]);
    story.observed.server = server(2, "upstream: {}");
    let last = told(&story.next(&[DOWN]).status).pop();
    assert_eq!(last.as_deref(), Some("CountersAvailable=False/StoreAway"));
}
