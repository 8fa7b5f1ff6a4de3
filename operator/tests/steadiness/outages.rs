//! An API server that is away for a while: refusing, or taking connections and never answering.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::fake::Away;
use crate::stage::{CONFIG_MAP, Operator, POLICY, SERVER, condition, edit, shop};

/// How soon after an outage what was written meanwhile has to be noticed.
const NOTICED: Duration = Duration::from_secs(30);

/// Lets the API server be away, has something written meanwhile, and says how long afterwards it was acted upon.
async fn noticed_after(away: Away, outage: Duration, waited: Duration) -> Duration {
    let fake = shop();
    let operator = Operator::start(&fake);
    sleep(waited).await;
    fake.go(away);
    sleep(outage / 2).await;
    edit(&fake);
    fake.edit(SERVER, |server| server["spec"]["upstream"]["url"] = json!("http://crm-mcp:3002/mcp"));
    // A child that somebody broke meanwhile: seen by another watch.
    let role = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles/crm-toolgate";
    fake.edit(role, |role| role["rules"] = json!([]));
    sleep(outage / 2).await;
    assert!(operator.pulse.wedged().is_empty(), "an outage is no reason to start anew");
    fake.come_back();
    let back = Instant::now();
    loop {
        let bundle = fake.get(CONFIG_MAP).unwrap()["data"]["bundle.json"].to_string();
        let enforced = bundle.contains("write") && bundle.contains("3002");
        let repaired = fake.get(role).unwrap()["rules"] != json!([]);
        if enforced && repaired && condition(&fake, POLICY, "Programmed") == "True/Programmed" {
            return back.elapsed();
        }
        assert!(back.elapsed() < Duration::from_mins(5), "{away:?} after {waited:?}: not noticed");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn soon_after_an_outage_of_either_kind_everything_is_noticed() {
    let mut longest = Duration::ZERO;
    // The outage meets watches at every age.
    for waited in (20..50).step_by(3).map(Duration::from_secs) {
        for away in [Away::Refusing, Away::Hanging] {
            let took = noticed_after(away, Duration::from_secs(90), waited).await;
            assert!(took <= NOTICED, "{away:?} after {waited:?}: {took:?}");
            longest = longest.max(took);
        }
    }
    assert!(longest > Duration::from_secs(1), "nothing was tried");
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_starts_in_an_outage_begins_soon_after_it() {
    for away in [Away::Refusing, Away::Hanging] {
        let fake = shop();
        fake.go(away);
        let operator = Operator::start(&fake);
        sleep(Duration::from_secs(90)).await;
        assert!(operator.pulse.wedged().is_empty());
        fake.come_back();
        sleep(NOTICED).await;
        assert_eq!(condition(&fake, SERVER, "Ready"), "True/Ready", "{away:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_an_hour_wedges_nothing_and_asks_little() {
    let fake = shop();
    let operator = Operator::start(&fake);
    sleep(Duration::from_secs(20)).await;
    fake.go(Away::Refusing);
    fake.asked();
    let minutes = 60_usize;
    for _ in 0..minutes {
        sleep(Duration::from_mins(1)).await;
        assert!(operator.pulse.wedged().is_empty());
    }
    // Each watch at most every five seconds, and the few objects at their own, longer and longer, waits.
    let asked = fake.asked();
    let by_watches =
        asked.iter().filter(|asked| ["watch=true", "limit="].iter().any(|word| asked.query.contains(word)));
    let watches = by_watches.count();
    assert!(watches <= 14 * 12 * minutes, "{watches} watches");
    assert!(asked.len() - watches <= 200, "{} other requests", asked.len() - watches);
}
