//! Clocks that are wrong by an hour. Gateways' own are asked for nothing; the store's decides, and may go back.

use std::path::Path;

use toolgate_e2e::process::{Folder, Redis, shifted_clock};

use super::super::{Fleet, PATIENT, gateway_in};
use super::{MAX, Pressure, RULES, WINDOW, WINDOWS, fleet, full_windows, fullest, holds};

const HOUR: u64 = 3_600_000_000;

/// A file that says how wrong a clock is, and can say something else at any time.
struct Shift(Folder);

impl Shift {
    fn of(text: &str) -> Self {
        let shift = Self(Folder::new().expect("a folder"));
        shift.say(text);
        shift
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("shift")
    }

    fn say(&self, text: &str) {
        self.0.write("next", text).expect("is written");
        // In one step, or a reader would see half of it.
        std::fs::rename(self.0.path().join("next"), self.path()).expect("is renamed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_whose_clocks_are_wrong_by_an_hour_count_as_one() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let Some(shifted) = shifted_clock("gateways with wrong clocks") else { return };
    let mut fleet = Fleet::start(0, &format!("{{url: '{}'}}", redis.url()), RULES).await;
    let jumping = Shift::of("+0");
    let path = jumping.path();
    let clocks =
        [("FAKETIME", Path::new("-1h")), ("FAKETIME", Path::new("+1h")), ("FAKETIME_TIMESTAMP_FILE", &path)];
    for clock in clocks {
        let variables: Vec<(&str, &Path)> =
            shifted.iter().map(|(name, value)| (*name, Path::new(value))).chain([clock]).collect();
        fleet.gateways.push(gateway_in(&fleet.configuration, PATIENT, &variables).await);
    }
    fleet.until_all_count().await;
    let pressure = Pressure::on(&fleet);
    for (windows, shift) in [(1, "+1h"), (2, "-1h"), (3, "+0")] {
        pressure.until(&redis, |instants| full_windows(instants) >= windows).await;
        jumping.say(shift);
    }
    pressure.until(&redis, |instants| full_windows(instants) >= WINDOWS).await;
    let heard = pressure.release().await;
    holds("gateways an hour behind, an hour ahead, and jumping", &redis, &fleet, &heard).await;
    let years: Vec<String> = fleet.gateways.iter().map(|gateway| said_at(&gateway.log().text())).collect();
    assert_ne!(years[0], years[1], "the clocks were wrong: {years:?}");
}

/// When the first line of a log was written, to the hour.
fn said_at(log: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap_or_default()).expect("JSON");
    line["timestamp"].as_str().unwrap_or_default().chars().take(13).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_clock_goes_back_an_hour_neither_hands_out_quota_nor_locks_anybody_out() {
    let shift = Shift::of("+0");
    let path = shift.path();
    let Some(redis) = Redis::with_clock_of(&path).await.expect("a Valkey") else { return };
    let fleet = fleet(&redis).await;
    let pressure = Pressure::on(&fleet);
    pressure.until(&redis, |instants| full_windows(instants) >= 2).await;
    shift.say("-1h");
    pressure.until(&redis, |instants| full_windows(instants) >= WINDOWS + 2).await;
    let heard = pressure.release().await;
    holds("a store's clock that goes back an hour", &redis, &fleet, &heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_clock_jumps_ahead_an_hour_gives_one_fresh_window() {
    let shift = Shift::of("+0");
    let path = shift.path();
    let Some(redis) = Redis::with_clock_of(&path).await.expect("a Valkey") else { return };
    let fleet = fleet(&redis).await;
    let pressure = Pressure::on(&fleet);
    pressure.until(&redis, |instants| full_windows(instants) >= 1).await;
    shift.say("+1h");
    let jumped = |instants: &[u64]| instants.last() > instants.first().map(|first| first + HOUR / 2).as_ref();
    pressure.until(&redis, |instants| jumped(instants) && full_windows(instants) >= WINDOWS).await;
    let heard = pressure.release().await;
    let instants = redis.admissions().await.expect("the log").concat();
    let first = instants[0];
    // As everybody else's clocks saw them.
    let real: Vec<u64> =
        instants.iter().map(|at| if *at > first + HOUR / 2 { at - HOUR } else { *at }).collect();
    println!(
        "a store's clock that jumps ahead: {} in the fullest window by its clock, {} by ours; {:?}",
        fullest(&instants),
        fullest(&real),
        heard.numbers(),
    );
    assert_eq!(fullest(&instants), MAX, "by its own clock");
    assert!(fullest(&real) <= 2 * MAX, "one fresh window at most");
    assert!(real.windows(2).all(|pair| pair[0] <= pair[1] + WINDOW), "the clock went on from there");
}
