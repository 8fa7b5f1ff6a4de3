//! The law: a compiled bundle. It is immutable and swapped whole; a request sees one of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use toolgate_crds::{DefaultAction, ServerRequest};

use crate::compile::{CompiledGrant, CompiledPolicy, Oidc, Subject};
use crate::decide;
use crate::identity::{Identity, ServiceAccount};
use crate::target::Target;
use crate::verdict::{Outcome, Permit, Refusal, Rule};

/// Everything that is in force at one server.
#[derive(Debug)]
pub struct Law {
    // By name. None: a policy that never was good.
    pub(crate) policies: Vec<(Arc<str>, Option<CompiledPolicy>)>,
    pub(crate) grants: Vec<CompiledGrant>,
    // For each grant the policies that bind its callers.
    pub(crate) bound: Vec<Vec<usize>>,
    pub(crate) by_token: HashMap<[u8; 32], Vec<usize>>,
    pub(crate) by_service_account: HashMap<ServiceAccount, Vec<usize>>,
    pub(crate) by_issuer: HashMap<String, Vec<usize>>,
    pub(crate) anonymous: Option<usize>,
    // The required policy for want of which every call is refused.
    pub(crate) void: Option<Rule>,
}

/// What a request shows of who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    None,
    /// A bearer token, by its SHA-256.
    Token([u8; 32]),
    /// A token that an issuer signed, and that was verified.
    Verified(Arc<Identity>),
}

/// A caller that the law knows. Good for the law that made it, and for no other.
#[derive(Clone, Debug)]
pub struct Caller {
    grant: usize,
    name: Arc<str>,
}

/// Why a request comes from nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unauthenticated {
    /// It shows no credentials, and they are needed.
    Missing,
    /// No grant knows the credential.
    Unknown,
    /// The credential matches several live grants.
    Ambiguous,
    /// The grant is suspended.
    Suspended,
    /// The grant has expired, or the token has.
    Expired,
}

/// What goes to the server for a known caller without being a call: the protocol's own housekeeping, and lists, whose
/// answers are filtered on the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Handshake, ping, cancellation, progress, log level, the end of a session.
    Lifecycle,
    /// A list.
    List,
}

impl Law {
    /// Who sends a request.
    ///
    /// # Errors
    /// When no grant, or not exactly one live grant, knows the credential.
    pub fn authenticate(&self, credential: &Credential, wall: Timestamp) -> Result<Caller, Unauthenticated> {
        let grants = match credential {
            Credential::None => {
                return self.anonymous.map(|grant| self.caller(grant)).ok_or(Unauthenticated::Missing);
            }
            Credential::Token(digest) => self.by_token.get(digest).cloned().unwrap_or_default(),
            Credential::Verified(identity) if wall >= identity.expires_at => {
                return Err(Unauthenticated::Expired);
            }
            Credential::Verified(identity) => self.describing(identity),
        };
        let mut live = grants.iter().filter(|grant| self.lifeless(**grant, wall).is_none());
        match (live.next(), live.next()) {
            (Some(grant), None) => Ok(self.caller(*grant)),
            (Some(_), Some(_)) => Err(Unauthenticated::Ambiguous),
            (None, _) => Err(grants
                .first()
                .and_then(|grant| self.lifeless(*grant, wall))
                .unwrap_or(Unauthenticated::Unknown)),
        }
    }

    /// Whether a grant, live or not, names a token by its SHA-256. Such a token is never taken for anything else.
    pub fn names_token(&self, digest: &[u8; 32]) -> bool {
        self.by_token.contains_key(digest)
    }

    /// Whether a grant, live or not, names a ServiceAccount.
    pub fn names_service_account(&self, account: &ServiceAccount) -> bool {
        self.by_service_account.contains_key(account)
    }

    /// Whether a grant, live or not, names an issuer.
    pub fn names_issuer(&self, issuer: &str) -> bool {
        self.by_issuer.contains_key(issuer)
    }

    /// Every issuer that a grant, live or not, names, in no order.
    pub fn issuers(&self) -> impl Iterator<Item = &str> {
        self.by_issuer.keys().map(String::as_str)
    }

    /// Whether a grant, live or not, takes tokens of an issuer that are for this audience.
    pub fn expects(&self, issuer: &str, audience: &str) -> bool {
        let grants = self.by_issuer.get(issuer).into_iter().flatten();
        grants.filter_map(|grant| self.oidc(*grant)).any(|oidc| oidc.audience == audience)
    }

    fn describing(&self, identity: &Identity) -> Vec<usize> {
        let account = identity.service_account.as_ref();
        let accounts = account.and_then(|account| self.by_service_account.get(account)).into_iter().flatten();
        let issued = self.by_issuer.get(&identity.issuer).into_iter().flatten();
        let issued = issued.filter(|grant| self.oidc(**grant).is_some_and(|oidc| oidc.describes(identity)));
        accounts.chain(issued).copied().collect()
    }

    fn oidc(&self, grant: usize) -> Option<&Oidc> {
        match &self.grants[grant].subject {
            Subject::Oidc(oidc) => Some(oidc),
            Subject::Token(_) | Subject::ServiceAccount(_) | Subject::Anonymous => None,
        }
    }

    /// Lets housekeeping and lists go to the server for a known caller.
    pub fn pass(&self, _caller: &Caller, _passage: Passage) -> Permit {
        Permit::new(Vec::new())
    }

    /// Whether something that the server has is listed for a caller. Calls ask the same, so the two cannot disagree.
    pub fn lists(&self, caller: &Caller, target: Target, name: &str) -> bool {
        let policies: Vec<&CompiledPolicy> = self.enforcing(caller).collect();
        self.standing(caller).is_ok() && decide::visible(&policies, target, name).is_ok()
    }

