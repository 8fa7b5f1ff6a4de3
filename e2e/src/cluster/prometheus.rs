//! Debian's Prometheus on this machine, which scrapes what the chart's monitors select in a cluster.
//!
//! The monitors are what Helm makes of the chart, read as the Prometheus operator reads them. Pods are reached through
//! `kubectl proxy`, so it works with any cluster that kubectl works with; nothing but the address is another one.

mod discovery;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::install::{RELEASE, RELEASE_NAMESPACE};
use super::kubectl::Kubectl;
use super::place::{Cluster, root};
use super::{Error, eventually, parsed, promise};
use crate::process::Admin;

/// Where `e2e/tests/observability/fetch` puts it.
const FETCHED: &str = "target/prometheus/usr/bin/prometheus";
/// What makes the chart's monitors.
const MONITORS: [&str; 4] =
    ["--set", "metrics.serviceMonitor.enabled=true", "--set", "metrics.podMonitor.enabled=true"];
/// How often everything is scraped.
const INTERVAL: &str = "2s";
/// How often pods are looked for.
const DISCOVERY: Duration = Duration::from_secs(2);
/// The files of what was found, by role.
const ROLES: [&str; 2] = ["pod", "endpoints"];

/// A running Prometheus, and the proxy by which it reaches the cluster. Both are killed when this is dropped.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    children: Vec<Child>,
    ends: Arc<AtomicBool>,
}

impl Prometheus {
    /// Starts one that scrapes the operator and every gateway.
    ///
    /// # Errors
    ///
    /// [`Error::NotUsable`] where the program was not fetched; others if it does not come up.
    pub fn start(cluster: &Cluster) -> Result<Self, Error> {
        let program = root().join(FETCHED);
        if !program.is_file() {
            let missing = "there is no prometheus; e2e/tests/observability/fetch gets it";
            return Err(Error::NotUsable(missing.to_owned()));
        }
        let (proxy, at) = proxy(cluster)?;
        let ends = Arc::new(AtomicBool::new(false));
        let mut prometheus = Self { address: free_address()?, children: vec![proxy], ends: ends.clone() };
        let folder = cluster.scratch()?.join(format!("prometheus-{}", prometheus.address.port()));
        let failed = |source| Error::File { path: folder.display().to_string(), source };
        fs::create_dir_all(&folder).map_err(failed)?;
        // JSON is YAML.
        fs::write(folder.join("prometheus.yml"), config(&monitors(cluster)?, at, &folder).to_string())
            .map_err(failed)?;
        let (kubectl, found) = (cluster.kubectl.clone(), folder.clone());
        thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                // What cannot be looked for now is as it was.
                let _found = discover(&kubectl, &found);
                thread::sleep(DISCOVERY);
            }
        });
        let log = fs::File::create(folder.join("log")).map_err(failed)?;
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={}", prometheus.address))
            .stderr(log);
        prometheus.children.push(spawn(&mut command)?);
        eventually("Prometheus listens", || Ok(prometheus.listens()))?;
        Ok(prometheus)
    }

    /// Where its page is, and its API.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The result of a query now.
    ///
    /// # Errors
    ///
    /// If it is refused.
    pub async fn query(&self, expression: &str) -> Result<Value, Error> {
        let encoded: Vec<String> = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/api/v1/query?query={}", encoded.concat());
        let answer = Admin::at(self.address).get(&path).await;
        let answer = answer.map_err(|error| Error::Broken(format!("Prometheus does not answer: {error}")))?;
        let answer = answer.json();
        promise(answer["status"] == "success", || format!("{expression}: {answer}"))?;
        Ok(answer["data"]["result"].clone())
    }

    /// Leaves it running, and tells its processes. It scrapes the pods that were there last.
    pub fn leave(mut self) -> Vec<u32> {
        std::mem::take(&mut self.children).iter().map(Child::id).collect()
    }

    fn listens(&self) -> bool {
        std::net::TcpStream::connect(self.address).is_ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        for child in &mut self.children {
            // It may be gone already.
            let _killed = child.kill();
            let _waited = child.wait();
        }
    }
}

// In a group of its own: who ends what started it by Ctrl-C may want to keep it.
fn spawn(command: &mut Command) -> Result<Child, Error> {
    let path = command.get_program().to_string_lossy().into_owned();
    let command = command.stdin(Stdio::null()).process_group(0);
    command.spawn().map_err(|source| Error::File { path, source })
}

fn proxy(cluster: &Cluster) -> Result<(Child, SocketAddr), Error> {
    let mut command = cluster.kubectl.command(&["proxy", "--address=127.0.0.1", "--port=0"]);
    let mut child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::null()))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        // What it says otherwise has no address.
        let _read = BufReader::new(stdout).read_line(&mut line);
    }
    let Some(address) = line.trim().rsplit(' ').next().and_then(|address| address.parse().ok()) else {
        let _killed = child.kill();
        let _waited = child.wait();
        return Err(Error::Broken(format!("kubectl proxy says {line:?}")));
    };
    Ok((child, address))
}

fn free_address() -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map_err(|source| Error::File { path: "127.0.0.1".to_owned(), source })
}

