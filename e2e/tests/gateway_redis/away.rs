//! The store is away: nothing that has a limit is let through, everything else is, and it mends itself.

use std::time::Duration;

use toolgate_e2e::process::{Folder, PATIENCE, Redis};

use super::way::{Leads, Way};
use super::{Fleet, call, counted_call, is_up, until_told};

const RULES: &str = "default: deny
tools:
  get_leads: {limits: [{counter: c, window: hour, max: 3, scope: server}]}
  get_users: {}
";

async fn only_what_has_no_limit_is_let_through(fleet: &Fleet, reached: usize) {
    for gateway in &fleet.gateways {
        for _ in 0..5 {
            assert_eq!(call(gateway, "get_leads").await, "uncounted");
        }
        assert!(!is_up(gateway).await);
    }
    assert_eq!(call(&fleet.gateways[0], "get_users").await, "allowed");
    assert_eq!(fleet.reached(), reached + 1);
}

#[tokio::test]
async fn a_store_that_was_killed_and_comes_back_empty_gives_one_fresh_window_at_most() {
    let Some(mut redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let fleet = Fleet::start(2, &format!("{{url: '{}'}}", redis.url()), RULES).await;
    fleet.until_all_count().await;
    assert!(is_up(&fleet.gateways[0]).await);
    for turn in 0..3 {
        assert_eq!(counted_call(&fleet.gateways[turn % 2], "get_leads").await, "allowed");
    }
    redis.kill().await.expect("ends");
    for gateway in &fleet.gateways {
        until_told(gateway, "is not used: it ").await;
    }
    only_what_has_no_limit_is_let_through(&fleet, 3).await;
    redis.restart().await.expect("starts");
    fleet.until_all_count().await;
    let mut allowed = 0;
    for turn in 0..8 {
        allowed += usize::from(counted_call(&fleet.gateways[turn % 2], "get_leads").await == "allowed");
    }
    assert!((1..=3).contains(&allowed), "{allowed}");
    assert!(is_up(&fleet.gateways[1]).await);
}

#[tokio::test]
async fn a_store_that_hangs_keeps_nobody_waiting() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let fleet = Fleet::start(1, &format!("{{url: '{}'}}", redis.url()), RULES).await;
    fleet.until_all_count().await;
    assert_eq!(counted_call(&fleet.gateways[0], "get_leads").await, "allowed");
    redis.freeze().await.expect("stops");
    until_told(&fleet.gateways[0], "is not used: it does not answer in time").await;
    let started = tokio::time::Instant::now();
    only_what_has_no_limit_is_let_through(&fleet, 1).await;
    // Without the breaker each of five calls would wait for its deadline; the bound is generous for a busy machine.
    assert!(started.elapsed() < Duration::from_secs(10));
    redis.thaw().await.expect("goes on");
    fleet.until_all_count().await;
    // A question that was on its way may have been charged.
    let mut allowed = 0;
    for _ in 0..4 {
        allowed += usize::from(counted_call(&fleet.gateways[0], "get_leads").await == "allowed");
    }
    assert!(allowed <= 2, "{allowed}");
}

#[tokio::test]
async fn a_store_that_is_slow_is_not_waited_for() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let fleet = Fleet::start(1, &format!("{{url: '{}'}}", redis.url()), RULES).await;
    fleet.until_all_count().await;
    let meanwhile = async {
        until_told(&fleet.gateways[0], "is not used: it does not answer in time").await;
        only_what_has_no_limit_is_let_through(&fleet, 0).await;
    };
    // Every answer is held back for so long, in milliseconds.
    let (slow, ()) = tokio::join!(redis.say("CLIENT PAUSE 5000 ALL"), meanwhile);
    assert!(slow.expect("an answer").starts_with('+'));
    fleet.until_all_count().await;
    assert_eq!(counted_call(&fleet.gateways[0], "get_leads").await, "allowed");
}

#[tokio::test]
async fn a_gateway_that_is_cut_off_lets_nothing_through_and_the_others_go_on() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let way = Way::to(redis.address()).await;
    // Of the same server, in files of its own: they name the way that can be cut.
    let cut_off = Fleet::start(1, &format!("{{url: '{}'}}", way.url()), RULES).await;
    let whole = Fleet::start(1, &format!("{{url: '{}'}}", redis.url()), RULES).await;
    cut_off.until_all_count().await;
    whole.until_all_count().await;
    assert_eq!(counted_call(&cut_off.gateways[0], "get_leads").await, "allowed");
    way.now(Leads::Nowhere);
    until_told(&cut_off.gateways[0], "is not used: it ").await;
    only_what_has_no_limit_is_let_through(&cut_off, 1).await;
    let mut allowed = 0;
    for _ in 0..4 {
        allowed += usize::from(counted_call(&whole.gateways[0], "get_leads").await == "allowed");
    }
    assert!((1..=2).contains(&allowed), "{allowed} and one before, of three");
    way.now(Leads::To(redis.address()));
    cut_off.until_all_count().await;
    assert_eq!(counted_call(&cut_off.gateways[0], "get_leads").await, "limited");
}

#[tokio::test]
async fn a_replica_counts_only_once_it_was_promoted_and_goes_on_from_what_it_heard() {
    // What a replica is sent at first it writes down in its folder.
    let folder = Folder::new().expect("a folder");
    let place = ["--dir", folder.path().to_str().expect("a path"), "--repl-diskless-sync-delay", "0"];
    let Some(mut primary) = Redis::start(&place).await.expect("a Redis") else { return };
    let Some(replica) = Redis::start(&place).await.expect("a Redis") else { return };
    let follow = format!("REPLICAOF 127.0.0.1 {}", primary.address().port());
    assert!(replica.say(&follow).await.expect("an answer").starts_with('+'));
    let way = Way::to(primary.address()).await;
    let fleet = Fleet::start(1, &format!("{{url: '{}'}}", way.url()), RULES).await;
    fleet.until_all_count().await;
    for _ in 0..2 {
        assert_eq!(counted_call(&fleet.gateways[0], "get_leads").await, "allowed");
    }
    let started = tokio::time::Instant::now();
    while replica.admissions().await.expect("the log").concat().len() < 2 {
        assert!(started.elapsed() < PATIENCE, "the replica never hears of both");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    primary.kill().await.expect("ends");
    way.now(Leads::To(replica.address()));
    until_told(&fleet.gateways[0], "it is a replica").await;
    only_what_has_no_limit_is_let_through(&fleet, 2).await;
    assert!(replica.say("REPLICAOF NO ONE").await.expect("an answer").starts_with('+'));
    fleet.until_all_count().await;
    assert_eq!(counted_call(&fleet.gateways[0], "get_leads").await, "allowed");
    assert_eq!(counted_call(&fleet.gateways[0], "get_leads").await, "limited");
}
