//! Every credential at the real gateway, in one table: tokens of ours, tokens of a cluster's ServiceAccounts, and tokens of
//! an OpenID Connect issuer. Keys and signatures are real, and where a token is reviewed an API server of the tests' own does it.

use toolgate_e2e::process::Answer;

#[path = "gateway_token_review/api_server.rs"]
mod api_server;
#[path = "gateway_tokens/court.rs"]
mod court;
#[path = "../../gateway/tests/support/issuer.rs"]
mod issuer;

use court::{Court, Credential, Kind};

/// The status that each credential gets, by its kind. A dash: there is no such credential of this kind.
const MATRIX: &str = "
credential                              token   account  issuer
good                                    200     200      200
none                                    401     401      401
wrong                                   401     401      401
expired                                 -       401      401
not valid yet                           -       401      401
without an end                          -       401      401
for another audience                    -       401      401
for this audience and another           -       401      200
of another issuer                       -       401      401
alg none                                -       401      401
alg HS256                               -       401      401
of a key that is not published          -       401      401
signed by another key                   -       401      401
bent after it was signed                -       401      401
of another server's grant               401     401      401
of no grant                             401     401      401
of two grants                           401     401      401
of a suspended grant                    401     401      401
of an expired grant                     401     401      401
of a deleted pod                        -       401      -
rotated: the one before                 200     200      200
rotated: the new one                    200     200      200
rotated, only the new: the one before   401     401      401
rotated, only the new: the new one      200     200      200
";

#[tokio::test]
async fn every_credential_opens_what_the_table_says() {
    let mut court = Court::new().await;
    let (mut seen, mut allowed) = (Vec::new(), 0);
    for line in MATRIX.lines() {
        let row = line.get(..40).unwrap_or(line).trim();
        if row == "credential" || row.is_empty() {
            seen.push(line.to_owned());
            continue;
        }
        if row == "rotated, only the new: the one before" {
            court.only_the_new().await;
        }
        let mut cells = Vec::new();
        for kind in [Kind::Token, Kind::Account, Kind::Issuer] {
            let Some(credential) = court.credential(kind, row) else {
                cells.push("-".to_owned());
                continue;
            };
            let answer = court.ask(&credential).await;
            told_nothing(row, &credential, &answer);
            allowed += usize::from(answer.status == 200);
            cells.push(answer.status.to_string());
        }
        seen.push(format!("{row:<40}{:<8}{:<9}{}", cells[0], cells[1], cells[2]));
    }
    println!("{}", seen.join("\n"));
    assert_eq!(seen, MATRIX.lines().collect::<Vec<&str>>());
    assert_eq!(court.reached(), allowed, "only what was let in reached the server");
}

/// Who is refused hears that he has to show something, or that it is not valid, and not why.
fn told_nothing(row: &str, credential: &Credential, answer: &Answer) {
    if answer.status == 401 {
        let wanted = match credential {
            Credential::None => "Bearer",
            Credential::Bearer(_) => "Bearer error=\"invalid_token\"",
        };
        assert_eq!(
            (answer.header("www-authenticate"), answer.text()),
            (Some(wanted), String::new()),
            "{row}"
        );
    } else {
        assert_eq!((answer.status, answer.verdict()), (200, None), "{row}: {}", answer.text());
    }
}
