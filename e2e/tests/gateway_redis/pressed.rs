//! One limit under pressure: sixty-four connections at each of three gateways ask without a pause, until five windows were
//! full, and meanwhile something happens. What was admitted is read from the store, on its own clock, and held against
//! what reached the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use toolgate_e2e::process::{ALICE, Answer, Gateway, Redis, Request, Socket};

use super::{Fleet, outcome, until_it_counts};

#[path = "clocks.rs"]
mod clocks;
#[path = "restarts.rs"]
mod restarts;

pub(super) const GATEWAYS: usize = 3;
pub(super) const CONNECTIONS: usize = 64;
pub(super) const MAX: usize = 60;
/// The window, in microseconds.
pub(super) const WINDOW: u64 = 2_000_000;
pub(super) const WINDOWS: usize = 5;

// The day is there so that the store remembers every admission of the test.
pub(super) const RULES: &str = "default: deny
tools:
  get_leads:
    limits:
      - {counter: c, window: 2s, max: 60, scope: server}
      - {counter: c, window: day, max: 100000, scope: server}
";

/// Five windows at this pressure take ten seconds; a busy machine needs longer.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(50);

/// The most admissions that any stretch of a window's length holds. They are in order.
pub(super) fn fullest(instants: &[u64]) -> usize {
    let held = |(index, from): (usize, &u64)| {
        instants[index..].partition_point(|at| at.saturating_sub(*from) < WINDOW)
    };
    instants.iter().enumerate().map(held).max().unwrap_or_default()
}

/// How many windows, one after the other and each from an admission on, hold exactly the maximum. One that is not full
/// gives way to the one from the next admission: a pause shifts where windows begin, and no full one may be missed.
pub(super) fn full_windows(instants: &[u64]) -> usize {
    let (mut full, mut from) = (0, 0);
    while let Some(stretch) = instants.get(from..from + MAX) {
        let is_full = stretch[MAX - 1] - stretch[0] < WINDOW;
        full += usize::from(is_full);
        from += if is_full { MAX } else { 1 };
    }
    full
}

#[test]
fn full_windows_begin_wherever_one_opens() {
    let max = u64::try_from(MAX).expect("a count");
    let burst = |from: u64| (0..max).map(move |each| from + each);
    assert_eq!(full_windows(&burst(0).take(MAX - 1).collect::<Vec<_>>()), 0, "one short");
    assert_eq!(full_windows(&burst(0).collect::<Vec<_>>()), 1);
    assert_eq!(
        full_windows(&(0..max).map(|each| each * WINDOW / (max - 1)).collect::<Vec<_>>()),
        0,
        "one past the end"
    );
    let late: Vec<_> = [0, 1, 2].into_iter().chain(burst(WINDOW * 3)).chain(burst(WINDOW * 5)).collect();
    assert_eq!(full_windows(&late), 2, "three stray admissions shift nothing");
}

pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    u64::try_from(since.as_micros()).expect("a time")
}

/// What all clients heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) allowed: AtomicUsize,
    uncounted: AtomicUsize,
    limited: AtomicUsize,
    /// Connections that broke before an answer came.
    broken: AtomicUsize,
}

impl Heard {
    fn note(&self, answer: &Answer) {
        let outcome = outcome(answer);
        let counter = match outcome.as_str() {
            "allowed" => &self.allowed,
            "uncounted" => &self.uncounted,
            _ => &self.limited,
        };
        assert!(["allowed", "limited", "uncounted"].contains(&&*outcome), "{}", answer.text());
        counter.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn numbers(&self) -> [usize; 4] {
        [&self.allowed, &self.limited, &self.uncounted, &self.broken]
            .map(|counter| counter.load(Ordering::SeqCst))
    }
}

/// Clients that ask all the time.
pub(super) struct Pressure {
    addresses: Vec<watch::Sender<SocketAddr>>,
    over: Arc<AtomicBool>,
    pub(super) heard: Arc<Heard>,
    pressing: JoinSet<()>,
}

impl Pressure {
    pub(super) fn on(fleet: &Fleet) -> Self {
        let (over, heard) = (Arc::<AtomicBool>::default(), Arc::<Heard>::default());
        let (mut addresses, mut pressing) = (Vec::new(), JoinSet::new());
        for gateway in &fleet.gateways {
            let (address_tx, address_rx) = watch::channel(gateway.address());
            for _ in 0..CONNECTIONS {
                pressing.spawn(press(address_rx.clone(), over.clone(), heard.clone()));
            }
            addresses.push(address_tx);
        }
        Self { addresses, over, heard, pressing }
    }

