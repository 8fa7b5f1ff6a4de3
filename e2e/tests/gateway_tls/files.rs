//! In file mode the server's own words choose the listener, as on a cluster; and once it has begun, nothing else does.

use toolgate_e2e::kommo::{Answers, StandIn};
use toolgate_e2e::process::{ALICE, Configuration, Gateway, ProcessError, Socket, Start, World};

use super::RULES;
use super::https::{Authority, Https, get_leads};

const TLS: &str = "  gateway: {tls: {secretName: kommo-tls, \
                   clientCertificateAuthority: {configMapKeyRef: {name: authority, key: ca.crt}}}}\n";
const BOT: &str = "spiffe://example.com/ns/sales/sa/bot";
const DIFFERS: &str = "spec.gateway.tls: it is not what this gateway's listener began with";

struct Files {
    _stand_in: StandIn,
    configuration: Configuration,
    authority: Authority,
    clients: Authority,
    /// The server without a word of TLS.
    plain: String,
}

impl Files {
    async fn new() -> Self {
        let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
        let configuration = Configuration::new(&stand_in.url()).expect("files");
        let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
        let leaf = authority.server();
        configuration.secret("kommo-tls", "tls.crt", &leaf.certificate_pem()).expect("is written");
        configuration.secret("kommo-tls", "tls.key", &leaf.key_pem()).expect("is written");
        configuration.authority("ca.crt", &clients.pem()).expect("is written");
        configuration.policy("kommo-sales", RULES).expect("is written");
        configuration.grant("alice", ALICE, "").expect("is written");
        let plain = configuration.read("kommo-server.yaml").expect("is read");
        Self { _stand_in: stand_in, configuration, authority, clients, plain }
    }

    fn say(&self, more: &str) {
        let server = format!("{}{more}", self.plain);
        self.configuration.write("kommo-server.yaml", &server).expect("is written");
    }

    async fn start(&self) -> Result<Gateway, ProcessError> {
        let (config, credentials) = (self.configuration.objects(), self.configuration.credentials());
        let certificates = self.configuration.certificates();
        let more = ["--certificates", certificates.to_str().expect("a path")];
        let start = Start { config: &config, credentials: Some(&credentials), log: "info", more: &more };
        Gateway::start(start).await
    }
}

#[tokio::test]
async fn what_the_server_says_of_tls_is_served() {
    let files = Files::new().await;
    files.say(TLS);
    let bot = "apiVersion: toolgate.dev/v1alpha1\nkind: ToolGrant\nmetadata: {name: bot}\nspec:\n  \
               servers: [{name: kommo}]\n  subject: {type: Certificate, certificate: {uri: 'BOT'}}\n";
    files.configuration.write("bot.yaml", &bot.replace("BOT", BOT)).expect("is written");
    let gateway = files.start().await.expect("starts");
    gateway.admin().until_ready().await.expect("is ready");
    let mut https = Https::open(&gateway, &files.authority, None).await.expect("a handshake");
    assert_eq!(https.ask(&get_leads(Some(ALICE))).await.expect("an answer").0, 200);
    let client = files.clients.client(&[BOT], &[]);
    let mut known = Https::open(&gateway, &files.authority, Some(&client)).await.expect("a handshake");
    assert_eq!(known.ask(&get_leads(None)).await.expect("an answer").0, 200);
    let mut plain = Socket::open(gateway.address()).await.expect("connects");
    plain.send(&get_leads(Some(ALICE)).bytes()).await.expect("is sent");
    assert!(!plain.rest().await.unwrap_or_default().starts_with(b"HTTP/"));

    // Other words are told, loudly, and hold nothing back.
    let from = gateway.log().lines().len();
    files.say("");
    gateway.log().message(from, DIFFERS).await.expect("it is told");
    files.configuration.grant("alice", ALICE, "suspended: true").expect("is written");
    let started = tokio::time::Instant::now();
    while https.ask(&get_leads(Some(ALICE))).await.expect("an answer").0 != 401 {
        assert!(started.elapsed() < toolgate_e2e::process::PATIENCE, "a revocation is held back");
    }
    assert_eq!(known.ask(&get_leads(None)).await.expect("an answer").0, 200, "by TLS as before");
}

#[tokio::test]
async fn a_listener_without_tls_serves_no_server_that_wants_it() {
    let files = Files::new().await;
    files.configuration.remove("kommo-server.yaml").expect("is removed");
    let gateway = files.start().await.expect("starts");
    gateway.log().message(0, "expected one McpServer, found 0").await.expect("it is told");
    files.say(TLS);
    gateway.log().message(0, DIFFERS).await.expect("it is told");
    let readiness = gateway.admin().get("/readyz").await.expect("an answer");
    assert_eq!(readiness.status, 503, "{}", readiness.text());
    let answer = gateway.ask(&get_leads(Some(ALICE))).await.expect("an answer");
    assert_eq!(answer.status, 503, "{}", answer.text());
    files.say("");
    gateway.admin().until_ready().await.expect("what it can serve, it serves");
}

#[tokio::test]
async fn where_the_secret_is_must_be_said() {
    let files = Files::new().await;
    files.say(TLS);
    let config = files.configuration.objects();
    let start = Start { config: &config, credentials: None, log: "info", more: &[] };
    let mut gateway = Gateway::start(start).await.expect("a process");
    assert!(!gateway.ended().await.expect("it ends").success());
    let told = "spec.gateway.tls: authority is looked for in --certificates, which is not given";
    assert!(gateway.log().text().contains(told), "{}", gateway.log().text());
}
