//! Clients that are known by their certificates.

use rcgen::DnType;
use toolgate_e2e::process::{ALICE, Folder};

use super::https::{Authority, Https, Leaf, get_leads};
use super::{Mount, Stage, text};

const BOT: &str = "spiffe://example.com/ns/sales/sa/bot";

fn grant(name: &str, certificate: &str, more: &str) -> String {
    format!(
        "apiVersion: toolgate.dev/v1alpha1\nkind: ToolGrant\nmetadata: {{name: {name}}}\nspec:\n  \
         servers: [{{name: kommo}}]\n  subject: {{type: Certificate, certificate: {{{certificate}}}}}\n  {more}\n"
    )
}

/// A gateway that trusts an authority of clients, with the grants `bot` by a URI and `desk` by a subject.
struct Court {
    authority: Authority,
    clients: Authority,
    folder: Folder,
    _mount: Mount,
    stage: Stage,
}

impl Court {
    async fn new() -> Self {
        let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
        let (mut mount, folder) = (Mount::new(), Folder::new().expect("a folder"));
        mount.hold_leaf(&authority.server());
        folder.write("ca.crt", &clients.pem()).expect("is written");
        let more = ["--tls", &text(&mount.path()), "--client-ca", &text(&folder.path().join("ca.crt"))];
        let stage = Stage::start(&more).await;
        stage.gateway.admin().until_ready().await.expect("is ready");
        stage.gateway.log().message(0, "certificate in force").await.expect("it is said");
        stage.write("bot.yaml", &grant("bot", &format!("uri: '{BOT}'"), "")).await;
        stage.write("desk.yaml", &grant("desk", "subject: 'CN=desk\\, one,O=Example'", "")).await;
        Self { authority, clients, folder, _mount: mount, stage }
    }

    async fn open(&self, client: Option<&Leaf>) -> std::io::Result<Https> {
        Https::open(&self.stage.gateway, &self.authority, client).await
    }

    /// The status of a call on a connection with a certificate.
    async fn status(&self, client: Option<&Leaf>, token: Option<&str>) -> u16 {
        let mut https = self.open(client).await.expect("a handshake");
        https.ask(&get_leads(token)).await.expect("an answer").0
    }

    /// Whether a client is cut off with its certificate.
    async fn is_cut_off(&self, client: &Leaf) -> bool {
        // In TLS 1.3 a client only hears of it after its own part of the handshake.
        match self.open(Some(client)).await {
            Ok(mut https) => https.ask(&get_leads(Some(ALICE))).await.is_err(),
            Err(_) => true,
        }
    }

    async fn allowed(&self, grant: &str) -> f64 {
        let metrics = self.stage.gateway.admin().metrics().await.expect("metrics");
        metrics.sum("toolgate_tool_calls_total", &[("grant", grant), ("verdict", "allowed")])
    }
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate_and_by_nothing_else() {
    let court = Court::new().await;
    let bot = court.clients.client(&[BOT], &[]);
    let subject = [(DnType::OrganizationName, "Example"), (DnType::CommonName, "desk, one")];
    let desk = court.clients.client(&[], &subject);
    assert_eq!((court.status(Some(&bot), None).await, court.status(Some(&desk), None).await), (200, 200));
    assert!((court.allowed("bot").await - 1.0).abs() < f64::EPSILON);
    assert!((court.allowed("desk").await - 1.0).abs() < f64::EPSILON);
    let forged = [(DnType::CommonName, "desk, one,O=Example")];
    for (what, client) in [
        ("another URI", court.clients.client(&["spiffe://example.com/ns/sales/sa/other"], &[])),
        ("two URIs", court.clients.client(&[BOT, "spiffe://example.com/ns/sales/sa/other"], &[])),
        ("the URI in another's name", court.clients.client(&[], &[(DnType::CommonName, BOT)])),
        ("a subject that looks like one", court.clients.client(&[], &forged)),
        ("only a part of the subject", court.clients.client(&[], &subject[1..])),
    ] {
        assert_eq!(court.status(Some(&client), None).await, 401, "{what}");
        assert_eq!(
            court.status(Some(&client), Some(ALICE)).await,
            200,
            "{what}: it only carries the connection"
        );
        assert_eq!(court.status(Some(&client), Some("wrong")).await, 401, "{what}");
    }
    assert_eq!(court.status(None, None).await, 401);
    assert_eq!(court.status(None, Some(ALICE)).await, 200);
    assert_eq!(court.status(Some(&bot), Some(ALICE)).await, 401, "one request is of one caller");
    let stranger = Authority::new("clients");
    for (what, client) in [
        ("another authority of the same name", stranger.client(&[BOT], &[])),
        ("the server's authority", court.authority.client(&[BOT], &[])),
        ("expired", court.clients.expired(BOT)),
    ] {
        assert!(court.is_cut_off(&client).await, "{what}");
    }
    for header in ["x-forwarded-client-cert", "x-ssl-client-s-dn", "x-client-cert"] {
        let mut https = court.open(None).await.expect("a handshake");
        let claimed = get_leads(None).with(header, &format!("URI={BOT}"));
        assert_eq!(https.ask(&claimed).await.expect("an answer").0, 401, "{header}");
    }
}

#[tokio::test]
async fn a_connection_ends_being_somebodys_with_its_grant_and_with_its_authority() {
    let court = Court::new().await;
    let bot = court.clients.client(&[BOT], &[]);
    let mut https = court.open(Some(&bot)).await.expect("a handshake");
    assert_eq!(https.ask(&get_leads(None)).await.expect("an answer").0, 200);
    court.stage.write("bot.yaml", &grant("bot", &format!("uri: '{BOT}'"), "suspended: true")).await;
    assert_eq!(https.ask(&get_leads(None)).await.expect("an answer").0, 401);
    court.stage.write("bot.yaml", &grant("bot", &format!("uri: '{BOT}'"), "")).await;
    assert_eq!(https.ask(&get_leads(None)).await.expect("an answer").0, 200);

    let (next, from) = (Authority::new("next"), court.stage.gateway.log().lines().len());
    court.folder.write("ca.crt", &next.pem()).expect("is written");
    court.stage.gateway.log().message(from, "certificate in force").await.expect("it is said");
    assert_eq!(
        https.ask(&get_leads(None)).await.expect("an answer").0,
        401,
        "nobody vouches for it any more"
    );
    assert!(court.is_cut_off(&bot).await);
    assert_eq!(court.status(Some(&next.client(&[BOT], &[])), None).await, 200);
}
