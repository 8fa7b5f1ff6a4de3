//! Bundles that are too large for one ConfigMap: their parts are written beside what is in force, and then committed.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "support/api.rs"]
mod api;
#[path = "support/world.rs"]
mod world;

use std::collections::BTreeMap;

use api::Api;
use serde_json::Value;
use toolgate_operator::child::ChildKind;
use toolgate_operator::metrics::Metrics;
use toolgate_operator::reconcile::apply::{Applied, Making, Target, apply};
use toolgate_operator::reconcile::build::build;
use toolgate_operator::reconcile::memory::Memory;
use toolgate_operator::reconcile::observe::Observed;
use toolgate_policy::{Half, Head, Shard};
use world::{CHILD, NAMESPACE, SERVER, SERVER_UID, UPSTREAM, observed, policy, server, settings, validated};

const FOLDER: &str = "/api/v1/namespaces/shop/configmaps";

/// A server, reconciled again and again.
struct Place {
    api: Api,
    observed: Observed,
    generation: i64,
}

impl Place {
    fn new() -> Self {
        Self { api: Api::default(), observed: observed(server(1, UPSTREAM)), generation: 0 }
    }

    /// Policies that nobody can compress much, in so many tools.
    fn noisy(&mut self, tools: usize) {
        // As an API server does with every edit of a spec.
        self.generation += 1;
        let generation = self.generation;
        let mut state = 1_u64;
        let mut reason = || -> String {
            let letters = (0..1000).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from(b'a' + u8::try_from(state >> 33 & 15).unwrap())
            });
            letters.collect()
        };
        let entries: Vec<String> =
            (0..tools).map(|index| format!("t{index}: {{reason: {}}}", reason())).collect();
        let chunks = entries.chunks(900).enumerate();
        self.observed.policies = chunks
            .map(|(number, chunk)| {
                policy(&format!("noisy-{number}"), generation, &format!("tools: {{{}}}", chunk.join(", ")))
            })
            .collect();
    }

    fn live(&self) -> BTreeMap<ChildKind, Value> {
        let path = |kind: ChildKind| {
            let resource = kind.resource();
            let group = if resource.group.is_empty() { "/api" } else { "/apis" };
            let name = kind.name(SERVER, SERVER_UID);
            format!("{group}/{}/namespaces/{NAMESPACE}/{}/{name}", resource.api_version, resource.plural)
        };
        let kinds = ChildKind::shards().chain(ChildKind::ALL);
        kinds.filter_map(|kind| Some((kind, self.api.get(&path(kind))?))).collect()
    }

    async fn reconcile(&mut self) -> Applied {
        let validated = validated(&self.observed);
        let (bundle, packed) = validated.bundle.unwrap();
        let prepared = build(&bundle, &packed, &settings());
        let (client, metrics) = (self.api.client(), Metrics::new());
        let (namespace, owner, making) = (NAMESPACE, SERVER_UID, Making::Allowed);
        let target = Target { client: &client, metrics: &metrics, namespace, owner, making };
        let memory = &self.observed.memory;
        let applied = apply(&target, &prepared, (bundle, packed), &self.live(), memory).await;
        self.observed.previous = applied.bundle.clone().map(|applied| applied.bundle);
        self.observed.memory =
            Memory { applied: applied.bundle.clone(), written: applied.written.clone(), ..Memory::default() };
        applied
    }

    fn data(&self, name: &str) -> Value {
        let object = self.api.get(&format!("{FOLDER}/{name}")).unwrap();
        if object["data"].is_null() { object["binaryData"].clone() } else { object["data"].clone() }
    }

    fn head(&self) -> Head {
        Head::from_json(self.data(CHILD)["bundle.shards.json"].as_str().unwrap()).unwrap()
    }

    fn part(&self, half: Half, number: u8) -> Value {
        let shard = Shard { half, number };
        self.data(&shard.config_map(CHILD))[shard.to_string()].clone()
    }
}

#[tokio::test]
async fn parts_are_written_before_what_commits_them_and_never_over_those_in_force() {
    let mut place = Place::new();
    place.noisy(3000);
    assert_eq!(place.reconcile().await.failures, []);
    let written = place.api.written();
    assert_eq!(
        written[..3],
        ["configmaps/crm-toolgate-odd-0", "configmaps/crm-toolgate-odd-1", "configmaps/crm-toolgate"]
    );
    assert_eq!((place.head().half, place.head().shards), (Half::Odd, 2));
    let first = place.part(Half::Odd, 0);

    place.reconcile().await;
    assert_eq!(place.api.written(), [""; 0], "at rest");

    place.noisy(3001);
    place.reconcile().await;
    let written = place.api.written();
    assert_eq!(
        written,
        ["configmaps/crm-toolgate-even-0", "configmaps/crm-toolgate-even-1", "configmaps/crm-toolgate"]
    );
    assert_eq!(place.head().half, Half::Even);
    assert_eq!(place.part(Half::Odd, 0), first, "who reads by the head before this one still can");
}

#[tokio::test]
async fn without_all_of_its_parts_nothing_is_committed() {
    let mut place = Place::new();
    place.noisy(3000);
    place.reconcile().await;
    let before = place.head();
    place.noisy(3001);
    place.api.refuse(&format!("{FOLDER}/crm-toolgate-even-1"));
    let applied = place.reconcile().await;
    assert_eq!(applied.failures.len(), 1, "{:?}", applied.failures);
    assert_eq!((place.head(), applied.bundle.unwrap().hash), (before.clone(), before.hash));
    place.api.refuse_nothing();
    assert_eq!(place.reconcile().await.failures, []);
    assert_eq!(place.head().half, Half::Even);
}

#[tokio::test]
async fn parts_that_are_needed_no_more_are_emptied_after_the_head() {
    let mut place = Place::new();
    place.noisy(3000);
    place.reconcile().await;
    place.noisy(1);
    place.api.asked();
    assert_eq!(place.reconcile().await.failures, []);
    let written = place.api.written();
    assert_eq!(written.first().map(String::as_str), Some("configmaps/crm-toolgate"));
    assert_eq!(
        written[written.len() - 2..],
        ["configmaps/crm-toolgate-odd-0", "configmaps/crm-toolgate-odd-1"]
    );
    assert!(place.data(CHILD)["bundle.json"].is_string());
    assert_eq!(place.part(Half::Odd, 0), Value::Null);
    place.reconcile().await;
    assert_eq!(place.api.written(), [""; 0], "at rest");
}

#[tokio::test]
async fn what_compresses_is_in_one_and_the_pods_mount_what_there_is() {
    let mut place = Place::new();
    let volume = |place: &Place| {
        place.live()[&ChildKind::Deployment]["spec"]["template"]["spec"]["volumes"][0].clone()
    };
    let reason = "x".repeat(1000);
    let policies = (0..2).map(|number| {
        let tools: Vec<String> = (0..900).map(|index| format!("t{index}: {{reason: {reason}}}")).collect();
        policy(&format!("plain-{number}"), 1, &format!("tools: {{{}}}", tools.join(", ")))
    });
    place.observed.policies = policies.collect();
    place.reconcile().await;
    assert!(place.data(CHILD)["bundle.json.gz"].is_string());
    assert_eq!(volume(&place)["configMap"]["name"], CHILD);
    place.noisy(3000);
    place.reconcile().await;
    let sources = volume(&place)["projected"]["sources"].as_array().unwrap().clone();
    assert_eq!(sources.len(), 1 + Shard::all().count());
    assert_eq!(sources[0]["configMap"]["name"], CHILD);
    assert!(sources[1..].iter().all(|source| source["configMap"]["optional"] == true));
}
