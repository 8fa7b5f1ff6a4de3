//! Which version of what is in force, and what compiling refuses.

#[path = "support/court.rs"]
mod court;

use court::{grant, object, plain_server, policy, rendered, server};
use toolgate_crds::FieldError;
use toolgate_policy::{Bundle, Candidate, InForce, Inputs, compile, render};

const GOOD: &str = "default: allow";

#[test]
fn a_bad_edit_keeps_the_last_good_version_and_says_so() {
    let grants = [grant("alice", 1, "")];
    let first = rendered(&plain_server(), &[policy("p", 1, GOOD)], &grants, None).bundle.unwrap();
    let second = rendered(&plain_server(), &[policy("p", 2, "defualt: deny")], &grants, Some(&first));
    assert_eq!(second.bundle.as_ref(), Some(&first), "nothing has changed for the gateways");
    let report = &second.policies[0];
    assert_eq!((report.generation, report.in_force), (2, InForce::LastGood(1)));
    assert_eq!(FieldError::join(&report.errors), "spec.defualt: unknown field; did you mean default?");
}

#[test]
fn a_bad_edit_that_lost_its_targets_still_binds_those_it_had() {
    let first = rendered(&plain_server(), &[policy("p", 1, GOOD)], &[], None).bundle.unwrap();
    let lost = Candidate::policy(&object("ToolPolicy", "p", 2, "{default: allow}"));
    let second = rendered(&plain_server(), &[lost], &[], Some(&first)).bundle.unwrap();
    assert_eq!(second.policies, first.policies);
}

#[test]
fn a_new_creation_under_an_old_name_inherits_nothing() {
    let first = rendered(&plain_server(), &[policy("p", 1, GOOD)], &[], None).bundle.unwrap();
    let mut stranger = policy("p", 1, "defualt: deny");
    stranger.uid = "another".to_owned();
    let second = rendered(&plain_server(), &[stranger], &[], Some(&first));
    assert_eq!(second.bundle.unwrap().policies[0].spec, None);
    assert_eq!(second.policies[0].in_force, InForce::Nothing);
}

#[test]
fn a_good_edit_that_retargets_a_policy_takes_it_away() {
    let first = rendered(&plain_server(), &[policy("p", 1, GOOD)], &[], None).bundle.unwrap();
    let moved =
        Candidate::policy(&object("ToolPolicy", "p", 2, "targetRefs: [{kind: McpServer, name: other}]"));
    let second = rendered(&plain_server(), &[moved], &[], Some(&first));
    assert_eq!((second.bundle.unwrap().policies.len(), second.policies.len()), (0, 0));
}

#[test]
fn a_bad_grant_opens_nothing_and_a_suspension_waits_for_nobody() {
    let first =
        rendered(&plain_server(), &[policy("p", 1, GOOD)], &[grant("a", 1, ""), grant("b", 2, "")], None);
    let edited = [grant("a", 1, "susspended: true"), grant("b", 2, "suspended: true")];
    let bad = policy("p", 2, "defualt: deny");
    let second = rendered(&plain_server(), &[bad], &edited, first.bundle.as_ref()).bundle.unwrap();
    let names: Vec<_> =
        second.grants.iter().map(|grant| (grant.name.as_str(), grant.spec.suspended)).collect();
    assert_eq!(names, [("b", true)]);
}

