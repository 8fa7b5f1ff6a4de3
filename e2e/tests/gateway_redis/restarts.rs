//! A gateway, or the store, is killed under pressure and comes back.

use toolgate_e2e::process::{Folder, Redis};

use super::super::{gateway, until_it_counts};
use super::{MAX, Pressure, WINDOWS, arrivals, fleet, full_windows, fullest, holds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_killed_and_started_again_hands_out_nothing() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let mut fleet = fleet(&redis).await;
    let pressure = Pressure::on(&fleet);
    for index in [0, 2] {
        let before = full_windows(&redis.admissions().await.expect("the log").concat());
        pressure.until(&redis, |instants| full_windows(instants) > before).await;
        drop(fleet.gateways.remove(index));
        let fresh = gateway(&fleet.configuration).await;
        until_it_counts(&fresh).await;
        pressure.turn_to(index, &fresh);
        fleet.gateways.insert(index, fresh);
    }
    pressure.until(&redis, |instants| full_windows(instants) >= WINDOWS).await;
    let heard = pressure.release().await;
    holds("two gateways killed and started again", &redis, &fleet, &heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_with_a_disk_forgets_nothing_when_it_is_killed() {
    let folder = Folder::new().expect("a folder");
    let place = folder.path().to_str().expect("a path");
    let disk = ["--appendonly", "yes", "--appendfsync", "always", "--dir", place];
    let Some(mut redis) = Redis::start(&disk).await.expect("a Redis") else { return };
    let fleet = fleet(&redis).await;
    let pressure = Pressure::on(&fleet);
    pressure.until(&redis, |instants| full_windows(instants) >= 1).await;
    redis.kill().await.expect("ends");
    redis.restart().await.expect("starts");
    fleet.until_all_count().await;
    pressure.until(&redis, |instants| full_windows(instants) >= WINDOWS).await;
    let heard = pressure.release().await;
    holds("a store with a disk killed and started again", &redis, &fleet, &heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_memory_gives_one_fresh_window_when_it_is_killed() {
    let Some(mut redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let fleet = fleet(&redis).await;
    let pressure = Pressure::on(&fleet);
    pressure.until(&redis, |instants| full_windows(instants) >= 1).await;
    // Nothing more is written, so that all is known that it takes along.
    assert!(redis.say("CLIENT PAUSE 60000 WRITE").await.expect("an answer").starts_with('+'));
    let before = redis.admissions().await.expect("the log").concat();
    redis.kill().await.expect("ends");
    redis.restart().await.expect("starts");
    fleet.until_all_count().await;
    pressure.until(&redis, |instants| full_windows(instants) >= WINDOWS).await;
    let heard = pressure.release().await;
    let after = redis.admissions().await.expect("the log").concat();
    let all = [before.clone(), after.clone()].concat();
    let (worst, reached) = (fullest(&all), arrivals(&fleet).len());
    let numbers = heard.numbers();
    println!(
        "a store in memory killed: {worst} in the fullest window, of {} admissions; {numbers:?}",
        all.len()
    );
    assert_eq!((fullest(&before), fullest(&after)), (MAX, MAX));
    assert!(worst <= 2 * MAX, "{worst}");
    assert!(reached <= all.len(), "{reached} reached the server, {} were admitted", all.len());
}
