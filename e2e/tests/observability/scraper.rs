//! A real Prometheus that scrapes one gateway, on loopback.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};
use toolgate_e2e::process::{Admin, Folder, PATIENCE};

use crate::files::{self, items, word};

/// The pause between two looks at what Prometheus has.
const LOOK: Duration = Duration::from_millis(100);

/// One series of an answer: its labels and its value.
#[derive(Debug)]
pub(crate) struct Sample {
    labels: Value,
    /// The value.
    pub(crate) value: f64,
}

/// A running Prometheus; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Scraper {
    address: SocketAddr,
    folder: Folder,
    _child: Child,
}

impl Sample {
    /// A label, or an empty text.
    pub(crate) fn label(&self, name: &str) -> &str {
        word(&self.labels[name])
    }
}

impl Scraper {
    /// Starts Prometheus with the chart's alerts, and the labels that the chart's monitor would add to the gateway.
    pub(crate) async fn start(program: &Path, gateway: Admin) -> Self {
        let folder = Folder::new().expect("a folder");
        let rules = files::chart().join("files/rules.yaml");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\nscrape_configs:\n\
             - job_name: crm/toolgate-gateways\n  static_configs:\n  - targets: [\"{}\"]\n    \
             labels: {{namespace: crm, pod: kommo-gateway-a}}\n",
            rules.display(),
            gateway.address()
        );
        folder.write("prometheus.yml", &config).expect("is written");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let address = free_address();
        let child = Command::new(program)
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()
            .expect("Prometheus starts");
        let scraper = Self { address, folder, _child: child };
        scraper.until("Prometheus", async |scraper| scraper.get("/-/ready").await.is_some()).await;
        scraper
    }

    /// What an expression gives now.
    pub(crate) async fn query(&self, expression: &str) -> Vec<Sample> {
        let encoded: Vec<String> = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.get(&format!("/api/v1/query?query={}", encoded.concat())).await.expect(expression);
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let sample = |result: &Value| Sample {
            labels: result["metric"].clone(),
            value: word(&result["value"][1]).parse().expect("a number"),
        };
        items(&answer["data"]["result"]).iter().map(sample).collect()
    }

    /// What became of each rule: name, health and error.
    pub(crate) async fn rules(&self) -> Vec<(String, String, String)> {
        let answer = self.get("/api/v1/rules").await.expect("rules");
        let groups = items(&answer["data"]["groups"]).iter();
        let rules = groups.flat_map(|group| items(&group["rules"]));
        let told =
            |rule: &Value| ["name", "health", "lastError"].map(|key| word(&rule[key]).to_owned()).into();
        rules.map(told).collect()
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let started = tokio::time::Instant::now();
        while !holds(self).await {
            let log = || self.folder.read("log").unwrap_or_default();
            assert!(started.elapsed() < PATIENCE, "{what} did not come; Prometheus' log:\n{}", log());
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let answer = Admin::at(self.address).get(path).await.ok()?;
        if path.starts_with("/api/") {
            return Some(serde_json::from_slice(&answer.body).expect("JSON"));
        }
        (answer.status == 200).then_some(Value::Null)
    }
}

/// An address that nobody listens at. Prometheus does not tell which port it was given, so it has to be chosen here.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}
