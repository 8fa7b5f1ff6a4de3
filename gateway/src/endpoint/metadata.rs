//! Where tokens for this gateway come from (RFC 9728), for clients that find out by themselves. Anybody may read it.
//!
//! It names the issuers whose tokens for this gateway's own URL a grant takes. Without one there is nothing to say.

use hyper::Method;
use hyper::Uri;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::http::StatusCode;
use hyper::http::request::Parts;
use serde_json::json;
use toolgate_policy::Law;

use super::PATH;
use crate::gateway::Gateway;
use crate::wire::answer::{self, Answer};
use crate::wire::content::JSON;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Whether a request asks for it. Compared as it came, as every path is.
pub(super) fn is_asked(parts: &Parts) -> bool {
    let of_endpoint =
        |path: &str| path.strip_prefix(WELL_KNOWN).is_some_and(|rest| rest.is_empty() || rest == PATH);
    parts.method == Method::GET
        && of_endpoint(parts.uri.path())
        && parts.uri.query().is_none()
        && parts.uri.authority().is_none()
}

/// The document; 404 if there is nothing to say.
pub(super) fn answer(gateway: &Gateway) -> Answer {
    let (in_force, resource) = (gateway.holder.current(), gateway.verifier.audience());
    let (Some(in_force), Some(resource)) = (in_force, resource) else { return answer::not_found() };
    let Some(issuers) = issuers(resource, &in_force.law) else { return answer::not_found() };
    let document = json!({
        "resource": resource,
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
    });
    let body = document.to_string().into_bytes();
    Answer { status: StatusCode::OK, headers: HeaderMap::new(), body }.with(CONTENT_TYPE, JSON)
}

/// Where the document is, for callers without a token that is known. None: there is nothing to say, or it is not known
/// how callers would reach it.
pub(super) fn url(gateway: &Gateway, law: &Law) -> Option<String> {
    let resource = gateway.verifier.audience()?;
    issuers(resource, law)?;
    let resource: Uri = resource.parse().ok()?;
    let (scheme, authority) = (resource.scheme_str()?, resource.authority()?);
    (resource.path() == PATH).then(|| format!("{scheme}://{authority}{WELL_KNOWN}{PATH}"))
}

fn issuers<'l>(resource: &str, law: &'l Law) -> Option<Vec<&'l str>> {
    let mut issuers: Vec<&str> = law.issuers().filter(|issuer| law.expects(issuer, resource)).collect();
    issuers.sort_unstable();
    (!issuers.is_empty()).then_some(issuers)
}
