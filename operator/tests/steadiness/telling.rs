//! Events: one for each turn, none at rest, and nothing in them that the status does not say.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::fake::{Fake, Fault};
use crate::stage::{LONG, Operator, POLICY, SERVER, condition, edit, shop};

/// What was told since the last time, such as `Warning ToolPolicy/wrong Invalid`.
fn told(fake: &Fake) -> Vec<String> {
    let written = fake.asked().into_iter().filter(|asked| asked.is_write() && asked.path.contains("/events"));
    let mut lines: Vec<String> = written.map(|asked| line(&asked.body)).collect();
    lines.sort();
    lines
}

fn line(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&event["regarding"]["kind"]), text(&event["regarding"]["name"]));
    assert_eq!(event["reportingController"], "toolgate-operator");
    assert_eq!(event["regarding"]["uid"], format!("uid-of-{name}"));
    format!("{} {kind}/{name} {}", text(&event["type"]), text(&event["reason"]))
}

#[tokio::test(start_paused = true)]
async fn each_turn_is_told_once_and_rest_is_silent() {
    let fake = shop();
    let operator = Operator::start(&fake);
    sleep(Duration::from_mins(1)).await;
    let first = told(&fake);
    assert!(first.contains(&"Warning ToolPolicy/wrong Invalid".to_owned()), "{first:?}");
    for line in ["McpServer/crm Ready", "ToolPolicy/narrow Programmed", "ToolGrant/agent Programmed"] {
        assert_eq!(first.iter().filter(|told| **told == format!("Normal {line}")).count(), 1, "{first:?}");
    }
    sleep(LONG).await;
    assert_eq!(told(&fake), [""; 0]);
    fake.edit(POLICY, |policy| policy["spec"]["tols"] = json!({}));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(told(&fake), ["Warning ToolPolicy/narrow Invalid"]);
    drop(operator);
    // Who starts anew finds nothing that turned.
    let _again = Operator::start(&fake);
    sleep(LONG).await;
    assert_eq!(told(&fake), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_child_is_told_in_the_api_servers_words_and_not_tried_all_the_time() {
    let fake = shop();
    fake.plan(|asked| {
        (asked.is_write() && asked.path.contains("/deployments/")).then_some(Fault::Status(403))
    });
    let _operator = Operator::start(&fake);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(condition(&fake, SERVER, "Ready"), "False/ApplyFailed");
    let message = fake.get(SERVER).unwrap()["status"]["conditions"][1]["message"].to_string();
    assert!(message.contains("Deployment/crm-toolgate") && message.contains("as planned"), "{message}");
    let first = told(&fake);
    assert_eq!(
        first.iter().filter(|told| **told == "Warning McpServer/crm ApplyFailed").count(),
        1,
        "{first:?}"
    );
    sleep(Duration::from_hours(1)).await;
    let tried = fake.asked().iter().filter(|asked| asked.is_write()).count();
    assert!(tried <= 30, "{tried} writes in an hour");
    fake.nothing_goes_wrong();
    sleep(Duration::from_mins(10)).await;
    assert_eq!(condition(&fake, SERVER, "Ready"), "True/Ready");
    assert!(told(&fake).contains(&"Normal McpServer/crm Ready".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn events_that_cannot_be_written_hold_up_nothing() {
    for fault in [Fault::Status(403), Fault::Silence, Fault::Broken] {
        let fake = shop();
        fake.plan(move |asked| asked.path.contains("/events").then_some(fault));
        let _operator = Operator::start(&fake);
        sleep(Duration::from_secs(20)).await;
        edit(&fake);
        sleep(Duration::from_secs(20)).await;
        assert_eq!(condition(&fake, POLICY, "Programmed"), "True/Programmed", "{fault:?}");
    }
}
