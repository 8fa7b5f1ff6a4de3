//! `try`, as `make try` runs it.

use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running `try`; it is killed when the test ends, however it ends.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_try"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// The rest of the first line that holds a text, and all lines before it.
    fn until(&mut self, text: &str) -> (String, String) {
        let mut before = String::new();
        for line in self.lines.by_ref().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once(text) {
                return (rest.trim().to_owned(), before);
            }
            before.push_str(&line);
            before.push('\n');
        }
        (format!("{text:?} is not there"), before)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_whole_story_is_told_and_nothing_differs() {
    let output = Command::new(env!("CARGO_BIN_EXE_try")).output().expect("runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "ok move_lead       allowed   30 times",
        "ok move_lead       limited   [RATE LIMITED] limit reached: at most 30 per minute. Retry after",
        "ok get_leads       denied    [POLICY DENIED] not during the quarterly close",
        "ms after the file was written, on the same connection",
        "toolgate_tool_calls_total{grant=\"sales-agent\",server=\"kommo\",tool=\"move_lead\",verdict=\"allowed\"} 30",
        "They balance: what was allowed reached the server, and nothing else did.",
    ] {
        assert!(told.contains(part), "{part:?} is not in:\n{told}");
    }
    assert!(!told.contains("!!"), "{told}");
}

#[test]
fn what_is_kept_can_be_used_edited_and_ended() {
    let mut process = Process::start(&["--keep"]);
    let (url, story) = process.until("MCP endpoint ");
    assert!(url.starts_with("http://127.0.0.1:"), "{url}\n{story}");
    let (token, _) = process.until("token ");
    let folder = PathBuf::from(process.until("files to edit ").0);
    process.until("What the gateway says");

    // The limits of the story may still hold; what answers is the gateway with the sample's rules.
    let called = Command::new(env!("CARGO_BIN_EXE_agent"))
        .args(["--url", &url, "call", "update_lead", "{}"])
        .env("TOOLGATE_TOKEN", &token)
        .output()
        .expect("runs");
    let reply = String::from_utf8_lossy(&called.stdout).into_owned();
    assert!(reply.contains("\"denied\""), "{reply}{}", String::from_utf8_lossy(&called.stderr));

    let policy = folder.join("kommo-policy.yaml");
    let text = std::fs::read_to_string(&policy).expect("is read");
    assert!(text.contains("get_leads: {} # listed"), "the sample is back: {text}");
    std::fs::write(&policy, text.replace("default: deny", "defualt: deny")).expect("is written");
    let (refused, _) = process.until("refused: ");
    assert!(refused.contains("spec.defualt: unknown field; did you mean default?"), "{refused}");

    let stopped = Command::new("sh").arg("-c").arg(format!("kill -INT {}", process.child.id())).status();
    assert!(stopped.expect("runs").success());
    assert!(process.child.wait().expect("it ends").success());
    assert!(!folder.exists(), "nothing is left");
}
