//! What is said of the way from a server's gateways to the server.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[path = "support/story.rs"]
mod story;
#[path = "support/world.rs"]
mod world;

use story::{Says, Story, message, told};
use toolgate_crds::status::McpServerStatus;
use toolgate_operator::gateways::Standing;
use toolgate_operator::reconcile::RESYNC;
use toolgate_operator::reconcile::report::{LOOK, LOOK_SOON, POLLS_TOLERATED};
use world::server;

const AWAY: Says = Says::Sees(Some(false), Standing::ConnectionRefused);
const UNKNOWN: Says = Says::Sees(None, Standing::Unknown);

fn reachable(status: &McpServerStatus) -> String {
    let condition = status.conditions.iter().find(|condition| condition.type_ == "Reachable").unwrap();
    format!("{}/{}", condition.status, condition.reason)
}

#[test]
fn a_server_is_reachable_only_where_every_gateway_says_so() {
    let missing = Says::Sees(Some(false), Standing::CredentialMissing);
    let cases: [(&[Says], &str, &str); 7] = [
        (&[Says::Current, Says::Current], "True/Reachable", "every gateway pod reaches the server"),
        (
            &[Says::Current, AWAY],
            "False/ConnectionRefused",
            "gateway pod pod-1: the server is ConnectionRefused",
        ),
        (
            &[UNKNOWN, missing],
            "False/CredentialMissing",
            "gateway pod pod-1: the server is CredentialMissing",
        ),
        (&[Says::Current, UNKNOWN], "Unknown/Pending", "1 of 2 gateway pods say that they reach the server"),
        (
            &[Says::Current, Says::NothingOfTheServer],
            "Unknown/Pending",
            "1 of 2 gateway pods say that they reach the server",
        ),
        (
            &[Says::Current, Says::Nothing],
            "Unknown/Pending",
            "1 of 2 gateway pods say that they reach the server",
        ),
        (&[], "Unknown/Pending", "no gateway pod of crm is ready"),
    ];
    for (says, expected, detail) in cases {
        let reported = Story::new().next(says);
        assert_eq!(reachable(&reported.status), expected, "{detail}");
        assert_eq!(message(&reported.status, "Reachable"), detail);
    }
}

#[test]
fn the_secret_that_a_pod_waits_for_is_named() {
    let mut story = Story::new();
    story.observed.waiting.needs =
        Some("pod p is being created, which takes the Secret crm-mcp with authorization".to_owned());
    let reported = story.next(&[]);
    assert!(message(&reported.status, "Reachable").contains("the Secret crm-mcp with authorization"));
}

#[test]
fn a_server_that_goes_away_turns_nothing_else_and_comes_back() {
    let mut story = Story::settled();
    for (says, expected) in [
        (AWAY, "False/ConnectionRefused"),
        (Says::Current, "True/Reachable"),
        (AWAY, "False/ConnectionRefused"),
    ] {
        let reported = story.next(&[says]);
        assert_eq!(reachable(&reported.status), expected);
        assert_eq!(told(&reported.status)[1], "Ready=True/Ready");
        assert!(!reported.ask_again);
        assert_eq!(reported.rest, LOOK, "no event says that it is away or back");
        assert_eq!(story.next(&[says]).status, reported.status, "nothing to write");
    }
    assert_eq!(story.next(&[UNKNOWN]).rest, LOOK_SOON);
    assert_eq!(story.next(&[]).rest, RESYNC, "a pod's event will say");
}

#[test]
fn neither_a_pod_that_starts_beside_others_nor_one_that_is_silent_for_a_moment_turns_it() {
    let mut story = Story::settled();
    assert_eq!(reachable(&story.next(&[Says::Current, UNKNOWN]).status), "True/Reachable");
    for poll in 0..POLLS_TOLERATED {
        let reported = story.next(&[Says::Current, Says::Nothing]);
        assert_eq!(reachable(&reported.status), "True/Reachable", "poll {poll}");
    }
    assert_eq!(reachable(&story.next(&[Says::Current, Says::Nothing]).status), "Unknown/Pending");
    let mut story = Story::settled();
    assert_eq!(reachable(&story.next(&[UNKNOWN]).status), "Unknown/Pending", "nobody reaches it");
}

#[test]
fn of_a_server_that_never_was_good_nothing_is_said() {
    let mut story = Story::new();
    story.observed.server = server(1, "upstream: {}");
    let reported = story.next(&[]);
    assert!(reported.status.conditions.iter().all(|condition| condition.type_ != "Reachable"));
    assert_eq!((reported.status.replicas, reported.status.tool_count), (None, None));
}

#[test]
fn the_tools_are_those_of_the_list_that_passed_last() {
    let mut story = Story::settled();
    let count = |story: &mut Story, says: &[Says]| story.next(says).status.tool_count;
    assert_eq!(count(&mut story, &[Says::Current]), None);
    assert_eq!(count(&mut story, &[Says::Lists(23, 10), Says::Lists(22, 20)]), Some(22));
    assert_eq!(count(&mut story, &[Says::Lists(23, 30), Says::Lists(22, 20)]), Some(23));
    assert_eq!(count(&mut story, &[Says::Current]), Some(23), "a new pod has seen none yet");
    assert_eq!(count(&mut story, &[]), Some(23));
}

#[test]
fn pods_that_are_there_and_those_that_are_ready_are_counted() {
    let mut story = Story::settled();
    story.pods_unready = 2;
    let status = story.next(&[Says::Current]).status;
    assert_eq!((status.replicas, status.ready_replicas), (Some(3), Some(1)));
}
