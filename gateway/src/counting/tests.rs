//! One conformance suite over both stores: a real Redis, on a clock that the tests tell, against the counters in memory.

mod agreement;
mod redis_server;

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::runtime::Runtime;
use toolgate_crds::RedisCounters;
use toolgate_policy::{Bound, Charge, CounterKey, Counters, Demand, Group, NoRoom, Reply, Taken, Usage};

use super::connection::{Connection, Secrets};
use super::key::Keys;
use super::question::{self, Answer, Question};
use super::script::Scripts;
use super::usage;
use redis_server::RedisServer;

const MILLION: u128 = 1_000_000;
/// The largest maximum that a policy can have, in millionths.
const LARGEST: u128 = ((1 << 53) - 1) * MILLION;
/// What the store's clock shows when a test begins: large, as a real one.
const EPOCH: Duration = Duration::from_secs(1_900_000_000);

/// A store under test: a connection, and the keys of a server of its own.
struct Store {
    runtime: Runtime,
    connection: Connection,
    scripts: Scripts,
    keys: Keys,
    _server: Arc<RedisServer>,
}

impl Store {
    fn new(server: &Arc<RedisServer>, name: &str, entries_max: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let settings: RedisCounters =
            serde_json::from_value(serde_json::json!({"url": server.url()})).unwrap();
        let secrets = Secrets::none();
        let opened = Connection::open(&settings, &secrets, Duration::from_secs(10));
        let connection = runtime.block_on(opened).unwrap();
        let (scripts, keys) = (Scripts::of_tests(entries_max), Keys::new("sales", name));
        Self { runtime, connection, scripts, keys, _server: server.clone() }
    }

    fn answer(&self, demand: &Demand, now: Duration) -> Answer {
        let question = Question::new(demand);
        let mut invocation = question.invocation(&self.scripts.ask, &self.keys);
        invocation.arg(microseconds(now));
        let value = self.runtime.block_on(self.connection.run(&invocation)).unwrap();
        question.read(&value).unwrap_or_else(|| panic!("{value:?} to {demand:?}"))
    }

    fn ask(&self, demand: &Demand, now: Duration) -> Reply {
        self.answer(demand, now).reply
    }

    fn usage(&self, charges: &[Charge], now: Duration) -> Vec<Vec<Usage>> {
        let counters: Vec<_> = charges.iter().map(|charge| (&charge.key, &charge.bounds)).collect();
        let mut invocation = usage::invocation(&self.scripts.usage, &self.keys, &counters);
        invocation.arg(microseconds(now));
        let value = self.runtime.block_on(self.connection.run(&invocation)).unwrap();
        usage::read(&value, &counters).unwrap_or_else(|| panic!("{value:?} to {charges:?}"))
    }

    fn give_back(&self, taken: &[Taken], now: Duration) {
        let mut invocation = question::give_back(&self.scripts.give_back, &self.keys, taken);
        invocation.arg(microseconds(now));
        self.runtime.block_on(self.connection.run(&invocation)).unwrap();
    }

    /// Begins every counter's totals just below where they begin anew.
    fn near_the_modulus(&self) {
        let limb = 999_999_999_999_999.0_f64;
        let header = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, limb, limb].map(f64::to_be_bytes).concat();
        let Connection::One(mut connection) = self.connection.clone() else { panic!("a cluster") };
        for counter in (0..3).chain(10..13) {
            let mut command = redis::cmd("SET");
            command.arg(self.keys.counter(&charge(counter, &[], 1).key)).arg(&header);
            let _done: Value = self.runtime.block_on(command.query_async(&mut connection)).unwrap();
        }
    }

    fn command(&self, parts: &[&str]) -> Value {
        let Connection::One(mut connection) = self.connection.clone() else { panic!("a cluster") };
        let mut command = redis::cmd(parts[0]);
        command.arg(&parts[1..]);
        self.runtime.block_on(command.query_async(&mut connection)).unwrap()
    }
}

fn microseconds(now: Duration) -> u64 {
    u64::try_from((EPOCH + now).as_micros()).unwrap()
}

fn charge(counter: usize, bounds: &[(u64, u128)], cost: u128) -> Charge {
    let key = CounterKey { policy: "p".into(), counter: counter.to_string().into(), grant: None };
    let bounds =
        bounds.iter().map(|(seconds, max)| Bound { length: Duration::from_secs(*seconds), max: *max });
    Charge { key, bounds: bounds.collect(), cost }
}

fn one(charge: Charge) -> Demand {
    Demand { binding: Group { charges: vec![charge], take: true }, watching: Vec::new() }
}

/// What does not depend on how a store numbers admissions.
fn plain(reply: &Reply) -> Vec<Result<Vec<(CounterKey, u128)>, NoRoom>> {
    let plain = |answer: &Result<Vec<Taken>, NoRoom>| {
        answer.clone().map(|all| all.into_iter().map(|taken| (taken.key, taken.cost)).collect())
    };
    std::iter::once(&reply.binding).chain(&reply.watching).map(plain).collect()
}

