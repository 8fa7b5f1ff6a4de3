//! A cluster of three nodes: a limit is exact there too, also while a server's counters move from one node to another.

use toolgate_e2e::process::{Folder, PATIENCE, Redis};

use super::Fleet;
use super::pressed::{GATEWAYS, MAX, Pressure, RULES, WINDOWS, full_windows, fullest};

const NODES: usize = 3;
const SLOTS: usize = 16_384;

/// The nodes of a cluster, with all its slots.
struct Nodes {
    nodes: Vec<Redis>,
    _folder: Folder,
}

impl Nodes {
    async fn start() -> Option<Self> {
        let folder = Folder::new().expect("a folder");
        let place = folder.path().to_str().expect("a path").to_owned();
        let file = ["--cluster-config-file", "nodes-{port}.conf", "--dir", &place];
        let arguments = [["--cluster-enabled", "yes", "--cluster-port", "{bus}"], file].concat();
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            nodes.push(Redis::start(&arguments).await.expect("a Redis")?);
        }
        let nodes = Self { nodes, _folder: folder };
        for (index, node) in nodes.nodes.iter().enumerate() {
            let (first, next) = (SLOTS * index / NODES, SLOTS * (index + 1) / NODES);
            said(node, &format!("CLUSTER ADDSLOTSRANGE {first} {}", next - 1)).await;
            said(node, &format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1)).await;
            let first = &nodes.nodes[0];
            let meet = format!("CLUSTER MEET 127.0.0.1 {} {}", first.address().port(), first.bus());
            said(node, &meet).await;
        }
        nodes.until_whole().await;
        Some(nodes)
    }

    async fn until_whole(&self) {
        let started = tokio::time::Instant::now();
        for node in &self.nodes {
            loop {
                let info = node.say("CLUSTER INFO").await.expect("an answer");
                let known = format!("cluster_known_nodes:{NODES}\r");
                if info.contains("cluster_state:ok") && info.contains(&known) {
                    break;
                }
                assert!(started.elapsed() < PATIENCE, "no cluster: {info}");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }

    /// Every admission, at whichever node.
    async fn admissions(&self) -> Vec<u64> {
        let mut all = Vec::new();
        for node in &self.nodes {
            all.extend(node.admissions().await.expect("a log").concat());
        }
        all
    }

    /// Moves the slot with the counters to the next node, as a resharding does, and says from where to where.
    async fn reshard(&self) -> [usize; 2] {
        let mut holder = None;
        for (index, node) in self.nodes.iter().enumerate() {
            let keys = node.say("KEYS toolgate:*:counter:*").await.expect("an answer");
            if let Some(key) = keys.lines().find(|line| line.starts_with("toolgate:")) {
                let slot = node.say(&format!("CLUSTER KEYSLOT {key}")).await.expect("a slot");
                holder = Some((index, number(&slot)));
            }
        }
        let (from, slot) = holder.expect("a counter");
        let to = (from + 1) % NODES;
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let (source_id, target_id) = (id(source).await, id(target).await);
        said(target, &format!("CLUSTER SETSLOT {slot} IMPORTING {source_id}")).await;
        said(source, &format!("CLUSTER SETSLOT {slot} MIGRATING {target_id}")).await;
        let keys = source.say(&format!("CLUSTER GETKEYSINSLOT {slot} 1000")).await.expect("keys");
        let keys: Vec<&str> = keys.lines().filter(|line| line.starts_with("toolgate:")).collect();
        let port = target.address().port().to_string();
        let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        let parts: Vec<&[u8]> = migrate.iter().chain(&keys).map(|part| part.as_bytes()).collect();
        assert_eq!(source.command(&parts).await.expect("an answer"), b"+OK\r\n");
        for node in [target, source] {
            said(node, &format!("CLUSTER SETSLOT {slot} NODE {target_id}")).await;
        }
        [from, to]
    }
}

async fn said(node: &Redis, words: &str) {
    let answer = node.say(words).await.expect("an answer");
    assert!(answer.starts_with('+'), "{words}: {answer}");
}

async fn id(node: &Redis) -> String {
    let answer = node.say("CLUSTER MYID").await.expect("an answer");
    answer.lines().nth(1).expect("an id").trim().to_owned()
}

fn number(answer: &str) -> usize {
    answer.trim_start_matches(':').trim().parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_three_counts_as_one_store_while_its_slots_move() {
    let Some(nodes) = Nodes::start().await else { return };
    let settings = format!("{{url: '{}', cluster: true}}", nodes.nodes[0].url());
    let fleet = Fleet::start(GATEWAYS, &settings, RULES).await;
    fleet.until_all_count().await;
    let pressure = Pressure::on(&fleet);
    let read = async || nodes.admissions().await;
    let mut moves = Vec::new();
    for windows in 1..WINDOWS {
        pressure.until_read(read, |instants| full_windows(instants) >= windows).await;
        // What is asked of the node before is answered with the node after.
        moves.push(nodes.reshard().await);
        fleet.until_all_count().await;
    }
    pressure.until_read(read, |instants| full_windows(instants) >= WINDOWS).await;
    let heard = pressure.release().await;
    let instants = nodes.admissions().await;
    let mut redirected = 0;
    for node in &nodes.nodes {
        let errors = node.say("INFO errorstats").await.expect("an answer");
        let count = errors.lines().find_map(|line| line.strip_prefix("errorstat_MOVED:count="));
        redirected += count.and_then(|count| count.trim().parse::<usize>().ok()).unwrap_or_default();
    }
    println!(
        "a cluster of {NODES}, slots moved {moves:?}, {redirected} redirections: {} admissions, {} in the fullest window; {:?}",
        instants.len(),
        fullest(&instants),
        heard.numbers(),
    );
    assert_eq!(fullest(&instants), MAX);
    assert!(redirected > 0, "no question ever went to a node that does not hold the counters any more");
    let [allowed, _, uncounted, _] = heard.numbers();
    assert_eq!(allowed, fleet.reached());
    // A cluster's client asks again when a connection breaks, so a call may be charged twice, and never not at all.
    assert!(instants.len() >= allowed, "{} for {allowed}, {uncounted} uncounted", instants.len());
}
