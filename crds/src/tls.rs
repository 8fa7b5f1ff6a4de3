//! TLS of the gateway's own listener.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mcp_server::CertificateAuthority;
use crate::name::ObjectName;

/// TLS of the gateway's own listener. Its URL then begins with `https`, and so does the audience that tokens of
/// ServiceAccounts have to be for. The port of probes and metrics stays without.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// A Secret of this namespace with `tls.crt` and `tls.key`, as cert-manager makes them, for the host of the server's
    /// URL. It is mounted by name; a renewed certificate is used within a minute or two, without a restart.
    pub secret_name: ObjectName,
    /// Who vouches for certificates of callers, which grants of the type `Certificate` name. When absent nobody is asked
    /// for one. A caller with a certificate that it does not vouch for is cut off; one without may show a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_authority: Option<CertificateAuthority>,
}
