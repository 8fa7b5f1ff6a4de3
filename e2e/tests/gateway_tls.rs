//! TLS on the gateway's listener: its certificate, its renewal, and clients that are known by theirs.

use std::path::{Path, PathBuf};

use toolgate_e2e::kommo::{Answers, StandIn};
use toolgate_e2e::process::{ALICE, Answer, Configuration, Folder, Gateway, Socket, Start, World};

#[path = "gateway_tls/clients.rs"]
mod clients;
#[path = "gateway_tls/files.rs"]
mod files;
#[path = "gateway_tls/https.rs"]
mod https;

use https::{Authority, Https, Leaf, get_leads};

const RULES: &str = "default: deny\ntools: {get_leads: {}}";

/// Where a Secret would be mounted, changed as Kubernetes changes one: by a symbolic link.
struct Mount {
    folder: Folder,
    versions: usize,
}

impl Mount {
    fn new() -> Self {
        Self { folder: Folder::new().expect("a folder"), versions: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("tls")
    }

    fn hold(&mut self, certificate: &str, key: &str) {
        self.versions += 1;
        let version = format!("..{}", self.versions);
        self.folder.write(&format!("tls/{version}/tls.crt"), certificate).expect("is written");
        self.folder.write(&format!("tls/{version}/tls.key"), key).expect("is written");
        let (next, data) = (self.path().join("..next"), self.path().join("..data"));
        let link = |from: &str, to: &Path| std::os::unix::fs::symlink(from, to).expect("a link");
        link(&version, &next);
        std::fs::rename(next, data).expect("the links are swapped");
        for file in ["tls.crt", "tls.key"].into_iter().filter(|file| !self.path().join(file).exists()) {
            link(&format!("..data/{file}"), &self.path().join(file));
        }
    }

    fn hold_leaf(&mut self, leaf: &Leaf) {
        self.hold(&leaf.certificate_pem(), &leaf.key_pem());
    }
}

/// A gateway before the stand-in, with the grant `alice`.
struct Stage {
    _stand_in: StandIn,
    configuration: Configuration,
    gateway: Gateway,
}

impl Stage {
    async fn start(more: &[&str]) -> Self {
        let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
        let configuration = Configuration::new(&stand_in.url()).expect("files");
        configuration.policy("kommo-sales", RULES).expect("is written");
        configuration.grant("alice", ALICE, "").expect("is written");
        let (config, credentials) = (configuration.objects(), configuration.credentials());
        let start = Start { config: &config, credentials: Some(&credentials), log: "info", more };
        let gateway = Gateway::start(start).await.expect("a gateway");
        Self { _stand_in: stand_in, configuration, gateway }
    }

    async fn tls_refused(&self) -> f64 {
        let metrics = self.gateway.admin().metrics().await.expect("metrics");
        metrics.sum("toolgate_tls_refused", &[("server", "kommo")])
    }

