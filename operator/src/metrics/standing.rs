//! How the objects of a scope stand, counted from its caches when somebody asks: nothing is kept, so nothing can go stale.

use std::collections::BTreeMap;

use kube::Resource;
use kube::runtime::reflector::Store;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use crate::raw::Raw;
use crate::stores::Stores;

/// The most namespaces that are told apart; those that come later by name are counted together.
pub const NAMESPACES_MAX: usize = 500;
/// The label of those.
const OTHER: &str = "_other";
const STATUSES: [&str; 3] = ["True", "False", "Unknown"];

/// One condition of the objects of one kind in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// The objects' namespace.
    pub namespace: String,
    /// Their kind.
    pub kind: String,
    /// The condition's type.
    pub condition: String,
    /// Its status: `True`, `False` or `Unknown`.
    pub status: String,
}

/// How many objects stand how.
pub type Standings = BTreeMap<Standing, u32>;

/// Counts the conditions of every server, policy and grant.
pub fn count(stores: &Stores) -> Standings {
    let mut standings = Standings::new();
    add(&stores.servers, &mut standings);
    add(&stores.policies, &mut standings);
    add(&stores.grants, &mut standings);
    standings
}

fn add<K>(store: &Store<Raw<K>>, standings: &mut Standings)
where
    K: Resource<DynamicType = ()> + 'static,
{
    for object in store.state() {
        let status = object.stored_status();
        let conditions = status["conditions"].as_array();
        for condition in conditions.into_iter().flatten() {
            let text = |member: &str| condition[member].as_str().unwrap_or_default().to_owned();
            let (condition, status) = (text("type"), text("status"));
            // Others may write conditions of their own, and a label is of a closed set.
            if crate::conditions::is_ours(&condition) && STATUSES.contains(&status.as_str()) {
                let (namespace, kind) = (object.namespace().to_owned(), K::kind(&()).into_owned());
                *standings.entry(Standing { namespace, kind, condition, status }).or_default() += 1;
            }
        }
    }
}

pub(super) fn empty() -> IntGaugeVec {
    let options = Opts::new("toolgate_operator_conditions", "Objects by how a condition of theirs stands.");
    let labels = ["object_namespace", "kind", "condition", "status"];
    IntGaugeVec::new(options, &labels).expect("a constant name is valid")
}

pub(super) fn families(all: &[Standings]) -> Vec<MetricFamily> {
    let gauges = empty();
    let mut namespaces: Vec<&str> =
        all.iter().flat_map(|standings| standings.keys()).map(|one| &*one.namespace).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    namespaces.truncate(NAMESPACES_MAX);
    for (Standing { namespace, kind, condition, status }, count) in all.iter().flatten() {
        let known = namespaces.binary_search(&namespace.as_str()).is_ok();
        let labels = [if known { namespace } else { OTHER }, kind, condition, status];
        gauges.with_label_values(&labels).add(i64::from(*count));
    }
    gauges.collect().into_iter().filter(|family| !family.get_metric().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_namespaces_as_are_told_apart_and_one_more() {
        let of = |namespace: usize| {
            let standing = Standing {
                namespace: format!("team-{namespace:04}"),
                kind: "ToolPolicy".to_owned(),
                condition: "Programmed".to_owned(),
                status: "True".to_owned(),
            };
            (standing, 2)
        };
        let told = |namespaces: usize| families(&[(0..namespaces).map(of).collect()])[0].get_metric().len();
        assert_eq!(told(NAMESPACES_MAX), NAMESPACES_MAX);
        assert_eq!(told(NAMESPACES_MAX + 2), NAMESPACES_MAX + 1, "the rest is one");
        assert!(families(&[]).is_empty());
    }
}