    /// Whether a URI template that the server has is listed for a caller: where it is written literally, or everything
    /// is open. What is read by it is decided on the final URI.
    pub fn lists_template(&self, caller: &Caller, template: &str) -> bool {
        let lists = |policy: &CompiledPolicy| {
            policy.default == DefaultAction::Allow || policy.table(Target::Resource).has(template)
        };
        self.standing(caller).is_ok() && self.enforcing(caller).all(lists)
    }

    /// Lets a caller speak of something without asking for it: complete an argument of a prompt, end a subscription. It
    /// must be listed and not denied; nothing is charged.
    ///
    /// # Errors
    /// The refusal that asking for it would meet.
    pub fn mention(&self, caller: &Caller, target: Target, name: &str) -> Result<Permit, Refusal> {
        self.standing(caller)?;
        let policies: Vec<&CompiledPolicy> = self.enforcing(caller).collect();
        decide::mentionable(&policies, &decide::Call { target, name, arguments: None })?;
        Ok(Permit::new(Vec::new()))
    }

    /// Whether the server may ask a caller for something: only what every bound policy names.
    pub fn opens(&self, caller: &Caller, request: ServerRequest) -> bool {
        self.standing(caller).is_ok()
            && self.enforcing(caller).all(|policy| policy.server_requests.contains(&request))
    }

    /// Whether any call of this caller can be decided at all.
    ///
    /// # Errors
    /// The refusal of every call: no policy binds the caller, one that does never was good, or a required one is
    /// missing.
    pub fn standing(&self, caller: &Caller) -> Result<(), Refusal> {
        let refuse = |rule: Rule, reason: String| {
            Err(Refusal { outcome: Outcome::Denied, rule, reason, exhausted: None })
        };
        if let Some(rule) = &self.void {
            let reason = format!("the required policy {} is missing or not valid", rule.policy);
            return refuse(rule.clone(), reason);
        }
        let bound = &self.bound[caller.grant];
        let enforces =
            |index: &&usize| !self.policies[**index].1.as_ref().is_some_and(CompiledPolicy::only_audits);
        if !bound.iter().any(|index| enforces(&index)) {
            let rule = Rule { policy: String::new(), pointer: "(no policy)".to_owned() };
            return refuse(rule, format!("no policy binds the grant {}", caller.name));
        }
        match bound.iter().map(|index| &self.policies[*index]).find(|(_, compiled)| compiled.is_none()) {
            Some((name, _)) => {
                let rule = Rule { policy: name.to_string(), pointer: "(not valid)".to_owned() };
                refuse(rule, format!("the policy {name} is not valid"))
            }
            None => Ok(()),
        }
    }

    /// Whether nobody could ever be allowed anything: there is no usable policy at all.
    pub fn refuses_everything(&self) -> bool {
        let enforces = |policy: &CompiledPolicy| !policy.only_audits();
        self.void.is_some()
            || !self.policies.iter().any(|(_, compiled)| compiled.as_ref().is_some_and(enforces))
    }

    /// Every tool that a policy names exactly: the tools that may be a metric's label.
    pub fn declared_tools(&self) -> impl Iterator<Item = &str> {
        self.policies
            .iter()
            .filter_map(|(_, compiled)| compiled.as_ref())
            .flat_map(CompiledPolicy::exact_names)
    }

    /// Every grant's name: the grants that may be a metric's label.
    pub fn grant_names(&self) -> impl Iterator<Item = &str> {
        self.grants.iter().map(|grant| &*grant.name)
    }

    /// The policies that decide the calls of a caller, by name.
    pub(crate) fn enforcing(&self, caller: &Caller) -> impl Iterator<Item = &CompiledPolicy> {
        self.bound(caller).filter(|policy| !policy.only_audits())
    }

    /// The policies that only watch the calls of a caller, by name.
    pub(crate) fn auditing(&self, caller: &Caller) -> impl Iterator<Item = &CompiledPolicy> {
        self.bound(caller).filter(|policy| policy.only_audits())
    }

    fn bound(&self, caller: &Caller) -> impl Iterator<Item = &CompiledPolicy> {
        self.bound[caller.grant].iter().filter_map(|index| self.policies[*index].1.as_ref())
    }

    fn caller(&self, grant: usize) -> Caller {
        Caller { grant, name: self.grants[grant].name.clone() }
    }

    fn lifeless(&self, grant: usize, wall: Timestamp) -> Option<Unauthenticated> {
        let grant = &self.grants[grant];
        if grant.suspended {
            return Some(Unauthenticated::Suspended);
        }
        grant.expires_at.is_some_and(|expires_at| wall >= expires_at).then_some(Unauthenticated::Expired)
    }

    /// Decides a call: refused by the first stage that refuses it, or allowed and charged.
    pub fn decide(
        &self,
        caller: &Caller,
        call: &decide::Call<'_>,
        counters: &mut crate::Counters,
        now: crate::Now,
    ) -> crate::Decision {
        decide::decide(self, caller, call, counters, now)
    }
}

impl Caller {
    /// The name of the caller's grant.
    pub fn grant(&self) -> &str {
        &self.name
    }

    pub(crate) fn grant_name(&self) -> &Arc<str> {
        &self.name
    }
}

impl Unauthenticated {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::Missing, Self::Unknown, Self::Ambiguous, Self::Suspended, Self::Expired];

    /// The reason's name, as metrics and logs see it. A caller hears only that it is not known.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Ambiguous => "ambiguous",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Unauthenticated {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
