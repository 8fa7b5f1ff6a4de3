//! What an outage of the store costs, measured: nothing that has a limit is let through meanwhile, everything else is; how
//! soon a refusal is told, and how soon calls are counted again.
//!
//! Durations are shown and not judged: they are this machine's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use toolgate_e2e::kommo::{Answers, StandIn};
use toolgate_e2e::process::{ALICE, Configuration, Gateway, Redis, Request, Socket, World};

use super::way::{Leads, Way};
use super::{gateway_in, outcome, until_it_counts};

const RULES: &str = "default: deny
tools:
  get_leads: {limits: [{counter: c, window: hour, max: 1000000, scope: server}]}
  get_users: {}
";
const LIMITED: &str = "get_leads";
const UNLIMITED: &str = "get_users";
/// Connections at each gateway that ask for what has a limit; one more asks for what has none.
const CONNECTIONS: usize = 8;
/// How many refusals of each gateway are waited for.
const REFUSALS: usize = 500;
const DEADLINE_MILLISECONDS: &str = "50";
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(5);

/// One call as its client saw it.
#[derive(Clone)]
struct Seen {
    sent: Instant,
    answered: Instant,
    tool: &'static str,
    outcome: String,
}

/// Clients that ask one gateway all the time.
struct Clients {
    over: Arc<AtomicBool>,
    seen: Arc<std::sync::Mutex<Vec<Seen>>>,
    asking: JoinSet<()>,
}

impl Clients {
    fn of(gateway: &Gateway) -> Self {
        let (over, seen) = (Arc::<AtomicBool>::default(), Arc::<std::sync::Mutex<Vec<Seen>>>::default());
        let mut asking = JoinSet::new();
        for tool in [LIMITED; CONNECTIONS].into_iter().chain([UNLIMITED]) {
            asking.spawn(ask(gateway.address(), tool, over.clone(), seen.clone()));
        }
        Self { over, seen, asking }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panicked").clone()
    }