#[test]
fn the_revision_grows_with_every_change_and_only_then() {
    let first = rendered(&plain_server(), &[policy("p", 1, GOOD)], &[], None).bundle.unwrap();
    assert_eq!((first.revision, first.policies[0].revision), (1, 1));
    let same = rendered(&plain_server(), &[policy("p", 1, GOOD)], &[], Some(&first)).bundle.unwrap();
    assert_eq!(same, first);
    let policies = [policy("p", 1, GOOD), policy("q", 1, GOOD)];
    let third = rendered(&plain_server(), &policies, &[], Some(&first)).bundle.unwrap();
    assert_eq!(third.revision, 2);
    assert_eq!(third.policies.iter().map(|policy| policy.revision).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_lost_bundle_never_lets_the_revision_go_back() {
    let server = plain_server();
    let inputs = Inputs { server: &server, policies: &[], grants: &[], previous: None, revision_floor: 41 };
    assert_eq!(render(&inputs).bundle.unwrap().revision, 42);
}

#[test]
fn a_server_that_was_created_anew_starts_anew() {
    let first = rendered(&plain_server(), &[policy("p", 1, GOOD)], &[], None).bundle.unwrap();
    let mut again = plain_server();
    again.uid = "another".to_owned();
    let bad = policy("p", 2, "defualt: deny");
    assert_eq!(rendered(&again, &[bad], &[], Some(&first)).bundle.unwrap().policies[0].spec, None);
}

#[test]
fn a_bad_server_keeps_its_last_good_version_or_has_none() {
    let bad = server("upstream: {url: 'ftp://crm/mcp'}");
    assert_eq!(rendered(&bad, &[], &[], None).bundle, None);
    let first = rendered(&plain_server(), &[], &[], None).bundle.unwrap();
    let second = rendered(&bad, &[], &[], Some(&first));
    assert_eq!(second.server.in_force, InForce::LastGood(1));
    assert_eq!(second.bundle, Some(first));
}

#[test]
fn a_bundle_reads_back_as_it_was_written_and_nothing_else_does() {
    let bundle =
        rendered(&plain_server(), &[policy("p", 1, GOOD)], &[grant("a", 1, "")], None).bundle.unwrap();
    assert_eq!(Bundle::from_json(&bundle.to_json()), Ok(bundle.clone()));
    assert_eq!(bundle.hash().len(), 64);
    let text = bundle.to_json();
    for bad in ["", "{}", &text[1..], &text.replace("\"default\"", "\"defualt\"")] {
        assert!(Bundle::from_json(bad).is_err(), "{bad}");
    }
}

fn faults_of_policy(rules: &str) -> Vec<String> {
    policy("p", 1, rules).errors().iter().map(ToString::to_string).collect()
}

#[test]
fn compiling_refuses_what_cannot_be_decided_and_names_every_fault() {
    let faults = faults_of_policy(
        "
resources: {'kommo://a/../b': {action: allow}}
hide: ['ok', 'no t']
tools:
  'move lead': {}
  a:
    approval: {timeout: 30m}
    require: [{path: args.x, op: exists}, {path: x, op: lt, value: '1'}]
    limits:
      - {counter: c, window: minute, max: 30, scope: grant}
      - {counter: c, window: 60s, max: 31, scope: server}
      - {counter: d, window: day, max: 3, scope: grant, cost: 4}
      - {counter: e, window: day, max: 3, scope: grant, cost: -1}
      - {counter: f, window: day, max: 3, scope: grant, cost: {sum: price}}
      - {counter: g, window: day, max: 3, scope: grant, cost: {length: 'args.ids[*]'}}
allTools: {denyIf: [{path: args.x}]}
",
    );
    assert_eq!(
        faults,
        [
            "spec.tools.a.approval: belongs to action: approve",
            "spec.tools.a.require[1].path: must begin with args",
            "spec.tools.a.require[1].value: must be a number for this operator",
            "spec.tools.a.limits[1].scope: counter c has another scope elsewhere in this policy",
            "spec.tools.a.limits[1].max: counter c has max 30 for this window elsewhere in this policy",
            "spec.tools.a.limits[2].cost: 4 is above max 3: no call would ever be admitted",
            "spec.tools.a.limits[3].cost: must not be negative",
            "spec.tools.a.limits[4].cost.sum: must begin with args",
            "spec.tools.a.limits[5].cost.length: must name one array, without [*]",
            "spec.tools[\"move lead\"]: may only have letters, digits, and the characters _ - . * ?",
            "spec.resources[\"kommo://a/../b\"]: must be a URI of visible ASCII, without backslashes, dot segments or encoded dots and slashes",
            "spec.allTools.denyIf[0].op: is required",
            "spec.hide[1]: may only have letters, digits, and the characters _ - . * ?",
        ]
    );
}

#[test]
fn a_cost_at_the_maximum_is_fine_and_one_past_it_is_not() {
    let rules = |cost: i64| {
        format!("tools: {{a: {{limits: [{{counter: c, window: day, max: 3, scope: grant, cost: {cost}}}]}}}}")
    };
    assert!(faults_of_policy(&rules(3)).is_empty());
    assert_eq!(faults_of_policy(&rules(4)).len(), 1);
}

#[test]
fn a_server_is_refused_with_the_field_that_is_wrong() {
    for (spec, fault) in [
        ("upstream: {}", "spec.upstream: must have exactly one of url and service"),
        (
            "upstream: {url: 'http://a/mcp', service: {name: a, port: 1, path: /mcp}}",
            "spec.upstream: must have exactly one of url and service",
        ),
        ("upstream: {url: 'http://u@a/mcp'}", "spec.upstream.url: must have a host, and no user"),
        ("upstream: {url: 'http://a/../mcp'}", "spec.upstream.url: must have no dot segments"),
        (
            "upstream: {url: 'http://a/mcp?x'}",
            "spec.upstream.url: must have no query, fragment, escape or other special character",
        ),
        (
            "upstream: {url: 'http://a/mcp', headers: [{name: Host, value: b}]}",
            "spec.upstream.headers[0].name: Host is set by the gateway",
        ),
        (
            "upstream: {url: 'http://a/mcp', headers: [{name: X-A}]}",
            "spec.upstream.headers[0]: must have exactly one of value and secretKeyRef",
        ),
        (
            "upstream: {url: 'http://a/mcp', certificateAuthority: {secretKeyRef: {name: a, key: ca.crt}}}",
            "spec.upstream.certificateAuthority: is of no use without TLS: the url must begin with https://",
        ),
        (
            "upstream: {url: 'https://a/mcp', certificateAuthority: {}}",
            "spec.upstream.certificateAuthority: must have exactly one of secretKeyRef and configMapKeyRef",
        ),
        (
            "{upstream: {url: 'http://a/mcp'}, gateway: {replicas: 2}}",
            "spec.gateway.replicas: more than one replica needs counters in a shared store: set spec.counters.redis",
        ),
        (
            "{upstream: {url: 'http://a/mcp'}, gateway: {autoscaling: {type: External}}}",
            "spec.gateway.autoscaling: more than one replica needs counters in a shared store: set spec.counters.redis",
        ),
        (
            "{upstream: {url: 'http://a/mcp'}, gateway: {replicas: 2}, counters: {memory: {}}}",
            "spec.gateway.replicas: more than one replica needs counters in a shared store: set spec.counters.redis",
        ),
        (
            "upstream: {url: 'http://a/mcp', busy: {text: x, pause: 61s}}",
            "spec.upstream.busy.pause: must be at most 60s",
        ),
        (
            "{upstream: {url: 'http://a/mcp', busy: {text: x, pause: minute}}, counters: {}}",
            "spec.counters: must have exactly one of memory and redis",
        ),
        (
            "{upstream: {url: 'http://a/mcp'}, counters: {memory: {}, redis: {url: 'redis://r:1'}}}",
            "spec.counters: must have exactly one of memory and redis",
        ),
    ] {
        assert_eq!(FieldError::join(server(spec).errors()), fault, "{spec}");
    }
}

#[test]
fn a_shared_store_is_refused_with_the_field_that_is_wrong() {
    let fault = |redis: &str| {
        let gateway = "gateway: {replicas: 3}";
        let spec = format!("{{upstream: {{url: 'http://a/mcp'}}, {gateway}, counters: {{redis: {redis}}}}}");
        FieldError::join(server(&spec).errors()).replace("spec.counters.redis.", "")
    };
    let password = "secretKeyRef: {name: r, key: p}";
    for good in [
        "{url: 'redis://redis:6379'}".to_owned(),
        "{url: 'redis://10.0.0.7:1', cluster: true}".to_owned(),
        "{url: 'redis://[::1]:65535'}".to_owned(),
        format!("{{url: 'rediss://redis.sales.svc:6379', username: toolgate, {password}}}"),
        "{url: 'rediss://redis:6379', certificateAuthority: {secretKeyRef: {name: r, key: ca.crt}}}"
            .to_owned(),
        "{url: 'rediss://redis:6379', certificateAuthority: {configMapKeyRef: {name: r, key: ca}}}"
            .to_owned(),
    ] {
        assert_eq!(fault(&good), "", "{good}");
    }
    let host = "url: must have a host and a port, such as redis://redis:6379";
    for (redis, wanted) in [
        ("{url: 'http://redis:6379'}", "url: must begin with redis:// or rediss://"),
        ("{url: 'redis://'}", host),
        ("{url: 'redis://redis'}", host),
        ("{url: 'redis://:6379'}", host),
        ("{url: 'redis://redis:0'}", host),
        ("{url: 'redis://redis:65536'}", host),
        ("{url: 'redis://redis:+1'}", host),
        ("{url: 'redis://re dis:6379'}", host),
        ("{url: 'redis://[::1'}", host),
        ("{url: 'redis://[a:b]:6379'}", host),
        (
            "{url: 'redis://u:p@redis:6379'}",
            "url: must have no user and no password: they are username and secretKeyRef",
        ),
        ("{url: 'redis://redis:6379/3'}", "url: must have no path, query or fragment"),
        (
            "{url: 'redis://redis:6379', username: u}",
            "username: needs secretKeyRef, which names its password",
        ),
        (
            "{url: 'redis://redis:6379', username: 'a b', secretKeyRef: {name: r, key: p}}",
            "username: must have only visible ASCII characters",
        ),
        (
            "{url: 'redis://redis:6379', certificateAuthority: {secretKeyRef: {name: r, key: ca}}}",
            "certificateAuthority: is of no use without TLS: the url must begin with rediss://",
        ),
        (
            "{url: 'rediss://redis:6379', certificateAuthority: {}}",
            "certificateAuthority: must have exactly one of secretKeyRef and configMapKeyRef",
        ),
        (
            "{url: 'rediss://redis:6379', certificateAuthority: {secretKeyRef: {name: r, key: a}, configMapKeyRef: {name: r, key: a}}}",
            "certificateAuthority: must have exactly one of secretKeyRef and configMapKeyRef",
        ),
    ] {
        assert_eq!(fault(redis), wanted, "{redis}");
    }
}

#[test]
fn a_grant_is_refused_with_the_field_that_is_wrong() {
    let fault = |name: &str, subject: &str| {
        let spec = format!("servers: [{{name: crm}}]\n{subject}");
        FieldError::join(Candidate::grant(&object("ToolGrant", name, 1, &spec)).errors())
    };
    let token = format!("{{sha256: '{}'}}", "0a".repeat(32));
    assert_eq!(fault("g", &format!("subject: {{type: Token, token: {token}}}")), "");
    assert_eq!(
        fault("anonymous", &format!("subject: {{type: Token, token: {token}}}")),
        "metadata.name: anonymous is reserved for requests without credentials"
    );
    assert_eq!(fault("g", "subject: {type: Token}"), "spec.subject.token: is required for the type Token");
    assert_eq!(
        fault("g", &format!("subject: {{type: Token, token: {token}, serviceAccount: {{name: a}}}}")),
        "spec.subject.serviceAccount: does not belong to the type Token"
    );
    assert_eq!(fault("g", "subject: {type: ServiceAccount, serviceAccount: {name: a}}"), "");
    let oidc = |issuer: &str, audience: &str, claims: &str| {
        let parts = format!("{{issuer: '{issuer}', audience: '{audience}', claims: {claims}}}");
        fault("g", &format!("subject: {{type: OIDC, oidc: {parts}}}"))
    };
    assert_eq!(oidc("https://idp.example.com", "mcp", "{sub: a}"), "");
    assert_eq!(
        oidc("https://idp.example.com?x=y", "mcp", "{sub: a}"),
        "spec.subject.oidc.issuer: must be an https URL without user, query and fragment, or http on 127.0.0.1 or [::1]"
    );
    for without_https in
        ["http://idp.example.com", "http://127.0.0.1.example.com", "idp.example.com", "https:///"]
    {
        let fault = oidc(without_https, "mcp", "{sub: a}");
        assert!(
            fault.starts_with(&format!("spec.subject.oidc.issuer: {without_https:?} must match ")),
            "{fault}"
        );
    }
    assert_eq!(oidc("http://127.0.0.1:8080", "mcp", "{sub: a}"), "");
    assert_eq!(
        oidc("https://idp.example.com", " ", "{sub: a}"),
        "spec.subject.oidc.audience: must not be empty"
    );
    assert_eq!(
        oidc("https://idp.example.com", "mcp", "{}"),
        "spec.subject.oidc.claims: must have at least 1 entries"
    );
    let bounds = "spec.subject.oidc.claims[\"sub\"]: name and value must have 1 to 1024 bytes";
    assert_eq!(oidc("https://idp.example.com", "mcp", "{sub: ''}"), bounds);
    assert_eq!(oidc("https://idp.example.com", "mcp", &format!("{{sub: {}}}", "a".repeat(1024))), "");
    assert_eq!(oidc("https://idp.example.com", "mcp", &format!("{{sub: {}}}", "a".repeat(1025))), bounds);
    assert_eq!(
        fault(
            "g",
            &format!("subject: {{type: Token, token: {token}}}\nexpiresAt: 'tomorrow, at about noon'")
        ),
        "spec.expiresAt: must be an RFC 3339 time such as 2027-01-31T00:00:00Z"
    );
}

#[test]
fn a_bundle_that_no_operator_rendered_is_refused_whole() {
    let mut bundle = rendered(&plain_server(), &[policy("p", 1, GOOD)], &[], None).bundle.unwrap();
    bundle.policies[0].spec.as_mut().unwrap().hide = vec!["no t".to_owned()];
    let errors = compile(&bundle).unwrap_err();
    assert_eq!(errors[0].path, "ToolPolicy/p spec.hide[0]");
}
