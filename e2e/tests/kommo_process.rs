//! The two binaries as processes: their command lines, their output, their exit statuses.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

/// A running stand-in; it is killed when the test ends, however it ends.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kommo-stand-in"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("MCP_AUTH_TOKEN", "upstream-secret")
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("listening on ").expect("the announced line").to_owned();
        Self { child, url }
    }

    fn agent(&self, arguments: &[&str]) -> Output {
        agent(&self.url, Some("upstream-secret"), arguments)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn agent(url: &str, token: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
    command.args(["--url", url]).args(arguments).env_remove("TOOLGATE_TOKEN");
    if let Some(token) = token {
        command.env("TOOLGATE_TOKEN", token);
    }
    command.output().expect("runs")
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file of this name that no other test uses.
fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("written");
    path
}

#[test]
fn tools_and_calls_are_printed_as_json() {
    for (era, answers) in [("modern", "json"), ("modern", "sse"), ("session", "json"), ("session", "sse")] {
        let stand_in = Process::start(&["--answers", answers]);
        let tools = stand_in.agent(&["--era", era, "tools"]);
        assert!(tools.status.success(), "{}", words(&tools));
        assert_eq!(lines(&tools)[0].as_array().map(Vec::len), Some(23));

        let called = stand_in.agent(&["--era", era, "call", "get_lead", r#"{"id": 1}"#]);
        assert!(called.status.success(), "{}", words(&called));
        let [reply] = lines(&called).try_into().expect("one line");
        let text = "O recurso solicitado não foi encontrado no Kommo.";
        assert_eq!(reply["outcome"], "tool-error");
        assert_eq!((&reply["tool"], &reply["isError"]), (&json!("get_lead"), &json!(true)));
        assert_eq!((&reply["text"], &reply["error"]), (&json!(text), &Value::Null));
    }
}

#[test]
fn a_conversation_that_differs_ends_with_status_1_and_says_why() {
    let stand_in = Process::start(&["--eras", "session"]);
    let good =
        r#"[{"call": "get_account", "times": 2, "expect": {"outcome": "allowed"}}, {"list": "tools"}]"#;
    let good = file("good.json", good);
    let path = |path: &PathBuf| path.to_str().expect("UTF-8").to_owned();
    let ran = stand_in.agent(&["--era", "session", "converse", &path(&good)]);
    assert!(ran.status.success(), "{}", words(&ran));
    assert_eq!(lines(&ran)[0]["counts"], json!({"allowed": 2}));
    assert_eq!(lines(&ran)[1]["what"], "list tools");

    let bad = file("bad.json", r#"[{"call": "get_account", "expect": {"outcome": "limited"}}]"#);
    let ran =
        stand_in.agent(&["--era", "session", "--session-version", "2025-06-18", "converse", &path(&bad)]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        words(&ran).contains("step 1, call 1 of 1: expected outcome limited, got allowed"),
        "{}",
        words(&ran)
    );
    assert_eq!(lines(&ran)[0]["outcome"], "allowed");

    let wrong = file("wrong.json", r#"[{"shout": "get_account"}]"#);
    let ran = stand_in.agent(&["--era", "session", "converse", &path(&wrong)]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(words(&ran).contains("step 1: needs either `call` or `list`"), "{}", words(&ran));
}

#[test]
fn waiting_ends_with_the_outcome_or_with_status_1() {
    let stand_in = Process::start(&[]);
    let seen = stand_in.agent(&["until", "get_account", "{}", "--outcome", "allowed"]);
    assert!(seen.status.success(), "{}", words(&seen));
    let sighting = &lines(&seen)[0];
    assert_eq!((&sighting["seen"], &sighting["calls"]), (&json!(true), &json!(1)));
    assert!(sighting["unix_ms"].as_u64() >= sighting["sent_unix_ms"].as_u64());

    let until = ["until", "get_account", "{}", "--timeout-seconds", "0", "--outcome"];
    let not_seen = stand_in.agent(&[&until[..], &["denied"]].concat());
    assert_eq!(not_seen.status.code(), Some(1));
    assert_eq!(lines(&not_seen)[0]["last"]["outcome"], "allowed");
    assert!(words(&not_seen).contains("outcome denied was not seen within 0 s; the last one was allowed"));

    let without_token = agent(&stand_in.url, None, &[&until[..], &["unauthorized"]].concat());
    assert!(without_token.status.success(), "{}", words(&without_token));
}

#[test]
fn the_token_of_a_file_counts_before_that_of_the_environment() {
    let stand_in = Process::start(&[]);
    let token = file("token", "upstream-secret\n");
    let path = token.to_str().expect("UTF-8");
    let called = agent(&stand_in.url, Some("wrong"), &["--token-file", path, "call", "get_account", "{}"]);
    assert!(called.status.success(), "{}", words(&called));
    let refused = agent(&stand_in.url, Some("wrong"), &["call", "get_account", "{}"]);
    assert_eq!(refused.status.code(), Some(1));
    let without_file = stand_in.agent(&["--token-file", "/nonexistent", "tools"]);
    assert!(
        words(&without_file).contains("cannot read the token from /nonexistent"),
        "{}",
        words(&without_file)
    );
}

#[test]
fn a_stand_in_open_to_others_refuses_to_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_kommo-stand-in"))
        .args(["--listen", "0.0.0.0:0"])
        .env_remove("MCP_AUTH_TOKEN")
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("it needs an auth token"), "{}", words(&output));
}