#[test]
fn a_long_log_says_what_memory_says() {
    RedisServer::each(|server| {
        let store = Store::new(server, "long", 65_536);
        let (mut memory, mut taken) = (Counters::new(), Vec::new());
        let demand = one(charge(0, &[(1, 300 * MILLION), (5, 1000 * MILLION)], MILLION));
        let mut refused = 0;
        for call in 0..4000_u64 {
            let now = Duration::from_micros(call * 2_711 + call % 7);
            let (here, there) = (memory.ask(&demand, now), store.ask(&demand, now));
            assert_eq!(plain(&here), plain(&there), "call {call}");
            refused += u32::from(here.binding.is_err());
            if let (Ok(here), Ok(there)) = (here.binding, there.binding) {
                taken.push((here, there));
            }
            if call % 97 == 0
                && let Some((here, there)) =
                    taken.len().checked_sub(30).and_then(|index| taken.get(index).cloned())
            {
                memory.give_back(here);
                store.give_back(&there, now);
            }
        }
        assert!(refused > 500 && taken.len() > 2000, "{refused} refused, {} taken", taken.len());
    });
}

#[test]
fn a_retry_after_the_wait_that_was_told_is_admitted_and_not_before() {
    RedisServer::each(|server| {
        let store = Store::new(server, "wait", 65_536);
        let demand = one(charge(0, &[(1, 2 * MILLION), (7, 3 * MILLION)], MILLION));
        let mut now = Duration::ZERO;
        for _ in 0..20 {
            let Err(NoRoom::Full(_, full)) = store.ask(&demand, now).binding else {
                now += Duration::from_millis(137);
                continue;
            };
            let at = now + full.wait.unwrap();
            let before = at.saturating_sub(Duration::from_micros(1));
            assert!(store.ask(&demand, before).binding.is_err());
            assert!(store.ask(&demand, at).binding.is_ok());
            now = at;
        }
    });
}

#[test]
fn a_log_that_is_too_long_remembers_longer_and_admits_no_more() {
    RedisServer::each(|server| {
        let store = Store::new(server, "merge", 8);
        let demand = one(charge(0, &[(1, 20 * MILLION)], MILLION));
        let mut admitted: Vec<Duration> = Vec::new();
        for call in 0..400_u32 {
            let now = Duration::from_millis(20) * call;
            if store.ask(&demand, now).binding.is_ok() {
                admitted.push(now);
            }
        }
        for from in &admitted {
            let until = *from + Duration::from_secs(1);
            let held = admitted.iter().filter(|at| (*from..until).contains(at)).count();
            assert!(held <= 20, "{held} from {from:?}");
        }
        assert!(admitted.len() > 100, "{}", admitted.len());
    });
}

#[test]
fn a_clock_that_goes_back_neither_hands_out_quota_nor_locks_anybody_out() {
    RedisServer::each(|server| {
        let store = Store::new(server, "clock", 65_536);
        let demand = one(charge(0, &[(60, 2 * MILLION)], MILLION));
        let (hour, second) = (Duration::from_hours(1), Duration::from_secs(1));
        assert!(store.ask(&demand, hour).binding.is_ok());
        assert!(store.ask(&demand, hour + second).binding.is_ok());
        // Back by an hour: the log's own clock stands where it was, and goes on from there.
        let Err(NoRoom::Full(_, full)) = store.ask(&demand, second).binding else { panic!("admitted") };
        assert_eq!(full.wait, Some(Duration::from_secs(59)));
        assert!(store.ask(&demand, second + Duration::from_secs(58)).binding.is_err());
        assert!(store.ask(&demand, second + Duration::from_secs(59)).binding.is_ok());
    });
}

#[test]
fn a_counter_is_forgotten_a_second_after_its_longest_window_and_not_before() {
    RedisServer::each(|server| {
        let mut store = Store::new(server, "expiry", 65_536);
        store.scripts = Scripts::default();
        let asked = |bounds: &[(u64, u128)]| {
            let demand = one(charge(0, bounds, MILLION));
            let invocation = Question::new(&demand).invocation(&store.scripts.ask, &store.keys);
            let value = store.runtime.block_on(store.connection.run(&invocation)).unwrap();
            Question::new(&demand).read(&value).unwrap().reply.binding.unwrap();
        };
        let key = store.keys.counter(&charge(0, &[], 1).key);
        let left = || match store.command(&["PTTL", &key]) {
            Value::Int(left) => left,
            other => panic!("{other:?}"),
        };
        asked(&[(60, 9 * MILLION)]);
        assert!((30_000..=61_000).contains(&left()), "{}", left());
        asked(&[(60, 9 * MILLION), (3600, 9 * MILLION)]);
        asked(&[(60, 9 * MILLION)]);
        assert!((3_570_000..=3_601_000).contains(&left()), "an edit that shortens a window forgets nothing");
    });
}

