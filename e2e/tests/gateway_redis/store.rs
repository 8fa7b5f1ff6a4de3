//! A store that cannot be trusted with limits is not used, and says why; as soon as it can be, it is.

use toolgate_e2e::process::{Folder, Redis};

use super::https::Authority;
use super::{Fleet, call, counted_call, is_up, until_told};

const RULES: &str = "default: deny
tools:
  get_leads: {limits: [{counter: c, window: hour, max: 3, scope: server}]}
  get_users: {}
";

async fn is_not_used(fleet: &Fleet, why: &str) {
    until_told(&fleet.gateways[0], why).await;
    assert_eq!(call(&fleet.gateways[0], "get_leads").await, "uncounted", "{why}");
    assert_eq!(call(&fleet.gateways[0], "get_users").await, "allowed", "{why}");
    assert!(!is_up(&fleet.gateways[0]).await, "{why}");
}

async fn is_used(fleet: &Fleet) {
    fleet.until_all_count().await;
    assert_eq!(counted_call(&fleet.gateways[0], "get_leads").await, "allowed");
}

async fn said(redis: &Redis, words: &str) {
    let answer = redis.say(words).await.expect("an answer");
    assert!(answer.starts_with('+'), "{words}: {answer}");
}

#[tokio::test]
async fn one_that_evicts_or_follows_another_one() {
    let Some(redis) =
        Redis::start(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]).await.unwrap()
    else {
        return;
    };
    let fleet = Fleet::start(1, &format!("{{url: '{}'}}", redis.url()), RULES).await;
    is_not_used(&fleet, "set maxmemory-policy to noeviction, not allkeys-lru").await;
    said(&redis, "CONFIG SET maxmemory-policy noeviction").await;
    is_used(&fleet).await;
    // What was good may not stay so.
    said(&redis, "CONFIG SET maxmemory-policy volatile-ttl").await;
    is_not_used(&fleet, "not volatile-ttl").await;
    said(&redis, "CONFIG SET maxmemory-policy noeviction").await;
    is_used(&fleet).await;
    said(&redis, "REPLICAOF 127.0.0.1 1").await;
    is_not_used(&fleet, "it is a replica").await;
    said(&redis, "REPLICAOF NO ONE").await;
    is_used(&fleet).await;
}

#[tokio::test]
async fn one_that_does_not_let_the_gateway_in() {
    let Some(redis) = Redis::start(&["--requirepass", "right"]).await.expect("a Redis") else { return };
    let settings = format!("{{url: '{}', secretKeyRef: {{name: store, key: password}}}}", redis.url());
    let fleet = Fleet::start(1, &settings, RULES).await;
    is_not_used(&fleet, "the credential store/password cannot be read").await;
    fleet.configuration.store_secret("password", "wrong\n").expect("is written");
    is_not_used(&fleet, "it refuses: ").await;
    fleet.configuration.store_secret("password", "right\n").expect("is written");
    is_used(&fleet).await;
    let log = fleet.gateways[0].log().text();
    assert!(!log.contains("wrong") && !log.contains("right"), "{log}");
}

#[tokio::test]
async fn one_whose_user_may_not_do_what_it_must() {
    // As the README says it, and with one right less.
    let rights = "+ping +info +time +evalsha +eval +script|load +get +set +getrange +setrange +pexpire +pttl";
    let user = |rights: &str| format!("ACL SETUSER toolgate reset on >secret ~toolgate:* {rights}");
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    said(&redis, &user(&rights.replace(" +setrange", ""))).await;
    let secret = "secretKeyRef: {name: store, key: password}";
    let settings = format!("{{url: '{}', username: toolgate, {secret}}}", redis.url());
    let fleet = Fleet::start(1, &settings, RULES).await;
    fleet.configuration.store_secret("password", "secret").expect("is written");
    is_not_used(&fleet, "it refuses: ").await;
    said(&redis, &user(rights)).await;
    is_used(&fleet).await;
}

#[tokio::test]
async fn one_behind_tls_only_if_its_certificate_is_vouched_for() {
    let (folder, authority) = (Folder::new().expect("a folder"), Authority::new("authority"));
    let leaf = authority.server_of("127.0.0.1");
    let texts =
        [("store.crt", leaf.certificate_pem()), ("store.key", leaf.key_pem()), ("ca.crt", authority.pem())];
    for (name, text) in &texts {
        folder.write(name, text).expect("is written");
    }
    let path = |name: &str| folder.path().join(name).display().to_string();
    let [certificate, key, authority] = ["store.crt", "store.key", "ca.crt"].map(path);
    let certificates =
        ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &authority];
    let ports = ["--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no"];
    let arguments: Vec<&str> = ports.into_iter().chain(certificates).collect();
    let Some(redis) = Redis::start(&arguments).await.expect("a Redis") else { return };
    let url = redis.url().replace("redis://", "rediss://");
    let vouched = |by: &str| format!("{{url: '{url}', certificateAuthority: {{{by}: {{key: ca.crt, name: ");
    let fleet = Fleet::start(1, &format!("{{url: '{url}'}}"), RULES).await;
    is_not_used(&fleet, "it cannot be reached: ").await;
    let authority = std::fs::read_to_string(authority).expect("a certificate");
    let secret = format!("{}store}}}}}}", vouched("secretKeyRef"));
    fleet.configuration.counters(&secret).expect("files");
    is_not_used(&fleet, "the credential store/ca.crt cannot be read").await;
    fleet.configuration.store_secret("ca.crt", &authority).expect("files");
    is_used(&fleet).await;
    fleet.configuration.authority("ca.crt", &authority).expect("files");
    let config_map = format!("{}authority}}}}}}", vouched("configMapKeyRef"));
    fleet.configuration.counters(&config_map).expect("files");
    is_used(&fleet).await;
}

#[tokio::test]
async fn a_cluster() {
    let folder = Folder::new().expect("a folder");
    let place = folder.path().to_str().expect("a path").to_owned();
    let arguments = ["--cluster-enabled", "yes", "--cluster-port", "{bus}", "--dir", &place];
    let Some(redis) = Redis::start(&arguments).await.expect("a Redis") else { return };
    let fleet = Fleet::start(1, &format!("{{url: '{}', cluster: true}}", redis.url()), RULES).await;
    // Without its slots a cluster takes nothing.
    is_not_used(&fleet, "is not used: it ").await;
    said(&redis, "CLUSTER ADDSLOTSRANGE 0 16383").await;
    is_used(&fleet).await;
    let mut allowed = 0;
    for _ in 0..4 {
        allowed += usize::from(counted_call(&fleet.gateways[0], "get_leads").await == "allowed");
    }
    assert_eq!(allowed, 2);
}
