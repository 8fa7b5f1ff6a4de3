//! Objects as they were judged, so that each generation is judged once and not at every reconcile of every server that
//! it concerns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::Resource;
use toolgate_crds::{ToolGrant, ToolGrantSpec, ToolPolicy, ToolPolicySpec};
use toolgate_policy::Candidate;

use crate::raw::Raw;

/// All policies and grants as they were judged.
#[derive(Debug, Default)]
pub struct Candidates {
    policies: Judged<ToolPolicySpec>,
    grants: Judged<ToolGrantSpec>,
}

/// The generation, and what it was found to be. Everything but metadata and status counts as generation.
type Judgement<S> = (i64, Arc<Candidate<S>>);

/// Judgements by UID.
#[derive(Debug)]
struct Judged<S>(Mutex<HashMap<String, Judgement<S>>>);

impl Candidates {
    /// A policy as it is judged.
    pub fn policy(&self, policy: &Raw<ToolPolicy>) -> Arc<Candidate<ToolPolicySpec>> {
        self.policies.judge(policy, || Candidate::policy(&policy.whole()))
    }

    /// A grant as it is judged.
    pub fn grant(&self, grant: &Raw<ToolGrant>) -> Arc<Candidate<ToolGrantSpec>> {
        self.grants.judge(grant, || Candidate::grant(&grant.whole()))
    }

    /// Forgets policies that are not there any more, by UID.
    pub fn forget_policies(&self, is_gone: impl Fn(&str) -> bool) {
        self.policies.lock().retain(|uid, _| !is_gone(uid));
    }

    /// Forgets grants that are not there any more, by UID.
    pub fn forget_grants(&self, is_gone: impl Fn(&str) -> bool) {
        self.grants.lock().retain(|uid, _| !is_gone(uid));
    }
}

impl<S> Judged<S> {
    fn judge<K: Resource<DynamicType = ()>>(
        &self,
        object: &Raw<K>,
        judge: impl FnOnce() -> Candidate<S>,
    ) -> Arc<Candidate<S>> {
        let (uid, generation) = (object.uid(), object.generation());
        let known = self.lock().get(uid).filter(|(known, _)| *known == generation).cloned();
        if let Some((_, candidate)) = known {
            return candidate;
        }
        // Not under the lock: a large policy takes its time.
        let candidate = Arc::new(judge());
        self.lock().insert(uid.to_owned(), (generation, candidate.clone()));
        candidate
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Judgement<S>>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Default for Judged<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}
