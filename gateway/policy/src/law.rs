//! The law: a compiled bundle. It is immutable and swapped whole; a request sees one of them.

mod rules;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use toolgate_crds::{DefaultAction, ServerRequest};

use crate::compile::{CertificateName, CompiledGrant, CompiledPolicy, Oidc, Subject};
use crate::decide;
use crate::definition::Definition;
use crate::identity::{ClientCertificate, Identity, ServiceAccount};
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
    pub(crate) by_certificate: HashMap<CertificateName, Vec<usize>>,
    pub(crate) anonymous: Option<usize>,
    pub(crate) reviews_tokens: bool,
    // Tools of which some policy agrees to some definitions only.
    pub(crate) pinned: HashSet<String>,
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
    /// The certificate of a client, which was verified, and no token.
    Certificate(Arc<ClientCertificate>),
    /// A token, on a connection with such a certificate.
    Both(Box<Self>, Arc<ClientCertificate>),
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
            Credential::Certificate(certificate) if wall >= certificate.expires_at => {
                return Err(Unauthenticated::Expired);
            }
            Credential::Certificate(certificate) => self.certified(certificate),
            // One that no grant names, live or not, only carries the connection. Else there would be two callers in one.
            Credential::Both(token, certificate) if self.certified(certificate).is_empty() => {
                return self.authenticate(token, wall);
            }
            Credential::Both(..) => return Err(Unauthenticated::Ambiguous),
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

    /// Whether the API server is to be asked of each ServiceAccount's token whether it still holds.
    pub fn reviews_tokens(&self) -> bool {
        self.reviews_tokens
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

    fn certified(&self, certificate: &ClientCertificate) -> Vec<usize> {
        let uri = certificate.uri.clone().map(CertificateName::Uri);
        let names = [uri, certificate.subject.clone().map(CertificateName::Subject)];
        let grants = names.iter().flatten().filter_map(|name| self.by_certificate.get(name));
        grants.flatten().copied().collect()
    }

    fn oidc(&self, grant: usize) -> Option<&Oidc> {
        match &self.grants[grant].subject {
            Subject::Oidc(oidc) => Some(oidc),
            Subject::Token(_) | Subject::ServiceAccount(_) | Subject::Certificate(_) | Subject::Anonymous => {
                None
            }
        }
    }

    /// Lets housekeeping and lists go to the server for a known caller.
    pub fn pass(&self, _caller: &Caller, _passage: Passage) -> Permit {
        Permit::new(Vec::new())
    }

    /// Whether something that the server has is listed for a caller. Calls ask the same, so the two cannot disagree.
    /// `definition`: of a tool, how the server defines it.
    pub fn lists(&self, caller: &Caller, target: Target, name: &str, definition: Option<Definition>) -> bool {
        let policies = decide::consult(self.enforcing(caller), target, name);
        self.standing(caller).is_ok()
            && decide::visible(&policies, target, name).is_ok()
            && decide::defined(&policies, name, definition).is_ok()
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
        let policies = decide::consult(self.enforcing(caller), target, name);
        decide::mentionable(&policies, &decide::Call { target, name, arguments: None, definition: None })?;
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
            Err(Refusal { outcome: Outcome::Denied, rule, reason, exhausted: None, retry_after: None })
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
            Some((name, _)) => Err(not_valid(name)),
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

    /// The indices of the policies that bind a caller, by name.
    pub(crate) fn policies_of(&self, caller: &Caller) -> impl Iterator<Item = usize> {
        self.bound[caller.grant].iter().copied()
    }

    /// Some caller of a grant, and why there is none now. It stays within this crate: a caller is known by what he shows.
    pub(crate) fn caller_of(
        &self,
        grant: &str,
        wall: Timestamp,
    ) -> Option<(Caller, Option<Unauthenticated>)> {
        let index = self.grants.iter().position(|known| &*known.name == grant)?;
        let twins = match &self.grants[index].subject {
            // The token of now; the one before it is on its way out.
            Subject::Token(digests) => {
                digests.first().and_then(|digest| self.by_token.get(digest)).map_or(&[][..], Vec::as_slice)
            }
            Subject::ServiceAccount(_) | Subject::Oidc(_) | Subject::Certificate(_) | Subject::Anonymous => {
                &[]
            }
        };
        let live = |grant: &&usize| self.lifeless(**grant, wall).is_none();
        let ambiguous = (twins.iter().filter(live).count() > 1).then_some(Unauthenticated::Ambiguous);
        Some((self.caller(index), self.lifeless(index, wall).or(ambiguous)))
    }

    fn bound(&self, caller: &Caller) -> impl Iterator<Item = &CompiledPolicy> {
        self.policies_of(caller).filter_map(|index| self.policies[index].1.as_ref())
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

    /// Looks at a call: what is decided already, or what the store of counters has to be asked before it is. `paused`:
    /// for how long the server still takes no calls, if it said so.
    pub fn examine<'a>(
        &'a self,
        caller: &Caller,
        call: &decide::Call<'a>,
        paused: Option<Duration>,
    ) -> decide::Examined<'a> {
        decide::examine(self, caller, call, paused)
    }

    /// Decides a call with counters in memory: refused by the first stage that refuses it, or allowed and charged.
    pub fn decide(
        &self,
        caller: &Caller,
        call: &decide::Call<'_>,
        counters: &mut crate::Counters,
        now: crate::Now,
    ) -> crate::Decision {
        match self.examine(caller, call, None) {
            decide::Examined::Decided(decision) => decision,
            decide::Examined::Pending(pending) => {
                let reply = counters.ask(pending.demand(), now.monotonic);
                pending.conclude(reply)
            }
        }
    }
}

/// What a policy says that never was good.
pub(crate) fn not_valid(policy: &str) -> Refusal {
    let rule = Rule { policy: policy.to_owned(), pointer: "(not valid)".to_owned() };
    let reason = format!("the policy {policy} is not valid");
    Refusal { outcome: Outcome::Denied, rule, reason, exhausted: None, retry_after: None }
}

impl Credential {
    /// What a signed token says, if there is one.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        match self {
            Self::Verified(identity) => Some(identity),
            Self::Both(token, _) => token.identity(),
            Self::None | Self::Token(_) | Self::Certificate(_) => None,
        }
    }
}

impl Caller {
    /// The name of the caller's grant.
    pub fn grant(&self) -> &str {
        &self.name
    }

    /// The same name, to be kept.
    pub fn grant_name(&self) -> &Arc<str> {
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