    async fn write(&self, file: &str, text: &str) {
        let before = self.gateway.admin().revision().await.expect("a revision");
        self.configuration.write(file, text).expect("is written");
        let newer = |answer: &Answer| answer.json()["revision"] != before;
        self.gateway.admin().until("/revision", "a newer revision", newer).await.expect("a newer revision");
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("temporary folders have plain names").to_owned()
}

#[tokio::test]
async fn a_listener_with_tls_speaks_nothing_else() {
    let (authority, mut mount) = (Authority::new("authority"), Mount::new());
    mount.hold_leaf(&authority.server());
    let stage = Stage::start(&["--tls", &text(&mount.path())]).await;
    stage.gateway.admin().until_ready().await.expect("is ready");
    let mut https = Https::open(&stage.gateway, &authority, None).await.expect("a handshake");
    let (status, body) = https.ask(&get_leads(Some(ALICE))).await.expect("an answer");
    assert_eq!((status, body.contains("\"result\"")), (200, true), "{body}");
    assert_eq!(https.ask(&get_leads(None)).await.expect("an answer").0, 401);

    let mut plain = Socket::open(stage.gateway.address()).await.expect("connects");
    plain.send(&get_leads(Some(ALICE)).bytes()).await.expect("is sent");
    let rest = plain.rest().await.unwrap_or_default();
    assert!(!rest.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&rest));
    let stranger = Authority::new("stranger");
    assert!(
        Https::open(&stage.gateway, &stranger, None).await.is_err(),
        "the test itself looks at the certificate"
    );
    // A client that does not like what it sees is gone before the gateway has heard of it.
    let both = "toolgate_requests_rejected_total{reason=\"handshake\",server=\"kommo\"} 2\n";
    let told = |answer: &Answer| answer.text().contains(both);
    stage.gateway.admin().until("/metrics", both, told).await.expect("both are counted");
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart_and_a_bad_one_keeps_the_last() {
    let (authority, mut mount) = (Authority::new("authority"), Mount::new());
    let (first, second) = (authority.server(), authority.server());
    mount.hold_leaf(&first);
    let stage = Stage::start(&["--tls", &text(&mount.path())]).await;
    stage.gateway.admin().until_ready().await.expect("is ready");
    stage.gateway.log().message(0, "certificate in force").await.expect("it is said");
    let seen = async || Https::open(&stage.gateway, &authority, None).await.expect("a handshake").seen();
    assert_eq!(seen().await, first.der());
    let mut old = Https::open(&stage.gateway, &authority, None).await.expect("a handshake");

    stage.gateway.log().message(0, "certificate in force").await.expect("it is said of the first");
    let from = stage.gateway.log().lines().len();
    mount.hold_leaf(&second);
    stage.gateway.log().message(from, "certificate in force").await.expect("it is said");
    assert_eq!(seen().await, second.der());
    assert_eq!(old.ask(&get_leads(Some(ALICE))).await.expect("an answer").0, 200, "connections go on");

    for (certificate, key) in [
        (first.certificate_pem(), second.key_pem()),
        (String::new(), second.key_pem()),
        (second.certificate_pem(), "no key".to_owned()),
    ] {
        let from = stage.gateway.log().lines().len();
        mount.hold(&certificate, &key);
        stage.gateway.log().message(from, "the certificate cannot be used").await.expect("it is said");
        assert!((stage.tls_refused().await - 1.0).abs() < f64::EPSILON);
        assert_eq!(seen().await, second.der());
    }
    assert!(!stage.gateway.log().text().contains("PRIVATE"));
    let from = stage.gateway.log().lines().len();
    mount.hold_leaf(&first);
    stage.gateway.log().message(from, "certificate in force").await.expect("it is said");
    assert_eq!(seen().await, first.der());
    assert!(stage.tls_refused().await.abs() < f64::EPSILON);
}

#[tokio::test]
async fn without_a_usable_certificate_nobody_is_served() {
    let (authority, mut mount) = (Authority::new("authority"), Mount::new());
    let stage = Stage::start(&["--tls", &text(&mount.path())]).await;
    let readiness = stage.gateway.admin().get("/readyz").await.expect("an answer");
    assert_eq!(readiness.status, 503);
    assert!(readiness.text().contains("there is no usable certificate yet"), "{}", readiness.text());
    assert!(Https::open(&stage.gateway, &authority, None).await.is_err());
    let mut plain = Socket::open(stage.gateway.address()).await.expect("connects");
    let _closed = plain.send(&get_leads(Some(ALICE)).bytes()).await;
    assert_eq!(plain.rest().await.unwrap_or_default(), b"");
    mount.hold_leaf(&authority.server());
    stage.gateway.admin().until_ready().await.expect("is ready");
    let mut https = Https::open(&stage.gateway, &authority, None).await.expect("a handshake");
    assert_eq!(https.ask(&get_leads(Some(ALICE))).await.expect("an answer").0, 200);
}

#[tokio::test]
async fn a_handshake_may_not_take_for_ever() {
    let (authority, mut mount) = (Authority::new("authority"), Mount::new());
    mount.hold_leaf(&authority.server());
    let stage = Stage::start(&["--tls", &text(&mount.path())]).await;
    stage.gateway.admin().until_ready().await.expect("is ready");
    let mut silent = Socket::open(stage.gateway.address()).await.expect("connects");
    assert!(silent.closes().await, "the gateway lets go of it");
}
