//! Objects as users write them, rendered and compiled by the real code.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests only")]

use std::time::Duration;

use serde_json::{Value, json};
use toolgate_crds::{McpServerSpec, ToolGrantSpec, ToolPolicySpec};
use toolgate_policy::{
    Bundle, Call, Caller, Candidate, Counters, Credential, Decision, Definition, Inputs, Law, Now, Refusal,
    Rendered, Target, Verdict, compile, json, render,
};

pub(crate) fn object(kind: &str, name: &str, generation: i64, spec: &str) -> Value {
    let spec: Value = serde_yaml::from_str(spec).unwrap();
    json!({
        "apiVersion": "toolgate.dev/v1alpha1",
        "kind": kind,
        "metadata": {"namespace": "sales", "name": name, "uid": format!("uid-of-{name}"), "generation": generation},
        "spec": spec,
    })
}

pub(crate) fn server(spec: &str) -> Candidate<McpServerSpec> {
    Candidate::server(&object("McpServer", "crm", 1, spec))
}

pub(crate) fn plain_server() -> Candidate<McpServerSpec> {
    server("upstream: {url: 'http://crm:3001/mcp'}")
}

pub(crate) fn policy(name: &str, generation: i64, rules: &str) -> Candidate<ToolPolicySpec> {
    let spec = format!("targetRefs: [{{kind: McpServer, name: crm}}]\n{rules}");
    Candidate::policy(&object("ToolPolicy", name, generation, &spec))
}

/// A grant whose token has the digest `[digit; 32]`.
pub(crate) fn grant(name: &str, digit: u8, more: &str) -> Candidate<ToolGrantSpec> {
    let digest = format!("{digit:02x}").repeat(32);
    let spec =
        format!("servers: [{{name: crm}}]\nsubject: {{type: Token, token: {{sha256: '{digest}'}}}}\n{more}");
    Candidate::grant(&object("ToolGrant", name, 1, &spec))
}

pub(crate) fn rendered(
    server: &Candidate<McpServerSpec>,
    policies: &[Candidate<ToolPolicySpec>],
    grants: &[Candidate<ToolGrantSpec>],
    previous: Option<&Bundle>,
) -> Rendered {
    render(&Inputs { server, policies, grants, previous, revision_floor: 0 })
}

/// A law with its counters, a clock that only the test moves, and the callers `alice` (1) and `bob` (2).
pub(crate) struct Court {
    pub(crate) law: Law,
    pub(crate) counters: Counters,
    pub(crate) now: Duration,
    /// How the server defines whatever tool is called.
    pub(crate) definition: Option<Definition>,
}

impl Court {
    pub(crate) fn of(policies: &[(&str, &str)]) -> Self {
        Self::at(&plain_server(), policies)
    }

    pub(crate) fn at(server: &Candidate<McpServerSpec>, policies: &[(&str, &str)]) -> Self {
        Self {
            law: law(server, policies),
            counters: Counters::new(),
            now: Duration::from_hours(1),
            definition: None,
        }
    }

    pub(crate) fn amend(&mut self, policies: &[(&str, &str)]) {
        self.law = law(&plain_server(), policies);
    }

    pub(crate) fn caller(&self, digit: u8) -> Caller {
        self.law.authenticate(&Credential::Token([digit; 32]), jiff::Timestamp::UNIX_EPOCH).unwrap()
    }

    pub(crate) fn decide(&mut self, digit: u8, tool: &str) -> Verdict {
        self.decide_with(digit, tool, "{}").verdict
    }

    /// As [`Court::call_with`], of anything.
    pub(crate) fn ask(&mut self, digit: u8, target: Target, name: &str, arguments: &str) -> String {
        told(self.decide_any(digit, target, name, arguments).verdict)
    }

    pub(crate) fn decide_with(&mut self, digit: u8, tool: &str, arguments: &str) -> Decision {
        self.decide_any(digit, Target::Tool, tool, arguments)
    }

    fn decide_any(&mut self, digit: u8, target: Target, name: &str, arguments: &str) -> Decision {
        let now = Now { monotonic: self.now, wall: jiff::Timestamp::UNIX_EPOCH };
        let caller = self.caller(digit);
        let parsed = json::parse(arguments.as_bytes()).unwrap();
        let call = Call { target, name, arguments: parsed.as_object(), definition: self.definition };
        self.law.decide(&caller, &call, &mut self.counters, now)
    }

    /// As [`Court::call`], with arguments.
    pub(crate) fn call_with(&mut self, digit: u8, tool: &str, arguments: &str) -> String {
        told(self.decide_with(digit, tool, arguments).verdict)
    }

    /// `allowed`, or the outcome and the rule.
    pub(crate) fn call(&mut self, digit: u8, tool: &str) -> String {
        told(self.decide(digit, tool))
    }

    pub(crate) fn refusal(&mut self, tool: &str) -> Refusal {
        match self.decide(1, tool) {
            Verdict::Refused(refusal) => refusal,
            Verdict::Allowed(_) => panic!("{tool} was allowed"),
        }
    }
}

fn told(verdict: Verdict) -> String {
    match verdict {
        Verdict::Allowed(_) => "allowed".to_owned(),
        Verdict::Refused(refusal) => format!("{} {}", refusal.outcome.as_str(), refusal.rule),
    }
}

fn law(server: &Candidate<McpServerSpec>, policies: &[(&str, &str)]) -> Law {
    let policies: Vec<_> = policies.iter().map(|(name, rules)| policy(name, 1, rules)).collect();
    let grants = [grant("alice", 1, ""), grant("bob", 2, "")];
    compile(&rendered(server, &policies, &grants, None).bundle.unwrap()).unwrap()
}