    /// From now on the clients of one gateway ask another one in its place.
    pub(super) fn turn_to(&self, index: usize, gateway: &Gateway) {
        self.addresses[index].send_replace(gateway.address());
    }

    /// Waits until the store's admissions are as wanted.
    pub(super) async fn until(&self, redis: &Redis, wanted: impl Fn(&[u64]) -> bool) {
        let read = async || redis.admissions().await.map(|all| all.concat()).unwrap_or_default();
        self.until_read(read, wanted).await;
    }

    /// The same for admissions that are read in some other way.
    pub(super) async fn until_read(&self, read: impl AsyncFn() -> Vec<u64>, wanted: impl Fn(&[u64]) -> bool) {
        let started = tokio::time::Instant::now();
        loop {
            let instants = read().await;
            if wanted(&instants) {
                return;
            }
            let heard = self.heard.numbers();
            assert!(started.elapsed() < PATIENCE, "after {} admissions: {heard:?}", instants.len());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends it, and waits until every client has its last answer.
    pub(super) async fn release(mut self) -> Arc<Heard> {
        self.over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.pressing.join_next().await {
            ended.expect("no client panics");
        }
        self.heard
    }
}

async fn press(mut address: watch::Receiver<SocketAddr>, over: Arc<AtomicBool>, heard: Arc<Heard>) {
    let request = Request::modern_call(ALICE, "get_leads", &json!({})).bytes();
    while !over.load(Ordering::SeqCst) {
        let to = *address.borrow_and_update();
        let Ok(mut socket) = Socket::open(to).await else {
            tokio::time::sleep(LOOK).await;
            continue;
        };
        while !over.load(Ordering::SeqCst) {
            let answer = match socket.send(&request).await {
                Ok(()) => socket.answer().await.ok(),
                Err(_) => None,
            };
            let Some(answer) = answer else {
                heard.broken.fetch_add(1, Ordering::SeqCst);
                break;
            };
            heard.note(&answer);
        }
    }
}

pub(super) async fn fleet(redis: &Redis) -> Fleet {
    let fleet = Fleet::start(GATEWAYS, &format!("{{url: '{}'}}", redis.url()), RULES).await;
    fleet.until_all_count().await;
    fleet
}

/// What the store admitted, what clients heard, and what reached the server, are one story; no window held more than the
/// maximum, and one held exactly that.
pub(super) async fn holds(what: &str, redis: &Redis, fleet: &Fleet, heard: &Heard) {
    let instants = redis.admissions().await.expect("the log").concat();
    let [allowed, limited, uncounted, broken] = heard.numbers();
    let reached = arrivals(fleet);
    println!(
        "{what}: {} admissions, {} full windows, {} in the fullest; {allowed} allowed, {limited} limited, {uncounted} \
         uncounted, {broken} broken; {} reached the server",
        instants.len(),
        full_windows(&instants),
        fullest(&instants),
        reached.len(),
    );
    assert_eq!(fullest(&instants), MAX, "{what}: of {} admissions", instants.len());
    // A call whose client or gateway was lost may have been charged, or even have arrived, without being heard of.
    let lost = uncounted + broken;
    assert!(reached.len() <= instants.len(), "{what}: {} reached", reached.len());
    assert!((allowed..=allowed + lost).contains(&reached.len()), "{what}: {allowed}, {}", reached.len());
    assert!(instants.len() <= allowed + lost, "{what}: {} for {allowed}", instants.len());
    // Each was admitted before it arrived: the server's own log lags, and never leads.
    for (place, (arrived, admitted)) in reached.iter().zip(&instants).enumerate() {
        assert!(*arrived >= admitted / 1000, "{what}: arrival {place} at {arrived} ms, before {admitted} us");
    }
}

/// When calls reached the server, in milliseconds, in order.
pub(super) fn arrivals(fleet: &Fleet) -> Vec<u64> {
    let record = fleet.stand_in.record();
    let mut arrivals: Vec<u64> =
        record.into_iter().filter(|entry| entry.tool.is_some()).map(|entry| entry.at_ms).collect();
    arrivals.sort_unstable();
    arrivals
}

#[test]
fn a_window_is_counted_from_every_admission() {
    assert_eq!(fullest(&[]), 0);
    assert_eq!(fullest(&[0, 1, WINDOW - 1, WINDOW, WINDOW + 1]), 3, "from 1 and from WINDOW - 1 on");
    assert_eq!(fullest(&[0, WINDOW, 2 * WINDOW]), 1);
    let full: Vec<u64> = (0..MAX as u64).collect();
    let wide: Vec<u64> = full.iter().map(|at| at * WINDOW).collect();
    assert_eq!((full_windows(&full), full_windows(&full[1..]), full_windows(&wide)), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_window_holds_exactly_the_limit() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let fleet = fleet(&redis).await;
    let pressure = Pressure::on(&fleet);
    pressure.until(&redis, |instants| full_windows(instants) >= WINDOWS).await;
    let heard = pressure.release().await;
    holds("undisturbed", &redis, &fleet, &heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_stands_still_and_goes_on_changes_nothing() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let fleet = fleet(&redis).await;
    let pressure = Pressure::on(&fleet);
    pressure.until(&redis, |instants| full_windows(instants) >= 1).await;
    fleet.gateways[2].freeze().await.expect("stops");
    let stopped = now();
    pressure.until(&redis, |instants| instants.last().is_some_and(|last| *last > stopped + WINDOW)).await;
    fleet.gateways[2].thaw().await.expect("goes on");
    pressure.until(&redis, |instants| full_windows(instants) >= WINDOWS).await;
    let heard = pressure.release().await;
    holds("a gateway stopped and resumed", &redis, &fleet, &heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_hands_out_nothing_and_is_obeyed() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let fleet = fleet(&redis).await;
    let pressure = Pressure::on(&fleet);
    pressure.until(&redis, |instants| full_windows(instants) >= 1).await;
    edit(&fleet, &RULES.replace("max: 60", "max: 30")).await;
    let narrowed = now();
    let many_after = |instants: &[u64]| instants.iter().filter(|at| **at > narrowed).count() > MAX;
    pressure.until(&redis, many_after).await;
    let widened = now();
    edit(&fleet, &format!("{RULES}  get_users: {{}}\n")).await;
    let full_after = |instants: &[u64]| {
        let after: Vec<u64> = instants.iter().copied().filter(|at| *at > widened).collect();
        full_windows(&after) >= WINDOWS
    };
    pressure.until(&redis, full_after).await;
    let heard = pressure.release().await;
    holds("an edit that halves, an edit that doubles", &redis, &fleet, &heard).await;
    let instants = redis.admissions().await.expect("the log").concat();
    let between: Vec<u64> = instants.into_iter().filter(|at| (narrowed..widened).contains(at)).collect();
    assert_eq!(fullest(&between), MAX / 2);
}

async fn edit(fleet: &Fleet, rules: &str) {
    let before = fleet.gateways[0].admin().revision().await.expect("a revision");
    fleet.configuration.policy("kommo-sales", rules).expect("is written");
    for gateway in &fleet.gateways {
        let newer = |answer: &Answer| answer.json()["revision"] != before;
        gateway.admin().until("/revision", "an edit", newer).await.expect("is enforced");
        until_it_counts(gateway).await;
    }
}
