//! Scenarios on a real Kubernetes: one cluster and one installation of the chart for all of them.
//!
//! Those that leave each other alone are played some at a time, each in a namespace of its own. Those that take
//! something away from everybody come after, one by one; the last one takes away the installation.

mod bundles;
mod credentials;
mod explain;
mod gateway;
mod identity;
mod input;
mod knobs;
mod last_good;
mod leaving;
mod many;
mod neighbour;
mod operator;
mod order;
mod reach;
mod release;
mod replicas;
mod rights;
mod secrets;
mod several;
mod story;
mod tenants;
mod tls;
mod uninstall;

use std::process::ExitCode;

use toolgate_e2e::cluster::{Scenario, run};

fn main() -> ExitCode {
    let together = [
        Scenario { name: "the-walk", play: story::the_walk },
        Scenario { name: "unknown-keys-are-refused", play: input::unknown_keys_are_refused },
        Scenario { name: "what-leaves-is-acknowledged", play: leaving::what_leaves_is_acknowledged },
        Scenario { name: "a-service-account-calls", play: identity::a_service_account_calls },
        Scenario {
            name: "only-live-credentials-open-a-server",
            play: credentials::only_live_credentials_open_a_server,
        },
        Scenario { name: "tls-is-served-by-a-secret", play: tls::tls_is_served_by_a_secret },
        Scenario { name: "a-gateway-is-replaced", play: gateway::a_gateway_is_replaced },
        Scenario {
            name: "only-the-operator-writes-bundles",
            play: bundles::only_the_operator_writes_bundles,
        },
        Scenario {
            name: "a-bundle-may-be-larger-than-a-config-map",
            play: bundles::a_bundle_may_be_larger_than_a_config_map,
        },
        Scenario { name: "several-gateways-count-as-one", play: replicas::several_gateways_count_as_one },
        Scenario {
            name: "a-gateway-runs-as-its-server-says",
            play: knobs::a_gateway_runs_as_its_server_says,
        },
        Scenario { name: "tenants-only-narrow", play: tenants::tenants_only_narrow },
        Scenario { name: "what-is-in-the-way-is-said", play: reach::what_is_in_the_way_is_said },
        Scenario { name: "a-policy-comes-before-its-server", play: order::a_policy_comes_before_its_server },
        Scenario { name: "a-quota-refuses-a-pod", play: order::a_quota_refuses_a_pod },
        Scenario { name: "every-field-is-explained", play: explain::every_field_is_explained },
    ];
    let alone = [
        Scenario { name: "a-bad-edit-keeps-the-last-good", play: last_good::a_bad_edit_keeps_the_last_good },
        Scenario { name: "the-operator-is-away", play: operator::the_operator_is_away },
        Scenario {
            name: "a-namespace-goes-while-the-operator-is-away",
            play: order::a_namespace_goes_while_the_operator_is_away,
        },
        Scenario {
            name: "a-second-release-keeps-to-its-namespaces",
            play: neighbour::a_second_release_keeps_to_its_namespaces,
        },
        Scenario { name: "the-leader-is-taken-away", play: several::the_leader_is_taken_away },
        Scenario {
            name: "fifty-servers-with-a-thousand-policies",
            play: many::fifty_servers_with_a_thousand_policies,
        },
        Scenario { name: "no-secret-is-told", play: secrets::no_secret_is_told },
        Scenario { name: "the-api-server-is-away", play: gateway::the_api_server_is_away },
        Scenario { name: "nothing-is-written-at-rest", play: operator::nothing_is_written_at_rest },
        Scenario {
            name: "a-release-is-upgraded-and-rolled-back",
            play: release::a_release_is_upgraded_and_rolled_back,
        },
        Scenario { name: "nobody-reads-secrets", play: rights::nobody_reads_secrets },
        Scenario { name: "nothing-is-left-behind", play: uninstall::nothing_is_left_behind },
    ];
    run(&together, &alone)
}
