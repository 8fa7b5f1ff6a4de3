//! `ToolGrant`: who may call.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::ObjectName;
use crate::status::ToolGrantStatus;

/// Who may call: the servers that are opened, and the one subject they are opened to.
///
/// A grant opens the door; only policies say what may be called behind it.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "toolgate.dev",
    version = "v1alpha1",
    kind = "ToolGrant",
    plural = "toolgrants",
    singular = "toolgrant",
    shortname = "tgr",
    category = "toolgate",
    namespaced,
    status = "ToolGrantStatus",
    derive = "PartialEq",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        priority = 1
    ),
    printcolumn(name = "Subject", type_ = "string", json_path = ".spec.subject.type"),
    printcolumn(name = "Servers", type_ = "string", json_path = ".status.servers[*]"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspended", priority = 1),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolGrantSpec {
    /// The servers of this namespace that the grant opens: each entry names one, or selects any number by their labels.
    #[schemars(length(min = 1, max = 64))]
    pub servers: Vec<ServerReference>,
    /// Who the caller has to be.
    pub subject: Subject,
    /// From this instant on the grant opens nothing (RFC 3339, such as `2027-01-31T00:00:00Z`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 64), extend("format" = "date-time"))]
    pub expires_at: Option<String>,
    /// While true the grant opens nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

/// An `McpServer` of the same namespace by its `name`, or all those that a `selector` selects. Exactly one of the two.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerReference {
    /// The server's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ObjectName>,
    /// Selects servers by labels of theirs. A server that gets the labels later is opened then, and closed when it
    /// loses one: whoever may label servers decides, with such a grant, whom they are opened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<ServerSelector>,
}

/// Labels that a server must have, all of them.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerSelector {
    /// The labels with exactly these values. At least one: a selector without any would open every server.
    #[schemars(extend("maxProperties" = 16, "minProperties" = 1))]
    pub match_labels: BTreeMap<String, String>,
}

/// Who the caller has to be: a type, and the part that is named after it.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subject {
    /// Which of the parts below says who it is.
    #[serde(rename = "type")]
    pub type_: SubjectType,
    /// A bearer token, made by `toolgate mint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenSubject>,
    /// A ServiceAccount of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccountSubject>,
    /// A subject of an OpenID Connect issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcSubject>,
    /// The certificate of a client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateSubject>,
}

/// The kinds of subject.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubjectType {
    /// A bearer token.
    Token,
    /// A ServiceAccount of the cluster.
    ServiceAccount,
    /// A subject of an OpenID Connect issuer.
    OIDC,
    /// The certificate of a client.
    Certificate,
}

/// A bearer token. Only its digest is stored. To rotate it, let `sha256` be that of the new token and `previousSha256`
/// that of the old one until every caller has the new one: neither sessions nor streams end.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenSubject {
    /// SHA-256 of the token, as 64 lower-case hexadecimal digits.
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: String,
    /// While a token is rotated, SHA-256 of the one before it, which is good too until this field is taken out.
    /// `toolgate mint --rotate` writes it. Never the same as `sha256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub previous_sha256: Option<String>,
}

/// A ServiceAccount of the cluster. Its pods show a projected token whose only audience is the server's URL, as the
/// status of the `McpServer` shows it. A token for the API server, or for anybody else, is refused. The token of a
/// deleted pod holds until it expires: keep `expirationSeconds` short.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceAccountSubject {
    /// The ServiceAccount's name.
    pub name: ObjectName,
    /// The ServiceAccount's namespace; the grant's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<ObjectName>,
}

/// A subject of an OpenID Connect issuer. Its keys are read from its `/.well-known/openid-configuration`.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcSubject {
    /// The issuer, exactly as tokens name it: an https URL. Without https only on the loopback addresses 127.0.0.1 and
    /// `[::1]`, to try it.
    #[schemars(
        length(min = 1, max = 2048),
        regex(pattern = r"^(https://[^/]|http://(127\.0\.0\.1|\[::1\])([:/]|$))")
    )]
    pub issuer: String,
    /// The audience that tokens must have. Never that of the API server: such tokens are worth more than this one grant.
    #[schemars(length(min = 1, max = 2048))]
    pub audience: String,
    /// Claims that must all be texts with exactly these values, such as `sub`. Claims that are lists, numbers or objects
    /// match nothing.
    #[schemars(extend("maxProperties" = 16, "minProperties" = 1))]
    pub claims: BTreeMap<String, String>,
}

/// The certificate of a client, by its `uri` or its `subject`: exactly one of the two. The server's
/// `gateway.tls.clientCertificateAuthority` has to vouch for it. Who shows a certificate that a grant names shows no token.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateSubject {
    /// The only URI among the certificate's alternative names, exactly, such as `spiffe://example.com/ns/sales/sa/bot`. A
    /// certificate with several URIs is nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$"))]
    pub uri: Option<String>,
    /// The certificate's whole subject as RFC 4514 writes it, the most specific part first, such as
    /// `CN=bot,O=Example,C=DE`: what `openssl x509 -noout -subject -nameopt RFC2253` shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^[A-Za-z0-9.]+=[^,]"))]
    pub subject: Option<String>,
}