    /// When the first call came back with an outcome that was sent after an instant, and how many were by then.
    async fn until(&self, what: &str, outcome: &str, after: Instant, count: usize) -> Instant {
        let started = Instant::now();
        loop {
            let is = |seen: &&Seen| seen.tool == LIMITED && seen.sent >= after && seen.outcome == outcome;
            let seen = self.seen();
            let mut found = seen.iter().filter(is);
            if let Some(last) = found.nth(count - 1) {
                return last.answered;
            }
            assert!(started.elapsed() < PATIENCE, "{what}: {count} calls are never {outcome}");
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn end(mut self) -> Vec<Seen> {
        self.over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.asking.join_next().await {
            ended.expect("no client panics");
        }
        self.seen()
    }
}

async fn ask(
    to: std::net::SocketAddr,
    tool: &'static str,
    over: Arc<AtomicBool>,
    all: Arc<std::sync::Mutex<Vec<Seen>>>,
) {
    let request = Request::modern_call(ALICE, tool, &json!({})).bytes();
    let mut socket = Socket::open(to).await.expect("connects");
    while !over.load(Ordering::SeqCst) {
        let sent = Instant::now();
        socket.send(&request).await.expect("is sent");
        let outcome = outcome(&socket.answer().await.expect("an answer"));
        let seen = Seen { sent, answered: Instant::now(), tool, outcome };
        all.lock().expect("nobody panicked").push(seen);
        // Others want to be heard too, on one core.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Two gateways of one server, and the clients of each.
struct Outage {
    what: &'static str,
    _files: Vec<(StandIn, Configuration)>,
    gateways: Vec<Gateway>,
    clients: Vec<Clients>,
    began: Instant,
}

impl Outage {
    /// Each gateway has a way of its own to the store.
    async fn prepare(what: &'static str, urls: [String; 2]) -> Self {
        let (mut files, mut gateways) = (Vec::new(), Vec::new());
        for url in urls {
            let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
            let configuration = Configuration::new(&stand_in.url()).expect("files");
            configuration.counters(&format!("{{url: '{url}'}}")).expect("files");
            configuration.policy("kommo-sales", RULES).expect("files");
            configuration.grant("alice", ALICE, "").expect("files");
            // The deadline is the one that gateways have unless they are told otherwise.
            let gateway = gateway_in(&configuration, DEADLINE_MILLISECONDS, &[]).await;
            until_it_counts(&gateway).await;
            gateways.push(gateway);
            files.push((stand_in, configuration));
        }
        let clients: Vec<Clients> = gateways.iter().map(Clients::of).collect();
        let began = Instant::now();
        for clients in &clients {
            clients.until(what, "allowed", began, CONNECTIONS).await;
        }
        Self { what, _files: files, gateways, clients, began }
    }

    /// The store is away by now, for the gateways of these places.
    async fn lasts(&mut self, places: &[usize]) {
        self.began = Instant::now();
        for place in places {
            self.clients[*place].until(self.what, "uncounted", self.began, REFUSALS).await;
        }
    }

    /// The store is back by now.
    async fn ends(self, places: &[usize]) {
        let Self { what, gateways, clients, began, .. } = self;
        let healed = Instant::now();
        for (place, clients) in clients.into_iter().enumerate() {
            let back = clients.until(what, "allowed", healed, 1).await;
            let seen = clients.end().await;
            let meanwhile = |tool: &'static str| {
                seen.iter()
                    .filter(move |seen| seen.tool == tool && seen.sent >= began && seen.answered <= healed)
            };
            let allowed = |tool| meanwhile(tool).filter(|seen| seen.outcome == "allowed").count();
            let mut took: Vec<Duration> = meanwhile(LIMITED)
                .filter(|seen| seen.outcome == "uncounted")
                .map(|seen| seen.answered - seen.sent)
                .collect();
            took.sort_unstable();
            let at = |per_hundred: usize| {
                took.get(took.len() * per_hundred / 100).copied().unwrap_or_default().as_secs_f64() * 1e3
            };
            let cut_off = places.contains(&place);
            println!(
                "{what}, gateway {place}{}: {} calls with a limit, {} allowed; {} without, {} allowed; refused in {:.1} ms \
                 (p50), {:.1} ms (p99); counted again after {:.2} s",
                if cut_off { "" } else { " (not concerned)" },
                meanwhile(LIMITED).count(),
                allowed(LIMITED),
                meanwhile(UNLIMITED).count(),
                allowed(UNLIMITED),
                at(50),
                at(99),
                (back - healed).as_secs_f64(),
            );
            assert!(meanwhile(UNLIMITED).count() > 0);
            assert_eq!(allowed(UNLIMITED), meanwhile(UNLIMITED).count(), "{what}");
            if cut_off {
                assert_eq!(allowed(LIMITED), 0, "{what}: nothing that has a limit is let through");
            } else {
                assert!(allowed(LIMITED) > 0, "{what}: only who is cut off is refused");
            }
        }
        drop(gateways);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_killed() {
    let Some(mut redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let mut outage = Outage::prepare("killed", [redis.url(), redis.url()]).await;
    redis.kill().await.expect("ends");
    outage.lasts(&[0, 1]).await;
    redis.restart().await.expect("starts");
    outage.ends(&[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let mut outage = Outage::prepare("hung", [redis.url(), redis.url()]).await;
    redis.freeze().await.expect("stops");
    outage.lasts(&[0, 1]).await;
    redis.thaw().await.expect("goes on");
    outage.ends(&[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_answers_come_after_five_seconds() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let way = Way::to(redis.address()).await;
    let mut outage = Outage::prepare("slow", [way.url(), way.url()]).await;
    way.now(Leads::After(Duration::from_secs(5), redis.address()));
    outage.lasts(&[0, 1]).await;
    way.now(Leads::To(redis.address()));
    outage.ends(&[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_one_gateway_has_no_route_to() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let way = Way::to(redis.address()).await;
    let mut outage = Outage::prepare("no route for one", [way.url(), redis.url()]).await;
    way.now(Leads::Nowhere);
    outage.lasts(&[0]).await;
    way.now(Leads::To(redis.address()));
    outage.ends(&[0]).await;
}
