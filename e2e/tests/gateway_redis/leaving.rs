//! A client that goes away while its call is being counted.

use std::time::Duration;

use serde_json::json;
use toolgate_e2e::process::{ALICE, Answer, Metrics, PATIENCE, Redis, Request, Socket};

use super::{Fleet, until_it_counts};

const RULES: &str = "default: deny
tools:
  get_leads: {limits: [{counter: c, window: hour, max: 1000, scope: server}]}
";

/// How long a gateway is given at first to ask the store, and then to notice that the client has left. If that is too short, the
/// call goes on, and another one is given longer.
const NOTICED: Duration = Duration::from_millis(20);
/// The longest, or the store would be given up.
const NOTICED_MAX: Duration = Duration::from_millis(200);

/// How many calls of a verdict are recorded.
fn calls_of(metrics: &Answer, verdict: &str) -> usize {
    let calls = Metrics::parse(&metrics.text()).sum("toolgate_tool_calls_total", &[("verdict", verdict)]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few calls")]
    let calls = calls as usize;
    calls
}

#[tokio::test]
async fn a_call_whose_client_leaves_while_it_is_counted_is_recorded_and_given_back() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let fleet = Fleet::start(1, &format!("{{url: '{}'}}", redis.url()), RULES).await;
    let gateway = &fleet.gateways[0];
    let request = Request::modern_call(ALICE, "get_leads", &json!({})).bytes();
    let recorded = async |verdict: &str| {
        let answer = gateway.admin().get("/metrics").await.expect("metrics");
        calls_of(&answer, verdict)
    };
    let in_flight = |count: usize| {
        let line = format!("toolgate_in_flight{{kind=\"requests\",server=\"kommo\"}} {count}\n");
        move |answer: &Answer| answer.text().contains(&line)
    };
    let started = tokio::time::Instant::now();
    let (mut sent, mut left, mut noticed) = (0_usize, 0_usize, NOTICED);
    while left == 0 {
        assert!(
            started.elapsed() < 3 * PATIENCE,
            "of {sent} calls all were sent on: {}",
            gateway.log().text()
        );
        until_it_counts(gateway).await;
        redis.freeze().await.expect("stops");
        let mut socket = Socket::open(gateway.address()).await.expect("connects");
        socket.send(&request).await.expect("is sent");
        // Metrics would ask the store too, so nothing tells that the question is on its way.
        tokio::time::sleep(noticed).await;
        drop(socket);
        tokio::time::sleep(noticed).await;
        noticed = (noticed * 3 / 2).min(NOTICED_MAX);
        redis.thaw().await.expect("goes on");
        sent += 1;
        gateway.admin().until("/metrics", "nothing in flight", in_flight(0)).await.expect("it ends");
        let allowed = recorded("allowed").await;
        assert_eq!(allowed + recorded("uncounted").await, sent, "each call is recorded once");
        left = allowed - fleet.reached();
    }
    // What the store answered too late stays charged; nothing else does.
    let late = recorded("uncounted").await;
    println!("of {sent} calls whose client left, {left} were not sent on, {late} were counted too late");
    loop {
        let charged = redis.admissions().await.expect("the log").concat().len();
        let sent_on = fleet.reached();
        if (sent_on..=sent_on + late).contains(&charged) {
            break;
        }
        assert!(started.elapsed() < 4 * PATIENCE, "{charged} are charged, {sent_on} were sent on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
