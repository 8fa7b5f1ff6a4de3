//! `toolgate audit`: what gateways recorded, filtered and told.

use serde_json::{Value, json};

use super::run::Folder;

fn line(second: u32, grant: &str, name: &str, verdict: &str, more: &Value) -> String {
    let mut line = json!({
        "audit": "toolgate.dev/v1", "event": "decision", "time": format!("2026-08-01T09:30:{second:02}.000000Z"),
        "requestId": format!("{second:032x}"), "namespace": "sales", "server": "kommo", "revision": 7, "grant": grant,
        "name": name, "verdict": verdict,
    });
    for (key, value) in more.as_object().expect("an object") {
        line[key] = value.clone();
    }
    // Members are sorted by this library; a gateway writes this one first.
    let rest = line.to_string().replacen("\"audit\":\"toolgate.dev/v1\",", "", 1);
    format!("{{\"audit\":\"toolgate.dev/v1\",{}", &rest[1..])
}

/// A log with a trail in it.
fn log() -> String {
    let rule = |rule: &str| json!({"policy": "kommo-sales", "rule": format!("kommo-sales/{rule}")});
    let watched = json!({"event": "watched", "policy": "trial", "rule": "trial/default"});
    let rejected = json!({"event": "rejected", "reason": "unauthenticated", "detail": "expired", "name": null, "verdict": null, "grant": null});
    [
        "{\"timestamp\":\"2026-08-01T09:30:00Z\",\"level\":\"INFO\",\"message\":\"listening\"}".to_owned(),
        line(1, "alice", "get_leads", "allowed", &json!({})),
        format!("[pod/kommo-0/gateway] {}", line(2, "alice", "move_lead", "limited", &rule("tools/move_lead/limits/rate"))),
        line(3, "bob", "update_lead", "denied", &rule("tools/update_lead/action")),
        line(3, "bob", "update_lead", "unlisted", &watched),
        line(4, "", "", "", &rejected),
        "{\"audit\":\"toolgate.dev/v1\",\"event\":\"omitted\",\"time\":\"2026-08-01T09:30:05.000000Z\",\"lines\":12,\"because\":\"rate\"}".to_owned(),
        line(6, "alice", "x\u{202e}\n", "unlisted", &rule("default")),
        "{\"audit\":\"toolgate.dev/v1\",\"event\":\"deci".to_owned(),
    ]
    .join("\n")
}

fn audit(arguments: &[&str]) -> super::run::Run {
    Folder::new().pipe(&[&["audit"], arguments].concat(), &log())
}

#[test]
fn the_trail_is_a_table() {
    let run = audit(&[]);
    assert_eq!((run.status, run.stderr.as_str()), (0, "note: 1 lines of the trail could not be read\n"));
    assert_eq!(
        run.stdout,
        "\
TIME                         REQUEST   GRANT             VERDICT          NAME                      RULE
2026-08-01T09:30:01.000000Z  00000000  alice             allowed          get_leads                 -
2026-08-01T09:30:02.000000Z  00000000  alice             limited          move_lead                 kommo-sales/tools/move_lead/limits/rate
2026-08-01T09:30:03.000000Z  00000000  bob               denied           update_lead               kommo-sales/tools/update_lead/action
2026-08-01T09:30:03.000000Z  00000000  bob               (would be unlisted)  update_lead               trial/default
2026-08-01T09:30:04.000000Z  00000000  -                 unauthenticated  -                         expired
2026-08-01T09:30:05.000000Z  ... 12 lines are missing (rate)
2026-08-01T09:30:06.000000Z  00000000  alice             unlisted         x\\u{202e}\\n               kommo-sales/default
"
    );
}

#[test]
fn filters_take_what_they_name_and_never_hide_that_lines_are_missing() {
    let names = |arguments: &[&str]| {
        let run = audit(&[arguments, &["-o", "json"]].concat());
        let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.map(|line| line["time"].as_str().expect("a time")[18..19].to_owned()).collect::<String>()
    };
    assert_eq!(names(&[]), "1233456");
    assert_eq!(names(&["--grant", "alice"]), "1256");
    assert_eq!(names(&["--grant", "alice", "--verdict", "limited,allowed"]), "125");
    assert_eq!(names(&["--policy", "trial"]), "35");
    assert_eq!(names(&["--tool", "update_lead", "--event", "decision"]), "35");
    assert_eq!(names(&["--request", &format!("{:032x}", 2)]), "25");
    assert_eq!(names(&["--since", "2026-08-01T09:30:03Z", "--until", "2026-08-01T09:30:05Z"]), "334");
    assert_eq!(names(&["--server", "other", "--until", "2026-08-01T09:30:05Z"]), "");
    assert_eq!(names(&["--since", "1s"]), "");
    assert_eq!(names(&["--until", "1s"]), "1233456", "the trail is of the past");
}

#[test]
fn lines_are_counted() {
    let run = audit(&["--count-by", "grant,verdict", "--event", "decision"]);
    assert_eq!(
        run.stdout,
        "\
COUNT  GRANT  VERDICT
12     -      -
1      alice  allowed
1      alice  limited
1      alice  unlisted
1      bob    denied
"
    );
    let told = audit(&["--count-by", "tool", "--verdict", "denied", "-o", "json"]).json();
    assert_eq!(told, json!([{"count": 12, "tool": ""}, {"count": 1, "tool": "update_lead"}]));
}

#[test]
fn files_are_read_and_what_cannot_be_is_told() {
    let folder = Folder::new();
    folder.write("a.jsonl", log());
    folder.write("b.jsonl", line(9, "carol", "t", "allowed", &json!({})));
    let run = folder.run(&["audit", "a.jsonl", "b.jsonl", "--count-by", "grant", "--verdict", "allowed"]);
    assert_eq!(run.stdout.lines().count(), 4, "{run:?}");
    let missing = folder.run(&["audit", "c.jsonl"]);
    assert_eq!(
        (missing.status, missing.stderr.as_str()),
        (2, "error: c.jsonl: No such file or directory (os error 2)\n")
    );
    for wrong in [["--count-by", "verdikt"], ["--since", "yesterday"], ["--since", "-1h"]] {
        assert_eq!(folder.run(&[&["audit", "a.jsonl"], &wrong[..]].concat()).status, 2, "{wrong:?}");
    }
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    let long = format!("{{\"audit\":\"toolgate.dev/v1\",\"name\":\"{}\"}}\n", "x".repeat(600 * 1024));
    let input = long + &line(1, "alice", "t", "allowed", &json!({})) + "\n";
    let run = Folder::new().pipe(&["audit", "-", "-o", "json"], &input);
    assert_eq!(
        (run.stdout.lines().count(), run.stderr.as_str()),
        (1, "note: 1 lines of the trail could not be read\n")
    );
}
