//! The table of methods against the lists of the four revisions' schemas, spelled out here once more: a
//! method that is added to or lost from the table fails.

use std::collections::BTreeSet;

use toolgate_gateway::wire::{
    era::Era,
    method::{Handling, ListKind, Method, Sender, ServerRequest, Shape, mirrored_member},
};

const SESSION: Era = Era::Session { version: None };

/// 2025-03-26, 2025-06-18 and 2025-11-25 together.
const SESSION_CLIENT_REQUESTS: &[&str] = &[
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tools/call",
    "tools/list",
];
const SESSION_CLIENT_NOTIFICATIONS: &[&str] = &[
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
];
const SESSION_SERVER_REQUESTS: &[&str] = &[
    "elicitation/create",
    "ping",
    "roots/list",
    "sampling/createMessage",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
];
const SESSION_SERVER_NOTIFICATIONS: &[&str] = &[
    "notifications/cancelled",
    "notifications/elicitation/complete",
    "notifications/message",
    "notifications/progress",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/tasks/status",
    "notifications/tools/list_changed",
];

/// 2026-07-28 and the tasks extension.
const MODERN_CLIENT_REQUESTS: &[&str] = &[
    "completion/complete",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/templates/list",
    "server/discover",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/update",
    "tools/call",
    "tools/list",
];
const MODERN_CLIENT_NOTIFICATIONS: &[&str] = &["notifications/cancelled"];
const MODERN_SERVER_REQUESTS: &[&str] = &[];
const MODERN_SERVER_NOTIFICATIONS: &[&str] = &[
    "notifications/cancelled",
    "notifications/message",
    "notifications/progress",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/subscriptions/acknowledged",
    "notifications/tasks",
    "notifications/tools/list_changed",
];

const SCHEMAS: [(Era, Sender, Shape, &[&str]); 8] = [
    (SESSION, Sender::Client, Shape::Request, SESSION_CLIENT_REQUESTS),
    (SESSION, Sender::Client, Shape::Notification, SESSION_CLIENT_NOTIFICATIONS),
    (SESSION, Sender::Server, Shape::Request, SESSION_SERVER_REQUESTS),
    (SESSION, Sender::Server, Shape::Notification, SESSION_SERVER_NOTIFICATIONS),
    (Era::Modern, Sender::Client, Shape::Request, MODERN_CLIENT_REQUESTS),
    (Era::Modern, Sender::Client, Shape::Notification, MODERN_CLIENT_NOTIFICATIONS),
    (Era::Modern, Sender::Server, Shape::Request, MODERN_SERVER_REQUESTS),
    (Era::Modern, Sender::Server, Shape::Notification, MODERN_SERVER_NOTIFICATIONS),
];

fn all_names() -> BTreeSet<&'static str> {
    SCHEMAS.iter().flat_map(|(_, _, _, names)| names.iter().copied()).collect()
}

#[test]
fn the_table_is_exactly_the_schemas() {
    for (era, sender, shape, names) in SCHEMAS {
        let known: Vec<&str> = all_names()
            .into_iter()
            .filter(|name| Method::parse(name, shape, sender, era).is_some())
            .collect();
        assert_eq!(known, names, "{era:?} {sender:?} {shape:?}");
    }
}

#[test]
fn every_method_is_its_own_row() {
    for (era, sender, shape, names) in SCHEMAS {
        for name in names {
            let method = Method::parse(name, shape, sender, era).unwrap();
            assert_eq!(method.name(), *name);
        }
    }
}

#[test]
fn only_the_exact_name_is_known() {
    for name in [
        "TOOLS/CALL",
        "Tools/call",
        "tools/call ",
        " tools/call",
        "tools/call\0",
        "tools//call",
        "tools/call/",
        "tооls/call",
        "tools\\/call",
        "tools\u{200B}/call",
        "",
        "tools",
        "skills/list",
        "resources/directory/read",
        "notifications/custom",
        "rpc.discover",
        "tools/callback",
    ] {
        for (era, sender, shape, _) in SCHEMAS {
            assert_eq!(Method::parse(name, shape, sender, era), None, "{name:?}");
        }
    }
}

#[test]
fn a_call_without_an_id_and_a_notice_with_one_are_unknown() {
    for era in [SESSION, Era::Modern] {
        assert_eq!(Method::parse("tools/call", Shape::Notification, Sender::Client, era), None);
        assert_eq!(Method::parse("notifications/cancelled", Shape::Request, Sender::Client, era), None);
    }
}

#[test]
fn each_method_has_its_handling() {
    for (method, handling) in [
        (Method::Initialize, Handling::Lifecycle),
        (Method::Discover, Handling::Lifecycle),
        (Method::Ping, Handling::Ping),
        (Method::SetLevel, Handling::Pass),
        (Method::ToolsList, Handling::List(ListKind::Tools)),
        (Method::ToolsCall, Handling::ToolCall),
        (Method::ResourcesList, Handling::List(ListKind::Resources)),
        (Method::ResourceTemplatesList, Handling::List(ListKind::ResourceTemplates)),
        (Method::ResourcesRead, Handling::Resource),
        (Method::ResourcesSubscribe, Handling::Resource),
        (Method::PromptsList, Handling::List(ListKind::Prompts)),
        (Method::PromptsGet, Handling::Prompt),
        (Method::Complete, Handling::Completion),
        (Method::Listen, Handling::Listen),
        (Method::TasksGet, Handling::Task),
        (Method::TasksUpdate, Handling::Task),
        (Method::CreateMessage, Handling::ServerRequest(ServerRequest::Sampling)),
        (Method::Elicit, Handling::ServerRequest(ServerRequest::Elicitation)),
        (Method::RootsList, Handling::ServerRequest(ServerRequest::Roots)),
    ] {
        assert_eq!(method.handling(), handling, "{}", method.name());
    }
}

#[test]
fn what_a_server_asks_is_the_same_in_both_eras() {
    for name in MODERN_CLIENT_REQUESTS.iter().chain(SESSION_SERVER_REQUESTS) {
        let on_a_stream = Method::parse(name, Shape::Request, Sender::Server, SESSION).map(Method::handling);
        let expected = match on_a_stream {
            Some(Handling::ServerRequest(request)) => Some(request),
            _ => None,
        };
        assert_eq!(ServerRequest::parse(name), expected, "{name}");
    }
}

#[test]
fn six_results_must_say_how_they_are_cached() {
    let cacheable: Vec<&str> = MODERN_CLIENT_REQUESTS
        .iter()
        .filter_map(|name| Method::parse(name, Shape::Request, Sender::Client, Era::Modern))
        .filter(|method| method.is_cacheable())
        .map(Method::name)
        .collect();
    let expected = [
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/templates/list",
        "server/discover",
        "tools/list",
    ];
    assert_eq!(cacheable, expected);
}

#[test]
fn six_methods_have_a_name_to_mirror() {
    let mirrored: Vec<&str> =
        all_names().into_iter().filter(|name| mirrored_member(name).is_some()).collect();
    let expected =
        ["prompts/get", "resources/read", "tasks/cancel", "tasks/get", "tasks/update", "tools/call"];
    assert_eq!(mirrored, expected);
}
