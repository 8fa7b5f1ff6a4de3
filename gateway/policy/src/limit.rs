//! The limits in force, one by one, for whoever wants to tell how full they are.

use std::sync::Arc;

use toolgate_crds::Scope;

use crate::compile::{CompiledPolicy, Counter};
use crate::law::Law;
use crate::store::{Bound, CounterKey};

/// A counter that calls are charged on.
#[derive(Debug)]
pub struct Limit<'a> {
    /// Which counter; of a counter for each grant, one of them.
    pub key: CounterKey,
    /// Its windows.
    pub bounds: &'a Arc<[Bound]>,
    /// The windows as they were written, one for each bound.
    pub windows: Vec<&'a str>,
}

impl Law {
    /// Every limit of the policies that enforce, by policy; of a counter for each grant, one for each grant that is bound.
    pub fn limits(&self) -> impl Iterator<Item = Limit<'_>> {
        let policies = self.policies.iter().enumerate();
        let policies = policies.filter_map(|(index, (_, compiled))| Some((index, compiled.as_ref()?)));
        let enforcing = policies.filter(|(_, policy)| !policy.only_audits());
        enforcing.flat_map(move |(index, policy)| {
            policy.counters.iter().flat_map(move |counter| self.limits_of(index, policy, counter))
        })
    }

    fn limits_of<'a>(
        &'a self,
        index: usize,
        policy: &'a CompiledPolicy,
        counter: &'a Counter,
    ) -> impl Iterator<Item = Limit<'a>> {
        let limit = move |grant: Option<Arc<str>>| Limit {
            key: CounterKey { policy: policy.name.clone(), counter: counter.name.clone(), grant },
            bounds: &counter.bounds,
            windows: counter.written.iter().map(|(window, _)| window.as_str()).collect(),
        };
        let of_server = matches!(counter.scope, Scope::Server).then(|| limit(None));
        let grants = self.grants.iter().zip(&self.bound);
        let of_grants = grants
            .filter(move |(_, bound)| matches!(counter.scope, Scope::Grant) && bound.contains(&index))
            .map(move |(grant, _)| limit(Some(grant.name.clone())));
        of_server.into_iter().chain(of_grants)
    }
}