/// The chart's monitors.
fn monitors(cluster: &Cluster) -> Result<Vec<Value>, Error> {
    let chart = root().join("charts/toolgate").display().to_string();
    let template = ["template", RELEASE, &chart, "--namespace", RELEASE_NAMESPACE];
    let text = cluster.helm(&[&template[..], &MONITORS].concat())?.success()?;
    let documents = serde_yaml::Deserializer::from_str(&text).map(Value::deserialize);
    let unreadable = |error| Error::Broken(format!("helm template gives no YAML: {error}"));
    let objects: Vec<Value> = documents.collect::<Result<_, _>>().map_err(unreadable)?;
    let is_monitor = |object: &Value| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Monitor"));
    Ok(objects.into_iter().filter(is_monitor).collect())
}

/// Writes down what is there to be scraped, each file at once: Prometheus reads them whenever they change.
fn discover(kubectl: &Kubectl, folder: &Path) -> Result<(), Error> {
    let list = |path: &str| -> Result<Vec<Value>, Error> {
        let list: Value = parsed(path, &kubectl.raw(path)?)?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    };
    let pods = list("/api/v1/pods")?;
    let endpoints = list(&format!("/api/v1/namespaces/{RELEASE_NAMESPACE}/endpoints"))?;
    let found = [discovery::pods(&pods), discovery::endpoints(&endpoints, &pods)];
    for (role, targets) in ROLES.iter().zip(found) {
        let (whole, part) = (folder.join(format!("{role}.json")), folder.join(format!("{role}.part")));
        let failed = |source| Error::File { path: whole.display().to_string(), source };
        fs::write(&part, targets.to_string()).and_then(|()| fs::rename(&part, &whole)).map_err(failed)?;
    }
    Ok(())
}

fn config(monitors: &[Value], proxy: SocketAddr, folder: &Path) -> Value {
    let rules: PathBuf = root().join("charts/toolgate/files/rules.yaml");
    json!({
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [rules],
        "scrape_configs": monitors.iter().map(|monitor| job(monitor, proxy, folder)).collect::<Value>(),
    })
}

/// What the Prometheus operator makes of a monitor with one endpoint.
fn job(monitor: &Value, proxy: SocketAddr, folder: &Path) -> Value {
    let is_of_pods = monitor["kind"] == "PodMonitor";
    let (role, object, endpoints) = if is_of_pods {
        ("pod", "pod", "podMetricsEndpoints")
    } else {
        ("endpoints", "service", "endpoints")
    };
    let endpoint = &monitor["spec"][endpoints][0];
    let namespace = &monitor["metadata"]["namespace"];
    let selector = &monitor["spec"]["namespaceSelector"];
    let names: Option<Vec<&str>> = match (&selector["any"], &selector["matchNames"]) {
        (Value::Bool(true), _) => None,
        (_, Value::Array(names)) => Some(names.iter().map(text).collect()),
        _ => Some(vec![text(namespace)]),
    };
    let labels = monitor["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    let mut relabel: Vec<Value> = labels
        .map(|(label, value)| {
            let source = format!("__meta_kubernetes_{object}_label_{}", discovery::sanitized(label));
            json!({"source_labels": [source], "regex": value, "action": "keep"})
        })
        .collect();
    if let Some(names) = names {
        let source = ["__meta_kubernetes_namespace"];
        relabel.push(json!({"source_labels": source, "regex": names.join("|"), "action": "keep"}));
    }
    let port = if is_of_pods { "pod_container_port_name" } else { "endpoint_port_name" };
    relabel.push(json!({
        "source_labels": [format!("__meta_kubernetes_{port}")], "regex": endpoint["port"], "action": "keep",
    }));
    let copy = |from: &str, to: &str| json!({"source_labels": [from], "target_label": to});
    relabel.extend([
        copy("__meta_kubernetes_namespace", "namespace"),
        copy("__meta_kubernetes_pod_name", "pod"),
        copy("__meta_kubernetes_pod_container_name", "container"),
        copy("__address__", "instance"),
        // By way of the API server.
        json!({
            "source_labels": ["namespace", "pod", "__meta_kubernetes_pod_container_port_number", "__metrics_path__"],
            "separator": ";", "regex": "(.+);(.+);(.+);(.+)", "replacement": "/api/v1/namespaces/$1/pods/$2:$3/proxy$4",
            "target_label": "__metrics_path__",
        }),
        json!({"target_label": "__address__", "replacement": proxy.to_string()}),
    ]);
    json!({
        "job_name": format!("{}/{}", text(namespace), text(&monitor["metadata"]["name"])),
        "metrics_path": endpoint["path"],
        "file_sd_configs": [{"files": [folder.join(format!("{role}.json"))]}],
        "relabel_configs": relabel,
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_becomes_the_job_that_its_operator_would_make() {
        let monitor = json!({
            "kind": "PodMonitor", "metadata": {"name": "toolgate-gateways", "namespace": "toolgate-system"},
            "spec": {
                "namespaceSelector": {"any": true},
                "selector": {"matchLabels": {"app.kubernetes.io/component": "gateway"}},
                "podMetricsEndpoints": [{"port": "admin", "path": "/metrics"}],
            },
        });
        let job = job(&monitor, "127.0.0.1:8001".parse().expect("an address"), Path::new("found"));
        assert_eq!(job["job_name"], "toolgate-system/toolgate-gateways");
        assert_eq!(job["metrics_path"], "/metrics");
        assert_eq!(job["file_sd_configs"], json!([{"files": ["found/pod.json"]}]));
        let component = "__meta_kubernetes_pod_label_app_kubernetes_io_component";
        let kept = json!({"source_labels": [component], "regex": "gateway", "action": "keep"});
        assert_eq!(job["relabel_configs"][0], kept);
    }
}
