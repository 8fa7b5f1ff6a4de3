//! Objects as they are judged. Of grants each generation is judged once; of policies, which are many and large, the judgement
//! is not kept: what is in force at a server is in its bundle already, and is taken from there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::Resource;
use toolgate_crds::{ToolGrant, ToolGrantSpec, ToolPolicy, ToolPolicySpec};
use toolgate_policy::{Candidate, References};

use crate::raw::Raw;
use crate::reconcile::memory::AppliedBundle;

/// Objects as they are judged.
#[derive(Debug, Default)]
pub struct Candidates {
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
        Arc::new(Candidate::policy(&policy.whole()))
    }

    /// A policy of which this process has applied this very generation already, so that it need not be judged again.
    pub fn applied(
        policy: &Raw<ToolPolicy>,
        applied: Option<&AppliedBundle>,
    ) -> Option<Candidate<ToolPolicySpec>> {
        let policies = &applied?.bundle.policies;
        let found = policies.binary_search_by(|bundled| bundled.name.as_str().cmp(policy.name())).ok()?;
        let bundled = &policies[found];
        let is_same = bundled.uid == policy.uid() && bundled.generation == policy.generation();
        let spec = bundled.spec.clone().filter(|_| is_same)?;
        Some(Candidate {
            namespace: policy.namespace().to_owned(),
            name: policy.name().to_owned(),
            uid: policy.uid().to_owned(),
            generation: policy.generation(),
            spec: Ok(spec),
            labels: policy.labels().clone(),
            servers: References::of_policy(&policy.spec("targetRefs")),
        })
    }

    /// A grant as it is judged.
    pub fn grant(&self, grant: &Raw<ToolGrant>) -> Arc<Candidate<ToolGrantSpec>> {
        self.grants.judge(grant, || Candidate::grant(&grant.whole()))
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
