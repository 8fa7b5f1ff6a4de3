//! From specs to tables: everything that can be decided before a call comes.
//!
//! The same code says whether an object is acceptable (at the operator, at `toolgate check`) and builds what a gateway
//! decides with, so the two cannot disagree.

mod grant;
mod policy;
mod server;
mod table;

use std::collections::HashMap;
use std::sync::Arc;

use toolgate_crds::{FieldError, McpServerSpec, ObjectName, ToolGrantSpec, ToolPolicySpec};

use crate::bundle::Bundle;
use crate::identity::ServiceAccount;
use crate::law::Law;
use crate::verdict::Rule;

pub use grant::{CLAIM_BYTES_MAX, is_issuer};
pub(crate) use grant::{CertificateName, CompiledGrant, Oidc, Subject};
pub(crate) use policy::{CompiledPolicy, Counter, Narrowing};
pub use server::{PAUSE_MAX, RedisAddress};
pub(crate) use table::Entry;

/// The reserved grant of requests without credentials, on servers that let them in.
pub const ANONYMOUS: &str = "anonymous";
/// The most policies of one server.
pub const POLICIES_MAX: usize = 1024;
/// The most grants of one server.
pub const GRANTS_MAX: usize = 10_000;

/// Every fault of a policy that only compiling shows.
pub fn check_policy(spec: &ToolPolicySpec) -> Vec<FieldError> {
    CompiledPolicy::new("", spec).err().unwrap_or_default()
}

/// Every fault of a grant that only compiling shows.
pub fn check_grant(name: &str, spec: &ToolGrantSpec) -> Vec<FieldError> {
    // Which namespace a ServiceAccount is of by default makes no grant faulty.
    CompiledGrant::new("", name, spec).err().unwrap_or_default()
}

/// Every fault of a server that only compiling shows.
pub fn check_server(spec: &McpServerSpec) -> Vec<FieldError> {
    server::check(spec)
}

/// Compiles a bundle.
///
/// # Errors
/// Every fault, with its object's name in front. A bundle that the operator rendered has none.
pub fn compile(bundle: &Bundle) -> Result<Law, Vec<FieldError>> {
    let mut errors = too_many(bundle);
    let named = |kind: &str, name: &str, faults: Vec<FieldError>| {
        let prefix = format!("{kind}/{name} ");
        faults.into_iter().map(move |fault| FieldError::new(prefix.clone() + &fault.path, fault.message))
    };
    errors.extend(named("McpServer", &bundle.server.name, server::check(&bundle.server.spec)));
    let mut policies = Vec::new();
    for policy in &bundle.policies {
        let compiled = policy.spec.as_ref().map(|spec| CompiledPolicy::new(&policy.name, spec)).transpose();
        match compiled {
            Ok(compiled) => policies.push((Arc::from(policy.name.as_str()), compiled)),
            Err(faults) => errors.extend(named("ToolPolicy", &policy.name, faults)),
        }
    }
    let mut grants = Vec::new();
    for grant in &bundle.grants {
        match CompiledGrant::new(&bundle.server.namespace, &grant.name, &grant.spec) {
            Ok(compiled) => grants.push(compiled),
            Err(faults) => errors.extend(named("ToolGrant", &grant.name, faults)),
        }
    }
    if errors.is_empty() { Ok(assemble(bundle, policies, grants)) } else { Err(errors) }
}

fn too_many(bundle: &Bundle) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (what, count, most) in
        [("policies", bundle.policies.len(), POLICIES_MAX), ("grants", bundle.grants.len(), GRANTS_MAX)]
    {
        if count > most {
            errors.push(FieldError::new(what, format!("must have at most {most} items, not {count}")));
        }
    }
    errors
}

type NamedPolicy = (Arc<str>, Option<CompiledPolicy>);

fn assemble(bundle: &Bundle, mut policies: Vec<NamedPolicy>, mut grants: Vec<CompiledGrant>) -> Law {
    let spec = &bundle.server.spec;
    policies.sort_by(|(left, _), (right, _)| left.cmp(right));
    if spec.anonymous() {
        grants.push(CompiledGrant::anonymous());
    }
    let required: Vec<&str> = spec.required_policies.iter().map(ObjectName::as_str).collect();
    let enforces = |policy: &CompiledPolicy| !policy.only_audits();
    let good = |name: &str| {
        policies.iter().any(|(policy, compiled)| &**policy == name && compiled.as_ref().is_some_and(enforces))
    };
    let missing = required.iter().find(|name| !good(name));
    let void = missing.map(|name| Rule { policy: (*name).to_owned(), pointer: "required".to_owned() });
    let bound = grants.iter().map(|grant| bound_to(&grant.name, &required, &policies)).collect();
    let mut by_token: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
    let mut by_service_account: HashMap<ServiceAccount, Vec<usize>> = HashMap::new();
    let mut by_issuer: HashMap<String, Vec<usize>> = HashMap::new();
    let mut by_certificate: HashMap<CertificateName, Vec<usize>> = HashMap::new();
    let mut anonymous = None;
    for (index, grant) in grants.iter().enumerate() {
        match &grant.subject {
            Subject::Token(digests) => {
                for digest in digests {
                    by_token.entry(*digest).or_default().push(index);
                }
            }
            Subject::ServiceAccount(account) => {
                by_service_account.entry(account.clone()).or_default().push(index);
            }
            Subject::Oidc(oidc) => by_issuer.entry(oidc.issuer.clone()).or_default().push(index),
            Subject::Certificate(name) => by_certificate.entry(name.clone()).or_default().push(index),
            Subject::Anonymous => anonymous = Some(index),
        }
    }
    let reviews_tokens = spec.token_review();
    let pinned = policies.iter().filter_map(|(_, compiled)| compiled.as_ref());
    let pinned = pinned.flat_map(CompiledPolicy::pinned).map(str::to_owned).collect();
    Law {
        policies,
        grants,
        bound,
        by_token,
        by_service_account,
        by_issuer,
        by_certificate,
        anonymous,
        reviews_tokens,
        pinned,
        void,
    }
}

// A policy that never was good has nothing that says whom it spares, so it binds everybody.
fn bound_to(grant: &str, required: &[&str], policies: &[NamedPolicy]) -> Vec<usize> {
    let binds = |(name, compiled): &NamedPolicy| {
        required.contains(&&**name) || compiled.as_ref().is_none_or(|policy| policy.binds(grant))
    };
    policies.iter().enumerate().filter(|(_, policy)| binds(policy)).map(|(index, _)| index).collect()
}
