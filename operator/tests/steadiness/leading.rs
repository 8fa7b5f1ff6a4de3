//! Two operators, one of which leads.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use toolgate_operator::lease::LEASE as LEASE_DURATION;

use crate::fake::{Asked, Away, Fake, Fault};
use crate::stage::{LEASE, Operator, POLICY, condition, edit, shop};

/// What was written since the last time, but for the Lease.
fn written(fake: &Fake) -> Vec<String> {
    let writes = fake.asked().into_iter().filter(Asked::is_write).map(|asked| asked.what());
    writes.filter(|what| !what.contains("leases")).collect()
}

fn holder(fake: &Fake) -> String {
    fake.get(LEASE).unwrap()["spec"]["holderIdentity"].as_str().unwrap_or("nobody").to_owned()
}

async fn two() -> (Fake, Operator, Operator) {
    let fake = shop();
    let first = Operator::elected(&fake, "first");
    sleep(Duration::from_secs(5)).await;
    let second = Operator::elected(&fake, "second");
    sleep(Duration::from_secs(20)).await;
    assert!(first.leads() && !second.leads());
    assert_eq!(holder(&fake), "first");
    assert_eq!(condition(&fake, POLICY, "Programmed"), "True/Programmed");
    (fake, first, second)
}

/// How long until the edit is enforced.
async fn enforced(fake: &Fake) -> Duration {
    let start = Instant::now();
    let generation = fake.get(POLICY).unwrap()["metadata"]["generation"].clone();
    while fake.get(POLICY).unwrap()["status"]["observedGeneration"] != generation {
        assert!(start.elapsed() < Duration::from_mins(2), "nobody does it");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(condition(fake, POLICY, "Programmed"), "True/Programmed");
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn only_one_writes_and_at_rest_nobody_does() {
    let (fake, _first, _second) = two().await;
    written(&fake);
    sleep(Duration::from_mins(10)).await;
    assert_eq!(written(&fake), Vec::<String>::new());
    edit(&fake);
    sleep(Duration::from_mins(1)).await;
    let written = written(&fake);
    let of_the_bundle = written.iter().filter(|what| what.contains("configmaps")).count();
    assert_eq!(of_the_bundle, 1, "{written:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_told_to_stop_hands_over_at_once() {
    let (fake, first, second) = two().await;
    edit(&fake);
    first.stop().await;
    let took = enforced(&fake).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(second.leads());
    assert_eq!(holder(&fake), "second");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_dies_is_followed_when_its_lease_has_run_out() {
    let (fake, first, second) = two().await;
    drop(first);
    edit(&fake);
    let took = enforced(&fake).await;
    assert!(took < LEASE_DURATION + Duration::from_secs(3), "{took:?}");
    assert!(second.leads());
}

#[tokio::test(start_paused = true)]
async fn one_that_starts_again_under_its_name_need_not_wait() {
    let fake = shop();
    drop({
        let first = Operator::elected(&fake, "first");
        sleep(Duration::from_secs(5)).await;
        first
    });
    edit(&fake);
    let _again = Operator::elected(&fake, "first");
    let took = enforced(&fake).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_leads_in_an_outage_and_one_does_after_it() {
    for away in [Away::Refusing, Away::Hanging] {
        let (fake, first, second) = two().await;
        fake.go(away);
        sleep(Duration::from_secs(90)).await;
        assert!(!first.leads() && !second.leads());
        edit(&fake);
        fake.come_back();
        let took = enforced(&fake).await;
        assert!(took <= Duration::from_secs(30), "{took:?}");
        assert!(first.leads() != second.leads());
        // The status comes after what it tells of, and is not of rest.
        sleep(Duration::from_mins(2)).await;
        written(&fake);
        sleep(Duration::from_mins(10)).await;
        assert_eq!(written(&fake), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_another_one_begins() {
    for fault in [Fault::Silence, Fault::Broken, Fault::Status(500)] {
        let (fake, first, second) = two().await;
        let is_of_the_first = |asked: &Asked| asked.body["spec"]["holderIdentity"] == "first";
        fake.plan(move |asked| (asked.what().contains("leases") && is_of_the_first(asked)).then_some(fault));
        let mut nobody = 0;
        while !second.leads() {
            nobody += u32::from(!first.leads());
            sleep(Duration::from_millis(50)).await;
        }
        assert!(!first.leads(), "{fault:?}: both lead");
        assert!(nobody > 20, "{fault:?}: the second began {nobody} steps after the first had ended");
        edit(&fake);
        enforced(&fake).await;
    }
}

#[tokio::test(start_paused = true)]
async fn even_if_two_write_no_revision_ever_means_two_things() {
    for seed in 0..10_u64 {
        let fake = shop();
        let _both = (Operator::start(&fake), Operator::start(&fake));
        for step in 0..20_u64 {
            // Now and then one thinks that it knows what it does not know any more.
            let chance = seed * 20 + step;
            if chance.is_multiple_of(3) {
                fake.hold("/configmaps");
            }
            if chance.is_multiple_of(7) {
                fake.cut();
            }
            fake.edit(POLICY, |policy| policy["spec"]["tools"] = json!({format!("tool-{step}"): {}}));
            sleep(Duration::from_millis(200 * (chance % 11))).await;
            fake.release("/configmaps");
            sleep(Duration::from_millis(300 * (chance % 5))).await;
        }
        sleep(Duration::from_mins(10)).await;
        assert_eq!(condition(&fake, POLICY, "Programmed"), "True/Programmed", "seed {seed}");
        let mut last = (0, String::new());
        for config_map in fake.changes("/configmaps") {
            let annotations = &config_map["metadata"]["annotations"];
            let revision: i64 = annotations["toolgate.dev/revision"].as_str().unwrap().parse().unwrap();
            let hash = annotations["toolgate.dev/hash"].as_str().unwrap().to_owned();
            assert!(
                revision > last.0 || (revision, hash.clone()) == last,
                "seed {seed}: {revision} after {last:?}"
            );
            last = (revision, hash);
        }
        assert!(last.0 >= 10, "seed {seed}: {last:?}");
    }
}
