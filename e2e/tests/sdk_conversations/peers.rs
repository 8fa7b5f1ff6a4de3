//! The programs of `e2e/sdks`: servers that are started, and clients that hold conversations.

use std::collections::BTreeMap;
use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use toolgate_e2e::process::ALICE;

use super::rust;

/// Where `e2e/sdks/fetch` installs the SDKs.
const SDKS: &str = "../target/sdks";
/// Makes it a failure that they are not there.
const REQUIRE: &str = "TOOLGATE_REQUIRE_SDKS";

/// A line of an official SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sdk {
    TypeScript1,
    TypeScript2,
    Python1,
    Python2,
    /// In this process.
    Rust,
}

impl Sdk {
    pub(crate) const ALL: [Self; 5] =
        [Self::TypeScript1, Self::TypeScript2, Self::Python1, Self::Python2, Self::Rust];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TypeScript1 => "TypeScript 1",
            Self::TypeScript2 => "TypeScript 2",
            Self::Python1 => "Python 1",
            Self::Python2 => "Python 2",
            Self::Rust => "Rust",
        }
    }

    /// The revisions that both sides speak.
    pub(crate) fn speaks_with(self, other: Self) -> impl Iterator<Item = &'static str> {
        let modern = |sdk: Self| matches!(sdk, Self::TypeScript2 | Self::Python2 | Self::Rust);
        let both = (modern(self) && modern(other)).then_some("2026-07-28");
        ["2025-03-26", "2025-06-18", "2025-11-25"].into_iter().chain(both)
    }

    // The program of one side, or nothing for the SDK that runs here.
    fn command(self, role: &str) -> Option<Command> {
        let sdks = Path::new(env!("CARGO_MANIFEST_DIR")).join(SDKS);
        let (program, file) = match self {
            Self::Rust => return None,
            Self::TypeScript1 => (PathBuf::from("node"), format!("{role}-1.mjs")),
            Self::TypeScript2 => (PathBuf::from("node"), format!("{role}-2.mjs")),
            Self::Python1 => (sdks.join("python-1/bin/python"), format!("{role}-1.py")),
            Self::Python2 => (sdks.join("python-2/bin/python"), format!("{role}-2.py")),
        };
        let mut command = Command::new(program);
        // Node looks for packages beside the program: so they are there, beside copies of them.
        command.arg(sdks.join(file)).env("PYTHONDONTWRITEBYTECODE", "1").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Some(command)
    }
}

/// Whether the SDKs are there. Where they are not, it is said loudly what was not run.
pub(crate) fn installed(needed_for: &str) -> bool {
    let sdks = Path::new(env!("CARGO_MANIFEST_DIR")).join(SDKS);
    let parts = ["typescript.installed", "python-1.installed", "python-2.installed"];
    if parts.iter().all(|part| sdks.join(part).is_file()) {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdks");
        for file in std::fs::read_dir(programs).expect("the programs are there").flatten() {
            let name = file.file_name();
            if ["mjs", "py", "json"]
                .iter()
                .any(|end| Path::new(&name).extension().is_some_and(|it| it == *end))
            {
                std::fs::copy(file.path(), sdks.join(name)).expect("target can be written");
            }
        }
        return true;
    }
    // Not by a macro: what those print is shown of failures only.
    let told = format!("\nNOT RUN: {needed_for}: no SDKs; e2e/sdks/fetch installs them\n");
    std::io::stderr().write_all(told.as_bytes()).expect("standard error is open");
    assert!(env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{REQUIRE}=1 makes this a failure");
    false
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) sdk: Sdk,
    pub(crate) url: String,
    _child: Option<Child>,
}

impl Peer {
    /// One of each SDK.
    pub(crate) async fn start_all() -> Vec<Self> {
        let mut peers = Vec::new();
        for sdk in Sdk::ALL {
            peers.push(Self::start(sdk).await);
        }
        peers
    }

    async fn start(sdk: Sdk) -> Self {
        let Some(mut command) = sdk.command("server") else {
            return Self { sdk, url: rust::server::start().await, _child: None };
        };
        let mut child = command.spawn().expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        let line = lines.next_line().await.expect("is read").expect("a line with its URL");
        let said: Value = serde_json::from_str(&line).expect("JSON");
        Self { sdk, url: said["url"].as_str().expect("a URL").to_owned(), _child: Some(child) }
    }
}

/// What a client said of one conversation.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    pub(crate) steps: Vec<Value>,
}

impl Talk {
    /// Whether it came to its last step and each step that must succeed did.
    pub(crate) fn is_whole(&self, version: &str) -> bool {
        let may_fail = |step: &Value| match step["step"].as_str() {
            Some("unknown tool" | "unknown resource" | "cancellation" | "close") => true,
            // The first revision had no elicitation, and some clients know.
            Some("elicitation") => version == "2025-03-26",
            _ => false,
        };
        self.steps.iter().any(|step| step["step"] == "still there")
            && self.steps.iter().all(|step| may_fail(step) || step.get("error").is_none())
    }
}

/// Holds conversations one after the other in one process, and tells of each by its URL.
pub(crate) async fn converse(client: Sdk, targets: &[(String, &str)]) -> BTreeMap<String, Talk> {
    let Some(mut command) = client.command("client") else {
        let mut talks = BTreeMap::new();
        for (url, version) in targets {
            talks.insert(url.clone(), Talk { steps: rust::client::converse(url, ALICE, version).await });
        }
        return talks;
    };
    let targets: Vec<[&str; 3]> = targets.iter().map(|(url, version)| [url, ALICE, version]).collect();
    let argument = serde_json::to_string(&targets).expect("JSON");
    let output = command.arg(argument).output().await.expect("the client runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (mut talks, mut url) = (BTreeMap::<String, Talk>::new(), String::new());
    for line in text.lines() {
        let said: Value = serde_json::from_str(line).expect("each line is JSON");
        match said["url"].as_str() {
            Some(begun) => begun.clone_into(&mut url),
            None => talks.entry(url.clone()).or_default().steps.push(said),
        }
    }
    assert!(output.status.success(), "{}: {}\n{text}", client.name(), output.status);
    talks
}
