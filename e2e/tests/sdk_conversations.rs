//! With a policy that allows everything, whatever works directly works through the gateway: the official SDKs hold the
//! same conversation both ways, and every message is compared, as the client and as the server sees it.

use std::collections::BTreeMap;

use serde_json::Value;
use toolgate_e2e::process::{ALICE, Configuration, Gateway, Start};

#[path = "sdk_conversations/compare.rs"]
mod compare;
#[path = "sdk_conversations/peers.rs"]
mod peers;
#[path = "sdk_conversations/recorder.rs"]
mod recorder;
#[path = "sdk_conversations/rust.rs"]
#[expect(deprecated, reason = "what 2026-07-28 gives up is still said in the revisions before it")]
mod rust;

use compare::{Difference, differences};
use peers::{Peer, Sdk, Talk, converse, installed};
use recorder::Recorder;

const RULES: &str = "default: allow\nserverRequests: [sampling, elicitation, roots]";

/// One conversation, held twice: with the server itself, and through a gateway.
struct Pair {
    client: Sdk,
    server: Sdk,
    version: &'static str,
    /// What the client and the server itself said to each other.
    direct: Recorder,
    /// What the client and the gateway said to each other.
    before: Recorder,
    /// What the gateway and the server said to each other.
    behind: Recorder,
    _gateway: Gateway,
    _configuration: Configuration,
}

impl Pair {
    async fn new(client: Sdk, server: &Peer, version: &'static str) -> Self {
        let direct = Recorder::start(&server.url).await;
        let behind = Recorder::start(&server.url).await;
        let configuration = Configuration::new(&behind.url()).expect("files");
        configuration.policy("everything", RULES).expect("is written");
        configuration.grant("alice", ALICE, "").expect("is written");
        let (objects, credentials) = (configuration.objects(), configuration.credentials());
        let start = Start { config: &objects, credentials: Some(&credentials), log: "info", more: &[] };
        let gateway = Gateway::ready(start).await.expect("a gateway");
        let before = Recorder::start(&gateway.url()).await;
        Self {
            client,
            server: server.sdk,
            version,
            direct,
            before,
            behind,
            _gateway: gateway,
            _configuration: configuration,
        }
    }

    fn name(&self) -> String {
        format!("{} to {} in {}", self.client.name(), self.server.name(), self.version)
    }

    fn differences(&self, talks: &BTreeMap<String, Talk>) -> Vec<Difference> {
        let (direct, through) = (&talks[&self.direct.url()], &talks[&self.before.url()]);
        let mut found =
            differences("the client's outcomes", &compare::outcomes(direct), &compare::outcomes(through));
        let [exchanged, before, behind] =
            [&self.direct, &self.before, &self.behind].map(|recorder| self.comparable(recorder));
        let (kept, through) = (compare::sealed(exchanged.clone()), compare::sealed(before));
        found.extend(differences("seen by the client", &kept, &through));
        found.extend(differences("seen by the server", &exchanged, &behind));
        found
    }

    /// What was said, but for the one thing that works only through the gateway: the TypeScript SDK tells of a cancellation
    /// without `Mcp-Method`, which the Rust SDK refuses. The gateway writes that header itself.
    fn comparable(&self, recorder: &Recorder) -> Vec<(String, Value)> {
        let mut exchanges = recorder.exchanges();
        if (self.client, self.server, self.version) == (Sdk::TypeScript2, Sdk::Rust, "2026-07-28") {
            exchanges.retain(|(asked, _)| !asked.starts_with("POST notifications/cancelled"));
        }
        exchanges
    }
}

/// Holds all conversations of one client, each directly and then through its gateway.
async fn hold(client: Sdk, servers: &[Peer]) -> (Vec<Pair>, BTreeMap<String, Talk>) {
    let mut pairs = Vec::new();
    for server in servers {
        for version in client.speaks_with(server.sdk) {
            pairs.push(Pair::new(client, server, version).await);
        }
    }
    let targets: Vec<(String, &str)> = pairs
        .iter()
        .flat_map(|pair| [(pair.direct.url(), pair.version), (pair.before.url(), pair.version)])
        .collect();
    let talks = converse(client, &targets).await;
    (pairs, talks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_sdks_say_directly_they_say_through_the_gateway() {
    if !installed("the SDKs' conversations through the gateway") {
        return;
    }
    // A server tells its changes to whoever listens in 2026-07-28: each client that does has servers of its own.
    let [one, two, three] = [Peer::start_all().await, Peer::start_all().await, Peer::start_all().await];
    let (ts1, ts2, py1, py2, rust) = tokio::join!(
        hold(Sdk::TypeScript1, &one),
        hold(Sdk::TypeScript2, &one),
        hold(Sdk::Python1, &two),
        hold(Sdk::Python2, &two),
        hold(Sdk::Rust, &three),
    );
    let (mut pairs, mut messages, mut different) = (0, 0, Vec::new());
    for (held, talks) in [ts1, ts2, py1, py2, rust] {
        for pair in held {
            pairs += 1;
            messages += pair.direct.messages() + pair.before.messages() + pair.behind.messages();
            let talk = &talks[&pair.direct.url()];
            assert!(
                talk.is_whole(pair.version),
                "{}: the conversation itself broke off: {:#?}",
                pair.name(),
                talk.steps
            );
            different.extend(
                pair.differences(&talks)
                    .into_iter()
                    .map(|difference| format!("{}: {difference}", pair.name())),
            );
        }
    }
    let told = format!(
        "\n{pairs} pairs of SDKs and revisions, {messages} messages, {} differences\n",
        different.len()
    );
    std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).expect("standard error is open");
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(pairs >= 84, "only {pairs} pairs");
}

/// A value without what must differ between two conversations: session ids and random ids.
fn normal(value: &Value) -> Value {
    match value {
        Value::String(text) if is_random(text) => Value::String("random".to_owned()),
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), normal(value))).collect(),
        other => other.clone(),
    }
}

// A UUID, with or without its hyphens, after whatever word; or a count that goes on over the conversations of a process.
fn is_random(text: &str) -> bool {
    if text.strip_prefix("listen-").is_some_and(|count| count.bytes().all(|byte| byte.is_ascii_digit())) {
        return true;
    }
    let digits = text.chars().filter(char::is_ascii_hexdigit).count();
    text.len() <= 64
        && digits >= 32
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
