//! Several gateways that count in one real Redis: exact together, and closed where they cannot count.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use toolgate_e2e::kommo::{Answers, StandIn};
use toolgate_e2e::process::{ALICE, Answer, BOB, Configuration, Gateway, PATIENCE, Request, Start, World};

#[path = "gateway_redis/away.rs"]
mod away;
#[path = "gateway_redis/exact.rs"]
mod exact;
#[path = "gateway_tls/https.rs"]
mod https;
#[path = "gateway_redis/leaving.rs"]
mod leaving;
#[path = "gateway_redis/nodes.rs"]
mod nodes;
#[path = "gateway_redis/outage.rs"]
mod outage;
#[path = "gateway_redis/pressed.rs"]
mod pressed;
#[path = "gateway_redis/store.rs"]
mod store;
#[path = "gateway_redis/way.rs"]
mod way;

/// How long the store has for an answer. A machine that is busy with other tests may be late; what a late answer does is tried
/// by itself.
const PATIENT: &str = "1000";

/// Gateways of one server in front of one stand-in.
struct Fleet {
    stand_in: StandIn,
    configuration: Configuration,
    gateways: Vec<Gateway>,
}

impl Fleet {
    /// So many gateways under one policy, that count in a store with these settings.
    async fn start(gateways: usize, settings: &str, rules: &str) -> Self {
        let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
        let configuration = Configuration::new(&stand_in.url()).expect("files");
        configuration.counters(settings).expect("files");
        configuration.policy("kommo-sales", rules).expect("files");
        configuration.grant("alice", ALICE, "").expect("files");
        configuration.grant("bob", BOB, "").expect("files");
        let mut fleet = Self { stand_in, configuration, gateways: Vec::new() };
        for _ in 0..gateways {
            let gateway = fleet.another().await;
            fleet.gateways.push(gateway);
        }
        fleet
    }

    /// One more gateway with the same files.
    async fn another(&self) -> Gateway {
        gateway(&self.configuration).await
    }

    async fn until_all_count(&self) {
        for gateway in &self.gateways {
            until_it_counts(gateway).await;
        }
    }

    fn reached(&self) -> usize {
        self.stand_in.record().into_iter().filter(|entry| entry.tool.is_some()).count()
    }
}

async fn gateway(configuration: &Configuration) -> Gateway {
    gateway_in(configuration, PATIENT, &[]).await
}

async fn gateway_in(
    configuration: &Configuration,
    deadline_milliseconds: &str,
    variables: &[(&str, &Path)],
) -> Gateway {
    let (objects, credentials) = (configuration.objects(), configuration.credentials());
    let certificates = configuration.certificates();
    let more = [
        "--certificates",
        certificates.to_str().expect("a path"),
        "--counters-deadline-milliseconds",
        deadline_milliseconds,
    ];
    let start = Start { config: &objects, credentials: Some(&credentials), log: "info", more: &more };
    let gateway = Gateway::start_in(start, variables).await.expect("a gateway");
    gateway.admin().until_ready().await.expect("is ready");
    gateway
}

async fn until_told(gateway: &Gateway, part: &str) {
    let told = |answer: &Answer| answer.text().contains("counters: ") && answer.text().contains(part);
    gateway.admin().until("/readyz", part, told).await.expect("is told");
}

async fn until_it_counts(gateway: &Gateway) {
    gateway.admin().until_it_counts().await.expect("is told");
}

/// What the gauge says of the store.
async fn is_up(gateway: &Gateway) -> bool {
    gateway.admin().metrics().await.expect("metrics").sum("toolgate_counter_store_up", &[]) > 0.0
}

/// What became of one call: `allowed`, or the verdict.
fn outcome(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.verdict().unwrap_or_else(|| "allowed".to_owned())
}

async fn call(gateway: &Gateway, tool: &str) -> String {
    let request = Request::modern_call(ALICE, tool, &json!({"id": 1}));
    outcome(&gateway.ask(&request).await.expect("an answer"))
}

/// A call again, for as long as it says that its limit cannot be counted: on a busy machine an answer may be late.
async fn counted_call(gateway: &Gateway, tool: &str) -> String {
    let started = tokio::time::Instant::now();
    loop {
        let said = call(gateway, tool).await;
        if said != "uncounted" {
            return said;
        }
        assert!(started.elapsed() < PATIENCE, "{tool} is never counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