#[test]
fn a_window_that_becomes_longer_is_remembered_though_the_call_is_refused() {
    RedisServer::each(|server| {
        let store = Store::new(server, "longer", 65_536);
        let (short, long) = ([(1, 2 * MILLION)], [(60, 2 * MILLION)]);
        let at = Duration::from_millis;
        for _ in 0..2 {
            store.ask(&one(charge(0, &short, MILLION)), at(0)).binding.unwrap();
        }
        assert!(store.ask(&one(charge(0, &long, MILLION)), at(500)).binding.is_err());
        let key = store.keys.counter(&charge(0, &[], 1).key);
        let Value::Int(left) = store.command(&["PTTL", &key]) else { panic!("no time to live") };
        assert!(left > 30_000, "forgotten in {left} ms");
        // A shorter window that admits again does not make the log forget what the longer one still sees.
        store.ask(&one(charge(0, &short, MILLION)), at(2000)).binding.unwrap();
        assert!(store.ask(&one(charge(0, &long, MILLION)), at(59_999)).binding.is_err());
    });
}

#[test]
fn a_call_that_very_many_came_after_stays_charged() {
    RedisServer::each(|server| {
        let store = Store::new(server, "late", 65_536);
        let demand = one(charge(0, &[(3600, 1026 * MILLION)], MILLION));
        let taken: Vec<Vec<Taken>> =
            (0..1026).map(|call| store.ask(&demand, Duration::from_millis(call)).binding.unwrap()).collect();
        let full = |now: u64| store.ask(&demand, Duration::from_millis(now)).binding.is_err();
        store.give_back(&taken[0], Duration::from_secs(2));
        assert!(full(2001), "1025 came after it");
        store.give_back(&taken[1], Duration::from_secs(2));
        assert!(!full(2002), "1024 came after it");
        assert!(full(2003));
    });
}

#[test]
fn an_admission_costs_thirty_two_bytes() {
    RedisServer::each(|server| {
        let store = Store::new(server, "bytes", 65_536);
        let demand = one(charge(0, &[(60, 9000 * MILLION)], MILLION));
        for call in 0..100 {
            store.ask(&demand, Duration::from_millis(call)).binding.unwrap();
        }
        let key = store.keys.counter(&demand.binding.charges[0].key);
        assert_eq!(store.command(&["STRLEN", &key]), Value::Int(64 + 100 * 32));
        // What has left the window is cut off before it is more than what is in it, and some.
        for call in 0..1000 {
            store.ask(&demand, Duration::from_secs(3 * call)).binding.unwrap();
        }
        let Value::Int(length) = store.command(&["STRLEN", &key]) else { panic!("no length") };
        assert!(length <= 64 + 2 * 32 * 129 + 32, "{length}");
    });
}

#[test]
fn nothing_is_taken_while_the_server_is_paused() {
    RedisServer::each(|server| {
        let store = Store::new(server, "pause", 65_536);
        let demand = one(charge(0, &[(60, MILLION)], MILLION));
        for length in [60_000, 30_000] {
            let key = store.keys.pause();
            let invocation = question::pause(&store.scripts.pause, key, Duration::from_millis(length));
            store.runtime.block_on(store.connection.run(&invocation)).unwrap();
        }
        let paused = store.answer(&demand, Duration::ZERO).paused.unwrap();
        assert!(paused > Duration::from_secs(30), "a shorter pause shortens none: {paused:?}");
        store.command(&["DEL", &store.keys.pause()]);
        let answer = store.answer(&demand, Duration::ZERO);
        assert_eq!((answer.paused, answer.reply.binding.is_ok()), (None, true), "nothing was taken before");
    });
}

#[test]
fn of_two_windows_with_one_wait_both_stores_tell_the_same() {
    RedisServer::each(|server| {
        let (store, mut memory) = (Store::new(server, "equal", 65_536), Counters::new());
        let demand = one(charge(0, &[(1, MILLION), (4, 2 * MILLION)], MILLION));
        for milliseconds in [0, 3000, 3500] {
            let now = Duration::from_millis(milliseconds);
            assert_eq!(plain(&memory.ask(&demand, now)), plain(&store.ask(&demand, now)), "{now:?}");
        }
    });
}

#[test]
fn of_two_calls_that_became_one_entry_only_what_the_call_weighed_is_given_back() {
    RedisServer::each(|server| {
        let store = Store::new(server, "partly", 2);
        let (demand, second) = (one(charge(0, &[(60, 3 * MILLION)], MILLION)), Duration::from_secs(1));
        let taken: Vec<_> = (0..3).map(|call| store.ask(&demand, second * call).binding.unwrap()).collect();
        store.give_back(&taken[1], second * 3);
        assert!(store.ask(&demand, second * 4).binding.is_ok(), "what one call weighed");
        assert!(store.ask(&demand, second * 4).binding.is_err(), "and no more");
    });
}
