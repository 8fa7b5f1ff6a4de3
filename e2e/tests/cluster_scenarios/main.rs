//! Scenarios on a real Kubernetes: one cluster and one installation of the chart for all of them.
//!
//! Those that leave each other alone are played at the same time, each in a namespace of its own. Those that take
//! something away from everybody come after, one by one; the last one takes away the installation.

mod bundles;
mod explain;
mod gateway;
mod identity;
mod input;
mod last_good;
mod leaving;
mod operator;
mod rights;
mod story;
mod uninstall;

use std::process::ExitCode;

use toolgate_e2e::cluster::{Scenario, run};

fn main() -> ExitCode {
    let together = [
        Scenario { name: "the-walk", play: story::the_walk },
        Scenario { name: "unknown-keys-are-refused", play: input::unknown_keys_are_refused },
        Scenario { name: "what-leaves-is-acknowledged", play: leaving::what_leaves_is_acknowledged },
        Scenario { name: "a-service-account-calls", play: identity::a_service_account_calls },
        Scenario { name: "a-gateway-is-replaced", play: gateway::a_gateway_is_replaced },
        Scenario {
            name: "only-the-operator-writes-bundles",
            play: bundles::only_the_operator_writes_bundles,
        },
        Scenario { name: "every-field-is-explained", play: explain::every_field_is_explained },
    ];
    let alone = [
        Scenario { name: "a-bad-edit-keeps-the-last-good", play: last_good::a_bad_edit_keeps_the_last_good },
        Scenario { name: "the-operator-is-away", play: operator::the_operator_is_away },
        Scenario { name: "the-api-server-is-away", play: gateway::the_api_server_is_away },
        Scenario { name: "nothing-is-written-at-rest", play: operator::nothing_is_written_at_rest },
        Scenario { name: "nobody-reads-secrets", play: rights::nobody_reads_secrets },
        Scenario { name: "nothing-is-left-behind", play: uninstall::nothing_is_left_behind },
    ];
    run(&together, &alone)
}
